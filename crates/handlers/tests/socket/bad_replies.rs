//! Everything that is no reply, and that the connection is closed after it.

use handlers::{BadAnswer, Dialect, HandlerError, Side, SocketHandler, SocketOptions};
use wire::BadReply;

use super::stand_in::{StandIn, ask, done};

/// What comes of these bytes in answer to a request, whether the stand-in closes after them or not.
async fn answered_with(bytes: &'static [u8], then: Then) -> (StandIn, HandlerError) {
    let stand_in = StandIn::new(move |mut peer| {
        peer.request().expect("a request");
        peer.raw(bytes);
        match then {
            Then::Close => {}
            Then::Listen => peer.tell_the_end(),
        }
    });
    let handler = SocketHandler::new(SocketOptions {
        dialect: Dialect::Plain,
        max_frame: 1000,
        ..stand_in.options()
    });
    let error = ask(&handler, "1").await.expect_err("no reply");
    (stand_in, error)
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    Listen,
}

fn why(error: &HandlerError) -> &BadAnswer {
    match error {
        HandlerError::BadReply { source, .. } => source,
        other => panic!("not a bad reply: {other:?}"),
    }
}

#[tokio::test]
async fn an_empty_frame_is_a_bad_reply_and_the_connection_is_closed() {
    let (stand_in, error) = answered_with(b"\0\0\0\0", Then::Listen).await;
    assert!(matches!(why(&error), BadAnswer::Content(BadReply::Empty)), "{error:?}");
    assert_eq!(error.code(), "bad_reply");
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn what_is_not_json_is_a_bad_reply_and_the_connection_is_closed() {
    let (stand_in, error) = answered_with(b"\0\0\0\x03{x}", Then::Listen).await;
    assert!(
        matches!(why(&error), BadAnswer::Content(BadReply::NotJson { .. })),
        "{error:?}"
    );
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn a_frame_cut_short_is_a_bad_reply() {
    let (_stand_in, error) = answered_with(b"\0\0\0\x05{\"a", Then::Close).await;
    assert!(
        matches!(why(&error), BadAnswer::CutShort { got: 3, of: Some(5) }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_length_cut_short_is_a_bad_reply() {
    let (_stand_in, error) = answered_with(b"\0\0", Then::Close).await;
    assert!(
        matches!(why(&error), BadAnswer::CutShort { got: 2, of: None }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_reused_connection_cut_within_a_frame_is_not_tried_again() {
    let stand_in = StandIn::new(|mut peer| {
        let first = peer.request().unwrap();
        peer.reply(first);
        peer.request().unwrap();
        peer.raw(b"\0");
    });
    let handler = stand_in.plain();
    ask(&handler, "1").await.unwrap();
    let error = ask(&handler, "2").await.unwrap_err();
    assert!(
        matches!(why(&error), BadAnswer::CutShort { got: 1, of: None }),
        "{error:?}"
    );
    assert_eq!(stand_in.accepted(), 1);
}

#[tokio::test]
async fn a_frame_over_the_cap_is_refused_by_its_length_alone_and_the_connection_is_closed() {
    let (stand_in, error) = answered_with(b"\x7f\xff\xff\xff", Then::Listen).await;
    let HandlerError::FrameTooLarge { whose, bytes, cap, .. } = error else {
        panic!("not too large: {error:?}");
    };
    assert_eq!((whose, bytes, cap), (Side::Reply, 0x7fff_ffff, 1000));
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn a_request_over_the_cap_is_refused_and_nothing_is_written() {
    let stand_in = StandIn::new(|mut peer| peer.tell_the_end());
    let handler = SocketHandler::new(SocketOptions {
        max_frame: 4,
        dialect: Dialect::Plain,
        ..stand_in.options()
    });
    let error = ask(&handler, "12345").await.unwrap_err();
    let HandlerError::FrameTooLarge { whose, bytes, cap, .. } = error else {
        panic!("not too large: {error:?}");
    };
    assert_eq!((whose, bytes, cap), (Side::Request, 5, 4));
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn a_control_frame_of_one_that_has_not_said_hello_is_a_bad_reply() {
    let stand_in = StandIn::new(|mut peer| {
        peer.request().unwrap();
        peer.control(r#"{"pong":1}"#);
        peer.tell_the_end();
    });
    let error = ask(&stand_in.handler(), "1").await.unwrap_err();
    assert!(matches!(why(&error), BadAnswer::Control), "{error:?}");
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn a_hello_is_a_bad_reply_where_the_config_says_plain() {
    let stand_in = StandIn::new(|mut peer| {
        peer.hello();
        peer.request();
        peer.reply("1");
    });
    let error = ask(&stand_in.plain(), "1").await.unwrap_err();
    assert!(matches!(why(&error), BadAnswer::Control), "{error:?}");
}

#[tokio::test]
async fn a_frame_before_there_was_a_request_is_a_bad_reply() {
    let stand_in = StandIn::new(|mut peer| {
        peer.reply("1");
        peer.tell_the_end();
    });
    let error = ask(&stand_in.handler(), "2").await.unwrap_err();
    assert!(matches!(why(&error), BadAnswer::Unasked), "{error:?}");
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn bytes_after_the_final_frame_cost_the_connection_and_not_the_reply() {
    let stand_in = StandIn::new(|mut peer| {
        while let Some(request) = peer.request() {
            let mut frames = vec![0, 0, 0, 1];
            frames.extend_from_slice(&request);
            // The beginning of a control frame, which would be in order before an exchange.
            frames.extend_from_slice(b"\x80\0\0\x01");
            peer.raw(&frames);
        }
    });
    let handler = stand_in.plain();
    assert_eq!(ask(&handler, "1").await.unwrap(), done("1"));
    assert_eq!(ask(&handler, "2").await.unwrap(), done("2"));
    assert_eq!(stand_in.accepted(), 2);
}

#[tokio::test]
async fn a_frame_that_comes_between_two_exchanges_is_not_read_as_the_reply_of_the_second() {
    let (go, wait) = std::sync::mpsc::sync_channel(0);
    let wait = std::sync::Mutex::new(wait);
    let stand_in = StandIn::new(move |mut peer| {
        while let Some(request) = peer.request() {
            peer.reply(request);
            if peer.number == 1 {
                wait.lock().unwrap().recv().unwrap();
                peer.reply("666");
                peer.tell("sent");
            }
        }
    });
    let handler = stand_in.plain();
    assert_eq!(ask(&handler, "1").await.unwrap(), done("1"));
    go.send(()).unwrap();
    assert_eq!(stand_in.seen(), "sent");
    assert_eq!(ask(&handler, "2").await.unwrap(), done("2"));
    assert_eq!(stand_in.accepted(), 2);
}
