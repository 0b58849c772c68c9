//! The statements of the writer, prepared once, and the rows they read and write.
//!
//! Large bodies go in and out in place: SQLite would copy them twice on the way.

use std::io::{Read, Write};

use bytes::Bytes;
use rusqlite::{Connection, MAIN_DB, OptionalExtension, Result, Statement, blob::ZeroBlob, params};

use super::ledger::{Fresh, Mark, Place, Seq};
use crate::{QueueSpec, Retention};

/// Bodies above it are written and read in place.
const LARGE: usize = 1 << 20;
/// How many messages one reading ahead brings.
const READ_ROWS: usize = 128;
/// After how many bytes of bodies a reading ahead ends.
const READ_BYTES: usize = 4 << 20;

/// The writer's statements.
pub(super) struct Store<'db> {
    db: &'db Connection,
    begin: Statement<'db>,
    commit: Statement<'db>,
    insert: Statement<'db>,
    delete: Statement<'db>,
    mark: Statement<'db>,
    unmark: Statement<'db>,
    window: Statement<'db>,
    body: Statement<'db>,
    put_at: Statement<'db>,
    reserve: Statement<'db>,
    remember: Statement<'db>,
    forget: Statement<'db>,
}

/// A queue's row.
pub(super) struct QueueRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) retention: Option<Retention>,
    pub(super) reserved: u64,
}

/// A claim's row.
pub(super) struct ClaimRow {
    pub(super) seq: Seq,
    pub(super) holder: u64,
    pub(super) mark: Mark,
    pub(super) due: u64,
}

