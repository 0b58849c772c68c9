//! Handlers that answer: where their results go, under which ids, byte for byte.

use crate::harness::{Answer, Field, Plain, json, untraced};

#[test]
fn one_value_goes_to_the_next_actor_and_to_happy_end_when_the_route_is_done() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } }, b: { handler: { socket: b.sock } } }");
    let first = Plain::at(&field.path("a.sock"), |_| Answer::text(r#"{"from": "a", "x": 1.50}"#));
    let second = Plain::at(&field.path("b.sock"), |_| Answer::text(r#""from b""#));
    field.put(
        "a",
        &[r#"{"id":"one","route":{"actors":["a","b"],"current":0},"payload":{"n" : 1e2}}"#.to_owned()],
    );
    let run = field.run();
    assert_eq!(
        field.wait_for_text("happy-end"),
        r#"{"id":"one","route":{"actors":["a","b"],"current":2},"payload":"from b"}"#
    );
    assert_eq!(
        first.requests(),
        [r#"{"n" : 1e2}"#],
        "the payload's bytes, as they stand in the envelope"
    );
    assert_eq!(second.requests(), [r#"{"from": "a", "x": 1.50}"#], "the result's bytes");
    assert!(run.stop().success());
}

#[test]
fn unknown_fields_headers_and_numbers_are_carried_byte_for_byte() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let _handler = Plain::echo(&field.path("a.sock"));
    let envelope = r#"{ "x-first": [1.0, 2e3 ],"id":"u","parent_id":"p","route":{"extra":{"é":null},"actors":["a"],"current":0,"metadata":{"k":"v"}}, "headers":{"tenant":"t","n":12345678901234567890},"payload":{"big":123456789012345678901234567890.00},"deadline":"2999-01-01T00:00:00Z","zz":"\u00e9"}"#;
    field.put("a", &[envelope.to_owned()]);
    let run = field.run();
    assert_eq!(
        field.wait_for_text("happy-end"),
        envelope.replace(r#""current":0"#, r#""current":1"#)
    );
    assert!(run.stop().success());
}

/// Ids of children computed by Python: `uuid.uuid5(uuid.UUID("6f0b7c1e-5d0a-5c2e-9a53-0f7c1d9b2e41"), "order-42\n0\n1")`.
#[test]
fn an_array_fans_out_in_order_under_ids_that_can_be_computed() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } }, b: { handler: { socket: b.sock } } }");
    let _split = Plain::at(&field.path("a.sock"), |_| Answer::text(r#"["zero", null, {"two":2}]"#));
    let second = Plain::echo(&field.path("b.sock"));
    field.send("a,b", "order-42", "0");
    let run = field.run();
    let out = field.wait_for("happy-end", 3);
    let seen: Vec<_> = out.iter().map(|it| (&it["id"], &it["parent_id"])).collect();
    assert_eq!(
        seen,
        [
            (&json!("order-42"), &json!(null)),
            (&json!("aae1ccb4-fc35-50e6-a69e-c8847925a21c"), &json!("order-42")),
            (&json!("6107140e-2c9f-5142-b057-e4984342a6fe"), &json!("order-42")),
        ]
    );
    assert_eq!(
        second.requests(),
        [r#""zero""#, "null", r#"{"two":2}"#],
        "a null inside is an output"
    );
    // The null came back as no output: its envelope is as it arrived at b.
    assert_eq!(
        (&out[1]["payload"], &out[1]["route"]["current"]),
        (&json!(null), &json!(1))
    );
    assert_eq!(
        (&out[2]["payload"], &out[2]["route"]["current"]),
        (&json!({"two": 2}), &json!(2))
    );
    assert!(run.stop().success());
}

#[test]
fn a_fan_out_of_a_fan_out_names_its_direct_parent_and_a_list_can_be_one_value() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } }, b: { handler: { socket: b.sock } } }");
    let _split = Plain::at(&field.path("a.sock"), |_| Answer::text("[1, 2]"));
    let _again = Plain::at(&field.path("b.sock"), |request| match &*request.body {
        b"1" => Answer::text(r#"{"status":"ok","result":[[7,8]]}"#),
        _ => Answer::text("[3, 4]"),
    });
    field.send("a,b", "order-42", "0");
    let run = field.run();
    let out = field.wait_for("happy-end", 3);
    let child = "aae1ccb4-fc35-50e6-a69e-c8847925a21c";
    let seen: Vec<_> = out
        .iter()
        .map(|it| (&it["id"], &it["parent_id"], &it["payload"]))
        .collect();
    assert_eq!(
        seen,
        [
            (&json!("order-42"), &json!(null), &json!([7, 8])),
            (&json!(child), &json!("order-42"), &json!(3)),
            (&json!("ad0ed86b-af69-5f03-9ae1-02685d0be701"), &json!(child), &json!(4)),
        ]
    );
    assert!(run.stop().success());
}

#[test]
fn nothing_sends_the_original_to_happy_end_byte_for_byte_past_the_rest_of_the_route() {
    let answers = [
        "null",
        "[]",
        r#"{"status":"ok"}"#,
        r#"{"status":"ok","result":null}"#,
        r#"{"status":"ok","result":[]}"#,
    ];
    let field = Field::new("actors: { a: { handler: { socket: a.sock } }, b: { handler: { socket: b.sock } } }");
    let _handler = Plain::at(&field.path("a.sock"), move |request| {
        Answer::text(answers[request.number - 1])
    });
    let second = Plain::echo(&field.path("b.sock"));
    let envelopes: Vec<String> = (0..answers.len())
        .map(|n| {
            format!(
                r#"{{"note": "kept" ,"id":"m{n}","route":{{"current":0,"actors":["a","b"]}},"payload":{{"n": {n}.0}}}}"#
            )
        })
        .collect();
    field.put("a", &envelopes);
    let run = field.run();
    field.wait_for("happy-end", answers.len());
    assert_eq!(field.texts("happy-end"), envelopes);
    assert_eq!(second.requests(), Vec::<String>::new());
    assert!(run.stop().success());
}

#[test]
fn the_handler_that_wants_the_envelope_gets_it_as_it_stands() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock }, input: envelope } }");
    let handler = Plain::at(&field.path("a.sock"), |_| Answer::text("1"));
    let envelope = r#"{"id":"e", "route":{"actors":["a"],"current":0} ,"x":1.0,"payload":[ ]}"#;
    field.put("a", &[envelope.to_owned()]);
    let run = field.run();
    field.wait_for("happy-end", 1);
    let requests = handler.requests();
    assert_eq!(requests.iter().map(|it| untraced(it)).collect::<Vec<_>>(), [envelope]);
    assert!(run.stop().success());
}

#[test]
fn a_large_payload_comes_through_byte_for_byte() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } }, b: { handler: { socket: b.sock } } }");
    let handlers = [Plain::echo(&field.path("a.sock")), Plain::echo(&field.path("b.sock"))];
    let payload = format!(
        r#"{{"text" : "{}", "n": 1.0}}"#,
        "0123456789abcdef".repeat(8 * 1024 * 1024 / 16)
    );
    let sent = format!(r#"{{"id":"large","route":{{"actors":["a","b"],"current":0}},"payload":{payload}}}"#);
    field.put("a", std::slice::from_ref(&sent));
    let run = field.run();
    let text = field.wait_for_text("happy-end");
    let expected = sent.replace(r#""current":0"#, r#""current":2"#);
    assert!(text == expected, "of {} bytes came {}", expected.len(), text.len());
    assert_eq!(handlers.map(|handler| handler.requests().len()), [1, 1]);
    assert!(run.stop().success());
}
