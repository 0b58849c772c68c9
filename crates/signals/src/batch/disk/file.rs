//! Opens the file of a buffer, tells what is wrong with it, and puts a corrupt one aside.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, OpenFlags, ffi::ErrorCode};

use crate::name;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// What is in it cannot be read.
    #[error("it is corrupt: {0}")]
    Corrupt(rusqlite::Error),
    /// It is not for us.
    #[error("{0}")]
    Foreign(String),
    /// It cannot be written or read now.
    #[error("{0}")]
    Trouble(String),
}

impl Fault {
    /// There is no room for more.
    pub(super) fn full() -> Self {
        Self::Trouble("the disk is full: make room on it".to_owned())
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error),
            Some(ErrorCode::DiskFull) => Self::full(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Trouble("another process uses it: give each process a folder of its own".to_owned())
            }
            _ => Self::Trouble(error.to_string()),
        }
    }
}

/// The letters `OutS`, in the file's header.
const APPLICATION: i64 = 0x4f75_7453;
/// The version of the tables.
const VERSION: i64 = 1;
/// Pages in the log before they are moved to the file: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4000;
/// What stays of the log's file after a burst.
const LOG_BYTES: u32 = 16 << 20;
/// What no line that comes takes of the disk.
const RESERVE: u64 = 1 << 20;
/// How long to wait for the process before, which may be about to end.
const PATIENCE: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE parcels(id INTEGER PRIMARY KEY, source TEXT NOT NULL, received INTEGER NOT NULL,
                         lines INTEGER NOT NULL, text BLOB NOT NULL);
    CREATE TABLE sources(name TEXT PRIMARY KEY, lines INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE head(lines INTEGER NOT NULL, bytes INTEGER NOT NULL);
    INSERT INTO head VALUES(0, 0);
";

/// The file of a backend's buffer; `settings` tells those apart that a rule's own settings make of one backend.
pub(crate) fn path(folder: &Path, backend: &str, settings: Option<&str>) -> PathBuf {
    let mut file = name::safe(backend).into_owned();
    if let Some(settings) = settings {
        // A character that no safe name has.
        file.push('~');
        file.push_str(&name::mark(settings));
    }
    folder.join(FOLDER).join(format!("{file}.db"))
}

/// Where the files are, within the configuration's folder.
const FOLDER: &str = ".outrigger/signals";

/// Files in which lines wait that none of `used` is for, with the number of lines.
pub(crate) fn forgotten(folder: &Path, used: &[PathBuf]) -> Vec<(PathBuf, usize)> {
    let entries = fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let others = files.filter(|path| path.extension().is_some_and(|ending| ending == "db") && !used.contains(path));
    others
        .filter_map(|path| {
            let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
            db.pragma_update(None, "locking_mode", "EXCLUSIVE").ok()?;
            let is_ours = read(&db, "PRAGMA application_id").is_ok_and(|id| id == APPLICATION);
            let lines = is_ours.then(|| read(&db, "SELECT coalesce(sum(lines), 0) FROM sources"));
            let lines = usize::try_from(lines?.ok()?).unwrap_or(0);
            (lines > 0).then_some((path, lines))
        })
        .collect()
}

/// Opens the file, creating what is missing.
pub(super) fn open(path: &Path) -> Result<Connection, Fault> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| Fault::Trouble(format!("its folder cannot be made: {error}")))?;
    }
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    db.busy_timeout(PATIENCE)?;
    // For as long as it is open: two processes would deliver every line twice.
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let application = read(&db, "PRAGMA application_id")?;
    let version = read(&db, "PRAGMA user_version")?;
    let is_empty = application == 0 && read(&db, "SELECT count(*) FROM sqlite_schema")? == 0;
    if !is_empty && application != APPLICATION {
        let why = "it is a database of another program: move it away, or name the backend otherwise";
        return Err(Fault::Foreign(why.to_owned()));
    }
    if version > VERSION {
        let why = format!(
            "it was written by a newer Outrigger (file version {version}, this one reads {VERSION}): upgrade this one"
        );
        return Err(Fault::Foreign(why));
    }
    if is_empty {
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        let why = "its file system keeps no write-ahead log: put the configuration's folder on a local disk";
        return Err(Fault::Foreign(why.to_owned()));
    }
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    db.pragma_update(None, "cache_size", -2048)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(32);
    if is_empty {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
        ))?;
    } else {
        // Takes the lock now, so that whoever has it is found out about now.
        db.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    }
    Ok(db)
}

/// Whether so many bytes can be laid down and what waits can still leave: to take lines off the file, SQLite has to write too.
/// Where the disk cannot tell, there is room.
pub(super) fn has_room(path: &Path, bytes: usize) -> bool {
    let folder = path.parent().unwrap_or(path);
    let Ok(disk) = statvfs(folder) else { return true };
    #[allow(clippy::useless_conversion, reason = "they are narrower on other systems")]
    let free = u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size()));
    // What is in the log comes to the file in the end; a line comes to both.
    free >= log_bytes(path) + RESERVE + 2 * bytes as u64
}

/// The size of the log beside a file.
pub(super) fn log_bytes(path: &Path) -> u64 {
    let mut log = OsString::from(path);
    log.push("-wal");
    fs::metadata(log).map_or(0, |log| log.len())
}

/// Renames a corrupt file, and the log beside it, to a name that says since when.
pub(super) fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let stamp = now.unwrap_or_default().as_millis();
    let with = |ending: &str| -> PathBuf {
        let mut name = OsString::from(path);
        name.push(ending);
        name.into()
    };
    let aside = with(&format!(".corrupt-{stamp}"));
    fs::rename(path, &aside)?;
    let (log, log_aside) = (with("-wal"), with(&format!(".corrupt-{stamp}-wal")));
    if log.exists() {
        // A log without its file would be taken for that of the next one.
        fs::rename(log, log_aside)?;
    }
    Ok(aside)
}

fn read(db: &Connection, sql: &str) -> Result<i64, rusqlite::Error> {
    db.query_row(sql, [], |row| row.get(0))
}
