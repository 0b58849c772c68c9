//! What listeners of every plane have in common: a Unix socket for this user alone, and a certificate that is read again when
//! its files have changed.

mod tls;
mod unix;

pub use tls::{Certificate, CertificateFiles};
pub use unix::{SocketFile, bind_unix};
