//! Results that a plain value cannot spell.

use serde::{Serialize, Serializer};

/// Exactly one output, whatever the value is.
///
/// A list that is returned is a fan-out, one output an element, and `()` or `None` is no output at all.
/// `One(vec![1, 2])` sends the list on as one value, `One(())` a null.
///
/// ```
/// let one = outrigger_handler::One([1, 2]);
/// assert_eq!(serde_json::to_string(&one).unwrap(), "[[1,2]]");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct One<T>(
    /// The output.
    pub T,
);

impl<T: Serialize> Serialize for One<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [&self.0].serialize(serializer)
    }
}
