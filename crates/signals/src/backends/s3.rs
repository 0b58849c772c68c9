//! Objects in S3, or in what speaks like it.
//!
//! The one rule: a batch that is tried again writes the same objects under the same names, so that what had arrived of it
//! does not stand there twice.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use flate2::{Compression, write::GzEncoder};
use jiff::{Timestamp, tz::TimeZone};
use object_store::{
    ClientOptions, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpClient, HttpConnector},
    path::Path,
};
use tokio::task::spawn_blocking;

use super::{
    Capacity, Failure, Refusal, Sink,
    client::{self as http, Version},
    template::{self, Template},
};
use crate::{batch::Batch, config};

/// Puts batches.
#[derive(Debug)]
pub(super) struct Objects {
    store: AmazonS3,
    prefix: Template,
    bytes: usize,
    level: Compression,
    /// The batch that did not arrive yet, with the objects that it becomes.
    pending: Option<(Batch, Vec<Object>)>,
}

#[derive(Debug)]
struct Object {
    name: Path,
    packed: bytes::Bytes,
    has_arrived: bool,
}

/// Connections as all of us make them: over rustls, trusting the system's authorities.
#[derive(Debug)]
struct Connector {
    timeout: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = http::client(self.timeout, Version::Http1).map_err(|why| object_store::Error::Generic {
            store: "S3",
            source: why.into(),
        })?;
        Ok(HttpClient::new(client))
    }
}

impl Objects {
    pub(super) fn new(config: &config::S3) -> Result<Self, String> {
        // The runner tries again, and tells of it.
        let retry = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&config.bucket)
            .with_http_connector(Connector {
                timeout: config.timeout.get(),
            })
            .with_retry(retry);
        if let Some(region) = &config.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &config.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"));
        }
        if let (Some(id), Some(key)) = (&config.access_key_id, &config.secret_access_key) {
            builder = builder
                .with_access_key_id(id.expose())
                .with_secret_access_key(key.expose());
        }
        if let Some(token) = &config.session_token {
            builder = builder.with_token(token.expose());
        }
        Ok(Self {
            store: builder.build().map_err(|error| chassis::telemetry::in_full(&error))?,
            prefix: config
                .prefix
                .parse()
                .map_err(|error: template::BadTemplate| error.to_string())?,
            bytes: config.max_bytes.len().max(1),
            level: Compression::new(config.level.get()),
            pending: None,
        })
    }

    /// The objects that a batch becomes; those of the try before, where there was one.
    async fn objects(&mut self, batch: &Batch) -> Result<Vec<Object>, String> {
        if let Some((before, objects)) = self.pending.take()
            && before.is(batch)
        {
            return Ok(objects);
        }
        let (prefix, level, batch) = (self.prefix.clone(), self.level, batch.clone());
        spawn_blocking(move || pack(&prefix, level, &batch))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }
}

/// One compressed object for each beginning of a name.
fn pack(prefix: &Template, level: Compression, batch: &Batch) -> io::Result<Vec<Object>> {
    let mut texts: BTreeMap<String, GzEncoder<Vec<u8>>> = BTreeMap::new();
    for (parcel, line) in batch.entries() {
        let kind = if prefix.asks_for_type() {
            template::kind(line)
        } else {
            String::new()
        };
        let beginning = prefix.fill(&parcel.source, &kind, parcel.received);
        let text = texts
            .entry(beginning)
            .or_insert_with(|| GzEncoder::new(Vec::new(), level));
        text.write_all(line)?;
        text.write_all(b"\n")?;
    }
    let ending = ending();
    let pack = |(beginning, text): (String, GzEncoder<Vec<u8>>)| {
        Ok(Object {
            name: Path::from(format!("{beginning}{ending}")),
            packed: text.finish()?.into(),
            has_arrived: false,
        })
    };
    texts.into_iter().map(pack).collect()
}

/// The end of an object's name: the time, and a random id.
fn ending() -> String {
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    let now = now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%S.%3fZ");
    format!("{now}-{:016x}.jsonl.gz", fastrand::u64(..))
}

#[async_trait]
impl Sink for Objects {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: usize::MAX,
            bytes: self.bytes,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let away = |why: String| Failure::Away { why, after: None };
        let mut objects = self.objects(batch).await.map_err(away)?;
        let mut failed = None;
        for object in objects.iter_mut().filter(|object| !object.has_arrived) {
            match self.store.put(&object.name, object.packed.clone().into()).await {
                Ok(_) => object.has_arrived = true,
                Err(error) => {
                    failed = Some(chassis::telemetry::in_full(&error));
                    break;
                }
            }
        }
        match failed {
            None => Ok(Vec::new()),
            Some(why) => {
                self.pending = Some((batch.clone(), objects));
                Err(away(why))
            }
        }
    }

    async fn close(&mut self) {
        self.pending = None;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::batch::testing::batch;

    #[test]
    fn each_beginning_has_an_object_of_whole_lines() {
        let lines = [
            r#"{"src":"a/b","ts":1,"type":"event"}"#,
            r#"{"src":"a/b","ts":2,"type":"metric"}"#,
            r#"{"src":"a/b","ts":3,"type":"event"}"#,
        ];
        let prefix = "logs/{source}/{type}/".parse().unwrap();
        let objects = pack(&prefix, Compression::fast(), &batch("a/b", &lines)).unwrap();
        let read = |object: &Object| {
            let mut text = String::new();
            flate2::read::GzDecoder::new(&object.packed[..])
                .read_to_string(&mut text)
                .unwrap();
            text
        };
        assert_eq!(objects.len(), 2);
        let names: Vec<&str> = objects.iter().map(|object| object.name.as_ref()).collect();
        assert!(
            names[0].starts_with("logs/a_b-") && names[0].contains("/event/20"),
            "{names:?}"
        );
        assert!(names[0].ends_with(".jsonl.gz"), "{names:?}");
        assert_eq!(read(&objects[0]), format!("{}\n{}\n", lines[0], lines[2]));
        assert_eq!(read(&objects[1]), format!("{}\n", lines[1]));
    }
}
