//! Routes: which requests go to which function or upstream.

use chassis::config::{Findings, list, nearest};
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A route. Exact paths come before prefixes, longer prefixes before shorter ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// The one path that it is for, beginning with `/`; or `prefix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The paths that it is for begin with these whole segments: `/api` takes `/api` and `/api/x`, not `/apix`. Or `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The host that a request names, with a port or for every port. Default any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The methods that it is for; `HEAD` goes with `GET`. Default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// The function that answers, `NAME` or `PACKAGE/NAME`; or `upstream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The upstream that answers, one of `calls.upstreams`; or `function`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What the upstream gets in place of `path` or `prefix`: with prefix `/api` and rewrite `/`, `/api/x` goes there as `/x`.
    /// Default: the target as it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<String>,
}

impl Route {
    /// Adds what is wrong; `upstreams` are the names that there are.
    pub fn check<'a>(&self, upstreams: impl Iterator<Item = &'a str> + Clone, findings: &mut Findings) {
        match (&self.path, &self.prefix) {
            (Some(_), Some(_)) => {
                findings.error("prefix", "the route has both `path` and `prefix`", "keep one of them");
            }
            (None, None) => findings.error("", "the route has no path", "write `path: /x` or `prefix: /x`"),
            (Some(path), None) => check_path("path", path, findings),
            (None, Some(prefix)) => check_path("prefix", prefix, findings),
        }
        if let Some(rewrite) = &self.rewrite {
            check_path("rewrite", rewrite, findings);
            if self.upstream.is_none() {
                let help = "remove it: a function does not see the path";
                findings.error("rewrite", "only what goes to an upstream is rewritten", help);
            }
        }
        match (&self.function, &self.upstream) {
            (Some(_), Some(_)) => {
                findings.error(
                    "upstream",
                    "the route has both `function` and `upstream`",
                    "keep one of them",
                );
            }
            (None, None) => {
                findings.error(
                    "",
                    "the route leads nowhere",
                    "write `function: NAME` or `upstream: NAME`",
                );
            }
            (None, Some(name)) if !upstreams.clone().any(|known| known == name) => {
                let help = match nearest(name, upstreams.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if upstreams.clone().next().is_none() => "declare it below `calls.upstreams`".to_owned(),
                    None => format!("use {}, or declare it below `calls.upstreams`", list(upstreams)),
                };
                findings.error("upstream", format!("there is no upstream `{name}`"), help);
            }
            _ => {}
        }
        self.check_methods(findings);
    }

    fn check_methods(&self, findings: &mut Findings) {
        let Some(methods) = &self.methods else {
            return;
        };
        if methods.is_empty() {
            findings.error(
                "methods",
                "the route is for no method",
                "remove `methods` for all of them",
            );
        }
        for method in methods {
            let is_sound = method.parse::<Method>().is_ok() && *method == method.to_ascii_uppercase();
            if !is_sound || ["CONNECT", "TRACE"].contains(&method.as_str()) {
                let message = format!("`{method}` is no method that is passed on");
                findings.error(
                    "methods",
                    message,
                    "write methods as in `[GET, POST]`; CONNECT and TRACE are refused",
                );
            }
        }
    }
}

fn check_path(key: &'static str, path: &str, findings: &mut Findings) {
    if !path.starts_with('/') {
        let help = format!("write `/{path}`");
        findings.error(key, format!("`{path}` does not begin with `/`"), help);
    } else if path.contains(['?', '#']) || path.parse::<http::uri::PathAndQuery>().is_err() {
        let help = "percent-encode what is no letter, digit or `-._~`; a query is not matched";
        findings.error(key, format!("`{path}` is no path"), help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_sound(json: &str) -> bool {
        let route: Route = serde_json::from_str(json).expect(json);
        let mut findings = Findings::default();
        route.check(["api"].into_iter(), &mut findings);
        !findings.has_errors()
    }

    #[test]
    fn a_route_has_one_path_and_leads_to_one_place() {
        for json in [
            r#"{"path": "/x", "function": "f"}"#,
            r#"{"prefix": "/x", "upstream": "api", "rewrite": "/", "methods": ["GET"], "host": "a"}"#,
            r#"{"prefix": "/", "upstream": "api"}"#,
        ] {
            assert!(is_sound(json), "{json}");
        }
        for json in [
            r#"{"upstream": "api"}"#,
            r#"{"path": "/x"}"#,
            r#"{"path": "/x", "prefix": "/x", "upstream": "api"}"#,
            r#"{"path": "/x", "function": "f", "upstream": "api"}"#,
            r#"{"path": "x", "upstream": "api"}"#,
            r#"{"path": "/x?y", "upstream": "api"}"#,
            r#"{"path": "/a b", "upstream": "api"}"#,
            r#"{"path": "/x", "upstream": "apo"}"#,
            r#"{"path": "/x", "function": "f", "rewrite": "/"}"#,
            r#"{"path": "/x", "upstream": "api", "methods": []}"#,
            r#"{"path": "/x", "upstream": "api", "methods": ["get"]}"#,
            r#"{"path": "/x", "upstream": "api", "methods": ["TRACE"]}"#,
        ] {
            assert!(!is_sound(json), "{json}");
        }
    }
}
