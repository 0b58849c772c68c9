use std::{collections::BTreeMap, path::Path, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chassis::lifecycle::{Drain, Outcome};
use http_body_util::BodyExt;
use hyper::service::Service;
use serde_json::json;

use super::*;
use crate::{
    backends::testing::{Asked, Reply, Site},
    batch::testing::batch,
};

const GAUGE: &str =
    r#"{"src":"api","ts":1,"type":"metric","data":{"name":"cpu.load","value":0.5,"unit":"1","tags":{"core":3}}}"#;
const COUNTER: &str = r#"{"src":"api","ts":1,"type":"metric","data":{"name":"requests","value":2,"kind":"counter"}}"#;
const TAGGED: &str =
    r#"{"src":"api","ts":1,"type":"metric","data":{"name":"requests_total","value":3,"tags":{"kind":"counter"}}}"#;
const MATCHED: &str = r#"{"src":"api","ts":1,"type":"metric","data":{"name":"errors_http","value":1}}"#;
const EVENT: &str = r#"{"src":"api","ts":1,"type":"event","data":{"level":"info","msg":"hi"}}"#;

struct Bench {
    shelf: Shelf,
    drain: Drain,
}

impl Bench {
    fn new() -> Self {
        Self {
            shelf: Shelf::default(),
            drain: Drain::new(),
        }
    }

    fn open(&self, config: serde_json::Value) -> Result<Prometheus, String> {
        let place = Surroundings {
            name: "prom",
            lines: 100,
            folder: Path::new("."),
            shelf: &self.shelf,
            drain: &self.drain,
        };
        Prometheus::new(&serde_json::from_value(config).unwrap(), &place)
    }

    async fn scrape(&self, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let service = hyper_util::service::TowerToHyperService::new(self.shelf.routes());
        let response = service.call(request).await.unwrap();
        let media = response.headers()["content-type"].to_str().unwrap().to_owned();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, media, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn metric_lines_are_shown_where_prometheus_scrapes_them() {
    let bench = Bench::new();
    let mut sink = bench.open(json!({ "counters": ["errors_*"] })).unwrap();
    let lines = [GAUGE, COUNTER, TAGGED, MATCHED, MATCHED, EVENT];
    assert_eq!(sink.deliver(&batch("api", &lines)).await, Ok(vec![]));
    let (status, media, text) = bench.scrape("/metrics/prom").await;
    assert_eq!(
        (status, &*media),
        (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8")
    );
    let wanted = "# HELP cpu_load Unit: 1\n# TYPE cpu_load gauge\ncpu_load{core=\"3\",source=\"api\"} 0.5\n\
        # TYPE errors_http_total counter\nerrors_http_total{source=\"api\"} 2\n\
        # TYPE requests_total counter\nrequests_total{source=\"api\"} 5\n";
    assert_eq!(text, wanted);
    assert_eq!(bench.scrape("/metrics/other").await.0, StatusCode::NOT_FOUND);
    drop(sink);
    assert_eq!(bench.scrape("/metrics/prom").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn lines_that_fit_no_series_are_refused_by_their_places() {
    let bench = Bench::new();
    let mut sink = bench.open(json!({ "max_series": 1 })).unwrap();
    let text = r#"{"src":"api","ts":1,"type":"metric","data":{"name":"x","value":"high"}}"#;
    let down = r#"{"src":"api","ts":1,"type":"metric","data":{"name":"x","value":-1,"kind":"counter"}}"#;
    let none = r#"{"src":"api","ts":1,"type":"metric"}"#;
    let other = r#"{"src":"api","ts":1,"type":"metric","data":{"name":"requests_total","value":1}}"#;
    let lines = [COUNTER, text, EVENT, down, GAUGE, none, other, COUNTER];
    let refused = sink.deliver(&batch("api", &lines)).await.unwrap();
    let refused: Vec<(&str, &[usize])> = refused.iter().map(|refusal| (&*refusal.why, &*refusal.lines)).collect();
    assert_eq!(
        refused,
        [
            (NO_METRIC, &[1, 5][..]),
            (BELOW_ZERO, &[3]),
            (FULL, &[4]),
            (OTHER_KIND, &[6])
        ]
    );
    assert!(
        bench
            .scrape("/metrics/prom")
            .await
            .2
            .contains("requests_total{source=\"api\"} 4\n")
    );
}

#[tokio::test]
async fn a_backend_that_is_configured_anew_goes_on_counting() {
    let bench = Bench::new();
    let mut before = bench.open(json!({})).unwrap();
    before.deliver(&batch("api", &[COUNTER])).await.unwrap();
    let mut after = bench.open(json!({ "max_series": 5 })).unwrap();
    drop(before);
    after.deliver(&batch("api", &[COUNTER])).await.unwrap();
    assert!(
        bench
            .scrape("/metrics/prom")
            .await
            .2
            .contains("requests_total{source=\"api\"} 4\n")
    );
}

#[tokio::test]
async fn series_are_written_on_the_interval_and_at_the_end() {
    let site = Site::answering([Reply::status(503), Reply::status(204)]).await;
    let bench = Bench::new();
    let url = site.url("/api/v1/write");
    let config = json!({ "remote_write": { "url": url, "interval": "20ms", "headers": { "X-Tenant": "t" } } });
    let mut sink = bench.open(config).unwrap();
    sink.deliver(&batch("api", &[GAUGE, COUNTER])).await.unwrap();
    // The first is refused for now, and tried again.
    let written = async {
        while site.asked().len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    sink.deliver(&batch("api", &[COUNTER])).await.unwrap();
    sink.close().await;
    assert_eq!(bench.drain.wait(Some(Duration::from_secs(20))).await, Outcome::Finished);
    let asked = site.asked();
    assert_eq!(asked[0].body, asked[1].body);
    let (first, last) = (check(&asked[0]), check(asked.last().unwrap()));
    let gauge = labels(&[("__name__", "cpu_load"), ("core", "3"), ("source", "api")]);
    let counter = labels(&[("__name__", "requests_total"), ("source", "api")]);
    assert_eq!(
        first,
        BTreeMap::from([(gauge.clone(), 0.5f64.to_bits()), (counter.clone(), 2f64.to_bits())])
    );
    assert_eq!(
        last,
        BTreeMap::from([(gauge, 0.5f64.to_bits()), (counter, 4f64.to_bits())])
    );
}

#[tokio::test]
async fn what_a_server_does_not_take_keeps_nothing_back() {
    let replies = [
        Reply::status(400).body("out of order sample"),
        Reply::status(413),
        Reply::status(429).header("retry-after", "0"),
        Reply::status(500),
        Reply::Reset,
        Reply::Hang,
        Reply::status(200),
    ];
    let site = Site::answering(replies).await;
    let bench = Bench::new();
    let url = site.url("/");
    let config = json!({ "remote_write": { "url": url, "interval": "10ms", "timeout": "100ms" } });
    let mut sink = bench.open(config).unwrap();
    sink.deliver(&batch("api", &[COUNTER])).await.unwrap();
    let written = async {
        while site.asked().len() < 8 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    assert_eq!(sink.deliver(&batch("api", &[COUNTER])).await, Ok(vec![]));
    sink.close().await;
    assert_eq!(bench.drain.wait(Some(Duration::from_secs(20))).await, Outcome::Finished);
    let last = check(site.asked().last().unwrap());
    assert_eq!(last.values().collect::<Vec<_>>(), [&4f64.to_bits()]);
}

#[tokio::test]
async fn a_writer_whose_backend_never_came_to_work_is_gone_with_it() {
    let bench = Bench::new();
    let sink = bench
        .open(json!({ "remote_write": { "url": "http://127.0.0.1:9", "interval": "1h" } }))
        .unwrap();
    drop(sink);
    assert_eq!(bench.drain.wait(Some(Duration::from_secs(20))).await, Outcome::Finished);
    assert!(
        bench
            .open(json!({ "remote_write": { "url": "http://a", "interval": 0 } }))
            .is_err()
    );
}

fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// Keeps to the specification of remote write 1.0; reads `prometheus.WriteRequest` field by field as `remote.proto` and
/// `types.proto` number them, and not by the messages that were written with.
fn check(asked: &Asked) -> BTreeMap<Vec<(String, String)>, u64> {
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(asked.header("content-encoding"), Some("snappy"));
    assert_eq!(asked.header("x-prometheus-remote-write-version"), Some("0.1.0"));
    assert!(asked.header("user-agent").is_some());
    let body = snap::raw::Decoder::new().decompress_vec(&asked.body).unwrap();
    let mut all = BTreeMap::new();
    for (number, series) in fields(&body) {
        assert_eq!(number, 1);
        let (mut labels, mut samples) = (Vec::new(), Vec::new());
        for (number, field) in fields(series.bytes()) {
            let below = fields(field.bytes());
            match number {
                1 => {
                    assert_eq!(below.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
                    let text = |at: usize| String::from_utf8(below[at].1.bytes().to_vec()).unwrap();
                    labels.push((text(0), text(1)));
                }
                2 => {
                    let Field::Fixed(value) = below[0].1 else {
                        panic!("a double")
                    };
                    let Field::Varint(time) = below[1].1 else {
                        panic!("a time")
                    };
                    assert!(time > 1_700_000_000_000);
                    samples.push(value);
                }
                other => panic!("no field of a series: {other}"),
            }
        }
        assert!(
            labels.is_sorted_by(|a, b| a.0 < b.0)
                && labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty())
        );
        assert_eq!(samples.len(), 1);
        assert!(all.insert(labels, samples[0]).is_none());
    }
    all
}

#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            other => panic!("no message: {other:?}"),
        }
    }
}

/// The fields of a protobuf message, with their numbers.
fn fields(mut message: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = message.split_first().unwrap();
            *message = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut all = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let field = match tag & 7 {
            0 => Field::Varint(varint(&mut message)),
            1 => {
                let (bytes, rest) = message.split_at(8);
                message = rest;
                Field::Fixed(u64::from_le_bytes(bytes.try_into().unwrap()))
            }
            2 => {
                let length = usize::try_from(varint(&mut message)).unwrap();
                let (bytes, rest) = message.split_at(length);
                message = rest;
                Field::Bytes(bytes)
            }
            other => panic!("no wire type of these messages: {other}"),
        };
        all.push((tag >> 3, field));
    }
    all
}
