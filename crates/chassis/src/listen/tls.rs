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
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};
use tracing::{info, warn};

/// The files of a certificate, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Our certificate and those above it.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whose certificates clients may show; none are asked for without it. Who shows none comes in too: whether one was shown
    /// is for whoever lets clients in to ask.
    pub client_ca: Option<PathBuf>,
}

/// What connections are encrypted with at the moment.
pub struct Certificate {
    files: CertificateFiles,
    /// What may be spoken inside, the dearest first; empty where nothing is agreed on.
    protocols: &'static [&'static [u8]],
    state: Mutex<State>,
}

struct State {
    acceptor: TlsAcceptor,
    stamps: Stamps,
    looked: Instant,
}

/// When the files were changed last.
type Stamps = [Option<SystemTime>; 3];

/// Between looks at the files.
const PAUSE: Duration = Duration::from_secs(1);

impl Certificate {
    /// Reads the files; `protocols` are agreed on by ALPN, none where it is empty.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn read(files: &CertificateFiles, protocols: &'static [&'static [u8]]) -> Result<Self, String> {
        let stamps = stamps(files);
        let acceptor = acceptor(files, protocols)?;
        Ok(Self {
            files: files.clone(),
            protocols,
            state: Mutex::new(State {
                acceptor,
                stamps,
                looked: Instant::now(),
            }),
        })
    }

    /// What new connections are encrypted with. Files that have changed and are no good leave it as it was.
    pub fn acceptor(&self) -> TlsAcceptor {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= PAUSE {
            state.looked = Instant::now();
            let stamps = stamps(&self.files);
            if stamps != state.stamps {
                state.stamps = stamps;
                let certificate = self.files.cert.display();
                match acceptor(&self.files, self.protocols) {
                    Ok(acceptor) => {
                        info!(%certificate, "the certificate has changed and is in use");
                        state.acceptor = acceptor;
                    }
                    Err(error) => warn!(
                        %certificate,
                        error,
                        "the certificate has changed and cannot be used, the older one stays"
                    ),
                }
            }
        }
        state.acceptor.clone()
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn stamps(files: &CertificateFiles) -> Stamps {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    [
        changed(&files.cert),
        changed(&files.key),
        files.client_ca.as_deref().and_then(changed),
    ]
}

fn acceptor(files: &CertificateFiles, protocols: &[&[u8]]) -> Result<TlsAcceptor, String> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("cannot read {}: {error}", files.key.display()))?;
    let provider = Arc::new(ring::default_provider());
    let unusable = |error: &dyn std::fmt::Display| {
        format!(
            "{} and {} cannot be used: {error}",
            files.cert.display(),
            files.key.display()
        )
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| format!("{} cannot be used: {error}", path.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| format!("{} cannot be used: {error}", path.display()))?,
            )
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| unusable(&error))?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let all: Vec<_> = read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if all.is_empty() {
        return Err(format!(
            "there is no certificate in {}: it has to be PEM",
            path.display()
        ));
    }
    Ok(all)
}
