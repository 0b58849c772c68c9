//! Elasticsearch and `OpenSearch`: lines as documents, through the bulk API.
//!
//! An answer speaks of each line. What is stored is never sent again, what cannot be stored now is sent again alone, first
//! by us and then at each further attempt of the batch; so nothing is lost, and, with an `_id` made of the line, nothing is
//! doubled even where an answer did not arrive.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use chassis::guard::Backoff;
use jiff::Timestamp;
use memchr::memmem;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use tracing::debug;
use uuid::Uuid;
use wire::signal::{Line, Record};

use super::{
    Capacity, Failure, Refusal, Sink, Template,
    client::{Answer, LARGEST, Server, Version},
    progress::Progress,
    template,
};
use crate::{
    batch::Batch,
    config::{DocumentId, Elasticsearch as Config},
};

/// Sends bulk requests.
#[derive(Debug)]
pub(super) struct Elasticsearch {
    server: Server,
    index: Template,
    id: DocumentId,
    lines: usize,
    progress: Progress,
}

/// The line above a document.
#[derive(Debug, Serialize)]
struct Action<'a> {
    create: Create<'a>,
}

#[derive(Debug, Serialize)]
struct Create<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// What comes back.
#[derive(Debug, Deserialize)]
struct Outcome {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    create: Stored,
}

#[derive(Debug, Deserialize)]
struct Stored {
    status: u16,
    error: Option<Fault>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    #[serde(rename = "type")]
    kind: String,
}

/// What becomes of one document.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Stored,
    Later(String),
    Never(String),
}

/// How often we send what could not be stored, before the backend counts as away.
const ROUNDS: u32 = 3;
/// Between them.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
/// What ids are made in.
const IDS: Uuid = Uuid::from_u128(0x3c1e_7d0a_5b52_4d5e_9f6b_2a41_c07d_8e13);

impl Elasticsearch {
    pub(super) fn new(config: &Config, lines: usize) -> Result<Self, String> {
        let mut server = Server::new(&config.url, config.timeout.get(), Version::Http1)?
            .below("/_bulk")
            .query("filter_path", "items.*.status,items.*.error.type")
            .header(CONTENT_TYPE, "application/x-ndjson")
            .credentials(config.basic_auth.as_ref(), config.bearer_token.as_ref())?
            .headers(&config.headers)?
            .compressed(config.compression);
        if let Some(pipeline) = &config.pipeline {
            server = server.query("pipeline", pipeline);
        }
        if let Some(key) = &config.api_key {
            if config.basic_auth.is_some() || config.bearer_token.is_some() {
                return Err("`api_key` cannot be sent beside `basic_auth` or `bearer_token`".to_owned());
            }
            server = server.value(AUTHORIZATION, &format!("ApiKey {}", key.expose()))?;
        }
        Ok(Self {
            server,
            index: index(&config.index)?,
            id: config.id,
            lines,
            progress: Progress::default(),
        })
    }

    /// The body for these lines.
    fn body(&self, batch: &Batch, places: &[usize]) -> Result<Vec<u8>, serde_json::Error> {
        let mut body = Vec::new();
        let mut wanted = places.iter().peekable();
        for (place, (parcel, line)) in batch.entries().enumerate() {
            if wanted.next_if_eq(&&place).is_none() {
                continue;
            }
            let kind = if self.index.asks_for_type() {
                template::kind(line)
            } else {
                String::new()
            };
            let mut index = self.index.fill(&parcel.source, &kind, parcel.received);
            index.make_ascii_lowercase();
            let id = match self.id {
                DocumentId::Hash => Some(Uuid::new_v5(&IDS, line).simple().to_string()),
                DocumentId::Auto => None,
            };
            let create = Create { index: &index, id };
            serde_json::to_writer(&mut body, &Action { create })?;
            body.push(b'\n');
            push_document(&mut body, line);
            body.push(b'\n');
        }
        Ok(body)
    }

    /// Sends these lines once, and notes what became of each; says why some have to be sent again.
    async fn send(&mut self, batch: &Batch, places: &[usize]) -> Result<Option<String>, Failure> {
        let body = self
            .body(batch, places)
            .map_err(|error| Failure::Refused { why: error.to_string() })?;
        let answer = self.server.send(body).await?;
        answer.judge_saying(&kind_of(&answer))?;
        let unclear = |why: &str| Failure::Away {
            why: format!("the server answered {} and {why}: is it Elasticsearch?", answer.status),
            after: None,
        };
        let outcome: Outcome =
            serde_json::from_slice(&answer.body).map_err(|_| unclear("did not say what became of each line"))?;
        if outcome.items.len() != places.len() {
            return Err(unclear("spoke of more or fewer lines than it got"));
        }
        let (mut stored, mut later) = (Vec::new(), None);
        let mut never: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, item) in places.iter().zip(&outcome.items) {
            match item.create.fate(self.id) {
                Fate::Stored => stored.push(*place),
                Fate::Later(why) => later = Some(why),
                Fate::Never(why) => never.entry(why).or_default().push(*place),
            }
        }
        for (why, places) in never {
            self.progress.refused(places, &why);
        }
        self.progress.taken(&stored);
        Ok(later)
    }
}

