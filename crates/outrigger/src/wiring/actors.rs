//! Which actors this process serves, and what each of their handlers is.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use chassis::config::Loaded;
use handlers::{
    AsyaHandler, AsyaOptions, Dialect, Handler, HttpAddress, HttpHandler, HttpOptions, Ownership, Pool, SocketHandler,
    SocketOptions,
};
use messages::{ActorConfig, HandlerConfig};
use supervise::{ProcessSpec, Supervisor, Told};
use wire::asya::Position;

use super::python;
use crate::{
    config::Root,
    exit::{Code, Failure},
};

/// What this process starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything, handler processes too.
    Up,
    /// The sidecar alone, beside handlers that others start.
    Run,
}

/// An actor that this process serves.
#[derive(Debug)]
pub struct Served<'a> {
    pub name: &'a str,
    pub config: &'a ActorConfig,
    pub pool: Pool,
}

/// What handler processes are started with.
#[derive(Debug)]
pub struct Launch {
    pub supervisor: Supervisor,
    /// What they inherit.
    pub environment: BTreeMap<OsString, OsString>,
    /// Where the Python runtime was unpacked.
    pub python: Option<PathBuf>,
}

/// How long the first request to a process that we start waits for its hello. Long, for while several start at once
/// one that has bound its socket may not get to say it; sent too early a call would lose its id, headers and attempt.
const OUR_HELLO: Duration = Duration::from_secs(1);
/// The same for somebody else's process, which has run for a while, most often.
const FOREIGN_HELLO: Duration = Duration::from_millis(100);
/// How long a handler process has between SIGTERM and SIGKILL; its work has ended by then.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// The actors that `mode` serves, in the configuration's order.
///
/// # Errors
/// None is left and there is no other plane to run, or the one that was asked for has no handler that `run` could use.
pub fn serve<'a>(root: &'a Root, mode: Mode, only: Option<&str>) -> anyhow::Result<Vec<Served<'a>>> {
    let mut served = Vec::new();
    for (name, config) in &root.actors {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        if mode == Mode::Run && !config.handler.is_foreign() {
            tracing::warn!(
                actor = name,
                "not served by `run`: its handler is a command, start it with `outrigger up` or give it a `socket` or `http`"
            );
            continue;
        }
        served.push(Served {
            name,
            config,
            pool: Pool::new(name),
        });
    }
    if served.is_empty() && (only.is_some() || (root.signals().is_none() && root.calls.is_none())) {
        return Err(nothing_to_serve(root, mode, only).into());
    }
    Ok(served)
}

fn nothing_to_serve(root: &Root, mode: Mode, only: Option<&str>) -> Failure {
    let message = match only {
        Some(only) => format!("there is no actor `{only}` here that can be served"),
        None => "there is no actor here that can be served".to_owned(),
    };
    let is_command = |name: &str| root.actors.contains_key(name);
    let help = match (mode, only) {
        (Mode::Run, Some(only)) if is_command(only) => {
            "start its command with `outrigger up`, or give it a `socket` or `http`"
        }
        (Mode::Run, None) if !root.actors.is_empty() => {
            "start commands with `outrigger up`, or give an actor a `socket` or `http`"
        }
        _ => "add one under `actors:`, or name another file with `--config`",
    };
    Failure::new(Code::Config, message).help(help)
}

