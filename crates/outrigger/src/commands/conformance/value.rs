//! The short forms of values that would be long to write down.

use serde_json::{Map, Value};

/// The value with its short forms written out.
pub fn expand(value: &Value) -> Value {
    match value {
        Value::Object(members) => short_form(members).unwrap_or_else(|| {
            let members = members.iter().map(|(name, value)| (name.clone(), expand(value)));
            Value::Object(members.collect())
        }),
        Value::Array(elements) => Value::Array(elements.iter().map(expand).collect()),
        plain => plain.clone(),
    }
}

/// `{"$repeat": [TEXT, N]}` and `{"$nest": [N, X]}`.
fn short_form(members: &Map<String, Value>) -> Option<Value> {
    let (name, value) = members.iter().next().filter(|_| members.len() == 1)?;
    let [first, second] = value.as_array()?.as_slice() else {
        return None;
    };
    match name.as_str() {
        "$repeat" => Some(Value::String(first.as_str()?.repeat(times(second)?))),
        "$nest" => Some((0..times(first)?).fold(expand(second), |inner, _| Value::Array(vec![inner]))),
        _ => None,
    }
}

fn times(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn short_forms_are_written_out_wherever_they_stand() {
        let short = json!({"a": {"$repeat": ["xy", 3]}, "b": [{"$nest": [2, {"c": {"$repeat": ["z", 2]}}]}]});
        assert_eq!(expand(&short), json!({"a": "xyxyxy", "b": [[[{"c": "zz"}]]]}));
    }

    #[test]
    fn what_only_looks_like_one_is_left_alone() {
        for value in [
            json!({"$repeat": 1}),
            json!({"$repeat": ["x", 1], "more": 1}),
            json!({"$other": [1, 2]}),
        ] {
            assert_eq!(expand(&value), value);
        }
    }
}
