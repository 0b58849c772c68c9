//! Lays the environment over the file: `OUTRIGGER__ACTORS__CLEAN__TIMEOUT` and the caller's short forms.

use std::collections::BTreeMap;
use std::fs;

use super::findings::Note;
use super::path::Step;
use super::schema::Schema;
use super::sources::{FILE_VARIABLES, Sources};
use super::suggest::nearest;
use super::tree::{Data, Entry, Node, Place};
use super::{Path, scalar};

/// A short form: a variable and the value that it sets.
///
/// The long form of the same value is stronger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overlay {
    /// The variable; findings about the value name it.
    pub variable: String,
    /// What it sets.
    pub path: Path,
    /// The text to set instead of the variable's own, worked out by the caller; then the variable need not be set.
    pub text: Option<String>,
    /// Which of the two is stronger where the value has been set already.
    pub force: Force,
}

/// How a short form stands to a value that the file, or an earlier short form, has set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Force {
    /// It takes that value's place.
    #[default]
    Over,
    /// It gives way to it.
    Under,
}

impl Overlay {
    /// `variable`, or the file that `<variable>_FILE` names, sets the value at `path`.
    pub fn new(variable: impl Into<String>, path: impl Into<Path>) -> Self {
        Self {
            variable: variable.into(),
            path: path.into(),
            text: None,
            force: Force::Over,
        }
    }

    /// `text` is set at `path`; findings name `variable` as where it came from.
    pub fn fixed(variable: impl Into<String>, path: impl Into<Path>, text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::new(variable, path)
        }
    }

    /// As [`Overlay::fixed`], but only where nothing is set at `path`: a default that the environment brings about.
    pub fn fallback(variable: impl Into<String>, path: impl Into<Path>, text: impl Into<String>) -> Self {
        Self {
            force: Force::Under,
            ..Self::fixed(variable, path, text)
        }
    }
}

/// The environment of this process, the one place that reads it. What is not Unicode in it is replaced by U+FFFD.
pub fn process_environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect()
}

/// Sets all that the environment has to set, and returns the paths that it set.
pub(super) fn overlay(root: &mut Node, schema: Schema<'_>, sources: &Sources, notes: &mut Vec<Note>) -> Vec<Path> {
    let mut layers = Layers {
        root,
        schema,
        sources,
        notes,
        set: Vec::new(),
    };
    for overlay in &sources.overlays {
        layers.short_form(overlay);
    }
    let mut long: Vec<_> = sources
        .environment
        .keys()
        .filter_map(|name| long_form(name).map(|keys| (name, keys)))
        .collect();
    // A whole section first, then what stands inside it.
    long.sort_by_key(|(_, keys)| keys.len());
    for (name, keys) in long {
        layers.long_form(name, &keys);
    }
    for name in sources.environment.keys() {
        layers.unknown(name);
    }
    layers.set
}

struct Layers<'l, 's> {
    root: &'l mut Node,
    schema: Schema<'s>,
    sources: &'l Sources,
    notes: &'l mut Vec<Note>,
    set: Vec<Path>,
}

impl Layers<'_, '_> {
    fn short_form(&mut self, overlay: &Overlay) {
        let is_set = |node: &Node| !matches!(node.data, Data::Empty | Data::Null);
        if overlay.force == Force::Under && self.root.find(overlay.path.steps()).is_some_and(is_set) {
            return;
        }
        if let Some(text) = &overlay.text {
            return self.put(&overlay.variable, &overlay.path, text.clone());
        }
        let file = format!("{}{FILE_SUFFIX}", overlay.variable);
        let own = self.sources.environment.get(&overlay.variable).cloned();
        if let (Some(_), true) = (&own, self.sources.environment.contains_key(&file)) {
            self.both(&overlay.variable, &file, &overlay.path);
        } else if let Some(text) = own {
            self.put(&overlay.variable, &overlay.path, text);
        } else if let Some(text) = self.file_text(&file, &overlay.path) {
            self.put(&file, &overlay.path, text);
        }
    }

