//! The command line: every command, flag and argument, and nothing that acts.

mod watch;

pub use watch::{Admin, Tail, Top, Trace};

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::words::{Deadline, Header, Route, message_id};

/// Runs beside an application and takes the infrastructure out of it.
///
/// Write a handler, a plain function in any language. Outrigger takes its work from a durable queue, carries it to
/// the handler over a Unix socket and sends the result on; nothing is lost when anything is killed.
#[derive(Debug, Parser)]
#[command(name = "outrigger", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file [default: `$OUTRIGGER_CONFIG`, `$CONFIG_FILE`, else `./outrigger.yaml`].
    #[arg(long, global = true, value_name = "FILE", display_order = 0)]
    pub config: Option<PathBuf>,
    /// The queue's URL, over the configuration's: `sqlite:PATH`, `amqp://USER:PASSWORD@HOST/VHOST`.
    #[arg(
        long = "queue",
        id = "queue-url",
        global = true,
        value_name = "URL",
        display_order = 0
    )]
    pub queue_url: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a folder with a handler, a configuration and a test that run at once.
    Init(Init),
    /// Run everything that the configuration declares on this machine, handler processes too.
    Up(Run),
    /// Run the sidecar alone, beside a handler that somebody else starts.
    Run(Run),
    /// Put work into a route's first queue.
    ///
    /// Payloads and envelopes keep their bytes. Of a file every line is checked before the first is sent, so a bad one
    /// stops it whole. Standard input is sent as it comes: a bad line ends it, and it is said how many went out before.
    /// The queues of the configuration are made where they do not exist.
    Send(Send),
    /// Show every queue: ready, in flight, and the age of the oldest.
    Queues(Output),
    /// Print messages of a queue and acknowledge each after it was printed.
    ///
    /// A message is a line; line breaks inside one, which JSON has only between its tokens, are printed as spaces.
    /// With `--output json` all are one array, their bytes unchanged. What is no JSON is printed as `{"raw": ..}`, or as
    /// `{"raw_base64": ..}` where it is no text.
    Take(Take),
    /// Work on the messages that failed: list, show, send again, drop.
    #[command(subcommand)]
    Dead(Dead),
    /// Show a trace as a tree, with the time of each span.
    ///
    /// Spans are what programs send as signal lines of type `span`; a running process keeps those of the last hour.
    Trace(Trace),
    /// Print signal lines as they come in, until Ctrl-C.
    ///
    /// All lines that are sound are shown, wherever they are routed. Who reads more slowly than they come loses some; how
    /// many is said on standard error.
    Tail(Tail),
    /// Show each second how many signal lines come and go, until Ctrl-C.
    Top(Top),
    /// Check a configuration and name every mistake at once.
    Check(Check),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Check that a runtime speaks the handler protocol, by exchanges with its conformance handler.
    ///
    /// The exchanges, and the functions that a conformance handler has, are described in `sdks/vectors`. Each is played
    /// on connections of its own; what goes wrong is told with its step, what was expected, what was seen, and what that
    /// usually means. Exit 0 only where all passed.
    Conformance(Conformance),
    /// The tour: 1,797 handwritten digits through three actors, and one corrupt image.
    Demo(Demo),
    /// Print the completion script of a shell.
    Completions(Completions),
    /// Become a handler process that ends with its parent.
    #[command(name = "__exec", hide = true)]
    Exec(Exec),
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder to make; its name becomes the actor's.
    pub dir: PathBuf,
}

/// Arguments of `up` and `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration file, as with `--config`.
    #[arg(conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// How long work in flight may go on after the first SIGTERM or Ctrl-C, as in `30s`; `up` waits without limit
    /// and `run` 25 s. A second signal means 10 s.
    #[arg(long, value_name = "DURATION")]
    pub grace: Option<chassis::config::Duration>,
}

