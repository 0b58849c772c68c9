//! What listeners of every plane have in common: a Unix socket for this user alone, a certificate that is read again when its
//! files have changed, and what they do when the system has nothing left for one more connection.

mod shortage;
mod tls;
mod unix;

pub use shortage::Shortage;
pub use tls::{Certificate, CertificateFiles};
pub use unix::{SocketFile, bind_unix};
