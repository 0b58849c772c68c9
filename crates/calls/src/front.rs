//! Whose request it is, and who may ask: functions and upstreams behind one door.
//!
//! ```text
//! request -> a route that names the path -> the server's own paths -> functions -> the route with the longest prefix -> 404
//! ```
//!
//! The one rule: what goes to an upstream was let in like any call, and our own token does not go with it. Pages in browsers are told
//! nothing of upstreams: an `OPTIONS` for one is passed on like everything else.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, Method, Request, Response, header, uri::PathAndQuery};
use tracing::error;

use crate::{
    Body, Service,
    config::Route,
    functions::CallError,
    http::{Refusal, asks_before, turn_away},
    listen::{Handle, Peer},
    proxy::{Passage, Proxy},
    routes::{Found, Match, Routes, resolved},
};

/// What every listener for HTTP hands its requests to; a cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    service: Service,
    routes: Routes,
    /// Where each route leads, in their order.
    ends: Vec<End>,
}

/// Where a route leads.
#[derive(Debug)]
enum End {
    Function(String),
    Upstream(Passage),
    /// Its upstream is not there.
    Nowhere,
}

/// Whose request it is.
#[derive(Debug)]
enum Way<'a> {
    /// The server's own paths and functions have it, or nobody.
    Service(Cow<'a, str>),
    Function(&'a str),
    Upstream(&'a Passage, Match<'a>),
    Nowhere,
    /// One side would take its path for another than the other does.
    Ambiguous,
    /// Its path has routes for these methods alone.
    Method(Vec<Method>),
}

impl Front {
    /// The routes of a configuration, which were checked.
    pub(crate) fn new(service: Service, routes: &[Route], proxy: &Proxy) -> Self {
        let ends = routes.iter().map(|route| End::new(route, Some(proxy))).collect();
        let shared = Shared {
            service,
            routes: Routes::new(routes),
            ends,
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Handle for Front {
    async fn handle(&self, mut request: Request<Body>, peer: Peer) -> Response<Body> {
        let Shared { service, .. } = &*self.shared;
        request.extensions_mut().insert(peer);
        let uri = request.uri().clone();
        match self.shared.way(request.method(), request.headers(), uri.path()) {
            Way::Service(path) => {
                if path != uri.path() {
                    lead_to(&path, &mut request);
                }
                service.answer(request).await
            }
            Way::Function(function) => service.answer_with(function, request).await,
            Way::Upstream(passage, route) => {
                let entry = service.access_log().begin(&request);
                let access = service.access();
                if !access.admits(request.headers(), Some(&peer)) {
                    return entry.follow(turn_away(&request));
                }
                access.keep_token(request.headers_mut());
                entry.follow(passage.call(request, &peer, &route.target(&uri)).await)
            }
            Way::Nowhere => {
                let what = format!("nothing has the path `{}`", uri.path());
                service.refuse(request, CallError::NotFound { what }.into()).await
            }
            Way::Ambiguous => {
                let why = format!("`{}` is another path once its dots are resolved", uri.path());
                service.refuse(request, CallError::BadRequest { why }.into()).await
            }
            Way::Method(allowed) => {
                let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
                let allow = allowed.join(", ").into();
                service.refuse(request, Refusal::Method { allow }).await
            }
        }
    }
}

impl Shared {
    fn way<'a>(&'a self, method: &Method, headers: &HeaderMap, path: &'a str) -> Way<'a> {
        let serves = |path: &str| self.service.serves(path);
        way((&self.routes, &self.ends), serves, (method, headers, path))
    }
}

impl End {
    fn new(route: &Route, proxy: Option<&Proxy>) -> Self {
        if let Some(function) = &route.function {
            return Self::Function(function.clone());
        }
        let passage = route.upstream.as_ref().and_then(|upstream| {
            let path = route.path.as_ref().or(route.prefix.as_ref())?;
            let label = format!("{}{path}", route.host.as_deref().unwrap_or_default());
            proxy?.passage(&label, upstream)
        });
        passage.map_or(Self::Nowhere, Self::Upstream)
    }

    fn way<'a>(&'a self, route: Match<'a>) -> Way<'a> {
        match self {
            Self::Function(function) => Way::Function(function),
            Self::Upstream(passage) => Way::Upstream(passage, route),
            Self::Nowhere => Way::Nowhere,
        }
    }
}

/// Whose request it is. Pure.
fn way<'a>(
    (routes, ends): (&'a Routes, &'a [End]),
    serves: impl Fn(&str) -> bool,
    (method, headers, path): (&Method, &HeaderMap, &'a str),
) -> Way<'a> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let found = routes.find(method, host, path);
    if let Found::Route(route) = &found
        && route.names_path
    {
        return ends[route.index].way(*route);
    }
    let as_matched = resolved(path);
    if serves(&as_matched) {
        return Way::Service(as_matched);
    }
    match found {
        Found::Route(route) => ends[route.index].way(route),
        Found::Refused => Way::Ambiguous,
        Found::Method { allowed } => {
            // A browser that asks before it calls a function asks for another method.
            let wanted = asks_before(method, headers).map(|wanted| routes.find(&wanted, host, path));
            match wanted {
                Some(Found::Route(route)) if matches!(ends[route.index], End::Function(_)) => {
                    ends[route.index].way(route)
                }
                _ => Way::Method(allowed),
            }
        }
        Found::Nothing => Way::Service(path.into()),
    }
}

/// The same request for the path as it was matched; the query stays.
fn lead_to(path: &str, request: &mut Request<Body>) {
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    match PathAndQuery::try_from(target) {
        Ok(target) => *request.uri_mut() = target.into(),
        Err(why) => error!(path, error = %why, "a path that was resolved is none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, is_exact: bool, function: &str) -> Route {
        let path = Some(path.to_owned());
        let (path, prefix) = if is_exact { (path, None) } else { (None, path) };
        Route {
            path,
            prefix,
            function: Some(function.to_owned()),
            ..Route::default()
        }
    }

    /// The way of a request where `/health` and `/sum` are served.
    fn told(routes: &[Route], method: &str, headers: &[(&'static str, &'static str)], path: &str) -> String {
        let table = Routes::new(routes);
        let ends: Vec<End> = routes.iter().map(|route| End::new(route, None)).collect();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let serves = |path: &str| ["/health", "/sum"].contains(&path);
        match way((&table, &ends), serves, (&method.parse().unwrap(), &headers, path)) {
            Way::Service(path) => format!("service {path}"),
            Way::Function(function) => format!("function {function}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_route_that_names_the_path_is_first_and_a_prefix_last() {
        let routes = [
            route("/health", true, "exact"),
            route("/", false, "all"),
            route("/sum", false, "below"),
        ];
        for (path, wanted) in [
            ("/health", "function exact"),
            ("/x/%2e./health", "function exact"),
            ("/sum", "service /sum"),
            ("/a/../sum", "service /sum"),
            ("/sum/x", "function below"),
            ("/other", "function all"),
            ("*", "service *"),
        ] {
            assert_eq!(told(&routes, "GET", &[], path), wanted, "{path}");
        }
        assert_eq!(told(&routes[..1], "GET", &[], "/other"), "service /other");
        assert_eq!(told(&[], "GET", &[], "/health"), "service /health");
    }

    #[test]
    fn a_path_that_only_looks_as_if_it_had_a_route_is_refused() {
        let routes = [route("/good", false, "f")];
        assert_eq!(told(&routes, "GET", &[], "/good/../x"), "Ambiguous");
        assert_eq!(told(&routes, "GET", &[], "/good/../sum"), "service /sum");
    }

    #[test]
    fn a_method_that_no_route_takes_is_told_those_that_there_are() {
        let routes = [Route {
            methods: Some(vec!["POST".to_owned()]),
            ..route("/x", true, "f")
        }];
        assert_eq!(told(&routes, "POST", &[], "/x"), "function f");
        assert_eq!(told(&routes, "GET", &[], "/x"), "Method([POST])");
        assert_eq!(told(&routes, "OPTIONS", &[], "/x"), "Method([POST])");
        let asks = [("origin", "https://a"), ("access-control-request-method", "POST")];
        assert_eq!(told(&routes, "OPTIONS", &asks, "/x"), "function f");
    }
}
