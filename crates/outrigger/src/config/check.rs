//! The rules that a schema cannot tell.
//!
//! Only what the configuration alone shows is checked here; what the machine has is for [`survey`](super::survey).

use std::net::SocketAddr;

use chassis::{
    config::{Config, Duration, Findings, Formats, Path, nearest},
    telemetry::logs,
};
use handlers::HttpAddress;
use messages::{ActorConfig, Ends};
use queues::TRANSPORTS;
use wire::{ReplyStyle, valid_actor};

use super::Root;

impl Config for Root {
    fn check(&self, findings: &mut Findings) {
        findings.within("ends", |findings| ends(&self.ends, findings));
        for (name, config) in &self.actors {
            findings.within(["actors", name], |findings| actor(name, config, findings));
        }
        self.check_calls(findings);
        self.check_signals(findings);
    }

    fn formats(formats: &mut Formats) {
        formats.add("queue-url", queue_url);
        formats.add("listen-address", listen_address);
        formats.add("handler-address", |address| {
            address
                .parse::<HttpAddress>()
                .map(drop)
                .map_err(|error| error.to_string())
        });
        calls::formats(formats);
        signals::formats(formats);
        formats.add("log-level", |level| {
            logs::check(level).map_err(|error| error.to_string())
        });
    }
}

impl Root {
    fn check_calls(&self, findings: &mut Findings) {
        let declared = || self.calls.iter().flat_map(|calls| calls.functions.declared());
        if let Some(calls) = &self.calls {
            findings.within("calls", |findings| calls.check(findings));
        }
        for (index, function) in declared() {
            let Some(actor) = &function.handler.actor else { continue };
            let path = Path::from(["calls", "functions"])
                .index(index)
                .join(["handler", "actor"]);
            match self.actors.get(actor) {
                None => {
                    let help = match nearest(actor, self.actors.keys().map(String::as_str)) {
                        Some(name) => format!("did you mean `{name}`?"),
                        None => "declare it below `actors`".to_owned(),
                    };
                    findings.error(path, format!("there is no actor `{actor}`"), help);
                }
                Some(config) if config.handler.function.is_some() => {
                    let message = format!("actor `{actor}` is a function itself");
                    findings.error(path, message, "give the function the handler that does the work");
                }
                Some(_) => {}
            }
        }
        for (name, config) in &self.actors {
            let Some(function) = &config.handler.function else {
                continue;
            };
            if !self.calls.as_ref().is_some_and(|calls| calls.may_have(function)) {
                let help =
                    "declare it below `calls.functions`, as in `{ name: clean, handler: { socket: clean.sock } }`";
                findings.error(
                    ["actors", name, "handler", "function"],
                    format!("there is no function `{function}`"),
                    help,
                );
            }
        }
    }

    fn check_signals(&self, findings: &mut Findings) {
        if let Some(sidecar) = &self.sidecar {
            findings.within("sidecar", |findings| sidecar.check(findings));
        }
        let Some(signals) = self.signals() else { return };
        if self.signals.is_some() && self.has_older_signals() {
            let older = [
                ("sidecar", self.sidecar.is_some()),
                ("routing", !self.routing.is_empty()),
                ("backends", !self.backends.is_empty()),
            ];
            for (key, _) in older.iter().filter(|(_, set)| *set) {
                let message = format!("`{key}` at the top and `signals` say the same thing twice");
                findings.error(*key, message, format!("move it below `signals`, as `signals.{key}`"));
            }
        }
        if self.signals.is_some() {
            findings.within("signals", |findings| signals.check(findings));
        } else {
            // The listener stands below `sidecar` there, the rest at the top.
            let (listeners, rest) = signals.halves();
            findings.within("sidecar", |findings| listeners.check(findings));
            rest.check(findings);
        }
    }
}