    fn long_form(&mut self, name: &str, keys: &[&str]) {
        if keys.iter().any(|key| key.is_empty()) {
            let note = Note::error(
                &Place::Variable(name.into()),
                &Path::root(),
                format!("`{name}` has an empty level"),
            );
            return self
                .notes
                .push(note.help("two underscores stand between two keys: OUTRIGGER__LOG__LEVEL"));
        }
        let path = self.match_keys(keys);
        let short = keys
            .last()
            .and_then(|last| last.strip_suffix(FILE_SUFFIX))
            .filter(|short| !short.is_empty());
        let Some(short) = short.filter(|_| !self.names(&path)) else {
            let text = self.sources.environment.get(name).cloned().unwrap_or_default();
            return self.put(name, &path, text);
        };
        let mut stripped = keys.to_vec();
        if let Some(last) = stripped.last_mut() {
            *last = short;
        }
        let path = self.match_keys(&stripped);
        let plain = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
        if self.sources.environment.contains_key(plain) {
            self.both(plain, name, &path);
        } else if let Some(text) = self.file_text(name, &path) {
            self.put(name, &path, text);
        }
    }

    /// Whether the last key of `path` stands in the file, or the schema names it itself and not only as one of any keys.
    fn names(&self, path: &Path) -> bool {
        let Some((Step::Key(last), parents)) = path.steps().split_last() else {
            return false;
        };
        let written = self.root.find(parents).is_some_and(|parent| parent.get(last).is_some());
        let mut known = self.schema.walk(parents).into_iter().flat_map(Schema::every_property);
        written || known.any(|(key, _)| key == last)
    }

    fn both(&mut self, name: &str, file: &str, path: &Path) {
        let note = Note::error(
            &Place::Variable(file.into()),
            path,
            format!("both {name} and {file} are set"),
        );
        self.notes.push(note.help("keep one of them"));
    }

    /// The text of the file that the variable `name` names, without its last line break.
    fn file_text(&mut self, name: &str, path: &Path) -> Option<String> {
        let file = self.sources.environment.get(name)?;
        match fs::read_to_string(self.sources.absolute(file)) {
            Ok(mut text) => {
                let kept = text
                    .strip_suffix('\n')
                    .map_or(text.len(), |text| text.trim_end_matches('\r').len());
                text.truncate(kept);
                Some(text)
            }
            Err(error) => {
                let note = Note::error(
                    &Place::Variable(name.into()),
                    path,
                    format!("cannot read {file}: {error}"),
                );
                self.notes
                    .push(note.help("name a readable text file that holds the value"));
                None
            }
        }
    }

    /// Finds the keys that the levels of a variable mean: of the file first, then of the schema, else as they are in
    /// lower case.
    fn match_keys(&self, keys: &[&str]) -> Path {
        let mut path = Path::root();
        let mut node = Some(&*self.root);
        let mut schemas = vec![self.schema];
        for level in keys {
            let list = node.is_some_and(|node| matches!(node.data, Data::Sequence(_)))
                || schemas.iter().any(|schema| schema.every_type().contains(&"array"));
            let step = if let (true, Ok(index)) = (list, level.parse()) {
                Step::Index(index)
            } else {
                let written = node.into_iter().flat_map(Node::entries).map(|entry| entry.key.as_str());
                let named = schemas
                    .iter()
                    .flat_map(|schema| schema.every_property())
                    .map(|(key, _)| key);
                let same = written.chain(named).find(|key| matches(key, level)).map(str::to_owned);
                Step::Key(same.unwrap_or_else(|| level.to_lowercase()))
            };
            node = match (&step, node) {
                (Step::Key(key), Some(node)) => node.get(key).map(|entry| &entry.node),
                (
                    Step::Index(index),
                    Some(Node {
                        data: Data::Sequence(items),
                        ..
                    }),
                ) => items.get(*index),
                _ => None,
            };
            schemas = schemas.into_iter().flat_map(|schema| schema.step(&step)).collect();
            path = match step {
                Step::Key(key) => path.key(key),
                Step::Index(index) => path.index(index),
            };
        }
        path
    }

