//! Arguments of the commands that look at a running process through its admin address.

use clap::Args;

use super::Output;

/// Where the process can be watched.
#[derive(Debug, Args)]
pub struct Admin {
    /// The process's admin address [default: `admin.listen` of the configuration, else 127.0.0.1:17001].
    #[arg(long = "admin", id = "admin", value_name = "HOST:PORT")]
    pub address: Option<String>,
}

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub struct Trace {
    /// The trace's id, as its spans have it in `tid`.
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub id: String,
    /// Whom to ask.
    #[command(flatten)]
    pub admin: Admin,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub struct Tail {
    /// Only lines of this source; `*` stands for any characters.
    #[arg(long, value_name = "PATTERN")]
    pub source: Option<String>,
    /// Only lines of this type, or of these: `event,span`.
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Only lines whose level is at least this one.
    #[arg(long, value_name = "LEVEL", value_parser = ["debug", "info", "warn", "error", "fatal"])]
    pub level: Option<String>,
    /// Only metrics and spans of this name; `*` stands for any characters.
    #[arg(long, value_name = "PATTERN")]
    pub name: Option<String>,
    /// Whom to ask.
    #[command(flatten)]
    pub admin: Admin,
    /// How to print; with `json` each line stands as it came.
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct Top {
    /// Measure for one second, print, and end.
    #[arg(long)]
    pub once: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub admin: Admin,
    /// How to print; with `json` each second is a value on a line of its own.
    #[command(flatten)]
    pub output: Output,
}
