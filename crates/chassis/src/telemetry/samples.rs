//! Reads the registry's own text back, for those who carry its metrics on in another form. Pure.

/// One number of the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// With its suffix: `sidecar_messages_taken_total`, `sidecar_hop_seconds_bucket`.
    pub name: String,
    /// Of its family.
    pub kind: SampleKind,
    /// Of its family, where it has one: `seconds`.
    pub unit: Option<String>,
    /// Its labels, as they are read.
    pub labels: Vec<(String, String)>,
    /// Not always finite.
    pub value: f64,
}

/// What the family of a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A count, a sum, or how many were up to the bound `le`.
    Histogram,
    /// Something else: `info`, for one.
    Other,
}

/// The samples of an `OpenMetrics` text that this process has written, without exemplars.
pub(super) fn samples(open: &str) -> Vec<Sample> {
    let (mut kind, mut unit) = (SampleKind::Other, None);
    let mut samples = Vec::new();
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            match (words.next(), words.nth(1)) {
                // Help comes first of a family, and where nothing helps its type does.
                (Some("HELP"), _) => unit = None,
                (Some("TYPE"), Some(word)) => kind = SampleKind::named(word),
                (Some("UNIT"), Some(word)) => unit = Some(word.to_owned()),
                _ => {}
            }
            continue;
        }
        samples.extend(sample(line).map(|sample| Sample {
            kind,
            unit: unit.clone(),
            ..sample
        }));
    }
    samples
}

/// A sample, of whose family nothing is known.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, more) = rest.trim_start_matches(',').split_once("=\"")?;
            let (value, more) = quoted(more)?;
            labels.push((label.to_owned(), value));
            rest = more;
        }
        rest = &rest[1..];
    }
    let value = match rest.split_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some(Sample {
        name: name.to_owned(),
        kind: SampleKind::Other,
        unit: None,
        labels,
        value,
    })
}

/// A label's value, and what comes behind its closing quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match signs.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            sign => value.push(sign),
        }
    }
    None
}

impl SampleKind {
    fn named(name: &str) -> Self {
        match name {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{
        metrics::{counter::Counter, family::Family, histogram::Histogram},
        registry::Unit,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::Metrics;

    type Labels = Vec<(String, String)>;

    #[test]
    fn what_the_registry_writes_is_read_with_kind_and_unit() {
        let metrics = Metrics::new();
        let hop = Histogram::new([0.5]);
        hop.observe(0.25);
        metrics.register_with_unit("hop", "Time of a hop", Unit::Seconds, hop);
        let taken: Counter = Counter::default();
        taken.inc_by(3);
        metrics.register("taken", "Taken", taken);
        let wanted = |name: &str, kind, unit: Option<&str>, le: Option<&str>, value| Sample {
            name: name.to_owned(),
            kind,
            unit: unit.map(str::to_owned),
            labels: le.map(|le| ("le".to_owned(), le.to_owned())).into_iter().collect(),
            value,
        };
        let (histogram, seconds) = (SampleKind::Histogram, Some("seconds"));
        assert_eq!(
            metrics.samples(),
            [
                wanted("sidecar_hop_seconds_sum", histogram, seconds, None, 0.25),
                wanted("sidecar_hop_seconds_count", histogram, seconds, None, 1.0),
                wanted("sidecar_hop_seconds_bucket", histogram, seconds, Some("0.5"), 1.0),
                wanted("sidecar_hop_seconds_bucket", histogram, seconds, Some("+Inf"), 1.0),
                wanted("sidecar_taken_total", SampleKind::Counter, None, None, 3.0),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_label_comes_back_as_it_was(values in proptest::collection::vec("[^\r]{0,8}", 1..4)) {
            let labels: Labels = values.into_iter().enumerate().map(|(at, value)| (format!("l{at}"), value)).collect();
            let metrics = Metrics::new();
            let counted = Family::<Labels, Counter>::default();
            counted.get_or_create(&labels).inc();
            metrics.register("counted", "Counted", counted);
            let samples = metrics.samples();
            prop_assert_eq!(samples.len(), 1);
            prop_assert_eq!(&samples[0].labels, &labels);
        }
    }
}
