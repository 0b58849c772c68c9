//! The configuration as a tree in which every value knows where it came from.

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::Path;
use super::path::Step;

/// A value and its origin.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) data: Data,
    pub(super) place: Place,
    /// The text before it was typed, where a schema that wants a string may have it back: values from the environment
    /// and from `${VAR}`, whose writer cannot quote them.
    pub(super) spelling: Option<String>,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Nothing was written after the key: an empty section.
    Empty,
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Characters (not bytes) of the file.
    File(Range<usize>),
    /// A variable of the environment.
    Variable(Arc<str>),
    /// Nowhere: the configuration as a whole.
    Nowhere,
}

impl Node {
    pub(super) fn new(data: Data, place: Place) -> Self {
        Self {
            data,
            place,
            spelling: None,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value as JSON, for serde.
    pub(super) fn to_json(&self) -> Value {
        match &self.data {
            Data::Empty | Data::Null => Value::Null,
            Data::Bool(bool) => Value::Bool(*bool),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::Sequence(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Data::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.node.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// A tree from JSON, all of it from one place.
    pub(super) fn from_json(value: Value, place: &Place) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(bool) => Data::Bool(bool),
            Value::Number(number) => Data::Number(number),
            Value::String(text) => Data::Text(text),
            Value::Array(items) => Data::Sequence(items.into_iter().map(|item| Self::from_json(item, place)).collect()),
            Value::Object(map) => Data::Mapping(
                map.into_iter()
                    .map(|(key, value)| Entry {
                        key,
                        place: place.clone(),
                        node: Self::from_json(value, place),
                    })
                    .collect(),
            ),
        };
        Self::new(data, place.clone())
    }

    /// The value one step further, and the place of its key.
    fn step(&self, step: &Step) -> Option<(&Place, &Self)> {
        match (step, &self.data) {
            (Step::Key(key), Data::Mapping(_)) => self.get(key).map(|entry| (&entry.place, &entry.node)),
            (Step::Key(key), Data::Sequence(items)) => key
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index))
                .map(|item| (&item.place, item)),
            (Step::Index(index), Data::Sequence(items)) => items.get(*index).map(|item| (&item.place, item)),
            _ => None,
        }
    }

    /// The value that `steps` lead to.
    pub(super) fn find(&self, steps: &[Step]) -> Option<&Self> {
        steps
            .iter()
            .try_fold(self, |node, step| node.step(step).map(|(_, child)| child))
    }

    /// Where to point for a remark about `path`: at a scalar itself, at the key of a section or list, and for what is
    /// not written at all at the nearest section that is.
    pub(super) fn locate(&self, path: &Path) -> Place {
        let mut node = self;
        let mut place = Place::Nowhere;
        for step in path.steps() {
            let Some((key, child)) = node.step(step) else {
                return place;
            };
            place = if child.is_container() {
                key.clone()
            } else {
                child.place.clone()
            };
            node = child;
        }
        place
    }

    pub(super) fn is_container(&self) -> bool {
        matches!(self.data, Data::Mapping(_) | Data::Sequence(_) | Data::Empty)
    }

    /// What a reader would call this value: `a number`, `a list`.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Empty | Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Number(_) => "a number",
            Data::Text(_) => "a string",
            Data::Sequence(_) => "a list",
            Data::Mapping(_) => "a mapping",
        }
    }
}
