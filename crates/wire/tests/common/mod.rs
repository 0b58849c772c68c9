//! Arbitrary JSON text and envelopes, in odd spacing and in both dialects.

use proptest::prelude::*;
use proptest::sample::select;

/// An envelope as text, with what went into it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// The whole.
    pub(crate) text: String,
    /// The payload's text.
    pub(crate) payload: String,
    /// The text of each member that no edit may touch, in order.
    pub(crate) kept: Vec<String>,
}

/// One JSON value as text, never with whitespace around it.
pub(crate) fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1.50",
            "1E+2",
            "-7e-1",
            "12345678901234567890"
        ])
        .prop_map(str::to_owned),
        string(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let element = (space(), inner.clone(), space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let member = (space(), string(), space(), space(), inner, space())
            .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
        prop_oneof![
            prop::collection::vec(element, 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec(member, 0..4).prop_map(|list| format!("{{{}}}", list.join(","))),
        ]
    })
}

/// A JSON string as text, escapes and all.
pub(crate) fn string() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "a",
        "payload",
        "\u{e4}",
        "\u{1f600}",
        r#"\""#,
        r"\\",
        r"\n",
        r"\u0041",
        r"\ud83d\ude00",
        "{",
        "}",
        ",",
        ":",
        "[",
    ]);
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// Whitespace of JSON, mostly none.
pub(crate) fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", " ", "\n", "\t \r\n"])
}

/// A sound envelope.
pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    let id = prop_oneof![
        Just(vec![("id", r#""m-1""#.to_owned())]),
        Just(vec![("job_id", r#""m\u0041\u00e4""#.to_owned())]),
        Just(vec![("job_id", r#""old""#.to_owned()), ("id", r#""new""#.to_owned())]),
        Just(vec![("id", "null".to_owned()), ("job_id", r#""j""#.to_owned())]),
    ];
    let optional = (
        prop::option::of(select(vec![r#"{"job":"j","n":[1]}"#, "{}", "null", "7"])),
        prop::option::of(select(vec![r#""2026-01-01T00:00:00Z""#, r#""soon""#, "null"])),
        prop::option::of(select(vec!["1", "3", "null", "2.0"])),
        prop::option::of(select(vec![r#"{"code":"x"}"#, "null"])),
        prop::option::of(select(vec![r#""p""#, "null"])),
    );
    let strangers = prop::collection::vec(json(), 0..4);
    (id, route(), json(), optional, strangers)
        .prop_flat_map(
            |(mut fields, route, payload, (headers, deadline, attempt, error, parent), strangers)| {
                let named = [
                    ("headers", headers),
                    ("deadline", deadline),
                    ("attempt", attempt),
                    ("error", error),
                    ("parent_id", parent),
                ];
                fields.extend(
                    named
                        .into_iter()
                        .filter_map(|(name, value)| Some((name, value?.to_owned()))),
                );
                fields.push(("route", route));
                fields.push(("payload", payload.clone()));
                let unknown = ["one", "two", "tw\\u006f", "\u{e4}"];
                fields.extend(unknown.into_iter().zip(strangers));
                (
                    Just(payload),
                    Just(fields).prop_shuffle(),
                    prop::collection::vec(space(), 60),
                )
            },
        )
        .prop_map(|(payload, fields, spaces)| assemble(payload, &fields, &spaces))
}

fn assemble(payload: String, fields: &[(&str, String)], spaces: &[&str]) -> Sample {
    let mut spaces = spaces.iter();
    let mut next = || spaces.next().copied().unwrap_or_default();
    let mut members = Vec::new();
    let mut kept = Vec::new();
    for (name, value) in fields {
        let core = format!("\"{name}\"{}:{}{value}", next(), next());
        if !EDITED.contains(name) {
            kept.push(core.clone());
        }
        members.push(format!("{}{core}{}", next(), next()));
    }
    let text = format!("{}{{{}}}{}", next(), members.join(","), next());
    Sample { text, payload, kept }
}

fn route() -> impl Strategy<Value = String> {
    let actors = prop::collection::vec(select(vec!["a", "b", "clean", "no actor"]), 0..4);
    let spelling = select(vec!["actors", "steps", "both"]);
    let current = select(vec!["0", "1", "2", "1.0", "-1", "2e0", "77"]);
    (
        actors,
        spelling,
        current,
        prop::option::of(json()),
        space(),
        any::<bool>(),
    )
        .prop_map(|(actors, spelling, current, metadata, space, first)| {
            let list = serde_json::to_string(&actors).expect("strings");
            let mut fields = match spelling {
                "both" => vec![format!(r#""steps":["x"]{space}"#), format!(r#""actors":{list}"#)],
                name => vec![format!(r#""{name}":{space}{list}"#)],
            };
            fields.extend(metadata.map(|metadata| format!(r#"{space}"metadata":{metadata}"#)));
            let place = if first { 0 } else { fields.len() };
            fields.insert(place, format!(r#""current"{space}:{current}"#));
            format!("{{{space}{}{space}}}", fields.join(","))
        })
}

/// What some edit may change.
const EDITED: [&str; 7] = ["id", "job_id", "parent_id", "route", "payload", "attempt", "error"];
