//! Syslog in datagrams.
//!
//! One task reads and another one takes, so that a burst is out of the system's hands while lines are sorted or held back.
//! Between them is a queue with a bound; behind it the system's own buffer fills, and then it drops.

use std::{
    io::{self, Read},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use chassis::lifecycle::Drain;
use socket2::SockRef;
use tokio::{net::UdpSocket, sync::mpsc};
use tracing::warn;

use super::{listener::Terms, tcp::take_message};
use crate::{hub::Hub, ingest::inlet::Inlet};

/// Datagrams that came together.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

/// Larger than any datagram.
const LARGEST: usize = 1 << 16;
/// A block is full with so many bytes, or so many datagrams.
const BLOCK_BYTES: usize = 64 * 1024;
const BLOCK_DATAGRAMS: usize = 1024;
/// Blocks between the tasks.
const BLOCKS: usize = 32;
/// Before the next try where the system is short of something.
const PAUSE: Duration = Duration::from_millis(100);
/// For what the system still has when the drain begins.
const LAST_READS: Duration = Duration::from_secs(2);

/// Serves until the drain begins, and what had come by then is taken.
pub(super) fn start(socket: UdpSocket, terms: &Arc<ArcSwap<Terms>>, hub: &Arc<Hub>, drain: &Drain) {
    let (sender, mut receiver) = mpsc::channel(BLOCKS);
    let ending = drain.clone();
    drain.spawn("syslog datagrams", async move { read(&socket, &sender, &ending).await });
    let (terms, drain_of_lines) = (Arc::clone(terms), drain.clone());
    let mut inlet = Inlet::new(hub, "udp".to_owned());
    drain.spawn("syslog messages", async move {
        while let Some(block) = receiver.recv().await {
            take(&block, &mut inlet, &terms.load());
            tokio::select! {
                biased;
                _ = inlet.flush() => {}
                () = drain_of_lines.cut() => return,
            }
        }
    });
}

async fn read(socket: &UdpSocket, sender: &mpsc::Sender<Block>, drain: &Drain) {
    let mut scratch = vec![0; LARGEST];
    loop {
        let ready = tokio::select! {
            biased;
            () = drain.begun() => break,
            ready = socket.readable() => ready,
        };
        let next = |scratch: &mut [u8]| socket.try_recv(scratch);
        match ready.and_then(|()| fill(next, &mut scratch)) {
            Ok(block) if block.ends.is_empty() => {}
            Ok(block) => {
                tokio::select! {
                    biased;
                    sent = sender.send(block) => if sent.is_err() { return },
                    () = drain.cut() => return,
                }
            }
            Err(error) => {
                warn!(%error, "cannot read datagrams, trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    // The runtime may not have heard of all that has come: the system is asked itself.
    let next = |scratch: &mut [u8]| (&*SockRef::from(socket)).read(scratch);
    let until = Instant::now() + LAST_READS;
    while Instant::now() < until {
        let Ok(block) = fill(next, &mut scratch) else { return };
        if block.ends.is_empty() {
            return;
        }
        tokio::select! {
            biased;
            sent = sender.send(block) => if sent.is_err() { return },
            () = drain.cut() => return,
        }
    }
}

/// What has come, up to a block.
fn fill(next: impl Fn(&mut [u8]) -> io::Result<usize>, scratch: &mut [u8]) -> io::Result<Block> {
    let mut block = Block::default();
    while block.bytes.len() < BLOCK_BYTES && block.ends.len() < BLOCK_DATAGRAMS {
        match next(scratch) {
            Ok(bytes) => {
                block.bytes.extend_from_slice(&scratch[..bytes]);
                block.ends.push(block.bytes.len());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if block.ends.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(block)
}

fn take(block: &Block, inlet: &mut Inlet, terms: &Terms) {
    inlet.begin();
    let clock = terms.clock();
    let mut start = 0;
    for end in &block.ends {
        take_message(&block.bytes[start..*end], inlet, &clock);
        start = *end;
    }
}
