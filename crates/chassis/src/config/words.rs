//! The sentences of the walk: what a schema wants, what stands there, and what to do.

use std::fmt;

use serde_json::{Number, Value};

use super::schema::Schema;
use super::suggest::list;
use super::tree::{Data, Node};
use super::walk::Demands;
use super::{Path, mask_urls};

/// What a sentence is about.
#[derive(Clone, Copy)]
pub(super) enum Subject<'p> {
    /// The value at a path.
    Value(&'p Path),
    /// A key itself.
    Key(&'p str),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "key `{key}`"),
            Self::Value(path) if path.is_root() => f.write_str("the configuration"),
            Self::Value(path) => write!(f, "`{}`", path.last()),
        }
    }
}

/// "in `actors.clean`", or "at the top".
pub(super) fn inside(path: &Path) -> String {
    if path.is_root() {
        "at the top level".to_owned()
    } else {
        format!("in `{path}`")
    }
}

pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// A value in backticks: short, on one line, without passwords.
pub(super) fn shown(node: &Node) -> String {
    let text = match &node.data {
        Data::Text(text) => text.clone(),
        Data::Mapping(_) | Data::Sequence(_) | Data::Empty | Data::Null => return node.kind().to_owned(),
        _ => bare(&node.to_json()),
    };
    let masked = mask_urls(&text);
    let mut short: String = masked
        .chars()
        .take(MAX_SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if masked.chars().nth(MAX_SHOWN).is_some() {
        short.push_str("..");
    }
    format!("`{short}`")
}

/// A JSON value as it would stand in YAML without quotes.
pub(super) fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The values that a schema names one by one.
pub(super) fn choices(part: Schema<'_>) -> Vec<&Value> {
    let fixed = part.own("const").into_iter();
    fixed
        .chain(part.own("enum").and_then(Value::as_array).into_iter().flatten())
        .collect()
}

/// Whether data is of one of the JSON types; any will do where none is named.
pub(super) fn accepts(types: &[&str], data: &Data) -> bool {
    types.is_empty()
        || types.iter().any(|name| match (*name, data) {
            ("null", Data::Empty | Data::Null)
            | ("boolean", Data::Bool(_))
            | ("number", Data::Number(_))
            | ("string", Data::Text(_))
            | ("array", Data::Sequence(_))
            | ("object", Data::Mapping(_)) => true,
            ("integer", Data::Number(number)) => !number.is_f64(),
            _ => false,
        })
}

/// Whether a JSON type is named for a value, by an alternative too.
pub(super) fn allows(demands: &Demands<'_>, name: &str) -> bool {
    every_type(demands).contains(&name)
}

/// Whether a value is of a type that is allowed, as it is or as it is spelt.
pub(super) fn allows_data(demands: &Demands<'_>, node: &Node) -> bool {
    let types = every_type(demands);
    accepts(&types, &node.data) || node.spelling.is_some() && types.contains(&"string")
}

/// Whether nothing but `null` is named.
pub(super) fn is_null(demands: &Demands<'_>) -> bool {
    every_type(demands).iter().all(|name| *name == "null")
}

fn every_type<'s>(demands: &Demands<'s>) -> Vec<&'s str> {
    let mut types = demands.types();
    types.extend(demands.lists.iter().flatten().flat_map(|schema| schema.every_type()));
    types
}