fn ends(ends: &Ends, findings: &mut Findings) {
    if ends.happy_name() == ends.error_name() {
        let at = if ends.error.name.is_some() {
            "error.name"
        } else {
            "happy.name"
        };
        let message = format!("both ends are called `{}`", ends.happy_name());
        findings.error(at, message, "give each end a queue of its own");
    }
    for (key, end) in [("happy", &ends.happy), ("error", &ends.error)] {
        if let Some(name) = end.name.as_deref().filter(|name| !valid_actor(name)) {
            let message = format!("`{name}` is no name for a queue");
            findings.error(
                [key, "name"],
                message,
                "use letters, digits, `_` and `-`, at most 63, a letter or digit first",
            );
        }
        if end.keep.is_some_and(Duration::is_zero) && !end.discard {
            let help = "write `discard: true` to keep nothing, or a duration such as `7d`";
            findings.error(
                [key, "keep"],
                "an end that keeps messages for no time loses them all",
                help,
            );
        }
        if end.max == Some(0) && !end.discard {
            let help = "write `discard: true` to keep nothing, or leave `max` out to keep all";
            findings.error([key, "max"], "an end that keeps no message loses them all", help);
        }
    }
}

fn actor(name: &str, config: &ActorConfig, findings: &mut Findings) {
    handler(name, config, findings);
    if config.replicas > config.concurrency {
        let message = format!(
            "concurrency {} is raised to the {} replicas",
            config.concurrency, config.replicas
        );
        let help = format!(
            "write `concurrency: {}` or more: each process works on at least one message",
            config.replicas
        );
        findings.warning("concurrency", message, help);
    }
    if let Some(idle) = config.idle_timeout
        && !config.timeout.is_zero()
        && idle > config.timeout
    {
        let message = format!(
            "idle_timeout {idle} is never reached: the timeout is {}",
            config.timeout
        );
        findings.warning(
            "idle_timeout",
            message,
            "make it shorter than the timeout, or leave it out",
        );
    }
    if config.max_frame.bytes() == 0 || config.max_frame.bytes() > LARGEST_FRAME {
        let message = format!("max_frame {} is not a size that a frame can have", config.max_frame);
        findings.error("max_frame", message, "use 1 byte to 2 GiB less 1 byte, as in `256MiB`");
    }
    if let Some(retry) = config.retry
        && retry.max_backoff < retry.backoff
    {
        let message = format!("max_backoff {} is below backoff {}", retry.max_backoff, retry.backoff);
        findings.error("retry.max_backoff", message, "make it at least as long as `backoff`");
    }
}

fn handler(name: &str, config: &ActorConfig, findings: &mut Findings) {
    let handler = &config.handler;
    let named: Vec<&str> = [
        ("run", handler.run.is_some()),
        ("socket", handler.socket.is_some()),
        ("http", handler.http.is_some()),
        ("function", handler.function.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, is_there)| is_there.then_some(key))
    .collect();
    match named.as_slice() {
        ["run"] => command(handler.run.as_deref().unwrap_or_default(), findings),
        ["socket"] if handler.socket.as_ref().is_some_and(|path| path.as_os_str().is_empty()) => {
            findings.error(
                "handler.socket",
                "the path of the socket is empty",
                "name the handler's Unix socket",
            );
        }
        ["socket" | "http" | "function"] => {}
        [] => {
            let help = format!(
                "write `run: \"python3 -m outrigger handler.py:process\"` to have it started, or `socket: PATH` (or \
                 OUTRIGGER_SOCKET with OUTRIGGER_ACTOR={name}) or `http: URL` for a process that is already there"
            );
            findings.error("handler", format!("actor `{name}` has no handler"), help);
        }
        several => {
            let quoted: Vec<String> = several.iter().map(|key| format!("`{key}`")).collect();
            let (last, first) = quoted.split_last().expect("several are not none");
            let message = format!(
                "actor `{name}` has {} handlers: {} and {last}",
                ["two", "three", "four"][several.len() - 2],
                first.join(", ")
            );
            let help = "keep `run` to have the handler started, or `socket` or `http` where somebody else starts it";
            findings.error("handler", message, help);
        }
    }
    if handler.dialect.is_some() && handler.function.is_some() {
        let help = "leave it out: how a function is reached is said below `calls`";
        findings.error("handler.dialect", "a function has no dialect here", help);
    }
    if handler.dialect.is_some() && handler.http.is_some() {
        let help = "leave it out: a dialect is what is spoken on the socket of `run` or `socket`";
        findings.error("handler.dialect", "HTTP is the only dialect of `http`", help);
    }
    if handler.is_foreign() && !handler.env.is_empty() {
        let help = "set them where that process is started";
        findings.warning(
            "handler.env",
            "variables have no effect on a process that somebody else starts",
            help,
        );
    }
    for variable in handler.env.keys() {
        if variable.is_empty() || variable.contains(['=', '\0']) {
            let message = format!("`{variable}` is no name for a variable");
            findings.error(["handler", "env", variable], message, "use a name without `=`");
        }
    }
    let is_asya = handler.dialect().generation().is_some();
    if is_asya && config.reply != ReplyStyle::Auto {
        let help = "leave it out: a runtime of Asya answers with frames, which are told from data";
        findings.warning("reply", "how replies are read has no effect on a runtime of Asya", help);
    }
}

