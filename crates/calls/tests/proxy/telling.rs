//! What the proxy tells of its calls.

use calls::{config::TrustedProxies, listen::Listener};
use chassis::telemetry::{
    Metrics, Report, Reports,
    traces::{Span, SpanKind, Tracer, Value},
};

use crate::common::{Front, GET, OK, SOON, Server, hurried, stalling};

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a Value> {
    span.attributes
        .iter()
        .find(|(own, _)| *own == name)
        .map(|(_, value)| value)
}

#[tokio::test]
async fn each_call_has_a_span_within_its_trace() {
    let metrics = Metrics::new();
    let (reports, mut inbox) = Reports::new(&metrics);
    inbox.want(true);
    let listener = Listener::bind(&"http://127.0.0.1:0".parse().unwrap(), None)
        .await
        .unwrap();
    let server = Server::saying(OK).await;
    let tracer = Tracer::default().reporting_to(reports);
    let front = Front::telling(listener, server.upstream(), TrustedProxies::default(), tracer, metrics);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    front
        .ask(&format!("GET /x?secret=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01\r\n\r\n"))
        .await;
    let mut told = Vec::new();
    tokio::time::timeout(SOON, inbox.receive(&mut told, 1)).await.unwrap();
    let Some(Report::Span(span)) = told.pop() else {
        panic!("there is a span");
    };
    assert!(span.place.traceparent().contains(trace));
    assert_eq!(span.parent.map(wire::SpanId::bits), Some(0xb7ad_6b71_6920_3331));
    assert_eq!((span.kind, &*span.name), (SpanKind::Server, "GET /"));
    assert_eq!(attribute(&span, "url.path"), Some(&Value::Text("/x".into())));
    assert_eq!(
        attribute(&span, "http.response.status_code"),
        Some(&Value::Integer(200))
    );
    assert_eq!(
        attribute(&span, "server.address"),
        Some(&Value::Text(server.url().into()))
    );
    assert_eq!(span.failure, None);
}

#[tokio::test]
async fn calls_are_counted_by_route_upstream_and_status() {
    let server = Server::saying(OK).await;
    let front = Front::to(server.upstream()).await;
    for _ in 0..3 {
        front.ask(GET).await;
    }
    assert_eq!(
        front.sample("sidecar_proxy_requests_total{route=\"/\",upstream=\"api\",status=\"2xx\"}"),
        Some(3.0)
    );
    assert_eq!(front.sample("sidecar_proxy_duration_seconds_count"), Some(3.0));
    assert_eq!(front.sample("sidecar_proxy_pending"), Some(0.0));
    let server = stalling("").await;
    let front = Front::to(hurried(server.upstream())).await;
    front.ask(GET).await;
    assert_eq!(
        front.sample("sidecar_proxy_requests_total{route=\"/\",upstream=\"api\",status=\"5xx\"}"),
        Some(1.0)
    );
    let reason = "sidecar_proxy_failures_total{route=\"/\",upstream=\"api\",reason=\"headers_timeout\"}";
    assert_eq!(front.sample(reason), Some(1.0));
}
