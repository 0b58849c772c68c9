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

/// A new id: a `UUIDv7`. The one function of this crate that looks at the clock and at chance.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_have_the_ids_that_other_languages_compute() {
        // Python: uuid.uuid5(uuid.UUID("6f0b7c1e-5d0a-5c2e-9a53-0f7c1d9b2e41"), "order-42\n0\n1"), and so on.
        let child = child_id("order-42", 0, 1);
        assert_eq!(child, "aae1ccb4-fc35-50e6-a69e-c8847925a21c");
        assert_eq!(child_id(&child, 1, 2), "642a4bc0-bfec-532d-8d0d-30922494a4a9");
        assert_eq!(
            child_id("gr\u{fc}\u{df}\u{1f600}", 12, 10),
            "5a307c63-af18-5bd4-a83f-89ffd4353653"
        );
        assert_eq!(child_id("order-42", 7, 0), "order-42");
    }

    #[test]
    fn an_id_has_1_to_256_bytes_and_no_control_characters() {
        for id in ["a", " ", "\u{1f600}", &"x".repeat(256), &"\u{fc}".repeat(128)] {
            assert!(valid_id(id), "{id}");
        }
        for id in [
            "",
            "a\nb",
            "\0",
            "\u{7f}",
            "\u{85}",
            &"x".repeat(257),
            &"\u{fc}".repeat(129),
        ] {
            assert!(!valid_id(id), "{id:?}");
        }
    }

    #[test]
    fn an_actor_is_named_as_a_queue_can_be() {
        for name in ["a", "0", "Clean_up-2", &"x".repeat(63)] {
            assert_eq!(actor_name(name), Ok(name));
        }
        for name in ["", "-a", "_a", "a.b", "a b", "\u{e4}", "a\n", &"x".repeat(64)] {
            assert_eq!(actor_name(name), Err(BadActorName { name: name.to_owned() }));
        }
    }

    #[test]
    fn a_fresh_id_is_a_uuid_of_version_7_and_never_the_same() {
        let (one, two) = (fresh_id(), fresh_id());
        assert_ne!(one, two);
        assert!(valid_id(&one));
        assert_eq!(Uuid::parse_str(&one).unwrap().get_version_num(), 7);
    }
}
