//! The table of routes.

use std::cmp::Reverse;

use http::{Method, Uri, uri::PathAndQuery};

use super::path::{has_dots, is_ambiguous, is_below, resolved};
use crate::config::Route;

/// The routes, the most specific one first.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    entries: Vec<Entry>,
}

/// What a request met in the table.
#[derive(Debug)]
pub enum Found<'a> {
    /// A route.
    Route(Match<'a>),
    /// Only the path as it was received has a route, or its upstream may resolve it otherwise: 400.
    Refused,
    /// The path has routes, for other methods: 405, with these in `Allow`.
    Method {
        /// Those that it has routes for.
        allowed: Vec<Method>,
    },
    /// No route: 404.
    Nothing,
}

/// A route that was found.
#[derive(Debug, Clone, Copy)]
pub struct Match<'a> {
    /// Its place in the configuration.
    pub index: usize,
    /// Whether it names this very path, and so comes before the server's own paths and functions.
    pub names_path: bool,
    entry: &'a Entry,
}

#[derive(Debug, Clone)]
struct Entry {
    index: usize,
    /// Resolved; a prefix has no slash at its end.
    path: String,
    is_exact: bool,
    host: Option<String>,
    /// All where it is empty.
    methods: Vec<Method>,
    rewrite: Option<String>,
}

impl Routes {
    /// The table of these routes, which were checked.
    pub fn new(routes: &[Route]) -> Self {
        let mut entries: Vec<Entry> = routes
            .iter()
            .enumerate()
            .map(|(index, route)| Entry::new(index, route))
            .collect();
        entries.sort_by_key(|entry| {
            let is_open = (entry.host.is_none(), entry.methods.is_empty());
            (Reverse(entry.is_exact), Reverse(entry.path.len()), is_open, entry.index)
        });
        Self { entries }
    }

    /// Whose request it is; `host` as the header has it, `path` without the query, as it was received.
    pub fn find(&self, method: &Method, host: Option<&str>, path: &str) -> Found<'_> {
        let as_matched = resolved(path);
        let mut allowed = Vec::new();
        for entry in self.at(&as_matched, host) {
            if is_ambiguous(path) {
                return Found::Refused;
            }
            if entry.takes(method) {
                return Found::Route(Match {
                    index: entry.index,
                    names_path: entry.is_exact,
                    entry,
                });
            }
            allowed.extend(
                entry
                    .allowed()
                    .filter(|method| !allowed.contains(method))
                    .collect::<Vec<_>>(),
            );
        }
        if !allowed.is_empty() {
            return Found::Method { allowed };
        }
        if as_matched != path && self.at(path, host).next().is_some() {
            return Found::Refused;
        }
        Found::Nothing
    }

    fn at<'a, 'b>(&'a self, path: &'b str, host: Option<&'b str>) -> impl Iterator<Item = &'a Entry> + use<'a, 'b> {
        self.entries
            .iter()
            .filter(move |entry| entry.is_at(path) && entry.is_of(host))
    }
}

impl Match<'_> {
    /// The target to forward: as it was received, or what `rewrite` makes of it. The query is kept.
    ///
    /// What was rewritten is the path as it was matched, so that no dot segment leads out of it.
    pub fn target(&self, received: &Uri) -> PathAndQuery {
        let whole = received.path_and_query().cloned();
        let whole = whole.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let Some(rewrite) = &self.entry.rewrite else {
            return whole;
        };
        let raw = whole.path();
        // Nothing was resolved: what is kept is kept as it was received.
        let path = if has_dots(raw) || !self.entry.is_at(raw) {
            resolved(raw)
        } else {
            raw.into()
        };
        let rest = if self.entry.is_exact {
            ""
        } else {
            path.get(self.entry.path.len()..).unwrap_or_default()
        };
        let mut target = rewrite.trim_end_matches('/').to_owned();
        if self.entry.is_exact {
            target.clone_from(rewrite);
        } else if rest.is_empty() && target.is_empty() {
            target.push('/');
        }
        target.push_str(rest);
        if let Some(query) = whole.query() {
            target.push('?');
            target.push_str(query);
        }
        target.try_into().unwrap_or(whole)
    }
}

impl Entry {
    fn new(index: usize, route: &Route) -> Self {
        let is_exact = route.path.is_some();
        let written = route.path.as_deref().or(route.prefix.as_deref()).unwrap_or_default();
        let path = resolved(written);
        let path = if is_exact { &path } else { path.trim_end_matches('/') };
        let methods = route.methods.iter().flatten();
        Self {
            index,
            path: path.to_owned(),
            is_exact,
            host: route.host.as_ref().map(|host| host.to_ascii_lowercase()),
            methods: methods.filter_map(|method| method.parse().ok()).collect(),
            rewrite: route.rewrite.clone(),
        }
    }

    fn is_at(&self, path: &str) -> bool {
        if self.is_exact {
            self.path == path
        } else {
            path.starts_with('/') && is_below(path, &self.path)
        }
    }

    /// A route without a port in its host takes every port.
    fn is_of(&self, host: Option<&str>) -> bool {
        let Some(wanted) = &self.host else {
            return true;
        };
        let host = host.unwrap_or_default();
        let name = without_port(host);
        // A name with its root's dot is the same name.
        [host, name, name.strip_suffix('.').unwrap_or(name)]
            .iter()
            .any(|host| wanted.eq_ignore_ascii_case(host))
    }

