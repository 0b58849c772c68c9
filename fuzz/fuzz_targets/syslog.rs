//! Any bytes, torn anywhere, are syslog messages, and each message is all of its text.

#![no_main]

use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;
use signals::ingest::syslog::{Clock, Frame, Framer, Message};

fuzz_target!(|data: &[u8]| {
    let (cut, stream) = data.split_first().unwrap_or((&0, &[]));
    let whole = frames([stream]);
    assert_eq!(frames(stream.chunks(usize::from(*cut) + 1)), whole, "it does not matter where it is torn");
    let clock = Clock {
        received: Timestamp::from_second(1_700_000_000).expect("a time"),
        zone: TimeZone::UTC,
    };
    for bytes in whole.into_iter().flatten() {
        let text = String::from_utf8_lossy(&bytes);
        let message = Message::read(&text, &clock);
        assert!(message.facility < 24 && message.severity < 8);
        assert!(text.as_bytes().as_ptr_range().contains(&message.text.as_ptr()) || message.text.is_empty());
        for word in [message.host, message.app, message.process, message.id].into_iter().flatten() {
            assert!(!word.is_empty() && !word.contains(' '), "{word}");
        }
    }
});

/// `None` for what is no message.
fn frames<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
    let (mut framer, mut all) = (Framer::default(), Vec::new());
    let mut note = |frame: Frame<'_>| {
        all.push(match frame {
            Frame::Message(message) => Some(message.to_vec()),
            Frame::TooLong | Frame::Broken => None,
        });
    };
    for chunk in chunks {
        framer.split(chunk, &mut note);
    }
    framer.end(&mut note);
    all
}
