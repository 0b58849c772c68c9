//! The table of replies, row by row.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::ErrorRecord;
use crate::number::LONGEST;

fn plain(text: &str, style: ReplyStyle) -> Result<Frame, BadReply> {
    read_reply(Bytes::copy_from_slice(text.as_bytes()), style, Protocol::Plain)
}

fn auto(text: &str) -> Frame {
    plain(text, ReplyStyle::Auto).unwrap()
}

fn one(text: &str) -> Result<Frame, BadReply> {
    read_reply(Bytes::copy_from_slice(text.as_bytes()), ReplyStyle::Auto, Protocol::One)
}

fn result(text: &str) -> Frame {
    Frame::Final(Reply::Done(Some(json(text))))
}

fn json(text: &str) -> Json {
    Json::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn fault(frame: Frame) -> Fault {
    match frame {
        Frame::Final(Reply::Fault(fault)) => fault,
        other => panic!("{other:?} is no fault"),
    }
}

fn payloads(frame: Frame) -> Vec<String> {
    let Frame::Final(reply) = frame else {
        panic!("{frame:?} is interim")
    };
    reply.parts().iter().map(|part| part.payload.to_string()).collect()
}

const NOTHING: [&str; 0] = [];

/// Frames that mean the same to a plain handler's reader and to protocol 1's.
fn framed() -> Vec<(&'static str, Frame)> {
    let progress = |percent, message: Option<&str>| {
        Frame::Interim(Interim::Progress {
            percent,
            message: message.map(str::to_owned),
        })
    };
    vec![
        (r#"{"status":"ok","result":{"a":1.0}}"#, result(r#"{"a":1.0}"#)),
        (" { \"result\" : [ 1 ] , \"status\" : \"ok\" } \n", result("[ 1 ]")),
        (r#"{"status":"ok","result":null}"#, result("null")),
        (r#"{"status":"ok"}"#, Frame::Final(Reply::Done(None))),
        (r#"{"status":"ok","mine":1}"#, Frame::Final(Reply::Done(None))),
        (r#"{"\u0073tatus":"\u006fk","result":2}"#, result("2")),
        (r#"{"status":"error","status":"ok","result":2}"#, result("2")),
        (
            r#"{"status":"error","message":"m"}"#,
            Frame::Final(Reply::Fault(Fault::new("m"))),
        ),
        (r#"{"status":"progress","percent":50}"#, progress(Some(50.0), None)),
        (
            r#"{"status":"progress","message":"half"}"#,
            progress(None, Some("half")),
        ),
        (
            r#"{"status":"progress","percent":12.5,"message":"x"}"#,
            progress(Some(12.5), Some("x")),
        ),
        (r#"{"status":"progress","percent":-1}"#, progress(Some(0.0), None)),
        (r#"{"status":"progress","percent":1e999}"#, progress(Some(100.0), None)),
        (
            r#"{"status":"progress","percent":"5","message":"x"}"#,
            progress(None, Some("x")),
        ),
        (
            r#"{"status":"partial","data":[1]}"#,
            Frame::Interim(Interim::Partial(json("[1]"))),
        ),
        (
            r#"{"status":"partial","data":null}"#,
            Frame::Interim(Interim::Partial(Json::null())),
        ),
        (r#"{"status":"heartbeat"}"#, Frame::Interim(Interim::Heartbeat)),
    ]
}

/// Values that have no meaning as a frame.
const OTHER: [&str; 14] = [
    "1",
    "null",
    "[]",
    r#"[{"status":"ok"}]"#,
    r#""ok""#,
    "{}",
    r#"{"status":"fine","result":1}"#,
    r#"{"status":1}"#,
    r#"{"status":null,"error":"x","message":"y"}"#,
    r#"{"status":"\ud800"}"#,
    r#"{"status":"OK"}"#,
    r#"{"error":"x"}"#,
    r#"{"status":"progress","percent":"half"}"#,
    r#"{"status":"partial"}"#,
];

#[test]
fn a_frame_with_a_status_of_ours_is_read_alike_everywhere_but_where_all_is_bare() {
    for (text, frame) in framed() {
        assert_eq!(auto(text), frame, "{text}");
        assert_eq!(plain(text, ReplyStyle::Framed).unwrap(), frame, "{text}");
        assert_eq!(one(text).unwrap(), frame, "{text}");
        assert_eq!(plain(text, ReplyStyle::Bare).unwrap(), result(text), "{text}");
    }
}

#[test]
fn anything_else_is_the_result_itself_unless_all_must_be_framed() {
    for text in OTHER {
        assert_eq!(auto(text), result(text), "{text}");
        assert_eq!(plain(text, ReplyStyle::Bare).unwrap(), result(text), "{text}");
        assert!(
            matches!(plain(text, ReplyStyle::Framed), Err(BadReply::NotFramed { .. })),
            "{text}"
        );
        assert!(matches!(one(text), Err(BadReply::NotFramed { .. })), "{text}");
    }
}

#[test]
fn the_short_form_of_an_error_is_for_plain_handlers_only() {
    let of_kind = |code: &str, message: &str, kind: Option<&str>| Fault {
        code: Some(code.to_owned()),
        kind: kind.map(str::to_owned),
        ..Fault::new(message)
    };
    for (text, expected) in [
        (r#"{"error":"x","message":"y"}"#, of_kind("x", "y", None)),
        (r#"{"error":"x","type":"T"}"#, of_kind("x", "T", Some("T"))),
        (r#"{"error":"x","message":"","type":"T"}"#, of_kind("x", "T", Some("T"))),
    ] {
        assert_eq!(fault(auto(text)), expected, "{text}");
        assert_eq!(fault(plain(text, ReplyStyle::Framed).unwrap()), expected, "{text}");
        assert_eq!(plain(text, ReplyStyle::Bare).unwrap(), result(text), "{text}");
        assert!(matches!(one(text), Err(BadReply::NotFramed { .. })), "{text}");
    }
    for text in [
        r#"{"error":1,"message":"y"}"#,
        r#"{"error":"x","message":1}"#,
        r#"{"error":null,"type":"T"}"#,
    ] {
        assert_eq!(auto(text), result(text), "{text}");
    }
}

#[test]
fn an_error_says_all_that_its_handler_says() {
    let text = r#"{"status":"error","error":"BAD","message":"m","type":"T","retryable":true,"retry_after":1.5,"traceback":"t","details":{"a":1.0}}"#;
    let read = fault(auto(text));
    let expected = Fault {
        code: Some("BAD".into()),
        message: "m".into(),
        kind: Some("T".into()),
        retryable: Some(true),
        retry_after: Some(Duration::from_millis(1500)),
        traceback: Some("t".into()),
        details: Some(json(r#"{"a":1.0}"#)),
        status: None,
    };
    assert_eq!(read, expected);
    let record = read.record("clean", 2, Timestamp::UNIX_EPOCH);
    assert_eq!(
        Json::from_value(&record).as_str(),
        r#"{"code":"BAD","message":"m","type":"T","traceback":"t","details":{"a":1.0},"actor":"clean","attempt":2,"at":"1970-01-01T00:00:00Z"}"#
    );
}

#[test]
fn an_error_always_has_a_message_and_its_record_a_code() {
    for (text, code, message) in [
        (r#"{"status":"error"}"#, None, "no message was given"),
        (r#"{"status":"error","message":" "}"#, None, "no message was given"),
        (r#"{"status":"error","message":null,"error":"E"}"#, Some("E"), "E"),
        (r#"{"status":"error","type":"T","error":"E"}"#, Some("E"), "T"),
        (r#"{"status":"error","error":""}"#, None, "no message was given"),
    ] {
        let read = fault(one(text).unwrap());
        assert_eq!((read.code.as_deref(), read.message.as_str()), (code, message), "{text}");
        let record = read.record("a", 1, Timestamp::UNIX_EPOCH);
        assert_eq!(record.code, code.unwrap_or("handler_error"));
    }
    let empty = ErrorRecord::new("", "\n", "a", 1, Timestamp::UNIX_EPOCH);
    let text = Json::from_value(&empty);
    assert_eq!(text.read::<serde_json::Value>().unwrap()["code"], "handler_error");
    assert_eq!(
        text.read::<serde_json::Value>().unwrap()["message"],
        "no message was given"
    );
}

#[test]
fn an_error_is_not_lost_over_the_types_of_its_fields() {
    let read = |fields: &str| fault(one(&format!(r#"{{"status":"error",{fields}}}"#)).unwrap());
    assert_eq!(read(r#""error":404"#).code.as_deref(), Some("404"));
    assert_eq!(read(r#""message":["a",1]"#).message, r#"["a",1]"#);
    assert_eq!(read(r#""message":"a\ud800""#).message, "a\u{fffd}\u{fffd}\u{fffd}");
    assert_eq!(read(r#""retryable":"true""#).retryable, Some(true));
    assert_eq!(
        (
            read(r#""retryable":1"#).retryable,
            read(r#""retryable":null"#).retryable
        ),
        (None, None)
    );
    assert_eq!(read(r#""traceback":["a\n","b"]"#).traceback.as_deref(), Some("a\nb"));
    assert_eq!(read(r#""traceback":[1]"#).traceback.as_deref(), Some("[1]"));
    let structured = read(r#""error":{"code":7}"#);
    assert_eq!((structured.code, structured.message.as_str()), (None, r#"{"code":7}"#));
    assert_eq!(structured.details, Some(json(r#"{"code":7}"#)));
    let both = read(r#""error":{"code":7},"details":1"#);
    assert_eq!(
        (both.code.as_deref(), both.details),
        (Some(r#"{"code":7}"#), Some(json("1")))
    );
}

#[test]
fn a_delay_is_read_as_far_as_it_makes_sense() {
    let read = |text: &str| fault(one(&format!(r#"{{"status":"error","retry_after":{text}}}"#)).unwrap()).retry_after;
    assert_eq!(read("0.25"), Some(Duration::from_millis(250)));
    assert_eq!(read("\"3\""), Some(Duration::from_secs(3)));
    assert_eq!(read("-5"), Some(Duration::ZERO));
    assert_eq!(read("1e99"), Some(LONGEST));
    assert_eq!(
        (read("null"), read("\"soon\""), read("[1]"), read("true")),
        (None, None, None, None)
    );
}

#[test]
fn what_is_no_json_is_a_bad_reply_in_every_style() {
    for style in [
        ReplyStyle::Auto,
        ReplyStyle::Bare,
        ReplyStyle::Framed,
        ReplyStyle::Envelope,
    ] {
        for protocol in [Protocol::Plain, Protocol::One] {
            for text in ["", " \n"] {
                let read = read_reply(Bytes::from_static(text.as_bytes()), style, protocol);
                assert!(matches!(read, Err(BadReply::Empty)), "{text:?}");
            }
            for bytes in [
                &b"{\"status\":\"ok\""[..],
                b"{\"status\":\"ok\",\"result\":[1}",
                b"{\"status\":\"ok\"} x",
                b"\x0c{\"status\":\"ok\"}",
                b"\xef\xbb\xbf{\"status\":\"ok\"}",
                b"\"\xff\"",
                b"{\"a\":\"\xff\"}",
                b"hello",
            ] {
                let read = read_reply(Bytes::from_static(bytes), style, protocol);
                assert!(matches!(read, Err(BadReply::NotJson { .. })), "{bytes:?}: {read:?}");
            }
        }
    }
}

#[test]
fn a_list_is_a_fan_out_and_nothing_is_nothing() {
    assert_eq!(payloads(auto("[1,null,[2]]")), ["1", "null", "[2]"]);
    assert_eq!(payloads(auto("[[1,2]]")), ["[1,2]"]);
    assert_eq!(payloads(auto(r#"{"a":1}"#)), [r#"{"a":1}"#]);
    assert_eq!(payloads(auto("false")), ["false"]);
    assert_eq!(payloads(one(r#"{"status":"ok","result":[1,2]}"#).unwrap()), ["1", "2"]);
    let nothing = [
        r#"{"status":"ok"}"#,
        r#"{"status":"ok","result":null}"#,
        r#"{"status":"ok","result":[ ]}"#,
    ];
    for text in nothing.into_iter().chain(["null", "[]"]) {
        assert_eq!(payloads(auto(text)), NOTHING, "{text}");
    }
    assert_eq!(payloads(auto(r#"{"status":"error"}"#)), NOTHING);
}

#[test]
fn a_handler_that_writes_envelopes_gives_parts() {
    let read = |text: &str| match plain(text, ReplyStyle::Envelope) {
        Ok(Frame::Final(Reply::Parts(parts))) => parts,
        other => panic!("{other:?} are no parts"),
    };
    let whole = Part {
        payload: json("1.0"),
        route: Some(json(r#"{"actors":[]}"#)),
        headers: Some(json("{ }")),
    };
    let text = r#"{"id":"m","payload":1.0,"route":{"actors":[]},"headers":{ },"status":"ok","error":"x","type":"y"}"#;
    assert_eq!(read(text), std::slice::from_ref(&whole));
    assert_eq!(read(&format!("[{text},{text}]")), [whole.clone(), whole.clone()]);
    assert_eq!(read(&format!(r#"{{"status":"ok","result":{text}}}"#)), [whole]);
    assert_eq!(read(r#"{"payload":null,"route":null}"#), [Part::new(Json::null())]);
    for text in ["null", "[]", r#"{"status":"ok"}"#] {
        assert_eq!(read(text), [], "{text}");
    }
    for text in [
        "1",
        r#"{"a":1}"#,
        "[null]",
        r#"{"payload":1,"route":[]}"#,
        r#"{"payload":1,"headers":"h"}"#,
    ] {
        assert!(
            matches!(plain(text, ReplyStyle::Envelope), Err(BadReply::NotParts)),
            "{text}"
        );
    }
    let error = plain(r#"{"error":"x","message":"y"}"#, ReplyStyle::Envelope).unwrap();
    assert_eq!(fault(error).code.as_deref(), Some("x"));
    let heartbeat = plain(r#"{"status":"heartbeat"}"#, ReplyStyle::Envelope).unwrap();
    assert_eq!(heartbeat, Frame::Interim(Interim::Heartbeat));
}

#[test]
fn protocol_1_with_envelopes_has_them_in_its_result() {
    let read =
        |text: &'static str| read_reply(Bytes::from_static(text.as_bytes()), ReplyStyle::Envelope, Protocol::One);
    let parts = Frame::Final(Reply::Parts(vec![Part::new(json("1"))]));
    assert_eq!(read(r#"{"status":"ok","result":{"payload":1}}"#).unwrap(), parts);
    assert!(matches!(read(r#"{"payload":1}"#), Err(BadReply::NotFramed { .. })));
    assert!(matches!(read(r#"{"status":"ok","result":1}"#), Err(BadReply::NotParts)));
}

#[test]
fn a_result_is_a_slice_of_its_frame() {
    let frame = Bytes::from(format!(r#"{{"status":"ok","result":["{}"]}}"#, "x".repeat(100_000)));
    let Frame::Final(reply) = read_reply(frame.clone(), ReplyStyle::Auto, Protocol::One).unwrap() else {
        panic!("more will come")
    };
    let part = &reply.parts()[0];
    assert!(frame.as_ptr_range().contains(&part.payload.bytes().as_ptr()));
}

#[test]
fn depth_costs_no_stack() {
    let deep = r#"{"a":["#.repeat(100_000) + &"]}".repeat(100_000);
    assert_eq!(auto(&deep), result(&deep));
    assert_eq!(
        one(&format!(r#"{{"status":"ok","result":{deep}}}"#)).unwrap(),
        result(&deep)
    );
}

#[test]
fn styles_are_spelt_as_in_the_config() {
    let styles: Vec<ReplyStyle> = serde_json::from_value(json!(["auto", "bare", "framed", "envelope"])).unwrap();
    assert_eq!(
        styles,
        [
            ReplyStyle::Auto,
            ReplyStyle::Bare,
            ReplyStyle::Framed,
            ReplyStyle::Envelope
        ]
    );
}
