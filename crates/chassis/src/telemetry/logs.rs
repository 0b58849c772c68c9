//! The log of the process: lines on stderr, text for a person at a terminal, JSON for everything else.
//!
//! The one rule: stdout belongs to data, so nothing is ever logged there. Times are RFC 3339 in UTC. A line that cannot
//! be written is lost, and nothing else with it: the work goes on where nobody reads the log any more.

use std::{
    error::Error,
    io::{self, IsTerminal},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, util::SubscriberInitExt as _};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Lines for a person; coloured on a terminal unless `NO_COLOR` is set.
    Text,
    /// One JSON object a line.
    Json,
}

/// Begins to log, for the whole process.
///
/// `filter` is a level (`info`) or directives (`info,queues=debug`).
pub fn init(filter: &str, format: Format) -> Result<(), LogError> {
    let terminal = io::stderr().is_terminal();
    subscriber(filter, format, terminal, io::stderr)?
        .try_init()
        .map_err(|_| LogError::AlreadyLogging)
}

/// Checks a filter without beginning to log.
pub fn check(filter: &str) -> Result<(), LogError> {
    parse(filter).map(drop)
}

/// Why the log could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The filter is not one.
    #[error(
        "log level `{filter}` is not a level (error, warn, info, debug, trace, off) or a list like `info,queues=debug`"
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Somebody has begun already.
    #[error("the log of this process has already begun")]
    AlreadyLogging,
}

fn subscriber<W>(
    filter: &str,
    format: Format,
    terminal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = parse(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // They would go to stderr as well, where a failed write is a panic.
        .log_internal_errors(false);
    Ok(match (format, terminal) {
        (Format::Json, _) | (Format::Auto, false) => {
            Box::new(builder.json().flatten_event(true).with_current_span(false).finish())
        }
        // On a terminal the library's own choice stands: coloured unless `NO_COLOR` is set.
        (Format::Text | Format::Auto, true) => Box::new(builder.finish()),
        (Format::Text, false) => Box::new(builder.with_ansi(false).finish()),
    })
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let wrong = |source: Box<dyn Error + Send + Sync>| LogError::Filter {
        filter: filter.to_owned(),
        source,
    };
    // A word alone is a level here. The library would take one that it does not know for the name of a module, and
    // then log nothing.
    for word in filter.split(',').map(str::trim) {
        if !word.is_empty() && !word.contains(['=', '[']) {
            word.parse::<LevelFilter>().map_err(|source| wrong(source.into()))?;
        }
    }
    // The AMQP client logs whole messages; it speaks only where it is asked to by name.
    let quiet = if filter.contains("lapin") { "" } else { "lapin=off," };
    EnvFilter::builder()
        .parse(format!("{quiet}{filter}"))
        .map_err(|source| wrong(source.into()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use tracing::{debug, info, subscriber::with_default};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: Format, terminal: bool) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        with_default(
            subscriber(filter, format, terminal, move || writer.clone()).unwrap(),
            || {
                info!(queue = "clean", "queue opened");
                debug!(target: "queues", "quiet");
            },
        );
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn off_a_terminal_a_line_is_one_json_object_with_its_time_in_utc() {
        let line = logged("info", Format::Auto, false);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], "queue opened");
        assert_eq!((&value["level"], &value["queue"]), (&"INFO".into(), &"clean".into()));
        let time = value["timestamp"].as_str().unwrap();
        assert!(
            time.len() > 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'),
            "{time}"
        );
    }

    #[test]
    fn text_that_is_asked_for_off_a_terminal_has_no_colour() {
        let line = logged("info", Format::Text, false);
        assert!(
            line.contains("queue opened queue=\"clean\"") && !line.contains('\u{1b}'),
            "{line}"
        );
    }

    #[test]
    fn on_a_terminal_auto_is_text() {
        assert!(logged("info", Format::Auto, true).contains("queue opened"));
        assert!(serde_json::from_str::<serde_json::Value>(&logged("info", Format::Auto, true)).is_err());
    }

    #[test]
    fn directives_choose_per_target() {
        assert_eq!(logged("off,queues=debug", Format::Json, false).lines().count(), 1);
        assert_eq!(logged("debug", Format::Json, false).lines().count(), 2);
        assert_eq!(logged("warn", Format::Json, false), "");
    }

    #[test]
    fn a_log_that_nobody_reads_any_more_hurts_nobody() {
        const NAME: &str = "telemetry::logs::tests::a_log_that_nobody_reads_any_more_hurts_nobody";
        const CHILD: &str = "A_TEST_LOGS_TO_NOBODY";
        if std::env::vars_os().any(|(name, _)| name == CHILD) {
            init("info", Format::Json).unwrap();
            info!("nobody reads this");
            return;
        }
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", NAME, "--nocapture"]).env(CHILD, "");
        let out = child.stderr(writer).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn a_word_that_is_no_level_is_an_error_and_not_the_name_of_a_module() {
        for wrong in ["loud", "infoo", "info,loud"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        for right in ["info", "WARN", "off", "info,queues=debug", "queues=debug", ""] {
            assert!(check(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn a_bad_filter_is_an_error_that_names_it() {
        let error = subscriber("queues=loud", Format::Auto, false, io::sink).err().unwrap();
        assert!(error.to_string().contains("`queues=loud`"), "{error}");
    }
}
