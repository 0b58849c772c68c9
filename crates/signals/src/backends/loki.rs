//! Grafana Loki: lines in streams, one stream for each set of labels.
//!
//! Loki stores what it can of a request and answers 400 for the rest. What it names by their times in that answer is
//! refused, the other lines are stored; where it does not say which they are, the whole batch counts as refused.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderName},
};
use serde::{Serialize, Serializer};
use wire::signal::{Level, Line};

use super::{
    Capacity, Failure, Refusal, Sink,
    client::{Answer, LARGEST, Server, Version},
};
use crate::{
    batch::Batch,
    config::{LabelFrom, Loki as Config},
};

/// Pushes batches.
#[derive(Debug)]
pub(super) struct Loki {
    server: Server,
    labels: BTreeMap<String, String>,
    labels_from: Vec<LabelFrom>,
    lines: usize,
}

/// A request's body.
#[derive(Debug, Serialize)]
struct Push<'a> {
    streams: Vec<Stream<'a>>,
}

/// The entries of one set of labels, in the order of their times.
#[derive(Debug, Serialize)]
struct Stream<'a> {
    stream: BTreeMap<String, String>,
    values: Vec<Entry<'a>>,
}

/// One line; on the wire its time in nanoseconds and its text, both as strings.
#[derive(Debug)]
struct Entry<'a> {
    nanos: i128,
    text: &'a str,
    place: usize,
}

impl Loki {
    pub(super) fn new(config: &Config, lines: usize) -> Result<Self, String> {
        for name in config.labels.keys() {
            if !is_label(name) {
                return Err(format!("`{name}` is no name for a label: use letters, digits and `_`"));
            }
        }
        let mut server = Server::new(&config.url, config.timeout.get(), Version::Http1)?
            .below("/loki/api/v1/push")
            .header(CONTENT_TYPE, "application/json")
            .credentials(config.basic_auth.as_ref(), config.bearer_token.as_ref())?
            .headers(&config.headers)?
            .compressed(config.compression);
        if let Some(tenant) = &config.tenant {
            server = server.value(HeaderName::from_static("x-scope-orgid"), tenant)?;
        }
        Ok(Self {
            server,
            labels: config.labels.clone(),
            labels_from: config.labels_from.clone(),
            lines,
        })
    }

    fn push<'a>(&self, batch: &'a Batch) -> Push<'a> {
        let mut streams: BTreeMap<BTreeMap<String, String>, Vec<Entry<'a>>> = BTreeMap::new();
        for (place, (parcel, line)) in batch.entries().enumerate() {
            let mut labels = self.labels.clone();
            let mut nanos = since_1970(parcel.received);
            if let Ok(Line::Data(record)) = Line::read(line) {
                for from in &self.labels_from {
                    match from {
                        LabelFrom::Source => drop(labels.insert("source".to_owned(), record.source.to_string())),
                        LabelFrom::Type => drop(labels.insert("type".to_owned(), record.kind.to_string())),
                        LabelFrom::Level => {
                            let level = record.data().level.map(|level| plain(&level));
                            labels.extend(level.map(|level| ("level".to_owned(), level)));
                        }
                    }
                }
                nanos = super::nanos(record.time);
            }
            if labels.is_empty() {
                // A stream has at least one.
                labels.insert("source".to_owned(), parcel.source.to_string());
            }
            // Lines are UTF-8 when they are taken in.
            let text = std::str::from_utf8(line).unwrap_or_default();
            streams.entry(labels).or_default().push(Entry { nanos, text, place });
        }
        let streams = streams.into_iter().map(|(stream, mut values)| {
            values.sort_by_key(|entry| entry.nanos);
            Stream { stream, values }
        });
        Push {
            streams: streams.collect(),
        }
    }
}

#[async_trait]
impl Sink for Loki {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: self.lines,
            bytes: LARGEST,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let push = self.push(batch);
        let body = serde_json::to_vec(&push).map_err(|error| Failure::Refused { why: error.to_string() })?;
        let answer = self.server.send(body).await?;
        if answer.status == StatusCode::BAD_REQUEST
            && let Some(lines) = push.ignored(&answer)
        {
            let why = format!("the server answered {}: {}", answer.status, answer.words());
            return Ok(vec![Refusal { lines, why }]);
        }
        answer.judge_saying(&answer.words())
    }
}

