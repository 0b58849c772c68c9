//! Looks into the file beside the writer, so that a long look never holds up a hop.

use std::{path::Path, sync::Arc, sync::mpsc, thread};

use bytes::Bytes;
use rusqlite::{Connection, params};

use super::{
    engine::Mail,
    fault::Fault,
    file,
    ledger::Seq,
    mailbox::Mailbox,
    protocol::Reply,
    store::{self, length},
};
use crate::Browsed;

/// Bodies that one answer carries; whoever asked asks again.
const ANSWER_BYTES: usize = 16 << 20;
/// Bodies above it are read in place.
const LARGE: i64 = 1 << 20;

/// Messages to look at.
pub(super) struct Job {
    pub(super) line: usize,
    pub(super) after: Option<u64>,
    pub(super) limit: u64,
    pub(super) answer: Box<dyn FnOnce(Reply) + Send>,
}

/// The reading thread.
pub(super) struct Reader {
    jobs: Arc<Mailbox<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Reader {
    /// Returns when the state of the file at this moment is held, and counts it meanwhile.
    pub(super) fn start(path: &Path, lines: usize, mailbox: Arc<Mailbox<Mail>>) -> Result<Self, Fault> {
        let fault = |error: rusqlite::Error| Fault::of(&error, "read the queue file");
        let db = file::open_reader(path).map_err(fault)?;
        let jobs = Arc::new(Mailbox::<Job>::new());
        let (ready, is_ready) = mpsc::sync_channel(1);
        let inbox = jobs.clone();
        let work = move || {
            let begun = begin(&db);
            let ok = begun.is_ok();
            let _ = ready.send(begun);
            if !ok {
                return;
            }
            let counted = count(&db, lines).map_err(|error| Fault::of(&error, "count the queue file"));
            let _ = mailbox.push(Mail::Counted(counted));
            let mut batch = Vec::new();
            while inbox.drain(&mut batch, None) != super::mailbox::Woken::Closed {
                for job in batch.drain(..) {
                    let found = browse(&db, &job).map(Reply::Browsed);
                    (job.answer)(found.unwrap_or_else(|error| Reply::Refused(fault_of(&error))));
                }
            }
        };
        let thread = thread::Builder::new().name("queue-reader".to_owned()).spawn(work);
        let thread = thread.map_err(|error| Fault::of_io(&error, "start a thread"))?;
        match is_ready.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(fault(error)),
            Err(_) => return Err(Fault::unavailable("the queue's reader stopped")),
        }
        Ok(Self {
            jobs,
            thread: Some(thread),
        })
    }

    pub(super) fn ask(&self, job: Job) {
        if let Err(job) = self.jobs.push(job) {
            (job.answer)(Reply::Refused(Fault::Closed));
        }
    }

    pub(super) fn stop(&mut self) {
        self.jobs.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the queue's reader panicked");
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}

fn fault_of(error: &rusqlite::Error) -> Fault {
    Fault::of(error, "look into the queue file")
}

fn begin(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("BEGIN")?;
    db.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))
}

fn count(db: &Connection, lines: usize) -> rusqlite::Result<Vec<(usize, i64)>> {
    let mut count = db.prepare("SELECT count(*) FROM messages WHERE seq >= ?1 AND seq <= ?2")?;
    let counted = (0..lines).map(|line| {
        let (low, high) = (Seq::new(line, 0).row(), Seq::new(line, Seq::last_number()).row());
        Ok((line, count.query_row([low, high], |row| row.get(0))?))
    });
    let counted = counted.collect::<rusqlite::Result<Vec<_>>>();
    drop(count);
    db.execute_batch("COMMIT")?;
    counted
}

fn browse(db: &Connection, job: &Job) -> rusqlite::Result<Vec<Browsed>> {
    let mut select = db.prepare_cached(
        "SELECT messages.seq, length(body), CASE WHEN length(body) <= ?3 THEN body END, claims.holder
         FROM messages LEFT JOIN claims ON claims.seq = messages.seq
         WHERE messages.seq >= ?1 AND messages.seq <= ?2 ORDER BY messages.seq LIMIT ?4",
    )?;
    let from = job.after.map_or(0, |after| after.saturating_add(1));
    if from > Seq::last_number() {
        return Ok(Vec::new());
    }
    let (low, high) = (
        Seq::new(job.line, from).row(),
        Seq::new(job.line, Seq::last_number()).row(),
    );
    let limit = i64::try_from(job.limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![low, high, LARGE, limit])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let length = length(row, 1)?;
        if bytes > 0 && bytes + length > ANSWER_BYTES {
            break;
        }
        bytes += length;
        let seq = Seq::from_row(row.get(0)?);
        let body = match row.get_ref(2)?.as_blob_or_null()? {
            Some(body) => Bytes::copy_from_slice(body),
            None => store::read_large(db, seq)?,
        };
        found.push(Browsed {
            position: seq.number(),
            body,
            in_flight: row.get::<_, Option<i64>>(3)?.is_some_and(|holder| holder != 0),
        });
    }
    Ok(found)
}
