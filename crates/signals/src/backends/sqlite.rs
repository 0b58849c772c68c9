//! Rows of a table in a file.
//!
//! The one rule: a batch is one transaction. A row that the table refuses is left out of it, and the others go.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use rusqlite::{Connection, ffi::ErrorCode, params, types::Value};
use tokio::task::spawn_blocking;
use wire::signal::{Line, Record};

use super::{Capacity, Failure, Refusal, Sink};
use crate::{batch::Batch, config};

/// Writes lines into a table.
#[derive(Debug)]
pub(super) struct Rows {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Debug)]
struct Shelf {
    path: PathBuf,
    table: String,
    /// `None` where the file is not open, or was in trouble.
    db: Option<Connection>,
}

/// Lines that are written together, in bytes.
const BATCH: usize = 4 << 20;
/// How long to wait for others who write.
const PATIENCE: Duration = Duration::from_secs(5);

impl Rows {
    pub(super) fn new(config: &config::Sqlite, folder: &Path) -> Self {
        let shelf = Shelf {
            path: folder.join(&config.path),
            table: quoted(&config.table),
            db: None,
        };
        Self {
            shelf: Arc::new(Mutex::new(shelf)),
        }
    }
}

/// A table's name as SQL has it, with or without its schema.
pub(super) fn quoted(table: &str) -> String {
    let names: Vec<String> = table.split('.').map(|name| format!("\"{name}\"")).collect();
    names.join(".")
}

#[async_trait]
impl Sink for Rows {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: usize::MAX,
            bytes: BATCH,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let (rows, batch) = (Arc::clone(&self.shelf), batch.clone());
        let write = move || rows.lock().unwrap_or_else(PoisonError::into_inner).write(&batch);
        match spawn_blocking(write).await {
            Ok(written) => written.map_err(|why| Failure::Away { why, after: None }),
            Err(error) => Err(Failure::Away {
                why: error.to_string(),
                after: None,
            }),
        }
    }
}

impl Shelf {
    fn write(&mut self, batch: &Batch) -> Result<Vec<Refusal>, String> {
        let written = self.try_write(batch);
        written.map_err(|error| {
            // Whatever is wrong with it, it is opened anew.
            self.db = None;
            format!("cannot write {}: {error}", self.path.display())
        })
    }

    fn try_write(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Box<dyn std::error::Error + Send + Sync>> {
        if self.db.is_none() {
            self.db = Some(self.open()?);
        }
        let db = self.db.as_mut().expect("it was just opened");
        let transaction = db.transaction()?;
        let mut refusals: Vec<Refusal> = Vec::new();
        {
            let mut insert = transaction.prepare_cached(&format!(
                "INSERT INTO {}(received, ts, source, type, trace, span, parent, data)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                self.table
            ))?;
            for (index, (parcel, line)) in batch.entries().enumerate() {
                let Ok(Line::Data(record)) = Line::read(line) else {
                    refuse(&mut refusals, index, "it is no signal line".to_owned());
                    continue;
                };
                let Record {
                    source,
                    time,
                    kind,
                    trace,
                    span,
                    parent,
                    ..
                } = &record;
                let row = params![
                    millis(parcel.received),
                    number(*time),
                    source,
                    kind,
                    trace,
                    span,
                    parent,
                    record.raw_data()
                ];
                match insert.execute(row) {
                    Ok(_) => {}
                    Err(error) if is_about_the_row(&error) => refuse(&mut refusals, index, error.to_string()),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        transaction.commit()?;
        Ok(refusals)
    }

    fn open(&self) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let db = Connection::open(&self.path)?;
        db.busy_timeout(PATIENCE)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {}(id INTEGER PRIMARY KEY, received INTEGER NOT NULL, ts NUMERIC NOT NULL,
                 source TEXT NOT NULL, type TEXT NOT NULL, trace TEXT, span TEXT, parent TEXT, data TEXT)",
            self.table
        ))?;
        Ok(db)
    }
}

/// Adds a line to those that are refused, beside others for the same reason.
pub(super) fn refuse(refusals: &mut Vec<Refusal>, line: usize, why: String) {
    match refusals.iter_mut().find(|refusal| refusal.why == why) {
        Some(refusal) => refusal.lines.push(line),
        None => refusals.push(Refusal { lines: vec![line], why }),
    }
}

/// Whether another row may do better: then the transaction goes on.
fn is_about_the_row(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
    )
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A whole number where it is one.
fn number(value: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole, and small enough to be exact"
    )]
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Value::Integer(value as i64)
    } else {
        Value::Real(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::testing::batch;

    fn shelf(folder: &Path, table: &str) -> Shelf {
        let config = config::Sqlite {
            path: "a/b.db".into(),
            table: table.to_owned(),
        };
        Arc::try_unwrap(Rows::new(&config, folder).shelf)
            .unwrap()
            .into_inner()
            .unwrap()
    }

    fn all(folder: &Path, sql: &str) -> Vec<String> {
        let db = Connection::open(folder.join("a/b.db")).unwrap();
        let mut rows = db.prepare(sql).unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn a_line_becomes_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf(folder.path(), "Lines");
        let span = r#"{"src":"a","ts":1.5,"type":"span","tid":"t","sid":"s","pid":"p","data": {"name":"x"} }"#;
        let refused = shelf.write(&batch("a", &[span, r#"{"src":"b","ts":7,"type":"new"}"#]));
        assert_eq!(refused, Ok(Vec::new()));
        let sql = "SELECT json_array(id, ts, source, type, trace, span, parent, data) FROM \"Lines\" ORDER BY id";
        assert_eq!(
            all(folder.path(), sql),
            [
                r#"[1,1.5,"a","span","t","s","p","{\"name\":\"x\"}"]"#,
                r#"[2,7,"b","new",null,null,null,null]"#
            ]
        );
        let received = all(
            folder.path(),
            "SELECT CAST(received > 1600000000000 AS TEXT) FROM Lines",
        );
        assert_eq!(received, ["1", "1"]);
    }

    #[test]
    fn a_row_that_the_table_refuses_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf(folder.path(), "signals");
        let line = |source: &str| format!(r#"{{"src":"{source}","ts":1,"type":"event"}}"#);
        shelf.write(&batch("a", &[&line("a")])).unwrap();
        let db = Connection::open(folder.path().join("a/b.db")).unwrap();
        db.execute_batch("CREATE UNIQUE INDEX once ON signals(source)").unwrap();
        let refused = shelf
            .write(&batch("a", &[&line("b"), &line("a"), &line("c"), &line("b")]))
            .unwrap();
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].lines, [1, 3]);
        assert_eq!(
            all(folder.path(), "SELECT source FROM signals ORDER BY id"),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn a_batch_that_fails_is_tried_on_a_fresh_connection() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf(folder.path(), "signals");
        let line = r#"{"src":"a","ts":1,"type":"event"}"#;
        fs::create_dir_all(folder.path().join("a/b.db")).unwrap();
        let why = shelf.write(&batch("a", &[line])).unwrap_err();
        assert!(why.contains("b.db"), "{why}");
        fs::remove_dir(folder.path().join("a/b.db")).unwrap();
        shelf.write(&batch("a", &[line])).unwrap();
        assert_eq!(all(folder.path(), "SELECT source FROM signals"), ["a"]);
    }
}
