//! Walks the tree against the schema, so that everything that is wrong is found in one go.
//!
//! What a schema says about one value may be spread over references, `allOf` and alternatives; the walk gathers it into
//! parts first, and every part has to hold. It knows the keywords that types of Rust give rise to, not `not`, `if`,
//! `dependentRequired`, `contains` and `multipleOf`: such rules belong in [`Config::check`](super::Config::check). `mapping` looks at sections, `alternatives` chooses between alternatives,
//! `words` finds the sentences.

use serde_json::Value;

use super::findings::Note;
use super::schema::Schema;
use super::suggest::{list, nearest};
use super::tree::{Data, Node, Place};
use super::words::{self, Subject};
use super::{Formats, Path, Severity};

/// Checks `tree` and settles what the schema decides: empty sections, keys left out as `null`, and strings from the
/// environment.
pub(super) fn walk(tree: &mut Node, schema: Schema<'_>, formats: &Formats) -> Walked {
    let mut walk = Walk {
        formats,
        done: Walked::default(),
    };
    let place = tree
        .entries()
        .first()
        .map_or_else(|| tree.place.clone(), |entry| entry.place.clone());
    walk.value(
        tree,
        Demands::of(&[schema]),
        &Spot {
            path: Path::root(),
            place,
        },
    );
    walk.done
}

/// What a walk leaves behind.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) notes: Vec<Note>,
    /// Where secret values stand in the file.
    pub(super) secrets: Vec<Place>,
}

pub(super) struct Walk<'f> {
    pub(super) formats: &'f Formats,
    pub(super) done: Walked,
}

/// All that one value has to satisfy: every part, and one of each list of alternatives.
#[derive(Clone)]
pub(super) struct Demands<'s> {
    pub(super) parts: Vec<Schema<'s>>,
    pub(super) lists: Vec<Vec<Schema<'s>>>,
}

/// Where a value stands, and where to point when it is a section.
pub(super) struct Spot {
    pub(super) path: Path,
    pub(super) place: Place,
}

impl<'s> Demands<'s> {
    pub(super) fn of(schemas: &[Schema<'s>]) -> Self {
        Self {
            parts: schemas.iter().flat_map(|schema| schema.parts()).collect(),
            lists: schemas.iter().flat_map(|schema| schema.alternatives()).collect(),
        }
    }

    pub(super) fn types(&self) -> Vec<&'s str> {
        self.parts
            .iter()
            .map(|part| part.own_types())
            .find(|types| !types.is_empty())
            .unwrap_or_default()
    }

    pub(super) fn text(&self, keyword: &str) -> Option<&'s str> {
        self.parts
            .iter()
            .find_map(|part| part.own(keyword).and_then(Value::as_str))
    }

    pub(super) fn flag(&self, keyword: &str) -> bool {
        self.parts
            .iter()
            .any(|part| part.own(keyword) == Some(&Value::Bool(true)))
    }
}

