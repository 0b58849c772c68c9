//! Asya mode: the environment of a pod that ran Asya's own sidecar, read as ours.
//!
//! The one rule: what the environment says stands over the file, and what it only brings about (the exchange, the
//! socket, the dialect) gives way to it; every `OUTRIGGER_*` variable is stronger than both. As that sidecar did, an
//! empty variable is taken for none.

mod broker;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chassis::config::{Overlay, Path as Key, Sources};
use wire::valid_actor;

/// The one actor of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    /// Its name.
    pub(super) actor: String,
    /// What is spoken with its runtime, where nothing else is said.
    pub(super) dialect: &'static str,
}

type Environment = BTreeMap<String, String>;

/// Whether the environment is that of an Asya pod.
pub(super) fn is_on(environment: &Environment) -> bool {
    let inside = environment.contains_key("OUTRIGGER_HANDLER_SOCKET");
    !inside
        && [QUEUE_NAME, ACTOR_NAME, TRANSPORT]
            .iter()
            .any(|name| set(environment, name).is_some())
}

/// The actor that the environment names; `prefix` stands before the names of queues.
pub(super) fn actor<'e>(environment: &'e Environment, prefix: &str) -> Option<&'e str> {
    if !is_on(environment) {
        return None;
    }
    let queue = || set(environment, QUEUE_NAME).map(|queue| queue.strip_prefix(prefix).unwrap_or(queue));
    set(environment, ACTOR_NAME).or_else(queue)
}

/// Lays the environment over the sources, for the actor `chosen` or the one that it names itself; `None` where it names
/// none, which is said.
pub(super) fn lay(
    mut sources: Sources,
    environment: &Environment,
    prefix: &str,
    chosen: Option<&str>,
) -> (Sources, Option<Pod>) {
    sources = unread(sources, environment);
    let Some(name) = chosen.or_else(|| actor(environment, prefix)) else {
        let help = "name the actor in ASYA_ACTOR_NAME";
        return (sources.with_trouble(TRANSPORT, "no actor is named", help), None);
    };
    if !valid_actor(name) {
        let variable = if set(environment, ACTOR_NAME).is_some() {
            ACTOR_NAME
        } else {
            QUEUE_NAME
        };
        let help = "name it in ASYA_ACTOR_NAME with letters, digits, `_` and `-`, at most 63, a letter or digit first";
        return (
            sources.with_trouble(variable, format!("`{name}` is no name for an actor"), help),
            None,
        );
    }
    let key = |rest: &str| Key::from(["actors", name]).join(rest);
    sources = broker::lay(sources, environment);
    if let Some(queue) = set(environment, QUEUE_NAME).filter(|queue| *queue != format!("{prefix}{name}")) {
        sources = sources.with_overlay(Overlay::fixed(QUEUE_NAME, key("queue"), queue));
    }
    if let Some(timeout) = set(environment, TIMEOUT) {
        sources = sources.with_overlay(Overlay::fixed(TIMEOUT, key("timeout"), timeout));
    }
    for (variable, end) in ENDS {
        if let Some(queue) = set(environment, variable) {
            sources = sources.with_overlay(Overlay::fixed(variable, format!("ends.{end}.name").as_str(), queue));
        }
    }
    sources = end_actor(sources, environment, name);
    sources = telemetry(sources, environment);

    let pod = Pod {
        actor: name.to_owned(),
        dialect: if set(environment, QUEUE_NAME).is_some() {
            "plain"
        } else {
            "asya-2"
        },
    };
    let (variable, socket) = socket(environment);
    let handler = serde_json::json!({ "socket": socket, "dialect": pod.dialect }).to_string();
    let overlay = if SOCKETS.contains(&variable) {
        Overlay::fixed(variable, key("handler"), handler)
    } else {
        Overlay::fallback(variable, key("handler"), handler)
    };
    sources = sources.with_overlay(overlay);
    (sources, Some(pod))
}

/// Where the runtime's socket is, and the variable that says so.
fn socket(environment: &Environment) -> (&'static str, String) {
    let [path, folder, file] = SOCKETS;
    if let Some(socket) = set(environment, path) {
        return (path, socket.to_owned());
    }
    let named = set(environment, folder).is_some() || set(environment, file).is_some();
    if !named && set(environment, QUEUE_NAME).is_some() {
        // Where the sidecars that knew this variable looked.
        return (QUEUE_NAME, "/tmp/sockets/app.sock".to_owned());
    }
    let name = set(environment, file).unwrap_or("asya-runtime.sock");
    let place = set(environment, folder)
        .unwrap_or("/var/run/asya")
        .trim_end_matches('/');
    let variable = if set(environment, folder).is_some() {
        folder
    } else if named {
        file
    } else {
        ACTOR_NAME
    };
    (variable, format!("{place}/{name}"))
}

/// An actor that is said to be an end becomes one, whatever it is called.
fn end_actor(sources: Sources, environment: &Environment, name: &str) -> Sources {
    let Some(text) = set(environment, IS_END) else {
        return sources;
    };
    let is_end = match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => true,
        "false" | "0" | "no" | "off" => false,
        _ => {
            return sources.with_trouble(
                IS_END,
                format!("`{text}` is neither true nor false"),
                "write `true` or `false`",
            );
        }
    };
    let end = |which: &str, usual: &str| {
        let mut named = ENDS.iter().rev().filter(|(_, end)| *end == which);
        let queue = named.find_map(|(variable, _)| set(environment, variable));
        queue.unwrap_or(usual) == name
    };
    if !is_end || end("happy", "happy-end") || end("error", "error-end") {
        return sources;
    }
    sources.with_overlay(Overlay::fixed(IS_END, "ends.happy.name", name))
}

