//! How a backend says who it is.

use chassis::config::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name and a password, sent with every request (RFC 7617).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}
