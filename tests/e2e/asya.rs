//! Runtimes of Asya, unchanged, in each of their three generations.

use std::fs;

use crate::harness::{Answer, Field, Foreign, Plain, Value, interpreter, json, wait_until};

/// Actor `a` beside a runtime of this generation, then `b`, which answers with what it is given.
fn beside(generation: &str, rest: &str) -> Field {
    Field::new(&format!(
        "actors: {{ a: {{ handler: {{ socket: a.sock, dialect: asya-{generation} }}{rest} }}, b: {{ handler: {{ socket: b.sock }} }}, c: {{ handler: {{ socket: c.sock }} }} }}"
    ))
}

fn envelope(payload: &str) -> String {
    format!(
        r#"{{"id":"order-42","route":{{"actors":["a","b"],"current":0,"metadata":{{"k":1.0}}}}, "headers":{{"tenant":"t"}},"mine":true,"payload":{payload}}}"#
    )
}

const ALL: [&str; 3] = ["1", "2", "3"];

#[test]
fn a_value_goes_to_the_next_actor_and_the_message_keeps_its_bytes() {
    for generation in ALL {
        let field = beside(generation, "");
        let _runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        let others = [Plain::echo(&field.path("b.sock")), Plain::echo(&field.path("c.sock"))];
        field.put("a", &[envelope(r#"{"n":1}"#)]);
        let run = field.run();
        assert_eq!(
            field.wait_for_text("happy-end"),
            envelope(r#"{"n": 1}"#).replace(r#""current":0"#, r#""current":2"#),
            "generation {generation}"
        );
        assert_eq!(others[0].requests(), [r#"{"n": 1}"#]);
        assert!(run.stop().success());
    }
}

#[test]
fn the_whole_message_is_told_in_the_runtimes_own_spelling_whatever_it_came_in() {
    let newer = envelope("0");
    let older = r#"{"job_id":"order-42","route":{"steps":["a","b"],"current":0,"metadata":{"k":1.0}},"headers":{"tenant":"t"},"mine":true,"payload":0}"#;
    for generation in ALL {
        let field = beside(generation, "");
        let _runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        let _others = [Plain::echo(&field.path("b.sock")), Plain::echo(&field.path("c.sock"))];
        field.put("a", &[newer.clone(), older.to_owned()]);
        let run = field.run();
        field.wait_for("happy-end", 2);
        let (id, route) = match generation {
            "1" => (
                "job_id",
                json!({"steps": ["a", "b"], "current": 0, "metadata": {"k": 1.0}}),
            ),
            "2" => (
                "id",
                json!({"actors": ["a", "b"], "current": 0, "metadata": {"k": 1.0}}),
            ),
            _ => (
                "id",
                json!({"prev": [], "curr": "a", "next": ["b"], "metadata": {"k": 1.0}}),
            ),
        };
        for message in Foreign::told(&field) {
            let mut expected = json!({"route": route, "headers": {"tenant": "t"}, "mine": true, "payload": 0});
            expected[id] = json!("order-42");
            let mut message = message;
            // The hop's own trace, where there is one.
            if let Some(headers) = message["headers"].as_object_mut() {
                headers.retain(|name, _| !name.starts_with("trace"));
            }
            assert_eq!(message, expected, "generation {generation}");
        }
        let texts = field.texts("happy-end");
        assert!(
            texts[0].contains(r#""id":"order-42""#) && texts[0].contains(r#""actors""#),
            "{}",
            texts[0]
        );
        assert!(
            texts[1].contains(r#""job_id":"order-42""#) && texts[1].contains(r#""steps""#),
            "{}",
            texts[1]
        );
        assert!(run.stop().success());
    }
}

#[test]
fn a_fan_out_has_the_ids_that_every_fan_out_has() {
    for generation in ALL {
        let field = beside(generation, "");
        let _runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        let _others = [Plain::echo(&field.path("b.sock")), Plain::echo(&field.path("c.sock"))];
        field.put("a", &[envelope(r#"{"do":"split","n":3}"#)]);
        let run = field.run();
        let out = field.wait_for("happy-end", 3);
        let seen: Vec<_> = out
            .iter()
            .map(|it| (&it["id"], &it["parent_id"], &it["payload"]["part"]))
            .collect();
        assert_eq!(
            seen,
            [
                (&json!("order-42"), &json!(null), &json!(0)),
                (
                    &json!("aae1ccb4-fc35-50e6-a69e-c8847925a21c"),
                    &json!("order-42"),
                    &json!(1)
                ),
                (
                    &json!("6107140e-2c9f-5142-b057-e4984342a6fe"),
                    &json!("order-42"),
                    &json!(2)
                ),
            ],
            "generation {generation}"
        );
        assert!(
            out.iter()
                .all(|it| it["headers"]["tenant"] == "t" && it["mine"] == true)
        );
        assert!(run.stop().success());
    }
}

#[test]
fn no_output_sends_the_original_to_happy_end_byte_for_byte() {
    for generation in ALL {
        let field = beside(generation, "");
        let _runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        let others = [Plain::echo(&field.path("b.sock")), Plain::echo(&field.path("c.sock"))];
        let sent = envelope(r#"{ "do":"nothing" }"#);
        field.put("a", std::slice::from_ref(&sent));
        let run = field.run();
        assert_eq!(field.wait_for_text("happy-end"), sent, "generation {generation}");
        assert_eq!(others[0].requests(), Vec::<String>::new());
        assert!(run.stop().success());
    }
}

#[test]
fn a_failure_is_recorded_with_its_code_type_and_traceback_and_is_terminal() {
    for generation in ALL {
        let field = beside(generation, "");
        let _runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        let sent = envelope(r#"{"do":"fail"}"#);
        field.put("a", std::slice::from_ref(&sent));
        let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "a")]);
        run.ready();
        let failed = field.wait_for("error-end", 1).remove(0);
        let error = &failed["error"];
        assert_eq!(
            [&error["code"], &error["message"], &error["type"], &error["traceback"]],
            [
                "processing_error",
                "no model",
                "ValueError",
                "Traceback of the stand-in"
            ],
            "generation {generation}"
        );
        let mro = if generation == "3" {
            json!({"mro": ["Exception"]})
        } else {
            json!(null)
        };
        assert_eq!(error["details"], mro);
        assert_eq!((&error["actor"], &error["attempt"]), (&json!("a"), &json!(1)));
        let text = field.texts("error-end").remove(0);
        assert!(text.starts_with(sent.trim_end_matches('}')), "the original: {text}");
        assert_eq!(Foreign::told(&field).len(), 1);
        assert!(run.stop().success());
    }
}

#[test]
fn a_close_without_a_byte_is_the_runtimes_own_error() {
    for generation in ALL {
        let field = beside(generation, ", retry: { attempts: 2, backoff: 10ms }");
        let _runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        field.put("a", &[envelope(r#"{"do":"crash"}"#)]);
        let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "a")]);
        run.ready();
        let error = field.wait_for_error();
        assert_eq!(error["code"], "handler_error", "generation {generation}: {error}");
        assert!(
            error["message"].as_str().expect("a text").contains("without an answer"),
            "{error}"
        );
        assert_eq!(
            (Foreign::told(&field).len(), &error["attempt"]),
            (2, &json!(2)),
            "tried as any error is"
        );
        assert!(run.stop().success());
    }
}

#[test]
fn a_runtime_that_hangs_is_a_timeout() {
    for generation in ALL {
        let field = beside(generation, ", timeout: 500ms");
        let _runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        field.put("a", &[envelope(r#"{"do":"hang"}"#)]);
        let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "a")]);
        run.ready();
        assert_eq!(field.wait_for_error()["code"], "timeout", "generation {generation}");
        assert!(run.stop().success());
    }
}

#[test]
fn a_runtime_that_is_not_there_costs_nothing_and_one_that_dies_is_waited_for() {
    for generation in ALL {
        let field = beside(generation, ", max_deliveries: 1");
        field.put("a", &[envelope(r#"{"n":1}"#)]);
        let _others = [Plain::echo(&field.path("b.sock")), Plain::echo(&field.path("c.sock"))];
        let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "a")]);
        wait_until("it serves", || (run.get("/healthz").0 == 200).then_some(()));
        assert_eq!(
            (run.get("/readyz").0, field.depth("a"), field.depth("error-end")),
            (503, 1, 0)
        );
        let runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        run.ready();
        field.wait_for("b", 1);
        drop(runtime);
        let _ = fs::remove_file(field.path("a.sock"));
        field.put("a", &[envelope(r#"{"n":2}"#)]);
        wait_until("/readyz is red", || (run.get("/readyz").0 == 503).then_some(()));
        let _runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        field.wait_for("b", 2);
        assert_eq!(field.depth("error-end"), 0, "generation {generation}");
        assert!(run.stop().success());
    }
}

#[test]
fn the_second_generation_is_ready_when_it_says_so_in_a_file() {
    let field = beside("2", "");
    let _runtime = Foreign::asya(&field, "2", "a.sock", &[("NOT_READY", "1")]);
    field.put("a", &[envelope("1")]);
    let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "a")]);
    wait_until("it serves", || (run.get("/healthz").0 == 200).then_some(()));
    assert_eq!(
        (run.is_ready(), field.depth("a")),
        (false, 1),
        "its socket is there, the file is not"
    );
    field.write("runtime-ready", "ready");
    run.ready();
    field.wait_for("b", 1);
    assert!(run.stop().success());
}

#[test]
fn a_runtime_may_change_the_rest_of_the_route_and_not_what_has_happened() {
    for (generation, rest, past) in [
        ("1", r#"["a","c"]"#, r#"["z","b"]"#),
        ("2", r#"["a","c"]"#, r#"["z","b"]"#),
        ("3", r#"["c"]"#, ""),
    ] {
        let field = beside(generation, "");
        let _runtime = Foreign::asya(&field, generation, "a.sock", &[]);
        let others = [Plain::echo(&field.path("b.sock")), Plain::echo(&field.path("c.sock"))];
        field.put("a", &[envelope(&format!(r#"{{"n":1,"route":{rest}}}"#))]);
        let run = field.run();
        let out = field.wait_for("happy-end", 1).remove(0);
        assert_eq!(
            (
                &out["route"]["actors"],
                &out["route"]["current"],
                &out["route"]["metadata"]
            ),
            (&json!(["a", "c"]), &json!(2), &json!({"k": 1.0})),
            "generation {generation}"
        );
        assert_eq!(others.each_ref().map(|other| other.requests().len()), [0, 1]);
        if !past.is_empty() {
            field.put("a", &[envelope(&format!(r#"{{"n":1,"route":{past}}}"#))]);
            assert_eq!(field.wait_for_error()["code"], "bad_reply", "generation {generation}");
        }
        assert!(run.stop().success());
    }
}

#[test]
fn a_stream_goes_upstream_to_whoever_follows_and_downstream_along_the_route() {
    let field = beside("3", "");
    let _runtime = Foreign::asya(&field, "3", "a.sock", &[]);
    let payloads = [
        r#"{"do":"stream","n":2}"#,
        r#"{"do":"stream","n":0}"#,
        r#"{"do":"stream","n":1,"then":"fail"}"#,
    ];
    let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "a")]);
    run.ready();
    for (number, payload) in payloads.into_iter().enumerate() {
        let sent = envelope(payload)
            .replace("order-42", &format!("s{number}"))
            .replace(r#""tenant":"t""#, r#""reply_to":"c""#);
        field.put("a", &[sent]);
    }
    let parts: Vec<_> = field
        .wait_for("b", 2)
        .iter()
        .map(|it| it["payload"]["part"].clone())
        .collect();
    assert_eq!(parts, [0, 1]);
    assert_eq!(
        field.wait_for("happy-end", 1)[0]["id"],
        "s1",
        "a stream without frames has no output"
    );
    let failed = field.wait_for("error-end", 1).remove(0);
    assert_eq!(
        (&failed["id"], &failed["error"]["code"], &failed["error"]["message"]),
        (&json!("s2"), &json!("processing_error"), &json!("in the middle"))
    );
    wait_until("every stream has shown its token", || {
        let shown = |event: &&Value| event["event"] == "partial" && event["data"] == json!({"token": "a"});
        (field.messages("c").iter().filter(shown).count() == 3).then_some(())
    });
    assert!(run.stop().success());
}

#[test]
fn a_stream_that_breaks_off_is_a_lost_handler() {
    let field = beside("3", ", max_deliveries: 2");
    let _runtime = Foreign::asya(&field, "3", "a.sock", &[]);
    field.put("a", &[envelope(r#"{"do":"stream","n":1,"then":"break"}"#)]);
    let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "a")]);
    run.ready();
    assert_eq!(field.wait_for_error()["code"], "attempts_exhausted");
    assert_eq!((Foreign::told(&field).len(), field.depth("b")), (2, 0));
    assert!(run.stop().success());
}

#[test]
fn an_answer_that_is_no_list_of_frames_is_a_bad_reply() {
    let field = beside("2", "");
    field.write("runtime-ready", "ready");
    let answers = [r#"{"payload":1}"#, "7", "[{}]", "[1", r#"[{"payload":1,"route":3}]"#];
    let _runtime = Plain::at(&field.path("a.sock"), move |request| {
        Answer::text(answers[request.number - 1])
    });
    field.load(&["a"], answers.len());
    let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "a")]);
    run.ready();
    for message in field.wait_for("error-end", answers.len()) {
        assert_eq!(message["error"]["code"], "bad_reply", "{message}");
    }
    assert!(run.stop().success());
}

#[test]
fn an_end_actors_frames_go_nowhere_whatever_they_are() {
    let field = Field::new("actors: { happy-end: { handler: { socket: a.sock, dialect: asya-2 } } }");
    let _runtime = Foreign::asya(&field, "2", "a.sock", &[("END_ACTOR", "1")]);
    let done = r#"{"id":"m","route":{"actors":["x"],"current":1},"payload":{"n":1}}"#;
    let without = r#"{"id":"w","payload":2}"#;
    // The command line puts nothing without a route.
    field.put("happy-end", &[done.to_owned()]);
    field.put_bytes("happy-end", without.as_bytes());
    let run = field.run();
    wait_until("both are done", || (Foreign::told(&field).len() == 2).then_some(()));
    wait_until("the queue is empty", || {
        (field.depth("happy-end") + field.in_flight("happy-end") == 0).then_some(())
    });
    assert_eq!(field.depth("error-end"), 0);
    let routes: Vec<_> = Foreign::told(&field)
        .into_iter()
        .map(|message| message["route"].clone())
        .collect();
    assert_eq!(
        routes,
        [
            json!({"actors": ["x"], "current": 1}),
            json!({"actors": ["happy-end"], "current": 0})
        ]
    );
    assert!(run.stop().success());
}

#[test]
fn a_runtime_that_up_starts_binds_the_socket_that_it_is_told() {
    let python = interpreter();
    for generation in ALL {
        let field = Field::new(&format!(
            "actors: {{ a: {{ handler: {{ run: \"{python} asya.py {generation}\", dialect: asya-{generation} }} }} }}"
        ));
        Foreign::write_asya(&field);
        field.load(&["a"], 5);
        let up = field.up();
        field.wait_for("happy-end", 5);
        assert_eq!(Foreign::told(&field).len(), 5, "generation {generation}");
        assert!(up.stop().success());
    }
}
