//! The floor of the telemetry plane: what a plain program does with the same stream.
//!
//! `lines-bare FILE` listens on a free port of the loopback, which it prints, and serves one connection: it reads, splits at
//! the ends of lines, reads the fields of each line without copying them, and writes the lines that have a source, a time and
//! a type to the file, as many at once as came with a read. One thread. It ends with its connection.
//!
//! What it leaves out is what the plane is for: routing, back-pressure, backends that fail, everything that can be changed.

use std::{
    borrow::Cow,
    env,
    fs::File,
    io::{self, Read, Write},
    net::TcpListener,
};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A line, borrowed.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    src: Cow<'a, str>,
    ts: f64,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Bytes of a read.
const READ: usize = 128 * 1024;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [path] = &words[..] else {
        bail!("usage: lines-bare FILE")
    };
    let mut file = File::create(path)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
    let (mut stream, _) = listener.accept()?;
    let (mut buffer, mut begun) = (vec![0; READ], 0);
    let mut out = Vec::with_capacity(READ);
    loop {
        let count = stream.read(&mut buffer[begun..])?;
        if count == 0 {
            break;
        }
        let end = begun + count;
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\n', &buffer[at..end]) {
            let line = &buffer[at..at + length];
            let text = std::str::from_utf8(line).context("a line is no text")?;
            let read: Line<'_> = serde_json::from_str(text).context("a line is no JSON")?;
            if !read.src.is_empty() && read.ts > 0.0 && !read.kind.is_empty() && read.data.is_some() {
                out.extend_from_slice(&buffer[at..=at + length]);
            }
            at += length + 1;
        }
        file.write_all(&out)?;
        out.clear();
        buffer.copy_within(at..end, 0);
        begun = end - at;
        if begun == buffer.len() {
            bail!("a line is too long");
        }
    }
    Ok(())
}
