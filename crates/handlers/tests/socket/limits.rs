//! When an exchange ends early, and that its connection ends with it.

use std::time::{Duration, Instant};

use handlers::{Dialect, Handler, HandlerError, SocketHandler, SocketOptions};
use wire::Interim;

use super::stand_in::{StandIn, ask, call, done, follow};

/// Answers on every connection but the first.
fn hangs_at_first() -> StandIn {
    StandIn::new(|mut peer| {
        let request = peer.request().expect("a request");
        if peer.number == 1 {
            peer.tell_the_end();
        } else {
            peer.reply(request);
        }
    })
}

fn limited(stand_in: &StandIn, timeout: Option<u64>, idle: Option<u64>) -> SocketHandler {
    SocketHandler::new(SocketOptions {
        dialect: Dialect::Plain,
        timeout: timeout.map(Duration::from_millis),
        idle_timeout: idle.map(Duration::from_millis),
        ..stand_in.options()
    })
}

#[tokio::test]
async fn no_reply_within_the_timeout_closes_the_connection_and_the_next_call_has_a_fresh_one() {
    let stand_in = hangs_at_first();
    let handler = limited(&stand_in, Some(100), None);
    let begun = Instant::now();
    let error = ask(&handler, "1").await.unwrap_err();
    assert!(
        matches!(error, HandlerError::Timeout { after, .. } if after.as_millis() == 100),
        "{error:?}"
    );
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
    assert_eq!(ask(&handler, "2").await.unwrap(), done("2"));
    assert_eq!(stand_in.accepted(), 2);
}

#[tokio::test]
async fn a_request_that_is_not_read_times_out_as_well() {
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(0);
    let wait = std::sync::Mutex::new(wait);
    let stand_in = StandIn::new(move |_peer| {
        // Ends when the test lets go.
        let _ = wait.lock().unwrap().recv();
    });
    let error = ask(&limited(&stand_in, Some(100), None), vec![b'1'; 32 << 20])
        .await
        .unwrap_err();
    assert!(matches!(error, HandlerError::Timeout { .. }), "{error:?}");
    drop(go);
}

#[tokio::test]
async fn silence_for_the_idle_timeout_ends_the_exchange() {
    let stand_in = hangs_at_first();
    let error = ask(&limited(&stand_in, Some(60_000), Some(100)), "1")
        .await
        .unwrap_err();
    assert!(
        matches!(error, HandlerError::Idle { after, .. } if after.as_millis() == 100),
        "{error:?}"
    );
    assert_eq!(error.code(), "timeout");
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn heartbeats_begin_the_idle_timeout_anew() {
    let stand_in = StandIn::new(|mut peer| {
        peer.request().unwrap();
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(150));
            peer.reply(r#"{"status":"heartbeat"}"#);
        }
        peer.reply("1");
    });
    let handler = limited(&stand_in, None, Some(1000));
    let begun = Instant::now();
    let (interims, reply) = follow(&handler, "0").await;
    assert_eq!(reply.unwrap(), done("1"));
    assert_eq!(interims, vec![Interim::Heartbeat; 8]);
    assert!(begun.elapsed() > Duration::from_secs(1), "longer than one idle timeout");
}

#[tokio::test]
async fn no_number_of_heartbeats_moves_the_timeout() {
    let stand_in = StandIn::new(|mut peer| {
        peer.request().unwrap();
        let mut gone = false;
        while !gone {
            let frame = b"\0\0\0\x16{\"status\":\"heartbeat\"}";
            gone = std::io::Write::write_all(&mut peer.stream, frame).is_err();
        }
        peer.tell("gone");
    });
    let handler = limited(&stand_in, Some(200), Some(60_000));
    let error = ask(&handler, "1").await.unwrap_err();
    assert!(matches!(error, HandlerError::Timeout { .. }), "{error:?}");
    assert_eq!(stand_in.seen(), "gone");
}

#[tokio::test]
async fn a_deadline_that_comes_before_the_timeout_ends_the_exchange_under_its_own_name() {
    let stand_in = hangs_at_first();
    let handler = limited(&stand_in, Some(60_000), None);
    let mut asked = call("1");
    asked.deadline = Some(jiff::Timestamp::now() + Duration::from_millis(150));
    let error = handler.call(&asked, &mut |_| {}).await.unwrap_err();
    assert!(
        matches!(error, HandlerError::Deadline { after, .. } if !after.is_zero()),
        "{error:?}"
    );
    assert_eq!(error.code(), "deadline_exceeded");
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn a_deadline_that_comes_after_the_timeout_leaves_the_timeout_its_name() {
    let stand_in = hangs_at_first();
    let handler = limited(&stand_in, Some(50), None);
    let mut asked = call("1");
    asked.deadline = Some(jiff::Timestamp::now() + Duration::from_mins(1));
    let error = handler.call(&asked, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, HandlerError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_is_written_after_the_deadline() {
    let stand_in = StandIn::new(|mut peer| peer.tell_the_end());
    let mut asked = call("1");
    asked.deadline = Some("2020-01-01T00:00:00Z".parse().unwrap());
    let error = limited(&stand_in, None, None)
        .call(&asked, &mut |_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            HandlerError::Deadline {
                after: Duration::ZERO,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
}

#[tokio::test]
async fn a_cancelled_exchange_closes_its_connection() {
    let stand_in = StandIn::new(|mut peer| {
        let request = peer.request().unwrap();
        if peer.number > 1 {
            return peer.reply(request);
        }
        peer.reply(r#"{"status":"heartbeat"}"#);
        peer.tell_the_end();
    });
    let handler = limited(&stand_in, None, None);
    let (tell, mut begun) = tokio::sync::mpsc::channel(1);
    let asked = call("1");
    let mut report = |_| tell.try_send(()).unwrap();
    tokio::select! {
        reply = handler.call(&asked, &mut report) => panic!("answered: {reply:?}"),
        _ = begun.recv() => {}
    }
    assert_eq!(stand_in.seen(), "closed after 0 bytes");
    assert_eq!(ask(&handler, "2").await.unwrap(), done("2"));
    assert_eq!(stand_in.accepted(), 2);
}
