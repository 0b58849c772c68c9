//! The certificate of a listener, read again when its files have changed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tracing::{info, warn};

use crate::config::Tls;

/// A certificate and its key.
#[derive(Debug)]
pub(crate) struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    state: Mutex<State>,
}

struct State {
    acceptor: TlsAcceptor,
    stamps: Stamps,
    looked: Instant,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// When the files were changed last.
type Stamps = [Option<SystemTime>; 2];

/// Between looks at the files.
const PAUSE: Duration = Duration::from_secs(1);

impl Certificate {
    /// Reads the files; relative paths begin in `folder`.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub(crate) fn read(tls: &Tls, folder: &Path) -> Result<Self, String> {
        let (cert, key) = (folder.join(&tls.cert), folder.join(&tls.key));
        let stamps = stamps(&cert, &key);
        let acceptor = acceptor(&cert, &key)?;
        Ok(Self {
            cert,
            key,
            state: Mutex::new(State {
                acceptor,
                stamps,
                looked: Instant::now(),
            }),
        })
    }

    /// What new connections are encrypted with. Files that have changed and are no good leave it as it was.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= PAUSE {
            state.looked = Instant::now();
            let stamps = stamps(&self.cert, &self.key);
            if stamps != state.stamps {
                state.stamps = stamps;
                match acceptor(&self.cert, &self.key) {
                    Ok(acceptor) => {
                        info!(certificate = %self.cert.display(), "the certificate has changed and is in use");
                        state.acceptor = acceptor;
                    }
                    Err(error) => warn!(
                        error,
                        "the certificate has changed and cannot be used, the older one stays"
                    ),
                }
            }
        }
        state.acceptor.clone()
    }
}

fn stamps(cert: &Path, key: &Path) -> Stamps {
    [cert, key].map(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
}

fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let unreadable = |path: &Path, error: &dyn std::fmt::Display| format!("cannot read {}: {error}", path.display());
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_file_iter(cert)
        .map_err(|error| unreadable(cert, &error))?
        .collect();
    let chain = chain.map_err(|error| unreadable(cert, &error))?;
    if chain.is_empty() {
        return Err(format!(
            "there is no certificate in {}: it has to be PEM",
            cert.display()
        ));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|error| format!("{} and {} cannot be used: {error}", cert.display(), key.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
