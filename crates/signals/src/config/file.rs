//! Settings of the backend `file`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Compression;

/// Lines in files, each as it was received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// The file, relative to the configuration's folder; `{source}`, `{type}` and `{date}` (the UTC day of receipt) stand
    /// for the line's own. Folders are made. Default `{source}-{date}.jsonl` in `base_path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The folder of the files. Default `.outrigger/signals`.
    pub base_path: PathBuf,
    /// Whether each day has a file of its own; for `base_path`. Default true.
    pub rotate_daily: bool,
    /// A file that has reached this size is renamed and a new one begun. Default never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001))]
    pub rotate_size_mb: Option<f64>,
    /// How files are compressed that were renamed for their size. Default `none`.
    pub compression: Compression,
    /// Whether the disk is waited for: `never`, or after each `batch`. Default `never`.
    pub fsync: Fsync,
}

/// Whether the disk is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// What was written survives the end of the process, not that of the machine.
    #[default]
    Never,
    /// What was written survives both.
    Batch,
}

impl Default for File {
    fn default() -> Self {
        Self {
            path: None,
            base_path: ".outrigger/signals".into(),
            rotate_daily: true,
            rotate_size_mb: None,
            compression: Compression::None,
            fsync: Fsync::Never,
        }
    }
}
