//! When a node is up.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::{layout::Layout, process::LOOK};

/// How long a start may take; a busy machine is slow.
const PATIENCE: Duration = Duration::from_mins(2);
/// What a client of AMQP 0-9-1 says first.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Waits until the node answers a client, which it does last of all when it starts.
pub(crate) fn wait(layout: &Layout, mut has_ended: impl FnMut() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !answers(layout.ports.amqp) {
        if has_ended() {
            bail!("RabbitMQ ended while it started: {}", layout.last_words());
        }
        if begun.elapsed() > PATIENCE {
            bail!("RabbitMQ is not up after {PATIENCE:?}: {}", layout.last_words());
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Whether a broker answers there.
pub(crate) fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(HELLO)?;
        // A method frame on channel 0: it offers to begin.
        let mut head = [0; 3];
        stream.read_exact(&mut head)?;
        if head == [1, 0, 0] {
            Ok(())
        } else {
            Err(std::io::ErrorKind::InvalidData.into())
        }
    };
    ask().is_ok()
}
