//! What can be called, and whose work that is.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use chassis::config::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The functions: a folder, or a list of folders and of functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Functions {
    /// A folder: every Unix socket in it is a handler, whose functions are served while it is there; relative to the
    /// configuration's folder.
    Folder(PathBuf),
    /// Several folders and functions.
    List(Vec<Entry>),
}

/// A folder, or functions of one handler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Entry {
    /// A folder: every Unix socket in it is a handler, whose functions are served while it is there; relative to the
    /// configuration's folder.
    Folder(PathBuf),
    /// A function, or, without a `name`, every function that its handler says it has.
    Function(Box<FunctionConfig>),
}

/// A function, or, without a `name`, every function that its handler says it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionConfig {
    /// Its name; its path is this in kebab case. Default: every function of the handler's hello.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = NAME, "x-help" = "begin with a letter or `_`, and go on with letters, digits, `_` and `-`, at most 64 in all"))]
    pub name: Option<String>,
    /// The package that it is in. Default `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = NAME, "x-help" = "begin with a letter or `_`, and go on with letters, digits, `_` and `-`, at most 64 in all"))]
    pub package: Option<String>,
    /// Whose work it is.
    pub handler: FunctionHandler,
    /// Its parameters in order, each with its JSON Schema. Default those that the handler's hello names, else anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<ParameterConfig>>,
    /// The JSON Schema of its result. Default that of the handler's hello, else anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Whether it gives its result in pieces. Default what the handler's hello says, else false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
    /// `stream`: the body of a call streams through to an HTTP handler, of any size and kind. Default: it is JSON, and checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<StreamInput>,
    /// Calls at once; others wait for a place. Default 16.
    #[serde(default = "sixteen")]
    pub concurrency: NonZeroUsize,
    /// How long a call may take, in seconds or with a unit; 0 is without limit. Default `5m`.
    #[serde(default = "five_minutes")]
    pub timeout: Duration,
    /// Its path, in place of its name in kebab case. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^/[^?#\\s]*$", "x-help" = "write a path, as in `/process-data`"))]
    pub route: Option<String>,
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterConfig {
    /// Its name.
    pub name: String,
    /// What it may be, a JSON Schema. Default anything.
    #[serde(default = "anything")]
    pub schema: Value,
}

/// Whose work a function is; exactly one of `socket`, `http` and `actor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionHandler {
    /// The Unix socket on which a process that somebody else runs waits for us; relative to the configuration's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The HTTP server that somebody else runs, asked with `POST {address}/invoke`: `http://host:port/base`, or
    /// `http+unix:///path.sock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "handler-address", "x-help" = "write it as in `http://127.0.0.1:8000` or `http+unix:///run/app.sock`"))]
    pub http: Option<String>,
    /// An actor of this configuration: its handler is called with the one argument as its payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What is spoken on `socket`. Default `socket`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
}

/// What is spoken on a function's socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Protocol 1 where the handler says hello, else plain frames.
    #[default]
    Socket,
    /// Plain frames; no hello is waited for.
    Plain,
}

/// How a function is given the body of a call where that is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamInput {
    /// As it comes.
    Stream,
}

impl Default for Functions {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Functions {
    /// The folders.
    pub fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        let (one, list) = match self {
            Self::Folder(folder) => (Some(folder), [].as_slice()),
            Self::List(list) => (None, list.as_slice()),
        };
        let others = list.iter().filter_map(|entry| match entry {
            Entry::Folder(folder) => Some(folder),
            Entry::Function(_) => None,
        });
        one.into_iter().chain(others)
    }

    /// The functions that are declared here, with their places in the list.
    pub fn declared(&self) -> impl Iterator<Item = (usize, &FunctionConfig)> {
        let list = match self {
            Self::Folder(_) => [].as_slice(),
            Self::List(list) => list.as_slice(),
        };
        list.iter().enumerate().filter_map(|(index, entry)| match entry {
            Entry::Folder(_) => None,
            Entry::Function(function) => Some((index, &**function)),
        })
    }
}

impl FunctionConfig {
    /// Every function of the handler that waits on a socket.
    pub(crate) fn of_socket(socket: &Path) -> Self {
        let handler = FunctionHandler {
            socket: Some(socket.to_owned()),
            ..FunctionHandler::default()
        };
        Self {
            name: None,
            package: None,
            handler,
            args: None,
            result: None,
            streaming: None,
            input: None,
            concurrency: sixteen(),
            timeout: five_minutes(),
            route: None,
        }
    }

    /// The package that it is in.
    pub fn package(&self) -> &str {
        self.package.as_deref().unwrap_or(PACKAGE)
    }
}

/// The package of a function that names none.
pub(crate) const PACKAGE: &str = "main";
/// What packages and functions may be called.
const NAME: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$";

fn sixteen() -> NonZeroUsize {
    NonZeroUsize::new(16).expect("not 0")
}

fn five_minutes() -> Duration {
    Duration::from_secs(5 * 60)
}

fn anything() -> Value {
    Value::Bool(true)
}
