//! The addresses where calls are taken, and how they change while calls are under way.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chassis::{lifecycle::Drain, listen::CertificateFiles};
use tracing::info;

use super::{Door, PlaneError};
use crate::{Calls, config::Address, functions::Registry, ipc, listen::Listener};

/// What listens now.
#[derive(Debug)]
pub(super) struct Listeners {
    open: Vec<Open>,
    /// The configuration in use.
    config: Calls,
}

/// An address where calls are taken.
#[derive(Debug)]
struct Open {
    address: Address,
    /// Of an encrypted address alone.
    tls: Option<CertificateFiles>,
    /// Begins when it is to take no more.
    drain: Drain,
}

/// What is to listen: bound already where it is new, and closed again when this is dropped.
#[derive(Debug)]
pub(super) struct Wanted {
    config: Calls,
    sockets: Vec<(Address, Option<CertificateFiles>, Bound)>,
}

#[derive(Debug)]
enum Bound {
    /// It listens already.
    Kept,
    Http(Listener),
    Ipc(PathBuf, ipc::Listener),
}

/// Where paths begin: the folder of the configuration, and the one for sockets of this user.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    pub(super) config: PathBuf,
    pub(super) runtime: Option<PathBuf>,
}

/// What a listener hands its calls to.
#[derive(Debug, Clone)]
pub(super) struct Receivers {
    pub(super) door: Arc<Door>,
    pub(super) registry: Registry,
    /// The largest object on a Unix socket.
    pub(super) limit: Arc<AtomicUsize>,
}

impl Listeners {
    /// Nothing listens yet.
    pub(super) fn new(config: Calls) -> Self {
        Self {
            open: Vec::new(),
            config,
        }
    }

    /// The configuration in use.
    pub(super) fn config(&self) -> &Calls {
        &self.config
    }

    /// Binds every address of a configuration that does not listen yet.
    ///
    /// # Errors
    /// Nothing new listens then.
    pub(super) async fn bind(&self, config: &Calls, folders: &Folders) -> Result<Wanted, PlaneError> {
        let mut sockets = Vec::new();
        let mut left: Vec<&Open> = self.open.iter().collect();
        for address in &config.listen {
            let tls = config.tls(&folders.config).filter(|_| address.is_encrypted());
            let bound = match left.iter().position(|open| open.address == *address) {
                Some(index) if left[index].tls == tls => {
                    left.swap_remove(index);
                    Bound::Kept
                }
                Some(_) => {
                    let address = address.to_string();
                    return Err(PlaneError::Certificate { address });
                }
                None => bind(address, tls.as_ref(), folders).await?,
            };
            sockets.push((address.clone(), tls, bound));
        }
        Ok(Wanted {
            config: config.clone(),
            sockets,
        })
    }

    /// Serves what is wanted of this configuration, each with a drain below `drain`; what is not wanted takes no more, and answers what it has. Gives the
    /// TCP addresses that are new.
    pub(super) fn open(&mut self, wanted: Wanted, to: &Receivers, drain: &Drain) -> Vec<SocketAddr> {
        self.config = wanted.config;
        let mut before = std::mem::take(&mut self.open);
        let mut addresses = Vec::new();
        for (address, tls, bound) in wanted.sockets {
            let known = before.iter().position(|open| open.address == address);
            let open = match (bound, known) {
                (Bound::Kept, Some(index)) => before.swap_remove(index),
                (bound, _) => {
                    let drain = drain.child();
                    addresses.extend(bound.serve(to, &drain));
                    Open { address, tls, drain }
                }
            };
            self.open.push(open);
        }
        for open in before {
            info!(address = %open.address, "taking no more calls");
            open.drain.begin();
        }
        addresses
    }
}

impl Bound {
    /// Serves until the drain begins.
    fn serve(self, to: &Receivers, drain: &Drain) -> Option<SocketAddr> {
        match self {
            Self::Kept => None,
            Self::Http(listener) => {
                info!(address = %listener.address(), "taking calls");
                let local = listener.local();
                drain.spawn("calls listener", listener.run(Arc::clone(&to.door), drain.clone()));
                local
            }
            Self::Ipc(path, listener) => {
                info!(address = format!("ipc://{}", path.display()), "taking calls");
                let serving = listener.run(to.registry.clone(), Arc::clone(&to.limit), drain.clone());
                drain.spawn("ipc listener", serving);
                None
            }
        }
    }
}

impl Receivers {
    /// The largest object on a Unix socket, from the next connection on.
    pub(super) fn limit(&self, config: &Calls) {
        let limit = usize::try_from(config.body_limit.bytes()).unwrap_or(usize::MAX);
        self.limit.store(limit, Ordering::Relaxed);
    }
}

async fn bind(address: &Address, tls: Option<&CertificateFiles>, folders: &Folders) -> Result<Bound, PlaneError> {
    match address {
        Address::Ipc(path) => {
            let path = Address::ipc_path(path.as_deref(), &folders.config, folders.runtime.as_deref());
            let listener = ipc::Listener::new(&path).map_err(|source| PlaneError::Listen {
                address: address.to_string(),
                source,
            })?;
            Ok(Bound::Ipc(path, listener))
        }
        Address::Http(listen) => {
            let listener = Listener::bind(&listen.within(&folders.config), tls).await;
            Ok(Bound::Http(listener.map_err(|source| PlaneError::Http { source })?))
        }
    }
}

impl Folders {
    pub(super) fn new(config: &Path, runtime: Option<&Path>) -> Self {
        Self {
            config: config.to_owned(),
            runtime: runtime.map(Path::to_owned),
        }
    }
}
