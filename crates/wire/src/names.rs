//! Names of messages and actors.

use uuid::Uuid;

/// A name that does not follow the rule for actors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no name for an actor: letters, digits, `_` and `-`, at most 63, a letter or digit first")]
pub struct BadActorName {
    /// What was given.
    pub name: String,
}

/// Checks the name of an actor: `[A-Za-z0-9][A-Za-z0-9_-]{0,62}`.
pub fn actor_name(name: &str) -> Result<&str, BadActorName> {
    if valid_actor(name) {
        Ok(name)
    } else {
        Err(BadActorName { name: name.to_owned() })
    }
}

/// Whether this may be the name of an actor.
pub fn valid_actor(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= ACTOR_BYTES
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether this may be the id of a message: 1 to 256 bytes, no control characters (neither of ASCII nor of Unicode).
pub fn valid_id(id: &str) -> bool {
    (1..=ID_BYTES).contains(&id.len()) && !id.contains(char::is_control)
}

/// A new id: a UUIDv7. The one function of this crate that looks at the clock and at chance.
pub fn fresh_id() -> String {
    Uuid::now_v7().to_string()
}

/// The id of output `index` of the message `id` at the actor with the index `current`; output 0 keeps the id.
pub fn child_id(id: &str, current: i64, index: usize) -> String {
    if index == 0 {
        return id.to_owned();
    }
    Uuid::new_v5(&CHILDREN, format!("{id}\n{current}\n{index}").as_bytes()).to_string()
}

/// The namespace of the ids of fan-out children.
const CHILDREN: Uuid = Uuid::from_u128(0x6f0b_7c1e_5d0a_5c2e_9a53_0f7c_1d9b_2e41);

const ACTOR_BYTES: usize = 63;
const ID_BYTES: usize = 256;
