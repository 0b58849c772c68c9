//! How a queue file is opened: the URL's words and what a test may change.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::QueueError;

/// A queue file and how it is kept.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file; missing folders are made.
    pub path: PathBuf,
    /// What a confirmed put survives. The owner of the file decides for all who share it.
    pub durability: Durability,
    /// How long a silent process keeps what it holds, while it lives. The owner decides.
    pub lease: Duration,
    /// The largest size of the file, in bytes: puts beyond it are refused as on a full disk. `None` is the disk's.
    pub max_bytes: Option<u64>,
}

/// What a confirmed put survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A power cut: every put and settle is synced to the disk before it is confirmed.
    #[default]
    Power,
    /// The end of every process, but not a power cut or a crash of the system: those may take back the last moments.
    Process,
}

impl SqliteOptions {
    /// The defaults for a file: [`Durability::Power`], a lease of 10 s, as large as the disk.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::default(),
            lease: Duration::from_secs(10),
            max_bytes: None,
        }
    }

    /// Reads what follows `sqlite:` in a URL: `PATH[?durability=power|process][&max_bytes=N]`.
    ///
    /// # Errors
    /// [`QueueError::BadUrl`] names the parameter that is not understood.
    pub fn parse(rest: &str, folder: &Path) -> Result<Self, QueueError> {
        let bad = |why: String| QueueError::BadUrl {
            url: format!("sqlite:{rest}"),
            why,
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err(bad(
                "a file has to follow, as in `sqlite:.outrigger/queue.db`".to_owned()
            ));
        }
        let mut options = Self::new(folder.join(path));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("durability", "power") => options.durability = Durability::Power,
                ("durability", "process") => options.durability = Durability::Process,
                ("durability", other) => {
                    return Err(bad(format!("durability is `power` or `process`, not `{other}`")));
                }
                ("max_bytes", number) => {
                    let bytes = number.parse();
                    options.max_bytes =
                        Some(bytes.map_err(|_| bad(format!("max_bytes is a number of bytes, not `{number}`")))?);
                }
                (name, _) => {
                    return Err(bad(format!(
                        "`{name}` is no parameter: there are `durability` and `max_bytes`"
                    )));
                }
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_from_the_url() {
        let options = SqliteOptions::parse("a/q.db?durability=process&max_bytes=4096", Path::new("/x")).unwrap();
        assert_eq!(options.path, Path::new("/x/a/q.db"));
        assert_eq!(options.durability, Durability::Process);
        assert_eq!(options.max_bytes, Some(4096));
    }

    #[test]
    fn unknown_parameters_are_named() {
        for (url, word) in [
            ("q.db?speed=1", "speed"),
            ("q.db?durability=none", "none"),
            ("q.db?max_bytes=x", "max_bytes"),
            ("?durability=power", "queue.db"),
        ] {
            let error = SqliteOptions::parse(url, Path::new("/x")).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
