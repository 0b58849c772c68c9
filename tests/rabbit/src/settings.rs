//! How a node is set up.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use crate::layout::Ports;

/// What a node is told beyond its ports.
///
/// By default a consumer may hold a message for a week, anybody on loopback may come in as `guest`, and alarms go off
/// only where the machine is at its end.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    lines: Vec<(String, String)>,
    tls: Option<Tls>,
}

/// What a node shows on its TLS port, and whom it lets in there.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate of the authority, PEM.
    pub ca: PathBuf,
    /// The node's own certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Clients need a certificate of the same authority.
    pub client_certificate: bool,
}

/// Milliseconds for which a consumer may hold a message: a week.
const CONSUMER_TIMEOUT: &str = "604800000";

impl Settings {
    /// Adds a line of `rabbitmq.conf`, such as `consumer_timeout` and `60000`; it replaces the default of that key.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.lines.push((key.to_owned(), value.into()));
        self
    }

    /// Opens a TLS port beside the plain one.
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    pub(crate) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The text of `rabbitmq.conf`.
    pub(crate) fn file(&self, ports: Ports) -> String {
        let mut lines: Vec<(String, String)> = vec![
            own("listeners.tcp.1", format!("127.0.0.1:{}", ports.amqp)),
            own("loopback_users.guest", "true"),
            own("consumer_timeout", CONSUMER_TIMEOUT),
            own("disk_free_limit.absolute", "50MB"),
            own("log.console", "false"),
            own("log.file.level", "info"),
        ];
        if let Some(tls) = &self.tls {
            let file = |path: &Path| path.display().to_string();
            lines.extend([
                own("listeners.ssl.1", format!("127.0.0.1:{}", ports.tls)),
                own("ssl_options.cacertfile", file(&tls.ca)),
                own("ssl_options.certfile", file(&tls.certificate)),
                own("ssl_options.keyfile", file(&tls.key)),
                own("ssl_options.verify", "verify_peer"),
                own("ssl_options.fail_if_no_peer_cert", tls.client_certificate.to_string()),
            ]);
        }
        lines.retain(|(key, _)| self.lines.iter().all(|(other, _)| other != key));
        let mut text = String::new();
        for (key, value) in lines.iter().chain(&self.lines) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        }
        text
    }
}

fn own(key: &str, value: impl Into<String>) -> (String, String) {
    (key.to_owned(), value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_callers_replaces_the_default() {
        let ports = Ports {
            amqp: 1,
            tls: 2,
            distribution: 3,
            mapper: 4,
        };
        let text = Settings::default().with("consumer_timeout", "60000").file(ports);
        assert_eq!(text.matches("consumer_timeout").count(), 1, "{text}");
        assert!(text.contains("consumer_timeout = 60000\n"), "{text}");
        assert!(text.contains("listeners.tcp.1 = 127.0.0.1:1\n"), "{text}");
    }
}
