//! The vectors that the binary carries.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::step::Step;

macro_rules! carried {
    ($($topic:literal),* $(,)?) => {
        &[$(($topic, include_str!(concat!("../../../../../sdks/vectors/", $topic, ".json")))),*]
    };
}

/// The files, in the order in which they are played: what everything else rests on comes first.
const FILES: &[(&str, &str)] = carried![
    "hello",
    "framing",
    "values",
    "results",
    "errors",
    "meta",
    "interim",
    "concurrency",
];

/// The functions that a conformance handler serves.
const FUNCTIONS: [&str; 14] = [
    "echo",
    "nothing",
    "fan_out",
    "one",
    "fail",
    "retry",
    "crash",
    "steps",
    "stream",
    "context",
    "slow",
    "wait",
    "cancellations",
    "bad_result",
];

/// A recorded exchange.
#[derive(Debug, Clone)]
pub struct Vector {
    /// Its topic and its sentence: `hello: a ping is answered with its own number`.
    pub name: String,
    /// What depends on it.
    pub why: String,
    /// What is usually the cause where it fails.
    pub usually: String,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "it is for who reads the file")]
    about: String,
    vectors: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    why: String,
    usually: String,
    steps: Vec<Step>,
}

impl Vector {
    /// The functions of the table that it calls.
    pub fn functions(&self) -> BTreeSet<&str> {
        let called = self.steps.iter().flat_map(Step::functions);
        called.filter(|name| FUNCTIONS.contains(name)).collect()
    }
}

/// Those with `part` in their names, whatever the case of its letters; all of them without.
pub fn selected(part: Option<&str>) -> Vec<Vector> {
    let part = part.unwrap_or_default().to_lowercase();
    let mut all = Vec::new();
    for (topic, text) in FILES {
        let file: File = serde_json::from_str(text).expect("a test has read it");
        all.extend(file.vectors.into_iter().map(|entry| Vector {
            name: format!("{topic}: {}", entry.name),
            why: entry.why,
            usually: entry.usually,
            steps: entry.steps,
        }));
    }
    all.retain(|vector| vector.name.to_lowercase().contains(&part));
    all
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdks/vectors");

    #[test]
    fn every_file_is_carried() {
        let there = std::fs::read_dir(Path::new(FOLDER)).unwrap();
        let there = there.map(|file| file.unwrap().path());
        let there = there.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let there: BTreeSet<String> = there
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let carried = FILES.iter().map(|(topic, _)| (*topic).to_owned()).collect();
        assert_eq!(there, carried);
    }

    #[test]
    fn every_file_is_read_and_every_vector_has_a_name_of_its_own() {
        for (topic, text) in FILES {
            let file = serde_json::from_str::<File>(text);
            assert!(file.is_ok(), "{topic}: {file:?}");
        }
        let all = selected(None);
        let names: BTreeSet<&str> = all.iter().map(|vector| vector.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn the_vectors_call_every_function_of_the_table() {
        let all = selected(None);
        let called: BTreeSet<&str> = all.iter().flat_map(Vector::functions).collect();
        assert_eq!(called, FUNCTIONS.into());
        let table = std::fs::read_to_string(Path::new(FOLDER).join("README.md")).unwrap();
        for function in FUNCTIONS {
            assert!(table.contains(&format!("\n| `{function}` |")), "{function}");
        }
    }

    #[test]
    fn a_part_of_the_name_selects() {
        let found = selected(Some("BYTE by byte"));
        assert_eq!(
            found.iter().map(|vector| vector.name.as_str()).collect::<Vec<_>>(),
            ["framing: a request may come byte by byte"]
        );
        assert!(selected(Some("no such thing")).is_empty());
    }
}
