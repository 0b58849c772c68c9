//! YAML text to a tree with places.
//!
//! Anchors, aliases and `<<` are resolved here, so no later step knows of them; a value that came through an alias keeps
//! the place where it is written. Scalars that hold a `$` are left to `interpolate`.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::findings::Note;
use super::tree::{Data, Entry, Node, Place};
use super::{Path, interpolate, scalar};

/// Reads one document. What is wrong with it goes to `notes`; after a syntax error there is no tree.
pub(super) fn read(text: &str, lookup: &dyn Fn(&str) -> Option<String>, notes: &mut Vec<Note>) -> Option<Node> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        text,
        characters: text.chars().count(),
        lookup,
        anchors: HashMap::new(),
        nodes: 0,
        notes,
    };
    match reader.document() {
        Ok(node) => Some(node),
        Err(note) => {
            notes.push(note);
            None
        }
    }
}

struct Reader<'t, 'n> {
    events: Parser<'t, StrInput<'t>>,
    text: &'t str,
    characters: usize,
    lookup: &'n dyn Fn(&str) -> Option<String>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    notes: &'n mut Vec<Note>,
}

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Result<Node, Note> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if root.is_some() => {
                    return Err(self
                        .stop(span, "a second document begins here")
                        .help("keep one document in the file"));
                }
                event => root = Some(self.node(event, span, &Path::root(), 0)?),
            }
        }
        Ok(root.unwrap_or_else(|| Node::new(Data::Empty, Place::Nowhere)))
    }

    fn node(&mut self, event: Event<'t>, span: Span, path: &Path, depth: usize) -> Result<Node, Note> {
        if depth > MAX_DEPTH {
            return Err(self.stop(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.nodes += 1;
        let (node, anchor) = match event {
            Event::Scalar(value, style, anchor, tag) => {
                (self.scalar(&value, style, tag.as_deref(), span, path), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.tagged(tag.as_deref(), "seq", span)?;
                let mut items = Vec::new();
                let end = loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break span;
                    }
                    items.push(self.node(event, span, &path.clone().index(items.len()), depth + 1)?);
                };
                (Node::new(Data::Sequence(items), self.place(span, end)), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.tagged(tag.as_deref(), "map", span)?;
                let (entries, end) = self.mapping(path, depth)?;
                (Node::new(Data::Mapping(entries), self.place(span, end)), anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.stop(span, "this alias stands inside the value that it refers to"));
                };
                self.nodes += size(&node);
                (node, 0)
            }
            _ => return Err(self.stop(span, "a value was expected here")),
        };
        if self.nodes > MAX_NODES {
            return Err(self.stop(
                span,
                format!("more than {MAX_NODES} values, aliases counted as often as they stand"),
            ));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self, path: &Path, depth: usize) -> Result<(Vec<Entry>, Span), Note> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let end = loop {
            let (event, span) = self.next()?;
            let (key, style) = match event {
                Event::MappingEnd => break span,
                Event::Scalar(key, style, ..) => (key.into_owned(), style),
                _ => {
                    return Err(self
                        .stop(span, "a key has to be a plain text")
                        .help("write it as `key: value`"));
                }
            };
            let place = self.place(span, span);
            let path = path.clone().key(&key);
            let (event, span) = self.next()?;
            let node = self.node(event, span, &path, depth + 1)?;
            if key == "<<" && style == ScalarStyle::Plain {
                merged.extend(self.merge(node, &place, &path));
            } else if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let Place::File(range) = &first.place else {
                    unreachable!("the reader places every key in the file")
                };
                let line = self.text.chars().take(range.start).filter(|c| *c == '\n').count() + 1;
                let twice = Note::error(&place, &path, format!("key `{key}` stands twice"));
                let help = format!("it is already set in line {line}: keep one of them");
                self.notes.push(twice.help(help));
            } else {
                entries.push(Entry { key, place, node });
            }
        };
        for entry in merged {
            if !entries.iter().any(|own| own.key == entry.key) {
                entries.push(entry);
            }
        }
        Ok((entries, end))
    }

    /// The entries that `<<` brings: of one mapping, or of several, the first of which wins.
    fn merge(&mut self, node: Node, place: &Place, path: &Path) -> Vec<Entry> {
        match node.data {
            Data::Mapping(entries) => entries,
            Data::Sequence(items) if items.iter().all(|item| matches!(item.data, Data::Mapping(_))) => items
                .into_iter()
                .flat_map(|item| self.merge(item, place, path))
                .collect(),
            _ => {
                let odd = Note::error(
                    place,
                    path,
                    format!("`<<` merges mappings, and this is {}", node.kind()),
                );
                self.notes
                    .push(odd.help("write `<<: *name`, where `&name` stands before a mapping"));
                Vec::new()
            }
        }
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span, path: &Path) -> Node {
        let place = self.place(span, span);
        let mut node = match (style, core_tag(tag)) {
            (ScalarStyle::Plain, None) | (_, Some("int" | "float" | "bool" | "null")) => {
                Node::new(scalar::resolve(value), place)
            }
            (_, None | Some("str")) => Node::new(Data::Text(value.to_owned()), place),
            (_, Some(tag)) => {
                let note = Note::error(&place, path, format!("tag `{tag}` is not understood"));
                self.notes.push(note.help("leave it out"));
                Node::new(Data::Text(value.to_owned()), place)
            }
        };
        if value.contains('$') {
            let plain = style == ScalarStyle::Plain && tag.is_none();
            interpolate::apply(&mut node, value, plain, self.text, self.lookup, path, self.notes);
        }
        node
    }

    fn tagged(&self, tag: Option<&Tag>, expected: &str, span: Span) -> Result<(), Note> {
        match core_tag(tag) {
            Some(tag) if tag != expected => Err(self
                .stop(span, format!("tag `{tag}` is not understood"))
                .help("leave it out")),
            _ => Ok(()),
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Note> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let last = self.text.trim_end().chars().count();
                let at = error.marker().index();
                // What is missing at the end is missing behind the last thing that is there.
                let at = if at >= self.characters { last } else { at };
                let place = Place::File(at..at + 1);
                let note = Note::error(&place, &Path::root(), format!("not YAML: {}", error.info()));
                Err(note.help(self.cure(at, error.info())))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// What most often causes a syntax error on the line of character `at`.
    fn cure(&self, at: usize, reason: &str) -> &'static str {
        let start = self
            .text
            .chars()
            .take(at)
            .collect::<String>()
            .rfind('\n')
            .map_or(0, |index| index + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        if reason.contains("tab") || line[..line.len() - line.trim_start().len()].contains('\t') {
            "indent with spaces: YAML allows no tabs there"
        } else if line.contains("${") {
            "put a value that holds `${..}` between braces or brackets in quotes: [ \"${NAME}\" ]"
        } else if reason.contains("anchor") {
            "give the value that is meant its name first: `key: &name value`"
        } else if reason.contains("expected ','") {
            "close the bracket or brace, or put a comma between two values"
        } else if line.matches(": ").count() > 1 {
            "put a value that holds a colon in quotes"
        } else {
            "check the indentation and the quotes here and on the line before"
        }
    }

    fn stop(&self, span: Span, message: impl Into<String>) -> Note {
        Note::error(&self.place(span, span), &Path::root(), message)
    }

    /// The characters from one event to the end of another.
    fn place(&self, from: Span, to: Span) -> Place {
        let start = from.start.index().min(self.characters);
        Place::File(start..to.end.index().clamp(start, self.characters))
    }
}

/// The name of a tag of YAML itself, or the whole of another one.
fn core_tag(tag: Option<&Tag>) -> Option<&str> {
    tag.map(|tag| tag.suffix.as_str())
}

fn size(node: &Node) -> usize {
    1 + match &node.data {
        Data::Sequence(items) => items.iter().map(size).sum::<usize>(),
        Data::Mapping(entries) => entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
        _ => 0,
    }
}

/// Deep enough for any configuration, and far from the end of a thread's stack.
const MAX_DEPTH: usize = 64;
/// More than any configuration has; what aliases of aliases would blow up stops here.
const MAX_NODES: usize = 200_000;
