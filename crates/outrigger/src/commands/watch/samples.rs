//! Reads `/metrics`, as far as it is about signals, and tells what happened between two looks.
//!
//! Pure.

use std::{collections::BTreeMap, time::Instant};

/// What the process had counted at a moment.
#[derive(Debug, Clone)]
pub struct Sample {
    pub at: Instant,
    pub sources: BTreeMap<String, Source>,
    pub backends: BTreeMap<String, Backend>,
    pub connections: f64,
    pub dropped: f64,
}

/// A source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    pub received: f64,
    /// Lines that wait for backends.
    pub waiting: f64,
}

/// A backend.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backend {
    pub routed: f64,
    pub waiting: f64,
    /// Deliveries that took no longer than so many seconds, each with those of the buckets below it.
    pub buckets: Vec<(f64, f64)>,
}

impl Sample {
    /// Reads the text format of Prometheus; `None` where the process takes no signals.
    pub fn read(text: &str, at: Instant) -> Option<Self> {
        let mut sample = Self {
            at,
            sources: BTreeMap::new(),
            backends: BTreeMap::new(),
            connections: 0.0,
            dropped: 0.0,
        };
        let mut takes_signals = false;
        for Reading { name, labels, value } in text.lines().filter_map(Reading::read) {
            match name {
                "sidecar_messages_received_total" => sample.source(&labels).received = value,
                "sidecar_buffer_size" => sample.source(&labels).waiting = value,
                "sidecar_messages_routed_total" => sample.backend(&labels).routed = value,
                "sidecar_backend_buffer_size" => sample.backend(&labels).waiting = value,
                "sidecar_backend_latency_seconds_bucket" => {
                    if let Ok(most) = label(&labels, "le").parse() {
                        sample.backend(&labels).buckets.push((most, value));
                    }
                }
                "sidecar_messages_dropped_total" => sample.dropped += value,
                "sidecar_active_connections" => {
                    sample.connections = value;
                    takes_signals = true;
                }
                _ => {}
            }
        }
        takes_signals.then_some(sample)
    }

    fn source(&mut self, labels: &[(&str, String)]) -> &mut Source {
        self.sources.entry(label(labels, "source")).or_default()
    }

    fn backend(&mut self, labels: &[(&str, String)]) -> &mut Backend {
        self.backends.entry(label(labels, "backend")).or_default()
    }

    /// How much a counter grew in a second since an earlier look; after a start anew it began at 0.
    pub fn rate(&self, earlier: &Self, now: f64, before: f64) -> f64 {
        let grown = if now >= before { now - before } else { now };
        grown / self.at.duration_since(earlier.at).as_secs_f64().max(f64::EPSILON)
    }
}

impl Backend {
    /// The middle of the deliveries since an earlier look, in seconds; where there were none, of all.
    pub fn median(&self, earlier: Option<&Self>) -> Option<f64> {
        let before = |index: usize| {
            earlier
                .and_then(|earlier| earlier.buckets.get(index))
                .map_or(0.0, |(_, count)| *count)
        };
        let recent = self
            .buckets
            .iter()
            .enumerate()
            .map(|(index, (most, count))| (*most, count - before(index)));
        middle(&recent.collect::<Vec<_>>()).or_else(|| middle(&self.buckets))
    }
}

/// The middle of a histogram, taken as even within its bucket.
fn middle(buckets: &[(f64, f64)]) -> Option<f64> {
    let half = buckets.last()?.1 / 2.0;
    if half <= 0.0 {
        return None;
    }
    let (mut least, mut below) = (0.0, 0.0);
    for (most, count) in buckets {
        if *count >= half {
            // Of the last one nobody knows where it ends.
            let share = if most.is_finite() {
                (half - below) / (count - below) * (most - least)
            } else {
                0.0
            };
            return Some(least + share);
        }
        (least, below) = (*most, *count);
    }
    None
}

/// A line of the text.
struct Reading<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

impl<'a> Reading<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while let Some((label, value)) = rest.split_once("=\"") {
                if label.starts_with('}') {
                    break;
                }
                let (value, after) = unquoted(value)?;
                labels.push((label.trim_start_matches(','), value));
                rest = after;
                if rest.starts_with('}') {
                    break;
                }
            }
            rest = rest.strip_prefix('}')?;
        }
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        (!name.starts_with('#')).then_some(Self { name, labels, value })
    }
}

/// A label's value up to its quote, and what comes after that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

fn label(labels: &[(&str, String)], name: &str) -> String {
    let found = labels.iter().find(|(label, _)| *label == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TEXT: &str = r#"# HELP sidecar_messages_received_total Lines.
# TYPE sidecar_messages_received_total counter
sidecar_messages_received_total{source="a"} 100
sidecar_messages_received_total{source="b \"\\ }"} 5
sidecar_buffer_size{source="a"} 3
sidecar_messages_routed_total{backend="files"} 90
sidecar_backend_buffer_size{backend="files"} 7
sidecar_backend_latency_seconds_sum{backend="files"} 0.5
sidecar_backend_latency_seconds_bucket{le="0.1",backend="files"} 2
sidecar_backend_latency_seconds_bucket{le="0.2",backend="files"} 6
sidecar_backend_latency_seconds_bucket{le="+Inf",backend="files"} 6
sidecar_messages_dropped_total{reason="filtered"} 1
sidecar_messages_dropped_total{reason="sampled"} 2
sidecar_active_connections 4
"#;

    #[test]
    fn the_text_is_read_as_far_as_it_is_about_signals() {
        let sample = Sample::read(TEXT, Instant::now()).unwrap();
        assert_eq!((sample.connections, sample.dropped), (4.0, 3.0));
        let a = Source {
            received: 100.0,
            waiting: 3.0,
        };
        assert_eq!(sample.sources["a"], a);
        assert_eq!(sample.sources["b \"\\ }"].received.to_string(), "5");
        let files = Backend {
            routed: 90.0,
            waiting: 7.0,
            buckets: vec![(0.1, 2.0), (0.2, 6.0), (f64::INFINITY, 6.0)],
        };
        assert_eq!(sample.backends["files"], files);
        assert!(Sample::read("sidecar_process_open_fds 9\n", Instant::now()).is_none());
    }

    #[test]
    fn the_middle_lies_within_its_bucket() {
        let backend = |counts: [f64; 3]| Backend {
            buckets: vec![(0.1, counts[0]), (0.2, counts[1]), (f64::INFINITY, counts[2])],
            ..Backend::default()
        };
        let near = |found: Option<f64>, wanted: f64| assert!((found.unwrap() - wanted).abs() < 1e-9, "{found:?}");
        near(backend([2.0, 6.0, 6.0]).median(None), 0.125);
        near(backend([0.0, 0.0, 5.0]).median(None), 0.2);
        // Since then all took longer; and where nothing was delivered since, all count.
        near(backend([2.0, 6.0, 6.0]).median(Some(&backend([2.0, 2.0, 2.0]))), 0.15);
        near(backend([2.0, 6.0, 6.0]).median(Some(&backend([2.0, 6.0, 6.0]))), 0.125);
        assert_eq!(backend([0.0; 3]).median(None), None);
    }

    #[test]
    fn a_rate_is_of_the_time_between_and_a_start_anew_is_none_below_zero() {
        let began = Instant::now();
        let earlier = Sample::read(TEXT, began).unwrap();
        let later = Sample::read(TEXT, began + Duration::from_secs(2)).unwrap();
        assert_eq!(later.rate(&earlier, 30.0, 10.0).to_string(), "10");
        assert_eq!(later.rate(&earlier, 4.0, 10.0).to_string(), "2");
    }
}
