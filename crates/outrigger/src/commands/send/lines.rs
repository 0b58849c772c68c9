//! Input a line at a time, by number, with memory for one line only.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use bytes::Bytes;

use crate::exit::{Code, Failure};

/// A line that is not blank.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number in the input, from 1; blank lines count.
    pub(super) number: usize,
    /// Its bytes, without the line break.
    pub(super) bytes: Bytes,
    /// How many bytes of the input were read for it, blank lines before it too.
    pub(super) read: u64,
}

/// An input of lines.
pub(super) struct Lines {
    input: BufReader<Box<dyn Read>>,
    /// What it is called in messages.
    pub(super) name: String,
    /// How many bytes it has, where it is a file that can be read twice.
    pub(super) size: Option<u64>,
    number: usize,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::new(io::stdin().lock(), "standard input", None));
        }
        let name = path.display().to_string();
        let failed = |source: io::Error| {
            let code = if source.kind() == io::ErrorKind::NotFound {
                Code::NoInput
            } else {
                Code::Io
            };
            Failure::new(code, format!("cannot read {name}")).because(source)
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self::new(file, &name, size))
    }

    fn new(input: impl Read + 'static, name: &str, size: Option<u64>) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER, Box::new(input)),
            name: name.to_owned(),
            size,
            number: 0,
        }
    }

    /// Whether the next line may be long in coming: no whole one is here, and this is no file.
    pub(super) fn may_wait(&self) -> bool {
        self.size.is_none() && !self.input.buffer().contains(&b'\n')
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Failure> {
        let mut read = 0;
        loop {
            let mut bytes = Vec::new();
            let length = self.input.read_until(b'\n', &mut bytes).map_err(|source| {
                Failure::new(
                    Code::Io,
                    format!("cannot read line {} of {}", self.number + 1, self.name),
                )
                .because(source)
            })?;
            if length == 0 {
                return Ok(None);
            }
            self.number += 1;
            read += length as u64;
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            if bytes.iter().any(|byte| !byte.is_ascii_whitespace()) {
                let number = self.number;
                return Ok(Some(Line {
                    number,
                    bytes: bytes.into(),
                    read,
                }));
            }
        }
    }
}

const BUFFER: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_are_passed_over_and_counted() {
        let mut lines = Lines::new(&b"1\n\n \r\n2\r\n\n3"[..], "x", None);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push((line.number, line.bytes, line.read));
        }
        let bytes = |text: &'static [u8]| Bytes::from_static(text);
        assert_eq!(found, [(1, bytes(b"1"), 2), (4, bytes(b"2\r"), 7), (6, bytes(b"3"), 2)]);
    }
}