    fn put(&mut self, variable: &str, path: &Path, text: String) {
        let place = Place::Variable(variable.into());
        match graft(self.root, path.steps(), value(text, &place), &place) {
            Ok(()) => self.set.push(path.clone()),
            Err(message) => {
                let note = Note::error(&place, path, format!("{variable} cannot be set: {message}"));
                self.notes
                    .push(note.help("correct the file, or set the whole of it as JSON"));
            }
        }
    }

    fn unknown(&mut self, name: &str) {
        let Some(rest) = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('_')) else {
            return;
        };
        let injected = name.contains("_PORT") || name.ends_with("_SERVICE_HOST");
        if rest.starts_with('_') || injected {
            return;
        }
        let names: Vec<&str> = (self.sources.overlays.iter().map(|overlay| overlay.variable.as_str()))
            .chain(self.sources.known.iter().map(String::as_str))
            .chain(FILE_VARIABLES)
            .filter(|known| known.starts_with(PREFIX))
            .collect();
        let plain = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
        if names.contains(&name) || names.contains(&plain) {
            return;
        }
        let help = match nearest(
            rest,
            names
                .iter()
                .map(|known| known.trim_start_matches(PREFIX).trim_start_matches('_')),
        ) {
            Some(known) => format!("did you mean {PREFIX}_{known}?"),
            None => "a setting is written OUTRIGGER__SECTION__KEY, with two underscores at each level".to_owned(),
        };
        let note = Note::warning(
            &Place::Variable(name.into()),
            &Path::root(),
            format!("{name} is no variable of ours"),
        );
        self.notes.push(note.help(help));
    }
}

/// The levels of a long form.
fn long_form(name: &str) -> Option<Vec<&str>> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix(LEVEL)?;
    Some(rest.split(LEVEL).collect())
}

/// Whether a key is what a level of a variable means.
fn matches(key: &str, level: &str) -> bool {
    let same = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
    key.chars().map(same).eq(level.chars().map(same))
}

/// A value from a variable's text: JSON for lists and objects, else typed as YAML would; its spelling is kept.
fn value(text: String, place: &Place) -> Node {
    let json = text
        .trim_start()
        .starts_with(['{', '['])
        .then(|| serde_json::from_str(&text).ok())
        .flatten();
    let mut node = match json {
        Some(json) => Node::from_json(json, place),
        None => Node::new(scalar::resolve(&text), place.clone()),
    };
    node.spelling = Some(text);
    node
}

/// Puts a value into the tree, making the sections on the way.
fn graft(node: &mut Node, steps: &[Step], value: Node, place: &Place) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return Ok(());
    };
    // What it was spelt like is not what it will be.
    node.spelling = None;
    if matches!(node.data, Data::Empty | Data::Null) {
        let data = match step {
            Step::Key(_) => Data::Mapping(Vec::new()),
            Step::Index(_) => Data::Sequence(Vec::new()),
        };
        *node = Node::new(data, place.clone());
    }
    match (step, &mut node.data) {
        (Step::Key(key), Data::Mapping(entries)) => {
            let position = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
                let node = Node::new(Data::Empty, place.clone());
                entries.push(Entry {
                    key: key.clone(),
                    place: place.clone(),
                    node,
                });
                entries.len() - 1
            });
            graft(&mut entries[position].node, rest, value, place)
        }
        (Step::Index(index), Data::Sequence(items)) => {
            let length = items.len();
            if *index > length {
                return Err(format!("the list has {length} items, so the next index is {length}"));
            }
            if *index == length {
                items.push(Node::new(Data::Empty, place.clone()));
            }
            graft(&mut items[*index], rest, value, place)
        }
        _ => Err(format!("it stands inside {}", node.kind())),
    }
}

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "OUTRIGGER";
const LEVEL: &str = "__";
const FILE_SUFFIX: &str = "_FILE";
