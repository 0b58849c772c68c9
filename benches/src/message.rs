//! The messages of the benches: a JSON string of a given length, at the start of a route of one actor.

use bytes::Bytes;

/// The actor, and so the queue, that every message visits.
pub const ACTOR: &str = "echo";

/// A JSON string that is `length` bytes long, quotes and all.
pub fn payload(length: usize) -> Vec<u8> {
    let mut payload = vec![b'x'; length];
    if let [first, .., last] = payload.as_mut_slice() {
        (*first, *last) = (b'"', b'"');
    }
    payload
}

/// What stands before the payload in a message's bytes.
pub fn head(number: u64) -> String {
    format!(r#"{{"id":"bench-{number:012}","route":{{"actors":["{ACTOR}"],"current":0}},"payload":"#)
}

/// A whole message, in one allocation of its length.
pub fn envelope(number: u64, payload_length: usize) -> Bytes {
    let head = head(number);
    let mut message = Vec::with_capacity(head.len() + payload_length + 1);
    message.extend_from_slice(head.as_bytes());
    message.resize(head.len() + payload_length, b'x');
    message[head.len()] = b'"';
    if let Some(last) = message.last_mut() {
        *last = b'"';
    }
    message.push(b'}');
    message.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_head_and_the_payload() {
        let message = envelope(7, 64);
        let expected = [head(7).as_bytes(), &payload(64), b"}"].concat();
        assert_eq!(message, expected);
        let value: serde_json::Value = serde_json::from_slice(&message).unwrap();
        assert_eq!(value["payload"].as_str().map(str::len), Some(62));
    }
}
