//! Protocol 1: hello early, late and never; meta, ping, control frames.

use std::{sync::Mutex, time::Duration};

use handlers::{BadAnswer, Dialect, Handler, HandlerError, Liveness, SocketHandler, SocketOptions};
use tokio::time::Instant;
use wire::{Input, Interim, Json};

use super::stand_in::{Peer, StandIn, ask, call, done, follow};

/// Says hello, answers pings, tells each frame, and answers requests with themselves.
fn serve(mut peer: Peer) {
    peer.hello();
    while let Some((control, body)) = peer.frame() {
        let text = String::from_utf8(body).expect("text");
        peer.tell(format!("{}: {text}", if control { "control" } else { "data" }));
        if !control {
            peer.reply(format!(r#"{{"status":"ok","result":{text}}}"#));
        } else if text.contains("ping") {
            peer.control(&text.replace("ping", "pong"));
        }
    }
}

#[tokio::test]
async fn the_meta_comes_before_each_request_byte_for_byte() {
    let stand_in = StandIn::new(serve);
    let handler = stand_in.handler();
    let mut asked = call("[1]");
    asked.package = Some("p".to_owned());
    asked.function = Some("f".to_owned());
    asked.attempt = 3;
    asked.deadline = Some("2100-01-02T03:04:05Z".parse().unwrap());
    asked.headers = Json::parse(r#"{ "k":"v" }"#.into()).unwrap();
    asked.input = Input::Envelope;
    assert_eq!(handler.call(&asked, &mut |_| {}).await.unwrap(), done("[1]"));
    assert_eq!(ask(&handler, "2").await.unwrap(), done("2"));
    let long = r#"{"meta":{"id":"m1","actor":"clean","package":"p","function":"f","attempt":3,"deadline":"2100-01-02T03:04:05Z","headers":{ "k":"v" },"input":"envelope"}}"#;
    assert_eq!(stand_in.seen(), format!("control: {long}"));
    assert_eq!(stand_in.seen(), "data: [1]");
    let short = r#"{"meta":{"id":"m1","actor":"clean","attempt":1,"headers":{},"input":"payload"}}"#;
    assert_eq!(stand_in.seen(), format!("control: {short}"));
    assert_eq!(stand_in.seen(), "data: 2");
    assert_eq!(stand_in.accepted(), 1);
}

#[tokio::test]
async fn what_the_hello_says_is_kept() {
    let stand_in = StandIn::new(serve);
    let handler = stand_in.handler();
    assert!(handler.hello().is_none());
    ask(&handler, "1").await.unwrap();
    let hello = handler.hello().unwrap();
    assert_eq!((hello.protocol, hello.functions[0].name.as_str()), (1, "clean"));
}

#[tokio::test(start_paused = true)]
async fn only_the_first_request_to_a_plain_handler_waits_for_a_hello() {
    // One exchange a connection: each of them is fresh.
    let stand_in = StandIn::new(|mut peer| {
        let request = peer.request().unwrap();
        peer.reply(request);
    });
    let handler = stand_in.handler();
    let begun = Instant::now();
    ask(&handler, "1").await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), stand_in.options().hello_grace.as_millis());
    let begun = Instant::now();
    ask(&handler, "2").await.unwrap();
    ask(&handler, "3").await.unwrap();
    // The clock stands still unless somebody waits for it.
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(handler.hello().is_none());
}

#[tokio::test]
async fn a_hello_that_comes_where_a_reply_is_awaited_makes_the_connection_protocol_1() {
    let stand_in = StandIn::new(|mut peer| {
        let (control, _) = peer.frame().unwrap();
        assert!(!control, "nothing is known yet");
        peer.hello();
        peer.reply(r#"{"status":"ok","result":1}"#);
        let (control, body) = peer.frame().unwrap();
        assert!(control);
        peer.tell(String::from_utf8(body).unwrap());
        peer.frame().unwrap();
        peer.reply(r#"{"status":"ok","result":2}"#);
    });
    let handler = SocketHandler::new(SocketOptions {
        hello_grace: Duration::from_millis(1),
        ..stand_in.options()
    });
    assert_eq!(ask(&handler, "0").await.unwrap(), done("1"));
    assert!(handler.hello().is_some());
    assert_eq!(ask(&handler, "0").await.unwrap(), done("2"));
    assert!(stand_in.seen().starts_with(r#"{"meta""#));
}

#[tokio::test]
async fn once_a_handler_has_said_hello_each_connection_waits_for_its_own() {
    let (go, wait) = std::sync::mpsc::sync_channel(0);
    let wait = Mutex::new(wait);
    let stand_in = StandIn::new(move |mut peer| {
        if peer.number > 1 {
            wait.lock().unwrap().recv().unwrap();
        }
        peer.hello();
        let (control, _) = peer.frame().unwrap();
        peer.tell(if control { "meta" } else { "no meta" });
        peer.frame().unwrap();
        peer.reply(r#"{"status":"ok"}"#);
    });
    let handler = SocketHandler::new(SocketOptions {
        hello_grace: Duration::from_millis(500),
        ..stand_in.options()
    });
    ask(&handler, "1").await.unwrap();
    assert_eq!(stand_in.seen(), "meta");
    let second = async {
        ask(&handler, "2").await.unwrap();
    };
    let late = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        go.send(()).unwrap();
    };
    tokio::join!(second, late);
    assert_eq!(stand_in.seen(), "meta");
}

#[tokio::test]
async fn no_hello_where_one_must_come_is_unreachable_and_nothing_is_written() {
    let stand_in = StandIn::new(|mut peer| peer.tell_the_end());
    let handler = SocketHandler::new(SocketOptions {
        dialect: Dialect::One,
        patience: Duration::from_millis(50),
        ..stand_in.options()
    });
    let error = ask(&handler, "1").await.unwrap_err();
    assert!(matches!(error, HandlerError::Unreachable { .. }), "{error:?}");
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
    assert!(matches!(handler.ping().await, Err(HandlerError::Timeout { .. })));
}

#[tokio::test]
async fn a_plain_handler_in_place_of_one_that_said_hello_is_spoken_to_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("handler.sock");
    let first = StandIn::at(&path, |mut peer| {
        peer.hello();
        peer.frame();
        peer.frame();
        peer.reply(r#"{"status":"ok"}"#);
    });
    let handler = SocketHandler::new(SocketOptions {
        patience: Duration::from_millis(50),
        ..first.options()
    });
    ask(&handler, "1").await.unwrap();
    assert!(handler.hello().is_some());
    std::fs::remove_file(&path).unwrap();
    let _second = StandIn::at(&path, |mut peer| {
        let request = peer.request().unwrap();
        peer.reply(request);
    });
    assert_eq!(ask(&handler, "2").await.unwrap(), done("2"));
    assert!(handler.hello().is_none());
}

#[tokio::test]
async fn a_ping_is_answered_on_a_connection_that_is_kept() {
    let stand_in = StandIn::new(serve);
    let handler = SocketHandler::new(SocketOptions {
        dialect: Dialect::One,
        ..stand_in.options()
    });
    assert_eq!(handler.ping().await.unwrap(), Liveness::Answered);
    assert_eq!(handler.ping().await.unwrap(), Liveness::Answered);
    ask(&handler, "1").await.unwrap();
    assert_eq!(stand_in.seen(), r#"control: {"ping":1}"#);
    assert_eq!(stand_in.seen(), r#"control: {"ping":2}"#);
    assert_eq!(stand_in.accepted(), 1);
}

#[tokio::test]
async fn a_ping_without_an_answer_has_its_limit_and_closes_the_connection() {
    let stand_in = StandIn::new(|mut peer| {
        peer.hello();
        peer.frame();
        peer.tell_the_end();
    });
    let handler = SocketHandler::new(SocketOptions {
        dialect: Dialect::One,
        patience: Duration::from_millis(300),
        ..stand_in.options()
    });
    let error = handler.ping().await.unwrap_err();
    assert!(matches!(error, HandlerError::Timeout { .. }), "{error:?}");
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn control_frames_that_are_not_known_are_passed_over() {
    let stand_in = StandIn::new(|mut peer| {
        peer.hello();
        peer.control(r#"{"news":1}"#);
        peer.frame();
        peer.control(r#"{"pong":99}"#);
        peer.frame();
        peer.control(r#"{"weather":{"rain":true}}"#);
        peer.reply(r#"{"status":"heartbeat"}"#);
        peer.control("{}");
        peer.reply(r#"{"status":"ok","result":1}"#);
    });
    let (interims, reply) = follow(&stand_in.handler(), "1").await;
    assert_eq!(interims, [Interim::Heartbeat]);
    assert_eq!(reply.unwrap(), done("1"));
}

#[tokio::test]
async fn a_control_frame_that_is_not_json_is_a_bad_reply() {
    let stand_in = StandIn::new(|mut peer| {
        peer.hello();
        peer.frame();
        peer.frame();
        peer.control("{");
        peer.tell_the_end();
    });
    let error = ask(&stand_in.handler(), "1").await.unwrap_err();
    let bad = matches!(
        &error,
        HandlerError::BadReply {
            source: BadAnswer::BadControl { .. },
            ..
        }
    );
    assert!(bad, "{error:?}");
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn a_frame_without_a_status_is_a_bad_reply_in_protocol_1() {
    let stand_in = StandIn::new(|mut peer| {
        peer.hello();
        peer.frame();
        peer.frame();
        peer.reply("1");
    });
    let error = ask(&stand_in.handler(), "1").await.unwrap_err();
    assert!(matches!(error, HandlerError::BadReply { .. }), "{error:?}");
}

#[tokio::test]
async fn a_long_hello_is_heard_where_payloads_are_kept_short() {
    let names: Vec<String> = (0..5000).map(|number| format!(r#"{{"name":"f{number}"}}"#)).collect();
    let hello = format!(r#"{{"hello":{{"protocol":1,"functions":[{}]}}}}"#, names.join(","));
    let stand_in = StandIn::new(move |mut peer| {
        peer.control(&hello);
        peer.frame();
        peer.frame();
        peer.reply(r#"{"status":"ok","result":1}"#);
    });
    let handler = SocketHandler::new(SocketOptions {
        max_frame: 100,
        ..stand_in.options()
    });
    assert_eq!(ask(&handler, "1").await.unwrap(), done("1"));
    assert_eq!(handler.hello().unwrap().functions.len(), 5000);
}
