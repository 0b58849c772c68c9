//! The rows of a buffer's file: parcels in the order in which they came, and how many lines each source has in them.
//!
//! ```text
//! id ->   [ left | under way | waits ][ waits ][ waits ]
//!         ^front             ^cursor
//! ```
//!
//! What has left is deleted; of the first parcel, `head` says how much of it has. What is under way is known to this
//! process alone: after a crash it waits again.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rusqlite::{Connection, OptionalExtension, params};
use tracing::debug;

use super::{
    super::{Parcel, parcel::place, policy::Tally},
    file::Fault,
};
use crate::metrics::Metrics;

/// The rows, and where in them we are.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) db: Connection,
    metrics: Metrics,
    pub(super) at: At,
    /// Where we were when the transaction began that is under way.
    before: Option<At>,
    /// Parcels of the push that is being carried out.
    pub(super) laid: Vec<Parcel>,
    /// By how many lines a source has more, or fewer, once the transaction is committed.
    pub(super) changes: Vec<(Arc<str>, i64)>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct At {
    /// Lines that wait or are under way.
    pub(super) lines: usize,
    pub(super) under_way: usize,
    /// The first line that has not left, and the first that is not under way either.
    pub(super) front: Place,
    pub(super) cursor: Place,
    /// The next parcel's number.
    pub(super) next: i64,
    /// What is in use of the file.
    pub(super) bytes: usize,
}

/// A place between two lines: in which parcel, behind how many of its lines and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: i64,
    pub(super) lines: usize,
    pub(super) bytes: usize,
}

/// A parcel's row.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) source: Arc<str>,
    pub(super) lines: usize,
    pub(super) text: Vec<u8>,
}

/// More free pages than these are given back to the file system once nothing waits.
const FREE_PAGES: i64 = 64;

impl Ledger {
    pub(super) fn load(db: Connection, metrics: Metrics, first: i64) -> Result<Self, Fault> {
        let mut at = At {
            lines: size(one(&db, "SELECT coalesce(sum(lines), 0) FROM sources")?),
            next: one(&db, "SELECT coalesce(max(id) + 1, 1) FROM parcels")?.max(first),
            ..At::default()
        };
        at.front.id = one(&db, "SELECT coalesce(min(id), 0) FROM parcels")?;
        at.front.lines = size(one(&db, "SELECT lines FROM head")?);
        at.front.bytes = size(one(&db, "SELECT bytes FROM head")?);
        at.cursor = at.front;
        let mut ledger = Self {
            db,
            metrics,
            at,
            before: None,
            laid: Vec::new(),
            changes: Vec::new(),
        };
        ledger.measure()?;
        ledger.count(true)?;
        Ok(ledger)
    }

    /// Adds what waits here to the gauges of its sources, or takes it off.
    fn count(&self, is_here: bool) -> Result<(), Fault> {
        let mut sources = self.db.prepare_cached("SELECT name, lines FROM sources")?;
        let mut rows = sources.query([])?;
        while let Some(row) = rows.next()? {
            let account = self.metrics.source(&row.get::<_, String>(0)?.into());
            let lines = size(row.get(1)?);
            if is_here {
                account.buffered(lines);
            } else {
                account.left(lines);
            }
        }
        Ok(())
    }

    /// The number after the last one that was given out.
    pub(super) fn next(&self) -> i64 {
        self.at.next
    }

    pub(super) fn tally(&self) -> Tally {
        let waiting = self.at.lines - self.at.under_way;
        Tally {
            lines: self.at.lines,
            waiting,
            bytes: self.at.bytes,
            oldest: (waiting > 0).then(|| self.oldest()).flatten(),
        }
    }

    fn oldest(&self) -> Option<Instant> {
        let sql = "SELECT received FROM parcels WHERE id >= ?1 ORDER BY id LIMIT 1";
        let found = self.db.prepare_cached(sql);
        let found = found.and_then(|mut sql| sql.query_row([self.at.cursor.id], |row| row.get(0)));
        let age = found.map_or(Duration::ZERO, |millis| {
            SystemTime::now().duration_since(time(millis)).unwrap_or_default()
        });
        // A machine that started later than the line came has no such instant.
        let now = Instant::now();
        now.checked_sub(age).or(Some(now))
    }

