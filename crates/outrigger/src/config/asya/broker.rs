//! The broker of an Asya pod: its URL, or the parts of one; its exchange and prefetch.

use std::{fs, path::Path};

use chassis::config::{Overlay, Sources};

use super::{Environment, TRANSPORT, set};

/// Whether a variable is one of the broker's.
pub(super) fn reads(name: &str) -> bool {
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    [EXCHANGE, PREFETCH, HOST, PORT].contains(&name) || [URL, USERNAME, PASSWORD].contains(&plain)
}

/// Lays what the environment says of the broker over the sources.
pub(super) fn lay(mut sources: Sources, environment: &Environment) -> Sources {
    let transport = set(environment, TRANSPORT).unwrap_or("rabbitmq");
    let chosen = ["OUTRIGGER_QUEUE", "OUTRIGGER__QUEUE", "OUTRIGGER_QUEUE_FILE"];
    if chosen.iter().all(|name| set(environment, name).is_none()) {
        if transport != "rabbitmq" {
            let help = "it has `rabbitmq`: set that, or name another queue in OUTRIGGER_QUEUE";
            return sources.with_trouble(TRANSPORT, format!("this build has no transport `{transport}`"), help);
        }
        sources = url(sources, environment);
    }
    for (variable, key) in [(EXCHANGE, "rabbitmq.exchange"), (PREFETCH, "rabbitmq.prefetch")] {
        if let Some(value) = set(environment, variable) {
            sources = sources.with_overlay(Overlay::fixed(variable, key, value));
        }
    }
    sources
        .with_overlay(Overlay::fallback(EXCHANGE, "rabbitmq.exchange", "asya"))
        .with_overlay(Overlay::fallback(TRANSPORT, "rabbitmq.queues", "use"))
}

fn url(sources: Sources, environment: &Environment) -> Sources {
    let [url, username, password] = match [URL, USERNAME, PASSWORD].map(|name| secret(environment, name)) {
        [Ok(url), Ok(username), Ok(password)] => [url, username, password],
        secrets => {
            let wrong = secrets.into_iter().filter_map(Result::err);
            return wrong.fold(sources, |sources, (variable, message, help)| {
                sources.with_trouble(&variable, message, help)
            });
        }
    };
    if let Some((variable, url)) = url {
        return sources.with_overlay(Overlay::fixed(variable, "queue", url));
    }
    let host = set(environment, HOST);
    // Kubernetes gives a variable of this name to whoever runs beside a service that is called so.
    let port = set(environment, PORT).filter(|port| !port.contains("://"));
    if let Some(port) = port.filter(|port| port.parse::<u16>().is_err()) {
        return sources.with_trouble(PORT, format!("`{port}` is no port"), "write a number, as in 5672");
    }
    let named = [
        (HOST.to_owned(), host.is_some()),
        (PORT.to_owned(), port.is_some()),
        (variable(username.as_ref(), USERNAME), username.is_some()),
        (variable(password.as_ref(), PASSWORD), password.is_some()),
    ];
    let host = match host.unwrap_or("localhost") {
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        host => host.to_owned(),
    };
    let user = encoded(username.as_ref().map_or("guest", |(_, text)| text));
    let password = encoded(password.as_ref().map_or("guest", |(_, text)| text));
    let url = format!("amqp://{user}:{password}@{host}:{}/", port.unwrap_or("5672"));
    match named.into_iter().find(|(_, is_set)| *is_set) {
        Some((variable, _)) => sources.with_overlay(Overlay::fixed(variable, "queue", url)),
        None => sources.with_overlay(Overlay::fallback(URL, "queue", url)),
    }
}

/// A variable and its text.
type Said = (String, String);

/// A variable, what is wrong with it, and the cure.
type Wrong = (String, String, &'static str);

/// The text of a variable, or of the file that its `_FILE` form names.
fn secret(environment: &Environment, name: &str) -> Result<Option<Said>, Wrong> {
    let by_file = format!("{name}_FILE");
    match (set(environment, name), set(environment, &by_file)) {
        (Some(_), Some(_)) => Err((
            by_file.clone(),
            format!("both {name} and {by_file} are set"),
            "keep one of them",
        )),
        (Some(text), None) => Ok(Some((name.to_owned(), text.to_owned()))),
        (None, Some(file)) => match fs::read_to_string(Path::new(file)) {
            Ok(text) => {
                let text = text
                    .strip_suffix('\n')
                    .map_or(text.as_str(), |text| text.trim_end_matches('\r'));
                Ok(Some((by_file, text.to_owned())))
            }
            Err(error) => Err((
                by_file,
                format!("cannot read {file}: {error}"),
                "name a readable text file that holds the value",
            )),
        },
        (None, None) => Ok(None),
    }
}

fn variable(said: Option<&Said>, name: &str) -> String {
    said.map_or_else(|| name.to_owned(), |(variable, _)| variable.clone())
}

/// A text as the part of a URL that it is to be.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes all that is written");
        }
    }
    encoded
}

const URL: &str = "ASYA_RABBITMQ_URL";
const HOST: &str = "ASYA_RABBITMQ_HOST";
const PORT: &str = "ASYA_RABBITMQ_PORT";
const USERNAME: &str = "ASYA_RABBITMQ_USERNAME";
const PASSWORD: &str = "ASYA_RABBITMQ_PASSWORD";
const EXCHANGE: &str = "ASYA_RABBITMQ_EXCHANGE";
const PREFETCH: &str = "ASYA_RABBITMQ_PREFETCH";