/// Adds an actor's handlers to its pool: a foreign one, a function, or processes that `launch` starts.
pub fn man(
    actor: &Served<'_>,
    loaded: &Loaded<Root>,
    launch: Option<&Launch>,
    calls: Option<&calls::Plane>,
) -> anyhow::Result<()> {
    let config = actor.config;
    let concurrency = config.concurrency.max(config.replicas);
    let position = if loaded.value.is_end(actor.name) {
        Position::End
    } else {
        Position::Step
    };
    match (&config.handler, launch) {
        (HandlerConfig { socket: Some(path), .. }, _) => {
            let speak = Speak {
                config,
                position,
                connections: concurrency.get(),
                hello_grace: FOREIGN_HELLO,
            };
            actor.pool.add(
                speak.on(&loaded.folder.join(path)),
                concurrency.get(),
                Ownership::Foreign,
            );
        }
        (
            HandlerConfig {
                http: Some(address), ..
            },
            _,
        ) => {
            let address: HttpAddress = address
                .parse()
                .with_context(|| format!("the address of actor `{}` is none", actor.name))?;
            let handler = over_http(address.within(&loaded.folder), config, concurrency.get());
            actor.pool.add(handler, concurrency.get(), Ownership::Foreign);
        }
        (
            HandlerConfig {
                function: Some(function),
                ..
            },
            _,
        ) => {
            let calls = calls.with_context(|| format!("there is no function `{function}`: `calls` is not there"))?;
            let handler = Arc::new(calls.handler(function));
            actor.pool.add(handler, concurrency.get(), Ownership::Foreign);
        }
        (HandlerConfig { run: Some(command), .. }, Some(launch)) => {
            let words = shlex::split(command)
                .filter(|words| !words.is_empty())
                .with_context(|| format!("the command of actor `{}` does not split into words", actor.name))?;
            let mut environment = launch.environment.clone();
            environment.extend(
                config
                    .handler
                    .env
                    .iter()
                    .map(|(name, value)| (name.into(), value.into())),
            );
            if let Some(folder) = &launch.python {
                let inherited = environment.get(OsStr::new("PYTHONPATH")).map(AsRef::as_ref);
                environment.insert("PYTHONPATH".into(), python::path(folder, inherited));
            }
            let spec = ProcessSpec {
                actor: actor.name.to_owned(),
                words,
                folder: loaded.folder.clone(),
                environment,
                replicas: config.replicas,
                concurrency,
                stop_grace: STOP_GRACE,
                told: match config.handler.dialect().generation() {
                    Some(_) => Told::AsyaToo,
                    None => Told::Ours,
                },
            };
            let (config, connections) = (config.clone(), spec.share());
            let connect = Arc::new(move |path: &Path| {
                let speak = Speak {
                    config: &config,
                    position,
                    connections,
                    hello_grace: OUR_HELLO,
                };
                speak.on(path)
            });
            launch.supervisor.add(spec, actor.pool.clone(), connect);
        }
        _ => anyhow::bail!("actor `{}` has no handler that can be served", actor.name),
    }
    Ok(())
}

/// What is spoken with a handler on a socket.
struct Speak<'c> {
    config: &'c ActorConfig,
    position: Position,
    connections: usize,
    hello_grace: Duration,
}

impl Speak<'_> {
    fn on(&self, path: &Path) -> Arc<dyn Handler> {
        let config = self.config;
        let dialect = match config.handler.dialect() {
            messages::Dialect::Plain => Dialect::Plain,
            _ => Dialect::Auto,
        };
        let limits = Limits::of(config);
        match config.handler.dialect().generation() {
            Some(generation) => Arc::new(AsyaHandler::new(AsyaOptions {
                position: self.position,
                timeout: limits.timeout,
                idle_timeout: limits.idle_timeout,
                max_frame: limits.max_frame,
                ..AsyaOptions::new(path, generation)
            })),
            None => Arc::new(SocketHandler::new(SocketOptions {
                dialect,
                hello_grace: self.hello_grace,
                style: config.reply,
                timeout: limits.timeout,
                idle_timeout: limits.idle_timeout,
                max_frame: limits.max_frame,
                connections: self.connections,
                ..SocketOptions::new(path)
            })),
        }
    }
}

fn over_http(address: HttpAddress, config: &ActorConfig, connections: usize) -> Arc<dyn Handler> {
    let limits = Limits::of(config);
    Arc::new(HttpHandler::new(HttpOptions {
        style: config.reply,
        timeout: limits.timeout,
        idle_timeout: limits.idle_timeout,
        max_frame: limits.max_frame,
        connections,
        ..HttpOptions::new(address)
    }))
}

/// What bounds an exchange, whatever carries it; zero is without limit.
struct Limits {
    timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    max_frame: u32,
}

impl Limits {
    fn of(config: &ActorConfig) -> Self {
        let limit = |limit: Duration| (!limit.is_zero()).then_some(limit);
        Self {
            timeout: limit(config.timeout.into()),
            idle_timeout: config.idle_timeout.map(Duration::from).and_then(limit),
            max_frame: u32::try_from(config.max_frame.bytes()).unwrap_or(u32::MAX),
        }
    }
}