#[async_trait]
impl Sink for Elasticsearch {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: self.lines,
            bytes: LARGEST,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        self.progress.resume(batch);
        let (mut at_once, mut steps) = (usize::MAX, PAUSES.steps());
        let mut waiting: Vec<usize> = self.progress.open().to_vec();
        while !waiting.is_empty() {
            let places: Vec<usize> = waiting.drain(..waiting.len().min(at_once)).collect();
            match self.send(batch, &places).await {
                Ok(later) => {
                    let open = self.progress.open();
                    waiting.extend(places.iter().filter(|place| open.binary_search(place).is_ok()));
                    waiting.sort_unstable();
                    let Some(why) = later else { continue };
                    if steps.failures() + 1 >= ROUNDS {
                        return Err(Failure::Away { why, after: None });
                    }
                    let pause = steps.failed(None);
                    debug!(
                        why,
                        left = waiting.len(),
                        "some lines could not be stored, sending them again"
                    );
                    tokio::time::sleep(pause).await;
                }
                Err(Failure::TooLarge { why }) if places.len() == batch.len() => {
                    return Err(Failure::TooLarge { why });
                }
                Err(Failure::TooLarge { .. }) if places.len() > 1 => {
                    at_once = places.len().div_ceil(2);
                    waiting.splice(0..0, places);
                }
                Err(Failure::TooLarge { why } | Failure::Refused { why }) => self.progress.refused(places, &why),
                Err(away) => return Err(away),
            }
        }
        Ok(self.progress.finish())
    }
}

impl Stored {
    fn fate(&self, id: DocumentId) -> Fate {
        let kind = self.error.as_ref().map_or("", |error| &error.kind);
        let why = format!("the server answered {} for a line: {kind}", self.status);
        match self.status {
            200..=299 => Fate::Stored,
            // An attempt before had stored it.
            409 if id == DocumentId::Hash => Fate::Stored,
            429 | 500..=599 => Fate::Later(why),
            // An index that is closed to writers for now; older servers do not say 429.
            403 if kind == "cluster_block_exception" => Fate::Later(why),
            _ => Fate::Never(why),
        }
    }
}

/// The template of an index. What it begins with has to be fit for the first place of its name.
fn index(text: &str) -> Result<Template, String> {
    let wrong = |why: &str| Err(format!("index `{text}`: {why}"));
    let begins_well = text
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    if !begins_well {
        return wrong("it has to begin with a small letter or a digit, as in `signals-{source}`");
    }
    if text
        .bytes()
        .any(|byte| byte.is_ascii_uppercase() || br#"\/*?"<>| ,#:"#.contains(&byte))
    {
        return wrong(r#"capitals, spaces and \/*?"<>|,#: cannot stand in the name of an index"#);
    }
    text.parse::<Template>().or_else(|error| wrong(&error.to_string()))
}

/// What is wrong with an index that is configured.
pub(crate) fn check_index(text: &str) -> Result<(), String> {
    index(text).map(drop)
}

/// A line with its time where data streams and dashboards look for it.
fn push_document(body: &mut Vec<u8>, line: &[u8]) {
    let has_time = memmem::find(line, br#""@timestamp""#).is_some();
    let time = match Line::read(line) {
        Ok(Line::Data(Record { time, .. })) if !has_time => Timestamp::from_nanosecond(super::nanos(time)).ok(),
        _ => None,
    };
    match (time, memchr::memchr(b'{', line)) {
        (Some(time), Some(brace)) => {
            body.extend_from_slice(format!(r#"{{"@timestamp":"{time:.3}","#).as_bytes());
            body.extend_from_slice(&line[brace + 1..]);
        }
        _ => body.extend_from_slice(line),
    }
}

/// The type of the error of a whole request. Its reason may quote lines, and is not shown.
fn kind_of(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Failed {
        error: Fault,
    }
    serde_json::from_slice::<Failed>(&answer.body).map_or_else(|_| String::new(), |failed| failed.error.kind)
}

#[cfg(test)]
mod tests;
