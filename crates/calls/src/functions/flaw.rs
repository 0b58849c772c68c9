//! What is wrong with a value, and where. Pure.

use std::fmt::Write as _;

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde::Serialize;
use serde_json::Value;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Flaw {
    /// Where: `args[0].records[1].id`.
    pub(crate) path: String,
    /// What, without the value itself.
    pub(crate) message: String,
}

impl Flaw {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// Adds what one error of the validator says of `whole`, which stands at `base`. A field that is missing or unknown is named
    /// by its own path; of alternatives, what is wrong with the one that was meant.
    pub(super) fn of_error(error: &ValidationError<'_>, whole: &Value, base: &str, flaws: &mut Vec<Self>) {
        let place = place(base, error.instance_path().as_str(), whole);
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                flaws.push(Self::new(with_field(&place, name), "is required"));
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let unknown = |name: &String| Self::new(with_field(&place, name), "is not known here");
                flaws.extend(unexpected.iter().map(unknown));
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                match meant(context, error) {
                    Some(errors) => {
                        for error in errors {
                            Self::of_error(error, whole, base, flaws);
                        }
                    }
                    None => flaws.push(Self::new(place, message(error))),
                }
            }
            _ => flaws.push(Self::new(place, message(error))),
        }
    }
}

/// The errors of the one alternative that the value is of the right type for.
fn meant<'e>(
    alternatives: &'e [Vec<ValidationError<'static>>],
    whole: &ValidationError<'_>,
) -> Option<&'e [ValidationError<'static>]> {
    let is_of_another_type = |error: &ValidationError<'_>| {
        let here = error.instance_path().as_str() == whole.instance_path().as_str();
        let kind = matches!(
            error.kind(),
            ValidationErrorKind::Type { .. } | ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. }
        );
        here && kind
    };
    let mut fitting = alternatives
        .iter()
        .filter(|errors| !errors.iter().any(is_of_another_type));
    let only = fitting.next().filter(|errors| !errors.is_empty())?;
    fitting.next().is_none().then_some(only.as_slice())
}

fn message(error: &ValidationError<'_>) -> String {
    let text = error.masked_with("it").to_string();
    text.strip_prefix("it ").map_or(text.clone(), str::to_owned)
}

/// A JSON pointer into `whole`, as programs write it. Whether a step is an index or a name is seen from the value.
fn place(base: &str, pointer: &str, whole: &Value) -> String {
    let mut path = base.to_owned();
    let mut value = Some(whole);
    for step in pointer.split('/').skip(1) {
        let name = step.replace("~1", "/").replace("~0", "~");
        if let (Some(Value::Array(elements)), Ok(index)) = (value, name.parse::<usize>()) {
            let _infallible = write!(path, "[{index}]");
            value = elements.get(index);
        } else {
            path = with_field(&path, &name);
            value = value.and_then(|value| value.get(&name));
        }
    }
    path
}

/// The path of a field; a name that is no word is quoted.
fn with_field(path: &str, name: &str) -> String {
    let first = name.chars().next();
    let is_word = first.is_some_and(|first| first.is_alphabetic() || first == '_' || first == '$')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '$' || c == '-');
    if !is_word {
        return format!("{path}[{}]", Value::from(name));
    }
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_written_as_programs_write_it() {
        let value = json!({"records": [{}, {"id": 1, "1": {"": 2, "a/b~c": 3}}], "7": []});
        for (base, pointer, path) in [
            ("args[0]", "", "args[0]"),
            ("args[0]", "/records/1/id", "args[0].records[1].id"),
            ("", "/records/1/id", "records[1].id"),
            ("", "/records/1/1/", r#"records[1]["1"][""]"#),
            ("", "/records/1/1/a~1b~0c", r#"records[1]["1"]["a/b~c"]"#),
            ("", "/7", r#"["7"]"#),
        ] {
            assert_eq!(place(base, pointer, &value), path);
        }
    }
}
