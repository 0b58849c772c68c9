//! Which pages in browsers may read what functions answer. Pure.

use http::{
    Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
    },
};

use crate::{Body, config::Cors};

/// Which pages may read answers.
#[derive(Debug, Clone)]
pub(crate) struct CrossOrigin {
    rules: Cors,
}

impl CrossOrigin {
    pub(crate) fn new(rules: &Cors) -> Self {
        Self { rules: rules.clone() }
    }

    /// The answer to a browser that asks what it may send; `None` where the request is none of that kind.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        asks_before(method, headers)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        if self.mark(headers, answer) {
            answer.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD, POST"),
            );
            if let Some(wanted) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
            answer.insert(ACCESS_CONTROL_MAX_AGE, self.rules.max_age.get().as_secs().into());
        }
        for name in [ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS] {
            answer.append(VARY, name.into());
        }
        Some(response)
    }

    /// Says in an answer whether the page that asked may read it; true where it may.
    pub(crate) fn mark(&self, asked: &HeaderMap, answer: &mut HeaderMap) -> bool {
        answer.append(VARY, ORIGIN.into());
        let Some(origin) = asked.get(ORIGIN) else { return false };
        let every = self.rules.origins.iter().any(|allowed| allowed == "*");
        let is_named = self
            .rules
            .origins
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes());
        if !every && !is_named {
            return false;
        }
        let shown = if every && !self.rules.credentials {
            HeaderValue::from_static("*")
        } else {
            origin.clone()
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, shown);
        if self.rules.credentials {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        let exposed = HeaderValue::from_static("X-Forst-Contract-Version");
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        true
    }
}

/// The method that a browser asks for before it uses it; `None` where the request is none of that kind.
pub(crate) fn asks_before(method: &Method, headers: &HeaderMap) -> Option<Method> {
    let wanted = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let asks = *method == Method::OPTIONS && headers.contains_key(ORIGIN);
    asks.then(|| Method::from_bytes(wanted.as_bytes()).ok())?
}

#[cfg(test)]
mod tests {
    use chassis::config::Duration;
    use http::header::HeaderName;

    use super::*;

    fn rules(origins: &[&str], credentials: bool) -> CrossOrigin {
        CrossOrigin::new(&Cors {
            origins: origins.iter().map(ToString::to_string).collect(),
            credentials,
            max_age: Duration::from_secs(600),
        })
    }

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_page_of_a_named_origin_may_read() {
        let rules = rules(&["https://a.example"], true);
        let mut answer = HeaderMap::new();
        assert!(rules.mark(&headers(&[(ORIGIN, "https://a.example")]), &mut answer));
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.example");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(answer[ACCESS_CONTROL_EXPOSE_HEADERS], "X-Forst-Contract-Version");
        let mut other = HeaderMap::new();
        assert!(!rules.mark(&headers(&[(ORIGIN, "https://a.example.evil")]), &mut other));
        assert_eq!(other.len(), 1, "{other:?}");
        assert_eq!(other[VARY], "origin");
    }

    #[test]
    fn a_preflight_is_an_options_with_its_two_headers() {
        let rules = rules(&["*"], false);
        let asks = [
            (ORIGIN, "https://b"),
            (ACCESS_CONTROL_REQUEST_METHOD, "POST"),
            (ACCESS_CONTROL_REQUEST_HEADERS, "x-y"),
        ];
        let answer = rules.preflight(&Method::OPTIONS, &headers(&asks)).unwrap();
        assert_eq!(answer.status(), 204);
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "x-y");
        assert_eq!(answer.headers()[ACCESS_CONTROL_MAX_AGE], "600");
        assert!(rules.preflight(&Method::OPTIONS, &headers(&asks[..1])).is_none());
        assert!(rules.preflight(&Method::POST, &headers(&asks)).is_none());
    }
}
