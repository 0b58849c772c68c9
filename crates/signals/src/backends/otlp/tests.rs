use std::{collections::HashMap, io::Read, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    metrics::v1::{metric::Data, number_data_point::Value as Number},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;
use serde_json::{Value, json};

use super::*;
use crate::{
    backends::testing::{Asked, Reply, Site, away},
    batch::testing::{batch, batch_of},
};

const EVENT: &str = r#"{"src":"a","ts":1714557600001,"type":"event","tid":"4bf92f3577b34da6a3ce929d0e0e4736","sid":"00f067aa0ba902b7","data":{"level":"error","msg":"no","ctx":{"n":1}}}"#;
const PROGRESS: &str = r#"{"src":"a","ts":1,"type":"progress","data":{"job_id":"j","percent":50}}"#;
const METRIC: &str =
    r#"{"src":"b","ts":2,"type":"metric","data":{"name":"cpu","value":0.5,"unit":"1","tags":{"core":3,"host":"h"}}}"#;
const START: &str = r#"{"src":"a","ts":1,"type":"span","tid":"job-7","sid":"s","pid":"p","data":{"name":"work","start":1000,"tags":{"k":"v"}}}"#;
const END: &str =
    r#"{"src":"a","ts":2,"type":"span","tid":"job-7","sid":"s","data":{"name":"","end":1500.25,"status":"ok"}}"#;

fn otlp(site: &Site, more: Value) -> Otlp {
    Otlp::new(&site.config("", more), 100).unwrap()
}

/// What a collector got, by the official messages.
#[derive(Default)]
struct Got {
    traces: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
    logs: Vec<ExportLogsServiceRequest>,
}

impl Got {
    /// Keeps to what OTLP asks for, over either protocol.
    fn read(site: &Site) -> Self {
        let mut got = Self::default();
        for asked in site.asked() {
            assert_eq!(asked.method, "POST");
            match &*asked.path {
                "/v1/traces" => got.traces.push(http(&asked)),
                "/v1/metrics" => got.metrics.push(http(&asked)),
                "/v1/logs" => got.logs.push(http(&asked)),
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => got.traces.push(grpc(&asked)),
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => got.metrics.push(grpc(&asked)),
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => got.logs.push(grpc(&asked)),
                other => panic!("no service of a collector: {other}"),
            }
        }
        got
    }

    fn spans(&self) -> Vec<Span> {
        let scopes = self.traces.iter().flat_map(|request| &request.resource_spans);
        let scopes = scopes.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

fn http<M: Message + Default>(asked: &Asked) -> M {
    assert_eq!(asked.header("content-type"), Some("application/x-protobuf"));
    let body = match asked.header("content-encoding") {
        Some("gzip") => unzip(&asked.body),
        encoding => {
            assert_eq!(encoding, None);
            asked.body.to_vec()
        }
    };
    M::decode(&body[..]).unwrap()
}

fn grpc<M: Message + Default>(asked: &Asked) -> M {
    assert_eq!(asked.header("content-type"), Some("application/grpc"));
    assert_eq!(asked.header("te"), Some("trailers"));
    let length = u32::from_be_bytes(asked.body[1..5].try_into().unwrap()) as usize;
    assert_eq!(asked.body.len(), 5 + length);
    let body = match asked.body[0] {
        0 => asked.body[5..].to_vec(),
        1 => {
            assert_eq!(asked.header("grpc-encoding"), Some("gzip"));
            unzip(&asked.body[5..])
        }
        flag => panic!("no flag of gRPC: {flag}"),
    };
    M::decode(&body[..]).unwrap()
}

fn unzip(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    plain
}

/// A call that went well, with a message.
fn call(message: &impl Message) -> Reply {
    let message = message.encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    Reply::status(200)
        .header("content-type", "application/grpc")
        .body(body)
        .trailer("grpc-status", "0")
}

/// A call that did not; there is no message, so that the trailers come as headers.
fn failed_call(code: u32, message: &str) -> Reply {
    Reply::status(200)
        .header("content-type", "application/grpc")
        .header("grpc-status", &code.to_string())
        .header("grpc-message", message)
}

fn texts(attributes: &[KeyValue]) -> HashMap<&str, String> {
    let shown = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|pair| (&*pair.key, shown(&pair.value))).collect()
}

fn service(resource: Option<&Resource>) -> String {
    texts(&resource.unwrap().attributes)["service.name"].clone()
}

fn check_everything(got: &Got) {
    let [logs] = &got.logs[..] else {
        panic!("one request of logs")
    };
    let resource = &logs.resource_logs[0];
    assert_eq!(service(resource.resource.as_ref()), "a");
    assert_eq!(texts(&resource.resource.as_ref().unwrap().attributes)["env"], "prod");
    let records = &resource.scope_logs[0].log_records;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].time_unix_nano, 1_714_557_600_001_000_000);
    assert_eq!((records[0].severity_number, &*records[0].severity_text), (17, "error"));
    assert_eq!(
        records[0].body.as_ref().unwrap().value,
        Some(Any::StringValue("no".into()))
    );
    assert_eq!(
        (records[0].trace_id[..2].to_vec(), records[0].span_id.len()),
        (vec![0x4b, 0xf9], 8)
    );
    let attributes = texts(&records[0].attributes);
    assert_eq!((&*attributes["signal.type"], &*attributes["n"]), ("event", "1"));
    assert!(matches!(&records[1].body.as_ref().unwrap().value, Some(Any::KvlistValue(list)) if list.values.len() == 2));

    let [metrics] = &got.metrics[..] else {
        panic!("one request of metrics")
    };
    let resource = &metrics.resource_metrics[0];
    assert_eq!(service(resource.resource.as_ref()), "b");
    let metric = &resource.scope_metrics[0].metrics[0];
    assert_eq!((&*metric.name, &*metric.unit), ("cpu", "1"));
    let Some(Data::Gauge(gauge)) = &metric.data else {
        panic!("a gauge")
    };
    assert_eq!(gauge.data_points[0].value, Some(Number::AsDouble(0.5)));
    assert_eq!(gauge.data_points[0].time_unix_nano, 2_000_000);
    let tags = texts(&gauge.data_points[0].attributes);
    assert_eq!((&*tags["core"], &*tags["host"]), ("3", "h"));

    let spans = got.spans();
    let [span] = &spans[..] else { panic!("one span") };
    assert_eq!(
        (&*span.name, span.start_time_unix_nano, span.end_time_unix_nano),
        ("work", 1_000_000_000, 1_500_250_000)
    );
    assert_eq!(
        (span.trace_id.len(), span.span_id.len(), span.parent_span_id.len()),
        (16, 8, 8)
    );
    assert_eq!(span.status.as_ref().unwrap().code, 1);
    let attributes = texts(&span.attributes);
    let kept = ["k", "signal.trace_id", "signal.span_id", "signal.parent_id"].map(|key| &*attributes[key]);
    assert_eq!(kept, ["v", "job-7", "s", "p"]);
}

