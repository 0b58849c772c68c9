//! Findings with their places, for people (source lines with carets) and for programs (one object each).

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::findings::Note;
use super::tree::Place;
use super::url::{printable, veil};
use super::{Colour, Path, Severity, render};

/// One thing that is wrong or odd, with the place where it is written.
///
/// This is the machine form: it serialises as `{severity, file?, line?, column?, variable?, path, message, help?}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Whether the configuration can be used in spite of it.
    pub severity: Severity,
    /// The file it stands in; absent for a value from the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Its column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The variable of the environment that brought the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The keys that lead to the value; empty for the whole configuration.
    pub path: Path,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// How many characters are at fault.
    #[serde(skip)]
    length: usize,
}

/// Findings about one configuration, with the text that they point into.
///
/// Passwords in URLs and values that a schema calls secret are masked in the text and in messages.
#[derive(Debug, Clone, Default)]
pub struct Report {
    findings: Vec<Finding>,
    text: Arc<str>,
}

/// A configuration that cannot be used: everything that is wrong with it, warnings included.
///
/// A program that meets it ends with exit code 78 (`EX_CONFIG`).
#[derive(Debug, Clone, thiserror::Error)]
#[error("the configuration has {}{}", count(.report.errors(), "error"), first(.report))]
#[non_exhaustive]
pub struct ConfigError {
    /// All that was found.
    pub report: Report,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
}

impl ConfigError {
    /// All that was found, in the order of the file.
    pub fn findings(&self) -> &[Finding] {
        self.report.findings()
    }

    /// The findings for people; see [`Report::render`].
    pub fn render(&self, colour: Colour) -> String {
        self.report.render(colour)
    }
}

impl Report {
    /// Places `notes` in `text`, masking the characters of `secrets` in it.
    pub(super) fn new(name: Option<&str>, text: &str, secrets: &[Place], mut notes: Vec<Note>) -> Self {
        let text = veil(text, secrets);
        let starts = line_starts(&text);
        notes.sort_by_key(|note| match &note.place {
            Place::Nowhere => (0, 0, String::new()),
            Place::File(range) => (1, range.start, String::new()),
            Place::Variable(name) => (2, 0, name.to_string()),
        });
        let findings = notes
            .into_iter()
            .map(|note| {
                let mut finding = Finding {
                    severity: note.severity,
                    file: name.map(str::to_owned),
                    line: None,
                    column: None,
                    variable: None,
                    path: note.path,
                    message: printable(&note.message),
                    help: note.help.map(|help| printable(&help)),
                    length: 0,
                };
                match note.place {
                    Place::File(range) => {
                        let line = starts.partition_point(|start| *start <= range.start).max(1);
                        finding.line = Some(line);
                        finding.column = Some(range.start - starts[line - 1] + 1);
                        finding.length = range.len();
                    }
                    Place::Variable(variable) => {
                        finding.file = None;
                        finding.variable = Some(variable.to_string());
                    }
                    Place::Nowhere => {}
                }
                finding
            })
            .collect();
        Self {
            findings,
            text: text.into(),
        }
    }

    /// All that was found: what is about the whole first, then the file from its top, then the environment.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many of the findings are errors.
    pub fn errors(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count()
    }

    /// Every finding with its source line and a caret under the place, then its cure; for a terminal's stderr.
    pub fn render(&self, colour: Colour) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            render::write(&mut out, finding, &self.text, finding.length, colour).expect("a string takes every write");
        }
        out
    }
}

/// One line: place, severity, message, cure.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(variable) = &self.variable {
            write!(f, "{variable}: ")?;
        } else if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, "{line}:{column}:")?;
            }
            f.write_char(' ')?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    starts.extend(
        text.chars()
            .enumerate()
            .filter(|(_, c)| *c == '\n')
            .map(|(index, _)| index + 1),
    );
    starts
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

fn first(report: &Report) -> String {
    let error = report
        .findings
        .iter()
        .find(|finding| finding.severity == Severity::Error);
    error.map(|finding| format!(": {finding}")).unwrap_or_default()
}
