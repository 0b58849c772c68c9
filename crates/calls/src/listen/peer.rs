//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
    /// Whether it has shown a certificate that our `client_ca` stands for.
    pub is_certified: bool,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Another address, or our own.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix,
}

impl Peer {
    /// Its address; none on a Unix socket. An IPv4 address within an IPv6 one is given as itself.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.origin {
            Origin::Tcp(address) => Some(address.ip().to_canonical()),
            Origin::Unix => None,
        }
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.is_encrypted { "https" } else { "http" }
    }
}
