//! Plain handlers: connections kept, closed, lost, refused.

use std::{io::Read, os::unix::net::UnixListener, sync::Arc};

use handlers::{Handler, HandlerError, Liveness, Ownership, Pool, SocketHandler, SocketOptions};
use wire::{Interim, Json};

use super::stand_in::{StandIn, ask, call, done, follow};

#[tokio::test]
async fn the_body_goes_out_and_the_result_comes_back_byte_for_byte() {
    let stand_in = StandIn::new(|mut peer| {
        let request = peer.request().unwrap();
        peer.tell(String::from_utf8(request).unwrap());
        peer.reply(r#"{ "b":1.50,"a":[ ] }"#);
    });
    let reply = ask(&stand_in.handler(), r#"{"n" : 1e2 }"#).await.unwrap();
    assert_eq!(stand_in.seen(), r#"{"n" : 1e2 }"#);
    assert_eq!(reply, done(r#"{ "b":1.50,"a":[ ] }"#));
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_exchange() {
    let stand_in = StandIn::echo();
    let handler = stand_in.handler();
    for body in ["1", "2", "3"] {
        assert_eq!(ask(&handler, body).await.unwrap(), done(body));
    }
    assert_eq!(stand_in.accepted(), 1);
}

#[tokio::test]
async fn exchanges_at_once_have_a_connection_each() {
    let stand_in = StandIn::echo();
    let handler = SocketHandler::new(SocketOptions {
        connections: 2,
        ..stand_in.options()
    });
    for _ in 0..3 {
        let (one, two) = tokio::join!(ask(&handler, "1"), ask(&handler, "2"));
        assert_eq!((one.unwrap(), two.unwrap()), (done("1"), done("2")));
    }
    assert_eq!(stand_in.accepted(), 2);
}

#[tokio::test]
async fn a_handler_may_close_after_each_reply() {
    let stand_in = StandIn::new(|mut peer| {
        let request = peer.request().unwrap();
        peer.reply(request);
    });
    let handler = stand_in.plain();
    for body in ["1", "2", "3", "4", "5"] {
        assert_eq!(ask(&handler, body).await.unwrap(), done(body));
    }
}

#[tokio::test]
async fn a_reused_connection_closed_before_a_reply_is_tried_once_more_on_a_fresh_one() {
    let stand_in = StandIn::new(|mut peer| {
        while let Some(request) = peer.request() {
            peer.tell(format!("{}: {}", peer.number, String::from_utf8_lossy(&request)));
            if peer.number == 1 && request == b"2" {
                return;
            }
            peer.reply(request);
        }
    });
    let handler = stand_in.plain();
    ask(&handler, "1").await.unwrap();
    assert_eq!(ask(&handler, "2").await.unwrap(), done("2"));
    assert_eq!(
        [stand_in.seen(), stand_in.seen(), stand_in.seen()],
        ["1: 1", "1: 2", "2: 2"]
    );
}

#[tokio::test]
async fn once_more_is_not_twice_more() {
    let stand_in = StandIn::new(|mut peer| {
        while let Some(request) = peer.request() {
            if request == b"2" {
                return;
            }
            peer.reply(request);
        }
    });
    let handler = stand_in.plain();
    ask(&handler, "1").await.unwrap();
    let error = ask(&handler, "2").await.unwrap_err();
    assert!(matches!(error, HandlerError::Lost { .. }), "{error:?}");
    assert_eq!(stand_in.accepted(), 2);
}

#[tokio::test]
async fn a_fresh_connection_closed_before_a_reply_is_lost() {
    let stand_in = StandIn::new(|mut peer| drop(peer.request()));
    let error = ask(&stand_in.plain(), "1").await.unwrap_err();
    assert!(matches!(error, HandlerError::Lost { .. }), "{error:?}");
    assert_eq!(stand_in.accepted(), 1);
}

#[tokio::test]
async fn a_handler_that_dies_of_a_request_on_a_reused_connection_is_lost_and_not_merely_unreachable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("handler.sock");
    let at = path.clone();
    let stand_in = StandIn::at(&path, move |mut peer| {
        let first = peer.request().unwrap();
        peer.reply(first);
        peer.request().unwrap();
        std::fs::remove_file(&at).unwrap();
    });
    let handler = stand_in.plain();
    ask(&handler, "1").await.unwrap();
    let error = ask(&handler, "2").await.unwrap_err();
    assert!(matches!(error, HandlerError::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_lost_after_an_interim_frame_is_lost_and_not_tried_again() {
    let stand_in = StandIn::new(|mut peer| {
        let first = peer.request().unwrap();
        peer.reply(first);
        peer.request().unwrap();
        peer.reply(r#"{"status":"heartbeat"}"#);
    });
    let handler = stand_in.plain();
    ask(&handler, "1").await.unwrap();
    let error = ask(&handler, "2").await.unwrap_err();
    assert!(matches!(error, HandlerError::Lost { .. }), "{error:?}");
    assert_eq!(stand_in.accepted(), 1);
}

#[tokio::test]
async fn nobody_at_the_socket_is_unreachable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("handler.sock");
    let handler = SocketHandler::new(SocketOptions::new(&path));
    let no_file = ask(&handler, "1").await.unwrap_err();
    assert!(matches!(no_file, HandlerError::Unreachable { .. }), "{no_file:?}");
    drop(UnixListener::bind(&path).unwrap());
    let refused = ask(&handler, "1").await.unwrap_err();
    assert!(matches!(refused, HandlerError::Unreachable { .. }), "{refused:?}");
    assert!(matches!(handler.ping().await, Err(HandlerError::Unreachable { .. })));
}

#[tokio::test]
async fn a_connection_lost_before_the_whole_request_was_written_is_unreachable() {
    let stand_in = StandIn::new(|mut peer| {
        let mut some = [0; 10];
        peer.stream.read_exact(&mut some).unwrap();
    });
    let error = ask(&stand_in.plain(), vec![b'1'; 8 << 20]).await.unwrap_err();
    assert!(matches!(error, HandlerError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_reply_of_one_that_did_not_want_the_whole_request_is_taken() {
    let stand_in = StandIn::new(|mut peer| {
        let mut head = [0; 4];
        peer.stream.read_exact(&mut head).unwrap();
        peer.reply(r#"{"error":"too_much","message":"no"}"#);
    });
    let handler = stand_in.plain();
    let reply = ask(&handler, vec![b'1'; 8 << 20]).await.unwrap();
    assert!(matches!(reply, wire::Reply::Fault(fault) if fault.code.as_deref() == Some("too_much")));
}

#[tokio::test]
async fn interim_frames_are_reported_in_order_and_before_the_reply() {
    let stand_in = StandIn::new(|mut peer| {
        peer.request().unwrap();
        peer.reply(r#"{"status":"progress","percent":10}"#);
        peer.reply(r#"{"status":"partial","data":[1]}"#);
        peer.reply(r#"{"status":"heartbeat"}"#);
        peer.reply(r#"{"status":"ok","result":7}"#);
    });
    let (interims, reply) = follow(&stand_in.handler(), "1").await;
    let progress = Interim::Progress {
        percent: Some(10.0),
        message: None,
    };
    let partial = Interim::Partial(Json::parse("[1]".into()).unwrap());
    assert_eq!(interims, [progress, partial, Interim::Heartbeat]);
    assert_eq!(reply.unwrap(), done("7"));
}

#[tokio::test]
async fn a_ping_of_a_plain_handler_is_a_connect_and_leaves_nothing_open() {
    let stand_in = StandIn::new(|mut peer| peer.tell_the_end());
    let handler = stand_in.handler();
    assert_eq!(handler.ping().await.unwrap(), Liveness::Connected);
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn two_sidecars_share_a_handler_that_serves_one_connection_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("handler.sock");
    let turn = std::sync::Mutex::new(());
    let stand_in = StandIn::at(&path, move |mut peer| {
        let _turn = turn.lock().unwrap();
        // An empty connection ends here, and is no error.
        if let Some(request) = peer.request() {
            peer.reply(request);
        }
    });
    let (one, two) = (stand_in.handler(), stand_in.handler());
    one.ping().await.unwrap();
    two.ping().await.unwrap();
    // The first has an empty connection behind it, which must not stand in the way of the second.
    assert_eq!(ask(&two, "3").await.unwrap(), done("3"));
    for _ in 0..3 {
        let (first, second) = tokio::join!(ask(&one, "1"), ask(&two, "2"));
        assert_eq!((first.unwrap(), second.unwrap()), (done("1"), done("2")));
    }
}

#[tokio::test]
async fn a_handler_that_is_retired_finds_its_connections_closed() {
    let stand_in = StandIn::new(|mut peer| {
        let Some(request) = peer.request() else { return };
        peer.reply(request);
        peer.tell_the_end();
    });
    let pool = Pool::new("clean");
    let member = pool.add(Arc::new(stand_in.handler()), 1, Ownership::Ours);
    let mut slot = pool.slot().await;
    assert_eq!(slot.call(&call("1"), &mut |_| {}).await.unwrap(), done("1"));
    drop(slot);
    pool.retire(member).await;
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}
