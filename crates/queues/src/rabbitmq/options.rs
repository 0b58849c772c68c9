//! What a RabbitMQ queue is opened with, and the checks that need no broker.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lapin::uri::{AMQPScheme, AMQPUri};

use crate::QueueError;

/// How RabbitMQ is used; everything but the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RabbitOptions {
    /// The durable topic exchange that every message goes through.
    pub exchange: String,
    /// What stands before an actor's name in its queue's; routing keys have none of it.
    pub prefix: String,
    /// Routing keys of queues whose name is not the prefix and the actor's name.
    pub keys: BTreeMap<String, String>,
    /// The kind of queue that is declared.
    pub queue_type: QueueType,
    /// What a queue that exists with other arguments is.
    pub existing: Existing,
    /// Messages that the broker hands out at once to a consumer; `None` is as many as its credit.
    pub prefetch: Option<u16>,
    /// After how long without an acknowledgement the broker takes a delivery back (its `consumer_timeout`).
    pub consumer_timeout: Duration,
    /// What is done before that strikes.
    pub long_jobs: LongJobs,
    /// Files for `amqps:`.
    pub tls: TlsFiles,
    /// Queues that are looked at although this process did not declare them.
    pub known: Vec<Arc<str>>,
}

/// The kind of queue on RabbitMQ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueType {
    /// Replicated, and counts deliveries.
    #[default]
    Quorum,
    /// On one node, version 2.
    Classic,
}

/// What to make of a queue that exists with other arguments than ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// An error.
    #[default]
    MustMatch,
    /// Used as it is, with a warning.
    UseAsIs,
}

/// What is done for a handler that works for longer than the broker waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LongJobs {
    /// A warning, in time, with the cure.
    #[default]
    Warn,
    /// The delivery is parked on the broker while the handler works.
    Park,
}

/// PEM files for `amqps:`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate authorities that the broker's certificate is checked against, besides the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate, with its chain.
    pub cert: Option<PathBuf>,
    /// Our key, PKCS#8.
    pub key: Option<PathBuf>,
}

impl Default for RabbitOptions {
    fn default() -> Self {
        Self {
            exchange: "outrigger".to_owned(),
            prefix: String::new(),
            keys: BTreeMap::new(),
            queue_type: QueueType::default(),
            existing: Existing::default(),
            prefetch: None,
            consumer_timeout: Duration::from_mins(30),
            long_jobs: LongJobs::default(),
            tls: TlsFiles::default(),
            known: Vec::new(),
        }
    }
}

impl RabbitOptions {
    /// The routing key of a queue.
    pub(super) fn key(&self, queue: &str) -> String {
        match self.keys.get(queue) {
            Some(key) => key.clone(),
            None => queue.strip_prefix(&self.prefix).unwrap_or(queue).to_owned(),
        }
    }
}

impl TlsFiles {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn load(&self, folder: &Path) -> Result<lapin::tcp::OwnedTLSConfig, QueueError> {
        let read = |path: &PathBuf| {
            let path = folder.join(path);
            std::fs::read(&path).map_err(|source| QueueError::Refused {
                what: format!("cannot read {}", path.display()),
                cure: "name a PEM file under `rabbitmq.tls` that this user may read".to_owned(),
                source: Some(source.into()),
            })
        };
        let cert_chain = self.ca.as_ref().map(read).transpose()?;
        let cert_chain = cert_chain.map(|pem| String::from_utf8_lossy(&pem).into_owned());
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some(lapin::tcp::OwnedIdentity::PKCS8 {
                pem: read(cert)?,
                key: read(key)?,
            }),
            (None, None) => None,
            _ => {
                return Err(QueueError::Refused {
                    what: "a client certificate needs both `rabbitmq.tls.cert` and `rabbitmq.tls.key`".to_owned(),
                    cure: "set both, or neither".to_owned(),
                    source: None,
                });
            }
        };
        Ok(lapin::tcp::OwnedTLSConfig { identity, cert_chain })
    }
}

