//! JSON Schema in TypeScript's spelling. Pure.
//!
//! What a schema says of values beyond their shape, such as a least length, has no spelling there and is left out. A schema that
//! contains itself is `unknown` where it does.

use serde_json::{Map, Value};

/// The type of all values that fit a schema.
pub(super) fn type_of(schema: &Value) -> String {
    Speller {
        root: schema,
        open: Vec::new(),
    }
    .spell(schema)
    .text
}

/// A name as a key; one that is no word is quoted.
pub(super) fn key(name: &str) -> String {
    let first = name.chars().next();
    let is_word = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    if is_word {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

struct Speller<'s> {
    root: &'s Value,
    /// The references that are being spelt.
    open: Vec<String>,
}

/// A type, and whether it has to stand in brackets before `[]` or within `&`.
struct Spelt {
    text: String,
    is_union: bool,
}

impl Speller<'_> {
    fn spell(&mut self, schema: &Value) -> Spelt {
        let Value::Object(members) = schema else {
            return plain(if *schema == Value::Bool(false) {
                "never"
            } else {
                "unknown"
            });
        };
        let mut parts = Vec::new();
        if let Some(Value::String(reference)) = members.get("$ref") {
            parts.push(self.follow(reference));
        }
        if let Some(value) = members.get("const") {
            parts.push(literal(value));
        } else if let Some(Value::Array(values)) = members.get("enum") {
            parts.push(union(values.iter().map(literal)));
        } else if let Some(shape) = self.shape(members) {
            parts.push(shape);
        }
        for name in ["anyOf", "oneOf"] {
            if let Some(Value::Array(choices)) = members.get(name) {
                parts.push(union(choices.iter().map(|choice| self.spell(choice))));
            }
        }
        if let Some(Value::Array(all)) = members.get("allOf") {
            parts.extend(all.iter().map(|part| self.spell(part)));
        }
        let whole = both(parts);
        if members.get("nullable") == Some(&Value::Bool(true)) {
            return union([whole, plain("null")]);
        }
        whole
    }

    /// What `type`, and what goes with it, says.
    fn shape(&mut self, members: &Map<String, Value>) -> Option<Spelt> {
        match members.get("type") {
            Some(Value::String(kind)) => Some(self.of_kind(kind, members)),
            Some(Value::Array(kinds)) => {
                let kinds = kinds.iter().filter_map(Value::as_str);
                Some(union(kinds.map(|kind| self.of_kind(kind, members))))
            }
            _ if members.contains_key("properties") => Some(self.object(members)),
            _ if members.contains_key("items") || members.contains_key("prefixItems") => Some(self.array(members)),
            _ => None,
        }
    }

    fn of_kind(&mut self, kind: &str, members: &Map<String, Value>) -> Spelt {
        match kind {
            "string" => plain("string"),
            "number" | "integer" => plain("number"),
            "boolean" => plain("boolean"),
            "null" => plain("null"),
            "array" => self.array(members),
            "object" => self.object(members),
            _ => plain("unknown"),
        }
    }

    fn array(&mut self, members: &Map<String, Value>) -> Spelt {
        if let Some(Value::Array(first)) = members.get("prefixItems") {
            let mut elements: Vec<String> = first.iter().map(|schema| self.spell(schema).text).collect();
            match members.get("items") {
                Some(Value::Bool(false)) => {}
                Some(rest) => elements.push(format!("...{}", in_list(&self.spell(rest)))),
                None => elements.push("...unknown[]".to_owned()),
            }
            return plain(format!("[{}]", elements.join(", ")));
        }
        let element = members
            .get("items")
            .map_or_else(|| plain("unknown"), |items| self.spell(items));
        plain(in_list(&element))
    }

    fn object(&mut self, members: &Map<String, Value>) -> Spelt {
        let empty = Map::new();
        let properties = members.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required: Vec<&str> = match members.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let others = match members.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(Value::Bool(true)) => Some("unknown".to_owned()),
            Some(schema) => Some(self.spell(schema).text),
            None => properties.is_empty().then(|| "unknown".to_owned()),
        };
        if properties.is_empty() {
            let of = others.unwrap_or_else(|| "never".to_owned());
            return plain(format!("Record<string, {of}>"));
        }
        let mut fields: Vec<String> = Vec::with_capacity(properties.len() + 1);
        for (name, schema) in properties {
            let mark = if required.contains(&name.as_str()) { "" } else { "?" };
            fields.push(format!("{}{mark}: {}", key(name), self.spell(schema).text));
        }
        // An index has to hold the named fields too: only where it can be anything is that sure.
        if others.is_some() {
            fields.push("[key: string]: unknown".to_owned());
        }
        plain(format!("{{ {} }}", fields.join("; ")))
    }

    fn follow(&mut self, reference: &str) -> Spelt {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target.filter(|_| !self.open.iter().any(|open| open == reference)) else {
            return plain("unknown");
        };
        self.open.push(reference.to_owned());
        let spelt = self.spell(target);
        self.open.pop();
        spelt
    }
}

