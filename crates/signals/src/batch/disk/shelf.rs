//! The policies' view of a buffer's file: what is laid down, and what gives way to it.

use std::{sync::Arc, time::SystemTime};

use rusqlite::{OptionalExtension, params};

use super::{
    super::{Parcel, parcel::place, policy::Shelf},
    file::Fault,
    ledger::{Ledger, Place, Row, size},
};

/// A parcel up to this size is cut exactly. Of a larger one a quarter goes at least, so that it is not written anew for
/// every line.
const CUT_EXACTLY: usize = 4096;
/// How many of the newest parcels are looked at for lines that have to give way.
const LOOK: i64 = 4096;
/// What SQLite takes for a row beside its texts.
const ROW: usize = 64;

impl Shelf for Ledger {
    type Error = Fault;

    fn lines(&self) -> usize {
        self.at.lines
    }

    fn bytes(&self) -> usize {
        self.at.bytes
    }

    fn beside(&self, parcel: &Parcel) -> usize {
        parcel.source.len() + ROW
    }

    fn of_source(&mut self, source: &Arc<str>) -> Result<usize, Fault> {
        let mut sql = self.db.prepare_cached("SELECT lines FROM sources WHERE name = ?1")?;
        let lines = sql.query_row([&**source], |row| row.get(0)).optional()?;
        Ok(size(lines.unwrap_or(0)))
    }

    fn append(&mut self, parcel: Parcel) -> Result<(), Fault> {
        if parcel.lines == 0 {
            return Ok(());
        }
        // First of all, so that it is still there where the transaction fails.
        self.laid.push(parcel);
        let parcel = self.laid.last().expect("it was just put there");
        let received = parcel.received.duration_since(SystemTime::UNIX_EPOCH);
        let received = i64::try_from(received.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
        let lines = i64::try_from(parcel.lines).unwrap_or(i64::MAX);
        let mut row = self
            .db
            .prepare_cached("INSERT INTO parcels(id, source, received, lines, text) VALUES(?1, ?2, ?3, ?4, ?5)")?;
        row.execute(params![self.at.next, &*parcel.source, received, lines, parcel.text])?;
        let mut more = self.db.prepare_cached(
            "INSERT INTO sources(name, lines) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET lines = lines + ?2",
        )?;
        more.execute(params![&*parcel.source, lines])?;
        self.at.next += 1;
        self.at.lines += parcel.lines;
        self.changes.push((Arc::clone(&parcel.source), lines));
        drop((row, more));
        Ok(self.measure()?)
    }

    fn drop_oldest(&mut self, lines: Option<usize>) -> Result<usize, Fault> {
        let Some(row) = self.row_from(self.at.cursor.id)? else {
            return Ok(0);
        };
        let begun = self.begun(row.id);
        let rest = row.lines - begun.lines;
        let mut gone = lines.unwrap_or(rest).min(rest);
        if row.text.len() > CUT_EXACTLY {
            gone = gone.max(rest / 4);
        }
        if self.at.under_way == 0 {
            self.leave(gone)?;
        } else {
            let (bytes, _) = place(&row.text[begun.bytes..], gone, usize::MAX);
            self.cut(&row, begun.bytes, begun.bytes + bytes, gone)?;
        }
        Ok(gone)
    }

    fn drop_newest(&mut self, spared: &Arc<str>, share: usize, mut wanted: usize) -> Result<usize, Fault> {
        if wanted == 0 {
            return Ok(0);
        }
        let newest: Vec<(i64, String)> = {
            let sql = "SELECT id, source FROM parcels WHERE id >= ?1 ORDER BY id DESC LIMIT ?2";
            let mut sql = self.db.prepare_cached(sql)?;
            let rows = sql.query_map([self.at.cursor.id, LOOK], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        let mut gone = 0;
        for (id, source) in newest {
            if wanted == 0 {
                break;
            }
            let source: Arc<str> = source.into();
            let over = self.of_source(&source)?.saturating_sub(share);
            if over == 0 || source == *spared {
                continue;
            }
            let Some(row) = self.row_from(id)? else { continue };
            let begun = self.begun(id);
            let dropped = over.min(wanted).min(row.lines - begun.lines);
            let (from, _) = place(&row.text, row.lines - dropped, usize::MAX);
            self.cut(&row, from, row.text.len(), dropped)?;
            wanted -= dropped;
            gone += dropped;
        }
        Ok(gone)
    }
}

impl Ledger {
    /// How much of a parcel does not wait any longer.
    fn begun(&self, id: i64) -> Place {
        if id == self.at.cursor.id {
            self.at.cursor
        } else {
            Place { id, ..Place::default() }
        }
    }

    /// Drops lines of a parcel that wait: those between two places in its text.
    fn cut(&mut self, row: &Row, from: usize, to: usize, lines: usize) -> Result<(), rusqlite::Error> {
        let begun = self.begun(row.id);
        let kept = row.lines - lines;
        if row.id == self.at.cursor.id && kept == begun.lines {
            self.at.cursor = Place {
                id: row.id + 1,
                ..Place::default()
            };
            if self.at.under_way == 0 {
                self.at.front = self.at.cursor;
                self.run("UPDATE head SET lines = 0, bytes = 0")?;
            }
        }
        if kept == 0 || (kept == begun.lines && self.at.under_way == 0) {
            self.delete(row.id)?;
        } else {
            let text = [&row.text[..from], &row.text[to..]].concat();
            let sql = "UPDATE parcels SET lines = ?2, text = ?3 WHERE id = ?1";
            self.db
                .prepare_cached(sql)?
                .execute(params![row.id, kept.cast_signed(), text])?;
        }
        self.forget(&row.source, lines)?;
        self.measure()
    }
}
