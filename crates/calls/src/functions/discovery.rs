//! Which functions there are to be: what the configuration declares, and the handlers that wait in its folders.
//!
//! ```text
//! declared entries ++ sockets in folders  ->  sources, those that were there before kept  ->  Table
//! ```

use std::{
    fs, io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Source;

/// What the configuration says of functions.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) declared: Vec<Arc<Source>>,
    /// Every socket in them is a handler.
    pub(crate) folders: Vec<PathBuf>,
}

/// What is in a folder.
#[derive(Debug, Default)]
struct Contents {
    sockets: Vec<PathBuf>,
    /// Functions that only a compiler could serve.
    sources: Vec<PathBuf>,
}

impl Catalog {
    /// The same catalog, with the handlers of `before` in their places: their connections and what they have said stay.
    pub(super) fn keeping(mut self, before: &[Arc<Source>]) -> Self {
        for source in &mut self.declared {
            if let Some(known) = before.iter().find(|known| known.is_like(source)) {
                *source = Arc::clone(known);
            }
        }
        self
    }

    /// All sources as they are now; those of `before` are kept.
    pub(super) fn sources(&self, before: &[Arc<Source>]) -> Vec<Arc<Source>> {
        let mut all = self.declared.clone();
        for folder in &self.folders {
            // One that is not there has nothing in it, and may come.
            let contents = Contents::of(folder).unwrap_or_default();
            for found in contents.sockets.iter().filter_map(|socket| Source::found(socket)) {
                let known = before.iter().find(|known| known.is_like(&found));
                all.push(known.map_or_else(|| Arc::new(found), Arc::clone));
            }
        }
        all
    }

    /// The first file in a folder that would need a compiler.
    pub(crate) fn uncompiled(&self) -> Option<PathBuf> {
        let mut contents = self.folders.iter().filter_map(|folder| Contents::of(folder).ok());
        contents.find_map(|contents| contents.sources.into_iter().next())
    }
}

impl Contents {
    fn of(folder: &Path) -> io::Result<Self> {
        let mut contents = Self::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_socket() {
                contents.sockets.push(path);
            } else if path.extension().is_some_and(|extension| extension == "ft") {
                contents.sources.push(path);
            }
        }
        contents.sockets.sort_unstable();
        contents.sources.sort_unstable();
        Ok(contents)
    }
}
