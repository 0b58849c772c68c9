//! The rules that a schema cannot tell.

use std::collections::{BTreeMap, HashSet};

use chassis::config::{Findings, Formats, Path};

use super::{Address, Calls, Cors, Dialect, FunctionConfig, StreamInput};
use crate::functions::{Path as Route, Schema, kebab};

impl Calls {
    /// Adds what is wrong or odd; the paths that are named begin with this section's own keys.
    pub fn check(&self, findings: &mut Findings) {
        self.check_addresses(findings);
        if let Some(cors) = &self.cors {
            findings.within("cors", |findings| self::cors(cors, findings));
        }
        self.check_auth(findings);
        if self.body_limit.is_empty() {
            let help = "write a size, or leave it out for `10MiB`";
            findings.error("body_limit", "no call has a body of 0 bytes", help);
        }
        for (index, function) in self.functions.declared() {
            let path = Path::from("functions").index(index);
            findings.within(path, |findings| self::function(function, findings));
        }
        self.check_names(findings);
        self.check_routes(findings);
    }

    /// Whether there is such a function, `name` or `package/name`; what handlers say of themselves is not known, and then any name may
    /// be right.
    pub fn may_have(&self, function: &str) -> bool {
        self.functions.declared().any(|(_, declared)| {
            let Some(name) = &declared.name else { return true };
            name == function || function.split_once('/') == Some((declared.package(), name))
        })
    }

    /// The packages that have a function of this name, where it names none itself.
    fn packages_of(&self, function: &str) -> Vec<&str> {
        let declared = self.functions.declared();
        let same = declared.filter(|(_, declared)| declared.name.as_deref() == Some(function));
        same.map(|(_, declared)| declared.package()).collect()
    }

    fn check_routes(&self, findings: &mut Findings) {
        for (name, upstream) in &self.upstreams {
            findings.within(["upstreams", name], |findings| upstream.check(findings));
            if !self.routes.iter().any(|route| route.upstream.as_ref() == Some(name)) {
                let help = format!("add `{{ prefix: /{name}, upstream: {name} }}` to `routes`");
                findings.warning(["upstreams", name], format!("no route leads to `{name}`"), help);
            }
        }
        let mut seen = HashSet::new();
        for (index, route) in self.routes.iter().enumerate() {
            findings.within(Path::from("routes").index(index), |findings| {
                route.check(self.upstreams.keys().map(String::as_str), findings);
                if let Some(function) = route.function.as_ref().filter(|function| !self.may_have(function)) {
                    let help = "declare it below `calls.functions`";
                    findings.error("function", format!("there is no function `{function}`"), help);
                }
                if let Some(function) = &route.function
                    && let [package, _, ..] = self.packages_of(function)[..]
                {
                    let help = format!("name one of them, as in `{package}/{function}`");
                    findings.error("function", format!("`{function}` is in several packages"), help);
                }
                if !seen.insert((&route.path, &route.prefix, &route.host, &route.methods)) {
                    let help = "remove one of them, or give them other hosts or methods";
                    findings.warning("", "an earlier route is for the same requests", help);
                }
            });
        }
    }

    fn check_addresses(&self, findings: &mut Findings) {
        let has_token = self.auth.as_ref().is_some_and(super::Auth::has_token);
        let has_authority = self.auth.as_ref().is_some_and(|auth| auth.client_ca.is_some());
        for (index, address) in self.listen.iter().enumerate() {
            let path = || Path::from("listen").index(index);
            let is_encrypted = address.is_encrypted();
            if is_encrypted && self.tls.is_none() {
                let help = "add `tls: { cert: cert.pem, key: key.pem }`";
                findings.error(path(), format!("`{address}` has no certificate"), help);
            }
            if has_authority && !has_token && !is_encrypted && !matches!(address, Address::Ipc(_)) {
                let message =
                    format!("nobody could call at `{address}`: certificates are asked for, and it has no TLS");
                findings.error(path(), message, "add a `token` too, or listen with `https://` alone");
            }
            let asks = has_token || (is_encrypted && has_authority);
            if !address.is_local() && !asks && !self.allow_public {
                let message = format!("others could call functions at `{address}` without a word");
                let help = "add `auth: { token_file: PATH }` or `allow_public: true`, or listen on 127.0.0.1";
                findings.error(path(), message, help);
            }
        }
    }

    fn check_auth(&self, findings: &mut Findings) {
        let Some(auth) = &self.auth else { return };
        if auth.token.as_ref().is_some_and(|token| token.expose().is_empty()) {
            let help = "set the variable that it is read from, or name a file in `token_file`";
            findings.error("auth.token", "the token is empty", help);
        }
        if auth.token.is_some() && auth.token_file.is_some() {
            let message = "`token` and `token_file` say the same thing twice";
            findings.error("auth.token_file", message, "keep one of them");
        }
        if !auth.has_token() && auth.client_ca.is_none() {
            findings.error(
                "auth",
                "nothing is asked for",
                "add `token`, `token_file` or `client_ca`",
            );
        }
        let is_encrypted = |address: &Address| address.is_encrypted();
        if auth.client_ca.is_some() && !self.listen.iter().any(is_encrypted) {
            let message = "certificates of callers are seen on `https://` addresses alone, and there is none";
            findings.error("auth.client_ca", message, "listen on one, or use `token`");
        }
    }

