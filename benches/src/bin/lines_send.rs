//! Sends signal lines: `lines-send PORT COUNT CONNECTIONS`.
//!
//! As many lines as it is told over so many connections to the loopback, one source a connection, as fast as they are taken; a
//! thread serves several connections in turn. Then it ends its side of each and waits until the other side has ended too.

use std::{
    env,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use anyhow::bail;
use benches::lines;

/// Lines of one write.
const CHUNK: u64 = 500;

fn main() -> anyhow::Result<()> {
    let words: Vec<u64> = env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [port, count, connections] = words[..] else {
        bail!("usage: lines-send PORT COUNT CONNECTIONS")
    };
    let port = u16::try_from(port)?;
    let mut streams = Vec::new();
    for number in 0..connections {
        let chunk: String = (0..CHUNK)
            .map(|line| lines::event(&format!("bench-{number}"), line))
            .collect();
        streams.push((TcpStream::connect(("127.0.0.1", port))?, chunk));
    }
    let mut left = count;
    'all: loop {
        for (stream, chunk) in &mut streams {
            let lines = left.min(CHUNK);
            stream.write_all(&chunk.as_bytes()[..usize::try_from(lines)? * lines::LENGTH])?;
            left -= lines;
            if left == 0 {
                break 'all;
            }
        }
    }
    for (mut stream, _) in streams {
        stream.shutdown(Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}
