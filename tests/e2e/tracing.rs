//! Traces: one span a hop, carried along the route, and exported to a collector whatever it does.

use std::collections::BTreeMap;

use crate::harness::{Answer, Collector, Field, HANDLERS, Plain, Reply, Sidecar, Value, interpreter, json, wait_until};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Starts `up` or `run` with spans going to `endpoint`, soon.
#[track_caller]
fn start(field: &Field, word: &str, endpoint: &str, more: &[(&str, &str)]) -> Sidecar {
    let soon = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let sidecar = field.start(&[word], &[&soon, more].concat());
    sidecar.ready();
    sidecar
}

/// Three actors in a row; the first makes two of one, the last fails for `2`.
fn three_actors() -> (Field, [Plain; 3]) {
    let actor = |name| format!("{name}: {{ handler: {{ socket: {name}.sock }} }}");
    let field = Field::new(&format!("actors: {{ {} }}", ["a", "b", "c"].map(actor).join(", ")));
    let handlers = [
        Plain::at(&field.path("a.sock"), |_| Answer::text("[1, 2]")),
        Plain::echo(&field.path("b.sock")),
        Plain::at(&field.path("c.sock"), |request| match &*request.body {
            b"2" => Answer::text(r#"{"status":"error","error":"odd","message":"two is not odd"}"#),
            _ => Answer::text("\"fine\""),
        }),
    ];
    (field, handlers)
}

/// The span that a message names in its headers.
#[track_caller]
fn named(message: &Value) -> [&str; 3] {
    let parent = message["headers"]["traceparent"].as_str().expect("a traceparent");
    let parts: Vec<&str> = parent.split('-').collect();
    assert_eq!((parts.len(), parts[0]), (4, "00"), "{parent}");
    [parts[1], parts[2], parts[3]]
}

/// The value of a sample that has no labels, or of one with these.
fn sample(sidecar: &Sidecar, name: &str) -> u64 {
    let (_, text) = sidecar.get("/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.expect("the sample is there").parse().expect("a number")
}

#[test]
fn a_route_with_a_fan_out_and_a_failure_is_one_trace_of_a_span_a_hop() {
    let (field, _handlers) = three_actors();
    let collector = Collector::new();
    let more = [
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=blue%2Cgreen"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20ecret"),
    ];
    let run = start(&field, "run", &collector.url(), &more);
    field.send("a,b,c", "order-42", "0");
    let happy = field.wait_for("happy-end", 1).remove(0);
    let failed = field.wait_for("error-end", 1).remove(0);
    assert!(run.stop().success());

    let spans = collector.spans();
    assert_eq!(spans.len(), 5, "{spans:#?}");
    let by_place: BTreeMap<(&str, &str), &Value> = spans
        .iter()
        .map(|span| {
            let message = span["attributes"]["messaging.message.id"].as_str();
            ((span["name"].as_str().expect("a name"), message.expect("an id")), span)
        })
        .collect();
    let child = failed["id"].as_str().expect("an id");
    let [root, first, second, last, bad] = [
        ("a", "order-42"),
        ("b", "order-42"),
        ("b", child),
        ("c", "order-42"),
        ("c", child),
    ]
    .map(|place| by_place[&place]);
    assert_eq!(root["parent"], "");
    assert_eq!((&first["parent"], &second["parent"]), (&root["id"], &root["id"]));
    assert_eq!((&last["parent"], &bad["parent"]), (&first["id"], &second["id"]));
    assert_eq!(
        named(&happy),
        [&root["trace"], &last["id"], &json!("01")].map(|it| it.as_str().expect("text"))
    );
    assert_eq!(named(&failed)[1], bad["id"]);

    for span in &spans {
        assert_eq!(
            (&span["trace"], &span["kind"]),
            (&root["trace"], &json!("SPAN_KIND_CONSUMER"))
        );
        assert!(span["start"].as_u64() > Some(0) && span["start"].as_u64() <= span["end"].as_u64());
        let attributes = &span["attributes"];
        for (name, value) in [
            ("messaging.system", json!("sqlite")),
            ("messaging.operation.type", json!("process")),
            ("messaging.destination.name", span["name"].clone()),
            ("outrigger.attempt", json!(1)),
        ] {
            assert_eq!(attributes[name], value, "{name} of {span}");
        }
        assert_eq!(
            (&span["resource"]["service.name"], &span["resource"]["team"]),
            (&json!("shop"), &json!("blue,green"))
        );
        assert!(span["resource"]["service.version"].is_string() && span["resource"]["host.name"].is_string());
        let (status, outcome) = if *span == *bad {
            ("STATUS_CODE_ERROR", "failed")
        } else {
            ("STATUS_CODE_UNSET", "forwarded")
        };
        assert_eq!(
            (&span["status"], &attributes["outrigger.outcome"]),
            (&json!(status), &json!(outcome))
        );
    }
    assert_eq!(root["attributes"]["outrigger.outputs"], 2);
    assert_eq!(
        (&bad["message"], &bad["attributes"]["error.type"]),
        (&json!("two is not odd"), &json!("odd"))
    );
    let posts = collector.posts();
    assert_eq!(posts[0].line, "POST /v1/traces HTTP/1.1");
    assert_eq!(
        (&*posts[0].headers["content-type"], &*posts[0].headers["api-key"]),
        ("application/x-protobuf", "s ecret")
    );
}

#[test]
fn a_trace_that_a_message_comes_with_goes_on_and_the_handler_is_shown_the_span_of_its_hop() {
    let python = interpreter();
    let field = Field::new(&format!(
        "actors: {{ tell: {{ handler: {{ run: \"{python} -m outrigger handlers.py:tell\" }} }} }}"
    ));
    field.write("handlers.py", HANDLERS);
    let collector = Collector::new();
    // Nothing but the end of the process makes it send.
    let up = start(
        &field,
        "up",
        &collector.url(),
        &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")],
    );
    let (parent, state) = (format!("traceparent={CALLER}"), "tracestate=vendor=a:b,other=1");
    field.ok(&[
        "send",
        "tell",
        "--payload",
        "{}",
        "--header",
        &parent,
        "--header",
        state,
    ]);
    let message = field.wait_for("happy-end", 1).remove(0);
    assert!(collector.posts().is_empty());
    assert!(up.stop().success());
    let span = &collector.spans()[0];
    assert_eq!(
        (&span["trace"], &span["parent"]),
        (&json!(TRACE), &json!("b7ad6b7169203331"))
    );
    assert_eq!(span["state"], "vendor=a:b,other=1");
    assert_eq!(named(&message), [TRACE, span["id"].as_str().expect("an id"), "01"]);
    assert_eq!(message["headers"]["tracestate"], "vendor=a:b,other=1");
    assert_eq!(
        message["payload"]["headers"], message["headers"],
        "as the handler was told"
    );
}

#[test]
fn an_unsampled_trace_stays_so_and_is_carried_without_being_exported() {
    let (field, _handlers) = three_actors();
    let collector = Collector::new();
    let run = start(&field, "run", &collector.url(), &[]);
    let parent = format!("traceparent={}", CALLER.replace("-01", "-00"));
    field.ok(&["send", "b", "--payload", "1", "--header", &parent]);
    let message = field.wait_for("happy-end", 1).remove(0);
    assert!(run.stop().success());
    let [trace, span, flags] = named(&message);
    assert_eq!((trace, flags), (TRACE, "00"));
    assert_ne!(span, "b7ad6b7169203331", "it has a span of its own all the same");
    assert!(collector.posts().is_empty());
}

#[test]
fn a_broken_traceparent_starts_a_trace_afresh_and_other_headers_stay() {
    let (field, _handlers) = three_actors();
    let run = field.run();
    let broken = format!(
        r#"{{"id":"m","route":{{"actors":["b"],"current":0}},"headers":{{"x":1.0,"traceparent":"{}","tracestate":"a=1"}},"payload":1}}"#,
        CALLER.to_uppercase()
    );
    field.put("b", &[broken]);
    let message = field.wait_for("happy-end", 1).remove(0);
    assert!(run.stop().success());
    assert_ne!(named(&message)[0], TRACE);
    assert_eq!(
        (&message["headers"]["x"], message["headers"].get("tracestate")),
        (&json!(1.0), None)
    );
}

#[test]
fn a_span_of_the_handlers_own_is_the_parent_of_the_next_hop_and_a_foreign_trace_is_not() {
    let field = Field::new(
        "actors: { a: { handler: { socket: a.sock }, input: envelope, reply: envelope }, b: { handler: { socket: b.sock } } }",
    );
    let _first = Plain::at(&field.path("a.sock"), |request| {
        let message = request.json();
        let [trace, ..] = named(&message);
        let trace = if message["payload"] == "stay" {
            trace.to_owned()
        } else {
            "f".repeat(32)
        };
        let own = format!("00-{trace}-00000000000000aa-01");
        Answer::text(json!({"payload": message["payload"], "headers": {"traceparent": own}}).to_string())
    });
    let _second = Plain::echo(&field.path("b.sock"));
    let collector = Collector::new();
    let run = start(&field, "run", &collector.url(), &[]);
    field.send("a,b", "stays", "\"stay\"");
    field.send("a,b", "strays", "\"stray\"");
    field.wait_for("happy-end", 2);
    assert!(run.stop().success());
    let spans = collector.spans();
    let find = |actor: &str, id: &str| {
        let is = |span: &&Value| span["name"] == actor && span["attributes"]["messaging.message.id"] == id;
        spans.iter().find(is).expect("its span")
    };
    assert_eq!(find("b", "stays")["trace"], find("a", "stays")["trace"]);
    assert_eq!(find("b", "stays")["parent"], "00000000000000aa");
    assert_eq!(find("b", "strays")["trace"], find("a", "strays")["trace"]);
    assert_eq!(find("b", "strays")["parent"], find("a", "strays")["id"]);
}

#[test]
fn every_attempt_at_the_first_hop_is_a_span_of_one_trace_and_says_what_became_of_it() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, retry: { attempts: 3, backoff: 1ms } } }");
    let _handler = Plain::at(&field.path("a.sock"), |request| match request.number {
        1 => Answer::Slowly(
            [
                &br#"{"status":"progress","percent":40,"message":"almost half"}"#[..],
                br#"{"status":"error","error":"down","message":"no database"}"#,
            ]
            .map(frame)
            .to_vec(),
            std::time::Duration::ZERO,
        ),
        _ => Answer::text("null"),
    });
    let collector = Collector::new();
    let run = start(&field, "run", &collector.url(), &[]);
    field.send("a", "m1", "1");
    let message = field.wait_for("happy-end", 1).remove(0);
    assert!(run.stop().success());
    let spans = collector.spans();
    let [failed, done] = &*spans else { panic!("{spans:#?}") };
    assert_eq!((&failed["trace"], &failed["parent"]), (&done["trace"], &done["parent"]));
    assert_eq!(
        (&failed["status"], &done["status"]),
        (&json!("STATUS_CODE_ERROR"), &json!("STATUS_CODE_UNSET"))
    );
    let told = |span: &Value| {
        [
            span["attributes"]["outrigger.attempt"].clone(),
            span["attributes"]["outrigger.outcome"].clone(),
        ]
    };
    assert_eq!(told(failed), [json!(1), json!("put_back")]);
    assert_eq!(told(done), [json!(2), json!("forwarded")]);
    let events: Vec<&Value> = failed["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(events, ["progress", "retry"]);
    assert_eq!(failed["events"][0]["attributes"]["outrigger.progress.percent"], 40.0);
    assert_eq!(
        named(&message)[1],
        done["id"],
        "the empty reply's original names its hop"
    );
}

