//! One connection to the broker, made when it is needed and made anew when it was lost.
//!
//! The client's own recovery is off: what a lost connection means for a message is for those who use it to say. There
//! is one link for taking and one for putting, so that a broker that blocks publishers still takes acknowledgements.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::lifecycle::Drain;
use futures_util::StreamExt;
use lapin::{Channel, Connection, ConnectionProperties, Event, uri::AMQPUri};
use tokio::{sync::Mutex, time::timeout};
use tracing::{debug, info, warn};

use super::{options::TlsFiles, trouble};
use crate::QueueError;

/// One connection, or none at the moment.
#[derive(Debug)]
pub(super) struct Link {
    uri: AMQPUri,
    tls: TlsFiles,
    folder: PathBuf,
    role: Role,
    current: Mutex<Option<Arc<Connection>>>,
    /// Connects that have ended, well or not.
    attempts: AtomicU64,
    tasks: Drain,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Take,
    Put,
}

impl Link {
    pub(super) fn new(uri: AMQPUri, tls: TlsFiles, folder: &Path, role: Role, tasks: Drain) -> Self {
        Self {
            uri,
            tls,
            folder: folder.to_owned(),
            role,
            current: Mutex::default(),
            attempts: AtomicU64::new(0),
            tasks,
        }
    }

    /// A new channel, over a new connection where there is none.
    ///
    /// # Cancellation
    /// Dropping the future gives up what was begun; whoever asks next begins anew.
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        let connection = self.connection().await?;
        match timeout(ANSWER, connection.create_channel()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(trouble::away(self.attempt("open a channel to"), error)),
            Err(_) => Err(self.silent("open a channel to")),
        }
    }

    /// Ends the connection. What was not acknowledged goes back.
    pub(super) async fn close(&self) {
        let Some(connection) = self.current.lock().await.take() else {
            return;
        };
        // A blocked connection sends nothing any more, not even its farewell.
        let farewell = connection.close(200, "closed".into());
        if timeout(FAREWELL, farewell).await.is_err() {
            debug!(role = ?self.role, "the broker did not say farewell");
        }
    }

    /// The broker's address, for messages to people.
    pub(super) fn broker(&self) -> String {
        let authority = &self.uri.authority;
        format!("{}:{}", authority.host, authority.port)
    }

    async fn connection(&self) -> Result<Arc<Connection>, QueueError> {
        let before = self.attempts.load(Ordering::Relaxed);
        let mut current = self.current.lock().await;
        if let Some(connection) = &*current
            && connection.status().connected()
        {
            return Ok(Arc::clone(connection));
        }
        if self.attempts.load(Ordering::Relaxed) != before {
            // Somebody else has just tried: those who waited for it need not try in a row.
            return Err(self.silent("connect to"));
        }
        let again = current.take().is_some();
        let connected = self.connect().await;
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(connected?);
        self.follow(&connection);
        if again {
            info!(broker = self.broker(), role = ?self.role, "connected to RabbitMQ again");
        }
        *current = Some(Arc::clone(&connection));
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection, QueueError> {
        let tls = self.tls.load(&self.folder)?;
        let runtime = lapin::runtime::default_runtime()
            .map_err(|error| trouble::away("find the runtime for the connection", error))?;
        let purpose = match self.role {
            Role::Take => "outrigger: taking",
            Role::Put => "outrigger: putting",
        };
        let properties = ConnectionProperties::default().with_connection_name(purpose.into());
        let connect = Connection::connect_uri_with_config(self.uri.clone(), properties, tls, runtime);
        match timeout(CONNECT, connect).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(trouble::of_connect(error, &self.broker())),
            Err(_) => Err(self.silent("connect to")),
        }
    }

    /// Tells when the broker blocks and unblocks this connection.
    fn follow(&self, connection: &Connection) {
        let mut events = connection.events_listener();
        let broker = self.broker();
        self.tasks.spawn("RabbitMQ connection events", async move {
            while let Some(event) = events.next().await {
                match event {
                    Event::ConnectionBlocked(reason) => {
                        warn!(
                            broker,
                            reason, "RabbitMQ takes no messages for now (a memory or disk alarm): puts wait"
                        );
                    }
                    Event::ConnectionUnblocked => {
                        info!(broker, "RabbitMQ takes messages again");
                    }
                    Event::Error(error) => {
                        debug!(broker, %error, "connection lost");
                        return;
                    }
                    _ => {}
                }
            }
        });
    }

    fn attempt(&self, what: &str) -> String {
        format!("{what} RabbitMQ at {}", self.broker())
    }

    fn silent(&self, what: &str) -> QueueError {
        QueueError::Unavailable {
            why: format!("{}: it does not answer", self.attempt(what)),
            source: None,
        }
    }
}

/// How long a broker may take to greet us; one that is stopped accepts connections and says nothing.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take to answer a question.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// How long its farewell is waited for.
const FAREWELL: Duration = Duration::from_secs(2);
