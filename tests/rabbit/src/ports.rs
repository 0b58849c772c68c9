//! Ports that stay free while nobody listens on them.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
};

use anyhow::Context;

/// A port of loopback on which nothing listens.
///
/// It is below those that the system hands out for outgoing connections: a broker that is down for a while must find its
/// port free again, and a client that tries to reach it meanwhile must not meet itself.
///
/// # Errors
/// Where there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let range = range();
    let tried = (0..TRIES).map(|_| fastrand::u16(range.clone()));
    let mut free = tried.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next()
        .with_context(|| format!("no free port in {}..{}", range.start, range.end))
}

const TRIES: usize = 1000;
/// The lowest that is used here: many programs have their own port below it.
const LOWEST: u16 = 12_000;
/// Where the system does not say what it hands out.
const USUAL: u16 = 32_768;

fn range() -> Range<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = text.split_ascii_whitespace().next().and_then(|port| port.parse().ok());
    match first {
        Some(first) if first > LOWEST + 1000 => LOWEST..first,
        _ => LOWEST..USUAL,
    }
}