fn command(run: &str, findings: &mut Findings) {
    match shlex::split(run) {
        None => {
            findings.error(
                "handler.run",
                "the command does not split into words",
                "close its quotes, as a shell wants it",
            );
        }
        Some(words) if words.first().is_none_or(String::is_empty) => {
            findings.error(
                "handler.run",
                "the command is empty",
                "name a program, as in `python3 handler.py`",
            );
        }
        Some(_) => {}
    }
}

/// Checks a queue's URL without opening anything.
fn queue_url(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        "memory" if rest.is_empty() => Ok(()),
        "memory" => Err("nothing follows `memory:`".to_owned()),
        "sqlite" if cfg!(feature = "sqlite") && !rest.split('?').next().unwrap_or_default().is_empty() => Ok(()),
        "sqlite" if cfg!(feature = "sqlite") => {
            Err("a file has to follow, as in `sqlite:.outrigger/queue.db`".to_owned())
        }
        #[cfg(feature = "rabbitmq")]
        "amqp" | "amqps" => queues::rabbitmq::check_url(url),
        #[cfg(not(feature = "rabbitmq"))]
        "amqp" | "amqps" => Err(format!("this build has no `{scheme}:`, only {TRANSPORTS}")),
        "nats" | "redis" | "sqs" => Err(format!("this build has no `{scheme}:`, only {TRANSPORTS}")),
        _ => Err(format!("it has to begin with {TRANSPORTS}")),
    }
}

/// Checks an address without resolving it.
fn listen_address(address: &str) -> Result<(), String> {
    if address.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    let named = address.rsplit_once(':').is_some_and(|(host, port)| {
        let host_fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        !host.is_empty() && host.chars().all(host_fits) && port.parse::<u16>().is_ok()
    });
    if named {
        Ok(())
    } else {
        Err("an address is `host:port`, as in `127.0.0.1:17001` or `[::1]:17001`".to_owned())
    }
}