    /// HEAD works where GET does.
    fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    fn allowed(&self) -> impl Iterator<Item = Method> {
        let head = Some(Method::HEAD).filter(|head| self.takes(head) && !self.methods.contains(head));
        self.methods.iter().cloned().chain(head)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(path: &str) -> Route {
        Route {
            path: Some(path.into()),
            ..Route::default()
        }
    }

    fn prefix(path: &str) -> Route {
        Route {
            prefix: Some(path.into()),
            ..Route::default()
        }
    }

    fn index(routes: &Routes, method: &Method, host: &str, path: &str) -> Option<usize> {
        match routes.find(method, Some(host), path) {
            Found::Route(found) => Some(found.index),
            _ => None,
        }
    }

    #[test]
    fn exact_beats_prefix_and_the_longest_prefix_wins() {
        let routes = Routes::new(&[prefix("/"), prefix("/a"), prefix("/a/b"), exact("/a/b/c"), exact("/a")]);
        let found = |path| index(&routes, &Method::GET, "h", path);
        assert_eq!(found("/x"), Some(0));
        assert_eq!(found("/a"), Some(4));
        assert_eq!(found("/a/"), Some(1));
        assert_eq!(found("/ab"), Some(0), "a prefix ends at a segment");
        assert_eq!(found("/a/b"), Some(2));
        assert_eq!(found("/a/b/c"), Some(3));
        assert_eq!(found("/a/b/c/d"), Some(2));
        assert_eq!(found("*"), None);
    }

    #[test]
    fn of_equal_paths_the_one_with_a_host_or_methods_comes_first() {
        let posts = Route {
            methods: Some(vec!["POST".into()]),
            ..prefix("/a")
        };
        let hosted = Route {
            host: Some("Example.org".into()),
            ..prefix("/a")
        };
        let routes = Routes::new(&[prefix("/a"), posts, hosted]);
        assert_eq!(index(&routes, &Method::GET, "other", "/a"), Some(0));
        assert_eq!(index(&routes, &Method::POST, "other", "/a"), Some(1));
        assert_eq!(index(&routes, &Method::POST, "example.ORG:8080", "/a"), Some(2));
        assert_eq!(index(&routes, &Method::GET, "example.org.:8080", "/a"), Some(2));
        assert_eq!(index(&routes, &Method::GET, "[::1]:80", "/a"), Some(0));
    }

    #[test]
    fn other_methods_are_told_which_there_are() {
        let gets = Route {
            methods: Some(vec!["GET".into(), "POST".into()]),
            ..exact("/a")
        };
        let routes = Routes::new(&[gets]);
        assert_eq!(index(&routes, &Method::HEAD, "h", "/a"), Some(0));
        let Found::Method { allowed } = routes.find(&Method::PUT, None, "/a") else {
            panic!("PUT is not among them");
        };
        assert_eq!(allowed, [Method::GET, Method::POST, Method::HEAD]);
    }

    #[test]
    fn a_path_is_matched_as_it_resolves_and_refused_where_only_the_raw_one_matches() {
        let routes = Routes::new(&[prefix("/good"), exact("/x")]);
        assert_eq!(index(&routes, &Method::GET, "h", "/good/../x"), Some(1));
        assert_eq!(index(&routes, &Method::GET, "h", "/y/%2e%2e/good/z"), Some(0));
        assert!(matches!(
            routes.find(&Method::GET, None, "/good/%2e%2E/y"),
            Found::Refused
        ));
        assert!(matches!(routes.find(&Method::GET, None, "/y"), Found::Nothing));
        assert!(matches!(routes.find(&Method::GET, None, "/good//../y"), Found::Refused));
    }

    #[test]
    fn a_target_is_kept_unless_it_is_rewritten() {
        let rewritten = |route: Route, uri: &str| {
            let routes = Routes::new(&[route]);
            let uri: Uri = uri.parse().unwrap();
            let Found::Route(found) = routes.find(&Method::GET, None, uri.path()) else {
                panic!("it is found");
            };
            found.target(&uri).to_string()
        };
        let to = |route: Route, rewrite: &str| Route {
            rewrite: Some(rewrite.into()),
            ..route
        };
        assert_eq!(rewritten(prefix("/api"), "/api/./x?y=/../"), "/api/./x?y=/../");
        assert_eq!(rewritten(to(prefix("/api"), "/"), "/api/x?y"), "/x?y");
        assert_eq!(rewritten(to(prefix("/api"), "/"), "/api"), "/");
        assert_eq!(rewritten(to(prefix("/api"), "/v1"), "/api?y"), "/v1?y");
        assert_eq!(rewritten(to(prefix("/api"), "/v1/"), "/api/a%2fb"), "/v1/a%2fb");
        assert_eq!(rewritten(to(prefix("/"), "/v1"), "/x"), "/v1/x");
        assert_eq!(rewritten(to(prefix("/api"), "/v1"), "/y/../api/x/../z"), "/v1/z");
        assert_eq!(rewritten(to(exact("/a"), "/b/"), "/a?y"), "/b/?y");
        let again = rewritten(to(prefix("/api"), "/v1"), "/api/./%%32e%%32e/x");
        assert_eq!(again, "/v1/%252e%252e/x", "decoded once more it is no dot");
        for path in [
            "/api/%2e%2e/%2E%2e/api/x",
            "/api/.%2e/api/x",
            "/api/%2e/x",
            "/api/../api/x",
        ] {
            assert_eq!(rewritten(to(prefix("/api"), "/v1"), path), "/v1/x", "{path}");
        }
    }
}
