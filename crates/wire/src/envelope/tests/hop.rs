//! What becomes of the trace of an envelope.

use super::given::{FULL, envelope, part, record, value};
use crate::envelope::Envelope;
use crate::{Json, Part, Sampling, SpanId, TraceContext, TraceId};

const CAME: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const HOP: &str = "00-0af7651916cd43dd8448eb211c80319c-0000000000000007-00";
const FRESH: &str = "00-00000000000000000000000000000009-0000000000000007-01";

/// The span 7: of the trace that came, else of a new one.
fn hop(parent: Option<TraceContext>, _id: &str) -> TraceContext {
    let span = SpanId::new(7);
    parent.map_or_else(
        || TraceContext::root(TraceId::new(9), span, Sampling::Recorded),
        |parent| parent.child(span),
    )
}

fn entered(text: &str) -> Envelope {
    let mut message = envelope(text);
    let trace = message.enter(hop);
    assert_eq!(message.place_of(&part("1")), Some(trace));
    message
}

fn with_headers(headers: &str) -> String {
    format!(r#"{{"id":"m","headers":{headers},"route":{{"actors":["a"],"current":0}},"payload":1}}"#)
}

fn giving(headers: &str) -> Part {
    Part {
        headers: Some(Json::parse(headers.to_owned().into()).unwrap()),
        ..part("1")
    }
}

#[test]
fn a_message_that_has_a_trace_goes_on_in_it_and_all_that_is_made_of_it_names_the_hop() {
    let headers = format!(r#"{{ "x":1.0, "tracestate":"a=1,b=2" ,"traceparent":"{CAME}","y":[]}}"#);
    let message = entered(&with_headers(&headers));
    let expected = headers.replace(CAME, HOP);
    assert_eq!(message.headers().unwrap().as_str(), expected);
    assert_eq!(message.finished(), with_headers(&expected));
    assert_eq!(message.with_attempt(1), with_headers(&expected));
    assert_eq!(
        message.advance(0, &part("1")),
        with_headers(&expected).replace(r#""current":0"#, r#""current":1"#)
    );
    assert_eq!(value(&message.failed(&record()))["headers"]["traceparent"], HOP);
    assert_eq!(message.body(), &with_headers(&headers), "what came stays what came");
}

#[test]
fn a_message_without_a_sound_trace_starts_one_and_gets_headers_where_it_has_none() {
    for without in [
        "null",
        "{}",
        r#"{"traceparent":7}"#,
        r#"{"traceparent":"00-1","tracestate":"a=1"}"#,
    ] {
        let message = entered(&with_headers(without));
        let expected = with_headers(&format!(r#"{{"traceparent":"{FRESH}"}}"#));
        assert_eq!(message.finished(), expected, "{without}");
    }
    let bare = r#"{"id":"m","route":{"actors":["a"],"current":0},"payload":1}"#;
    assert_eq!(
        entered(bare).finished(),
        bare.replace(
            r#""payload":1"#,
            &format!(r#""payload":1,"headers":{{"traceparent":"{FRESH}"}}"#)
        )
    );
    assert_eq!(value(&entered(FULL).finished())["headers"]["job"], "j");
}

#[test]
fn headers_that_are_none_are_carried_on() {
    for odd in ["7", "[1]", r#""x""#] {
        let message = entered(&with_headers(odd));
        assert_eq!(message.finished(), with_headers(odd));
        assert_eq!(message.headers(), None);
    }
}

#[test]
fn a_sound_state_is_carried_and_a_broken_one_is_dropped() {
    let with = |state: &str| with_headers(&format!(r#"{{"traceparent":"{CAME}","tracestate":{state}}}"#));
    let headers = |state: &str| value(&entered(&with(state)).finished())["headers"].take();
    assert_eq!(headers(r#""a=\u0062""#)["tracestate"], "a=b");
    for broken in [r#""A""#, "7", "null", r#""""#] {
        assert_eq!(headers(broken).get("tracestate"), None, "{broken}");
    }
}

#[test]
fn a_span_of_the_handlers_own_stands_when_it_is_of_the_same_trace() {
    let own = CAME.replace("b7ad6b7169203331", "00000000000000aa");
    let message = entered(&with_headers(&format!(
        r#"{{"traceparent":"{CAME}","tracestate":"a=1","x":1}}"#
    )));
    let output = |given: &Part| value(&message.advance(0, given))["headers"].take();

    let given = giving(&format!(r#"{{"traceparent":"{own}","x":2}}"#));
    let headers = output(&given);
    assert_eq!(
        (&headers["traceparent"], &headers["x"]),
        (&own.clone().into(), &2.into())
    );
    assert_eq!(
        headers["tracestate"], "a=1",
        "the message's, where the handler says nothing"
    );
    assert_eq!(message.place_of(&given).unwrap().traceparent(), own);

    let given = giving(&format!(r#"{{"traceparent":"{own}","tracestate":"b=2"}}"#));
    assert_eq!(output(&given)["tracestate"], "b=2");
    assert_eq!(message.place_of(&given).unwrap().tracestate(), Some("b=2"));
}

#[test]
fn a_trace_that_is_not_the_messages_own_does_not_take_its_place() {
    let message = entered(&with_headers(&format!(r#"{{"traceparent":"{CAME}"}}"#)));
    for foreign in [FRESH, "00-1", ""] {
        let given = giving(&format!(r#"{{"traceparent":"{foreign}","tracestate":"b=2","x":1}}"#));
        let headers = value(&message.advance(0, &given))["headers"].take();
        assert_eq!(headers, serde_json::json!({"traceparent": HOP, "x": 1}), "{foreign}");
        assert_eq!(message.place_of(&given).unwrap().traceparent(), HOP);
    }
    let given = giving(r#"{"traceparent":null}"#);
    assert_eq!(value(&message.advance(0, &given))["headers"]["traceparent"], HOP);
}