/// Arguments of `send`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("input").args(["payload", "file", "envelopes", "stdin"]).required(true))]
pub struct Send {
    /// The actors that the message visits, in order: `a,b,c`.
    pub route: Route,
    /// A payload a line from standard input, written as `-`.
    #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true)]
    pub stdin: Option<String>,
    /// One payload, as JSON; its bytes are passed on unchanged.
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub payload: Option<String>,
    /// A payload a line; `-` is standard input. Of a file every line is checked before the first is sent.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A whole envelope a line, put on the route's first queue as it stands; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "deadline", "header"])]
    pub envelopes: Option<PathBuf>,
    /// The message's id [default: a new `UUIDv7`]; only with one payload.
    #[arg(long, value_parser = message_id, conflicts_with_all = ["file", "envelopes", "stdin"])]
    pub id: Option<String>,
    /// The moment after which no handler is called any more, as RFC 3339, or how long from now, as in `10m`.
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<Deadline>,
    /// A header that goes with the message along its route; repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    pub header: Vec<Header>,
    /// Make the first queue where it does not exist.
    #[arg(long)]
    pub create: bool,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of `take`.
#[derive(Debug, Args)]
pub struct Take {
    /// The queue, by its full name.
    pub queue: String,
    /// At most this many.
    #[arg(short, long = "count", default_value = "1", value_name = "N")]
    pub n: NonZeroUsize,
    /// Wait this long for the first one, as in `10s`.
    #[arg(long, value_name = "DURATION")]
    pub wait: Option<chassis::config::Duration>,
    /// Print without taking.
    #[arg(long, conflicts_with = "wait")]
    pub peek: bool,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// The commands on failed messages.
#[derive(Debug, Subcommand)]
pub enum Dead {
    /// List them, oldest first.
    Ls(DeadLs),
    /// Explain one: what failed, where, and the message itself.
    Show(DeadShow),
    /// Send messages again to the actor where they failed.
    ///
    /// Each goes back without its error, its attempts and a deadline that has passed. A message leaves the error-end in
    /// the same step in which it is safe on its actor's queue; where that does not exist it stays.
    Redrive(DeadPick),
    /// Remove messages for good.
    Drop(DeadPick),
}

/// Arguments of `dead ls`.
#[derive(Debug, Args)]
pub struct DeadLs {
    /// Only those that failed at this actor.
    #[arg(long)]
    pub actor: Option<String>,
    /// Only those with this error code.
    #[arg(long)]
    pub code: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of `dead show`.
#[derive(Debug, Args)]
pub struct DeadShow {
    /// The message's id, or the beginning of one.
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub id: String,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of `dead redrive` and `dead drop`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").args(["ids", "all"]).required(true).multiple(true))]
pub struct DeadPick {
    /// Ids, or beginnings of ids.
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
    /// All of them, or all that the filters leave.
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Only those that failed at this actor.
    #[arg(long, requires = "all", conflicts_with = "ids")]
    pub actor: Option<String>,
    /// Only those with this error code.
    #[arg(long, requires = "all", conflicts_with = "ids")]
    pub code: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration file, as with `--config`.
    #[arg(conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of `conformance`.
#[derive(Debug, Args)]
pub struct Conformance {
    /// The socket of a running conformance handler.
    #[arg(long, value_name = "PATH", required_unless_present = "list")]
    pub socket: Option<PathBuf>,
    /// Only the vectors with this in their names.
    #[arg(long, value_name = "NAME-PART")]
    pub only: Option<String>,
    /// Print the names of the vectors and play none.
    #[arg(long, conflicts_with = "socket")]
    pub list: bool,
    /// How long a step may wait.
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub timeout: chassis::config::Duration,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the demo's folder, to look around in afterwards.
    #[arg(long)]
    pub keep: bool,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// Arguments of the hidden command that a handler process starts as.
#[derive(Debug, Args)]
pub struct Exec {
    /// The process that asked.
    pub parent: u32,
    /// The soft limit of descriptors that the program is to have, where it is another than ours.
    #[arg(long)]
    pub descriptors: Option<u64>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub words: Vec<std::ffi::OsString>,
}

/// How a listing is printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// For people, or one JSON value for scripts.
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub output: Format,
}

impl Output {
    /// Whether a script reads it.
    pub fn json(self) -> bool {
        self.output == Format::Json
    }
}

/// A listing's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON value.
    Json,
}
