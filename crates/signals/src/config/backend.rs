//! A backend's settings, in either spelling: beside its `type`, or below `config`.

use std::{borrow::Cow, num::NonZeroUsize, path::PathBuf};

use chassis::config::{ByteSize, Duration, Secret};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use super::{Elasticsearch, File, Http, Loki, Otlp, Postgres, Prometheus, S3, Sqlite, Syslog};

/// Where lines go.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// Whether it is used. Default true.
    pub enabled: bool,
    /// What all backends have.
    pub settings: Settings,
    /// What it is, with its own settings.
    pub kind: Kind,
    /// As it was written, `config` unfolded; so that a rule can lay its own settings over it.
    written: Map<String, Value>,
    /// A key that means nothing here was given.
    pub(super) has_priority: bool,
}

/// What all backends have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// What is done with a line for which there is no room. Default: hold the sender back while the backend succeeds,
    /// `drop_newest` while it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_full: Option<WhenFull>,
    /// Where lines wait for it. Default in memory.
    pub buffer: Storage,
    /// Lines that wait for it, at most. Default that of `buffers`; on disk none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queue_size: Option<NonZeroUsize>,
    /// How long a line waits for others to go with it. Default that of `buffers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flush_interval: Option<Duration>,
    /// So many lines do not wait any longer; and, where a request carries a batch, go together at most. Default that
    /// of `buffers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flush_batch_size: Option<NonZeroUsize>,
    /// A file for lines that the backend refuses for good; relative to the configuration's folder. Default none: they are
    /// counted and gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<PathBuf>,
}

/// Where lines wait for a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, tag = "type", rename_all = "snake_case")]
pub enum Storage {
    /// In memory: they are gone with the process.
    Memory {},
    /// In a file of the backend's own, `.outrigger/signals/NAME.db` in the configuration's folder: they outlive the
    /// process, not the machine.
    Disk {
        /// How large the file may become, as `256MiB`. At least 1 MiB, default 1 GiB.
        #[serde(default = "gibibyte")]
        #[schemars(default = "gibibyte")]
        max_bytes: ByteSize,
    },
}

impl Default for Storage {
    fn default() -> Self {
        Self::Memory {}
    }
}

fn gibibyte() -> ByteSize {
    ByteSize::mib(1024)
}

/// What is done with a line for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The sender is held back until there is.
    Hold,
    /// It is dropped.
    DropNewest,
    /// The one that has waited longest is dropped.
    DropOldest,
    /// Of those that come while more than half is full, fewer and fewer are kept.
    Sample,
}

/// What a backend is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Kind {
    /// Files.
    File(File),
    /// The standard output.
    Stdout(Stdout),
    /// Requests to a server.
    Http(Http),
    /// Grafana Loki.
    Loki(Loki),
    /// Elasticsearch or `OpenSearch`.
    Elasticsearch(Elasticsearch),
    /// A collector of OpenTelemetry.
    Otlp(Otlp),
    /// Series of Prometheus.
    Prometheus(Prometheus),
    /// Messages to a syslog server.
    Syslog(Syslog),
    /// Rows in a file.
    Sqlite(Sqlite),
    /// Rows in `PostgreSQL`.
    Postgres(Postgres),
    /// Objects in S3.
    S3(S3),
    /// Nowhere: counted, and gone.
    Blackhole,
}

/// How bytes are made fewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
}

/// Lines on the standard output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stdout {}

impl Backend {
    /// Reads one from its members.
    ///
    /// # Errors
    /// What is wrong with them, in one sentence.
    fn read(mut written: Map<String, Value>) -> Result<Self, String> {
        if let Some(below) = written.remove("config") {
            match below {
                Value::Object(below) => written.extend(below),
                Value::Null => {}
                _ => return Err("`config` has to be a mapping".to_owned()),
            }
        }
        let mut own = written.clone();
        let has_priority = own.remove("priority").is_some();
        let enabled = match own.remove("enabled") {
            None | Some(Value::Null) => true,
            Some(Value::Bool(enabled)) => enabled,
            Some(_) => return Err("`enabled` has to be true or false".to_owned()),
        };
        let Some(Value::String(name)) = own.remove("type") else {
            return Err("`type` is missing".to_owned());
        };
        let mut shared = Map::new();
        for key in SHARED {
            if let Some(value) = own.remove(*key) {
                shared.insert((*key).to_owned(), value);
            }
        }
        let settings = from(shared)?;
        let kind = match name.as_str() {
            "file" | "filesystem" => Kind::File(from(own)?),
            "stdout" | "console" => from::<Stdout>(own).map(Kind::Stdout)?,
            "http" | "webhook" => Kind::Http(from(own)?),
            "loki" => Kind::Loki(from(own)?),
            "elasticsearch" | "opensearch" => Kind::Elasticsearch(from(own)?),
            "otlp" => Kind::Otlp(from(own)?),
            "prometheus" => Kind::Prometheus(from(own)?),
            "syslog" => Kind::Syslog(from(own)?),
            "sqlite" => Kind::Sqlite(from(own)?),
            "postgres" | "timescaledb" => Kind::Postgres(from(own)?),
            "s3" => Kind::S3(from(own)?),
            "blackhole" => from::<Stdout>(own).map(|_| Kind::Blackhole)?,
            other => return Err(format!("there is no backend of type `{other}`")),
        };
        Ok(Self {
            enabled,
            settings,
            kind,
            written,
            has_priority,
        })
    }

