//! Any bytes are headers, control frames and replies, or an error; and they are what a reader of trees takes them for.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wire::{Frame, FromHandler, Header, Interim, JobEvent, Json, Protocol, Reply, ReplyStyle, ToHandler, read_reply};

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    if let Some(bytes) = data.first_chunk::<4>() {
        let header = Header::from_bytes(*bytes);
        assert_eq!(header.to_bytes(), *bytes);
        assert!(header.len <= Header::MOST);
    }
    if let Ok(frame) = FromHandler::read(&body) {
        assert_eq!(
            FromHandler::read(&frame.to_bytes()).expect("what we write we read"),
            frame
        );
    }
    if let Ok(frame) = ToHandler::read(&body) {
        assert_eq!(
            ToHandler::read(&frame.to_bytes()).expect("what we write we read"),
            frame
        );
    }
    if let Some(event) = JobEvent::read(&body) {
        assert_eq!(JobEvent::read(&event.to_bytes()), Some(event));
    }
    let valid = Json::parse(body.clone());
    for protocol in [Protocol::Plain, Protocol::One] {
        for style in [
            ReplyStyle::Auto,
            ReplyStyle::Bare,
            ReplyStyle::Framed,
            ReplyStyle::Envelope,
        ] {
            match read_reply(body.clone(), style, protocol) {
                Ok(frame) => {
                    assert!(valid.is_ok(), "a frame is JSON");
                    reply(&body, frame, style, protocol);
                }
                Err(_) if protocol == Protocol::Plain && matches!(style, ReplyStyle::Auto | ReplyStyle::Bare) => {
                    assert!(valid.is_err(), "any JSON is a reply of a plain handler");
                }
                Err(_) => {}
            }
        }
    }
});

/// What must hold of a frame that was read.
fn reply(body: &Bytes, frame: Frame, style: ReplyStyle, protocol: Protocol) {
    let inside = |json: &Json| {
        assert!(
            body.as_ptr_range().contains(&json.bytes().as_ptr()),
            "a slice of the frame"
        )
    };
    if let Ok(tree) = serde_json::from_slice::<Value>(body) {
        let status = tree.get("status").and_then(Value::as_str);
        if protocol == Protocol::One {
            let status = status.expect("protocol 1 has a status");
            let expected = match &frame {
                Frame::Interim(Interim::Progress { .. }) => "progress",
                Frame::Interim(Interim::Partial(_)) => "partial",
                Frame::Interim(Interim::Heartbeat) => "heartbeat",
                Frame::Final(Reply::Fault(_)) => "error",
                Frame::Final(_) => "ok",
            };
            assert_eq!(status, expected);
        }
        if style != ReplyStyle::Bare
            && style != ReplyStyle::Envelope
            && let (Frame::Final(Reply::Done(result)), Some("ok")) = (&frame, status)
        {
            assert_eq!(
                result
                    .as_ref()
                    .map(|result| result.read::<Value>().expect("JSON"))
                    .as_ref(),
                tree.get("result")
            );
        }
    }
    match frame {
        Frame::Interim(Interim::Partial(data)) => inside(&data),
        Frame::Interim(Interim::Progress { percent, message }) => {
            assert!(percent.is_some() || message.is_some());
            assert!(percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
        }
        Frame::Interim(Interim::Heartbeat) => {}
        Frame::Final(Reply::Fault(fault)) => {
            assert!(!fault.message.trim().is_empty());
            assert_ne!(fault.code.as_deref(), Some(""));
            assert!(
                fault
                    .retry_after
                    .is_none_or(|delay| delay.as_secs() <= 365 * 24 * 60 * 60)
            );
            fault.details.as_ref().inspect(|details| inside(details));
        }
        Frame::Final(reply) => {
            let elements = match &reply {
                Reply::Done(Some(result)) => result.elements().map(|list| list.len()),
                _ => None,
            };
            let parts = reply.parts();
            parts.iter().for_each(|part| inside(&part.payload));
            assert!(
                elements.is_none_or(|elements| elements == parts.len()),
                "each element is an output"
            );
        }
    }
}