impl Push<'_> {
    /// The places of the lines that Loki says it has left out, where it names them all. It does so as
    /// ``entry with timestamp 2024-05-01 10:00:00 +0000 UTC ignored, reason: '...'``, a few for each stream, and ends with
    /// `total ignored: 2 out of 5`.
    fn ignored(&self, answer: &Answer) -> Option<Vec<usize>> {
        let text = str::from_utf8(&answer.body).ok()?;
        let totals = text.split("total ignored: ").skip(1);
        let total: usize = totals
            .map(|rest| rest.split_whitespace().next()?.parse::<usize>().ok())
            .sum::<Option<usize>>()?;
        let named: Vec<i128> = text
            .split("entry with timestamp ")
            .skip(1)
            .filter_map(|rest| go_time(rest.split_once(" ignored")?.0))
            .collect();
        let entries = self.streams.iter().flat_map(|stream| &stream.values);
        let mut places: Vec<usize> = entries
            .filter(|entry| named.contains(&entry.nanos))
            .map(|entry| entry.place)
            .collect();
        places.sort_unstable();
        (total > 0 && places.len() == total).then_some(places)
    }
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.nanos.to_string(), self.text).serialize(serializer)
    }
}

/// A time as Go prints it: `2024-05-01 10:00:00.5 +0000 UTC`.
fn go_time(text: &str) -> Option<i128> {
    let mut words = text.split_whitespace();
    let (day, time, zone) = (words.next()?, words.next()?, words.next()?);
    let time: Timestamp = format!("{day}T{time}{zone}").parse().ok()?;
    Some(time.as_nanosecond())
}

/// A level by its one name, so that `WARNING` and `warn` are one stream.
fn plain(level: &str) -> String {
    match Level::named(level) {
        Some(Level::Debug) => "debug",
        Some(Level::Info) => "info",
        Some(Level::Warn) => "warn",
        Some(Level::Error) => "error",
        Some(Level::Fatal) => "fatal",
        None => level,
    }
    .to_owned()
}

fn since_1970(time: std::time::SystemTime) -> i128 {
    Timestamp::try_from(time).unwrap_or_default().as_nanosecond()
}

