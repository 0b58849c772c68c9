//! The floor: what a plain loop does on the same disk with the same handler, without a crate of ours.
//!
//! One file as the product's (WAL, `synchronous=FULL`, the same checkpoints and cache), one thread, prepared statements,
//! three tables: `input(seq, head, body)`, `output(seq, head, body)` and `claims(seq, token)`. A row has the bytes of a
//! message, its payload in a column of its own, so nothing is parsed.
//!
//! - One in flight: the payload out on a connection, the answer in, then one transaction and so one sync a hop: delete
//!   the input and its claim, insert the output with the answer, claim the next and read it.
//! - 64 in flight: 64 payloads out on 64 connections before the first answer is read, then the 64 answers, then one
//!   transaction for all: the inputs and claims deleted as a range, 64 outputs inserted, the next 64 claimed and read as a
//!   range. So all 64 are in flight at once, and none while the disk syncs.
//!
//! What it leaves out is what a queue is for: other processes, leases, delays, order among takers, retries, a check of
//! anything. [`exchange`] is also the floor of `payload-100mb`.

use std::{
    io::{self, IoSlice, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use benches::{clock, message, procfs};
use nix::sys::socket::{setsockopt, sockopt::SndBuf};
use rusqlite::{Connection, params};

use crate::case::rest;

/// What a loop took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
    /// Ready to run, while others of the machine ran.
    pub(crate) waited: Duration,
}

struct Row {
    seq: i64,
    head: Vec<u8>,
    body: Vec<u8>,
}

const TABLES: &str = "
    CREATE TABLE input(seq INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
    CREATE TABLE output(seq INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
    CREATE TABLE claims(seq INTEGER PRIMARY KEY, token INTEGER NOT NULL);
";

/// Takes `count` messages through the handler at `socket`, `in_flight` at once.
pub(crate) fn run(folder: &Path, socket: &Path, count: u64, in_flight: usize, length: usize) -> anyhow::Result<Taken> {
    let db = open(&folder.join("floor.db"))?;
    preload(&db, count, length)?;
    let mut streams = Vec::with_capacity(in_flight);
    for _ in 0..in_flight {
        streams.push(connect(socket)?);
    }
    rest();
    let (begun, cpu, waited) = (Instant::now(), clock::thread_cpu(), procfs::thread_waited()?);
    let done = work(&db, &mut streams)?;
    let taken = Taken {
        time: begun.elapsed(),
        cpu: clock::thread_cpu().saturating_sub(cpu),
        waited: procfs::thread_waited()?.saturating_sub(waited),
    };
    let left: i64 = db.query_row("SELECT count(*) FROM output", [], |row| row.get(0))?;
    ensure!(
        done == count && left.cast_unsigned() == count,
        "the floor did {done} of {count}"
    );
    Ok(taken)
}

/// A connection to the handler.
pub(crate) fn connect(socket: &Path) -> anyhow::Result<UnixStream> {
    let stream = UnixStream::connect(socket).context("cannot connect to the handler")?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    setsockopt(&stream, SndBuf, &(4 << 20))?;
    Ok(stream)
}

/// One exchange: the payload out, the answer into `answer`.
pub(crate) fn exchange(stream: &mut UnixStream, payload: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
    request(stream, payload)?;
    response(stream, answer)
}

fn open(path: &Path) -> anyhow::Result<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 4000)?;
    db.pragma_update(None, "cache_size", -4096)?;
    db.execute_batch(TABLES)?;
    Ok(db)
}

fn preload(db: &Connection, count: u64, length: usize) -> anyhow::Result<()> {
    let payload = message::payload(length);
    let mut insert = db.prepare("INSERT INTO input(seq, head, body) VALUES(?1, ?2, ?3)")?;
    db.execute_batch("BEGIN")?;
    for number in 0..count {
        insert.execute(params![number.cast_signed(), message::head(number).as_bytes(), payload])?;
    }
    db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// The loop; how many it did.
fn work(db: &Connection, streams: &mut [UnixStream]) -> anyhow::Result<u64> {
    let mut begin = db.prepare("BEGIN IMMEDIATE")?;
    let mut commit = db.prepare("COMMIT")?;
    let mut delete = db.prepare("DELETE FROM input WHERE seq BETWEEN ?1 AND ?2")?;
    let mut release = db.prepare("DELETE FROM claims WHERE seq BETWEEN ?1 AND ?2")?;
    let mut insert = db.prepare("INSERT INTO output(seq, head, body) VALUES(?1, ?2, ?3)")?;
    let mut next = db.prepare("SELECT seq, head, body FROM input WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let mut claim = db.prepare("INSERT INTO claims(seq, token) VALUES(?1, ?2)")?;
    let batch = i64::try_from(streams.len())?;
    let mut take = |last: i64| -> rusqlite::Result<Vec<Row>> {
        let rows = next.query_map(params![last, batch], |row| {
            Ok(Row {
                seq: row.get(0)?,
                head: row.get(1)?,
                body: row.get(2)?,
            })
        })?;
        let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
        for row in &rows {
            claim.execute(params![row.seq, row.seq])?;
        }
        Ok(rows)
    };
    begin.execute([])?;
    let mut rows = take(-1)?;
    commit.execute([])?;
    let (mut answers, mut done) = (vec![Vec::new(); streams.len()], 0);
    while let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        for (row, stream) in rows.iter().zip(&mut *streams) {
            request(stream, &row.body)?;
        }
        for (stream, answer) in streams.iter_mut().zip(&mut answers).take(rows.len()) {
            response(stream, answer)?;
        }
        begin.execute([])?;
        delete.execute([first.seq, last.seq])?;
        release.execute([first.seq, last.seq])?;
        for (row, answer) in rows.iter().zip(&answers) {
            insert.execute(params![row.seq, row.head, answer])?;
        }
        done += rows.len() as u64;
        rows = take(last.seq)?;
        commit.execute([])?;
    }
    Ok(done)
}

fn request(stream: &mut UnixStream, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?.to_be_bytes();
    let written = stream.write_vectored(&[IoSlice::new(&length), IoSlice::new(payload)])?;
    if written < length.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    stream.write_all(&payload[written - length.len()..])
}

fn response(stream: &mut UnixStream, answer: &mut Vec<u8>) -> io::Result<()> {
    // Head and body in one read where both are there, as they are for a usual message.
    let mut first = [0; 4 << 10];
    let mut got = stream.read(&mut first)?;
    while got < 4 {
        match stream.read(&mut first[got..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => got += more,
        }
    }
    let length = u32::from_be_bytes([first[0], first[1], first[2], first[3]]) as usize;
    answer.clear();
    answer.reserve(length);
    answer.extend_from_slice(&first[4..got]);
    let missing = length - answer.len();
    if missing > 0 && stream.take(missing as u64).read_to_end(answer)? < missing {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
