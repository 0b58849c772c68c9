//! Requests as the specification shows them and as libraries send them, and the lines that they have to become.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics, Summary,
        SummaryDataPoint, exponential_histogram_data_point::Buckets, metric::Data, summary_data_point::ValueAtQuantile,
    },
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use wire::signal::Line;

use super::*;

/// Every line, and why there are none of a record.
fn lines(export: Export) -> Vec<Result<Value, &'static str>> {
    let mut all = Vec::new();
    export.lines(&42.into(), &mut |lines| match lines {
        Err(why) => all.push(Err(why)),
        Ok(lines) => {
            for draft in lines {
                let mut line = Vec::new();
                draft.write(&mut line);
                assert!(matches!(Line::read(&line), Ok(Line::Data(_))), "{draft:?}");
                let mut line: Value = serde_json::from_slice(&line).unwrap();
                assert_eq!(line.as_object_mut().unwrap().remove("v"), Some(1.into()));
                all.push(Ok(line));
            }
        }
    });
    all
}

/// The lines of a JSON body; the same as those of the body in protobuf.
fn of(signal: Signal, body: &Value) -> Vec<Result<Value, &'static str>> {
    let decode = || Export::decode(signal, Encoding::Json, body.to_string().as_bytes()).unwrap();
    let bytes = match decode() {
        Export::Logs(request) => request.encode_to_vec(),
        Export::Metrics(request) => request.encode_to_vec(),
        Export::Traces(request) => request.encode_to_vec(),
    };
    let lines = lines(decode());
    assert_eq!(
        self::lines(Export::decode(signal, Encoding::Protobuf, &bytes).unwrap()),
        lines
    );
    lines
}

fn resource() -> Value {
    json!({ "attributes": [
        { "key": "service.name", "value": { "stringValue": "my.service" } },
        { "key": "host.name", "value": { "stringValue": "h" } },
    ] })
}

#[test]
fn a_log_record_is_an_event() {
    let record = |more: Value| {
        let mut record = json!({ "timeUnixNano": "1544712660300000000", "severityNumber": 10 });
        record
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        record
    };
    let body = json!({ "resourceLogs": [{ "resource": resource(), "scopeLogs": [{ "scope": { "name": "my.library" }, "logRecords": [
        record(json!({
            "severityText": "Information",
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174",
            "body": { "stringValue": "Example log record" },
            "attributes": [
                { "key": "s", "value": { "stringValue": "x" } }, { "key": "b", "value": { "boolValue": true } },
                { "key": "i", "value": { "intValue": "10" } }, { "key": "d", "value": { "doubleValue": 637.704 } },
                { "key": "a", "value": { "arrayValue": { "values": [{ "stringValue": "many" }, { "intValue": 1 }] } } },
                { "key": "m", "value": { "kvlistValue": { "values": [{ "key": "k", "value": { "bytesValue": "AQI=" } }] } } },
            ],
        })),
        record(json!({ "severityNumber": 0, "severityText": "WARN", "timeUnixNano": "0", "observedTimeUnixNano": "1544712660300123456",
            "body": { "kvlistValue": { "values": [{ "key": "k", "value": { "intValue": "1" } }] } } })),
        { "eventName": "started" },
    ] }] }] });
    let common = json!({ "resource": { "host.name": "h" }, "scope": "my.library" });
    let data = |own: Value| {
        let mut data = own.as_object().unwrap().clone();
        data.extend(common.as_object().unwrap().clone());
        data
    };
    assert_eq!(
        of(Signal::Logs, &body),
        [
            json!({ "src": "my.service", "ts": 1_544_712_660_300_u64, "type": "event",
                "tid": "5b8efff798038103d269b633813fc60c", "sid": "eee19b7ec3c1b174",
                "data": data(json!({ "level": "info", "msg": "Example log record", "severity": "Information",
                    "ctx": { "s": "x", "b": true, "i": 10, "d": 637.704, "a": ["many", 1], "m": { "k": "AQI=" } } })) }),
            json!({ "src": "my.service", "ts": 1_544_712_660_300.123, "type": "event",
                "data": data(json!({ "level": "warn", "msg": "{\"k\":1}", "body": { "k": 1 }, "severity": "WARN" })) }),
            json!({ "src": "my.service", "ts": 42, "type": "event",
                "data": data(json!({ "level": "info", "msg": "started", "event": "started" })) }),
        ]
        .map(Ok)
    );
}