impl Walk<'_> {
    /// Checks one value and all below it.
    pub(super) fn value(&mut self, node: &mut Node, mut demands: Demands<'_>, spot: &Spot) {
        if matches!(node.data, Data::Empty) && words::allows(&demands, "object") {
            node.data = Data::Mapping(Vec::new());
        } else if matches!(node.data, Data::Empty)
            && words::allows(&demands, "array")
            && !words::allows(&demands, "null")
        {
            node.data = Data::Sequence(Vec::new());
        }
        if demands.lists.is_empty() {
            self.settled(node, &demands, spot);
        } else {
            let list = demands.lists.remove(0);
            self.choose(node, &demands, &list, spot);
        }
    }

    fn settled(&mut self, node: &mut Node, demands: &Demands<'_>, spot: &Spot) {
        let secret = demands.flag("writeOnly");
        if secret {
            self.done.secrets.push(node.place.clone());
        }
        if demands.flag("deprecated") {
            let message = format!("{} is deprecated", Subject::Value(&spot.path));
            let help = demands
                .text("description")
                .and_then(|text| text.lines().next())
                .unwrap_or_default();
            self.done
                .notes
                .push(Note::warning(&spot.place, &spot.path, message).help(help));
        }
        let types = demands.types();
        if !words::accepts(&types, &node.data) {
            match node.spelling.take().filter(|_| types.contains(&"string")) {
                Some(spelling) => node.data = Data::Text(spelling),
                None => return self.wrong_type(node, demands, spot),
            }
        }
        let subject = Subject::Value(&spot.path);
        match &mut node.data {
            Data::Mapping(_) => self.mapping(node, demands, spot),
            Data::Sequence(_) => self.sequence(node, demands, spot),
            _ => self.scalar(node, demands, &subject, spot, secret),
        }
    }

    fn wrong_type(&mut self, node: &Node, demands: &Demands<'_>, spot: &Spot) {
        let (subject, expected) = (Subject::Value(&spot.path), words::expected(demands));
        let message = match node.data {
            Data::Empty | Data::Null => format!("{subject} has no value, and has to be {expected}"),
            _ => format!("{subject} has to be {expected}, and this is {}", node.kind()),
        };
        let cure = words::type_cure(node, demands).or_else(|| words::cure(demands));
        self.fault(
            node,
            demands,
            spot,
            message,
            cure.or_else(|| Some(format!("write {expected}"))),
        );
    }

    /// Notes an error about a value; without a cure of its own it gets the schema's.
    pub(super) fn fault(
        &mut self,
        node: &Node,
        demands: &Demands<'_>,
        spot: &Spot,
        message: String,
        cure: Option<String>,
    ) {
        let place = if node.is_container() || node.place == Place::Nowhere {
            &spot.place
        } else {
            &node.place
        };
        let cure = cure.or_else(|| words::cure(demands)).unwrap_or_default();
        self.done.notes.push(Note::error(place, &spot.path, message).help(cure));
    }

    fn sequence(&mut self, node: &mut Node, demands: &Demands<'_>, spot: &Spot) {
        let Data::Sequence(items) = &mut node.data else { return };
        let mut schemas: Vec<_> = demands
            .parts
            .iter()
            .filter_map(|part| part.own("items").map(|here| part.at(here)))
            .collect();
        for (index, item) in items.iter_mut().enumerate() {
            let place = item
                .entries()
                .first()
                .map_or_else(|| item.place.clone(), |entry| entry.place.clone());
            let tuple: Vec<_> = (demands.parts.iter())
                .filter_map(|part| {
                    part.own("prefixItems")
                        .and_then(|list| list.get(index))
                        .map(|here| part.at(here))
                })
                .collect();
            let own = if tuple.is_empty() {
                std::mem::take(&mut schemas)
            } else {
                tuple.clone()
            };
            self.value(
                item,
                Demands::of(&own),
                &Spot {
                    path: spot.path.clone().index(index),
                    place,
                },
            );
            if tuple.is_empty() {
                schemas = own;
            }
        }
        let length = items.len();
        let twice = (1..length).find(|&index| {
            demands.flag("uniqueItems")
                && items[..index]
                    .iter()
                    .any(|item| item.to_json() == items[index].to_json())
        });
        if let Some(index) = twice {
            let item = &items[index];
            let message = format!("{} has the same item twice", Subject::Value(&spot.path));
            self.done
                .notes
                .push(Note::error(&item.place, &spot.path, message).help("leave one of them out"));
        }
        self.length(node, demands, spot, length, ["minItems", "maxItems"], "item");
    }

    /// Checks how many items, keys or characters there are.
    pub(super) fn length(
        &mut self,
        node: &Node,
        demands: &Demands<'_>,
        spot: &Spot,
        length: usize,
        [least, most]: [&str; 2],
        noun: &str,
    ) {
        let subject = Subject::Value(&spot.path);
        let bound = |keyword: &str| {
            demands
                .parts
                .iter()
                .find_map(|part| part.own(keyword).and_then(Value::as_u64))
                .map(usize_of)
        };
        if let Some(least) = bound(least).filter(|least| length < *least) {
            let message = if length == 0 {
                format!("{subject} is empty, and needs at least {}", words::count(least, noun))
            } else {
                format!(
                    "{subject} needs at least {}, and has {length}",
                    words::count(least, noun)
                )
            };
            self.fault(node, demands, spot, message, None);
        } else if let Some(most) = bound(most).filter(|most| length > *most) {
            let message = format!(
                "{subject} may have at most {}, and has {length}",
                words::count(most, noun)
            );
            self.fault(node, demands, spot, message, None);
        }
    }

    /// Checks a scalar against every part; the first thing that is wrong with it is enough.
    pub(super) fn scalar(
        &mut self,
        node: &Node,
        demands: &Demands<'_>,
        subject: &Subject<'_>,
        spot: &Spot,
        secret: bool,
    ) {
        let shown = if secret { "this".to_owned() } else { words::shown(node) };
        let before = self.errors();
        for part in &demands.parts {
            self.one_of(node, *part, demands, subject, spot, &shown);
            match &node.data {
                Data::Number(number) => {
                    if let Some(bound) = words::bound_broken(number, *part) {
                        self.fault(
                            node,
                            demands,
                            spot,
                            format!("{subject} has to be {bound}, and this is {shown}"),
                            None,
                        );
                    }
                }
                Data::Text(text) => self.text(node, text, *part, demands, subject, spot, secret),
                _ => {}
            }
            if self.errors() > before {
                return;
            }
        }
    }

    fn one_of(
        &mut self,
        node: &Node,
        part: Schema<'_>,
        demands: &Demands<'_>,
        subject: &Subject<'_>,
        spot: &Spot,
        shown: &str,
    ) {
        let value = node.to_json();
        let known = words::choices(part);
        if known.is_empty() || known.contains(&&value) {
            return;
        }
        let names: Vec<String> = known.iter().map(|known| words::bare(known)).collect();
        let message = format!("{subject} cannot be {shown}");
        let one = format!("use {}", list(names.iter().map(String::as_str)));
        let cure = match nearest(&words::bare(&value), names.iter().map(String::as_str)) {
            Some(name) if names.len() > 1 => format!("did you mean `{name}`? {one}"),
            _ => one,
        };
        self.fault(node, demands, spot, message, Some(cure));
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call site, each argument a part of the same value's context"
    )]
    fn text(
        &mut self,
        node: &Node,
        text: &str,
        part: Schema<'_>,
        demands: &Demands<'_>,
        subject: &Subject<'_>,
        spot: &Spot,
        secret: bool,
    ) {
        let own = Demands {
            parts: vec![part],
            lists: Vec::new(),
        };
        if part.own("minLength").is_some() || part.own("maxLength").is_some() {
            self.length(
                node,
                &own,
                spot,
                text.chars().count(),
                ["minLength", "maxLength"],
                "character",
            );
        }
        if let Some(pattern) = part.own("pattern").and_then(Value::as_str)
            && !words::fits(pattern, text)
        {
            let message = match subject {
                Subject::Value(_) if !secret => {
                    format!("{subject} has to match `{pattern}`, and this is {}", words::shown(node))
                }
                _ => format!("{subject} has to match `{pattern}`"),
            };
            return self.fault(node, demands, spot, message, None);
        }
        if let Some(format) = part.own("format").and_then(Value::as_str)
            && let Err(reason) = self.formats.check(format, text)
        {
            let reason = if secret {
                format!("not a valid {format}")
            } else {
                reason
            };
            self.fault(node, demands, spot, format!("{subject}: {reason}"), None);
        }
    }

    pub(super) fn errors(&self) -> usize {
        self.done
            .notes
            .iter()
            .filter(|note| note.severity == Severity::Error)
            .count()
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
