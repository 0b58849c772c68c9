//! Where a value stands in a configuration: the keys that lead to it from the root.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_path_to_error::Segment;

/// The keys and indices from the root of a configuration to one of its values.
///
/// A string is split at its dots; an array or a `Vec` of strings is taken key by key, which is the form to use where a
/// key may hold a dot itself.
///
/// ```
/// use chassis::config::Path;
///
/// assert_eq!(Path::from("actors.clean.timeout"), Path::from(["actors", "clean", "timeout"]));
/// assert_eq!(Path::root().key("flows").key("triage").key("route").index(1).to_string(), "flows.triage.route[1]");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// The whole configuration.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// This path and one more key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Step::Key(key.into()));
        self
    }

    /// This path and a position in the list that it leads to, from 0.
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// This path followed by another.
    pub fn join(mut self, rest: impl Into<Self>) -> Self {
        self.0.extend(rest.into().0);
        self
    }

    /// Whether this is the path of the whole configuration.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Where serde met what it refused.
    pub(super) fn of(path: &serde_path_to_error::Path) -> Self {
        path.iter().fold(Self::root(), |path, segment| match segment {
            Segment::Seq { index } => path.index(*index),
            Segment::Map { key } => path.key(key),
            Segment::Enum { variant } => path.key(variant),
            Segment::Unknown => path,
        })
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The last key and the indices behind it.
    pub(super) fn last(&self) -> Self {
        let from = self
            .0
            .iter()
            .rposition(|step| matches!(step, Step::Key(_)))
            .unwrap_or(0);
        Self(self.0[from..].to_vec())
    }

    /// The variable of the long form that sets this value, `OUTRIGGER__ACTORS__CLEAN__TIMEOUT`, if one can.
    pub(super) fn variable(&self) -> Option<String> {
        let mut name = String::from(super::environment::PREFIX);
        for step in &self.0 {
            name.push_str("__");
            match step {
                Step::Key(key) => name.extend(key.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() })),
                Step::Index(index) => name.push_str(&index.to_string()),
            }
        }
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            .then_some(name)
    }
}

impl From<&str> for Path {
    fn from(text: &str) -> Self {
        Self(
            text.split('.')
                .filter(|key| !key.is_empty())
                .map(|key| Step::Key(key.to_owned()))
                .collect(),
        )
    }
}

impl<K: Into<String>, const N: usize> From<[K; N]> for Path {
    fn from(keys: [K; N]) -> Self {
        keys.into_iter().fold(Self::root(), Self::key)
    }
}

impl<K: Into<String>> From<Vec<K>> for Path {
    fn from(keys: Vec<K>) -> Self {
        keys.into_iter().fold(Self::root(), Self::key)
    }
}

impl From<&Path> for Path {
    fn from(path: &Path) -> Self {
        path.clone()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
