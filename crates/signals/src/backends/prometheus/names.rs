//! Names as Prometheus takes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A metric's name: letters, digits, `_` and `:`, no digit in front.
pub(super) fn metric(name: &str) -> String {
    plain(name, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// A label's name: letters, digits and `_`, no digit in front; two underscores in front are Prometheus' own.
fn label(name: &str) -> String {
    let name = plain(name, |c| c.is_ascii_alphanumeric() || c == '_');
    if name.starts_with("__") {
        format!("tag{name}")
    } else {
        name
    }
}

fn plain(name: &str, fits: impl Fn(char) -> bool) -> String {
    let plain: String = name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if plain.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{plain}")
    } else {
        plain
    }
}

/// The labels of a line: its source, and its tags. Tags whose names become one are joined, and a tag called `source` is
/// `tag_source`; a label that is empty is none.
pub(super) fn labels(source: &str, tags: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("source".to_owned(), source.to_owned())]);
    for (key, value) in tags {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Null => continue,
            other => other.to_string(),
        };
        if key.is_empty() || value.is_empty() {
            continue;
        }
        let name = match label(key) {
            name if name == "source" => "tag_source".to_owned(),
            name => name,
        };
        labels
            .entry(name)
            .and_modify(|before| {
                before.push(';');
                before.push_str(&value);
            })
            .or_insert(value);
    }
    labels
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_become_what_prometheus_takes() {
        let names = ["cpu.load", "5xx", "a:b", "Größe", "ok_1"].map(metric);
        assert_eq!(names, ["cpu_load", "_5xx", "a:b", "Gr__e", "ok_1"]);
    }

    #[test]
    fn tags_become_labels_and_none_is_lost() {
        let tags = json!({ "a.b": 1, "a-b": "x", "source": "s", "__name__": "n", "c:d": true, "none": null, "empty": "", "": 1 });
        let labels = labels("api", tags.as_object().unwrap());
        let shown: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown,
            ["a_b=x;1", "c_d=true", "source=api", "tag__name__=n", "tag_source=s"]
        );
    }
}
