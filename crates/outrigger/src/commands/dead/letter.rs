//! A failed message, and finding it.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use jiff::Timestamp;
use queues::{Queue, QueueError};
use serde::{Serialize, Serializer};
use wire::{Envelope, ErrorRecord, InvalidEnvelope, code};

use crate::{
    exit::{Code, Failure},
    human::list,
};

/// A message at the error-end.
#[derive(Debug)]
pub(super) struct Letter {
    /// Where it stands in the queue.
    pub(super) position: u64,
    /// The message, or why it is none.
    pub(super) envelope: Result<Envelope, InvalidEnvelope>,
}

/// A message in a list; `null` is unknown.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) id: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    #[serde(serialize_with = "moment")]
    pub(super) at: Option<Timestamp>,
    pub(super) attempt: Option<u32>,
}

/// Which messages are meant.
#[derive(Debug, Default)]
pub(super) struct Filter<'a> {
    pub(super) actor: Option<&'a str>,
    pub(super) code: Option<&'a str>,
}

impl Letter {
    pub(super) fn new(position: u64, body: Bytes) -> Self {
        Self {
            position,
            envelope: Envelope::decode_at_end(body),
        }
    }

    /// Its id, where it has one.
    pub(super) fn id(&self) -> Option<&str> {
        match &self.envelope {
            Ok(envelope) => Some(envelope.id()),
            Err(invalid) => invalid.id.as_deref(),
        }
    }

    /// Its bytes.
    pub(super) fn body(&self) -> &Bytes {
        match &self.envelope {
            Ok(envelope) => envelope.body(),
            Err(invalid) => &invalid.raw,
        }
    }

    /// Why it is here.
    pub(super) fn error(&self) -> Option<ErrorRecord> {
        self.envelope.as_ref().ok().and_then(Envelope::error)
    }

    /// What a list says of it.
    pub(super) fn summary(&self) -> Summary {
        let id = self.id().map(str::to_owned);
        match (&self.envelope, self.error()) {
            (Err(invalid), _) => Summary {
                id,
                actor: None,
                code: Some(code::INVALID_ENVELOPE.to_owned()),
                message: Some(invalid.why.to_string()),
                at: None,
                attempt: None,
            },
            (Ok(envelope), None) => Summary {
                id,
                actor: envelope.here().map(str::to_owned),
                code: None,
                message: None,
                at: None,
                attempt: Some(envelope.attempt()),
            },
            (Ok(_), Some(error)) => Summary {
                id,
                actor: Some(error.actor).filter(|actor| !actor.is_empty()),
                code: Some(error.code),
                message: Some(error.message),
                at: Some(error.at).filter(|at| *at != Timestamp::UNIX_EPOCH),
                attempt: Some(error.attempt),
            },
        }
    }
}

impl Filter<'_> {
    /// Whether every message is meant.
    pub(super) fn is_open(&self) -> bool {
        self.actor.is_none() && self.code.is_none()
    }

    /// Whether it is meant.
    pub(super) fn fits(&self, summary: &Summary) -> bool {
        let fits =
            |wanted: Option<&str>, found: &Option<String>| wanted.is_none_or(|wanted| found.as_deref() == Some(wanted));
        fits(self.actor, &summary.actor) && fits(self.code, &summary.code)
    }
}

/// All messages of a queue, oldest first, a page at a time.
pub(super) struct Letters<'q> {
    queue: &'q dyn Queue,
    name: &'q str,
    after: Option<u64>,
    page: VecDeque<Letter>,
}

impl<'q> Letters<'q> {
    /// Those in the queue with this full name.
    pub(super) fn new(queue: &'q dyn Queue, name: &'q str) -> Self {
        Self {
            queue,
            name,
            after: None,
            page: VecDeque::new(),
        }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<Letter>, QueueError> {
        if self.page.is_empty() {
            let page = self.queue.browse(self.name, self.after, PAGE).await?;
            self.page = page
                .into_iter()
                .map(|found| Letter::new(found.position, found.body))
                .collect();
            self.after = self.page.back().map(|last| last.position).or(self.after);
        }
        Ok(self.page.pop_front())
    }

    /// Those that ids, or beginnings of ids, name; all of those whose id stands more than once.
    ///
    /// # Errors
    /// An id that nothing here has, or a beginning that several have.
    pub(super) async fn named(mut self, ids: &[String]) -> anyhow::Result<Vec<Letter>> {
        let mut found = Vec::new();
        while let Some(letter) = self.next().await? {
            if letter
                .id()
                .is_some_and(|id| ids.iter().any(|wanted| id.starts_with(wanted.as_str())))
            {
                found.push(letter);
            }
        }
        let mut chosen = BTreeSet::new();
        for wanted in ids {
            let there: BTreeSet<&str> = found
                .iter()
                .filter_map(Letter::id)
                .filter(|id| id.starts_with(wanted.as_str()))
                .collect();
            let id = match there.first() {
                _ if there.contains(wanted.as_str()) => wanted.as_str(),
                None => return Err(unknown(wanted, self.name).into()),
                Some(id) if there.len() == 1 => id,
                Some(_) => return Err(ambiguous(wanted, &there).into()),
            };
            chosen.insert(id.to_owned());
        }
        found.retain(|letter| letter.id().is_some_and(|id| chosen.contains(id)));
        Ok(found)
    }
}

#[expect(clippy::ref_option, reason = "serde hands fields over by reference")]
fn moment<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}

fn unknown(id: &str, queue: &str) -> Failure {
    let failure = Failure::new(Code::NoInput, format!("no message in `{queue}` has the id `{id}`"));
    failure.help("`outrigger dead ls` lists those that are there")
}

fn ambiguous(beginning: &str, ids: &BTreeSet<&str>) -> Failure {
    let some: Vec<&str> = ids.iter().copied().take(5).collect();
    let more = if ids.len() > some.len() { " among others" } else { "" };
    let message = format!("{} ids begin with `{beginning}`: {}{more}", ids.len(), list(&some));
    Failure::new(Code::Usage, message).help("write more of the one that you mean")
}

const PAGE: usize = 256;
