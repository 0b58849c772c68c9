//! Opens the database file: creates it, checks whose and which version it is, and sets how durable it is.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::{fault::Fault, options::Durability};

/// "Outr", in the file's header.
const APPLICATION: i64 = 0x4f75_7472;
/// The version of the tables.
const VERSION: i64 = 1;
/// Pages in the log before they are moved to the file. A log that still grows costs every sync a second write, of
/// its inode, so it is kept short enough to be written over soon (measured: 4000 pages cost 30 % of the hops).
const CHECKPOINT_PAGES: u32 = 1000;
/// What stays of the log's file after a burst.
const LOG_BYTES: u32 = 64 << 20;

const TABLES: &str = "
    CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE queues(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, keep_ms INTEGER, max INTEGER,
                        reserved INTEGER NOT NULL);
    CREATE TABLE messages(seq INTEGER PRIMARY KEY, put_at INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE claims(seq INTEGER PRIMARY KEY, token INTEGER NOT NULL, holder INTEGER NOT NULL,
                        deliveries INTEGER NOT NULL, attempt INTEGER, due INTEGER NOT NULL);
    CREATE TABLE requests(holder INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(holder, id)) WITHOUT ROWID;
    INSERT INTO meta VALUES('epoch', 0);
";

/// Opens the file for writing, as its owner, and creates what is missing.
pub(super) fn open(path: &Path, durability: Durability, max_bytes: Option<u64>) -> Result<Connection, Fault> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
        .map_err(|error| Fault::of(&error, "open the queue file"))?;
    prepare(&db, durability, max_bytes)?;
    Ok(db)
}

/// Opens the file for looking at it, beside the owner's own connection.
pub(super) fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -512)?;
    Ok(db)
}

fn prepare(db: &Connection, durability: Durability, max_bytes: Option<u64>) -> Result<(), Fault> {
    let fault = |error: rusqlite::Error| Fault::of(&error, "prepare the queue file");
    db.busy_timeout(Duration::from_secs(5)).map_err(fault)?;
    let application: i64 = read(db, "PRAGMA application_id").map_err(fault)?;
    let version: i64 = read(db, "PRAGMA user_version").map_err(fault)?;
    let tables: i64 = read(db, "SELECT count(*) FROM sqlite_schema").map_err(fault)?;
    let empty = application == 0 && version == 0 && tables == 0;
    if !empty && application != APPLICATION {
        return Err(Fault::unusable(
            "it is a database of another program: name a file of its own for the queue",
        ));
    }
    if version > VERSION {
        return Err(Fault::unusable(format!(
            "it was written by a newer Outrigger (file version {version}, this one reads {VERSION}): upgrade this \
             one, or name another file"
        )));
    }
    db.pragma_update(None, "journal_mode", "WAL").map_err(fault)?;
    let mode: String = db
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .map_err(fault)?;
    if mode != "wal" {
        return Err(Fault::unusable(format!(
            "its folder's file system keeps no write-ahead log (journal mode `{mode}`): put the file on a local disk"
        )));
    }
    let synchronous = match durability {
        Durability::Power => "FULL",
        Durability::Process => "NORMAL",
    };
    db.pragma_update(None, "synchronous", synchronous).map_err(fault)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
        .map_err(fault)?;
    db.pragma_update(None, "journal_size_limit", LOG_BYTES).map_err(fault)?;
    db.pragma_update(None, "cache_size", -4096).map_err(fault)?;
    db.pragma_update(None, "temp_store", "MEMORY").map_err(fault)?;
    if let Some(bytes) = max_bytes {
        let page: u64 = read(db, "PRAGMA page_size").map_err(fault)?.cast_unsigned();
        db.pragma_update(None, "max_page_count", (bytes / page).max(16).cast_signed())
            .map_err(fault)?;
    }
    if empty {
        let create = format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
        );
        db.execute_batch(&create).map_err(fault)?;
    }
    Ok(())
}

fn read(db: &Connection, sql: &str) -> Result<i64, rusqlite::Error> {
    db.query_row(sql, [], |row| row.get(0))
}
