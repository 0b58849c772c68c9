//! The rules that a schema cannot tell.

use std::collections::HashSet;

use chassis::config::{ByteSize, Findings, Formats, Path, list, nearest};
use hyper::Uri;
use serde_json::Value;

use super::{Auth, Backend, Destination, File, Kind, OtlpListener, Rule, Signals, Storage, SyslogListener, Tcp};
use crate::{
    backends::{self, Template},
    routing::{Decision, Routes},
};

impl Signals {
    /// Adds what is wrong or odd; the paths that are named begin with this section's own keys.
    pub fn check(&self, findings: &mut Findings) {
        if let Some(tcp) = &self.tcp {
            findings.within("tcp", |findings| listener(tcp, findings));
        }
        if let Some(syslog) = &self.syslog {
            findings.within("syslog", |findings| self::syslog(syslog, findings));
        }
        if let Some(otlp) = &self.otlp {
            findings.within("otlp", |findings| self::otlp(otlp, findings));
        }
        for (name, backend) in &self.backends {
            findings.within(["backends", name], |findings| self::backend(backend, findings));
        }
        let mut has_priority = self.backends.values().any(|backend| backend.has_priority);
        for (source, rules) in &self.routing {
            for (index, rule) in rules.iter().enumerate() {
                let path = Path::from(["routing", source]).index(index);
                findings.within(path, |findings| self.rule(rule, findings));
                has_priority |= rule.priority.is_some();
            }
        }
        if has_priority {
            let help = "leave it where it is: all rules that match fire, in any order";
            findings.warning("routing", "`priority` means nothing here", help);
        }
        let least = self.backends.len().div_ceil(BACKENDS_PER_MIB);
        if usize::try_from(self.max_memory_mb).is_ok_and(|memory| memory < least) {
            let message = format!(
                "max_memory_mb {} is too little for {} backends",
                self.max_memory_mb,
                self.backends.len()
            );
            findings.error("max_memory_mb", message, format!("write {least} or more"));
        }
        if !findings.has_errors() {
            self.cases(findings);
        }
    }

    fn rule(&self, rule: &Rule, findings: &mut Findings) {
        let Some(backend) = self.backends.get(&rule.backend) else {
            let names = || self.backends.keys().map(String::as_str);
            let help = match nearest(&rule.backend, names()) {
                Some(name) => format!("did you mean `{name}`? There are {}", list(names())),
                None if self.backends.is_empty() => format!(
                    "declare it below `backends`, as in `{}: {{ type: file }}`",
                    rule.backend
                ),
                None => format!("use {}, or declare it below `backends`", list(names())),
            };
            findings.error("backend", format!("there is no backend `{}`", rule.backend), help);
            return;
        };
        if !backend.enabled && rule.enabled {
            let message = format!("backend `{}` is disabled, the rule does nothing", rule.backend);
            findings.warning(
                "backend",
                message,
                "enable the backend, or set `enabled: false` on the rule",
            );
        }
        if !rule.config.is_empty() {
            match backend.with(&rule.config) {
                Ok(own) => findings.within("config", |findings| self::backend(&own, findings)),
                Err(error) => {
                    let message = format!("these settings do not fit backend `{}`: {error}", rule.backend);
                    findings.error("config", message, "write settings that the backend's type has");
                }
            }
        }
        for (key, members) in [("ctx", &rule.filter.ctx), ("tags", &rule.filter.tags)] {
            for (name, value) in members {
                if matches!(value, Value::Array(_) | Value::Object(_)) {
                    let message = format!("`{name}` is compared with a text, a number, a truth value or null");
                    findings.error(["filter", key, name], message, "write one value");
                }
            }
        }
    }

    /// The routing tests.
    fn cases(&self, findings: &mut Findings) {
        let routes = Routes::named(self);
        for (index, case) in self.tests.iter().enumerate() {
            findings.within(Path::from(["tests"]).index(index), |findings| {
                let strangers = case.reach.iter().filter(|name| !self.backends.contains_key(*name));
                for name in strangers {
                    let message = format!("test `{}`: there is no backend `{name}`", case.name);
                    findings.error("reach", message, "name backends as `backends` has them");
                }
                for (number, line) in case.lines.iter().enumerate() {
                    let text = match line {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    if let Err(message) = tried(&routes, &text, &case.reach) {
                        let path = Path::from(["lines"]).index(number);
                        findings.error(
                            path,
                            format!("test `{}`: {message}", case.name),
                            "mend the routing, or the test",
                        );
                    }
                }
            });
        }
    }
}

/// Whether a line reaches just these backends.
fn tried(routes: &Routes<String>, line: &str, wanted: &[String]) -> Result<(), String> {
    let decision = routes.try_line(line.as_bytes());
    let (reached, why) = match decision {
        Decision::Reaches(reached) => (reached, String::new()),
        Decision::Dropped(reason) => (Vec::new(), format!(" ({reason})")),
    };
    let of = |names: &[String]| -> HashSet<String> { names.iter().cloned().collect() };
    if of(&reached) == of(wanted) {
        return Ok(());
    }
    let shown = |names: &[String]| {
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            quoted.join(", ")
        }
    };
    Err(format!(
        "the line reaches {}{why} and not {}",
        shown(&reached),
        shown(wanted)
    ))
}

