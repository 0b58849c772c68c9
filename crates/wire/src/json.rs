//! One JSON value as text.
//!
//! The rule: text is checked once and then shared. It never becomes a tree on its way through and is never written
//! anew, so spacing, the order of members and the spelling of numbers survive.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as text, without the whitespace around it: checked, shared, never a tree.
///
/// Two values are equal when their texts are. Nesting may be of any depth. To be used in a type that derives
/// serde's traits for JSON; it does not survive serde's `flatten` and untagged enums.
///
/// ```
/// let list = wire::Json::parse("[1, {\"a\": 2.50}]".into())?;
/// let inner = &list.elements().expect("a list")[1];
/// assert_eq!(inner.as_str(), "{\"a\": 2.50}");
/// # Ok::<(), wire::JsonError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Bytes);

/// A text that is not one JSON value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The bytes are no text.
    #[error("not UTF-8")]
    Encoding {
        /// Where the text ends.
        #[source]
        source: std::str::Utf8Error,
    },
    /// The text is no JSON, is cut short, or goes on after the value.
    #[error("not JSON")]
    Syntax {
        /// What was met, and where.
        #[source]
        source: serde_json::Error,
    },
}

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Json {
    /// Checks that `text` is one JSON value; whitespace around it is cut off.
    pub fn parse(text: Bytes) -> Result<Self, JsonError> {
        let value: &RawValue = serde_json::from_str(utf8(&text)?).map_err(|source| JsonError::Syntax { source })?;
        Ok(Self::part(&text, value.get()))
    }

    /// The text of a value of ours.
    ///
    /// # Panics
    /// When the value is not JSON: a map whose keys are no strings, or its own `Serialize` refuses.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(serde_json::to_vec(value).expect("the value has a JSON form").into())
    }

    /// `null`.
    pub const fn null() -> Self {
        Self(Bytes::from_static(b"null"))
    }

    /// The text. Looks at every byte: for much text prefer [`Json::bytes`].
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked when it was parsed")
    }

    /// The bytes of the text.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.0)
    }

    /// The elements of an array, as slices of the same buffer; `None` for anything else.
    pub fn elements(&self) -> Option<Vec<Self>> {
        if self.kind() != Kind::Array {
            return None;
        }
        let elements: Vec<&RawValue> = serde_json::from_slice(&self.0).expect("checked when it was parsed");
        Some(
            elements
                .into_iter()
                .map(|element| Self::part(&self.0, element.get()))
                .collect(),
        )
    }

    /// Reads it as a type of ours.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_slice(&self.0).map_err(|source| JsonError::Syntax { source })
    }

    /// A value that was found in `whole`, and so is checked already.
    pub(crate) fn part(whole: &Bytes, text: &str) -> Self {
        Self(whole.slice_ref(text.as_bytes()))
    }

    /// Text that this crate has written or checked itself.
    pub(crate) fn checked(text: Bytes) -> Self {
        debug_assert!(
            serde_json::from_slice::<&RawValue>(&text).is_ok(),
            "checked text is JSON"
        );
        Self(text)
    }
}

impl Kind {
    /// By the first byte of a value's text.
    pub(crate) fn of(text: &[u8]) -> Self {
        match text.first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Bool,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({})", self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_slice(&self.0).expect("checked when it was parsed");
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Bytes::from(Box::<str>::from(raw).into_string())))
    }
}

/// The bytes as text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    std::str::from_utf8(bytes).map_err(|source| JsonError::Encoding { source })
}

/// A string as JSON text.
pub(crate) fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a string has a JSON form")
}
