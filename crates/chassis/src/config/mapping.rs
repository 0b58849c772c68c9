//! Sections against the schema: keys that nobody knows, keys that are missing, and the values below.

use serde_json::Value;

use super::findings::Note;
use super::schema::Schema;
use super::suggest::{list, nearest};
use super::tree::{Data, Entry, Node};
use super::walk::{Demands, Spot, Walk};
use super::words::{self, Subject};

impl Walk<'_> {
    /// Checks a mapping whose alternatives are settled.
    pub(super) fn mapping(&mut self, node: &mut Node, demands: &Demands<'_>, spot: &Spot) {
        let properties: Vec<_> = demands.parts.iter().flat_map(|part| part.own_properties()).collect();
        let Data::Mapping(entries) = &mut node.data else { return };
        entries.retain(|entry| {
            let schemas = schemas_of(&entry.key, &properties, demands);
            !matches!(entry.node.data, Data::Null)
                || schemas.is_empty()
                || words::allows(&Demands::of(&schemas), "null")
        });
        for entry in entries.iter_mut() {
            self.key(entry, demands, spot);
            let schemas = schemas_of(&entry.key, &properties, demands);
            let own = Spot {
                path: spot.path.clone().key(&entry.key),
                place: entry.place.clone(),
            };
            if schemas.is_empty() && is_closed(demands) {
                self.unknown_key(entry, &properties, demands, spot);
            } else if schemas.iter().any(|schema| schema.is_never()) {
                let message = format!("{} is not allowed here", Subject::Value(&own.path));
                self.done
                    .notes
                    .push(Note::error(&entry.place, &own.path, message).help("take it out"));
            } else {
                self.value(&mut entry.node, Demands::of(&schemas), &own);
            }
        }
        self.missing_keys(node, &properties, demands, spot);
        self.length(
            node,
            demands,
            spot,
            node.entries().len(),
            ["minProperties", "maxProperties"],
            "key",
        );
    }

    /// Checks a key against `propertyNames`.
    fn key(&mut self, entry: &Entry, demands: &Demands<'_>, spot: &Spot) {
        let schemas: Vec<_> = (demands.parts.iter())
            .filter_map(|part| part.own("propertyNames").map(|here| part.at(here)))
            .collect();
        if schemas.is_empty() {
            return;
        }
        let own = Spot {
            path: spot.path.clone().key(&entry.key),
            place: entry.place.clone(),
        };
        let name = Node::new(Data::Text(entry.key.clone()), entry.place.clone());
        self.scalar(&name, &Demands::of(&schemas), &Subject::Key(&entry.key), &own, false);
    }

    fn unknown_key(&mut self, entry: &Entry, properties: &[(&str, Schema<'_>)], demands: &Demands<'_>, spot: &Spot) {
        let key = &entry.key;
        let patterns: Vec<&str> = (demands.parts.iter())
            .filter_map(|part| part.own("patternProperties").and_then(Value::as_object))
            .flat_map(|patterns| patterns.keys().map(String::as_str))
            .collect();
        let inside = words::inside(&spot.path);
        let (message, help) = if properties.is_empty() && !patterns.is_empty() {
            let message = format!("key `{key}` {inside} has to match {}", list(patterns.iter().copied()));
            (message, demands.text("x-help").unwrap_or("rename it").to_owned())
        } else if properties.is_empty() {
            (
                format!("unknown key `{key}` {inside}"),
                "no key is known here".to_owned(),
            )
        } else {
            let mut names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
            names.dedup();
            let known = format!(
                "known here: {}",
                names
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            let meant = nearest(key, names.iter().copied());
            let secret = |(name, schema): &(&str, Schema<'_>)| {
                Some(*name) == meant && schema.find("writeOnly") == Some(&Value::Bool(true))
            };
            if properties.iter().any(secret) {
                self.done.secrets.push(entry.node.place.clone());
            }
            let help = match meant {
                Some(name) => format!("did you mean `{name}`? {known}"),
                None => known,
            };
            (format!("unknown key `{key}` {inside}"), help)
        };
        let path = spot.path.clone().key(key);
        self.done
            .notes
            .push(Note::error(&entry.place, &path, message).help(help));
    }

    fn missing_keys(&mut self, node: &Node, properties: &[(&str, Schema<'_>)], demands: &Demands<'_>, spot: &Spot) {
        let mut required: Vec<&str> = demands.parts.iter().flat_map(|part| part.own_required()).collect();
        required.sort_unstable();
        required.dedup();
        for key in required {
            // Under a misspelt name it is there: that is one mistake, told where it stands.
            let names = || properties.iter().map(|(name, _)| *name);
            let misspelt =
                |entry: &Entry| !names().any(|name| name == entry.key) && nearest(&entry.key, names()) == Some(key);
            if node.get(key).is_some() || node.entries().iter().any(misspelt) {
                continue;
            }
            let path = spot.path.clone().key(key);
            let about = properties
                .iter()
                .find(|(name, _)| *name == key)
                .and_then(|(_, schema)| schema.text("description"));
            let about = about
                .and_then(|text| text.lines().next())
                .map(|line| format!(" ({})", line.trim_end_matches('.')));
            let mut help = format!("add `{key}:`{}", about.unwrap_or_default());
            if let Some(variable) = path.variable() {
                help = format!("{help}, or set {variable}");
            }
            let message = format!("key `{key}` is missing {}", words::inside(&spot.path));
            self.done
                .notes
                .push(Note::error(&spot.place, &path, message).help(help));
        }
    }
}

/// What the value of a key has to satisfy: by its name, by patterns, else as any other key.
fn schemas_of<'s>(key: &str, properties: &[(&'s str, Schema<'s>)], demands: &Demands<'s>) -> Vec<Schema<'s>> {
    let mut found: Vec<_> = properties
        .iter()
        .filter(|(name, _)| *name == key)
        .map(|(_, schema)| *schema)
        .collect();
    for part in &demands.parts {
        let patterns = part
            .own("patternProperties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        found.extend(
            patterns
                .filter(|(pattern, _)| words::fits(pattern, key))
                .map(|(_, here)| part.at(here)),
        );
    }
    if found.is_empty() {
        let others = demands.parts.iter().filter_map(|part| {
            let other = part
                .own("additionalProperties")
                .or_else(|| part.own("unevaluatedProperties"));
            other.filter(|other| other.is_object()).map(|here| part.at(here))
        });
        found.extend(others);
    }
    found
}

/// Whether keys that are not named are refused.
fn is_closed(demands: &Demands<'_>) -> bool {
    let no = Some(&Value::Bool(false));
    demands
        .parts
        .iter()
        .any(|part| part.own("additionalProperties") == no || part.own("unevaluatedProperties") == no)
}
