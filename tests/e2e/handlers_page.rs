//! The page on writing handlers: what it says of each language is done as it stands there, and works.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use crate::harness::{Field, json, wait_until};

const PAGE: &str = include_str!("../../docs/handlers.md");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// One fenced block of the page: its language, and its text.
struct Block {
    language: &'static str,
    text: String,
}

/// The blocks under a heading, with this checkout in the place of the reader's.
fn blocks(heading: &str) -> Vec<Block> {
    let (_, rest) = PAGE
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading}"));
    let section = rest.split("\n## ").next().expect("a section");
    let root = fs::canonicalize(ROOT).expect("the checkout");
    let fenced = section.split("\n```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (language, text) = block.split_once('\n').expect("a line");
            let text = format!("{text}\n").replace("../outrigger", root.to_str().expect("text"));
            Block { language, text }
        })
        .collect()
}

/// Does what the page says under a heading: writes its files, runs its commands.
fn follow(heading: &str) -> Field {
    let field = Field::new("");
    // What is fetched and built is kept: a test does not build a library anew.
    let kept = Path::new(ROOT).join("target/handlers-page");
    fs::create_dir_all(&kept).expect("a folder");
    symlink(fs::canonicalize(kept).expect("it is there"), field.path("target")).expect("a link");
    fs::copy(Path::new(ROOT).join("Cargo.lock"), field.path("Cargo.lock")).expect("the versions");
    for Block { language, text } in blocks(heading) {
        match language {
            "sh" => build(&field, &text),
            "yaml" => field.configure(&text),
            _ => {
                let (first, _) = text.split_once('\n').expect("a line");
                let (_, name) = first.split_once(' ').expect("a comment with the file's name");
                if let Some(folder) = Path::new(name).parent() {
                    fs::create_dir_all(field.path(".").join(folder)).expect("a folder");
                }
                field.write(name, &text);
            }
        }
    }
    field
}

fn build(field: &Field, line: &str) {
    let compilers = fs::canonicalize(Path::new(ROOT).join("target/npm/node_modules/.bin"));
    let compilers = compilers.expect("TypeScript's compiler: `cargo xtask setup` installs it");
    let mut command = Command::new("sh");
    command.args(["-ec", &format!("PATH='{}':$PATH\n{line}", compilers.display())]);
    field.prepare(&mut command);
    let output = command
        .env("CARGO_NET_OFFLINE", "true")
        .env("npm_config_offline", "true")
        .output()
        .expect("a shell");
    assert!(
        output.status.success(),
        "{line}{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A text becomes its words, the way there is told, and a payload without one is refused.
fn works(heading: &str) {
    let field = follow(heading);
    field.ok(&["send", "events", "--create", "--id", "other", "--payload", "0"]);
    field.ok(&["take", "events"]);
    let envelope = |id: &str, payload: &str| {
        format!(
            r#"{{"id":"{id}","route":{{"actors":["words"],"current":0}},"headers":{{"reply_to":"events"}},"payload":{payload}}}"#
        )
    };
    field.put(
        "words",
        &[envelope("none", "{}"), envelope("m", r#"{"text":"one två three"}"#)],
    );
    let up = field.up();
    let ends = field.wait_for("happy-end", 3);
    let seen: Vec<_> = ends.iter().map(|end| &end["payload"]).collect();
    assert_eq!(seen, ["one", "två", "three"], "in order");
    assert_eq!((&ends[0]["id"], &ends[1]["parent_id"]), (&json!("m"), &json!("m")));
    let error = field.wait_for_error();
    assert_eq!(
        (&error["code"], &error["message"], &error["attempt"]),
        (&json!("no_text"), &json!("the payload has no text"), &json!(1)),
        "{error}"
    );
    let progress = wait_until("progress was told", || {
        let events = field.messages("events");
        let event = events.iter().find(|event| event["event"] == "progress")?;
        Some((event["data"]["percent"].as_f64(), event["data"]["message"].clone()))
    });
    assert_eq!(progress, (Some(50.0), json!("3 words")));
    assert!(up.stop().success());
}

#[test]
fn the_handler_in_python_is_as_the_page_has_it() {
    works("Python");
}

#[test]
fn the_handler_in_typescript_is_as_the_page_has_it() {
    works("TypeScript");
}

#[test]
fn the_handler_in_rust_is_as_the_page_has_it() {
    works("Rust");
}

#[test]
fn the_handler_in_java_is_as_the_page_has_it() {
    works("Java");
}

#[test]
fn the_handler_in_cpp_is_as_the_page_has_it() {
    works("C++");
}

#[test]
fn the_handler_in_perl_is_as_the_page_has_it() {
    works("Perl, or anything else");
}
