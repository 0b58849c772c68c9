//! The answers that listeners give themselves.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::{
    Body,
    http1::{MAX_FIELDS, Refusal, check_target, is_host},
    reply,
};

/// The answer to a request that is not passed on, in the envelope of the function server.
pub(super) fn answer(refusal: Refusal) -> Response<Body> {
    let body = format!(
        "{{\"success\":false,\"error\":\"{}\",\"code\":\"{}\"}}\n",
        refusal.why.replace('"', "'"),
        refusal.code
    );
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = refusal.status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    reply::promise(answer.headers_mut());
    if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

/// Refuses the methods that nobody here handles.
pub(super) fn method(method: &Method) -> Result<(), Refusal> {
    if *method == Method::CONNECT || *method == Method::TRACE {
        return Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "method_not_allowed",
            why: "CONNECT and TRACE are not handled here",
        });
    }
    Ok(())
}

/// What HTTP/2 has to keep to beside what its own framing sees to; the authority becomes `Host`, cookies become one.
pub(super) fn of_http2(parts: &mut http::request::Parts) -> Result<(), Refusal> {
    if parts.headers.len() > MAX_FIELDS {
        return Err(crate::http1::TooLarge::Head.into());
    }
    let uri = parts.uri.clone();
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > crate::http1::MAX_TARGET {
        return Err(crate::http1::TooLarge::Target.into());
    }
    check_target(target.as_bytes())?;
    method(&parts.method)?;
    host(parts)?;
    length(&parts.headers)?;
    let is_star = target == "*" && parts.method == Method::OPTIONS;
    if !target.starts_with('/') && !is_star {
        return Err("the path does not begin with `/`".into());
    }
    if let Some(target) = uri.path_and_query() {
        parts.uri = target.clone().into();
    }
    cookies(&mut parts.headers);
    Ok(())
}

/// Beside one length, which HTTP/2 itself holds against the body, there is nothing that an HTTP/1 upstream could take for another.
fn length(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let is_number = |length: &HeaderValue| !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    if !lengths.next().is_none_or(is_number) || lengths.next().is_some() {
        return Err("Content-Length is no number of bytes, or there is more than one".into());
    }
    if headers.contains_key(header::TRANSFER_ENCODING) || headers.contains_key(header::CONNECTION) {
        return Err("HTTP/2 has neither Transfer-Encoding nor Connection".into());
    }
    Ok(())
}

fn host(parts: &mut http::request::Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (host, other) = (hosts.next(), hosts.next());
    if other.is_some() {
        return Err("there is more than one Host".into());
    }
    match (parts.uri.authority(), host) {
        (Some(authority), host) => {
            if host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())) {
                return Err("Host is another than the authority".into());
            }
            let value = HeaderValue::from_str(authority.as_str()).map_err(|_| "the authority is no host")?;
            if !is_host(value.as_bytes()) {
                return Err("the authority is no host".into());
            }
            parts.headers.insert(header::HOST, value);
            Ok(())
        }
        (None, Some(host)) if is_host(host.as_bytes()) => Ok(()),
        (None, _) => Err("there is no authority".into()),
    }
}

/// HTTP/2 may cut cookies into fields; whoever reads HTTP/1 wants one.
fn cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_some() {
        let all: Vec<&[u8]> = headers
            .get_all(header::COOKIE)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        if let Ok(one) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
            headers.insert(header::COOKIE, one);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(uri: &str, headers: &[(&'static str, &'static str)]) -> http::request::Parts {
        let mut request = Request::get(uri).body(()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        request.into_parts().0
    }

    #[test]
    fn the_authority_is_the_host_and_cookies_are_one() {
        let mut request = parts("http://a:1/x?y", &[("cookie", "a=1"), ("cookie", "b=2")]);
        of_http2(&mut request).unwrap();
        assert_eq!(
            (request.uri.to_string().as_str(), &request.headers["host"]),
            ("/x?y", &HeaderValue::from_static("a:1"))
        );
        assert_eq!(request.headers["cookie"], "a=1; b=2");
    }

    #[test]
    fn two_hosts_are_refused() {
        assert!(of_http2(&mut parts("http://a/", &[("host", "b")])).is_err());
        assert!(of_http2(&mut parts("/", &[])).is_err());
        assert!(of_http2(&mut parts("/", &[("host", "a")])).is_ok());
        assert!(of_http2(&mut parts("http://u@a/", &[])).is_err());
    }

    #[test]
    fn what_http_1_refuses_in_a_target_is_refused_here_too() {
        for target in ["/a/..\\b", "/\u{e4}", "/?\u{e4}"] {
            let target = http::uri::PathAndQuery::from_maybe_shared(bytes::Bytes::from(target)).unwrap();
            let mut request = parts("/", &[("host", "a")]);
            request.uri = target.clone().into();
            assert!(of_http2(&mut request).is_err(), "{target}");
        }
    }
}
