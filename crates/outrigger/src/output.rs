//! Standard output: data and nothing else.
//!
//! The rule: what was written counts only after a [`flush`](Out::flush) that succeeded. A reader that has gone away
//! ends the program without a word.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// Standard output, buffered.
#[derive(Debug)]
pub struct Out(BufWriter<io::Stdout>);

/// What was to be printed was not.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader has gone away, as `head` does.
    #[error("nobody reads standard output any more")]
    Closed,
    /// The system refused it.
    #[error("cannot write to standard output")]
    Failed(#[source] io::Error),
}

impl Out {
    /// Standard output with nothing written yet.
    pub fn new() -> Self {
        Self(BufWriter::with_capacity(BUFFER, io::stdout()))
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.0.write_all(bytes).map_err(failed)
    }

    /// Writes a text and a line break.
    pub fn line(&mut self, text: impl AsRef<[u8]>) -> Result<(), OutputError> {
        self.bytes(text.as_ref())?;
        self.bytes(b"\n")
    }

    /// Hands over all that was written.
    pub fn flush(&mut self) -> Result<(), OutputError> {
        self.0.flush().map_err(failed)
    }
}

/// Prints a whole text.
pub fn print(text: impl AsRef<[u8]>) -> Result<(), OutputError> {
    let mut out = Out::new();
    out.bytes(text.as_ref())?;
    out.flush()
}

/// Prints one JSON value on a line of its own.
pub fn print_json(value: &impl Serialize) -> Result<(), OutputError> {
    let mut text = serde_json::to_vec(value).map_err(|error| OutputError::Failed(error.into()))?;
    text.push(b'\n');
    print(text)
}

/// A JSON array whose elements are written one by one, each on a line of its own.
///
/// It is closed by [`end`](Array::end); what broke off before that is no JSON, and a script sees that it did.
#[derive(Debug, Default)]
pub struct Array {
    elements: usize,
}

impl Array {
    /// Writes an element from its JSON text, which is not changed.
    pub fn element(&mut self, out: &mut Out, json: &[u8]) -> Result<(), OutputError> {
        out.bytes(if self.elements == 0 { b"[" } else { b",\n" })?;
        self.elements += 1;
        out.bytes(json)
    }

    /// Writes an element of ours.
    pub fn value(&mut self, out: &mut Out, value: &impl Serialize) -> Result<(), OutputError> {
        let json = serde_json::to_vec(value).map_err(|error| OutputError::Failed(error.into()))?;
        self.element(out, &json)
    }

    /// Closes the array and flushes.
    pub fn end(self, out: &mut Out) -> Result<(), OutputError> {
        out.line(if self.elements == 0 { "[]" } else { "]" })?;
        out.flush()
    }
}

const BUFFER: usize = 64 * 1024;

fn failed(error: io::Error) -> OutputError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        OutputError::Closed
    } else {
        OutputError::Failed(error)
    }
}
