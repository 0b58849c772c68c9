//! The one registry of metrics, and its two spellings.
//!
//! Every name begins with `sidecar_`. The registry writes `OpenMetrics`; [`Exposition::Prometheus`] is the older text
//! format, in which a counter's own name ends in `_total` and exemplars do not exist.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::text,
    registry::{Metric, Registry, Unit},
};

use super::{
    process::Process,
    samples::{Sample, samples},
};

/// The registry that every plane registers with at its start; a cheap handle, clones share one registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// A registry without metrics.
    pub fn new() -> Self {
        Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix(PREFIX))),
        }
    }

    /// A registry with the metrics of the process: its start, memory, processor time, open files.
    pub fn with_process() -> Self {
        let metrics = Self::new();
        metrics.collect(Box::new(Process::new()));
        metrics
    }

    /// Registers a metric; `name` without the prefix, and for a counter without `_total`.
    ///
    /// `help` is one line without its full stop. What goes in is a handle: keep a clone to count with.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.lock().register(name, help, metric);
    }

    /// Registers a metric whose name ends in its unit: `latency` in seconds is `sidecar_latency_seconds`.
    pub fn register_with_unit(&self, name: &str, help: &str, unit: Unit, metric: impl Metric) {
        self.lock().register_with_unit(name, help, unit, metric);
    }

    /// Registers something that is asked at each scrape. It must answer at once.
    pub fn collect(&self, collector: Box<dyn Collector>) {
        self.lock().register_collector(collector);
    }

    /// Everything, in the given spelling.
    pub fn encode(&self, exposition: Exposition) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.lock()).expect("writing to a string does not fail");
        match exposition {
            Exposition::OpenMetrics => text,
            Exposition::Prometheus => prometheus(&text),
        }
    }

    /// Everything, one by one.
    pub fn samples(&self) -> Vec<Sample> {
        samples(&self.encode(Exposition::OpenMetrics))
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // A collector that panicked has only read.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// How metrics are spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// `OpenMetrics` 1.0, for those who ask for it.
    OpenMetrics,
    /// The Prometheus text format 0.0.4, for all others.
    Prometheus,
}

impl Exposition {
    /// What an `Accept` header asks for.
    pub fn accepted(accept: &str) -> Self {
        let mut wanted = accept
            .split(',')
            .map(|range| range.split(';').next().unwrap_or_default().trim());
        if wanted.any(|media| media.eq_ignore_ascii_case("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Spells `OpenMetrics` text in the older format.
fn prometheus(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + open.len() / 8);
    let mut help = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Held back until its type is known: that decides its name.
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (name, kind) = family(name, kind);
            if let Some((_, help)) = help.take() {
                writeln!(text, "# HELP {name} {help}").expect("writing to a string does not fail");
            }
            writeln!(text, "# TYPE {name} {kind}").expect("writing to a string does not fail");
        } else if !line.starts_with('#') {
            text.push_str(sample(line));
            text.push('\n');
        }
    }
    text
}

/// A family's name and type in the older format.
fn family<'a>(name: &'a str, kind: &'a str) -> (Cow<'a, str>, &'a str) {
    match kind {
        "counter" => (Cow::Owned(format!("{name}_total")), "counter"),
        "info" => (Cow::Owned(format!("{name}_info")), "gauge"),
        "unknown" => (Cow::Borrowed(name), "untyped"),
        kind => (Cow::Borrowed(name), kind),
    }
}

/// A sample without its exemplar.
fn sample(line: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'#' if !quoted => return line[..at].trim_end(),
            _ => {}
        }
    }
    line
}

/// Every metric's first word.
const PREFIX: &str = "sidecar";

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{
        counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info,
    };

    use super::*;

    type Labels = Vec<(String, String)>;

    fn metrics() -> Metrics {
        let metrics = Metrics::new();
        let taken: Family<Labels, Counter> = Family::default();
        taken
            .get_or_create(&vec![("actor".into(), "a \"#\" \\ b".into())])
            .inc_by(3);
        metrics.register("messages_taken", "Messages taken", taken);
        let busy: Gauge = Gauge::default();
        busy.set(2);
        metrics.register("busy", "Exchanges that run", busy);
        let latency = Histogram::new([0.5, 1.0]);
        latency.observe(0.7);
        metrics.register_with_unit("hop", "Time of a hop", Unit::Seconds, latency);
        metrics.register("build", "What was built", Info::new(vec![("version", "1")]));
        metrics
    }

    #[test]
    fn the_registry_writes_open_metrics_under_the_prefix() {
        let text = metrics().encode(Exposition::OpenMetrics);
        assert!(text.contains("# TYPE sidecar_messages_taken counter\n"), "{text}");
        assert!(text.contains("sidecar_messages_taken_total{actor="), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn the_older_format_names_families_as_their_samples_are_named() {
        assert_eq!(
            metrics().encode(Exposition::Prometheus),
            r##"# HELP sidecar_messages_taken_total Messages taken.
# TYPE sidecar_messages_taken_total counter
sidecar_messages_taken_total{actor="a \"#\" \\ b"} 3
# HELP sidecar_busy Exchanges that run.
# TYPE sidecar_busy gauge
sidecar_busy 2
# HELP sidecar_hop_seconds Time of a hop.
# TYPE sidecar_hop_seconds histogram
sidecar_hop_seconds_sum 0.7
sidecar_hop_seconds_count 1
sidecar_hop_seconds_bucket{le="0.5"} 0
sidecar_hop_seconds_bucket{le="1.0"} 1
sidecar_hop_seconds_bucket{le="+Inf"} 1
# HELP sidecar_build_info What was built.
# TYPE sidecar_build_info gauge
sidecar_build_info{version="1"} 1
"##
        );
    }

    #[test]
    fn an_exemplar_is_left_out_of_the_older_format() {
        let line = r##"x_bucket{le="1.0",q="a # b"} 1 # {trace="#"} 0.7"##;
        assert_eq!(sample(line), r#"x_bucket{le="1.0",q="a # b"} 1"#);
    }

    #[test]
    fn who_asks_for_open_metrics_gets_it_and_all_others_the_older_format() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Exposition::accepted(prometheus), Exposition::OpenMetrics);
        for plain in ["", "*/*", "text/plain", "text/html, application/xml"] {
            assert_eq!(Exposition::accepted(plain), Exposition::Prometheus, "{plain}");
        }
    }
}
