//! What one process serves, and how.

use std::{env, num::NonZeroUsize, path::PathBuf, process::ExitCode, sync::Arc};

use serde_json::{Value, json};

use crate::{
    Context, StartError, connection::Parts, frame, function::Function, lifeline, reply, server::Server, slots::Slots,
    socket_file::SocketFile,
};

/// Functions under the names that the sidecar asks for them by, and how they are served.
///
/// A single function serves every request, whatever name it asks for.
///
/// ```no_run
/// use outrigger_handler::{Error, Handlers};
///
/// fn main() -> std::process::ExitCode {
///     Handlers::new()
///         .function("upper", |text: String| Ok::<_, Error>(text.to_uppercase()))
///         .function("lower", |text: String| Ok::<_, Error>(text.to_lowercase()))
///         .run()
/// }
/// ```
#[derive(Default)]
pub struct Handlers {
    functions: Vec<Served>,
    socket: Option<PathBuf>,
    concurrency: Option<NonZeroUsize>,
    max_frame: Option<u32>,
}

/// A function that is served.
pub(crate) struct Served {
    name: String,
    streaming: bool,
    answer: Box<Answer>,
}

type Answer = dyn Fn(Vec<u8>, &Context, u32) -> Vec<u8> + Send + Sync;

/// All that a process serves.
pub(crate) struct Functions(Vec<Served>);

/// Serves one function until the process is told to stop: the whole of a `main`.
pub fn serve<Parameters>(name: impl Into<String>, function: impl Function<Parameters>) -> ExitCode {
    Handlers::new().function(name, function).run()
}

impl Handlers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function.
    pub fn function<Parameters>(self, name: impl Into<String>, function: impl Function<Parameters>) -> Self {
        self.add(name.into(), false, function)
    }

    /// Adds a function that gives its result in pieces, by [`Context::partial`]: the same, but announced as such.
    pub fn streaming<Parameters>(self, name: impl Into<String>, function: impl Function<Parameters>) -> Self {
        self.add(name.into(), true, function)
    }

    /// Where to listen; without it `OUTRIGGER_HANDLER_SOCKET` says it.
    pub fn socket(self, path: impl Into<PathBuf>) -> Self {
        Self {
            socket: Some(path.into()),
            ..self
        }
    }

    /// Calls at once; without it `OUTRIGGER_HANDLER_CONCURRENCY` says it, else there is one.
    pub fn concurrency(self, calls: NonZeroUsize) -> Self {
        Self {
            concurrency: Some(calls),
            ..self
        }
    }

    /// The most bytes that a frame may have; 256 MiB without it.
    pub fn max_frame(self, bytes: u32) -> Self {
        Self {
            max_frame: Some(bytes),
            ..self
        }
    }

    /// Serves until the process is told to stop. An error is told on stderr and is the exit code.
    pub fn run(self) -> ExitCode {
        match self.serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("outrigger: {error}");
                error.exit_code().into()
            }
        }
    }

    /// Serves until the process is told to stop; returns when all that was in flight has been answered.
    ///
    /// It takes SIGTERM, SIGINT and the lifeline for itself, so it is for a process that does nothing else.
    pub fn serve(self) -> Result<(), StartError> {
        lifeline::hold()?;
        let functions = Functions::new(self.functions)?;
        let path = self.socket.or_else(|| env::var_os(SOCKET).map(PathBuf::from));
        let path = path.filter(|path| !path.as_os_str().is_empty());
        let path = path.ok_or(StartError::NoSocket)?;
        let concurrency = self.concurrency.map_or_else(concurrency, Ok)?;
        let parts = Arc::new(Parts {
            functions,
            slots: Slots::new(concurrency),
            actor: text(ACTOR).unwrap_or_default(),
            max_frame: self.max_frame.unwrap_or(frame::DEFAULT_CAP).min(frame::CONTROL - 1),
        });
        reply::note_panics();
        // Whoever finds the socket may already send a signal.
        let server = Server::new(Arc::clone(&parts))?;
        let file = SocketFile::new(path)?;
        let names = parts.functions.names();
        eprintln!(
            "outrigger: serving {names} on {}, {concurrency} at once",
            file.path().display()
        );
        server.run(file)?;
        Ok(())
    }

    fn add<Parameters>(mut self, name: String, streaming: bool, function: impl Function<Parameters>) -> Self {
        self.functions.push(Served {
            name,
            streaming,
            answer: Box::new(move |request, context, cap| function.answer(request, context, cap)),
        });
        self
    }
}

impl Served {
    /// Calls it.
    pub(crate) fn call(&self, request: Vec<u8>, context: &Context, cap: u32) -> Vec<u8> {
        (self.answer)(request, context, cap)
    }
}

impl Functions {
    fn new(functions: Vec<Served>) -> Result<Self, StartError> {
        if functions.is_empty() {
            return Err(StartError::NoFunction);
        }
        for (index, function) in functions.iter().enumerate() {
            if functions[..index].iter().any(|other| other.name == function.name) {
                return Err(StartError::SameName {
                    name: function.name.clone(),
                });
            }
        }
        Ok(Self(functions))
    }

    /// The function for a request; `None` where the name fits none of several.
    pub(crate) fn select(&self, name: Option<&str>) -> Option<&Served> {
        match self.0.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|function| Some(function.name.as_str()) == name),
        }
    }

    /// Why none was selected.
    pub(crate) fn complaint(&self, name: Option<&str>) -> String {
        let asked = match name {
            Some(name) => format!("there is no function `{name}` here"),
            None => "no function was named".to_owned(),
        };
        format!("{asked}; this handler serves {}", self.names())
    }

    /// The entries of the hello frame.
    pub(crate) fn announcement(&self) -> Vec<Value> {
        let entry = |function: &Served| {
            let mut entry = json!({"name": function.name, "args": [{"name": "payload"}]});
            if function.streaming {
                entry["streaming"] = true.into();
            }
            entry
        };
        self.0.iter().map(entry).collect()
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|function| function.name.as_str()).collect();
        names.join(", ")
    }
}

fn concurrency() -> Result<NonZeroUsize, StartError> {
    match text(CONCURRENCY) {
        None => Ok(NonZeroUsize::MIN),
        Some(text) => text.parse().map_err(|_| StartError::Concurrency { text }),
    }
}

/// A variable of the environment; an empty one counts as none.
pub(crate) fn text(name: &str) -> Option<String> {
    let value = env::var_os(name)?.to_string_lossy().into_owned();
    Some(value).filter(|value| !value.is_empty())
}

const SOCKET: &str = "OUTRIGGER_HANDLER_SOCKET";
const CONCURRENCY: &str = "OUTRIGGER_HANDLER_CONCURRENCY";
const ACTOR: &str = "OUTRIGGER_ACTOR";
