//! What is wrong with a configuration, before anyone knows on which line it stands.
//!
//! A plane's [`check`](super::Config::check) names a path; the loader finds its line or its variable.

use serde::Serialize;

use super::Path;
use super::tree::Place;

/// How bad a [`Finding`](super::Finding) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used; something in it is probably not meant.
    Warning,
}

/// Collects what a semantic check finds, each addressed by the path of the value that it is about.
///
/// ```
/// use chassis::config::Findings;
///
/// let mut findings = Findings::default();
/// findings.within("actors.clean", |findings| {
///     findings.warning("concurrency", "concurrency 1 is raised to replicas 4", "set it to 4 or more");
/// });
/// assert!(!findings.has_errors());
/// ```
#[derive(Debug, Default)]
pub struct Findings {
    prefix: Path,
    remarks: Vec<Remark>,
}

/// One finding by path.
#[derive(Debug)]
pub(super) struct Remark {
    pub(super) severity: Severity,
    pub(super) path: Path,
    pub(super) message: String,
    pub(super) help: String,
}

impl Findings {
    /// Adds an error about the value at `path`: what is wrong, and what to do about it (may be empty).
    pub fn error(&mut self, path: impl Into<Path>, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Error, path.into(), message.into(), help.into());
    }

    /// Adds a warning about the value at `path`: what is odd, and what to do about it (may be empty).
    pub fn warning(&mut self, path: impl Into<Path>, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Warning, path.into(), message.into(), help.into());
    }

    /// Runs a section's check; the paths that it names are taken from `path` on.
    pub fn within(&mut self, path: impl Into<Path>, check: impl FnOnce(&mut Self)) {
        let outer = self.prefix.clone();
        self.prefix = outer.clone().join(path);
        check(self);
        self.prefix = outer;
    }

    /// Whether anything found so far is an error.
    pub fn has_errors(&self) -> bool {
        self.remarks.iter().any(|remark| remark.severity == Severity::Error)
    }

    pub(super) fn into_remarks(self) -> Vec<Remark> {
        self.remarks
    }

    fn add(&mut self, severity: Severity, path: Path, message: String, help: String) {
        let path = self.prefix.clone().join(path);
        self.remarks.push(Remark {
            severity,
            path,
            message,
            help,
        });
    }
}

/// A finding whose place is known; what the loader's own steps produce.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) severity: Severity,
    pub(super) place: Place,
    pub(super) path: Path,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Note {
    pub(super) fn error(place: &Place, path: &Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: place.clone(),
            path: path.clone(),
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn warning(place: &Place, path: &Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, path, message)
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into()).filter(|help: &String| !help.is_empty());
        self
    }
}