#[tokio::test]
async fn lines_become_logs_metrics_and_traces_over_http() {
    for compression in ["none", "gzip"] {
        let site = Site::answering([Reply::status(200)]).await;
        let more = json!({ "compression": compression, "resource": { "env": "prod" }, "bearer_token": "t" });
        let mut otlp = otlp(&site, more);
        let batch = batch_of(&[("a", &[EVENT, START, PROGRESS, END]), ("b", &[METRIC])]);
        assert_eq!(otlp.deliver(&batch).await, Ok(vec![]));
        check_everything(&Got::read(&site));
        assert!(
            site.asked()
                .iter()
                .all(|asked| asked.header("authorization") == Some("Bearer t"))
        );
    }
}

#[tokio::test]
async fn lines_become_logs_metrics_and_traces_over_grpc() {
    for compression in ["none", "gzip"] {
        let site = Site::open(|asked| match &*asked.path {
            path if path.contains("Trace") => call(&ExportTraceServiceResponse::default()),
            path if path.contains("Metrics") => call(&ExportMetricsServiceResponse::default()),
            _ => call(&ExportLogsServiceResponse::default()),
        })
        .await;
        let more = json!({ "protocol": "grpc", "compression": compression, "resource": { "env": "prod" } });
        let mut otlp = otlp(&site, more);
        let batch = batch_of(&[("a", &[EVENT, START, PROGRESS, END]), ("b", &[METRIC])]);
        assert_eq!(otlp.deliver(&batch).await, Ok(vec![]));
        check_everything(&Got::read(&site));
    }
}

#[tokio::test]
async fn a_span_goes_once_when_its_end_has_come() {
    let site = Site::answering([Reply::status(503), Reply::status(200)]).await;
    let mut otlp = otlp(&site, json!({}));
    assert_eq!(otlp.deliver(&batch("a", &[START])).await, Ok(vec![]));
    assert_eq!(site.asked().len(), 0);
    let end = batch("a", &[END]);
    assert_eq!(away(otlp.deliver(&end).await), None);
    assert_eq!(otlp.deliver(&end).await, Ok(vec![]));
    let spans = Got::read(&site).spans();
    assert_eq!((spans.len(), &*spans[1].name), (2, "work"));
    assert_eq!((spans[0] == spans[1], otlp.spans.counts()), (true, (0, 0)));
}

#[tokio::test]
async fn what_one_request_settled_is_not_sent_again_for_the_sake_of_another() {
    let replies = [
        Reply::status(200),
        Reply::status(503).header("retry-after", "5"),
        Reply::status(400),
        Reply::status(200),
    ];
    let site = Site::answering(replies).await;
    let mut otlp = otlp(&site, json!({}));
    let batch = batch_of(&[("a", &[START, END, EVENT]), ("b", &[METRIC])]);
    assert_eq!(away(otlp.deliver(&batch).await), Some(Duration::from_secs(5)));
    let refused = otlp.deliver(&batch).await.unwrap();
    assert_eq!(refused[0].lines, [3]);
    let paths: Vec<String> = site.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/v1/traces", "/v1/metrics", "/v1/metrics", "/v1/logs"]);
    assert_eq!(otlp.spans.counts(), (0, 0));
}

