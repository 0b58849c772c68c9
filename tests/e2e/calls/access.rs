//! Who may call, and what browsers are told.

use super::{ONE, ask, with_handler};
use crate::harness::{Answer, Field};

const GOOD: &str = r#"{"records":[]}"#;

#[test]
fn who_does_not_show_the_token_is_turned_away_everywhere_but_at_health() {
    let (_field, handler, sidecar) = with_handler(&(ONE.to_owned() + "  auth: { token: open sesame }\n"), |_| {
        Answer::text("1")
    });
    for (method, path) in [
        ("POST", "/process-data"),
        ("POST", "/invoke"),
        ("GET", "/functions"),
        ("GET", "/nothing"),
    ] {
        for shown in ["X: 1", "Authorization: Bearer open", "Authorization: Basic b3Blbg=="] {
            let reply = ask(&sidecar, method, path, &[shown], "");
            assert_eq!(
                (reply.status, reply.header("www-authenticate")),
                (401, Some("Bearer")),
                "{path}"
            );
            assert_eq!(reply.json()["code"], "unauthorized");
        }
    }
    assert_eq!(handler.requests(), [""; 0]);
    assert_eq!(ask(&sidecar, "GET", "/health", &[], "").status, 200);
    let right = ["Authorization: Bearer open sesame"];
    assert_eq!(ask(&sidecar, "POST", "/process-data", &right, GOOD).status, 200);
    assert_eq!(ask(&sidecar, "GET", "/version", &right, "").status, 200);
    assert!(!sidecar.said().contains("sesame"));
}

#[test]
fn a_token_may_stand_in_a_file() {
    let field = Field::new(&(ONE.to_owned() + "  auth: { token_file: token }\n"));
    let output = field.output(&["run"]);
    assert_eq!(
        output.status.code(),
        Some(78),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    field.write("token", "sesame\n");
    let sidecar = field.run();
    assert_eq!(ask(&sidecar, "GET", "/version", &[], "").status, 401);
    assert_eq!(
        ask(&sidecar, "GET", "/version", &["Authorization: Bearer sesame"], "").status,
        200
    );
}

#[test]
fn an_address_that_others_reach_needs_a_token_or_a_word() {
    let field = Field::new("calls: { listen: [ \"http://0.0.0.0:0\" ] }");
    let output = field.output(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(
        said.contains("http://0.0.0.0:0") && said.contains("allow_public"),
        "{said}"
    );
    for more in ["allow_public: true", "auth: { token: x }"] {
        field.configure(&format!("calls: {{ listen: [ \"http://0.0.0.0:0\" ], {more} }}"));
        assert!(field.output(&["check"]).status.success(), "{more}");
    }
}

#[test]
fn pages_are_let_in_by_name_and_preflights_need_no_token() {
    let config =
        ONE.to_owned() + "  auth: { token: t }\n  cors: { origins: [ \"https://a.example\" ], credentials: true }\n";
    let (_field, _handler, sidecar) = with_handler(&config, |_| Answer::text("1"));
    let asks = [
        "Origin: https://a.example",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization",
    ];
    let preflight = ask(&sidecar, "OPTIONS", "/process-data", &asks, "");
    assert_eq!((preflight.status, preflight.body.as_str()), (204, ""));
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "authorization"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(preflight.header(name), Some(value), "{preflight:?}");
    }
    assert!(
        preflight
            .header("access-control-allow-methods")
            .is_some_and(|methods| methods.contains("POST"))
    );
    let call = ["Origin: https://a.example", "Authorization: Bearer t"];
    let reply = ask(&sidecar, "POST", "/process-data", &call, GOOD);
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, Some("https://a.example"))
    );
    assert_eq!(
        reply.header("access-control-expose-headers"),
        Some("X-Forst-Contract-Version")
    );
    assert_eq!(reply.header("vary"), Some("origin"));
    // A page has to be able to read why it was refused.
    let refused = ask(&sidecar, "POST", "/process-data", &call[..1], GOOD);
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (401, Some("https://a.example"))
    );
    let other = ask(
        &sidecar,
        "POST",
        "/process-data",
        &["Origin: https://b.example", "Authorization: Bearer t"],
        GOOD,
    );
    assert_eq!(
        (other.header("access-control-allow-origin"), other.header("vary")),
        (None, Some("origin"))
    );
}

#[test]
fn without_a_word_pages_are_told_nothing() {
    let (_field, _handler, sidecar) = with_handler(ONE, |_| Answer::text("1"));
    let reply = ask(&sidecar, "POST", "/process-data", &["Origin: https://a.example"], GOOD);
    assert_eq!(
        (
            reply.status,
            reply.header("access-control-allow-origin"),
            reply.header("vary")
        ),
        (200, None, None)
    );
}