    pub(super) fn begin(&mut self) -> Result<(), Fault> {
        self.run("BEGIN IMMEDIATE")?;
        self.before = Some(self.at);
        self.changes.clear();
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), Fault> {
        self.run("COMMIT")?;

        self.before = None;
        for (source, lines) in self.changes.drain(..) {
            let account = self.metrics.source(&source);
            if lines >= 0 {
                account.buffered(size(lines));
            } else {
                account.left(size(-lines));
            }
        }
        if self.at.lines == 0
            && let Err(error) = self.shrink()
        {
            // What is written stays written.
            debug!(%error, "a disk buffer stays as large as it is");
        }
        Ok(())
    }

    /// Gives free pages back to the file system, where they are many.
    fn shrink(&mut self) -> Result<(), rusqlite::Error> {
        if one(&self.db, "PRAGMA freelist_count")? > FREE_PAGES {
            let mut vacuum = self.db.prepare("PRAGMA incremental_vacuum")?;
            let mut pages = vacuum.query([])?;
            while pages.next()?.is_some() {}
            drop(pages);
            drop(vacuum);
            self.measure()?;
        }
        Ok(())
    }

    /// Moves what is in the log to the file, and gives the log's room back.
    pub(super) fn empty_log(&self) -> Result<(), rusqlite::Error> {
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Undoes the transaction, unless SQLite already has.
    pub(super) fn rollback(&mut self) {
        if !self.db.is_autocommit() {
            // What cannot be rolled back now is when the file is closed.
            let _ = self.run("ROLLBACK");
        }
        self.at = self.before.take().unwrap_or(self.at);
        self.changes.clear();
    }

    /// The oldest lines, at most so many in so many bytes, at least one where any waits. What was given out before and
    /// has not left is given out again.
    pub(super) fn pick(&mut self, lines: usize, bytes: usize) -> Result<Vec<Parcel>, Fault> {
        let mut at = self.at.front;
        let (mut batch, mut count, mut size_) = (Vec::new(), 0, 0);
        {
            let sql = "SELECT id, source, received, lines, text FROM parcels WHERE id >= ?1 ORDER BY id";
            let mut sql = self.db.prepare_cached(sql)?;
            let mut rows = sql.query([at.id])?;
            while count < lines
                && size_ < bytes
                && let Some(row) = rows.next()?
            {
                let id = row.get(0)?;
                if id != at.id {
                    at = Place { id, ..Place::default() };
                }
                let rest = size(row.get(3)?).saturating_sub(at.lines);
                let text = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
                let text = text.get(at.bytes..).unwrap_or_default();
                let (taken, taken_lines) = if count + rest <= lines && size_ + text.len() <= bytes {
                    (text.len(), rest)
                } else {
                    match place(text, lines - count, bytes - size_) {
                        // One line is always small enough to go alone.
                        (0, _) if count == 0 => place(text, 1, usize::MAX),
                        found => found,
                    }
                };
                if taken_lines == 0 && rest > 0 {
                    break;
                }
                let source: Arc<str> = row.get::<_, String>(1)?.into();
                let account = self.metrics.source(&source);
                let mut parcel = Parcel::new(&source, &account, time(row.get(2)?), Instant::now());
                parcel.text = text[..taken].to_vec();
                parcel.lines = taken_lines;
                count += taken_lines;
                size_ += taken;
                at = if taken_lines == rest {
                    Place {
                        id: id + 1,
                        ..Place::default()
                    }
                } else {
                    Place {
                        id,
                        lines: at.lines + taken_lines,
                        bytes: at.bytes + taken,
                    }
                };
                batch.push(parcel);
            }
        }
        self.at.cursor = at;
        self.at.under_way = count;
        Ok(batch)
    }

    /// What is under way waits again.
    pub(super) fn take_back(&mut self) {
        self.at.under_way = 0;
        self.at.cursor = self.at.front;
    }

    /// So many lines of those that are under way have left; the others wait again.
    pub(super) fn finish(&mut self, lines: usize) -> Result<(), Fault> {
        let lines = lines.min(self.at.under_way);
        self.at.under_way = 0;
        self.leave(lines)
    }

    /// The first lines leave, nothing being under way.
    pub(super) fn leave(&mut self, mut lines: usize) -> Result<(), Fault> {
        let had_head = self.at.front.lines > 0;
        while lines > 0 {
            let Some(row) = self.row_from(self.at.front.id)? else {
                break;
            };
            if row.id != self.at.front.id {
                self.at.front = Place {
                    id: row.id,
                    ..Place::default()
                };
            }
            let rest = row.lines.saturating_sub(self.at.front.lines);
            let gone = rest.min(lines);
            if gone == rest {
                self.delete(row.id)?;
                self.at.front = Place {
                    id: row.id + 1,
                    ..Place::default()
                };
            } else {
                let text = row.text.get(self.at.front.bytes..).unwrap_or_default();
                let (bytes, _) = place(text, gone, usize::MAX);
                self.at.front.lines += gone;
                self.at.front.bytes += bytes;
            }
            self.forget(&row.source, gone)?;
            lines -= gone;
        }
        self.at.cursor = self.at.front;
        if had_head || self.at.front.lines > 0 {
            let Place { lines, bytes, .. } = self.at.front;
            let sql = "UPDATE head SET lines = ?1, bytes = ?2";
            self.db
                .prepare_cached(sql)?
                .execute(params![lines.cast_signed(), bytes.cast_signed()])?;
        }
        Ok(self.measure()?)
    }

    pub(super) fn row_from(&self, id: i64) -> Result<Option<Row>, rusqlite::Error> {
        let sql = "SELECT id, source, lines, text FROM parcels WHERE id >= ?1 ORDER BY id LIMIT 1";
        let mut sql = self.db.prepare_cached(sql)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Row {
                id: row.get(0)?,
                source: row.get::<_, String>(1)?.into(),
                lines: size(row.get(2)?),
                text: row.get(3)?,
            })
        };
        sql.query_row([id], read).optional()
    }

    pub(super) fn delete(&self, id: i64) -> Result<(), rusqlite::Error> {
        let mut sql = self.db.prepare_cached("DELETE FROM parcels WHERE id = ?1")?;
        sql.execute([id]).map(drop)
    }

    /// Lines of a source are here no more.
    pub(super) fn forget(&mut self, source: &Arc<str>, lines: usize) -> Result<(), rusqlite::Error> {
        let lines = i64::try_from(lines).unwrap_or(i64::MAX);
        let mut less = self
            .db
            .prepare_cached("UPDATE sources SET lines = lines - ?2 WHERE name = ?1")?;
        less.execute(params![&**source, lines])?;
        let mut none = self
            .db
            .prepare_cached("DELETE FROM sources WHERE name = ?1 AND lines <= 0")?;
        none.execute([&**source])?;
        self.at.lines -= size(lines);
        self.changes.push((Arc::clone(source), -lines));
        Ok(())
    }

    /// Looks how much of the file is in use.
    pub(super) fn measure(&mut self) -> Result<(), rusqlite::Error> {
        let pages = one(&self.db, "PRAGMA page_count")? - one(&self.db, "PRAGMA freelist_count")?;
        self.at.bytes = size(pages * one(&self.db, "PRAGMA page_size")?);
        Ok(())
    }

    /// Leaves no room, or as much as there is.
    #[cfg(test)]
    pub(super) fn squeeze(&self, on: bool) {
        let most = if on { 1 } else { 1_000_000 };
        let sql = format!("PRAGMA max_page_count = {most}");
        self.db.query_row(&sql, [], |_| Ok(())).unwrap();
    }

    pub(super) fn run(&self, sql: &str) -> Result<(), rusqlite::Error> {
        self.db.prepare_cached(sql)?.execute([]).map(drop)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Whoever opens the file next counts what is in it.
        let _ = self.count(false);
    }
}

/// A time in milliseconds since 1970.
fn time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.max(0).cast_unsigned())
}

/// A number that is none below 0.
pub(super) fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// One number.
fn one(db: &Connection, sql: &str) -> Result<i64, rusqlite::Error> {
    db.prepare_cached(sql)?.query_row([], |row| row.get(0))
}