/// Whether Loki takes a name for a label.
fn is_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        backends::testing::{Asked, Reply, Site, away},
        batch::testing::{batch, batch_of},
    };

    const WARN: &str = r#"{"src":"a","ts":1714557600002,"type":"event","data":{"level":"WARNING","msg":"w"}}"#;
    const EARLIER: &str = r#"{"src":"a","ts":1714557600001.5,"type":"event","data":{"level":"warn"}}"#;
    const METRIC: &str = r#"{"src":"b","ts":1714557600000,"type":"metric","data":{"name":"m","value":1}}"#;

    fn loki(site: &Site, more: Value) -> Loki {
        Loki::new(&site.config("", more), 100).unwrap()
    }

    /// Keeps to what Loki's push API asks for.
    fn check(asked: &Asked) -> Vec<Value> {
        assert_eq!((&*asked.method, &*asked.path), ("POST", "/loki/api/v1/push"));
        assert_eq!(asked.header("content-type"), Some("application/json"));
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let streams = body["streams"].as_array().unwrap().clone();
        for stream in &streams {
            let labels = stream["stream"].as_object().unwrap();
            assert!(!labels.is_empty() && labels.iter().all(|(name, value)| is_label(name) && value.is_string()));
            let times = stream["values"].as_array().unwrap().iter().map(|entry| {
                assert_eq!(entry.as_array().unwrap().len(), 2);
                assert!(entry[1].is_string());
                entry[0].as_str().unwrap().parse::<i64>().unwrap()
            });
            assert!(times.is_sorted());
        }
        streams
    }

    #[tokio::test]
    async fn lines_go_into_the_streams_of_their_labels_in_the_order_of_their_times() {
        let site = Site::answering([Reply::status(204)]).await;
        let more = json!({ "labels": { "env": "prod" }, "tenant": "team", "bearer_token": "t" });
        let mut loki = loki(&site, more);
        let batch = batch_of(&[("a", &[WARN, EARLIER]), ("b", &[METRIC])]);
        assert_eq!(loki.deliver(&batch).await, Ok(vec![]));
        let asked = site.asked();
        let wanted = json!([
            {
                "stream": { "env": "prod", "level": "warn", "source": "a", "type": "event" },
                "values": [["1714557600001500000", EARLIER], ["1714557600002000000", WARN]],
            },
            {
                "stream": { "env": "prod", "source": "b", "type": "metric" },
                "values": [["1714557600000000000", METRIC]],
            },
        ]);
        assert_eq!(Value::from(check(&asked[0])), wanted);
        assert_eq!(asked[0].header("x-scope-orgid"), Some("team"));
        assert_eq!(asked[0].header("authorization"), Some("Bearer t"));
    }

    #[tokio::test]
    async fn a_stream_has_a_label_even_where_none_is_asked_for() {
        let site = Site::answering([Reply::status(204)]).await;
        let more = json!({ "labels_from": [], "basic_auth": { "username": "u", "password": "p" } });
        assert_eq!(loki(&site, more).deliver(&batch("a", &[WARN])).await, Ok(vec![]));
        let asked = site.asked();
        assert_eq!(check(&asked[0])[0]["stream"], json!({ "source": "a" }));
        assert_eq!(asked[0].header("authorization"), Some("Basic dTpw"));
    }

    #[tokio::test]
    async fn lines_that_are_named_as_too_late_are_refused_alone() {
        let said = "entry with timestamp 2024-05-01 10:00:00.0015 +0000 UTC ignored, reason: 'entry too far behind, entry \
            timestamp is: 2024-05-01T10:00:00Z, oldest acceptable timestamp is: 2024-05-01T11:00:00Z',\nuser 'fake', \
            total ignored: 1 out of 2 for stream: {source=\"a\"}";
        let site = Site::answering([Reply::status(400).body(said)]).await;
        let refused = loki(&site, json!({}))
            .deliver(&batch("a", &[WARN, EARLIER]))
            .await
            .unwrap();
        assert_eq!(refused[0].lines, [1]);
        assert!(refused[0].why.contains("too far behind"), "{}", refused[0].why);
    }

    #[tokio::test]
    async fn where_it_is_not_said_which_lines_the_whole_batch_is_refused() {
        let some = "entry with timestamp 2024-05-01 10:00:00.0015 +0000 UTC ignored, reason: 'entry out of order',\n\
            total ignored: 2 out of 2";
        let site = Site::answering([
            Reply::status(400).body(some),
            Reply::status(400).body("entry out of order"),
        ])
        .await;
        let mut loki = loki(&site, json!({}));
        for _ in 0..2 {
            let delivered = loki.deliver(&batch("a", &[WARN, EARLIER])).await;
            assert!(
                matches!(&delivered, Err(Failure::Refused { why }) if why.contains("out of order")),
                "{delivered:?}"
            );
        }
    }

    #[tokio::test]
    async fn each_answer_has_its_meaning() {
        let replies = [
            Reply::status(413),
            Reply::status(429).header("retry-after", "2"),
            Reply::status(500),
            Reply::Reset,
            Reply::Hang,
            Reply::status(204),
        ];
        let site = Site::answering(replies).await;
        let mut loki = loki(&site, json!({ "timeout": "200ms" }));
        let batch = batch("a", &[WARN]);
        assert!(matches!(loki.deliver(&batch).await, Err(Failure::TooLarge { .. })));
        assert_eq!(away(loki.deliver(&batch).await), Some(Duration::from_secs(2)));
        for _ in ["500", "reset", "hang"] {
            assert_eq!(away(loki.deliver(&batch).await), None);
        }
        assert_eq!(loki.deliver(&batch).await, Ok(vec![]));
    }

    #[test]
    fn a_label_that_loki_would_refuse_is_said_at_once() {
        let config = json!({ "url": "http://a", "labels": { "a-b": "c" } });
        assert!(Loki::new(&serde_json::from_value(config).unwrap(), 1).is_err());
    }
}