#[tokio::test]
async fn a_part_that_was_not_taken_counts_as_refused() {
    let partial = |rejected_log_records| ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records,
            error_message: "too old".into(),
        }),
    };
    let http = |rejected| Reply::status(200).body(partial(rejected).encode_to_vec());
    let site = Site::answering([http(0), http(1), http(2)]).await;
    let mut over_http = otlp(&site, json!({}));
    let batch = batch("a", &[EVENT, PROGRESS]);
    assert_eq!(over_http.deliver(&batch).await, Ok(vec![]));
    let some = over_http.deliver(&batch).await.unwrap();
    assert_eq!(some, [Refusal::unnamed(1, "too old".into())]);
    let all = over_http.deliver(&batch).await.unwrap();
    assert_eq!(all[0].lines, [0, 1]);
    let site = Site::answering([call(&partial(1))]).await;
    let some = otlp(&site, json!({ "protocol": "grpc" }))
        .deliver(&batch)
        .await
        .unwrap();
    assert_eq!(some, [Refusal::unnamed(1, "too old".into())]);
}

#[tokio::test]
async fn each_answer_of_http_has_its_meaning() {
    let status = [0x12, 3, b'b', b'a', b'd'];
    let replies = [
        Reply::status(413),
        Reply::status(429).header("retry-after", "6"),
        Reply::status(503),
        Reply::status(401),
        Reply::Reset,
        Reply::Hang,
        Reply::status(400).body(status.to_vec()),
        Reply::status(500),
        Reply::status(404),
    ];
    let site = Site::answering(replies).await;
    let mut otlp = otlp(&site, json!({ "timeout": "200ms" }));
    let batch = batch("a", &[EVENT]);
    assert!(matches!(otlp.deliver(&batch).await, Err(Failure::TooLarge { .. })));
    assert_eq!(away(otlp.deliver(&batch).await), Some(Duration::from_secs(6)));
    for _ in ["503", "401", "reset", "hang"] {
        assert_eq!(away(otlp.deliver(&batch).await), None);
    }
    let refused = otlp.deliver(&batch).await.unwrap();
    assert!(refused[0].why.ends_with("bad"), "{}", refused[0].why);
    for status in ["500", "404"] {
        let refused = otlp.deliver(&batch).await.unwrap();
        assert!(refused[0].why.contains(status), "{}", refused[0].why);
    }
}

#[tokio::test]
async fn each_code_of_grpc_has_its_meaning() {
    let info = [
        [&[0x1a, 48, 0x0a, 40][..], b"type.googleapis.com/google.rpc.RetryInfo"].concat(),
        vec![0x12, 4, 0x0a, 2, 0x08, 7],
    ]
    .concat();
    let details = STANDARD.encode(info);
    let replies = [
        failed_call(8, "grpc: received message larger than max (5000000 vs. 4194304)"),
        failed_call(14, "later"),
        failed_call(16, "who are you"),
        failed_call(8, "busy").header("grpc-status-details-bin", &details),
        Reply::status(503),
        Reply::status(200),
        Reply::Reset,
        Reply::Hang,
        failed_call(3, "bad"),
        failed_call(8, "no quota"),
        failed_call(12, "unknown service"),
    ];
    let site = Site::answering(replies).await;
    let mut otlp = otlp(&site, json!({ "protocol": "grpc", "timeout": "300ms" }));
    let batch = batch("a", &[EVENT]);
    assert!(matches!(otlp.deliver(&batch).await, Err(Failure::TooLarge { .. })));
    let mut pauses = Vec::new();
    for _ in ["14", "16", "8", "503", "no status", "reset", "hang"] {
        pauses.push(away(otlp.deliver(&batch).await));
    }
    let seven = Some(Duration::from_secs(7));
    assert_eq!(pauses, [None, None, seven, None, None, None, None]);
    for said in ["bad", "no quota", "unknown service"] {
        let refused = otlp.deliver(&batch).await.unwrap();
        assert!(refused[0].why.ends_with(said), "{}", refused[0].why);
    }
}

#[tokio::test]
async fn a_signal_of_many_that_is_too_large_goes_in_parts() {
    let site = Site::open(|asked| match &*asked.path {
        "/v1/logs"
            if http::<ExportLogsServiceRequest>(asked).resource_logs[0].scope_logs[0]
                .log_records
                .len()
                > 1 =>
        {
            Reply::status(413)
        }
        _ => Reply::status(200),
    })
    .await;
    let mut otlp = otlp(&site, json!({}));
    let batch = batch_of(&[("a", &[EVENT, PROGRESS]), ("b", &[METRIC])]);
    assert_eq!(otlp.deliver(&batch).await, Ok(vec![]));
    let got = Got::read(&site);
    assert_eq!((got.metrics.len(), got.logs.len()), (1, 3));
}
