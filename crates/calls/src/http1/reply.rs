//! The head of an upstream's reply. Pure.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Method, StatusCode, Version,
    header::{self},
};

use super::{Decoder, Fields, LineEnd, Spelling, fields::line, framing, tokens};

/// The head of a reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) spelling: Spelling,
    /// Its body, yet to be read.
    pub(crate) body: Decoder,
    /// Whether another request may be sent after it.
    pub(crate) keep_alive: bool,
    /// What it switches to, where its status is 101.
    pub(crate) upgrade: Option<Bytes>,
}

/// Why bytes are no reply, in a person's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotHttp(pub(crate) &'static str);

impl Reply {
    /// Reads a whole head; `kept` says which fields go on, knowing the words of `Connection`.
    pub(crate) fn read(
        text: &Bytes,
        request: &Method,
        kept: impl Fn(&HeaderName, &Fields) -> bool,
    ) -> Result<Self, NotHttp> {
        let (first, from) = line(text, 0, LineEnd::Lenient).map_err(NotHttp)?;
        let (version, status, reason) = first_line(first)?;
        let reason = text.slice_ref(reason);
        let fields = Fields::read(text.clone(), from, LineEnd::Lenient).map_err(NotHttp)?;
        let has_none = request == Method::HEAD || status.is_informational() || [204, 304].contains(&status.as_u16());
        // Even where there is none, its length has to be one.
        let body = match framing::of_reply(&fields).map_err(NotHttp)? {
            _ if has_none => Decoder::Done,
            body => body,
        };
        let says = |word: &str| {
            let mut words = fields.values(&header::CONNECTION).flat_map(tokens);
            words.any(|token| token.eq_ignore_ascii_case(word.as_bytes()))
        };
        let keep_alive = !matches!(body, Decoder::UntilClose)
            && !says("close")
            && (version == Version::HTTP_11 || says("keep-alive"));
        let upgrade = fields
            .values(&header::UPGRADE)
            .next()
            .map(|value| text.slice_ref(value));
        let mut headers = fields.map(|name| kept(name, &fields)).map_err(NotHttp)?;
        // Said twice it is the same, and yet more than many take.
        if fields.values(&header::CONTENT_LENGTH).nth(1).is_some()
            && let Some(length) = headers.get(header::CONTENT_LENGTH).cloned()
        {
            headers.insert(header::CONTENT_LENGTH, length);
        }
        Ok(Self {
            status,
            headers,
            spelling: fields.into_spelling().with_reason(reason),
            body,
            keep_alive,
            upgrade,
        })
    }
}

fn first_line(line: &[u8]) -> Result<(Version, StatusCode, &[u8]), NotHttp> {
    const BAD: NotHttp = NotHttp("the first line is not `HTTP/1.1 STATUS`");
    let (version, rest) = line.split_at_checked(9).ok_or(BAD)?;
    let version = match version {
        b"HTTP/1.1 " => Version::HTTP_11,
        b"HTTP/1.0 " => Version::HTTP_10,
        _ => return Err(BAD),
    };
    let (status, reason) = rest.split_at_checked(3).ok_or(BAD)?;
    let reason = match reason.split_first() {
        None => reason,
        Some((b' ', reason)) => reason,
        Some(_) => return Err(BAD),
    };
    if reason.iter().any(|byte| matches!(byte, 0..=8 | 10..=31 | 127)) {
        return Err(BAD);
    }
    let status = StatusCode::from_bytes(status).map_err(|_| BAD)?;
    Ok((version, status, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Result<Reply, NotHttp> {
        Reply::read(&Bytes::from_static(text.as_bytes()), &Method::GET, |_, _| true)
    }

    #[test]
    fn a_reply_says_how_long_it_is_and_whether_more_may_follow() {
        let reply = read("HTTP/1.1 404 Nicht da\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.spelling.reason()),
            (404, Some(&b"Nicht da"[..]))
        );
        assert!(matches!(reply.body, Decoder::Length(5)) && reply.keep_alive);
        let reply = read("HTTP/1.0 200 OK\nServer: old\n\n").unwrap();
        assert!(matches!(reply.body, Decoder::UntilClose) && !reply.keep_alive);
        assert!(read("HTTP/1.1 204\r\n\r\n").unwrap().body.is_done());
        let head = Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        assert!(Reply::read(&head, &Method::HEAD, |_, _| true).unwrap().body.is_done());
    }

    #[test]
    fn a_length_that_is_said_twice_goes_on_once() {
        let reply = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert_eq!(reply.headers.get_all("content-length").iter().count(), 1);
        assert!(matches!(reply.body, Decoder::Length(5)));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for text in [
            "ICY 200 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 099 No\r\n\r\n",
            "HTTP/1.1 2000\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
