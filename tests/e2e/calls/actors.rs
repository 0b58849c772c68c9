//! Calls meet messages: an actor is called as a function, and a function works for an actor.

use super::{ask, invoke, post};
use crate::harness::{Answer, Field, Foreign, HANDLERS, Plain, json, wait_until};

#[test]
fn an_actors_process_is_called_as_a_function() {
    let field = Field::new(
        "actors: { work: { handler: { run: \"python3 -m outrigger handlers.py:work\" } } }
calls:
  listen: [ \"http://127.0.0.1:0\" ]
  functions: [ { name: doWork, handler: { actor: work }, args: [ { name: payload, schema: { type: object } } ] } ]
",
    );
    field.write("handlers.py", HANDLERS);
    let sidecar = field.up();
    let reply = post(&sidecar, "/do-work", r#"{"ms":1,"x":[ 1 ]}"#);
    assert_eq!((reply.status, reply.json()), (200, json!({"ms": 1, "x": [1]})));
    assert_eq!(post(&sidecar, "/do-work", "1").status, 400);
    // The same handler works on messages.
    field.send("work", "m1", r#"{"ms":1}"#);
    field.wait_for("happy-end", 1);
    let health = sidecar.get("/health").1;
    assert!(
        health.contains(r#""name":"calls""#) && health.contains(r#""kind":"function""#),
        "{health}"
    );
}

#[test]
fn a_type_of_an_exception_is_a_domain_error() {
    let field = Field::new(
        "actors: { fail: { handler: { socket: h.sock } } }
calls: { listen: [ \"http://127.0.0.1:0\" ], functions: [ { name: fail, handler: { actor: fail } } ] }
",
    );
    let _handler = Foreign::runtime(&field, "h.sock", "fail", "fail", 1);
    let sidecar = field.run();
    let reply = post(&sidecar, "/invoke", &invoke("fail", r#"[{"why":"x"}]"#));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["errorValue"]["tag"], "main/ValueError");
    assert_eq!(reply.json()["errorValue"]["message"], "no good: x");
}

#[test]
fn an_actor_whose_handler_is_not_there_is_unavailable_at_once() {
    let field = Field::new(
        "actors: { a: { handler: { socket: h.sock } } }
calls: { listen: [ \"http://127.0.0.1:0\" ], functions: [ { name: f, handler: { actor: a } } ] }
",
    );
    let sidecar = field.start(&["run"], &[]);
    let reply = post(&sidecar, "/f", "1");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    let _handler = Plain::echo(&field.path("h.sock"));
    wait_until("it is there", || {
        (post(&sidecar, "/f", "[1]").body == "[1]\n").then_some(())
    });
}

#[test]
fn an_actor_that_is_given_whole_messages_gets_one() {
    let field = Field::new(
        "actors: { a: { handler: { socket: h.sock }, input: envelope } }
calls: { listen: [ \"http://127.0.0.1:0\" ], functions: [ { name: f, handler: { actor: a } } ] }
",
    );
    let handler = Plain::at(&field.path("h.sock"), |_| Answer::text("1"));
    let sidecar = field.run();
    assert_eq!(post(&sidecar, "/f", r#"{"x":1}"#).body, "1\n");
    let message: crate::harness::Value = serde_json::from_str(&handler.requests()[0]).unwrap();
    assert_eq!(
        (&message["payload"], &message["route"]["actors"]),
        (&json!({"x": 1}), &json!(["a"]))
    );
}

#[test]
fn a_function_works_for_an_actor() {
    let field = Field::new(
        "actors: { clean: { handler: { function: clean } } }
calls:
  listen: [ \"http://127.0.0.1:0\" ]
  functions: [ { name: clean, handler: { socket: h.sock, dialect: plain }, args: [ { name: row, schema: { type: object } } ] } ]
",
    );
    let handler = Plain::at(&field.path("h.sock"), |_| Answer::text(r#"{"clean":true}"#));
    let sidecar = field.run();
    field.send("clean", "m1", r#"{"n":1}"#);
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], json!({"clean": true}));
    assert_eq!(handler.requests(), [r#"{"n":1}"#]);
    // What does not fit the contract never comes to the handler.
    field.send("clean", "m2", "7");
    let error = field.wait_for_error();
    assert_eq!(error["code"], "bad_arguments");
    assert_eq!(error["details"][0]["path"], "");
    assert_eq!(handler.requests().len(), 1);
    assert_eq!(ask(&sidecar, "POST", "/clean", &[], "{}").status, 200);
}

#[test]
fn what_is_not_declared_is_told_before_anything_starts() {
    let field = Field::new(
        "actors: { clean: { handler: { function: nothing } } }
calls: { functions: [ { name: f, handler: { actor: claen } }, { name: g, handler: { actor: clean } } ] }
",
    );
    let output = field.output(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    for word in [
        "there is no function `nothing`",
        "there is no actor `claen`",
        "did you mean `clean`?",
        "is a function itself",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
