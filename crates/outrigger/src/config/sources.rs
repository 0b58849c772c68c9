//! Where the configuration comes from: a file, the environment, and the short forms of a sidecar.

use std::{collections::BTreeMap, path::Path};

use chassis::config::{self, ConfigError, Loaded, Overlay, Path as Key, Sources};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Root, asya};

/// Reads the configuration: `file`, else `OUTRIGGER_CONFIG`, `CONFIG_FILE`, else `./outrigger.yaml` where it is there;
/// the environment over it.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(file: Option<&Path>, environment: &BTreeMap<String, String>) -> Result<Loaded<Root>, ConfigError> {
    config::load(&with_short_forms(file, environment))
}

/// The actor that `OUTRIGGER_ACTOR` names, or the environment of an Asya pod. Inside a handler that we started these tell
/// the handler who it is, and choose nothing.
pub fn chosen_actor<'e>(environment: &'e BTreeMap<String, String>, root: &Root) -> Option<&'e str> {
    named(environment).or_else(|| asya::actor(environment, &root.prefix))
}

fn named(environment: &BTreeMap<String, String>) -> Option<&str> {
    let inside = environment.contains_key("OUTRIGGER_HANDLER_SOCKET");
    environment
        .get(ACTOR)
        .filter(|name| !inside && !name.is_empty())
        .map(String::as_str)
}

fn with_short_forms(file: Option<&Path>, environment: &BTreeMap<String, String>) -> Sources {
    let mut sources = Sources::new(environment.clone());
    sources.file = file.map(Path::to_path_buf);
    // The actors of the file and the long forms. Where they cannot be read, the real load says why.
    let known: Option<Known> = config::load::<Known>(&sources).ok().map(|loaded| loaded.value);

    for name in [ACTOR, SOCKET, DIALECT, TIMEOUT, CONCURRENCY]
        .iter()
        .chain(&HANDLERS_OWN)
        .chain(&CLIENTS_OWN)
    {
        sources = sources.with_known(*name);
    }
    let mut pod = None;
    if asya::is_on(environment) {
        let prefix = known.as_ref().map_or("", |known| known.prefix.as_str());
        (sources, pod) = asya::lay(sources, environment, prefix, named(environment));
    }
    sources = sources
        .with_overlay(Overlay::new("OUTRIGGER_QUEUE", "queue"))
        .with_overlay(Overlay::new(QUEUE_FLAG, "queue"))
        .with_overlay(Overlay::new("OUTRIGGER_LOG", "log.level"));

    let set = [SOCKET, TIMEOUT, CONCURRENCY, DIALECT]
        .into_iter()
        .find(|name| environment.contains_key(*name));
    let names: Option<Vec<&str>> = known
        .as_ref()
        .map(|known| known.actors.keys().map(String::as_str).collect());
    let pods = pod.as_ref().map(|pod| pod.actor.as_str());
    let actor = match (named(environment).or(pods), set, names.as_deref()) {
        (Some(actor), ..) => actor,
        (None, Some(_), Some([only])) => only,
        (None, Some(set), Some([])) => {
            let message = format!("{set} is set, and there is no actor that it could be for");
            return sources.with_trouble(set, message, "name the actor in OUTRIGGER_ACTOR");
        }
        (None, Some(set), Some(several)) => {
            let message = format!("{set} is set, and it is not said for which of {} actors", several.len());
            let help = format!("set OUTRIGGER_ACTOR to one of {}", several.join(", "));
            return sources.with_trouble(set, message, help);
        }
        (None, ..) => return sources,
    };
    let key = |rest: &str| Key::from(["actors", actor]).join(rest);
    let is_known = names.as_ref().is_none_or(|names| names.contains(&actor));
    if let Some(socket) = environment.get(SOCKET) {
        // Instead of the file's handler, whatever that was.
        let handler = serde_json::json!({ "socket": socket }).to_string();
        sources = sources.with_overlay(Overlay::fixed(SOCKET, key("handler"), handler));
    } else if !is_known && pod.is_none() {
        sources = sources.with_overlay(Overlay::fixed(ACTOR, key("handler"), "{}"));
    }
    if let Some(pod) = pod.as_ref().filter(|_| environment.contains_key(SOCKET)) {
        sources = sources.with_overlay(Overlay::fallback(SOCKET, key("handler.dialect"), pod.dialect));
    }
    sources
        .with_overlay(Overlay::new(DIALECT, key("handler.dialect")))
        .with_overlay(Overlay::new(TIMEOUT, key("timeout")))
        .with_overlay(Overlay::new(CONCURRENCY, key("concurrency")))
}

/// Only what the short forms need to know of the rest.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Known {
    actors: BTreeMap<String, serde_json::Value>,
    prefix: String,
}

impl config::Config for Known {}

