//! The messages of OTLP: pieces of many sources in one request.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    common::v1::{InstrumentationScope, KeyValue},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;

use super::value::text;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// A piece that can be sent.
#[derive(Debug, Clone)]
pub(super) enum Ready {
    Log(Box<LogRecord>),
    Point {
        name: String,
        unit: String,
        point: Box<NumberDataPoint>,
    },
    Span(Box<Span>),
}

impl Ready {
    pub(super) fn signal(&self) -> Signal {
        match self {
            Self::Log(_) => Signal::Logs,
            Self::Point { .. } => Signal::Metrics,
            Self::Span(_) => Signal::Traces,
        }
    }
}

/// The request for pieces of one signal, each with its source; those of other signals are passed over.
pub(super) fn encode<'a>(
    signal: Signal,
    pieces: impl Iterator<Item = (&'a str, &'a Ready)>,
    resource: &BTreeMap<String, String>,
) -> Vec<u8> {
    let mut by_source: BTreeMap<&str, Vec<&Ready>> = BTreeMap::new();
    for (source, piece) in pieces {
        by_source.entry(source).or_default().push(piece);
    }
    let by_source = by_source
        .into_iter()
        .map(|(source, pieces)| (self::resource(source, resource), pieces));
    match signal {
        Signal::Logs => ExportLogsServiceRequest {
            resource_logs: by_source.map(logs).collect(),
        }
        .encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest {
            resource_metrics: by_source.map(metrics).collect(),
        }
        .encode_to_vec(),
        Signal::Traces => ExportTraceServiceRequest {
            resource_spans: by_source.map(spans).collect(),
        }
        .encode_to_vec(),
    }
}

/// How many pieces a collector says it did not take, and what it says; none where its answer is no message.
pub(super) fn rejected(signal: Signal, answer: &[u8]) -> Option<(usize, String)> {
    let (rejected, message) = match signal {
        Signal::Logs => {
            let partial = ExportLogsServiceResponse::decode(answer).ok()?.partial_success?;
            (partial.rejected_log_records, partial.error_message)
        }
        Signal::Metrics => {
            let partial = ExportMetricsServiceResponse::decode(answer).ok()?.partial_success?;
            (partial.rejected_data_points, partial.error_message)
        }
        Signal::Traces => {
            let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
            (partial.rejected_spans, partial.error_message)
        }
    };
    let rejected = usize::try_from(rejected).unwrap_or_default();
    (rejected > 0 || !message.is_empty()).then_some((rejected, message))
}

fn logs((resource, pieces): (Resource, Vec<&Ready>)) -> ResourceLogs {
    let records = pieces.into_iter().filter_map(|piece| match piece {
        Ready::Log(record) => Some((**record).clone()),
        _ => None,
    });
    ResourceLogs {
        resource: Some(resource),
        scope_logs: vec![ScopeLogs {
            scope: Some(scope()),
            log_records: records.collect(),
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    }
}

fn metrics((resource, pieces): (Resource, Vec<&Ready>)) -> ResourceMetrics {
    let mut by_name: BTreeMap<(&str, &str), Vec<NumberDataPoint>> = BTreeMap::new();
    for piece in pieces {
        if let Ready::Point { name, unit, point } = piece {
            by_name.entry((name, unit)).or_default().push((**point).clone());
        }
    }
    let metrics = by_name.into_iter().map(|((name, unit), data_points)| Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(metric::Data::Gauge(Gauge { data_points })),
        ..Metric::default()
    });
    ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![ScopeMetrics {
            scope: Some(scope()),
            metrics: metrics.collect(),
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    }
}

fn spans((resource, pieces): (Resource, Vec<&Ready>)) -> ResourceSpans {
    let spans = pieces.into_iter().filter_map(|piece| match piece {
        Ready::Span(span) => Some((**span).clone()),
        _ => None,
    });
    ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![ScopeSpans {
            scope: Some(scope()),
            spans: spans.collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

fn resource(source: &str, more: &BTreeMap<String, String>) -> Resource {
    let mut attributes: Vec<KeyValue> = vec![text("service.name", source)];
    let more = more.iter().filter(|(key, _)| *key != "service.name");
    attributes.extend(more.map(|(key, value)| text(key, value)));
    Resource {
        attributes,
        ..Resource::default()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "outrigger".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