/// What a schema wants, as a noun: "a duration", "a whole number or a list".
pub(super) fn expected(demands: &Demands<'_>) -> String {
    let mut nouns: Vec<String> = Vec::new();
    let mut add = |noun: String| {
        if !nouns.contains(&noun) {
            nouns.push(noun);
        }
    };
    let mut all = vec![demands.clone()];
    let mut next = 0;
    while let Some(demands) = all.get(next).cloned() {
        next += 1;
        all.extend(demands.lists.iter().flatten().map(|schema| Demands::of(&[*schema])));
        match demands.text("format").filter(|_| demands.types().contains(&"string")) {
            Some("duration") => add("a duration".to_owned()),
            Some("size") => add("a size".to_owned()),
            _ => {
                let named = demands
                    .parts
                    .iter()
                    .flat_map(|part| choices(*part))
                    .map(bare)
                    .collect::<Vec<_>>();
                if named.is_empty() {
                    demands
                        .types()
                        .into_iter()
                        .filter_map(noun)
                        .for_each(|noun| add(noun.to_owned()));
                } else {
                    add(list(named.iter().map(String::as_str)));
                }
            }
        }
    }
    match nouns.as_slice() {
        [] => "something else".to_owned(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

fn noun(name: &str) -> Option<&'static str> {
    Some(match name {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        "object" => "a mapping",
        _ => return None,
    })
}

/// What to do about a value of a wrong type.
pub(super) fn type_cure(node: &Node, demands: &Demands<'_>) -> Option<String> {
    let wanted = every_type(demands);
    let wants = |name: &str| wanted.contains(&name);
    match &node.data {
        Data::Empty | Data::Null if !wants("object") && !wants("array") => {
            Some("give it a value, or take the key out".to_owned())
        }
        _ if demands.flag("writeOnly") => Some("put it in quotes".to_owned()),
        Data::Number(_) | Data::Bool(_) if wants("string") => {
            Some(format!("put it in quotes: \"{}\"", bare(&node.to_json())))
        }
        Data::Text(text) if (wants("object") || wants("array")) && text.trim_start().starts_with(['{', '[']) => {
            let error = serde_json::from_str::<Value>(text).err()?;
            Some(format!("it looks like JSON and is not: {error}"))
        }
        Data::Text(text) if (wants("integer") || wants("number")) && super::scalar::number(text).is_some() => {
            Some("write it without quotes".to_owned())
        }
        Data::Text(text) if wants("boolean") => match text.to_lowercase().as_str() {
            "yes" | "on" | "true" => Some("write `true`".to_owned()),
            "no" | "off" | "false" => Some("write `false`".to_owned()),
            _ => Some("write `true` or `false`".to_owned()),
        },
        Data::Text(_) | Data::Number(_) | Data::Bool(_) if wants("array") => {
            Some(format!("write it as a list: [ {} ]", shown(node).trim_matches('`')))
        }
        _ if wants("object") => {
            let mut keys: Vec<&str> = demands
                .parts
                .iter()
                .flat_map(|part| part.own_properties())
                .map(|(key, _)| key)
                .collect();
            for (key, _) in demands
                .lists
                .iter()
                .flatten()
                .flat_map(|schema| schema.every_property())
            {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            if keys.is_empty() {
                Some("write `key: value` lines below it".to_owned())
            } else {
                Some(format!("its keys are {}", list(keys).replace(" or ", " and ")))
            }
        }
        _ => None,
    }
}

/// The schema's own cure: `x-help`, else its examples, else its default.
pub(super) fn cure(demands: &Demands<'_>) -> Option<String> {
    if let Some(help) = demands.text("x-help") {
        return Some(help.to_owned());
    }
    if let Some(examples) = demands
        .parts
        .iter()
        .find_map(|part| part.own("examples").and_then(Value::as_array))
    {
        let examples: Vec<String> = examples.iter().map(bare).collect();
        return (!examples.is_empty()).then(|| format!("for example {}", list(examples.iter().map(String::as_str))));
    }
    let default = demands.parts.iter().find_map(|part| part.own("default"))?;
    let plain =
        matches!(default, Value::Bool(_) | Value::Number(_)) || default.as_str().is_some_and(|text| !text.is_empty());
    (plain && !demands.flag("writeOnly")).then(|| format!("without the key it is `{}`", bare(default)))
}

/// Whether a text matches a schema's pattern.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    regex_lite::Regex::new(pattern)
        .expect("the patterns of a schema are regular expressions")
        .is_match(text)
}

/// The bound that a number breaks, as it would be said: "at least 1".
pub(super) fn bound_broken(number: &Number, part: Schema<'_>) -> Option<String> {
    let value = number.as_f64()?;
    let bound = |keyword: &str| part.own(keyword).and_then(Value::as_f64);
    let said = |keyword: &str| part.own(keyword).map(Value::to_string).unwrap_or_default();
    if bound("minimum").is_some_and(|least| value < least) {
        return Some(format!("at least {}", said("minimum")));
    }
    if bound("maximum").is_some_and(|most| value > most) {
        return Some(format!("at most {}", said("maximum")));
    }
    if bound("exclusiveMinimum").is_some_and(|least| value <= least) {
        return Some(format!("more than {}", said("exclusiveMinimum")));
    }
    if bound("exclusiveMaximum").is_some_and(|most| value >= most) {
        return Some(format!("less than {}", said("exclusiveMaximum")));
    }
    let whole = number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))?;
    let (_, least, most) = WIDTHS
        .iter()
        .find(|(name, ..)| part.own("format").is_some_and(|format| format == name))?;
    if whole < *least {
        return Some(format!("at least {least}"));
    }
    (whole > *most).then(|| format!("at most {most}"))
}

const MAX_SHOWN: usize = 60;
/// The ranges behind the number formats that schemas of Rust types carry.
const WIDTHS: [(&str, i128, i128); 10] = [
    ("uint8", 0, u8::MAX as i128),
    ("uint16", 0, u16::MAX as i128),
    ("uint32", 0, u32::MAX as i128),
    ("uint64", 0, u64::MAX as i128),
    ("uint", 0, usize::MAX as i128),
    ("int8", i8::MIN as i128, i8::MAX as i128),
    ("int16", i16::MIN as i128, i16::MAX as i128),
    ("int32", i32::MIN as i128, i32::MAX as i128),
    ("int64", i64::MIN as i128, i64::MAX as i128),
    ("int", isize::MIN as i128, isize::MAX as i128),
];
