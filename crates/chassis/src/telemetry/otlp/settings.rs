//! The `OTEL_*` variables, as the OpenTelemetry specification has them.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use hyper::{
    HeaderMap,
    http::{HeaderName, HeaderValue},
};

use super::{endpoint::Endpoint, variables::Variables};
use crate::telemetry::traces::Sampler;

/// What the environment wants of traces.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Settings {
    pub(in crate::telemetry) sampler: Sampler,
    /// `None`: nothing is exported.
    pub(in crate::telemetry) export: Option<Export>,
}

/// Where spans go, and how.
#[derive(Debug)]
pub(in crate::telemetry) struct Export {
    pub(super) endpoint: Endpoint,
    pub(super) headers: HeaderMap,
    /// For one request, with its answer.
    pub(super) timeout: Duration,
    /// The authorities that a collector's certificate may come from; the system's where it is not set.
    pub(super) certificate: Option<PathBuf>,
    /// What all spans have in common.
    pub(super) resource: Vec<(String, String)>,
    pub(super) batch: Batch,
}

/// How spans are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// Spans that may wait. Default 2048.
    pub(super) waiting: usize,
    /// Spans in one request. Default 512.
    pub(super) size: usize,
    /// How long a span waits for others. Default 5 s.
    pub(super) delay: Duration,
    /// How long one batch is tried. Default 30 s.
    pub(super) patience: Duration,
}

impl Settings {
    /// Reads the environment; the second half is what the user has to know about it.
    pub(in crate::telemetry) fn read(environment: &BTreeMap<String, String>) -> (Self, Vec<String>) {
        let mut variables = Variables::new(environment);
        if variables.is_true("OTEL_SDK_DISABLED") {
            return (Self::default(), Vec::new());
        }
        let settings = Self {
            sampler: sampler(&mut variables),
            export: export(&mut variables),
        };
        (settings, variables.into_notes())
    }
}

fn sampler(variables: &mut Variables<'_>) -> Sampler {
    let Some(name) = variables.text("OTEL_TRACES_SAMPLER") else {
        return Sampler::default();
    };
    match Sampler::new(name, variables.text("OTEL_TRACES_SAMPLER_ARG")) {
        Ok(sampler) => sampler,
        Err(error) => {
            variables.note(format!("OTEL_TRACES_SAMPLER is passed over: {error}"));
            Sampler::default()
        }
    }
}

fn export(variables: &mut Variables<'_>) -> Option<Export> {
    let (name, url) = variables.first(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])?;
    match variables.text("OTEL_TRACES_EXPORTER") {
        None | Some("otlp") => {}
        Some("none") => return None,
        Some(other) => {
            variables.note(format!(
                "OTEL_TRACES_EXPORTER is `{other}`, spans are not exported: use `otlp`, or unset it"
            ));
            return None;
        }
    }
    let protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    if let Some((name, protocol)) = variables.first(&protocols)
        && protocol != PROTOCOL
    {
        variables.note(format!(
            "{name} is `{protocol}`, which is not spoken here; spans are sent as {PROTOCOL}: \
             the endpoint has to be the collector's for that, usually on port 4318"
        ));
    }
    let compressions = [
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
    ];
    if let Some((name, compression)) = variables.first(&compressions)
        && compression != "none"
    {
        variables.note(format!("{name} is `{compression}`: spans are sent uncompressed"));
    }
    let endpoint = if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
        Endpoint::below(url, TRACES)
    } else {
        url.parse()
    };
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(error) => {
            variables.note(format!("{name} is of no use, spans are not exported: {error}"));
            return None;
        }
    };
    Some(Export {
        endpoint,
        headers: headers(variables),
        timeout: millis(
            variables,
            &["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
            10_000,
        ),
        certificate: variables
            .first(&[
                "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
            ])
            .map(|(_, path)| path.into()),
        resource: resource(variables),
        batch: batch(variables),
    })
}

/// Those for traces over those for all signals.
fn headers(variables: &mut Variables<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        for (key, value) in variables.pairs(name) {
            match (HeaderName::try_from(key.as_str()), HeaderValue::try_from(value)) {
                (Ok(key), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(key, value);
                }
                // The value may be a secret.
                _ => variables.note(format!(
                    "{name} has `{key}`, which cannot be sent as a header: left out"
                )),
            }
        }
    }
    headers
}

/// What the process is, with the user's own words over ours.
fn resource(variables: &mut Variables<'_>) -> Vec<(String, String)> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut own = |name: &str, value: String| known.insert(name.to_owned(), value);
    own("service.name", "outrigger".to_owned());
    own("service.version", VERSION.to_owned());
    own("service.instance.id", wire::fresh_id());
    own("process.pid", std::process::id().to_string());
    own("os.type", std::env::consts::OS.to_owned());
    own("telemetry.sdk.name", "outrigger".to_owned());
    own("telemetry.sdk.language", "rust".to_owned());
    own("telemetry.sdk.version", VERSION.to_owned());
    if let Ok(host) = fs::read_to_string("/proc/sys/kernel/hostname") {
        own("host.name", host.trim().to_owned());
    }
    known.extend(variables.pairs("OTEL_RESOURCE_ATTRIBUTES"));
    if let Some(name) = variables.text("OTEL_SERVICE_NAME") {
        known.insert("service.name".to_owned(), name.to_owned());
    }
    known.into_iter().collect()
}

