//! The request and the answer that go through every proxy.

use anyhow::ensure;

/// The request, as it leaves who asks.
pub const REQUEST: &[u8] =
    b"GET /bench HTTP/1.1\r\nHost: bench.local\r\nUser-Agent: outrigger-bench\r\nAccept: */*\r\n\r\n";
/// Bytes of the answer's body.
pub const BODY: usize = 1024;
/// What ends a head.
pub const HEAD_END: &[u8] = b"\r\n\r\n";
/// More than an answer has, with all that a proxy adds to its head.
pub const LONGEST: usize = 8 << 10;

/// The answer, as it leaves the upstream.
pub fn answer() -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {BODY}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + BODY, b'x');
    answer
}

/// Whether all of an answer has come.
///
/// # Errors
/// It is not the upstream's answer.
pub fn is_whole(came: &[u8]) -> anyhow::Result<bool> {
    let Some(end) = memchr::memmem::find(came, HEAD_END) else {
        ensure!(came.len() < LONGEST, "the answer's head has no end");
        return Ok(false);
    };
    let whole = end + HEAD_END.len() + BODY;
    ensure!(
        came.starts_with(b"HTTP/1.1 200 ") && came.len() <= whole,
        "this is not the upstream's answer: {}",
        String::from_utf8_lossy(&came[..end])
    );
    Ok(came.len() == whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let answer = answer();
        let whole = |length| is_whole(&answer[..length]).unwrap();
        assert!(!whole(10) && !whole(answer.len() - 1) && whole(answer.len()));
    }

    #[test]
    fn another_answer_is_refused() {
        let more = [answer(), b"more".to_vec()].concat();
        let error = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        assert!(is_whole(&more).is_err() && is_whole(error).is_err());
    }
}