/// Reads an `amqp:` or `amqps:` URL, without connecting.
///
/// # Errors
/// [`QueueError::BadUrl`] with what is wrong and what would be right; the password is masked.
pub(super) fn read_url(url: &str, tls: &TlsFiles) -> Result<AMQPUri, QueueError> {
    let bad = |why: String| QueueError::BadUrl { url: masked(url), why };
    let mut uri: AMQPUri = url.parse().map_err(|why: String| {
        let why = why.replace(url, &masked(url));
        bad(format!("{why}: write `amqp://user:password@host:port/vhost`"))
    })?;
    if uri.scheme == AMQPScheme::AMQP && !tls.is_empty() {
        return Err(bad(
            "`rabbitmq.tls` is set, but this is not encrypted: write `amqps://`".to_owned(),
        ));
    }
    if uri.vhost.is_empty() {
        // By the letter of the AMQP URI rules a last slash names the virtual host without a name; whoever writes one
        // means the default one.
        "/".clone_into(&mut uri.vhost);
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    Ok(uri)
}

/// Checks an `amqp:` or `amqps:` URL, without connecting.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn check_url(url: &str) -> Result<(), String> {
    match read_url(url, &TlsFiles::default()) {
        Ok(_) => Ok(()),
        Err(QueueError::BadUrl { why, .. }) => Err(why),
        Err(error) => Err(error.to_string()),
    }
}

/// A URL that may be shown: its password is not in it.
pub(super) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest
        .split_once('/')
        .map_or((rest, None), |(before, after)| (before, Some(after)));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _password)) => format!("{user}:***@{host}"),
            None => format!("{user}@{host}"),
        },
        None => authority.to_owned(),
    };
    let path = path.map(|path| format!("/{path}")).unwrap_or_default();
    format!("{scheme}://{authority}{path}")
}

/// Seconds; a broker that says nothing for twice as long is gone. RabbitMQ itself suggests 60, too long to sit idle.
const HEARTBEAT: u16 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routing_key_is_the_actor_without_the_prefix() {
        let options = RabbitOptions {
            prefix: "shop-".to_owned(),
            keys: BTreeMap::from([("my-queue".to_owned(), "clean".to_owned())]),
            ..RabbitOptions::default()
        };
        assert_eq!(options.key("shop-clean"), "clean");
        assert_eq!(options.key("other"), "other");
        assert_eq!(options.key("my-queue"), "clean");
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(masked("amqp://u:p@h:1/v"), "amqp://u:***@h:1/v");
        assert_eq!(masked("amqp://u:p%40@h"), "amqp://u:***@h");
        assert_eq!(masked("amqp://h/%2f"), "amqp://h/%2f");
        for url in [
            "amqp://u:secret@h:99999/",
            "amqp://u:secret@/v?heartbeat=x",
            "amqp://u:secret@h:x",
        ] {
            let said = read_url(url, &TlsFiles::default())
                .map(drop)
                .map_err(|error| error.to_string());
            if let Err(said) = said {
                assert!(!said.contains("secret"), "{said}");
            }
        }
    }

    #[test]
    fn the_default_virtual_host_may_be_written_in_three_ways() {
        for url in ["amqp://h", "amqp://h/", "amqp://h/%2f"] {
            assert_eq!(read_url(url, &TlsFiles::default()).expect(url).vhost, "/", "{url}");
        }
        assert_eq!(
            read_url("amqp://h/shop", &TlsFiles::default()).expect("a URL").vhost,
            "shop"
        );
    }

    #[test]
    fn files_for_encryption_on_a_plain_url_are_refused() {
        let tls = TlsFiles {
            ca: Some("ca.pem".into()),
            ..TlsFiles::default()
        };
        assert!(read_url("amqp://h", &tls).is_err());
        assert!(read_url("amqps://h", &tls).is_ok());
    }
}