fn batch(variables: &mut Variables<'_>) -> Batch {
    let waiting = variables
        .number(&["OTEL_BSP_MAX_QUEUE_SIZE"], 2048_usize)
        .clamp(1, MOST);
    Batch {
        waiting,
        size: variables
            .number(&["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], 512_usize)
            .clamp(1, waiting),
        delay: millis(variables, &["OTEL_BSP_SCHEDULE_DELAY"], 5_000),
        patience: millis(variables, &["OTEL_BSP_EXPORT_TIMEOUT"], 30_000),
    }
}

fn millis(variables: &mut Variables<'_>, names: &[&str], default: u64) -> Duration {
    Duration::from_millis(variables.number(names, default))
}

/// The one protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";
/// Behind the base of all signals.
const TRACES: &str = "/v1/traces";
/// All crates of the product have one version.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// More spans do not wait, whatever is asked for.
const MOST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Settings::read(&environment)
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");

    fn exported(more: &[(&str, &str)]) -> (Export, Vec<String>) {
        let (settings, notes) = read(&[&[BASE], more].concat());
        (settings.export.expect("exported"), notes)
    }

    fn attribute<'e>(export: &'e Export, name: &str) -> Option<&'e str> {
        let found = export.resource.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn nothing_is_exported_where_no_endpoint_is_set_or_the_whole_is_switched_off() {
        assert!(read(&[]).0.export.is_none());
        for off in [("OTEL_SDK_DISABLED", "True"), ("OTEL_TRACES_EXPORTER", "none")] {
            let (settings, notes) = read(&[BASE, off]);
            assert!(settings.export.is_none() && notes.is_empty(), "{off:?}: {notes:?}");
        }
        let blank = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]);
        assert!(blank.0.export.is_none() && blank.1.is_empty());
    }

    #[test]
    fn what_is_said_of_traces_is_stronger_than_what_is_said_of_all_signals() {
        let (export, notes) = exported(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other:1/mine"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=all,x=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", " api-key = a%20b%2C "),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "7"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"),
        ]);
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(export.endpoint.to_string(), "http://other:1/mine");
        assert_eq!(
            (&export.headers["api-key"], &export.headers["x"]),
            (&"a b,".parse().unwrap(), &"1".parse().unwrap())
        );
        assert_eq!(export.timeout, Duration::from_millis(2500));
        assert_eq!(exported(&[]).0.endpoint.to_string(), "http://localhost:4318/v1/traces");
    }

    #[test]
    fn the_service_is_named_by_its_variable_then_by_the_attributes_then_by_us() {
        let attributes = (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=a,team=b%3Dc,service.version=9",
        );
        let (export, _) = exported(&[attributes, ("OTEL_SERVICE_NAME", "mine")]);
        assert_eq!(attribute(&export, "service.name"), Some("mine"));
        assert_eq!(
            (attribute(&export, "team"), attribute(&export, "service.version")),
            (Some("b=c"), Some("9"))
        );
        assert_eq!(attribute(&exported(&[attributes]).0, "service.name"), Some("a"));
        let (export, _) = exported(&[]);
        assert_eq!(attribute(&export, "service.name"), Some("outrigger"));
        assert!(attribute(&export, "host.name").is_some_and(|host| !host.is_empty()));
    }

    #[test]
    fn batches_are_as_large_and_as_late_as_the_variables_say() {
        let (export, _) = exported(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "20"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ]);
        let expected = Batch {
            waiting: 10,
            size: 10,
            delay: Duration::from_millis(50),
            patience: Duration::from_secs(30),
        };
        assert_eq!(export.batch, expected);
    }

    #[test]
    fn what_cannot_be_obeyed_is_said_by_its_name_and_its_secrets_are_not() {
        for (name, value, said) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "4318"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "`soon`"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "uncompressed"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "key=value"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=secret", "`a b`"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz", "percent"),
            ("OTEL_TRACES_SAMPLER", "sometimes", "`sometimes`"),
        ] {
            let (_, notes) = exported(&[(name, value)]);
            let [note] = &*notes else {
                panic!("{name}={value}: {notes:?}")
            };
            assert!(note.contains(name) && note.contains(said), "{note}");
            assert!(!note.contains("secret"), "{note}");
        }
        let (settings, notes) = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")]);
        assert!(
            settings.export.is_none() && notes[0].contains("http://localhost:4318"),
            "{notes:?}"
        );
    }
}
