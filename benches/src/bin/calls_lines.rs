//! The floors of a call on a Unix socket: what a plain program does with the same lines.
//!
//! `calls-lines SOCKET` gives every line back; `calls-lines SOCKET FURTHER` passes it on to such a program at `FURTHER` and
//! the answer back, which is as far as a line has to go where somebody stands between a caller and a handler. It prints
//! `listening`, and serves one connection after the other. One thread, and not a look at what is in a line.

use std::{
    env,
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
};

use anyhow::{Context, bail};

/// Bytes of the longest line.
const LONGEST: usize = 64 << 10;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let (socket, further) = match &words[..] {
        [socket] => (socket, None),
        [socket, further] => (socket, Some(further)),
        _ => bail!("usage: calls-lines SOCKET [FURTHER]"),
    };
    let listener = UnixListener::bind(socket).with_context(|| format!("cannot bind {socket}"))?;
    writeln!(io::stdout(), "listening")?;
    loop {
        let (mut caller, _) = listener.accept()?;
        let mut further = further.map(UnixStream::connect).transpose()?;
        let mut buffer = vec![0; LONGEST];
        while let Some(length) = line(&mut caller, &mut buffer)? {
            let mut answer = length;
            if let Some(further) = &mut further {
                further.write_all(&buffer[..length])?;
                answer = line(further, &mut buffer)?.context("the program behind has ended")?;
            }
            caller.write_all(&buffer[..answer])?;
        }
    }
}

/// Reads a line; its length, or nothing at the end.
fn line(stream: &mut UnixStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(None),
            count => filled += count,
        }
        if buffer[filled - 1] == b'\n' {
            return Ok(Some(filled));
        }
    }
}
