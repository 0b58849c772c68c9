//! The members of one JSON object, as places in its text, and edits of them.
//!
//! The rule: an edit touches the members that it names and leaves every other byte where it stands. Of names that
//! stand twice the last one counts, as in the JSON readers of most languages; what is set afterwards stands once.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserializer;
use serde::de::{Deserialize, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{place, quoted};

/// The members of an object whose names are asked for, by their places; those between them as blocks.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    list: Vec<Member>,
    /// Just behind the opening brace.
    open: usize,
}

#[derive(Debug, Clone)]
struct Member {
    /// Which of the names; `None` for a block of members that nobody asked for.
    name: Option<usize>,
    key: Range<usize>,
    value: Range<usize>,
}

impl Members {
    /// Walks the object `text` once. The places are counted from the start of `text`.
    pub(crate) fn scan(text: &str, names: &[&str]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let list = (&mut deserializer).deserialize_map(Walk { text, names })?;
        deserializer.end()?;
        let open = text.find('{').expect("an object begins with a brace") + 1;
        Ok(Self { list, open })
    }

    /// The place of the value of the name with this index.
    pub(crate) fn value(&self, name: usize) -> Option<Range<usize>> {
        self.last(name).map(|index| self.list[index].value.clone())
    }

    fn last(&self, name: usize) -> Option<usize> {
        self.list.iter().rposition(|member| member.name == Some(name))
    }
}

/// Changes to one object, written by [`Edit::finish`].
pub(crate) struct Edit<'a> {
    text: &'a [u8],
    members: &'a Members,
    names: &'a [&'a str],
    changes: Vec<Change<'a>>,
    added: Vec<(&'a str, Cow<'a, [u8]>)>,
}

#[derive(Clone)]
enum Change<'a> {
    Keep,
    Remove,
    Value(Cow<'a, [u8]>),
    Key(&'a str),
}

impl<'a> Edit<'a> {
    /// No changes yet. `text` and `names` are those of the scan.
    pub(crate) fn new(text: &'a [u8], members: &'a Members, names: &'a [&'a str]) -> Self {
        Self {
            text,
            members,
            names,
            changes: vec![Change::Keep; members.list.len()],
            added: Vec::new(),
        }
    }

    /// Gives a member this value, adding it at the end where it is missing.
    pub(crate) fn set(&mut self, name: usize, value: impl Into<Cow<'a, [u8]>>) {
        let value = value.into();
        self.remove(name);
        match self.members.last(name) {
            Some(index) => self.changes[index] = Change::Value(value),
            None => self.added.push((self.names[name], value)),
        }
    }

    /// Takes a member out, with its comma.
    pub(crate) fn remove(&mut self, name: usize) {
        for (member, change) in self.members.list.iter().zip(&mut self.changes) {
            if member.name == Some(name) {
                *change = Change::Remove;
            }
        }
    }

    /// Spells the name of a member in another way.
    pub(crate) fn rename(&mut self, name: usize, to: &'a str) {
        self.remove(name);
        if let Some(index) = self.members.last(name) {
            self.changes[index] = Change::Key(to);
        }
    }

    /// The text with the changes made.
    pub(crate) fn finish(self) -> Vec<u8> {
        let Self {
            text,
            members,
            changes,
            added,
            ..
        } = self;
        let list = &members.list;
        let mut out = Vec::with_capacity(capacity(text, list, &changes, &added));
        out.extend_from_slice(&text[..list.first().map_or(members.open, |member| member.key.start)]);
        let mut written = false;
        for (index, (member, change)) in list.iter().zip(changes).enumerate() {
            if matches!(change, Change::Remove) {
                continue;
            }
            if written {
                out.extend_from_slice(&text[list[index - 1].value.end..member.key.start]);
            }
            written = true;
            match change {
                Change::Keep | Change::Remove => out.extend_from_slice(&text[member.key.start..member.value.end]),
                Change::Value(value) => {
                    out.extend_from_slice(&text[member.key.start..member.value.start]);
                    out.extend_from_slice(&value);
                }
                Change::Key(name) => {
                    push_key(&mut out, name);
                    out.extend_from_slice(&text[member.key.end..member.value.end]);
                }
            }
        }
        for (name, value) in added {
            if written {
                out.push(b',');
            }
            written = true;
            push_key(&mut out, name);
            out.push(b':');
            out.extend_from_slice(&value);
        }
        out.extend_from_slice(&text[list.last().map_or(members.open, |member| member.value.end)..]);
        out
    }
}

fn push_key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(&quoted(name));
}

/// The size of the result, or a little more; what is replaced makes room for what replaces it.
fn capacity(text: &[u8], list: &[Member], changes: &[Change<'_>], added: &[(&str, Cow<'_, [u8]>)]) -> usize {
    let mut size = text.len();
    for (member, change) in list.iter().zip(changes) {
        match change {
            Change::Value(value) => size = size - member.value.len() + value.len(),
            Change::Key(name) => size = size - member.key.len() + name.len() + ROOM,
            Change::Keep | Change::Remove => {}
        }
    }
    let new: usize = added.iter().map(|(name, value)| name.len() + value.len() + ROOM).sum();
    size + new
}

/// For the quotes, colon and comma of a member.
const ROOM: usize = 8;

/// Walks a map whose keys and values are text of the input.
struct Walk<'t, 'n> {
    text: &'t str,
    names: &'n [&'n str],
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut list: Vec<Member> = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let name = position(key.get(), self.names);
            let (key, value) = (place(self.text, key), place(self.text, value));
            match list.last_mut() {
                Some(block) if name.is_none() && block.name.is_none() => block.value = value,
                _ => list.push(Member { name, key, value }),
            }
        }
        Ok(list)
    }
}

/// Which of the names a key is, however it is escaped.
fn position(key: &str, names: &[&str]) -> Option<usize> {
    let plain = &key[1..key.len() - 1];
    if plain.contains('\\') {
        let text: Cow<'_, str> = Cow::deserialize(&mut serde_json::Deserializer::from_str(key)).ok()?;
        return names.iter().position(|name| *name == text);
    }
    names.iter().position(|name| *name == plain)
}
