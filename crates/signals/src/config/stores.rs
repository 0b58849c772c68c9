//! Settings of the backends that keep lines in tables and in objects.

use std::{num::NonZeroU32, path::PathBuf};

use chassis::config::{ByteSize, Duration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lines as rows of a table in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sqlite {
    /// The database, relative to the configuration's folder; made where it is missing, with its folders.
    pub path: PathBuf,
    /// The table, made where it is missing. Default `signals`.
    #[serde(default = "signals")]
    #[schemars(default = "signals", extend("format" = "sql-table"))]
    pub table: String,
}

/// Lines as rows of a table in `PostgreSQL`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// The server, the user and the database: `postgres://USER:PASSWORD@HOST/DATABASE`, or `host=.. user=..`. With
    /// `sslmode=require` (or `verify-full`) the connection is encrypted and the server's certificate verified.
    pub url: Secret,
    /// The table, with or without its schema; made where it is missing. Default `signals`.
    #[serde(default = "signals")]
    #[schemars(default = "signals", extend("format" = "sql-table"))]
    pub table: String,
    /// Whether a table that is made becomes a hypertable, where the server has `TimescaleDB`. Default false.
    #[serde(default)]
    pub hypertable: bool,
    /// Authorities to trust beside the system's, a PEM file; relative to the configuration's folder. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// How long a batch may take, the connection included. Default 30 seconds.
    #[serde(default = "half_a_minute")]
    #[schemars(default = "half_a_minute")]
    pub timeout: Duration,
}

/// Lines in compressed objects of S3, or of what speaks like it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// The bucket; it has to be there.
    pub bucket: String,
    /// What the objects' names begin with; `{source}`, `{type}` and `{date}` (the UTC day of receipt) stand for the line's
    /// own. Default `{source}/{date}/`.
    #[serde(default = "by_source_and_date")]
    #[schemars(default = "by_source_and_date")]
    pub prefix: String,
    /// The region. Default that of the environment (`AWS_REGION`), else `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The address of another server than Amazon's, `http://` or `https://`. Default Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "http-url"))]
    pub endpoint: Option<String>,
    /// The key's name. Default what the environment has: `AWS_ACCESS_KEY_ID`, a role of the container or of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<Secret>,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<Secret>,
    /// What goes with a key that was lent. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// So many bytes of lines, uncompressed, do not wait any longer; and go together at most. Default 8 MiB.
    #[serde(default = "eight_mebibytes")]
    #[schemars(default = "eight_mebibytes")]
    pub max_bytes: ByteSize,
    /// How hard objects are compressed, 1 to 9. Default 6.
    #[serde(default = "six")]
    #[schemars(default = "six", range(min = 1, max = 9))]
    pub level: NonZeroU32,
    /// How long one request may take. Default 30 seconds.
    #[serde(default = "half_a_minute")]
    #[schemars(default = "half_a_minute")]
    pub timeout: Duration,
}

fn signals() -> String {
    "signals".to_owned()
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn by_source_and_date() -> String {
    "{source}/{date}/".to_owned()
}

fn eight_mebibytes() -> ByteSize {
    ByteSize::mib(8)
}

fn six() -> NonZeroU32 {
    NonZeroU32::new(6).expect("not 0")
}
