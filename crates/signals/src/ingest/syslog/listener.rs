//! The addresses on which syslog is taken.

use std::{io, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use chassis::lifecycle::Drain;
use jiff::{Timestamp, tz::TimeZone};
use socket2::SockRef;
use tokio::net::{TcpListener, UdpSocket};
use tracing::info;

use super::{Clock, tcp, udp};
use crate::{
    config::{SyslogListener, zone},
    hub::Hub,
    ingest::doorway::Doorway,
};

/// Bound addresses.
#[derive(Debug)]
pub(crate) struct Syslog {
    tcp: Option<TcpListener>,
    udp: Option<UdpSocket>,
}

/// What messages and connections are treated by; another set takes its place at a reload.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(super) config: SyslogListener,
    zone: TimeZone,
}

/// What waits in the system while we are busy, where it lets us have so much.
const RECEIVE_BUFFER: usize = 4 << 20;

impl Syslog {
    /// Binds what is configured.
    ///
    /// # Errors
    /// The address, and why not.
    pub(crate) async fn bind(config: &SyslogListener) -> Result<Self, (String, io::Error)> {
        let mut bound = Self { tcp: None, udp: None };
        if let Some(address) = &config.tcp {
            let listener = TcpListener::bind(address).await;
            bound.tcp = Some(listener.map_err(|error| (address.clone(), error))?);
        }
        if let Some(address) = &config.udp {
            let socket = UdpSocket::bind(address)
                .await
                .map_err(|error| (address.clone(), error))?;
            // As much of it as the system allows.
            let _ = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
            bound.udp = Some(socket);
        }
        Ok(bound)
    }

    /// Those of TCP and UDP, with the ports that were taken.
    pub(crate) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let tcp = self.tcp.as_ref().and_then(|listener| listener.local_addr().ok());
        let udp = self.udp.as_ref().and_then(|socket| socket.local_addr().ok());
        (tcp, udp)
    }

    /// Begins to serve; ends with the drain.
    pub(crate) fn start(self, terms: &Arc<ArcSwap<Terms>>, hub: &Arc<Hub>, drain: &Drain) {
        if let Some(listener) = self.tcp {
            if let Ok(address) = listener.local_addr() {
                info!(%address, "taking syslog over TCP");
            }
            let doorway = Doorway {
                name: "syslog connection",
                listener,
            };
            let (terms, hub, ending) = (Arc::clone(terms), Arc::clone(hub), drain.clone());
            drain.spawn("syslog listener", async move {
                let most = || terms.load().config.max_connections.get();
                let serve = |stream, peer| {
                    let connection = tcp::Connection::new(stream, peer, &terms, &hub);
                    connection.run(ending.clone())
                };
                doorway.run(Arc::clone(&hub), ending.clone(), most, serve).await;
            });
        }
        if let Some(socket) = self.udp {
            if let Ok(address) = socket.local_addr() {
                info!(%address, "taking syslog over UDP");
            }
            udp::start(socket, terms, hub, drain);
        }
    }
}

impl Terms {
    /// # Errors
    /// What is wrong with the configuration.
    pub(crate) fn new(config: &SyslogListener) -> Result<Self, String> {
        Ok(Self {
            zone: zone(&config.time_zone)?,
            config: config.clone(),
        })
    }

    /// Whether both are for the same addresses.
    pub(crate) fn has_addresses_of(&self, other: &Self) -> bool {
        self.config.tcp == other.config.tcp && self.config.udp == other.config.udp
    }

    /// For what comes now.
    pub(super) fn clock(&self) -> Clock {
        Clock {
            received: Timestamp::now(),
            zone: self.zone.clone(),
        }
    }
}