fn plain(text: impl Into<String>) -> Spelt {
    Spelt {
        text: text.into(),
        is_union: false,
    }
}

fn literal(value: &Value) -> Spelt {
    match value {
        Value::Array(_) | Value::Object(_) => plain("unknown"),
        scalar => plain(scalar.to_string()),
    }
}

fn in_list(element: &Spelt) -> String {
    if element.is_union {
        format!("({})[]", element.text)
    } else {
        format!("{}[]", element.text)
    }
}

fn union(choices: impl IntoIterator<Item = Spelt>) -> Spelt {
    let mut texts: Vec<String> = Vec::new();
    let mut is_union = false;
    for choice in choices {
        is_union |= choice.is_union;
        if !texts.contains(&choice.text) {
            texts.push(choice.text);
        }
    }
    Spelt {
        is_union: is_union || texts.len() > 1,
        text: if texts.is_empty() {
            "never".to_owned()
        } else {
            texts.join(" | ")
        },
    }
}

/// What is all of these.
fn both(mut parts: Vec<Spelt>) -> Spelt {
    match parts.len() {
        0 => plain("unknown"),
        1 => parts.remove(0),
        _ => {
            parts.retain(|part| part.text != "unknown");
            if parts.len() < 2 {
                return parts.pop().unwrap_or_else(|| plain("unknown"));
            }
            let wrapped = parts.iter().map(|part| {
                if part.is_union {
                    format!("({})", part.text)
                } else {
                    part.text.clone()
                }
            });
            Spelt {
                text: wrapped.collect::<Vec<_>>().join(" & "),
                is_union: true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_spelt_as_a_type() {
        for (schema, spelt) in [
            (json!(true), "unknown"),
            (json!({}), "unknown"),
            (json!(false), "never"),
            (json!({"type": "string", "minLength": 1}), "string"),
            (json!({"type": "integer"}), "number"),
            (json!({"type": ["string", "null"]}), "string | null"),
            (json!({"type": "string", "nullable": true}), "string | null"),
            (json!({"const": "a"}), "\"a\""),
            (json!({"enum": ["a", 1, null]}), "\"a\" | 1 | null"),
            (json!({"type": "array"}), "unknown[]"),
            (json!({"type": "array", "items": {"type": "string"}}), "string[]"),
            (json!({"items": {"type": ["string", "number"]}}), "(string | number)[]"),
            (
                json!({"prefixItems": [{"type": "string"}, {"type": "number"}], "items": false}),
                "[string, number]",
            ),
            (json!({"prefixItems": [{"type": "string"}]}), "[string, ...unknown[]]"),
            (json!({"type": "object"}), "Record<string, unknown>"),
            (
                json!({"type": "object", "additionalProperties": {"type": "number"}}),
                "Record<string, number>",
            ),
            (
                json!({"type": "object", "properties": {"id": {"type": "string"}, "a b": {"type": "number"}}, "required": ["id"]}),
                "{ \"a b\"?: number; id: string }",
            ),
            (
                json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
                "string | null",
            ),
            (
                json!({"allOf": [{"properties": {"a": true}}, {"anyOf": [{"type": "string"}, {"type": "number"}]}]}),
                "{ a?: unknown } & (string | number)",
            ),
            (
                json!({"$ref": "#/$defs/N", "$defs": {"N": {"properties": {"next": {"$ref": "#/$defs/N"}, "v": {"type": "number"}}}}}),
                "{ next?: unknown; v?: number }",
            ),
            (json!({"$ref": "https://example.org/x"}), "unknown"),
        ] {
            assert_eq!(type_of(&schema), spelt, "{schema}");
        }
    }
}
