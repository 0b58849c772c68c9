//! Where functions come from: one entry of the configuration or one socket in a folder, its handler, and what that has said of
//! itself.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use handlers::{Dialect, Handler, HandlerError, HttpHandler, HttpOptions, Pool, SocketHandler, SocketOptions};
use wire::{Hello, Input};

use crate::config::{self, FunctionConfig};

/// One entry of the configuration, or one socket in a folder.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) config: FunctionConfig,
    pub(crate) target: Target,
    /// Whether it was found in a folder: nobody has promised that there is a handler.
    is_found: bool,
    was_asked: AtomicBool,
    heard: Mutex<Heard>,
}

/// Whose work it is.
#[derive(Debug)]
pub(crate) enum Target {
    Socket(Arc<SocketHandler>),
    Http(Arc<HttpHandler>),
    /// An actor of this process, whose handlers work on its messages too.
    Actor {
        name: String,
        pool: Pool,
        input: Input,
    },
}

/// What the handler has said of itself.
#[derive(Debug, Clone, Default)]
pub(super) enum Heard {
    /// Nobody has asked it, or it was not there.
    #[default]
    Nothing,
    /// It says no hello.
    Silence,
    Hello(Arc<Hello>),
}

/// How long a handler's hello is waited for, once: a handler of several functions that is taken for a plain one is not told which of them
/// is called.
const HELLO: Duration = Duration::from_millis(500);

impl Source {
    /// The handler of an entry, with nobody asked yet; paths begin in `folder`. `None` where the entry names an actor that `actor`
    /// does not know, or no handler at all.
    pub(crate) fn new(
        config: &FunctionConfig,
        folder: &Path,
        actor: impl Fn(&str) -> Option<(Pool, Input)>,
    ) -> Option<Self> {
        let connections = config.concurrency.get();
        let handler = &config.handler;
        let target = if let Some(socket) = &handler.socket {
            Target::Socket(Arc::new(SocketHandler::new(SocketOptions {
                dialect: match handler.dialect {
                    Some(config::Dialect::Plain) => Dialect::Plain,
                    // It has to say what it has.
                    _ if config.name.is_none() => Dialect::One,
                    _ => Dialect::Auto,
                },
                timeout: None,
                connections,
                hello_grace: HELLO,
                ..SocketOptions::new(folder.join(socket))
            })))
        } else if let Some(http) = &handler.http {
            let address: handlers::HttpAddress = http.parse().ok()?;
            Target::Http(Arc::new(HttpHandler::new(HttpOptions {
                timeout: None,
                connections,
                ..HttpOptions::new(address.within(folder))
            })))
        } else {
            let name = handler.actor.clone()?;
            let (pool, input) = actor(&name)?;
            Target::Actor { name, pool, input }
        };
        Some(Self {
            config: config.clone(),
            target,
            is_found: false,
            was_asked: AtomicBool::new(false),
            heard: Mutex::default(),
        })
    }

    /// The handler of a socket in a folder, with nobody asked yet.
    pub(crate) fn found(socket: &Path) -> Option<Self> {
        let source = Self::new(&FunctionConfig::of_socket(socket), Path::new(""), |_| None)?;
        Some(Self {
            is_found: true,
            ..source
        })
    }

    /// Whether this and another are made of the same words.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.is_found == other.is_found && self.config == other.config
    }

    /// Whether its handler has something to say that is not known yet.
    pub(super) fn is_unheard(&self) -> bool {
        self.may_say() && matches!(self.heard(), Heard::Nothing)
    }

    /// Whether functions of it are known by its handler's hello alone.
    pub(super) fn is_nameless(&self) -> bool {
        self.config.name.is_none()
    }

    /// Whether its handler may say something else than it did: it is asked again and again.
    pub(super) fn may_change(&self) -> bool {
        // One without a hello may serve a single connection.
        self.may_say() && (self.is_nameless() || !matches!(self.heard(), Heard::Silence))
    }

    /// Whether functions that nobody knows yet may be its: its handler has said nothing so far. Of a socket that was found nothing is
    /// expected any more once nobody has answered on it.
    pub(super) fn is_awaited(&self) -> bool {
        let is_given_up = self.is_found && self.was_asked.load(Ordering::Relaxed);
        self.is_nameless() && self.is_unheard() && !is_given_up
    }

    pub(super) fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks its handler what it has; true where that is news.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub(super) async fn ask(&self) -> Result<bool, HandlerError> {
        let hello = match &self.target {
            Target::Socket(handler) => handler.greet().await,
            Target::Http(_) => Ok(None),
            Target::Actor { pool, .. } => pool.greet().await,
        };
        self.was_asked.store(true, Ordering::Relaxed);
        let hello = hello?;
        let heard = hello.map_or(Heard::Silence, Heard::Hello);
        let mut before = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = match (&*before, &heard) {
            (Heard::Silence, Heard::Silence) => false,
            (Heard::Hello(before), Heard::Hello(now)) => before != now,
            _ => true,
        };
        *before = heard;
        Ok(is_news)
    }

    /// Whether its handler is asked what it has.
    fn may_say(&self) -> bool {
        match self.target {
            Target::Socket(_) => {
                let is_plain = self.config.handler.dialect == Some(config::Dialect::Plain);
                !is_plain && (self.config.name.is_none() || self.config.args.is_none())
            }
            Target::Http(_) => false,
            Target::Actor { .. } => self.config.name.is_none(),
        }
    }
}
