//! Trust in a collector behind `https`.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    },
};

use super::exporter::StartError;

/// A connector that trusts the authorities in the PEM file, or the system's where there is none.
pub(super) fn connector(certificate: Option<&Path>) -> Result<TlsConnector, StartError> {
    let mut roots = RootCertStore::empty();
    match certificate {
        Some(path) => {
            let unreadable = |source| StartError::Certificate {
                path: path.to_owned(),
                source,
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.into()))? {
                let certificate = certificate.map_err(|error| unreadable(error.into()))?;
                roots.add(certificate).map_err(|error| unreadable(error.into()))?;
            }
        }
        // One that cannot be read is one that is not trusted.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(StartError::NoAuthorities);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| StartError::Tls { source })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
