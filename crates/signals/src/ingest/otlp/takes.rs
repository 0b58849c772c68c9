//! What is taken: the three signals, decoded from either encoding.

use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse},
    metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse},
    trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::Number;

use super::{
    answer::{Encoding, Rejected},
    logs, metrics,
    origin::Each,
    traces,
};

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Logs,
    Metrics,
    Traces,
}

/// A request.
#[derive(Debug)]
pub(super) enum Export {
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Traces(ExportTraceServiceRequest),
}

impl Signal {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/v1/logs" => Some(Self::Logs),
            "/v1/metrics" => Some(Self::Metrics),
            "/v1/traces" => Some(Self::Traces),
            _ => None,
        }
    }

    /// The member of a partial success that counts what was not taken.
    pub(super) fn rejected(self) -> &'static str {
        match self {
            Self::Logs => "rejectedLogRecords",
            Self::Metrics => "rejectedDataPoints",
            Self::Traces => "rejectedSpans",
        }
    }

    /// An answer that says so, in protobuf.
    pub(super) fn partial(self, rejected: &Rejected) -> Vec<u8> {
        let records = i64::try_from(rejected.records).unwrap_or(i64::MAX);
        let error_message = rejected.why.clone();
        match self {
            Self::Logs => ExportLogsServiceResponse {
                partial_success: Some(ExportLogsPartialSuccess {
                    rejected_log_records: records,
                    error_message,
                }),
            }
            .encode_to_vec(),
            Self::Metrics => ExportMetricsServiceResponse {
                partial_success: Some(ExportMetricsPartialSuccess {
                    rejected_data_points: records,
                    error_message,
                }),
            }
            .encode_to_vec(),
            Self::Traces => ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess {
                    rejected_spans: records,
                    error_message,
                }),
            }
            .encode_to_vec(),
        }
    }
}

impl Export {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn decode(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Self, String> {
        match signal {
            Signal::Logs => read(encoding, body).map(Self::Logs),
            Signal::Metrics => read(encoding, body).map(Self::Metrics),
            Signal::Traces => read(encoding, body).map(Self::Traces),
        }
    }

    /// Gives each record's lines to `each`; `now` is the time of records that have none.
    pub(super) fn lines(self, now: &Number, each: Each<'_>) {
        match self {
            Self::Logs(request) => logs::lines(request, now, each),
            Self::Metrics(request) => metrics::lines(request, now, each),
            Self::Traces(request) => traces::lines(request, now, each),
        }
    }
}

fn read<T: Message + Default + DeserializeOwned>(encoding: Encoding, body: &[u8]) -> Result<T, String> {
    match encoding {
        Encoding::Protobuf => T::decode(body).map_err(|error| format!("the body is not this message: {error}")),
        Encoding::Json => {
            serde_json::from_slice(body).map_err(|error| format!("the body is not this message: {error}"))
        }
    }
}

#[cfg(test)]
mod tests;
