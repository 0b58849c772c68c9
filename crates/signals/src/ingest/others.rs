//! The listeners of other protocols than our own: bound with the others, reloaded with the others.

use std::{io, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use chassis::lifecycle::Drain;
use tracing::warn;

use super::{
    otlp::{self, Otlp},
    syslog::{self, Syslog},
};
use crate::{config::Signals, hub::Hub};

/// The addresses that are listened on, with the ports that were taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OtherAddresses {
    /// Where syslog connects.
    pub syslog_tcp: Option<SocketAddr>,
    /// Where syslog sends datagrams.
    pub syslog_udp: Option<SocketAddr>,
    /// Where OTLP is posted.
    pub otlp: Option<SocketAddr>,
}

/// Those that serve.
#[derive(Debug, Default)]
pub(crate) struct Others {
    pub(crate) addresses: OtherAddresses,
    syslog: Option<Arc<ArcSwap<syslog::Terms>>>,
    otlp: Option<Arc<ArcSwap<otlp::Terms>>>,
}

/// Those that are bound and do not serve yet.
#[derive(Debug)]
pub(crate) struct Bound {
    syslog: Option<(Syslog, syslog::Terms)>,
    otlp: Option<(Otlp, otlp::Terms)>,
}

impl Others {
    /// Binds what is configured.
    ///
    /// # Errors
    /// The address, and why not.
    pub(crate) async fn bind(config: &Signals) -> Result<Bound, (String, io::Error)> {
        let mut bound = Bound {
            syslog: None,
            otlp: None,
        };
        if let Some(config) = &config.syslog {
            let wrong = |why| ("syslog".to_owned(), io::Error::new(io::ErrorKind::InvalidInput, why));
            let terms = syslog::Terms::new(config).map_err(wrong)?;
            bound.syslog = Some((Syslog::bind(config).await?, terms));
        }
        if let Some(config) = &config.otlp {
            bound.otlp = Some((Otlp::bind(config).await?, otlp::Terms::new(config)));
        }
        Ok(bound)
    }

    /// Puts other settings in the place of those in use; addresses stay, and what wants others is told so.
    pub(crate) fn reload(&self, config: &Signals) {
        let mut moved =
            self.syslog.is_some() != config.syslog.is_some() || self.otlp.is_some() != config.otlp.is_some();
        if let (Some(terms), Some(config)) = (&self.syslog, &config.syslog) {
            match syslog::Terms::new(config) {
                Ok(new) => {
                    moved |= !terms.load().has_addresses_of(&new);
                    terms.store(Arc::new(new));
                }
                Err(error) => warn!(error, "the settings of syslog cannot be used, the older ones stay"),
            }
        }
        if let (Some(terms), Some(config)) = (&self.otlp, &config.otlp) {
            let new = otlp::Terms::new(config);
            moved |= !terms.load().has_address_of(&new);
            terms.store(Arc::new(new));
        }
        if moved {
            warn!("the addresses of listeners for syslog or OTLP have changed: that counts from the next start on");
        }
    }
}

impl Bound {
    /// Begins to serve; ends with the drain.
    pub(crate) fn start(self, hub: &Arc<Hub>, drain: &Drain) -> Others {
        let mut others = Others::default();
        if let Some((listener, terms)) = self.syslog {
            let terms = Arc::new(ArcSwap::from_pointee(terms));
            (others.addresses.syslog_tcp, others.addresses.syslog_udp) = listener.addresses();
            listener.start(&terms, hub, drain);
            others.syslog = Some(terms);
        }
        if let Some((listener, terms)) = self.otlp {
            let terms = Arc::new(ArcSwap::from_pointee(terms));
            others.addresses.otlp = listener.address();
            listener.start(&terms, hub, drain);
            others.otlp = Some(terms);
        }
        others
    }
}
