//! A file for what a backend refused for good.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
};

use tokio::task::spawn_blocking;

/// Appends lines to a file, one writer at a time.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Appends whole lines.
    pub(crate) async fn write(&self, lines: Vec<u8>) -> io::Result<()> {
        let path = self.path.clone();
        let write = move || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = File::options().create(true).append(true).open(&path)?;
            file.write_all(&lines)
        };
        spawn_blocking(write).await.map_err(io::Error::other)?
    }
}
