//! What is wrong with a handler is said with its place, what was seen, and what that usually means.

use insta::assert_snapshot;

use crate::{
    defects::{Broken, Defect, stale},
    harness::{Value, json},
    vectors::conformance,
};

/// What the command says of a handler, and its exit code; the folder's name differs each time.
#[track_caller]
fn said(defect: Defect, only: &str) -> String {
    let broken = Broken::start(defect);
    let output = conformance(&broken.socket(), &["--only", only, "--timeout", timeout(defect)]);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("text");
    let said = said.replace(&*broken.socket().to_string_lossy(), "h.sock");
    format!("{said}exit {}", output.status.code().expect("a code"))
}

/// Only a handler that does nothing is waited for in vain.
fn timeout(defect: Defect) -> &'static str {
    match defect {
        Defect::NoHello | Defect::Silent | Defect::OneAtATime => "3s",
        _ => "60s",
    }
}

const PLAINEST: &str = "an object comes back";

#[test]
fn a_handler_without_a_defect_passes() {
    assert_snapshot!(said(Defect::None, "values: an object comes back"), @r"
    ok      values: an object comes back as it went in

    1 vector: all passed
    exit 0
    ");
    assert_snapshot!(said(Defect::None, "calls that end sooner"), @r"
    ok      concurrency: calls that end sooner are answered sooner

    1 vector: all passed
    exit 0
    ");
}

#[test]
fn a_plain_handler_is_called_one() {
    assert_snapshot!(said(Defect::NoHello, PLAINEST), @r#"
    error: the handler on h.sock says no hello, so it is a plain handler: nothing here is for it
      help: a plain handler needs no runtime; one of protocol 1 sends the control frame {"hello":{"protocol":1,"functions":[{"name":..}]}} right after it has accepted a connection
    exit 76
    "#);
}

#[test]
fn a_hello_that_is_none_is_shown() {
    assert_snapshot!(said(Defect::PlainHello, PLAINEST), @r#"
    error: the handler on h.sock does not begin with a hello: the reply {"hello":{"functions":[{"name":"echo"},{"name":"slow"}],"protocol":1}}
      help: the first frame of a connection is the control frame {"hello":{"protocol":1,"functions":[..]}}: its length is four bytes, big-endian, with bit 31 set
    exit 76
    "#);
    assert_snapshot!(said(Defect::OtherProtocol, PLAINEST), @r#"
    error: the handler on h.sock does not begin with a hello: the control frame {"hello":{"functions":[{"name":"echo"},{"name":"slow"}],"protocol":2}}
      help: the first frame of a connection is the control frame {"hello":{"protocol":1,"functions":[..]}}: its length is four bytes, big-endian, with bit 31 set
    exit 76
    "#);
}

#[test]
fn functions_that_are_missing_are_named() {
    assert_snapshot!(said(Defect::OtherFunctions, "interim: progress"), @r"
    FAILED  interim: progress, partial and heartbeat come in their order before the result
            step      none: not begun
            expected  `steps` in the hello
            seen      no such function
            usually   The handler is not the conformance handler, or a function of it has another name.
            matters   Whoever follows the job sees them as they were told.

    1 vector: 0 passed, 1 failed
    exit 76
    ");
}

#[test]
fn a_pong_with_another_number_is_seen() {
    assert_snapshot!(said(Defect::WrongPong, "ping is answered with its own"), @r#"
    FAILED  hello: a ping is answered with its own number
            step      2: expect the control frame {"pong":1}
            expected  1 at $.pong
            seen      2 in {"pong":2}
            usually   The number is counted by the handler instead of given back, or read into a type of 32 bits.
            matters   The sidecar takes a pong with another number for the answer to an older ping.

    1 vector: 0 passed, 1 failed
    exit 76
    "#);
}

#[test]
fn an_interim_frame_after_the_final_one_is_seen_in_the_vector_in_which_it_was_sent() {
    assert_snapshot!(said(Defect::LateInterim, PLAINEST), @r#"
    FAILED  values: an object comes back as it went in
            step      the last: ping connection main to see that no frame is left
            expected  no frame but the pong of a last ping
            seen      the frame {"status":"progress","percent":50}
            usually   A frame is written after the final one: an interim frame too late, or a reply twice.
            matters   The plainest call of all.

    1 vector: 0 passed, 1 failed
    exit 76
    "#);
}

#[test]
fn a_changed_value_is_named_by_its_place() {
    assert_snapshot!(said(Defect::ChangedBytes, "fractions and exponents"), @r#"
    FAILED  values: fractions and exponents keep their value
            step      2: expect the reply {"result":{"n":[0.1,-0.25,1.5,3.141592653589793,0.30000000000000004,123456789.12345679,1e+21,1.7976931348623157e+308,2.2250738585072014e-308,1e-7]},"status":"o…
            expected  0.1 at $.result.n[0]
            seen      "0.1" in {"result":{"n":["0.1","-0.25","1.5","3.141592653589793","0.30000000000000004","123456789.12345679","1e+21","1.7976931348623157e+308","2.2250738585072014e-308",…
            usually   Numbers are printed with a default precision (C and C++: 6 digits) or with the comma of a locale.
            matters   A double has 17 digits; fewer would change it. How it is spelled is free.

    1 vector: 0 passed, 1 failed
    exit 76
    "#);
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_forever() {
    assert_snapshot!(said(Defect::Silent, PLAINEST), @r#"
    FAILED  values: an object comes back as it went in
            step      2: expect the reply {"result":{"list":[1,2,3],"no":false,"none":null,"text":"hello","yes":true},"status":"ok"}
            seen      nothing within 3s
            usually   Nothing was written, or it waits in a buffer that is not flushed; or the handler waits for bytes that are not to come, because it reads the length in another way.
            or        The reply is not `{"status":"ok","result":..}`, or the payload is wrapped before the function gets it.
            matters   The plainest call of all.

    1 vector: 0 passed, 1 failed
    exit 76
    "#);
}

#[test]
fn a_connection_that_ends_early_is_told_from_a_frame_that_is_cut_short() {
    assert_snapshot!(said(Defect::ClosesEarly, PLAINEST), @r#"
    FAILED  values: an object comes back as it went in
            step      2: expect the reply {"result":{"list":[1,2,3],"no":false,"none":null,"text":"hello","yes":true},"status":"ok"}
            seen      the end of the connection
            usually   An exception ended the connection or the process (look at its stderr), or the handler closes after each reply, as only plain handlers may.
            or        The reply is not `{"status":"ok","result":..}`, or the payload is wrapped before the function gets it.
            matters   The plainest call of all.

    1 vector: 0 passed, 1 failed
    exit 76
    "#);
}

#[test]
fn lengths_that_are_wrong_are_seen() {
    assert_snapshot!(said(Defect::CountsCharacters, "byte by byte"), @r#"
    FAILED  framing: a request may come byte by byte
            step      2: expect the reply {"result":{"text":"ü😀"},"status":"ok"}
            seen      the frame {"result":{"text":"ü😀"},"status":": the reply is not JSON: EOF while parsing a string at line 1 column 38
            usually   The text is put together by hand, or the length counts characters instead of bytes and the frame ends too early.
            or        One read is taken for a whole length or a whole frame.
            matters   A stream has no edges: a read may end anywhere, in a length and in a character too.

    1 vector: 0 passed, 1 failed
    exit 76
    "#);
    assert_snapshot!(said(Defect::LittleEndian, PLAINEST), @r#"
    FAILED  values: an object comes back as it went in
            step      2: expect the reply {"result":{"list":[1,2,3],"no":false,"none":null,"text":"hello","yes":true},"status":"ok"}
            seen      a frame of 1509949440 bytes
            usually   The length is not four bytes, big-endian, or something was written to the socket that is no frame.
            or        The reply is not `{"status":"ok","result":..}`, or the payload is wrapped before the function gets it.
            matters   The plainest call of all.

    1 vector: 0 passed, 1 failed
    exit 76
    "#);
}

#[test]
fn replies_that_the_sidecar_would_refuse_are_seen() {
    assert_snapshot!(said(Defect::BareReply, PLAINEST), @r#"
    FAILED  values: an object comes back as it went in
            step      2: expect the reply {"result":{"list":[1,2,3],"no":false,"none":null,"text":"hello","yes":true},"status":"ok"}
            seen      the frame {"list":[1,2,3],"no":false,"none":null,"text":"hello","yes":true}: the reply is not a frame of the handler protocol: it has no `status`
            usually   A reply of protocol 1 is a JSON object with the `status` ok, error, progress, partial or heartbeat.
            or        The reply is not `{"status":"ok","result":..}`, or the payload is wrapped before the function gets it.
            matters   The plainest call of all.

    1 vector: 0 passed, 1 failed
    exit 76
    "#);
    assert_snapshot!(said(Defect::NotJson, PLAINEST), @r#"
    FAILED  values: an object comes back as it went in
            step      2: expect the reply {"result":{"list":[1,2,3],"no":false,"none":null,"text":"hello","yes":true},"status":"ok"}
            seen      the frame {'status': 'ok', 'result': {"list":[1,2,3],"no":false,"none":null,"text":"hello","yes":true}}: the reply is not JSON: key must be a string at line 1 column 2
            usually   The text is put together by hand, or the length counts characters instead of bytes and the frame ends too early.
            or        The reply is not `{"status":"ok","result":..}`, or the payload is wrapped before the function gets it.
            matters   The plainest call of all.

    1 vector: 0 passed, 1 failed
    exit 76
    "#);
}

#[test]
fn connections_that_wait_for_one_another_are_seen() {
    assert_snapshot!(said(Defect::OneAtATime, "every connection is greeted"), @r"
    FAILED  hello: every connection is greeted, also while others are open
            step      2: open connection b and read its hello
            seen      nothing within 3s
            usually   Nothing was written, or it waits in a buffer that is not flushed; or the handler waits for bytes that are not to come, because it reads the length in another way.
            or        The hello is sent once a process and not once a connection, or one connection is accepted at a time.
            matters   The sidecar keeps as many connections as the actor's concurrency, and each is greeted by itself.

    1 vector: 0 passed, 1 failed
    exit 76
    ");
}

#[test]
fn the_report_for_scripts_says_the_same() {
    let broken = Broken::start(Defect::WrongPong);
    let output = conformance(&broken.socket(), &["--only", "own number", "--output", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["passed"], &report["failed"]), (&json!(0), &json!(1)));
    let vector = &report["vectors"][0];
    assert_eq!((&vector["passed"], &vector["step"]), (&json!(false), &json!("2")));
    assert_eq!(
        (&vector["expected"], &vector["seen"]),
        (&json!("1 at $.pong"), &json!("2 in {\"pong\":2}"))
    );
    assert_eq!(output.status.code(), Some(76));
}

#[test]
fn nobody_on_the_socket_is_told_with_the_cure() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = |path: std::path::PathBuf| {
        let output = conformance(&path, &[]);
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).expect("text");
        let said = said.replace(&*path.to_string_lossy(), "h.sock");
        format!("{said}exit {}", output.status.code().expect("a code"))
    };
    assert_snapshot!(told(folder.path().join("none.sock")), @r"
    error: there is no socket h.sock
      help: start the handler with OUTRIGGER_HANDLER_SOCKET=h.sock, and do this again
    exit 66
    ");
    assert_snapshot!(told(stale(folder.path())), @r"
    error: nobody serves on the socket h.sock
      help: start the handler with OUTRIGGER_HANDLER_SOCKET=h.sock, and do this again
    exit 69
    ");
}

#[test]
fn a_name_that_no_vector_has_is_a_wrong_command_line() {
    let output = conformance("h.sock".as_ref(), &["--only", "no such vector"]);
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains("no such vector") && said.contains("conformance --list"),
        "{said}"
    );
}

#[test]
fn the_list_has_every_name_and_needs_no_socket() {
    let list = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_outrigger"));
        let output = command.args(["conformance", "--list"]).args(more).output();
        let output = output.expect("the binary runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(list(&[]).lines().count() > 50);
    assert_eq!(
        list(&["--only", "own number"]),
        "hello: a ping is answered with its own number\n"
    );
    let all: Value = serde_json::from_str(&list(&["--output", "json"])).expect("JSON");
    let all = all.as_array().expect("a list");
    assert!(all.iter().all(|vector| vector["why"].is_string()));
}
