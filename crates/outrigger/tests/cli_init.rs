//! `init`, and a stranger's first five minutes after it.

#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod desk;

use std::{
    fs,
    process::{Command, Stdio},
};

use desk::{Desk, Ran};
use insta::assert_snapshot;
use serde_json::json;

const FILES: [&str; 5] = [
    ".gitignore",
    "README.md",
    "handler.py",
    "outrigger.yaml",
    "test_handler.py",
];

fn files(desk: &Desk, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(desk.path().join(folder)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_folder_passes_its_own_check_and_test() {
    let desk = Desk::new();
    let ran = desk.run(&["init", "my-actor"]).done();
    assert_eq!(ran.err, "");
    assert_snapshot!(ran.out, @r#"
    made actor `my-actor` in my-actor: handler.py, outrigger.yaml, test_handler.py, README.md, .gitignore

    start it:
      cd my-actor && outrigger up
    then, in another shell:
      cd my-actor && outrigger send my-actor --payload '{"name": "world"}'
      outrigger take happy-end --wait 10s
    "#);
    assert_eq!(files(&desk, "my-actor"), FILES);
    let folder = desk.path().join("my-actor");
    let checked = Ran::of(desk.command(&["check"]).current_dir(&folder).output().unwrap()).done();
    assert_eq!(checked.err, "");
    let mut python = Command::new("python3");
    let tested = python.args(["-m", "unittest"]).current_dir(&folder).output().unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
}

#[test]
fn the_folder_may_be_there_and_any_name_will_do() {
    let desk = Desk::new();
    let folder = desk.path().join("Clean Up");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let ran = Ran::of(desk.command(&["init", "."]).current_dir(&folder).output().unwrap()).done();
    assert!(
        ran.out.contains("\n  outrigger up\n") && ran.out.contains("outrigger send clean-up "),
        "{ran:?}"
    );
    let checked = Ran::of(desk.command(&["check"]).current_dir(&folder).output().unwrap()).done();
    assert!(checked.out.contains("1 actor `clean-up`"), "{checked:?}");
    assert_eq!(fs::read_to_string(folder.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn what_is_there_is_named_and_left_alone() {
    let desk = Desk::with_config("mine\n");
    let ran = desk.run(&["init", "."]).failed(73);
    assert_snapshot!(ran.err, @r"
    error: `outrigger.yaml` is in . already
      help: choose another folder: nothing was written
    ");
    assert_eq!(files(&desk, "."), ["outrigger.yaml"]);
    assert_eq!(
        fs::read_to_string(desk.path().join("outrigger.yaml")).unwrap(),
        "mine\n"
    );
    desk.run(&["init", "outrigger.yaml"]).failed(73);
}

#[test]
fn the_first_five_minutes_end_with_a_greeting() {
    let desk = Desk::new();
    desk.run(&["init", "my-actor"]).done();
    let folder = desk.path().join("my-actor");
    let run = |args: &[&str]| Ran::of(desk.command(args).current_dir(&folder).output().unwrap());
    // Any free port for the admin server: other tests run beside this one.
    let mut up = desk.command(&["up"]);
    up.current_dir(&folder).env("OUTRIGGER__ADMIN__LISTEN", "127.0.0.1:0");
    let up = up.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    run(&["send", "my-actor", "--payload", r#"{"name": "world"}"#]).done();
    let taken = run(&["take", "happy-end", "--wait", "60s", "--output", "json"])
        .done()
        .json();
    assert_eq!(taken[0]["payload"], json!({ "greeting": "Hello, world!" }));

    run(&["send", "my-actor", "--payload", "[]", "--id", "bad"]).done();
    let failed = run(&["take", "error-end", "--wait", "60s", "--output", "json"])
        .done()
        .json();
    assert_eq!(
        (&failed[0]["id"], &failed[0]["error"]["type"]),
        (&json!("bad"), &json!("AttributeError"))
    );

    let stopped = Command::new("kill")
        .args(["-TERM", &up.id().to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    Ran::of(up.wait_with_output().unwrap()).done();
}