    /// Names and paths that stand twice.
    fn check_names(&self, findings: &mut Findings) {
        let mut full = HashSet::new();
        let mut routes: BTreeMap<String, String> = BTreeMap::new();
        for (index, function) in self.functions.declared() {
            let path = |key: &str| Path::from("functions").index(index).join(key);
            let Some(name) = &function.name else { continue };
            let whole = format!("{}/{name}", function.package());
            if !full.insert(whole.clone()) {
                let help = "give one of them another `name` or `package`";
                findings.error(path("name"), format!("there are two functions `{whole}`"), help);
                continue;
            }
            let own = match &function.route {
                Some(route) => route.clone(),
                None => format!("/{}/{}", kebab(function.package()), kebab(name)),
            };
            if let Some(other) = routes.insert(own.clone(), whole.clone()) {
                let message = format!("`{whole}` and `{other}` have the same path, `{own}`");
                findings.error(path("name"), message, "give one of them a `route`");
            }
            let path_of = function.route.clone().unwrap_or_else(|| format!("/{}", kebab(name)));
            if Route::own(&path_of).is_some() {
                let message =
                    format!("`{path_of}` is a path of the server itself: `{whole}` is called by `/invoke` alone");
                findings.warning(path("name"), message, "give it a `route`");
            }
        }
    }
}

fn cors(cors: &Cors, findings: &mut Findings) {
    if cors.credentials && cors.origins.iter().any(|origin| origin == "*") {
        let message = "browsers take no credentials to a server that lets every origin in";
        findings.error("credentials", message, "name the origins, or leave `credentials` out");
    }
    for (index, origin) in cors.origins.iter().enumerate() {
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        if origin != "*" && (host.is_empty() || host.contains('/')) {
            let message = format!("`{origin}` is no origin");
            let help = "write it as browsers do, as in `https://app.example.org`, without a path";
            findings.error(Path::from("origins").index(index), message, help);
        }
    }
}

fn function(function: &FunctionConfig, findings: &mut Findings) {
    let handler = &function.handler;
    let named = [
        ("socket", handler.socket.is_some()),
        ("http", handler.http.is_some()),
        ("actor", handler.actor.is_some()),
    ];
    let named: Vec<&str> = named.iter().filter_map(|(key, set)| set.then_some(*key)).collect();
    match named.as_slice() {
        [_] => {}
        [] => {
            let help = "write `socket: PATH`, `http: URL`, or `actor: NAME` for an actor of this file";
            findings.error("handler", "the function has no handler", help);
        }
        several => {
            let message = format!("the function has several handlers: `{}`", several.join("`, `"));
            findings.error("handler", message, "keep one of them");
        }
    }
    if handler.dialect.is_some() && handler.socket.is_none() {
        let help = "leave it out: a dialect is what is spoken on a `socket`";
        findings.error("handler.dialect", "the dialect has no socket", help);
    }
    if function.name.is_none() {
        if handler.http.is_some() || handler.dialect == Some(Dialect::Plain) {
            let message = "this handler says no hello, so nobody knows what its functions are called";
            findings.error("name", message, "add the `name` of the function");
        }
        for (key, set) in [
            ("args", function.args.is_some()),
            ("result", function.result.is_some()),
            ("route", function.route.is_some()),
        ] {
            if set {
                let message = format!("`{key}` is of one function, and which it is is not said");
                findings.error(key, message, "add its `name`");
            }
        }
    }
    if function.input == Some(StreamInput::Stream) {
        if handler.http.is_none() {
            findings.error(
                "input",
                "only an HTTP handler takes a stream",
                "give the function `handler: { http: URL }`",
            );
        }
        if function.args.is_some() {
            let help = "leave `args` or `input` out";
            findings.error("args", "what streams through is not checked", help);
        }
    }
    if handler.actor.is_some() && function.args.as_ref().is_some_and(|args| args.len() != 1) {
        let help = "declare the one parameter, as in `args: [{ name: payload, schema: { type: object } }]`";
        findings.error("args", "an actor takes one argument, its payload", help);
    }
    for (index, parameter) in function.args.iter().flatten().enumerate() {
        if let Err(why) = Schema::new(&parameter.schema) {
            let message = format!("the schema of `{}` is no JSON Schema: {why}", parameter.name);
            let path = Path::from("args").index(index).join("schema");
            findings.error(path, message, "write a JSON Schema, as in `{ type: object }`");
        }
    }
    if let Some(Err(why)) = function.result.as_ref().map(Schema::new) {
        let message = format!("the schema of the result is no JSON Schema: {why}");
        findings.error("result", message, "write a JSON Schema, as in `{ type: object }`");
    }
}

/// Adds the string formats that the plane's schema names.
pub(super) fn formats(formats: &mut Formats) {
    formats.add("calls-address", |address| {
        address.parse::<Address>().map(drop).map_err(|error| error.to_string())
    });
}
