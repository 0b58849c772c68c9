//! One JSON value as text.
//!
//! The rule: text is checked once and then shared. It never becomes a tree on its way through and is never written
//! anew, so spacing, the order of members and the spelling of numbers survive.

use std::fmt;
use std::ops::Range;

use bytes::{Buf, Bytes};
use serde::de::{DeserializeOwned, Visitor};
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
        let text = trimmed(text);
        let _: &RawValue = serde_json::from_str(utf8(&text)?).map_err(|source| JsonError::Syntax { source })?;
        Ok(Self(text))
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
                .map(|element| Self(self.0.slice_ref(element.get().as_bytes())))
                .collect(),
        )
    }

    /// Reads it as a type of ours.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_slice(&self.0).map_err(|source| JsonError::Syntax { source })
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

/// Without the whitespace of JSON at both ends.
pub(crate) fn trimmed(mut text: Bytes) -> Bytes {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    text.truncate(text.iter().rposition(|byte| !blank(byte)).map_or(0, |last| last + 1));
    text.advance(text.iter().position(|byte| !blank(byte)).unwrap_or(0));
    text
}

/// The bytes as text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    std::str::from_utf8(bytes).map_err(|source| JsonError::Encoding { source })
}

/// Where a value that was read from `text` stands in it.
pub(crate) fn place(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + value.get().len()
}

/// The text of a string, where half a surrogate pair is a replacement character; the JSON of anything else.
pub(crate) fn plain(value: &Json) -> String {
    if value.kind() != Kind::String {
        return value.as_str().to_owned();
    }
    let text: serde_json::Result<Loose> = serde_json::from_slice(value.bytes());
    text.map_or_else(|_| value.as_str().to_owned(), |Loose(text)| text)
}

/// A string that is asked for as bytes: there `serde_json` lets a lone surrogate through, which a string refuses.
struct Loose(String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Loose;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Loose, E> {
                Ok(Loose(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

/// A string as JSON text.
pub(crate) fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a string has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_value_keeps_its_spelling_and_loses_the_whitespace_around_it() {
        for text in [
            "1.50e+00",
            "{ \"a\" : [ 1 , 2 ] }",
            "\"\\ud800\"",
            "-0",
            "123456789012345678901234567890",
            "1e999",
        ] {
            assert_eq!(json(&format!(" \r\n\t{text} \n")).as_str(), text);
        }
    }

    #[test]
    fn what_is_not_exactly_one_value_is_refused() {
        for text in [
            "",
            " ",
            "1 2",
            "{",
            "[1,]",
            "01",
            "'a'",
            "nul",
            "\u{feff}1",
            "1\0",
            "\"a\nb\"",
            "\u{c}1",
            "1\u{c}",
        ] {
            assert!(
                matches!(Json::parse(text.to_owned().into()), Err(JsonError::Syntax { .. })),
                "{text:?}"
            );
        }
        assert!(matches!(
            Json::parse((&b"\"\xff\""[..]).into()),
            Err(JsonError::Encoding { .. })
        ));
    }

    #[test]
    fn elements_are_slices_of_the_same_buffer() {
        let list = json("[1, [ ], {\"a\":[2]},null]");
        let elements = list.elements().unwrap();
        let texts: Vec<&str> = elements.iter().map(Json::as_str).collect();
        assert_eq!(texts, ["1", "[ ]", "{\"a\":[2]}", "null"]);
        let buffer = list.bytes().as_ptr_range();
        assert!(
            elements
                .iter()
                .all(|element| buffer.contains(&element.bytes().as_ptr()))
        );
        assert_eq!(json("{}").elements(), None);
        assert_eq!(json("[]").elements(), Some(Vec::new()));
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let value = json(&deep);
        assert_eq!(value.elements().unwrap()[0].bytes().len(), deep.len() - 2);
        assert!(value.read::<serde_json::Value>().is_err());
    }

    #[test]
    fn it_stands_in_derived_types_as_it_is() {
        #[derive(Serialize, Deserialize)]
        struct Holder {
            value: Json,
            other: Option<Json>,
        }
        let holder: Holder = serde_json::from_str("{\"value\": 1.0 ,\"other\":null}").unwrap();
        assert_eq!((holder.value.as_str(), &holder.other), ("1.0", &None));
        assert_eq!(
            serde_json::to_string(&holder).unwrap(),
            "{\"value\":1.0,\"other\":null}"
        );
    }

    #[test]
    fn a_kind_is_told_by_the_first_byte() {
        for (text, kind) in [
            ("null", Kind::Null),
            ("true", Kind::Bool),
            ("false", Kind::Bool),
            ("-1", Kind::Number),
            ("0", Kind::Number),
            ("\"\"", Kind::String),
            ("[]", Kind::Array),
            ("{}", Kind::Object),
        ] {
            assert_eq!(json(text).kind(), kind, "{text}");
        }
        assert!(Json::null().is_null());
    }

    #[test]
    fn half_a_surrogate_pair_becomes_a_replacement_character() {
        assert_eq!(
            plain(&json(r#""a\ud800b\ud83d\ude00\n""#)),
            "a\u{fffd}\u{fffd}\u{fffd}b\u{1f600}\n"
        );
        assert_eq!(plain(&json("{\"a\":1}")), "{\"a\":1}");
    }
}
