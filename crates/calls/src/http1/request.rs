//! The head of a request: what it says, or why it is refused. Pure.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri, Version,
    header::{self, HeaderName},
    uri::{Authority, PathAndQuery},
};

use super::{
    Decoder, Fields, LineEnd, MAX_TARGET, Spelling, TooLarge,
    fields::{is_token, line},
    framing, tokens,
};

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// The path and query as they were received; the authority of an absolute target is in `Host`.
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) spelling: Spelling,
    /// Its body, yet to be read.
    pub(crate) body: Decoder,
    /// Whether another request may come after it.
    pub(crate) keep_alive: bool,
    /// Whether it waits for 100 before it sends its body.
    pub(crate) expects: bool,
}

/// Why a request is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    /// In a person's words.
    pub(crate) why: &'static str,
}

impl Head {
    /// Reads a whole head, with the empty line that ends it.
    pub(crate) fn read(text: &Bytes) -> Result<Self, Refusal> {
        let (first, from) = line(text, 0, LineEnd::Strict)?;
        let (method, target, version) = first_line(first)?;
        let target = text.slice_ref(target);
        let fields = Fields::read(text.clone(), from, LineEnd::Strict)?;
        let body = framing::of_request(&fields, version)?;
        let mut headers = fields.map(|_| true)?;
        let authority = host(&headers, version)?;
        let (uri, named) = read_target(&method, target)?;
        if let Some(named) = named {
            headers.insert(header::HOST, named);
        } else if authority.is_none() && method == Method::CONNECT {
            return Err("CONNECT needs a host".into());
        }
        let connection = || fields.values(&header::CONNECTION).flat_map(tokens);
        let says = |word: &str| connection().any(|token| token.eq_ignore_ascii_case(word.as_bytes()));
        let keep_alive = !says("close") && (version == Version::HTTP_11 || says("keep-alive"));
        let expects = version == Version::HTTP_11
            && !body.is_done()
            && fields
                .values(&header::EXPECT)
                .any(|value| value.eq_ignore_ascii_case(b"100-continue"));
        Ok(Self {
            method,
            uri,
            version,
            headers,
            spelling: fields.into_spelling(),
            body,
            keep_alive,
            expects,
        })
    }
}

impl From<&'static str> for Refusal {
    fn from(why: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "bad_request",
            why,
        }
    }
}

impl From<TooLarge> for Refusal {
    fn from(too_large: TooLarge) -> Self {
        match too_large {
            TooLarge::Target => Self::TARGET,
            TooLarge::Head => Self {
                status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                code: "head_too_large",
                why: "the head has more than 64 KiB or 256 fields",
            },
            TooLarge::BareLf => "a line ends with LF alone".into(),
        }
    }
}

impl Refusal {
    const TARGET: Self = Self {
        status: StatusCode::URI_TOO_LONG,
        code: "target_too_long",
        why: "the target has more than 16 KiB",
    };
    const VERSION: Self = Self {
        status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        code: "bad_version",
        why: "HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here",
    };
    /// No whole head came in time.
    pub(crate) const LATE: Self = Self {
        status: StatusCode::REQUEST_TIMEOUT,
        code: "timeout",
        why: "the head took too long",
    };
}

fn first_line(line: &[u8]) -> Result<(Method, &[u8], Version), Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("the first line is not `METHOD TARGET HTTP/1.1`".into());
    };
    if target.len() > MAX_TARGET {
        return Err(Refusal::TARGET);
    }
    if method.is_empty() || !method.iter().copied().all(is_token) {
        return Err("the method has a character that no method has".into());
    }
    let method = Method::from_bytes(method).map_err(|_| "the method is none")?;
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Refusal::VERSION);
        }
        _ => return Err("the first line does not end with a version of HTTP".into()),
    };
    Ok((method, target, version))
}

/// The one `Host`, where there is one.
fn host(headers: &HeaderMap, version: Version) -> Result<Option<&HeaderValue>, Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return Err("there is more than one Host".into());
    }
    match first {
        None if version == Version::HTTP_11 => Err("there is no Host".into()),
        Some(host) if !host.is_empty() => {
            if is_host(host.as_bytes()) {
                Ok(Some(host))
            } else {
                Err("Host is no name or address with a port".into())
            }
        }
        host => Ok(host),
    }
}

/// Whether a text is a host, with a port or without.
pub(crate) fn is_host(text: &[u8]) -> bool {
    let ends_well = match text.iter().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if text[at] == b':' => text[at + 1..].iter().all(u8::is_ascii_digit),
        Some(at) => at + 1 == text.len(),
        None => true,
    };
    ends_well && !text.contains(&b'@') && Authority::try_from(text).is_ok()
}

/// Refuses what no target has: some read `\\` in a path as `/`, and others what comes after `#` as no part of it.
pub(crate) fn check_target(target: &[u8]) -> Result<(), Refusal> {
    let mut path = target.iter().take_while(|byte| **byte != b'?');
    if path.any(|byte| *byte == b'\\') || target.iter().any(|byte| *byte == b'#' || !byte.is_ascii_graphic()) {
        return Err(BAD.into());
    }
    Ok(())
}

const BAD: &str = "the target has a character that has to be percent-encoded";

