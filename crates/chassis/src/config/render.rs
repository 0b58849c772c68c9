//! Findings for people: the source line, a caret under the place, and the cure.
//!
//! Columns are counted in characters, tabs stand as they are written, and nothing but ASCII is drawn around the line, so
//! that the picture survives every terminal and every log.

use std::fmt::{self, Write};

use super::{Finding, Severity};

/// Whether rendered text carries ANSI colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// Plain text.
    #[default]
    Off,
    /// ANSI escape sequences.
    On,
}

/// Writes one finding about `text`; `length` is how many characters are underlined.
pub(super) fn write(out: &mut impl Write, finding: &Finding, text: &str, length: usize, colour: Colour) -> fmt::Result {
    let paint = |style: &'static str| if colour == Colour::On { style } else { "" };
    let (bold, frame, end) = (paint("\x1b[1m"), paint("\x1b[1;34m"), paint("\x1b[0m"));
    let (tone, name) = match finding.severity {
        Severity::Error => (paint("\x1b[1;31m"), "error"),
        Severity::Warning => (paint("\x1b[1;33m"), "warning"),
    };
    writeln!(out, "{tone}{name}{end}{bold}: {}{end}", finding.message)?;

    let mut gutter = 2;
    if let (Some(file), Some(line), Some(column)) = (&finding.file, finding.line, finding.column) {
        let number = line.to_string();
        gutter = number.len() + 1;
        let source = text
            .split('\n')
            .nth(line - 1)
            .unwrap_or_default()
            .trim_end_matches('\r');
        let indent: String = source
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let rest = source.chars().count().saturating_sub(column - 1);
        let carets = "^".repeat(length.min(rest).max(1));
        writeln!(out, "{:gutter$}{frame}-->{end} {file}:{line}:{column}", "")?;
        writeln!(out, "{:gutter$}{frame} |{end}", "")?;
        writeln!(out, "{frame} {number} |{end} {source}")?;
        writeln!(out, "{:gutter$}{frame} |{end} {indent}{tone}{carets}{end}", "")?;
    } else if let Some(variable) = &finding.variable {
        writeln!(out, "{:gutter$}{frame}-->{end} {variable} (environment)", "")?;
    } else if let Some(file) = &finding.file {
        writeln!(out, "{:gutter$}{frame}-->{end} {file}", "")?;
    }
    if let Some(help) = &finding.help {
        writeln!(out, "{:gutter$}{frame} = {end}{help}", "")?;
    }
    writeln!(out)
}