    /// The same backend with other settings.
    ///
    /// # Errors
    /// What is wrong with them, in one sentence.
    pub fn with(&self, settings: &Map<String, Value>) -> Result<Self, String> {
        if settings.contains_key("type") {
            return Err("a rule cannot change the `type` of a backend".to_owned());
        }
        let mut written = self.written.clone();
        written.extend(settings.clone());
        Self::read(written)
    }
}

fn from<T: for<'de> Deserialize<'de>>(members: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())
}

impl<'de> Deserialize<'de> for Backend {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Map::deserialize(deserializer)?;
        Self::read(written).map_err(D::Error::custom)
    }
}

impl Serialize for Backend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = Value::Object(self.written.clone());
        mask(
            &mut shown,
            &serde_json::to_value(&self.kind).map_err(serde::ser::Error::custom)?,
        );
        shown.serialize(serializer)
    }
}

/// Hides in what was written all that is hidden in what was read.
fn mask(written: &mut Value, read: &Value) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (key, value) in written {
                if let Some(read) = read.get(key) {
                    mask(value, read);
                }
            }
        }
        (written, Value::String(text)) if *text == Secret::default().to_string() => *written = read.clone(),
        _ => {}
    }
}

impl JsonSchema for Backend {
    fn schema_name() -> Cow<'static, str> {
        "Backend".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let members = |schema: Schema| match schema.to_value().get("properties") {
            Some(Value::Object(members)) => members.clone(),
            _ => Map::new(),
        };
        let shared = members(Settings::json_schema(generator));
        let kinds: [(&[&str], Schema); 12] = [
            (&["file", "filesystem"], File::json_schema(generator)),
            (&["stdout", "console"], Stdout::json_schema(generator)),
            (&["http", "webhook"], Http::json_schema(generator)),
            (&["loki"], Loki::json_schema(generator)),
            (&["elasticsearch", "opensearch"], Elasticsearch::json_schema(generator)),
            (&["otlp"], Otlp::json_schema(generator)),
            (&["prometheus"], Prometheus::json_schema(generator)),
            (&["syslog"], Syslog::json_schema(generator)),
            (&["sqlite"], Sqlite::json_schema(generator)),
            (&["postgres", "timescaledb"], Postgres::json_schema(generator)),
            (&["s3"], S3::json_schema(generator)),
            (&["blackhole"], Stdout::json_schema(generator)),
        ];
        let alternatives = kinds.into_iter().map(|(names, schema)| {
            let mut below = members(schema);
            below.extend(shared.clone());
            let mut all = below.clone();
            all.insert("type".into(), serde_json::json!({ "enum": names, "description": "What it is." }));
            all.insert(
                "enabled".into(),
                serde_json::json!({ "type": "boolean", "default": true, "description": "Whether it is used. Default true." }),
            );
            all.insert("priority".into(), serde_json::json!({ "description": "Without meaning here." }));
            all.insert(
                "config".into(),
                serde_json::json!({
                    "type": "object", "additionalProperties": false, "properties": below,
                    "description": "Its settings, where they do not stand beside `type`.",
                }),
            );
            serde_json::json!({
                "type": "object", "additionalProperties": false, "required": ["type"], "properties": all,
            })
        });
        json_schema!({
            "description": "Where lines go.",
            "oneOf": alternatives.collect::<Vec<_>>(),
        })
    }
}

/// The keys of [`Settings`].
const SHARED: &[&str] = &[
    "when_full",
    "buffer",
    "max_queue_size",
    "flush_interval",
    "flush_batch_size",
    "dead_letter",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_shown_as_such_in_every_backend_and_at_every_depth() {
        let headers = || json!({ "X-Key": "hidden" });
        let basic = || json!({ "username": "u", "password": "hidden" });
        let url = "http://a";
        let backends = [
            json!({ "type": "http", "config": { "url": url, "headers": headers() } }),
            json!({ "type": "loki", "url": url, "basic_auth": basic(), "headers": headers() }),
            json!({ "type": "loki", "url": url, "bearer_token": "hidden" }),
            json!({ "type": "opensearch", "url": url, "basic_auth": basic() }),
            json!({ "type": "elasticsearch", "url": url, "api_key": "hidden" }),
            json!({ "type": "otlp", "url": url, "bearer_token": "hidden", "headers": headers() }),
            json!({ "type": "prometheus", "remote_write": { "url": url, "headers": headers(), "basic_auth": basic() } }),
        ];
        for written in backends {
            let backend: Backend = serde_json::from_value(written.clone()).unwrap();
            let shown = serde_json::to_string(&backend).unwrap();
            assert!(shown.contains("***") && !shown.contains("hidden"), "{written}: {shown}");
        }
    }
}
