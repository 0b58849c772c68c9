//! Values that may be one of several things: which of them was meant, and what is wrong with that one.
//!
//! "None of the alternatives matched" helps nobody. A tag, a key that only one alternative has, or the kind of value
//! tells which one was meant; the findings are then those of that alternative.

use serde_json::Value;

use super::findings::Note;
use super::schema::Schema;
use super::suggest::{list, nearest};
use super::tree::{Data, Node};
use super::walk::{Demands, Spot, Walk, Walked};
use super::words::{self, Subject};

/// One alternative, tried.
struct Trial<'s> {
    schema: Schema<'s>,
    node: Node,
    walked: Walked,
    errors: usize,
}

impl Walk<'_> {
    /// Checks a value against the first alternative that fits it, or tells what is wrong with the one that was meant.
    pub(super) fn choose(&mut self, node: &mut Node, demands: &Demands<'_>, list: &[Schema<'_>], spot: &Spot) {
        let spelling = node.spelling.take();
        let mut trials = Vec::with_capacity(list.len());
        // As it is before as it is spelt: a list from the environment is a list where an alternative wants one.
        for spelling in [None, spelling] {
            if spelling.is_none() && !trials.is_empty() {
                break;
            }
            trials.clear();
            node.spelling = spelling;
            for schema in list {
                let trial = self.attempt(node.clone(), demands, *schema, spot);
                if trial.errors == 0 {
                    return self.adopt(node, trial);
                }
                trials.push(trial);
            }
        }
        // A secret stays one even where nobody can say which alternative it belongs to.
        let secrets = trials
            .iter_mut()
            .flat_map(|trial| std::mem::take(&mut trial.walked.secrets));
        self.done.secrets.extend(secrets);
        let of_kind = |trial: &Trial<'_>| words::allows_data(&Demands::of(&[trial.schema]), node);
        let others;
        if trials.iter().any(of_kind) {
            (trials, others) = trials.into_iter().partition(of_kind);
        } else {
            let mut all = demands.clone();
            all.lists.push(list.to_vec());
            let subject = Subject::Value(&spot.path);
            let message = format!(
                "{subject} has to be {}, and this is {}",
                words::expected(&all),
                node.kind()
            );
            return self.fault(node, &all, spot, message, words::type_cure(node, &all));
        }
        let meant = match &node.data {
            Data::Mapping(_) => self.section(node, &trials, spot),
            _ => self.word(node, demands, (&trials, &others), spot),
        };
        if let Some(index) = meant {
            self.adopt(node, trials.swap_remove(index));
        }
    }

    fn attempt<'s>(&self, mut node: Node, demands: &Demands<'s>, schema: Schema<'s>, spot: &Spot) -> Trial<'s> {
        let mut own = demands.clone();
        let more = Demands::of(&[schema]);
        own.parts.extend(more.parts);
        own.lists.extend(more.lists);
        let mut walk = Walk {
            formats: self.formats,
            done: Walked::default(),
        };
        walk.value(&mut node, own, spot);
        let errors = walk.errors();
        Trial {
            schema,
            node,
            walked: walk.done,
            errors,
        }
    }

    fn adopt(&mut self, node: &mut Node, trial: Trial<'_>) {
        *node = trial.node;
        self.done.notes.extend(trial.walked.notes);
        self.done.secrets.extend(trial.walked.secrets);
    }

    /// Which alternative a mapping was meant to be; `None` when that has been answered with a finding of its own.
    fn section(&mut self, node: &Node, trials: &[Trial<'_>], spot: &Spot) -> Option<usize> {
        if let [_] = trials {
            return Some(0);
        }
        if let Some(tag) = tag(trials) {
            return self.tagged(node, &tag, trials, spot);
        }
        let marks: Vec<Vec<&str>> = trials.iter().map(|trial| marks(trial.schema, trials)).collect();
        let present: Vec<usize> = (0..trials.len())
            .filter(|index| marks[*index].iter().any(|key| node.get(key).is_some()))
            .collect();
        match present.as_slice() {
            [only] => Some(*only),
            [one, other, ..] => {
                let here = |index: usize| marks[index].iter().find(|key| node.get(key).is_some()).copied();
                let (Some(one), Some(other)) = (here(*one), here(*other)) else {
                    return fewest(trials);
                };
                let message = format!("`{one}` and `{other}` exclude each other {}", words::inside(&spot.path));
                let entry = node
                    .entries()
                    .iter()
                    .rfind(|entry| entry.key == one || entry.key == other);
                let place = entry.map_or(&spot.place, |entry| &entry.place);
                self.done
                    .notes
                    .push(Note::error(place, &spot.path, message).help("keep one of them"));
                None
            }
            [] => {
                let names: Vec<&str> = marks.iter().filter_map(|keys| keys.first().copied()).collect();
                if names.len() < trials.len() {
                    return fewest(trials);
                }
                let slip = node
                    .entries()
                    .iter()
                    .find_map(|entry| nearest(&entry.key, names.iter().copied()).map(|name| (entry, name)));
                let one = format!("give one of {}", list(names.iter().copied()));
                let (place, path, message, help) = if let Some((entry, name)) = slip {
                    let message = format!("unknown key `{}` {}", entry.key, words::inside(&spot.path));
                    let path = spot.path.clone().key(&entry.key);
                    (&entry.place, path, message, format!("did you mean `{name}`? {one}"))
                } else {
                    let message = format!("{} does not say what it is", Subject::Value(&spot.path));
                    (&spot.place, spot.path.clone(), message, one)
                };
                self.done.notes.push(Note::error(place, &path, message).help(help));
                None
            }
        }
    }

    fn tagged(&mut self, node: &Node, tag: &str, trials: &[Trial<'_>], spot: &Spot) -> Option<usize> {
        let names: Vec<Vec<&Value>> = trials.iter().map(|trial| tag_values(trial.schema, tag)).collect();
        let flat: Vec<String> = names.iter().flatten().map(|value| words::bare(value)).collect();
        let known = format!("use {}", list(flat.iter().map(String::as_str)));
        let path = spot.path.clone().key(tag);
        let Some(entry) = node.get(tag) else {
            let message = format!("key `{tag}` is missing {}", words::inside(&spot.path));
            let help = format!("add `{tag}:` with {}", list(flat.iter().map(String::as_str)));
            self.done
                .notes
                .push(Note::error(&spot.place, &path, message).help(help));
            return None;
        };
        let value = entry.node.to_json();
        if let Some(index) = names.iter().position(|names| names.contains(&&value)) {
            return Some(index);
        }
        let message = format!("`{tag}` cannot be {}", words::shown(&entry.node));
        let help = match nearest(&words::bare(&value), flat.iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`? {known}"),
            None => known,
        };
        self.done
            .notes
            .push(Note::error(&entry.node.place, &path, message).help(help));
        None
    }

    /// Which alternative a scalar or list was meant to be; `None` when that has been answered.
    fn word(
        &mut self,
        node: &Node,
        demands: &Demands<'_>,
        (trials, others): (&[Trial<'_>], &[Trial<'_>]),
        spot: &Spot,
    ) -> Option<usize> {
        let choices: Vec<&Value> = trials.iter().flat_map(|trial| choices(trial.schema)).collect();
        let free = trials
            .iter()
            .filter(|trial| self::choices(trial.schema).is_empty())
            .count();
        if free > 0 || choices.is_empty() {
            let open = |trial: &&(usize, &Trial<'_>)| self::choices(trial.1.schema).is_empty();
            let indexed: Vec<_> = trials.iter().enumerate().collect();
            return indexed
                .iter()
                .filter(open)
                .min_by_key(|(_, trial)| trial.errors)
                .map(|(index, _)| *index);
        }
        let names: Vec<String> = choices.iter().map(|value| words::bare(value)).collect();
        let mut known = format!("use {}", list(names.iter().map(String::as_str)));
        let mut other = Demands {
            parts: Vec::new(),
            lists: Vec::new(),
        };
        other.lists.extend(others.iter().map(|trial| vec![trial.schema]));
        if !words::is_null(&other) {
            known = format!("{known}, or {}", words::expected(&other));
        }
        let help = match nearest(&words::bare(&node.to_json()), names.iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`? {known}"),
            None => known,
        };
        let message = format!("{} cannot be {}", Subject::Value(&spot.path), words::shown(node));
        self.fault(node, demands, spot, message, Some(help));
        None
    }
}

fn fewest(trials: &[Trial<'_>]) -> Option<usize> {
    trials
        .iter()
        .enumerate()
        .min_by_key(|(_, trial)| trial.errors)
        .map(|(index, _)| index)
}

/// The key whose fixed value tells the alternatives apart, if all of them have one.
fn tag(trials: &[Trial<'_>]) -> Option<String> {
    let first = trials.first()?;
    let candidate = |key: &&str| trials.iter().all(|trial| !tag_values(trial.schema, key).is_empty());
    let properties = first.schema.properties();
    properties
        .iter()
        .map(|(key, _)| *key)
        .find(candidate)
        .map(str::to_owned)
}

/// The values that an alternative has `key` fixed to.
fn tag_values<'s>(schema: Schema<'s>, key: &str) -> Vec<&'s Value> {
    let own = schema.properties().into_iter().filter(|(name, _)| *name == key);
    own.flat_map(|(_, property)| property.parts())
        .flat_map(words::choices)
        .collect()
}

/// The values that an alternative allows, where it names them one by one.
fn choices(schema: Schema<'_>) -> Vec<&Value> {
    schema.parts().into_iter().flat_map(words::choices).collect()
}

/// The keys by which an alternative is recognised: those that it needs and that not every other one has too; the ones
/// that it needs come first, then those that no other knows.
fn marks<'s>(schema: Schema<'s>, trials: &[Trial<'s>]) -> Vec<&'s str> {
    let known_elsewhere = |key: &str| {
        trials
            .iter()
            .filter(|other| other.schema.every_property().iter().any(|(name, _)| *name == key))
            .count()
            > 1
    };
    let mut marks: Vec<&str> = schema
        .required()
        .into_iter()
        .filter(|key| !known_elsewhere(key))
        .collect();
    for (key, _) in schema.every_property() {
        if !known_elsewhere(key) && !marks.contains(&key) {
            marks.push(key);
        }
    }
    marks
}
