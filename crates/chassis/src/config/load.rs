//! The loader: from sources to a checked value.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::findings::{Note, Remark};
use super::report::Report;
use super::schema::Schema;
use super::sources::{Document, Sources};
use super::tree::{Data, Node, Place};
use super::words::Subject;
use super::{ConfigError, Findings, Formats, Path, Severity, environment, schema, sound, walk, yaml};

/// A configuration, or a section of one.
///
/// The schema is the first check: give fields their ranges, patterns and formats there, and `deny_unknown_fields`.
pub trait Config: DeserializeOwned + JsonSchema {
    /// Adds the rules that a schema cannot tell: what one value means for another. It runs when nothing else is wrong.
    ///
    /// A root hands sections on with [`Findings::within`].
    fn check(&self, findings: &mut Findings) {
        let _ = findings;
    }

    /// Adds the string formats that its schema names.
    fn formats(formats: &mut Formats) {
        let _ = formats;
    }
}

/// A configuration that can be used.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// What is odd in it, to be shown and not to be stopped by.
    pub warnings: Report,
    /// The folder of the file, else the working folder: where relative paths start. Absolute.
    pub folder: PathBuf,
    /// The file that was read, absolute; `None` where there was none.
    pub file: Option<PathBuf>,
    tree: Node,
    text: String,
    name: Option<String>,
    secrets: Vec<Place>,
}

impl<T> Loaded<T> {
    /// Gives lines and variables to findings of a later check, one that looks at the world (sockets, programs, queues)
    /// and not at the configuration alone.
    pub fn report(&self, findings: Findings) -> Report {
        let notes = findings
            .into_remarks()
            .into_iter()
            .map(|remark| place(remark, &self.tree))
            .collect();
        Report::new(self.name.as_deref(), &self.text, &self.secrets, notes)
    }
}

/// Reads, overlays, checks and deserialises a configuration.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong, not only the first of it; nothing is written or started.
pub fn load<T: Config>(sources: &Sources) -> Result<Loaded<T>, ConfigError> {
    let Document {
        name,
        file,
        folder,
        text,
    } = sources.read().map_err(|(file, note)| ConfigError {
        report: Report::new(None, "", &[], vec![*note]),
        file,
    })?;
    let fail = |secrets: &[Place], notes: Vec<Note>, file: Option<PathBuf>| ConfigError {
        report: Report::new(name.as_deref(), &text, secrets, notes),
        file,
    };
    let lookup = |variable: &str| sources.environment.get(variable).cloned();
    let mut notes = sources.troubles.clone();
    let Some(mut tree) = yaml::read(&text, &lookup, &mut notes) else {
        return Err(fail(&[], notes, file));
    };
    if let Data::Empty | Data::Null = tree.data {
        tree = Node::new(Data::Mapping(Vec::new()), Place::Nowhere);
    }

    let document = schema::<T>();
    let root = Schema::root(&document);
    let mut overlaid = Vec::new();
    let set = environment::overlay(&mut tree, root, sources, &mut overlaid);
    // A variable that a value lacked does not matter where the environment has another value.
    notes.retain(|note| !set.iter().any(|path| note.path.steps().starts_with(path.steps())));
    notes.extend(overlaid);

    let mut formats = Formats::default();
    T::formats(&mut formats);
    let broken: Vec<Path> = notes
        .iter()
        .map(|note| note.path.clone())
        .filter(|path| !path.is_root())
        .collect();
    let walked = walk::walk(&mut tree, root, &formats);
    let secrets = walked.secrets;
    // One finding a value: what could not be read at all is not also said to be of a wrong type.
    notes.extend(walked.notes.into_iter().filter(|note| !broken.contains(&note.path)));
    if has_errors(&notes) {
        let wrong = notes.iter().map(|note| note.path.clone()).collect();
        let more = sound::remarks::<T>(tree.to_json(), wrong);
        notes.extend(more.into_iter().map(|remark| place(remark, &tree)));
        return Err(fail(&secrets, notes, file));
    }

    let value: T = match serde_path_to_error::deserialize(tree.to_json()) {
        Ok(value) => value,
        Err(error) => {
            notes.push(refused(&error, &tree));
            return Err(fail(&secrets, notes, file));
        }
    };
    let mut findings = Findings::default();
    value.check(&mut findings);
    notes.extend(findings.into_remarks().into_iter().map(|remark| place(remark, &tree)));
    if has_errors(&notes) {
        return Err(fail(&secrets, notes, file));
    }
    let warnings = Report::new(name.as_deref(), &text, &secrets, notes);
    Ok(Loaded {
        value,
        warnings,
        folder,
        file,
        tree,
        text,
        name,
        secrets,
    })
}

/// A remark by path as a note with its place.
fn place(remark: Remark, tree: &Node) -> Note {
    let Remark {
        severity,
        path,
        message,
        help,
    } = remark;
    let place = tree.locate(&path);
    Note {
        severity,
        ..Note::error(&place, &path, message).help(help)
    }
}

/// What serde refused although the schema allowed it.
fn refused(error: &serde_path_to_error::Error<serde_json::Error>, tree: &Node) -> Note {
    let path = Path::of(error.path());
    let message = format!("{}: {}", Subject::Value(&path), error.inner());
    Note::error(&tree.locate(&path), &path, message)
}

fn has_errors(notes: &[Note]) -> bool {
    notes.iter().any(|note| note.severity == Severity::Error)
}