fn listener(tcp: &Tcp, findings: &mut Findings) {
    if let Some(Auth::SharedSecret { secret }) = &tcp.auth
        && secret.expose().is_empty()
    {
        let help = "set the variable that it is read from, or write it in a file and name that in `..._FILE`";
        findings.error("auth.secret", "the secret is empty", help);
    }
    if tcp.auth.is_none() && !is_loopback(&tcp.host) {
        let message = format!("others could send to `{}` without a word", tcp.host);
        let help = "add `auth: {type: shared_secret, secret: ${MONITORING_SECRET}}`, or listen on 127.0.0.1";
        findings.error("host", message, help);
    }
}

fn syslog(syslog: &SyslogListener, findings: &mut Findings) {
    if syslog.tcp.is_none() && syslog.udp.is_none() {
        let help = "write `tcp: \"127.0.0.1:1514\"`, `udp: \"127.0.0.1:1514\"` or both";
        findings.error("", "syslog is taken nowhere", help);
    }
    for (key, address) in [("tcp", &syslog.tcp), ("udp", &syslog.udp)] {
        if let Some(address) = address.as_deref().filter(|address| !is_loopback(host(address)))
            && !syslog.allow_public
        {
            let message = format!("others could send to `{address}` without a word, as syslog has no secret");
            findings.error(key, message, "add `allow_public: true`, or listen on 127.0.0.1");
        }
    }
}

fn otlp(otlp: &OtlpListener, findings: &mut Findings) {
    if otlp.token.as_ref().is_some_and(|token| token.expose().is_empty()) {
        let help = "set the variable that it is read from, or write it in a file and name that in `..._FILE`";
        findings.error("token", "the token is empty", help);
    }
    if otlp.token.is_none() && !otlp.allow_public && !is_loopback(host(&otlp.listen)) {
        let message = format!("others could send to `{}` without a word", otlp.listen);
        let help = "add `token: ${OTLP_TOKEN}` or `allow_public: true`, or listen on 127.0.0.1";
        findings.error("listen", message, help);
    }
    if otlp.max_body.is_empty() || otlp.max_inflated < otlp.max_body {
        let message = format!("max_inflated {} is below max_body {}", otlp.max_inflated, otlp.max_body);
        findings.error(
            "max_inflated",
            message,
            "make it at least as large as `max_body`, and neither of them 0",
        );
    }
}

/// The host of `HOST:PORT`.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

/// Whether only this machine reaches an address.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn backend(backend: &Backend, findings: &mut Findings) {
    if let Storage::Disk { max_bytes } = backend.settings.buffer
        && max_bytes < LEAST_DISK
    {
        let message = format!("max_bytes {max_bytes} is too little for a buffer on disk");
        findings.error("buffer.max_bytes", message, format!("write {LEAST_DISK} or more"));
    }
    match &backend.kind {
        Kind::File(file) => self::file(file, findings),
        Kind::S3(s3) => {
            if let Err(error) = s3.prefix.parse::<Template>() {
                findings.error("prefix", error.to_string(), "use `{source}`, `{type}` and `{date}`");
            }
            if s3.access_key_id.is_some() != s3.secret_access_key.is_some() {
                let message = "access_key_id and secret_access_key go together";
                findings.error(
                    "access_key_id",
                    message,
                    "write both, or none for those of the environment",
                );
            }
        }
        Kind::Elasticsearch(elasticsearch) => {
            if let Err(error) = backends::check_index(&elasticsearch.index) {
                findings.error("index", error, "write it as in `signals-{source}-{date}`");
            }
        }
        _ => {}
    }
}

fn file(file: &File, findings: &mut Findings) {
    if let Some(path) = &file.path {
        if let Err(error) = path.parse::<Template>() {
            findings.error("path", error.to_string(), "use `{source}`, `{type}` and `{date}`");
        }
        if file.base_path != File::default().base_path {
            findings.warning("base_path", "base_path has no effect beside `path`", "keep one of them");
        }
    }
}

/// Adds the string formats that the schema names.
pub(crate) fn formats(formats: &mut Formats) {
    formats.add("http-url", |url| {
        let uri: Uri = url.parse().map_err(|error| format!("it is no URL: {error}"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(()),
            _ => Err("an address is `http://HOST[:PORT]/PATH` or `https://...`".to_owned()),
        }
    });
    formats.add("syslog-address", |address| address.parse::<Destination>().map(drop));
    formats.add("time-zone", |name| super::senders::zone(name).map(drop));
    formats.add("sql-table", |text| {
        if is_table(text) {
            return Ok(());
        }
        Err("a table is `NAME` or `SCHEMA.NAME`, of letters, digits and `_`".to_owned())
    });
}

/// Whether a text is the name of a table, with or without its schema.
fn is_table(text: &str) -> bool {
    let is_name = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !name.is_empty() && name.len() <= 63 && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(fits)
    };
    text.split('.').count() <= 2 && text.split('.').all(is_name)
}

/// So many backends share a MiB, so that each of them has room for the longest line.
const BACKENDS_PER_MIB: usize = 4;
/// The least that a buffer on disk may have.
const LEAST_DISK: ByteSize = ByteSize::mib(1);