#[test]
fn a_span_is_a_span() {
    let body = json!({ "resourceSpans": [{ "resource": {}, "scopeSpans": [{ "spans": [
        { "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "parentSpanId": "EEE19B7EC3C1B173",
          "name": "I'm a server span", "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000500000",
          "kind": 2, "status": { "code": 2, "message": "no" },
          "attributes": [{ "key": "my.span.attr", "value": { "stringValue": "some value" } }],
          "events": [{ "name": "e", "timeUnixNano": "1544712660500000000" }],
          "links": [{ "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B175" }] },
        { "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "", "name": "no id" },
        { "traceId": "00000000000000000000000000000000", "spanId": "EEE19B7EC3C1B174", "name": "no trace" },
    ] }] }] });
    assert_eq!(
        of(Signal::Traces, &body),
        [
            Ok(
                json!({ "src": "unknown_service", "ts": 1_544_712_661_000.5, "type": "span",
                "tid": "5b8efff798038103d269b633813fc60c", "sid": "eee19b7ec3c1b174", "pid": "eee19b7ec3c1b173",
                "data": { "name": "I'm a server span", "start": 1_544_712_660_000_u64, "end": 1_544_712_661_000.5,
                    "status": "error", "message": "no", "kind": "server", "tags": { "my.span.attr": "some value" },
                    "events": [{ "name": "e", "ts": 1_544_712_660_500_u64, "tags": {} }],
                    "links": [{ "tid": "5b8efff798038103d269b633813fc60c", "sid": "eee19b7ec3c1b175", "tags": {} }] } })
            ),
            Err("a span has no id of 8 bytes"),
            Err("a span has no trace id of 16 bytes"),
        ]
    );
}

/// `name value tags` of lines of metrics.
fn readings(lines: &[Result<Value, &'static str>]) -> Vec<String> {
    let shown = |line: &Result<Value, &'static str>| match line {
        Ok(line) => {
            let data = &line["data"];
            format!("{} {} {}", data["name"].as_str().unwrap(), data["value"], data["tags"])
        }
        Err(why) => (*why).to_owned(),
    };
    lines.iter().map(shown).collect()
}

#[test]
fn a_number_is_a_metric_and_a_histogram_several() {
    let point = json!({ "timeUnixNano": "1544712660300000000", "attributes": [{ "key": "k", "value": { "stringValue": "v" } }] });
    let with = |more: Value| {
        let mut own = point.as_object().unwrap().clone();
        own.extend(more.as_object().unwrap().clone());
        own
    };
    let body = json!({ "resourceMetrics": [{ "resource": resource(), "scopeMetrics": [{ "metrics": [
        { "name": "c", "unit": "By", "sum": { "aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [with(json!({ "asInt": "-5" }))] } },
        { "name": "g", "unit": "1", "gauge": { "dataPoints": [with(json!({ "asDouble": 10.5 })), with(json!({})), with(json!({ "flags": 1 }))] } },
        { "name": "h", "unit": "s", "histogram": { "aggregationTemporality": 2, "dataPoints": [
            with(json!({ "count": "3", "sum": 6.5, "min": 0.5, "max": 5.0, "bucketCounts": ["1", 0, "2"], "explicitBounds": [1, 2.5] })),
            with(json!({ "count": "3", "bucketCounts": ["1"], "explicitBounds": [1, 2.5] })),
            with(json!({ "count": "0" })),
        ] } },
    ] }] }] });
    let lines = of(Signal::Metrics, &body);
    assert_eq!(
        lines[0],
        Ok(
            json!({ "src": "my.service", "ts": 1_544_712_660_300_u64, "type": "metric", "data": {
            "name": "c", "value": -5, "unit": "By", "kind": "counter", "temporality": "delta", "tags": { "k": "v" },
            "resource": { "host.name": "h" } } })
        )
    );
    assert_eq!(
        readings(&lines),
        [
            r#"c -5 {"k":"v"}"#,
            r#"g 10.5 {"k":"v"}"#,
            "a data point has no value",
            r#"h_count 3 {"k":"v"}"#,
            r#"h_sum 6.5 {"k":"v"}"#,
            r#"h_min 0.5 {"k":"v"}"#,
            r#"h_max 5.0 {"k":"v"}"#,
            r#"h_bucket 1 {"k":"v","le":"1.0"}"#,
            r#"h_bucket 1 {"k":"v","le":"2.5"}"#,
            r#"h_bucket 3 {"k":"v","le":"+Inf"}"#,
            "a histogram has not one more bucket than bounds",
            r#"h_count 0 {"k":"v"}"#,
        ]
    );
}

fn metrics(data: Data) -> Export {
    let metric = Metric {
        name: "m".into(),
        data: Some(data),
        ..Metric::default()
    };
    let scoped = ScopeMetrics {
        metrics: vec![metric],
        ..ScopeMetrics::default()
    };
    let resource = ResourceMetrics {
        scope_metrics: vec![scoped],
        ..ResourceMetrics::default()
    };
    Export::Metrics(ExportMetricsServiceRequest {
        resource_metrics: vec![resource],
    })
}

#[test]
fn exponential_histograms_and_summaries_have_bounds_and_quantiles() {
    let point = ExponentialHistogramDataPoint {
        count: 7,
        sum: Some(1.5),
        zero_count: 1,
        negative: Some(Buckets {
            offset: 1,
            bucket_counts: vec![1, 2],
        }),
        positive: Some(Buckets {
            offset: -1,
            bucket_counts: vec![2, 0, 1],
        }),
        ..ExponentialHistogramDataPoint::default()
    };
    let histogram = ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: 2,
    };
    assert_eq!(
        readings(&lines(metrics(Data::ExponentialHistogram(histogram)))),
        [
            "m_count 7 null",
            "m_sum 1.5 null",
            // [-8, -4) holds 2 and [-4, -2) holds 1.
            r#"m_bucket 2 {"le":"-4.0"}"#,
            r#"m_bucket 3 {"le":"-2.0"}"#,
            r#"m_bucket 4 {"le":"0.0"}"#,
            r#"m_bucket 6 {"le":"1.0"}"#,
            r#"m_bucket 7 {"le":"4.0"}"#,
            r#"m_bucket 7 {"le":"+Inf"}"#,
        ]
    );
    let quantile = |quantile, value| ValueAtQuantile { quantile, value };
    let point = SummaryDataPoint {
        count: 2,
        sum: 3.0,
        quantile_values: vec![quantile(0.5, 1.0), quantile(0.99, f64::NAN)],
        ..SummaryDataPoint::default()
    };
    let summary = Summary {
        data_points: vec![point],
    };
    assert_eq!(
        readings(&lines(metrics(Data::Summary(summary)))),
        ["m_count 2 null", "m_sum 3.0 null", r#"m 1.0 {"quantile":"0.5"}"#]
    );
}

#[test]
fn an_answer_says_what_was_not_taken() {
    let rejected = Rejected {
        records: 3,
        why: "w".into(),
    };
    let bytes = Signal::Metrics.partial(&rejected);
    let read = ExportMetricsServiceResponse::decode(bytes.as_slice()).unwrap();
    let partial = read.partial_success.unwrap();
    assert_eq!((partial.rejected_data_points, partial.error_message.as_str()), (3, "w"));
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        any::<String>().prop_map(|text| Some(Any::StringValue(text))),
        any::<f64>().prop_map(|number| Some(Any::DoubleValue(number))),
        any::<Vec<u8>>().prop_map(|bytes| Some(Any::BytesValue(bytes))),
    ];
    leaf.prop_map(|value| AnyValue { value })
}

proptest! {
    #[test]
    fn any_bytes_are_lines_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for signal in [Signal::Logs, Signal::Metrics, Signal::Traces] {
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                if let Ok(export) = Export::decode(signal, encoding, &bytes) {
                    lines(export);
                }
            }
        }
    }

    #[test]
    fn any_span_is_one_line_or_has_a_reason(
        trace in proptest::collection::vec(0_u8..2, 15..17), own in proptest::collection::vec(0_u8..2, 7..9),
        start in any::<u64>(), end in any::<u64>(), name in any::<String>(), key in any::<String>(), value in any_value(),
    ) {
        let has_ids = trace.len() == 16 && own.len() == 8 && trace.contains(&1) && own.contains(&1);
        let attributes = vec![KeyValue { key, value: Some(value), ..KeyValue::default() }];
        let span = Span {
            trace_id: trace, span_id: own, start_time_unix_nano: start, end_time_unix_nano: end, name, attributes, ..Span::default()
        };
        let scoped = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scoped], ..ResourceSpans::default() };
        let lines = lines(Export::Traces(ExportTraceServiceRequest { resource_spans: vec![resource] }));
        prop_assert_eq!(lines.len(), 1);
        prop_assert_eq!(lines[0].is_ok(), has_ids);
    }
}