/// The path and query of a target, and the host that it names.
fn read_target(method: &Method, target: Bytes) -> Result<(Uri, Option<HeaderValue>), Refusal> {
    check_target(&target)?;
    if method == Method::CONNECT {
        let host = target.clone();
        if !is_host(&host) {
            return Err("the target of CONNECT is no host".into());
        }
        let uri = Uri::from_maybe_shared(target).map_err(|_| BAD)?;
        return Ok((uri, HeaderValue::from_maybe_shared(host).ok()));
    }
    let path = |bytes: Bytes| {
        PathAndQuery::from_maybe_shared(bytes)
            .map(Uri::from)
            .map_err(|_| Refusal::from(BAD))
    };
    if target.starts_with(b"/") {
        return Ok((path(target)?, None));
    }
    if &target[..] == b"*" {
        return if method == Method::OPTIONS {
            Ok((path(target)?, None))
        } else {
            Err("`*` is a target of OPTIONS alone".into())
        };
    }
    let Some(scheme) = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    }) else {
        return Err("the target begins neither with `/` nor with `http://`".into());
    };
    let rest = target.slice(scheme.len()..);
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (authority, tail) = (rest.slice(..end), rest.slice(end..));
    if !is_host(&authority) {
        return Err("the host of the target is none".into());
    }
    let host = HeaderValue::from_maybe_shared(authority).map_err(|_| BAD)?;
    let uri = match tail.first() {
        Some(b'/') => path(tail)?,
        Some(_) => path([b"/", &tail[..]].concat().into())?,
        None if method == Method::OPTIONS => path(Bytes::from_static(b"*"))?,
        None => path(Bytes::from_static(b"/"))?,
    };
    Ok((uri, Some(host)))
}

/// Whether a name has to do with how a message is framed or sent on, so that the end of a body may not say it.
pub(crate) fn is_framing(name: &HeaderName) -> bool {
    [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::HOST,
        header::CONNECTION,
        header::TRAILER,
        header::TE,
        header::UPGRADE,
        header::EXPECT,
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Head, Refusal> {
        Head::read(&Bytes::copy_from_slice(text.as_bytes()))
    }

    fn status(text: &str) -> u16 {
        read(text).map_or_else(|refusal| refusal.status.as_u16(), |_| 200)
    }

    proptest! {
        #[test]
        fn any_head_is_read_or_refused_and_what_is_read_is_framed_in_one_way(
            lines in prop::collection::vec(
                prop_oneof![
                    Just("Content-Length: 5"),
                    Just("Content-Length: 6"),
                    Just("Transfer-Encoding: chunked"),
                    Just("transfer-encoding:\tgzip"),
                    Just("Host: a"),
                    Just(" folded"),
                    Just("X : y"),
                    Just("X: \0"),
                    Just("X: y"),
                ],
                0..6,
            ),
            noise in "\\PC{0,20}",
        ) {
            let text = format!("POST /{noise} HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"));
            if let Ok(head) = read(&text) {
                let count = |name: &str| lines.iter().filter(|line| line.to_ascii_lowercase().starts_with(name)).count();
                prop_assert!(count("content-length") + count("transfer-encoding") <= 1);
                prop_assert_eq!(count("host"), 1);
                prop_assert!(!lines.iter().any(|line| line.contains('\0') || line.starts_with(' ') || line.contains(" :")));
                prop_assert_eq!(head.uri.to_string(), format!("/{noise}"));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::read(&Bytes::from(bytes));
        }
    }

    #[test]
    fn a_target_is_kept_as_it_was_received() {
        for target in [
            "/",
            "/a/../b",
            "/a%2e%2E/b?x=%20&y=/../",
            "//a",
            "/a;b=c",
            "/?",
            "/?a\\b",
        ] {
            let head = read(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
            assert_eq!(head.uri.to_string(), target);
        }
    }

    #[test]
    fn the_authority_of_an_absolute_target_replaces_host() {
        let head = read("GET http://Other:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(
            (head.uri.to_string().as_str(), &head.headers["host"]),
            ("/x?y", &"Other:81".parse::<HeaderValue>().unwrap())
        );
        let head = read("GET http://o?y HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(head.uri, "/?y");
        assert_eq!(status("GET http://u@o/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET ftp://o/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    }

    #[test]
    fn first_lines_that_are_none_are_refused() {
        for line in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "G@T / HTTP/1.1",
            "GET x HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET /a/..\\b HTTP/1.1",
            "GET http://a/..\\b HTTP/1.1",
            "GET /\u{e4} HTTP/1.1",
            "GET /a\x0bb HTTP/1.1",
            "GET * HTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/1.1\r",
        ] {
            assert_eq!(status(&format!("{line}\r\nHost: a\r\n\r\n")), 400, "{line:?}");
        }
        assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(status("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(status("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    }

    #[test]
    fn there_is_one_host_and_it_is_one() {
        for hosts in [
            "",
            "Host: a\r\nHost: a\r\n",
            "Host: a b\r\n",
            "Host: a@b\r\n",
            "Host: a/b\r\n",
            "Host: a:b\r\n",
            "Host: [::1]x\r\n",
        ] {
            assert_eq!(status(&format!("GET / HTTP/1.1\r\n{hosts}\r\n")), 400, "{hosts:?}");
        }
        assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 200);
        assert_eq!(status("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 200);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 200);
    }

    #[test]
    fn a_connection_is_kept_as_the_version_and_the_client_have_it() {
        let keeps = |line: &str, connection: &str| {
            read(&format!("GET / {line}\r\nHost: a\r\n{connection}\r\n"))
                .unwrap()
                .keep_alive
        };
        assert!(keeps("HTTP/1.1", ""));
        assert!(!keeps("HTTP/1.1", "Connection: x, Close\r\n"));
        assert!(!keeps("HTTP/1.0", ""));
        assert!(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    }
}