/// The command line's own word on the queue; it stands in the environment under this name, which no variable has.
pub const QUEUE_FLAG: &str = "--queue";
const ACTOR: &str = "OUTRIGGER_ACTOR";
const SOCKET: &str = "OUTRIGGER_SOCKET";
const DIALECT: &str = "OUTRIGGER_DIALECT";
const TIMEOUT: &str = "OUTRIGGER_TIMEOUT";
const CONCURRENCY: &str = "OUTRIGGER_CONCURRENCY";

/// What a handler that we started finds in its environment; a command that it runs sees them too.
const HANDLERS_OWN: [&str; 3] = [
    "OUTRIGGER_HANDLER_SOCKET",
    "OUTRIGGER_HANDLER_CONCURRENCY",
    "OUTRIGGER_HANDLER_LIFELINE",
];

/// What tells a client in the same environment where functions are called.
const CLIENTS_OWN: [&str; 2] = ["OUTRIGGER_CALLS_URL", "OUTRIGGER_CALLS_SOCKET"];

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn read(text: &str, pairs: &[(&str, &str)]) -> Result<Loaded<Root>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("outrigger.yaml");
        std::fs::write(&file, text).unwrap();
        load(Some(&file), &environment(pairs)).map_err(|error| {
            let lines = error.findings().iter().map(|finding| format!("{finding}\n"));
            lines
                .collect::<String>()
                .replace(&format!("{}/", folder.path().display()), "")
        })
    }

    #[test]
    fn the_environment_alone_is_a_whole_sidecar() {
        let loaded = read(
            "",
            &[
                ("OUTRIGGER_QUEUE", "sqlite:q.db"),
                ("OUTRIGGER_ACTOR", "clean"),
                ("OUTRIGGER_SOCKET", "/run/app.sock"),
                ("OUTRIGGER_DIALECT", "plain"),
                ("OUTRIGGER_TIMEOUT", "90"),
                ("OUTRIGGER_CONCURRENCY", "4"),
                ("OUTRIGGER_LOG", "debug"),
            ],
        )
        .unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let root = loaded.value;
        assert_eq!((root.queue.as_str(), root.log.level.as_str()), ("sqlite:q.db", "debug"));
        let clean = &root.actors["clean"];
        assert_eq!(clean.handler.socket.as_deref(), Some(Path::new("/run/app.sock")));
        assert_eq!((clean.timeout.get().as_secs(), clean.concurrency.get()), (90, 4));
    }

    #[test]
    fn a_socket_takes_the_place_of_the_files_command_of_its_only_actor() {
        let loaded = read("actors: { a: { handler: { run: x } } }", &[("OUTRIGGER_SOCKET", "s")]).unwrap();
        let handler = &loaded.value.actors["a"].handler;
        assert_eq!(
            (handler.run.as_deref(), handler.socket.as_deref()),
            (None, Some(Path::new("s")))
        );
    }

    #[test]
    fn a_short_form_that_could_be_for_anyone_is_refused_with_the_cure() {
        let two = "actors: { a: { handler: { run: x } }, b: { handler: { run: x } } }";
        assert_snapshot!(read(two, &[("OUTRIGGER_SOCKET", "s")]).unwrap_err(), @"OUTRIGGER_SOCKET: error: OUTRIGGER_SOCKET is set, and it is not said for which of 2 actors; set OUTRIGGER_ACTOR to one of a, b");
        assert_snapshot!(read("", &[("OUTRIGGER_TIMEOUT", "1s"), ("OUTRIGGER_DIALECT", "asya-2")]).unwrap_err(), @"OUTRIGGER_TIMEOUT: error: OUTRIGGER_TIMEOUT is set, and there is no actor that it could be for; name the actor in OUTRIGGER_ACTOR");
        assert_snapshot!(read(two, &[("OUTRIGGER_ACTOR", "c")]).unwrap_err(), @r#"OUTRIGGER_ACTOR: error: actor `c` has no handler; write `run: "python3 -m outrigger handler.py:process"` to have it started, or `socket: PATH` (or OUTRIGGER_SOCKET with OUTRIGGER_ACTOR=c) or `http: URL` for a process that is already there"#);
    }

    #[test]
    fn a_command_inside_a_handler_is_not_told_which_actor_to_serve() {
        let inside = environment(&[("OUTRIGGER_ACTOR", "a"), ("OUTRIGGER_HANDLER_SOCKET", "s")]);
        let root = Root::default();
        assert_eq!(chosen_actor(&inside, &root), None);
        assert_eq!(
            chosen_actor(&environment(&[("OUTRIGGER_ACTOR", "a")]), &root),
            Some("a")
        );
        let loaded = load(None, &inside).unwrap();
        assert!(
            loaded.value.actors.is_empty() && loaded.warnings.is_empty(),
            "{:?}",
            loaded.warnings
        );
    }

    #[test]
    fn a_misspelt_short_form_is_a_warning() {
        let loaded = read("", &[("OUTRIGGER_QUEU", "x")]).unwrap();
        assert_snapshot!(loaded.warnings.findings()[0], @"OUTRIGGER_QUEU: warning: OUTRIGGER_QUEU is no variable of ours; did you mean OUTRIGGER_QUEUE?");
    }
}
