//! What is told of a job on the queue that its `reply_to` names.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Json;

/// One thing that happened to a message of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEvent {
    /// What happened.
    pub event: Happening,
    /// The root id of the job.
    pub job: String,
    /// The message.
    pub id: String,
    /// The message that it came from by a fan-out.
    pub parent_id: Option<String>,
    /// The actor that has it.
    pub actor: String,
    /// The index of that actor in the route.
    pub current: i64,
    /// Counts the events of one delivery, from 0.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What the event says besides: progress, a piece of the result, the ids of outputs, the result, the error.
    pub data: Option<Json>,
}

/// What happened to a message of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Happening {
    /// An actor has it.
    Received,
    /// Its handler says how far it is.
    Progress,
    /// Its handler gives a piece of the result.
    Partial,
    /// Its outputs are on their way; the data are their ids.
    Forwarded,
    /// It is at its end.
    Done,
    /// It is at error-end.
    Failed,
}

impl JobEvent {
    /// The text that is put on the queue.
    pub fn to_bytes(&self) -> Bytes {
        let text = Text {
            event: self.event,
            job: self.job.clone(),
            id: self.id.clone(),
            parent_id: self.parent_id.clone(),
            actor: self.actor.clone(),
            current: self.current,
            seq: self.seq,
            at: self.at.to_string(),
            data: self.data.clone(),
        };
        Json::from_value(&text).bytes().clone()
    }

    /// Reads one; `None` when it is none, or of a newer kind.
    pub fn read(body: &Bytes) -> Option<Self> {
        let text: Text = serde_json::from_slice(body).ok()?;
        Some(Self {
            event: text.event,
            job: text.job,
            id: text.id,
            parent_id: text.parent_id,
            actor: text.actor,
            current: text.current,
            seq: text.seq,
            at: text.at.parse().ok()?,
            data: text.data,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Text {
    event: Happening,
    job: String,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    actor: String,
    current: i64,
    seq: u64,
    at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Json>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> JobEvent {
        JobEvent {
            event: Happening::Forwarded,
            job: "j".into(),
            id: "m".into(),
            parent_id: Some("p".into()),
            actor: "clean".into(),
            current: 1,
            seq: 3,
            at: "2026-03-04T05:06:07.25Z".parse().unwrap(),
            data: Some(Json::from_value(&["x", "y"])),
        }
    }

    #[test]
    fn an_event_is_spelt_as_its_readers_expect() {
        assert_eq!(
            event().to_bytes(),
            r#"{"event":"forwarded","job":"j","id":"m","parent_id":"p","actor":"clean","current":1,"seq":3,"at":"2026-03-04T05:06:07.25Z","data":["x","y"]}"#
        );
        let bare = JobEvent {
            event: Happening::Received,
            parent_id: None,
            data: None,
            ..event()
        };
        assert_eq!(
            bare.to_bytes(),
            r#"{"event":"received","job":"j","id":"m","actor":"clean","current":1,"seq":3,"at":"2026-03-04T05:06:07.25Z"}"#
        );
    }

    #[test]
    fn an_event_comes_back_as_it_was_sent_and_others_are_passed_over() {
        assert_eq!(JobEvent::read(&event().to_bytes()), Some(event()));
        for text in [
            "",
            "{}",
            r#"{"event":"paused","job":"j","id":"m","actor":"a","current":1,"seq":3,"at":"x"}"#,
        ] {
            assert_eq!(JobEvent::read(&Bytes::from_static(text.as_bytes())), None, "{text}");
        }
    }
}