/// Bit 31 of a frame's length marks control frames.
const LARGEST_FRAME: u64 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use chassis::config::{self, Colour, Sources};
    use insta::assert_snapshot;

    use super::*;

    fn findings(text: &str) -> String {
        let loaded = config::load::<Root>(&Sources::default().with_text("outrigger.yaml", text));
        let lines = match &loaded {
            Ok(loaded) => loaded.warnings.findings(),
            Err(error) => error.findings(),
        };
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_empty_file_is_a_configuration() {
        let loaded = config::load::<Root>(&Sources::default().with_text("outrigger.yaml", "")).unwrap();
        assert_eq!(loaded.value, Root::default());
        assert_eq!(loaded.warnings.render(Colour::Off), "");
    }

    #[test]
    fn a_handler_is_a_command_or_a_socket() {
        assert_snapshot!(findings(
            "actors:\n  a:\n    handler: {}\n  b:\n    handler: { run: x, socket: y }\n  c:\n    handler: { run: \"x 'y\" }\n  d:\n    handler: { run: \"\" }\n"
        ), @r#"
    outrigger.yaml:3:5: error: actor `a` has no handler; write `run: "python3 -m outrigger handler.py:process"` to have it started, or `socket: PATH` (or OUTRIGGER_SOCKET with OUTRIGGER_ACTOR=a) or `http: URL` for a process that is already there
    outrigger.yaml:5:5: error: actor `b` has two handlers: `run` and `socket`; keep `run` to have the handler started, or `socket` or `http` where somebody else starts it
    outrigger.yaml:7:21: error: the command does not split into words; close its quotes, as a shell wants it
    outrigger.yaml:9:21: error: the command is empty; name a program, as in `python3 handler.py`
    "#);
    }

    #[test]
    fn every_other_rule_names_its_line() {
        assert_snapshot!(findings(
            "ends: { happy: { name: x, keep: 0 }, error: { name: x } }\nactors:\n  a:\n    handler: { socket: s, env: { A: b } }\n    replicas: 3\n    concurrency: 2\n    timeout: 1s\n    idle_timeout: 2s\n    retry: { backoff: 9s, max_backoff: 1s }\n    max_frame: 3GiB\n"
        ), @r"
        outrigger.yaml:1:33: error: an end that keeps messages for no time loses them all; write `discard: true` to keep nothing, or a duration such as `7d`
        outrigger.yaml:1:53: error: both ends are called `x`; give each end a queue of its own
        outrigger.yaml:4:27: warning: variables have no effect on a process that somebody else starts; set them where that process is started
        outrigger.yaml:6:18: warning: concurrency 2 is raised to the 3 replicas; write `concurrency: 3` or more: each process works on at least one message
        outrigger.yaml:8:19: warning: idle_timeout 2s is never reached: the timeout is 1s; make it shorter than the timeout, or leave it out
        outrigger.yaml:9:40: error: max_backoff 1s is below backoff 9s; make it at least as long as `backoff`
        outrigger.yaml:10:16: error: max_frame 3GiB is not a size that a frame can have; use 1 byte to 2 GiB less 1 byte, as in `256MiB`
        ");
    }

    #[test]
    fn texts_have_their_forms() {
        assert_snapshot!(findings(
            "queue: nats://u:secret@h\nprefix: a b\nadmin: { listen: everywhere }\nlog: { level: \"queues=loud\" }\nactors: { _a: { handler: { socket: s } } }\n"
        ), @r"
        outrigger.yaml:1:8: error: `queue`: this build has no `nats:`, only `sqlite:PATH`, `amqp://HOST`, `amqps://HOST` or `memory:`; write `sqlite:PATH` or `amqp://HOST`, or leave it out for `sqlite:.outrigger/queue.db`
        outrigger.yaml:2:9: error: `prefix` has to match `^[A-Za-z0-9._:-]{0,64}$`, and this is `a b`; use letters, digits, `.`, `_`, `:` and `-`, at most 64
        outrigger.yaml:3:18: error: `listen`: an address is `host:port`, as in `127.0.0.1:17001` or `[::1]:17001`
        outrigger.yaml:4:15: error: `level`: log level `queues=loud` is not a level (error, warn, info, debug, trace, off) or a list like `info,queues=debug`; without the key it is `info`
        outrigger.yaml:5:11: error: key `_a` has to match `^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`; use letters, digits, `_` and `-`, at most 63, a letter or digit first
        ");
    }

    #[test]
    fn addresses_and_urls_that_are_right_pass() {
        for address in ["127.0.0.1:0", "[::1]:17001", "localhost:17001", "0.0.0.0:1"] {
            assert_eq!(listen_address(address), Ok(()), "{address}");
        }
        for address in ["", "17001", ":17001", "localhost", "localhost:99999", "a b:1"] {
            assert!(listen_address(address).is_err(), "{address}");
        }
        for url in ["memory:", "sqlite:a.db", "sqlite:/a/b.db?durability=process"] {
            assert_eq!(queue_url(url), Ok(()), "{url}");
        }
        for url in ["", "a.db", "sqlite:", "sqlite:?x=1", "memory:x", "http://x"] {
            assert!(queue_url(url).is_err(), "{url}");
        }
    }
}
