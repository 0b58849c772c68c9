//! The head of a request as an upstream gets it. Pure.

use std::{borrow::Cow, fmt::Write as _, net::IpAddr};

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderValue, header, request::Parts, uri::PathAndQuery};
use wire::TraceContext;

use super::{headers, upstream::Origin};
use crate::{
    config::HostHeader,
    http1::{BodyForm, Spelling, has_token, write_fields},
    listen::Peer,
};

/// What is said of a request beside what it says itself; the same for every try.
#[derive(Debug)]
pub(super) struct Forwarding<'a> {
    pub(super) parts: &'a Parts,
    pub(super) target: &'a PathAndQuery,
    pub(super) peer: &'a Peer,
    pub(super) is_trusted: bool,
    pub(super) host: HostHeader,
    pub(super) form: BodyForm,
    pub(super) is_websocket: bool,
    pub(super) trace: &'a TraceContext,
}

impl Forwarding<'_> {
    /// Writes the head.
    pub(super) fn write(&self, out: &mut BytesMut, origin: &Origin) {
        let headers = &self.parts.headers;
        out.reserve(1024);
        out.extend_from_slice(self.parts.method.as_str().as_bytes());
        out.extend_from_slice(b" ");
        self.write_target(out, origin.address.base());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let keeps_host = self.host == HostHeader::Keep && headers.contains_key(header::HOST);
        if !keeps_host {
            line(out, "Host", origin.host.as_bytes());
        }
        let spelling = self.parts.extensions.get::<Spelling>();
        write_fields(out, headers, spelling, |name| {
            let is_framing = *name == header::CONTENT_LENGTH && self.form == BodyForm::Chunked;
            headers::goes_up(name, headers, self.is_trusted) && (keeps_host || *name != header::HOST) && !is_framing
        });
        if has_token(headers, header::TE, "trailers") {
            line(out, "TE", b"trailers");
        }
        if self.form == BodyForm::Chunked {
            line(out, "Transfer-Encoding", b"chunked");
        }
        if self.is_websocket {
            line(out, "Connection", b"Upgrade");
            line(out, "Upgrade", b"websocket");
        }
        self.write_ours(out, headers);
        out.extend_from_slice(b"\r\n");
    }

    fn write_target(&self, out: &mut BytesMut, base: &str) {
        out.extend_from_slice(base.as_bytes());
        let target = self.target.as_str();
        // Of a base alone nothing is asked with a slash at its end.
        if target != "*" || base.is_empty() {
            out.extend_from_slice(target.as_bytes());
        }
    }

    fn write_ours(&self, out: &mut BytesMut, headers: &HeaderMap) {
        line(out, "X-Forst-Sidecar", b"true");
        line(out, "X-Forwarded-By", b"forst-proxy");
        let ip = self.peer.ip();
        if let Some(all) = appended(headers, "x-forwarded-for", ip.map(|ip| ip.to_string().into())) {
            line(out, "X-Forwarded-For", &all);
        }
        let host = headers.get(header::HOST);
        if let Some(all) = appended(
            headers,
            "forwarded",
            Some(forwarded(ip, host, self.peer.scheme()).into()),
        ) {
            line(out, "Forwarded", &all);
        }
        if !(self.is_trusted && headers.contains_key("x-forwarded-proto")) {
            line(out, "X-Forwarded-Proto", self.peer.scheme().as_bytes());
        }
        if let Some(host) = host
            && !(self.is_trusted && headers.contains_key("x-forwarded-host"))
        {
            line(out, "X-Forwarded-Host", host.as_bytes());
        }
        line(out, TraceContext::TRACEPARENT, self.trace.traceparent().as_bytes());
        if let Some(state) = self.trace.tracestate() {
            line(out, TraceContext::TRACESTATE, state.as_bytes());
        }
    }
}

/// The trace that the request belongs to, as its headers have it.
pub(super) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TraceContext::TRACEPARENT).iter();
    let (parent, None) = (parents.next()?.to_str().ok()?, parents.next()) else {
        return None;
    };
    let states: Vec<&str> = headers
        .get_all(TraceContext::TRACESTATE)
        .iter()
        .filter_map(|state| state.to_str().ok())
        .collect();
    TraceContext::parse(
        parent,
        Some(states.join(",")).as_deref().filter(|state| !state.is_empty()),
    )
}

/// All values of a list, and one more at its end; in one line, for those who read only the first.
fn appended<'a>(headers: &'a HeaderMap, name: &str, more: Option<Cow<'a, str>>) -> Option<Cow<'a, [u8]>> {
    let mut values = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .filter(|value| !value.is_empty())
        .peekable();
    if values.peek().is_none() {
        return more.map(|more| match more {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        });
    }
    let mut all: Vec<&[u8]> = values.collect();
    if let Some(more) = &more {
        all.push(more.as_bytes());
    }
    Some(Cow::Owned(all.join(&b", "[..])))
}

/// An element of `Forwarded`, as RFC 7239 has it.
fn forwarded(ip: Option<IpAddr>, host: Option<&HeaderValue>, scheme: &str) -> String {
    let mut element = match ip {
        None => "for=unknown".to_owned(),
        Some(IpAddr::V4(ip)) => format!("for={ip}"),
        Some(IpAddr::V6(ip)) => format!("for=\"[{ip}]\""),
    };
    if let Some(host) = host
        .and_then(|host| host.to_str().ok())
        .filter(|host| !host.is_empty() && !host.contains(['"', '\\']))
    {
        // Writing to a string does not fail.
        let _ = write!(element, ";host=\"{host}\"");
    }
    let _ = write!(element, ";proto={scheme}");
    element
}

fn line(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_of_forwarded_is_quoted_where_it_has_to_be() {
        let host = HeaderValue::from_static("example.org:8080");
        assert_eq!(
            forwarded(Some("10.0.0.1".parse().unwrap()), Some(&host), "https"),
            "for=10.0.0.1;host=\"example.org:8080\";proto=https"
        );
        assert_eq!(
            forwarded(Some("::1".parse().unwrap()), None, "http"),
            "for=\"[::1]\";proto=http"
        );
        assert_eq!(forwarded(None, None, "http"), "for=unknown;proto=http");
    }

    #[test]
    fn lists_are_joined_and_appended_to() {
        let mut headers = HeaderMap::new();
        let joined = |headers: &HeaderMap, more: Option<&str>| {
            let more = more.map(|more| more.to_owned().into());
            appended(headers, "x-forwarded-for", more).map(|all| String::from_utf8(all.into_owned()).unwrap())
        };
        assert_eq!(joined(&headers, None), None);
        assert_eq!(joined(&headers, Some("c")).as_deref(), Some("c"));
        headers.append("x-forwarded-for", HeaderValue::from_static("a"));
        headers.append("x-forwarded-for", HeaderValue::from_static("b"));
        assert_eq!(joined(&headers, Some("c")).as_deref(), Some("a, b, c"));
        assert_eq!(joined(&headers, None).as_deref(), Some("a, b"));
    }
}