#[test]
fn what_is_no_envelope_is_buried_in_its_own_shape_and_told_of() {
    let (field, _handlers) = three_actors();
    let collector = Collector::new();
    let run = start(&field, "run", &collector.url(), &[]);
    field.put_bytes("b", b"{\"id\":\"x\", broken");
    let message = field.wait_for("error-end", 1).remove(0);
    assert!(run.stop().success());
    let span = &collector.spans()[0];
    let fields: Vec<_> = message.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["error", "id", "payload"]);
    assert_eq!(span["attributes"]["error.type"], "invalid_envelope");
}

#[test]
fn without_an_endpoint_nothing_is_exported_and_traces_are_made_and_carried_all_the_same() {
    let (field, _handlers) = three_actors();
    let collector = Collector::new();
    for off in [
        vec![],
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
            ("OTEL_SDK_DISABLED", "true".to_owned()),
        ],
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
            ("OTEL_TRACES_SAMPLER", "always_off".to_owned()),
        ],
    ] {
        let environment: Vec<(&str, &str)> = off.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let run = field.start(&["run"], &environment);
        run.ready();
        field.send("b", "m1", "1");
        let taken = field.ok(&["take", "happy-end", "--wait", "20s", "--output", "json"]);
        let messages: Vec<Value> = serde_json::from_str(&taken).expect("an array");
        named(&messages[0]);
        assert!(run.stop().success());
    }
    assert!(collector.posts().is_empty());
}

