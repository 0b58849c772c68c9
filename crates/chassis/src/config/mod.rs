//! Reads a configuration: one YAML file, the environment over it, and everything that is wrong told at once.
//!
//! A plane describes its part as a struct (`Deserialize` and `JsonSchema`, `deny_unknown_fields`, its defaults in one
//! `impl Default`) and may add rules that a schema cannot tell ([`Config::check`]). The binary composes the parts into
//! one root and calls [`load`].
//!
//! The file becomes a tree in which every value knows its line; `${VAR}`, `${VAR:-default}` and `$$` are replaced in its
//! scalars; the environment is laid over it; the tree is walked against the schema of the root; only when nothing is
//! wrong is it deserialised, and then checked by the root's own rules. So a finding always has a place: a line and
//! column, or the name of a variable.
//!
//! - An empty section (`signals:` with nothing after it) is an empty mapping; an explicit `null` or `~` is the same as
//!   leaving the key out.
//! - `OUTRIGGER__ACTORS__CLEAN__TIMEOUT` sets `actors.clean.timeout`; with `_FILE` at its end the value is read from a
//!   file. Where the schema wants a string, a value from the environment is one, whatever it looks like.
//! - Beside the schema that `schemars` makes, these keywords are understood: `format` (see [`Formats`]), `x-help` (the
//!   cure for anything wrong with the value), `examples`, `propertyNames`, `deprecated` (a warning), `writeOnly` (a
//!   secret, never shown).
//!
//! ```
//! use std::collections::BTreeMap;
//! use chassis::config::{self, Colour, Config, Duration, Findings, Sources};
//!
//! #[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields, default)]
//! struct Root {
//!     /// Where to listen.
//!     listen: String,
//!     /// How long a call may take.
//!     timeout: Duration,
//! }
//!
//! impl Config for Root {
//!     fn check(&self, findings: &mut Findings) {
//!         if self.timeout.is_zero() {
//!             findings.warning("timeout", "calls are given no time at all", "write a duration such as 30s");
//!         }
//!     }
//! }
//!
//! let environment = BTreeMap::from([("OUTRIGGER__TIMEOUT".to_owned(), "1.5s".to_owned())]);
//! let sources = Sources::new(environment).with_text("outrigger.yaml", "listen: ${HOST:-localhost}:80\n");
//! let loaded = config::load::<Root>(&sources)?;
//! assert_eq!(loaded.value.listen, "localhost:80");
//! assert_eq!(loaded.value.timeout, Duration::from_millis(1500));
//!
//! let wrong = Sources::default().with_text("outrigger.yaml", "listn: localhost:80\ntimeout: soon\n");
//! let error = config::load::<Root>(&wrong).unwrap_err();
//! assert_eq!(error.findings().len(), 2);
//! eprint!("{}", error.render(Colour::Off));
//! # Ok::<(), config::ConfigError>(())
//! ```

mod alternatives;
mod decimal;
mod duration;
mod environment;
mod findings;
mod formats;
mod interpolate;
mod load;
mod mapping;
mod path;
mod render;
mod report;
mod scalar;
mod schema;
mod secret;
mod size;
mod sound;
mod sources;
mod suggest;
mod tree;
mod url;
mod walk;
mod words;
mod yaml;

pub use duration::{Duration, DurationError};
pub use environment::{Force, Overlay, process_environment};
pub use findings::{Findings, Severity};
pub use formats::{Format, Formats};
pub use load::{Config, Loaded, load};
pub use path::Path;
pub use render::Colour;
pub use report::{ConfigError, Finding, Report};
pub use schema::schema;
pub use secret::Secret;
pub use size::{ByteSize, ByteSizeError};
pub use sources::Sources;
pub use suggest::{list, nearest};
pub use url::mask_urls;
