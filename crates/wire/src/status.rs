//! What the process says of itself on its admin address.
//!
//! Data only, read by the dashboard and the command line of other processes, maybe of another version: what a reader
//! does not know it passes over ([`State::Unknown`], [`Detail::Other`]) and an unknown figure is `null`, never a guess.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of `GET /health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The whole in one word.
    pub status: Overall,
    /// The version of the program.
    pub version: String,
    /// Seconds since the process began to serve its admin address.
    pub uptime: u64,
    /// The parts of the process by name.
    #[serde(default)]
    pub components: BTreeMap<String, Condition>,
    /// Where signals go, by the name in the config.
    #[serde(default)]
    pub backends: BTreeMap<String, Condition>,
    /// What each plane says of itself.
    #[serde(default)]
    pub planes: Vec<Status>,
    /// What became of the last reload; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigStatus>,
}

/// The whole in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// Everything that is switched on works.
    Healthy,
    /// It runs, and something in it does not work.
    Degraded,
}

/// How a part does: `{"status": "ok" | "failing" | "disabled", "reason"?}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Condition {
    /// It works.
    Ok,
    /// It does not, or not yet.
    Failing {
        /// Why, for a person.
        #[serde(default)]
        reason: String,
    },
    /// It is switched off.
    Disabled {
        /// Why, for a person.
        #[serde(default)]
        reason: String,
    },
}

/// Whether the file on disk is the one that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// False when the last reload was refused and an older config runs on.
    pub ok: bool,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The body of `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// True exactly when the answer was 200.
    pub ready: bool,
    /// Every part that holds it back.
    #[serde(default)]
    pub reasons: Vec<Unready>,
}

/// A part that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unready {
    /// Its name.
    pub component: String,
    /// Why, for a person.
    pub reason: String,
}

/// What a plane says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The plane: `messages`, `signals`.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// Why it is in this state, where that is not plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

impl Status {
    /// A plane in a state, with no reason and no details.
    pub fn new(name: impl Into<String>, state: State) -> Self {
        Self {
            name: name.into(),
            state,
            reason: None,
            details: Vec::new(),
        }
    }

    /// Says why it is in this state.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// Where a plane is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// On its way up.
    Starting,
    /// It takes work.
    Ready,
    /// It takes work, and something in it does not work.
    Degraded,
    /// It takes no new work and finishes what it has.
    Draining,
    /// It takes no work and an operator may be needed.
    Failing,
    /// A state that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A thing that a plane runs, told apart by its member `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Detail {
    /// `kind: actor`.
    Actor(ActorStatus),
    /// `kind: queue`.
    Queue(QueueStatus),
    /// A kind that this version does not know, as it came.
    #[serde(untagged)]
    Other(Value),
}

/// An actor and how busy it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorStatus {
    /// The actor.
    pub name: String,
    /// The full name of the queue that it takes from.
    pub queue: String,
    /// Handler processes (1 for a foreign handler).
    pub replicas: u32,
    /// Exchanges that may run at once, over all replicas.
    pub concurrency: u32,
    /// Exchanges that run now.
    pub busy: u32,
    /// Whether it takes messages.
    pub ready: bool,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A queue and what is in it; `null` where the transport cannot tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Its full name.
    pub name: String,
    /// Messages that are ready to be taken.
    pub depth: Option<u64>,
    /// Messages that someone has taken and not settled.
    pub in_flight: Option<u64>,
    /// Seconds that the oldest ready message has waited; `null` when empty, too.
    pub oldest_s: Option<f64>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status() -> Status {
        Status {
            details: vec![
                Detail::Actor(ActorStatus {
                    name: "clean".into(),
                    queue: "dev-clean".into(),
                    replicas: 2,
                    concurrency: 8,
                    busy: 3,
                    ready: false,
                    reason: Some("handler is starting".into()),
                }),
                Detail::Queue(QueueStatus {
                    name: "dev-clean".into(),
                    depth: Some(4),
                    in_flight: Some(3),
                    oldest_s: None,
                }),
            ],
            ..Status::new("messages", State::Degraded).reason("a handler is down")
        }
    }

    #[test]
    fn a_plane_is_spelt_as_its_readers_expect() {
        assert_eq!(
            serde_json::to_value(status()).unwrap(),
            json!({"name": "messages", "state": "degraded", "reason": "a handler is down", "details": [
                {"kind": "actor", "name": "clean", "queue": "dev-clean", "replicas": 2, "concurrency": 8, "busy": 3,
                 "ready": false, "reason": "handler is starting"},
                {"kind": "queue", "name": "dev-clean", "depth": 4, "in_flight": 3, "oldest_s": null},
            ]})
        );
    }

    #[test]
    fn a_report_comes_back_as_it_was_sent() {
        let report = Report {
            status: Overall::Degraded,
            version: "1.2.3".into(),
            uptime: 7,
            components: BTreeMap::from([("queue".into(), Condition::Ok)]),
            backends: BTreeMap::from([
                (
                    "files".into(),
                    Condition::Failing {
                        reason: "disk full".into(),
                    },
                ),
                (
                    "http".into(),
                    Condition::Disabled {
                        reason: "switched off".into(),
                    },
                ),
            ]),
            planes: vec![status()],
            config: Some(ConfigStatus {
                ok: false,
                error: Some("line 3".into()),
            }),
        };
        let text = serde_json::to_string(&report).unwrap();
        assert!(
            text.contains(r#""files":{"status":"failing","reason":"disk full"}"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn a_newer_version_is_read_as_far_as_it_is_known() {
        let newer = json!({"name": "calls", "state": "hibernating", "mood": 1, "details": [
            {"kind": "route", "path": "/x"},
            {"kind": "queue", "name": "q", "depth": 1, "in_flight": null, "oldest_s": 0.5, "shards": 3},
        ]});
        let status: Status = serde_json::from_value(newer).unwrap();
        assert_eq!(status.state, State::Unknown);
        assert_eq!(status.details[0], Detail::Other(json!({"kind": "route", "path": "/x"})));
        assert!(matches!(&status.details[1], Detail::Queue(queue) if queue.depth == Some(1)));
    }
}