#[test]
fn a_collector_that_is_busy_gets_the_same_again() {
    let (field, _handlers) = three_actors();
    let collector = Collector::answering(|number| match number {
        1 => Reply::Status(503, "Retry-After: 1\r\n"),
        2 => Reply::Close,
        _ => Reply::Take,
    });
    let run = start(&field, "run", &collector.url(), &[]);
    field.load(&["b"], 1);
    collector.wait_for_posts(3);
    assert!(run.stop().success());
    let posts = collector.posts();
    assert_eq!(posts[0].body, posts[2].body);
    assert_eq!(collector.spans().len(), 1);
}

#[test]
fn a_collector_that_hangs_or_is_not_there_holds_up_no_message_and_its_losses_are_counted_and_said_once() {
    let hanging = Collector::answering(|_| Reply::Hang);
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nowhere = format!("http://{}", refusing.local_addr().expect("its address"));
    drop(refusing);
    for endpoint in [hanging.url(), nowhere] {
        let field = Field::new("actors: { a: { handler: { socket: a.sock }, concurrency: 8 } }");
        let _handler = Plain::echo(&field.path("a.sock"));
        let small = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100000"),
        ];
        let run = start(&field, "run", &endpoint, &small);
        field.load(&["a"], 200);
        field.wait_for("happy-end", 200);
        let dropped = sample(&run, "sidecar_spans_dropped_total{reason=\"full\"}");
        assert!(dropped >= 190, "{dropped}");
        let said = |run: &Sidecar| {
            let lines = run.lines();
            lines
                .iter()
                .filter(|line| {
                    line["message"]
                        .as_str()
                        .is_some_and(|it| it.starts_with("spans are dropped"))
                })
                .count()
        };
        assert_eq!(said(&run), 1);
        assert!(run.stop().success(), "the end is not held up either");
    }
}