fn telemetry(mut sources: Sources, environment: &Environment) -> Sources {
    if let Some(text) = set(environment, LOG_LEVEL) {
        let level = match text.to_ascii_lowercase().as_str() {
            "debug" => Some("debug"),
            "info" => Some("info"),
            "warning" | "warn" => Some("warn"),
            "error" | "critical" => Some("error"),
            _ => None,
        };
        sources = match level {
            Some(level) => sources.with_overlay(Overlay::fixed(LOG_LEVEL, "log.level", level)),
            None => {
                let help = "write DEBUG, INFO, WARNING or ERROR";
                sources.with_trouble(LOG_LEVEL, format!("`{text}` is no level"), help)
            }
        };
    }
    if let Some(address) = set(environment, METRICS) {
        let everywhere = address.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
        let address = everywhere.unwrap_or_else(|| address.to_owned());
        sources = sources.with_overlay(Overlay::fixed(METRICS, "admin.listen", address));
    }
    if set(environment, GATEWAY).is_some() {
        sources = sources.with_warning(
            GATEWAY,
            "ASYA_GATEWAY_URL is taken, and no progress is reported to a gateway yet",
            "leave it where it is: nothing else depends on it",
        );
    }
    sources
}

/// One warning for each variable that nobody here reads.
fn unread(mut sources: Sources, environment: &Environment) -> Sources {
    for name in environment.keys().filter(|name| name.starts_with("ASYA_")) {
        // Kubernetes makes variables of the names of services.
        let injected = name.ends_with("_SERVICE_HOST") || name.contains("_PORT");
        if READ.contains(&name.as_str()) || broker::reads(name) || injected {
            continue;
        }
        let hint = HINTS.iter().find(|(known, _)| known == name);
        let help = hint.map_or("take it out where nobody else reads it", |(_, help)| *help);
        sources = sources.with_warning(name, format!("{name} is not read here"), help);
    }
    sources
}

/// The value of a variable that is set to something.
fn set<'e>(environment: &'e Environment, name: &str) -> Option<&'e str> {
    environment
        .get(name)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}

const QUEUE_NAME: &str = "ASYA_QUEUE_NAME";
const ACTOR_NAME: &str = "ASYA_ACTOR_NAME";
const TRANSPORT: &str = "ASYA_TRANSPORT";
const TIMEOUT: &str = "ASYA_RUNTIME_TIMEOUT";
const IS_END: &str = "ASYA_IS_END_ACTOR";
const LOG_LEVEL: &str = "ASYA_LOG_LEVEL";
const METRICS: &str = "ASYA_METRICS_ADDR";
const GATEWAY: &str = "ASYA_GATEWAY_URL";

/// Where the runtime is: a path, or a folder and a name.
const SOCKETS: [&str; 3] = ["ASYA_SOCKET_PATH", "ASYA_SOCKET_DIR", "ASYA_SOCKET_NAME"];

/// The names of the ends; the later ones are stronger.
const ENDS: [(&str, &str); 4] = [
    ("ASYA_STEP_HAPPY_END", "happy"),
    ("ASYA_STEP_ERROR_END", "error"),
    ("ASYA_ACTOR_HAPPY_END", "happy"),
    ("ASYA_ACTOR_ERROR_END", "error"),
];

/// All that is read, but for the broker's.
const READ: [&str; 15] = [
    QUEUE_NAME, ACTOR_NAME, TRANSPORT, TIMEOUT, IS_END, LOG_LEVEL, METRICS, GATEWAY, SOCKETS[0], SOCKETS[1],
    SOCKETS[2], ENDS[0].0, ENDS[1].0, ENDS[2].0, ENDS[3].0,
];

/// What takes the place of variables that some of those sidecars read.
const HINTS: [(&str, &str); 9] = [
    (
        "ASYA_NAMESPACE",
        "where queues are called `asya-NAMESPACE-ACTOR`, set OUTRIGGER__PREFIX to `asya-NAMESPACE-`",
    ),
    ("ASYA_RESILIENCY_ACTOR_TIMEOUT", "set OUTRIGGER_TIMEOUT"),
    ("ASYA_ACTOR_SINK", "set ASYA_ACTOR_HAPPY_END"),
    ("ASYA_ACTOR_SUMP", "set ASYA_ACTOR_ERROR_END"),
    ("ASYA_IS_TERMINAL", "set ASYA_IS_END_ACTOR"),
    (
        "ASYA_METRICS_ENABLED",
        "metrics are always there; set ASYA_METRICS_ADDR to say where",
    ),
    ("ASYA_METRICS_NAMESPACE", "the names of metrics begin with `sidecar_`"),
    ("ASYA_CUSTOM_METRICS", "metrics are those of the reference"),
    (
        "ASYA_RESILIENCY_RETRY_MAX_ATTEMPTS",
        "set `retry` of the actor, as in OUTRIGGER__ACTORS__NAME__RETRY__ATTEMPTS",
    ),
];
