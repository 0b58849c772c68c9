//! Where a configuration is read from: which file, and which variables.

use std::collections::BTreeMap;
use std::path::{self, PathBuf};
use std::{fs, io};

use super::findings::Note;
use super::tree::Place;
use super::{Overlay, Path};

/// What [`load`](super::load) reads: a file, the environment, and the names that the caller gives meaning to.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Sources {
    /// The file named on the command line. Without one: `OUTRIGGER_CONFIG`, `CONFIG_FILE`, else `outrigger.yaml` in
    /// `folder`, which alone may be absent.
    pub file: Option<PathBuf>,
    /// The environment; [`process_environment`](super::process_environment) for the real one.
    pub environment: BTreeMap<String, String>,
    /// Short forms: variables, or texts that the caller worked out, and the values that they set.
    pub overlays: Vec<Overlay>,
    /// Variables beginning with `OUTRIGGER_` that mean something elsewhere (`OUTRIGGER_CONFIG` is known anyway).
    pub known: Vec<String>,
    /// Where relative file names start and the implicit file is looked for; empty = the working folder.
    pub folder: PathBuf,
    text: Option<(String, String)>,
    pub(super) troubles: Vec<Note>,
}

impl Sources {
    /// The implicit file, under this environment.
    pub fn new(environment: BTreeMap<String, String>) -> Self {
        Self {
            environment,
            ..Self::default()
        }
    }

    /// Reads this file and no other.
    pub fn with_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Reads no file but this text, called `name` in findings.
    pub fn with_text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.text = Some((name.into(), text.into()));
        self
    }

    /// Starts relative file names, and the search for the implicit file, at `folder`.
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Adds a short form.
    pub fn with_overlay(mut self, overlay: Overlay) -> Self {
        self.overlays.push(overlay);
        self
    }

    /// Adds a variable that is no setting.
    pub fn with_known(mut self, variable: impl Into<String>) -> Self {
        self.known.push(variable.into());
        self
    }

    /// Adds an error that the caller found in a variable: what is wrong, and what to do about it (may be empty).
    pub fn with_trouble(mut self, variable: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        let note = Note::error(&Place::Variable(variable.into()), &Path::root(), message);
        self.troubles.push(note.help(help));
        self
    }

    /// Adds a warning about a variable: what is odd, and what to do about it (may be empty).
    pub fn with_warning(mut self, variable: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        let note = Note::warning(&Place::Variable(variable.into()), &Path::root(), message);
        self.troubles.push(note.help(help));
        self
    }

    /// The text of the configuration; a note when it cannot be read.
    pub(super) fn read(&self) -> Result<Document, (Option<PathBuf>, Box<Note>)> {
        if let Some((name, text)) = &self.text {
            return Ok(Document {
                name: Some(name.clone()),
                file: None,
                folder: self.absolute(""),
                text: text.clone(),
            });
        }
        let (file, origin) = self.choose();
        let path = self.absolute(&file);
        let folder = path.parent().map_or_else(|| self.absolute(""), path::Path::to_path_buf);
        let read = fs::read(&path).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
        });
        match read {
            Ok(text) => Ok(Document {
                name: Some(file.display().to_string()),
                file: Some(path),
                folder,
                text,
            }),
            Err(error) if origin == Origin::Implicit && error.kind() == io::ErrorKind::NotFound => Ok(Document {
                name: None,
                file: None,
                folder: self.absolute(""),
                text: String::new(),
            }),
            Err(error) => {
                let place = match origin {
                    Origin::Variable(name) => Place::Variable(name.into()),
                    Origin::Argument | Origin::Implicit => Place::Nowhere,
                };
                let message = format!("cannot read {}: {error}", file.display());
                let note = Note::error(&place, &Path::root(), message).help("name a file that is there and readable");
                Err((Some(path), Box::new(note)))
            }
        }
    }

    fn choose(&self) -> (PathBuf, Origin) {
        if let Some(file) = &self.file {
            return (file.clone(), Origin::Argument);
        }
        for name in FILE_VARIABLES {
            if let Some(file) = self.environment.get(name).filter(|file| !file.is_empty()) {
                return (file.into(), Origin::Variable(name));
            }
        }
        (IMPLICIT_FILE.into(), Origin::Implicit)
    }

    /// A file name as an absolute path.
    pub(super) fn absolute(&self, file: impl AsRef<path::Path>) -> PathBuf {
        let joined = self.folder.join(file);
        let named = if joined.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            joined
        };
        path::absolute(&named).unwrap_or(named)
    }
}

/// A configuration's text and where it stood.
pub(super) struct Document {
    /// As the user named it; `None` where there is no file.
    pub(super) name: Option<String>,
    pub(super) file: Option<PathBuf>,
    pub(super) folder: PathBuf,
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Argument,
    Variable(&'static str),
    Implicit,
}

/// The variables that may name the file, the stronger first.
pub(super) const FILE_VARIABLES: [&str; 2] = ["OUTRIGGER_CONFIG", "CONFIG_FILE"];
const IMPLICIT_FILE: &str = "outrigger.yaml";