#[test]
fn what_the_collector_does_not_want_is_counted_and_not_sent_again() {
    let (field, _handlers) = three_actors();
    // A partial success: field 1, of which field 1 is one rejected span and field 2 says why.
    let partial = b"\x0a\x09\x08\x01\x12\x05no ID";
    let collector = Collector::answering(move |number| match number {
        1 => Reply::Status(400, ""),
        2 => Reply::Say(partial),
        _ => Reply::Take,
    });
    let run = start(&field, "run", &collector.url(), &[]);
    for number in 1..=3 {
        field.send("b", &format!("m{number}"), "1");
        collector.wait_for_posts(number);
    }
    wait_until("all is counted", || {
        let refused = sample(&run, "sidecar_spans_dropped_total{reason=\"refused\"}");
        let exported = sample(&run, "sidecar_spans_exported_total");
        (refused + exported == 3).then_some((refused, exported))
    });
    assert!(run.stop().success());
    assert_eq!(collector.posts().len(), 3);
}

#[test]
fn a_setting_that_cannot_be_obeyed_is_said_and_the_work_goes_on() {
    let (field, _handlers) = three_actors();
    let collector = Collector::new();
    let run = start(
        &field,
        "run",
        &collector.url(),
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
    );
    field.load(&["b"], 1);
    field.wait_for("happy-end", 1);
    let said = run.said();
    assert!(said.contains("OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`"), "{said}");
    assert!(run.stop().success());
    assert_eq!(collector.spans().len(), 1);
}

/// A frame of the socket protocol.
fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short frame").to_be_bytes();
    [&length, body].concat()
}
