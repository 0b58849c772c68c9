//! Passes the handlers' output on, line by line, with the actor's name in front.
//!
//! One thread writes, so that lines never mix and a reader that stands still holds back the handlers, not us.

use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
    thread,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::mpsc,
};

/// A cheap handle on the writing thread.
#[derive(Debug, Clone)]
pub struct Console {
    lines: mpsc::Sender<Line>,
    style: Style,
}

/// Which of our own streams a line goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Whether names are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Names in colours, one per actor.
    Coloured,
    /// Plain text.
    Plain,
}

impl Style {
    /// Coloured on a terminal, unless the user has asked for none (`NO_COLOR`).
    pub fn detect(no_color: bool) -> Self {
        if !no_color && io::stdout().is_terminal() {
            Self::Coloured
        } else {
            Self::Plain
        }
    }
}

#[derive(Debug)]
struct Line {
    stream: Stream,
    prefix: Arc<str>,
    text: Vec<u8>,
}

/// A longer line is passed on in pieces.
const MAX_LINE: usize = 64 * 1024;

impl Console {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives us no thread.
    pub fn new(style: Style) -> io::Result<Self> {
        let (lines, mut inbox) = mpsc::channel::<Line>(256);
        thread::Builder::new().name("console".into()).spawn(move || {
            while let Some(line) = inbox.blocking_recv() {
                // A closed terminal must not end the work; there is nobody left to tell.
                let _ = match line.stream {
                    Stream::Out => write(&mut io::stdout().lock(), &line),
                    Stream::Err => write(&mut io::stderr().lock(), &line),
                };
            }
        })?;
        Ok(Self { lines, style })
    }

    /// Passes a stream on until its end.
    pub(crate) async fn pass(&self, name: &str, stream: Stream, source: Option<impl AsyncRead + Unpin>) {
        let Some(source) = source else { return };
        let prefix: Arc<str> = self.prefix(name).into();
        let mut reader = BufReader::with_capacity(8 * 1024, source);
        loop {
            let mut text = Vec::new();
            match read_line(&mut reader, &mut text).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if self
                .lines
                .send(Line {
                    stream,
                    prefix: prefix.clone(),
                    text,
                })
                .await
                .is_err()
            {
                return;
            }
        }
    }

    fn prefix(&self, name: &str) -> String {
        match self.style {
            Style::Plain => format!("{name} | "),
            Style::Coloured => {
                let colour = 31 + name.bytes().fold(0_u32, |sum, byte| sum + u32::from(byte)) % 6;
                format!("\x1b[{colour}m{name}\x1b[0m | ")
            }
        }
    }
}

/// Reads up to and with the newline, or `MAX_LINE` bytes, or the end.
async fn read_line(reader: &mut (impl AsyncBufReadExt + Unpin), line: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        let available = reader.fill_buf().await?;
        let room = MAX_LINE - line.len();
        let newline = available.iter().take(room).position(|byte| *byte == b'\n');
        let taken = newline.map_or(available.len().min(room), |at| at + 1);
        line.extend_from_slice(&available[..taken]);
        reader.consume(taken);
        if taken == 0 || newline.is_some() || line.len() == MAX_LINE {
            return Ok(line.len());
        }
    }
}

fn write(to: &mut impl Write, line: &Line) -> io::Result<()> {
    let text = line.text.strip_suffix(b"\n").unwrap_or(&line.text);
    to.write_all(line.prefix.as_bytes())?;
    to.write_all(text)?;
    to.write_all(b"\n")?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_read_whole_and_long_ones_in_pieces() {
        let mut input = b"one\n\ntwo".to_vec();
        input.push(b'\n');
        input.extend(vec![b'x'; MAX_LINE + 3]);
        let mut reader = BufReader::with_capacity(7, input.as_slice());
        let mut lengths = Vec::new();
        loop {
            let mut line = Vec::new();
            if read_line(&mut reader, &mut line).await.unwrap() == 0 {
                break;
            }
            lengths.push(line.len());
        }
        assert_eq!(lengths, [4, 1, 4, MAX_LINE, 3]);
    }

    #[test]
    fn a_line_is_written_once_with_its_name_and_one_newline() {
        let mut out = Vec::new();
        let line = |text: &[u8]| Line {
            stream: Stream::Out,
            prefix: "a.1 | ".into(),
            text: text.to_vec(),
        };
        write(&mut out, &line(b"hello\n")).unwrap();
        write(&mut out, &line(b"cut")).unwrap();
        assert_eq!(out, b"a.1 | hello\na.1 | cut\n");
    }
}