impl<'db> Store<'db> {
    pub(super) fn new(db: &'db Connection) -> Result<Self> {
        Ok(Self {
            db,
            begin: db.prepare("BEGIN IMMEDIATE")?,
            commit: db.prepare("COMMIT")?,
            insert: db.prepare("INSERT INTO messages(seq, put_at, body) VALUES(?1, ?2, ?3)")?,
            delete: db.prepare("DELETE FROM messages WHERE seq = ?1")?,
            mark: db.prepare(
                "INSERT OR REPLACE INTO claims(seq, token, holder, deliveries, attempt, due)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            unmark: db.prepare("DELETE FROM claims WHERE seq = ?1")?,
            window: db.prepare(
                "SELECT seq, put_at, length(body), CASE WHEN length(body) <= ?3 THEN body END
                 FROM messages WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?4",
            )?,
            body: db.prepare(
                "SELECT length(body), CASE WHEN length(body) <= ?2 THEN body END FROM messages WHERE seq = ?1",
            )?,
            put_at: db
                .prepare("SELECT seq, put_at FROM messages WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3")?,
            reserve: db.prepare("UPDATE queues SET reserved = ?2 WHERE id = ?1")?,
            remember: db.prepare("INSERT OR IGNORE INTO requests(holder, id) VALUES(?1, ?2)")?,
            forget: db.prepare("DELETE FROM requests WHERE holder = ?1 AND id < ?2")?,
        })
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        self.begin.execute([]).map(drop)
    }

    pub(super) fn commit(&mut self) -> Result<()> {
        self.commit.execute([]).map(drop)
    }

    /// Undoes the transaction, unless SQLite already has.
    pub(super) fn rollback(&mut self) -> Result<()> {
        if self.db.is_autocommit() {
            return Ok(());
        }
        self.db.execute_batch("ROLLBACK")
    }

    pub(super) fn insert(&mut self, seq: Seq, put_at: i64, body: &[u8]) -> Result<()> {
        if body.len() <= LARGE {
            return self.insert.execute(params![seq.row(), put_at, body]).map(drop);
        }
        let room = ZeroBlob(body.len() as u64);
        self.insert.execute(params![seq.row(), put_at, room])?;
        let mut blob = self.db.blob_open(MAIN_DB, c"messages", c"body", seq.row(), false)?;
        blob.write_all(body).map_err(io_error)?;
        blob.close()
    }

    pub(super) fn delete(&mut self, seq: Seq) -> Result<()> {
        self.delete.execute([seq.row()]).map(drop)
    }

    /// Writes where a message is, so that it survives us. A message with nothing to remember needs no row.
    pub(super) fn place(&mut self, seq: Seq, place: &Place) -> Result<()> {
        let (mark, holder, due) = match place {
            Place::Held(held) => (held.mark, held.by.holder, 0),
            Place::Ready(mark) if mark.deliveries == 0 && mark.attempt.is_none() => return self.unmark(seq),
            Place::Ready(mark) => (*mark, 0, 0),
            Place::Delayed(due, mark) => (*mark, 0, *due),
        };
        let row = params![
            seq.row(),
            mark.token.cast_signed(),
            holder.cast_signed(),
            mark.deliveries,
            mark.attempt,
            due.cast_signed()
        ];
        self.mark.execute(row).map(drop)
    }

    pub(super) fn unmark(&mut self, seq: Seq) -> Result<()> {
        self.unmark.execute([seq.row()]).map(drop)
    }

    /// Messages from a number on, and the number that the reading came to; `end` where nothing follows.
    pub(super) fn window(&mut self, line: usize, from: u64, end: u64) -> Result<(Vec<Fresh>, u64)> {
        let (low, high) = (Seq::new(line, from).row(), Seq::new(line, end).row());
        let mut found = Vec::new();
        let (mut bytes, mut through, mut more) = (0, end, false);
        {
            let large = i64::try_from(LARGE).unwrap_or(i64::MAX);
            let mut rows = self.window.query(params![low, high, large, READ_ROWS.cast_signed()])?;
            while let Some(row) = rows.next()? {
                let number = Seq::from_row(row.get(0)?).number();
                let length = length(row, 2)?;
                if bytes > 0 && bytes + length > READ_BYTES {
                    more = true;
                    break;
                }
                bytes += length;
                let body = row.get_ref(3)?.as_blob_or_null()?.map(Bytes::copy_from_slice);
                found.push((number, row.get(1)?, body));
            }
        }
        if let Some((last, ..)) = found.last()
            && (more || found.len() == READ_ROWS)
        {
            through = last + 1;
        }
        let whole = found.into_iter().map(|(number, put_at, body)| {
            let body = match body {
                Some(body) => body,
                None => self.large(Seq::new(line, number))?,
            };
            Ok(Fresh { number, put_at, body })
        });
        Ok((whole.collect::<Result<_>>()?, through))
    }

    /// One body; `None` where the message is gone.
    pub(super) fn body(&mut self, seq: Seq) -> Result<Option<Bytes>> {
        let large = i64::try_from(LARGE).unwrap_or(i64::MAX);
        let body = self.body.query_row(params![seq.row(), large], |row| {
            Ok(row.get_ref(1)?.as_blob_or_null()?.map(Bytes::copy_from_slice))
        });
        match body.optional()? {
            Some(Some(body)) => Ok(Some(body)),
            Some(None) => self.large(seq).map(Some),
            None => Ok(None),
        }
    }

    /// The messages from a number on, each with its time, without their bodies.
    pub(super) fn put_at(&mut self, line: usize, from: u64, limit: usize) -> Result<Vec<(u64, i64)>> {
        let (low, high) = (Seq::new(line, from).row(), Seq::new(line, Seq::last_number()).row());
        let rows = self.put_at.query_map(params![low, high, limit.cast_signed()], |row| {
            Ok((Seq::from_row(row.get(0)?).number(), row.get(1)?))
        })?;
        rows.collect()
    }

    pub(super) fn reserve(&mut self, line: usize, reserved: u64) -> Result<()> {
        let id = line.cast_signed();
        self.reserve.execute(params![id, reserved.cast_signed()]).map(drop)
    }

    pub(super) fn remember(&mut self, holder: u64, id: u64) -> Result<()> {
        let row = params![holder.cast_signed(), id.cast_signed()];
        self.remember.execute(row).map(drop)
    }

    /// Forgets a holder's requests below an id.
    pub(super) fn forget(&mut self, holder: u64, below: u64) -> Result<()> {
        let row = params![holder.cast_signed(), below.min(i64::MAX.cast_unsigned()).cast_signed()];
        self.forget.execute(row).map(drop)
    }

    pub(super) fn declare(&mut self, line: usize, spec: &QueueSpec) -> Result<()> {
        let id = line.cast_signed();
        self.db.execute(
            "INSERT OR IGNORE INTO queues(id, name, reserved) VALUES(?1, ?2, 0)",
            params![id, &*spec.name],
        )?;
        if let Some(retention) = spec.retention {
            let keep = retention
                .keep
                .map(|keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
            let max = retention.max.map(u64::cast_signed);
            let sql = "UPDATE queues SET keep_ms = ?2, max = ?3 WHERE id = ?1";
            self.db.execute(sql, params![id, keep, max])?;
        }
        Ok(())
    }

    /// Takes the next epoch.
    pub(super) fn next_epoch(&mut self) -> Result<u64> {
        let sql = "UPDATE meta SET value = value + 1 WHERE key = 'epoch' RETURNING value";
        self.db.query_row(sql, [], |row| row.get(0)).map(i64::cast_unsigned)
    }

    pub(super) fn queues(&self) -> Result<Vec<QueueRow>> {
        let sql = "SELECT id, name, keep_ms, max, reserved FROM queues ORDER BY id";
        let mut rows = self.db.prepare(sql)?;
        let rows = rows.query_map([], |row| {
            let (keep, max) = (row.get::<_, Option<i64>>(2)?, row.get::<_, Option<i64>>(3)?);
            let retention = Retention {
                keep: keep.map(|keep| std::time::Duration::from_millis(keep.cast_unsigned())),
                max: max.map(i64::cast_unsigned),
            };
            Ok(QueueRow {
                id: row.get(0)?,
                name: row.get(1)?,
                retention: (retention != Retention::default()).then_some(retention),
                reserved: row.get::<_, i64>(4)?.cast_unsigned(),
            })
        })?;
        rows.collect()
    }

    pub(super) fn claims(&self) -> Result<Vec<ClaimRow>> {
        let sql = "SELECT seq, token, holder, deliveries, attempt, due FROM claims";
        let mut rows = self.db.prepare(sql)?;
        let rows = rows.query_map([], |row| {
            Ok(ClaimRow {
                seq: Seq::from_row(row.get(0)?),
                holder: row.get::<_, i64>(2)?.cast_unsigned(),
                mark: Mark {
                    deliveries: row.get(3)?,
                    attempt: row.get(4)?,
                    token: row.get::<_, i64>(1)?.cast_unsigned(),
                },
                due: row.get::<_, i64>(5)?.cast_unsigned(),
            })
        })?;
        rows.collect()
    }

    pub(super) fn requests(&self) -> Result<Vec<(u64, u64)>> {
        let mut rows = self.db.prepare("SELECT holder, id FROM requests")?;
        let rows = rows.query_map([], |row| {
            let (holder, id): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((holder.cast_unsigned(), id.cast_unsigned()))
        })?;
        rows.collect()
    }

    fn large(&self, seq: Seq) -> Result<Bytes> {
        read_large(self.db, seq)
    }
}

/// Reads a large body in place.
pub(super) fn read_large(db: &Connection, seq: Seq) -> Result<Bytes> {
    let mut blob = db.blob_open(MAIN_DB, c"messages", c"body", seq.row(), true)?;
    let mut body = Vec::with_capacity(blob.len());
    blob.read_to_end(&mut body).map_err(io_error)?;
    Ok(body.into())
}

fn io_error(error: std::io::Error) -> rusqlite::Error {
    match error.downcast::<rusqlite::Error>() {
        Ok(error) => error,
        Err(error) => rusqlite::Error::ToSqlConversionFailure(error.into()),
    }
}

/// A column that holds a body's length.
pub(super) fn length(row: &rusqlite::Row<'_>, column: usize) -> Result<usize> {
    let length: i64 = row.get(column)?;
    Ok(usize::try_from(length).unwrap_or(0))
}
