//! The JSON Schema of a configuration, and how the walk reads it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::path::Step;

/// The JSON Schema (draft 2020-12) of a configuration type.
///
/// ```
/// let schema = chassis::config::schema::<chassis::config::Duration>();
/// assert_eq!(schema["format"], "duration");
/// ```
pub fn schema<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// A schema with the document that its references point into.
#[derive(Clone, Copy)]
pub(super) struct Schema<'s> {
    root: &'s Value,
    here: &'s Value,
}

impl<'s> Schema<'s> {
    pub(super) fn root(root: &'s Value) -> Self {
        Self { root, here: root }
    }

    pub(super) fn at(self, here: &'s Value) -> Self {
        Self { here, ..self }
    }

    /// A keyword of this very schema.
    pub(super) fn own(self, keyword: &str) -> Option<&'s Value> {
        self.here.get(keyword)
    }

    /// Nothing is allowed here.
    pub(super) fn is_never(self) -> bool {
        *self.here == Value::Bool(false)
    }

    /// This schema and all that hold together with it: through `$ref` and `allOf`.
    pub(super) fn parts(self) -> Vec<Self> {
        let mut parts = Vec::new();
        self.collect(&mut parts, 0);
        parts
    }

    fn collect(self, parts: &mut Vec<Self>, depth: usize) {
        if depth > MAX_REFERENCES {
            return;
        }
        parts.push(self);
        if let Some(target) = self
            .own("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.resolve(reference))
        {
            target.collect(parts, depth + 1);
        }
        for part in self.list("allOf") {
            part.collect(parts, depth + 1);
        }
    }

    fn resolve(self, reference: &str) -> Option<Self> {
        let pointer = reference.strip_prefix('#')?;
        self.root.pointer(pointer).map(|here| self.at(here))
    }

    /// The first part that has a keyword, and the keyword: what stands beside a `$ref` wins over what it refers to.
    pub(super) fn find(self, keyword: &str) -> Option<&'s Value> {
        self.parts().into_iter().find_map(|part| part.own(keyword))
    }

    pub(super) fn text(self, keyword: &str) -> Option<&'s str> {
        self.find(keyword).and_then(Value::as_str)
    }

    fn list(self, keyword: &str) -> impl Iterator<Item = Self> + use<'s> {
        self.own(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(move |here| self.at(here))
    }

    /// The lists of alternatives that a value has to satisfy one of each of.
    pub(super) fn alternatives(self) -> Vec<Vec<Self>> {
        let mut lists = Vec::new();
        for part in self.parts() {
            for keyword in ["anyOf", "oneOf"] {
                let list: Vec<_> = part.list(keyword).collect();
                if !list.is_empty() {
                    lists.push(list);
                }
            }
        }
        lists
    }

    /// The properties that this very schema names.
    pub(super) fn own_properties(self) -> Vec<(&'s str, Self)> {
        let map = self.own("properties").and_then(Value::as_object);
        map.into_iter()
            .flatten()
            .map(|(key, here)| (key.as_str(), self.at(here)))
            .collect()
    }

    /// The named properties of this schema, alternatives not counted.
    pub(super) fn properties(self) -> Vec<(&'s str, Self)> {
        self.parts().into_iter().flat_map(Self::own_properties).collect()
    }

    /// The named properties of this schema and of all its alternatives.
    pub(super) fn every_property(self) -> Vec<(&'s str, Self)> {
        let mut all = self.properties();
        for alternative in self.alternatives().into_iter().flatten() {
            all.extend(alternative.every_property());
        }
        all
    }

    /// Keys that this very schema wants.
    pub(super) fn own_required(self) -> Vec<&'s str> {
        self.own("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Keys that have to be there.
    pub(super) fn required(self) -> Vec<&'s str> {
        self.parts().into_iter().flat_map(Self::own_required).collect()
    }

    /// The JSON types that this very schema names; empty when any will do.
    pub(super) fn own_types(self) -> Vec<&'s str> {
        match (self.own("type"), self.own("const")) {
            (Some(Value::String(name)), _) => vec![name],
            (Some(Value::Array(names)), _) => names.iter().filter_map(Value::as_str).collect(),
            (_, Some(fixed)) => vec![type_of(fixed)],
            _ => Vec::new(),
        }
    }

    /// The JSON types that a value may have, without alternatives; empty when any will do.
    pub(super) fn types(self) -> Vec<&'s str> {
        self.parts()
            .into_iter()
            .map(Self::own_types)
            .find(|types| !types.is_empty())
            .unwrap_or_default()
    }

    /// The types that a value may have, those of alternatives too; empty when any will do.
    pub(super) fn every_type(self) -> Vec<&'s str> {
        let mut types = self.types();
        for list in self.alternatives() {
            for alternative in list {
                let more = alternative.every_type();
                types.extend(more);
            }
        }
        if types.is_empty() && !self.every_property().is_empty() {
            types.push("object");
        }
        let mut seen = Vec::new();
        types.retain(|name| {
            !seen.contains(name) && {
                seen.push(*name);
                true
            }
        });
        types
    }

    /// The schemas that the value of `step` has to satisfy, wherever this schema or an alternative of it knows the step.
    pub(super) fn step(self, step: &Step) -> Vec<Self> {
        let mut found = Vec::new();
        for part in self.parts() {
            match step {
                Step::Key(key) => {
                    let named = part.own("properties").and_then(|map| map.get(key));
                    let other = part.own("additionalProperties").filter(|other| other.is_object());
                    let patterned = part.own("patternProperties").and_then(Value::as_object);
                    match named {
                        Some(here) => found.push(self.at(here)),
                        None => found.extend(
                            patterned
                                .into_iter()
                                .flat_map(Map::values)
                                .chain(other)
                                .map(|here| self.at(here)),
                        ),
                    }
                }
                Step::Index(_) => found.extend(part.own("items").map(|here| self.at(here))),
            }
        }
        for alternative in self.alternatives().into_iter().flatten() {
            found.extend(alternative.step(step));
        }
        found
    }

    /// The schemas of the value that `steps` lead to.
    pub(super) fn walk(self, steps: &[Step]) -> Vec<Self> {
        steps.iter().fold(vec![self], |schemas, step| {
            schemas.into_iter().flat_map(|schema| schema.step(step)).collect()
        })
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A reference that leads back to itself ends here.
const MAX_REFERENCES: usize = 32;
