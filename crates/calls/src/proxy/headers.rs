//! Which headers go on. Pure.

use http::{HeaderMap, HeaderName, header};

use crate::http1::{Fields, has_token, tokens};

/// Whether a header of a request goes on as it is. What we write ourselves does not.
pub(super) fn goes_up(name: &HeaderName, headers: &HeaderMap, is_trusted: bool) -> bool {
    let is_ours = match name.as_str() {
        "x-forst-sidecar" | "x-forwarded-by" | "x-forwarded-for" | "forwarded" | "traceparent" | "tracestate" => true,
        "x-forwarded-proto" | "x-forwarded-host" => !is_trusted,
        _ => false,
    };
    !is_ours
        && !is_of_hop(name)
        && (stays(name)
            || !headers.contains_key(header::CONNECTION)
            || !has_token(headers, header::CONNECTION, name.as_str()))
}

/// What goes on of the fields at the end of a request's body: nobody may say there what we say in its head.
pub(super) fn trailers_up(mut trailers: HeaderMap) -> HeaderMap {
    let nothing = HeaderMap::new();
    let stay: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| !goes_up(name, &nothing, false))
        .cloned()
        .collect();
    for name in stay {
        trailers.remove(name);
    }
    trailers
}

/// Whether a header of a reply goes on.
pub(super) fn goes_down(name: &HeaderName, fields: &Fields) -> bool {
    if is_of_hop(name) {
        return false;
    }
    let named = |value: &[u8]| tokens(value).any(|word| word.eq_ignore_ascii_case(name.as_str().as_bytes()));
    stays(name) || !fields.values(&header::CONNECTION).any(named)
}

/// Whether the client asks to go on as a WebSocket.
pub(super) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        && has_token(headers, header::CONNECTION, "upgrade")
        && has_token(headers, header::UPGRADE, "websocket")
}

/// What is said from one end of a connection to the other, and not further.
fn is_of_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authorization"
            | "te"
            | "upgrade"
            | "transfer-encoding"
    )
}

/// What `Connection` cannot take away, whatever it names.
fn stays(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host" | "content-length" | "x-forwarded-proto" | "x-forwarded-host"
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::http1::LineEnd;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        fields.iter().map(pair).collect()
    }

    #[test]
    fn trailers_say_nothing_in_our_name() {
        let all = map(&[
            ("x-sum", "1"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-host", "a"),
            ("forwarded", "for=a"),
        ]);
        assert_eq!(trailers_up(all), map(&[("x-sum", "1")]));
    }

    #[test]
    fn what_connection_names_stays_behind_but_never_what_frames_or_is_ours() {
        let headers = map(&[("connection", "X-Own, close, Host, Content-Length, x-forwarded-host")]);
        let up = |name| goes_up(&HeaderName::from_static(name), &headers, true);
        for name in [
            "x-own",
            "connection",
            "keep-alive",
            "proxy-authorization",
            "te",
            "upgrade",
            "transfer-encoding",
        ] {
            assert!(!up(name), "{name}");
        }
        for name in [
            "host",
            "content-length",
            "x-forwarded-host",
            "authorization",
            "cookie",
            "trailer",
            "expect",
        ] {
            assert!(up(name), "{name}");
        }
        let headers = HeaderMap::new();
        assert!(!goes_up(&HeaderName::from_static("x-forwarded-host"), &headers, false));
    }

    #[test]
    fn a_reply_loses_what_is_of_its_connection() {
        let text =
            Bytes::from_static(b"Connection: X-Own\r\nX-Own: 1\r\nX-Other: 2\r\nTransfer-Encoding: chunked\r\n\r\n");
        let fields = Fields::read(text, 0, LineEnd::Strict).unwrap();
        let down = |name| goes_down(&HeaderName::from_static(name), &fields);
        assert!(!down("x-own") && !down("connection") && !down("transfer-encoding"));
        assert!(down("x-other") && down("set-cookie"));
    }

    #[test]
    fn a_websocket_is_asked_for_in_two_headers() {
        assert!(asks_for_websocket(&map(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket")
        ])));
        assert!(!asks_for_websocket(&map(&[("upgrade", "websocket")])));
        assert!(!asks_for_websocket(&map(&[
            ("connection", "upgrade"),
            ("upgrade", "h2c")
        ])));
    }
}
