//! A JSON Schema that values are held against.

use jsonschema::Validator;
use serde_json::Value;
use wire::Json;

use super::Flaw;

/// A JSON Schema, draft 2020-12 where it names no other.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    source: Value,
    /// `None` where anything fits.
    validator: Option<Validator>,
}

impl Schema {
    /// Reads a schema. Others that it refers to have to be within it: nothing is fetched.
    ///
    /// # Errors
    /// What is wrong with it, in one sentence.
    pub(crate) fn new(source: &Value) -> Result<Self, String> {
        let is_open = matches!(source, Value::Bool(true)) || source.as_object().is_some_and(serde_json::Map::is_empty);
        let validator = if is_open {
            None
        } else {
            Some(jsonschema::validator_for(source).map_err(|error| error.to_string())?)
        };
        Ok(Self {
            source: source.clone(),
            validator,
        })
    }

    /// The schema that everything fits.
    pub(crate) fn anything() -> Self {
        Self {
            source: Value::Bool(true),
            validator: None,
        }
    }

    /// The schema itself.
    pub(crate) fn source(&self) -> &Value {
        &self.source
    }

    /// Adds all that is wrong with a value that stands at `base`.
    pub(crate) fn hold(&self, value: &Json, base: &str, flaws: &mut Vec<Flaw>) {
        let Some(validator) = &self.validator else { return };
        // What is JSON and yet no value of ours: a number out of range, a nesting without end.
        let whole: Value = match serde_json::from_slice(value.bytes()) {
            Ok(whole) => whole,
            Err(error) => {
                let message = format!("cannot be held against its schema: {error}");
                return flaws.push(Flaw::new(base, message));
            }
        };
        for error in validator.iter_errors(&whole) {
            Flaw::of_error(&error, &whole, base, flaws);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flaws(schema: &Value, value: &str) -> Vec<String> {
        let mut flaws = Vec::new();
        let value = Json::parse(value.to_owned().into()).unwrap();
        Schema::new(schema).unwrap().hold(&value, "args[0]", &mut flaws);
        let mut flaws: Vec<_> = flaws
            .iter()
            .map(|flaw| format!("{}: {}", flaw.path, flaw.message))
            .collect();
        flaws.sort();
        flaws
    }

    fn records() -> Value {
        json!({
            "type": "object",
            "properties": {"records": {"type": "array", "items": {"$ref": "#/$defs/Record"}}, "mode": {"enum": ["a", "b"]}},
            "required": ["records"],
            "additionalProperties": false,
            "$defs": {"Record": {"type": "object", "properties": {"id": {"type": "string", "minLength": 1}}, "required": ["id", "data"]}},
        })
    }

    #[test]
    fn every_flaw_is_told_by_its_path() {
        assert_eq!(
            flaws(
                &records(),
                r#"{"records":[{"id":"a","data":1},{"id":7}],"mode":"c","x":1,"y":2}"#
            ),
            [
                "args[0].mode: is not one of \"a\" or \"b\"",
                "args[0].records[1].data: is required",
                "args[0].records[1].id: is not of type \"string\"",
                "args[0].x: is not known here",
                "args[0].y: is not known here",
            ]
        );
        assert_eq!(flaws(&records(), "[]"), ["args[0]: is not of type \"object\""]);
        assert_eq!(flaws(&records(), "{}"), ["args[0].records: is required"]);
        assert_eq!(flaws(&records(), r#"{"records":[]}"#), [""; 0]);
    }

    #[test]
    fn of_alternatives_the_one_that_was_meant_is_looked_at() {
        let mut records = records();
        let defs = records
            .as_object_mut()
            .and_then(|members| members.remove("$defs"))
            .unwrap();
        let optional = json!({"anyOf": [records, {"type": "null"}], "$defs": defs});
        assert_eq!(flaws(&optional, "{}"), ["args[0].records: is required"]);
        assert_eq!(flaws(&optional, "null"), [""; 0]);
        let neither = flaws(&optional, "1");
        assert_eq!(neither.len(), 1);
        assert!(neither[0].starts_with("args[0]: is not valid under any"), "{neither:?}");
    }

    #[test]
    fn what_cannot_be_held_against_a_schema_is_a_flaw() {
        let deep = "[".repeat(300) + &"]".repeat(300);
        assert_eq!(flaws(&json!({"type": "array"}), &deep).len(), 1);
        assert_eq!(flaws(&json!({"type": "number"}), "1e999").len(), 1);
        assert_eq!(flaws(&json!({}), &deep), [""; 0]);
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        for schema in [
            json!({"type": "strin"}),
            json!(7),
            json!({"$ref": "https://example.org/s.json"}),
        ] {
            assert!(Schema::new(&schema).is_err(), "{schema}");
        }
    }
}
