//! What `check` says of backends that keep lines.

use chassis::config::{self, Colour, Config, Findings, Formats, Sources};
use schemars::JsonSchema;
use serde::Deserialize;
use signals::Signals;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Root {
    signals: Signals,
}

impl Config for Root {
    fn check(&self, findings: &mut Findings) {
        findings.within("signals", |findings| self.signals.check(findings));
    }

    fn formats(formats: &mut Formats) {
        signals::formats(formats);
    }
}

fn load(backends: &str) -> Result<Root, String> {
    let text = format!("signals:\n  backends:\n{backends}");
    let sources = Sources::default().with_text("outrigger.yaml", text);
    config::load::<Root>(&sources)
        .map(|loaded| loaded.value)
        .map_err(|error| error.render(Colour::Off))
}

#[test]
fn the_examples_of_the_page_are_good() {
    let page = include_str!("../../../docs/signals/stores.md");
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        let example = example.replace("${DATABASE_URL}", "postgres://a:secret@b/c");
        let sources = Sources::default().with_text("outrigger.yaml", example.clone());
        let loaded = config::load::<Root>(&sources).unwrap_or_else(|error| panic!("{}", error.render(Colour::Off)));
        let shown = serde_json::to_string(&loaded.value.signals).expect("JSON");
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn keys_of_an_s3_are_never_shown() {
    let root = load(
        "    a: { type: s3, bucket: b, access_key_id: hidden1, secret_access_key: hidden2, session_token: hidden3 }\n",
    );
    let root = root.unwrap_or_else(|told| panic!("{told}"));
    let shown = serde_json::to_string(&root.signals).expect("JSON") + &format!("{:?}", root.signals.backends["a"].kind);
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn what_cannot_be_is_told_with_its_cure() {
    for (backend, word) in [
        ("a: { type: file, buffer: { type: disk, max_bytes: 1KiB } }", "1MiB"),
        ("a: { type: file, buffer: { type: tape } }", "tape"),
        (
            "a: { type: file, buffer: { type: memory, max_bytes: 2MiB } }",
            "max_bytes",
        ),
        ("a: { type: sqlite }", "path"),
        ("a: { type: sqlite, path: a.db, table: \"a;b\" }", "SCHEMA.NAME"),
        ("a: { type: postgres, url: \"postgres://h/d\", tabel: x }", "table"),
        ("a: { type: s3, bucket: b, prefix: \"{host}/\" }", "{host}"),
        ("a: { type: s3, bucket: b, access_key_id: x }", "go together"),
        ("a: { type: s3, bucket: b, level: 12 }", "level"),
    ] {
        let told = load(&format!("    {backend}\n")).expect_err(backend);
        assert!(told.contains(word), "{backend}: {told}");
    }
}
