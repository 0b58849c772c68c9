//! Shapes of Rust types that the loader has to understand through their schemas.

use std::collections::BTreeMap;
use std::fs;

use chassis::config::{self, Config, Duration, Sources};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Shapes {
    tagged: Option<Tagged>,
    external: Option<External>,
    flat: Option<Flat>,
    keys: BTreeMap<Key, u8>,
    even: Option<Even>,
    pair: Option<(u8, String)>,
    nested: Option<Vec<Vec<Duration>>>,
    #[schemars(length(min = 1, max = 2))]
    few: Vec<String>,
    #[schemars(extend("uniqueItems" = true))]
    set: Vec<i8>,
    #[schemars(length(min = 2))]
    word: Option<String>,
    free: BTreeMap<String, serde_json::Value>,
}

impl Config for Shapes {}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Tagged {
    File(File),
    Null,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    path: String,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum External {
    Off,
    Rate(u32),
    Window { size: u32 },
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Flat {
    name: String,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Run(String),
    Socket(String),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
struct Key(#[schemars(regex(pattern = "^[a-z]+$"))] String);

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
struct Even(u32);

impl TryFrom<u32> for Even {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number.is_multiple_of(2) {
            Ok(Self(number))
        } else {
            Err(format!("{number} is odd"))
        }
    }
}

fn load(text: &str) -> Shapes {
    match config::load(&Sources::default().with_text("c.yaml", text)) {
        Ok(loaded) => loaded.value,
        Err(error) => panic!("{}", error.render(config::Colour::Off)),
    }
}

fn faults(text: &str) -> Vec<String> {
    match config::load::<Shapes>(&Sources::default().with_text("c.yaml", text)) {
        Ok(loaded) => panic!("it was accepted: {:?}", loaded.value),
        Err(error) => error.findings().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_shape_is_read() {
    let text = "\
tagged: { type: file, path: x }
external: { window: { size: 3 } }
flat: { name: n, socket: s }
keys: { a: 1 }
even: 4
pair: [1, x]
nested: [[1s, 2], []]
few: [a]
set: [1, 2]
free: { any: [thing, { goes: 1.5 }] }
";
    let shapes = load(text);
    assert_eq!(shapes.tagged, Some(Tagged::File(File { path: "x".into() })));
    assert_eq!(shapes.external, Some(External::Window { size: 3 }));
    assert_eq!(
        shapes.flat,
        Some(Flat {
            name: "n".into(),
            kind: Kind::Socket("s".into())
        })
    );
    assert_eq!(shapes.keys[&Key("a".into())], 1);
    assert_eq!(shapes.even, Some(Even(4)));
    assert_eq!(shapes.pair, Some((1, "x".into())));
    assert_eq!(
        shapes.nested,
        Some(vec![vec![Duration::from_secs(1), Duration::from_secs(2)], vec![]])
    );
    assert_eq!(shapes.free["any"], serde_json::json!(["thing", { "goes": 1.5 }]));
    assert_eq!(load("external: off\nfew: [a]\n").external, Some(External::Off));
    assert_eq!(
        load("tagged: { type: \"null\" }\nfew: [a]\n").tagged,
        Some(Tagged::Null)
    );
}

#[test]
fn a_tagged_alternative_tells_its_own_keys() {
    assert_eq!(
        faults("tagged: { type: file, pth: x }\n"),
        ["c.yaml:1:23: error: unknown key `pth` in `tagged`; did you mean `path`? known here: `path`, `type`"]
    );
}

#[test]
fn an_alternative_named_by_its_key_is_checked_as_that_one() {
    assert_eq!(
        faults("external: { rate: fast }\n"),
        ["c.yaml:1:19: error: `rate` has to be a whole number, and this is a string; write a whole number"]
    );
    assert_eq!(
        faults("external: of\n"),
        ["c.yaml:1:11: error: `external` cannot be `of`; did you mean `off`? use `off`, or a mapping"]
    );
    assert_eq!(
        faults("external: { rat: 5 }\n"),
        ["c.yaml:1:13: error: unknown key `rat` in `external`; did you mean `rate`? give one of `rate` or `window`"]
    );
}

#[test]
fn flattened_alternatives_are_seen_beside_the_keys_of_their_section() {
    assert_eq!(
        faults("flat: { name: n }\n"),
        ["c.yaml:1:1: error: `flat` does not say what it is; give one of `run` or `socket`"]
    );
    assert_eq!(
        faults("flat: { name: n, run: 5 }\n"),
        ["c.yaml:1:23: error: `run` has to be a string, and this is a number; put it in quotes: \"5\""]
    );
}

#[test]
fn keys_have_their_own_rules() {
    assert_eq!(
        faults("keys: { A: 1, b: 300 }\n"),
        [
            "c.yaml:1:9: error: key `A` in `keys` has to match `^[a-z]+$`; rename it",
            "c.yaml:1:18: error: `b` has to be at most 255, and this is `300`",
        ]
    );
}

#[test]
fn lengths_of_lists_and_texts_are_checked() {
    assert_eq!(
        faults("few: []\nset: [1, 1]\nword: x\npair: [x, y]\n"),
        [
            "c.yaml:1:1: error: `few` is empty, and needs at least 1 item",
            "c.yaml:2:10: error: `set` has the same item twice; leave one of them out",
            "c.yaml:3:7: error: `word` needs at least 2 characters, and has 1",
            "c.yaml:4:8: error: `pair[0]` has to be a whole number, and this is a string; write a whole number",
        ]
    );
    assert_eq!(
        faults("few: [a, b, c]\nset: [200]\nnested: [[soon]]\n"),
        [
            "c.yaml:1:1: error: `few` may have at most 2 items, and has 3",
            "c.yaml:2:7: error: `set[0]` has to be at most 127, and this is `200`",
            "c.yaml:3:11: error: `nested[0][0]`: `soon` is not a duration: expected a number at `soon`; for example `30s` or `5m`",
        ]
    );
}

#[test]
fn what_a_type_itself_refuses_gets_its_line() {
    assert_eq!(faults("few: [a]\neven: 3\n"), ["c.yaml:2:7: error: `even`: 3 is odd"]);
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("outrigger.yaml"), [0x66, 0xff, 0xfe]).unwrap();
    let error = config::load::<Shapes>(&Sources::default().with_folder(folder.path())).unwrap_err();
    assert_eq!(
        error.findings()[0].message,
        "cannot read outrigger.yaml: it is not UTF-8 text"
    );
}

#[test]
fn the_environment_of_the_process_is_at_hand() {
    assert!(config::process_environment().contains_key("PATH"));
}
