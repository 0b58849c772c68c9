//! The conformance handler of the Rust runtime: the functions of `sdks/vectors/README.md`.
//!
//! ```sh
//! OUTRIGGER_HANDLER_SOCKET=/tmp/h.sock OUTRIGGER_HANDLER_CONCURRENCY=4 \
//!     cargo run -p outrigger-handler --example conformance
//! outrigger conformance --socket /tmp/h.sock
//! ```

#![expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "a handler takes its payload by value and may fail, also where it does not"
)]

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use outrigger_handler::{Context, Error, Fail, Handlers, One, ReportError, Retry};
use serde::Deserialize;
use serde_json::{Value, json};

static CANCELED: AtomicU64 = AtomicU64::new(0);

#[derive(Deserialize)]
struct Count {
    n: u64,
}

#[derive(Deserialize)]
struct Failure {
    code: String,
    message: String,
    details: Option<Value>,
}

#[derive(Deserialize)]
struct Later {
    message: String,
    after: Option<f64>,
}

#[derive(Deserialize)]
struct Pause {
    ms: u64,
}

fn echo(payload: Value) -> Result<Value, Error> {
    Ok(payload)
}

fn nothing(_: Value) -> Result<(), Error> {
    Ok(())
}

fn fan_out(count: Count) -> Result<Vec<u64>, Error> {
    Ok((0..count.n).collect())
}

fn one(payload: Value) -> Result<One<Value>, Error> {
    Ok(One(payload))
}

fn fail(failure: Failure) -> Result<(), Fail> {
    let fail = Fail::new(failure.code, failure.message);
    Err(match failure.details {
        Some(details) => fail.details(details),
        None => fail,
    })
}

fn retry(later: Later) -> Result<(), Retry> {
    let retry = Retry::new(later.message);
    Err(match later.after {
        Some(seconds) => retry.after(Duration::from_secs_f64(seconds)),
        None => retry,
    })
}

fn crash(_: Value) -> Result<(), Error> {
    Err("boom".into())
}

fn steps(_: Value, context: &Context) -> Result<Value, ReportError> {
    context.progress(50.0, "half")?;
    context.partial(json!({"n": 1}))?;
    context.heartbeat()?;
    Ok(json!({"done": true}))
}

fn stream(count: Count, context: &Context) -> Result<Value, ReportError> {
    for n in 0..count.n {
        context.partial(json!({ "n": n }))?;
    }
    Ok(json!({"count": count.n}))
}

fn context(_: Value, context: &Context) -> Result<Value, Error> {
    let deadline = context.deadline().map(jiff::Timestamp::try_from).transpose()?;
    Ok(json!({
        "id": context.id(),
        "actor": context.actor(),
        "function": context.function(),
        "attempt": context.attempt(),
        "headers": context.headers(),
        "deadline": deadline.map(|deadline| deadline.to_string()),
    }))
}

fn slow(pause: Pause) -> Result<Value, Error> {
    thread::sleep(Duration::from_millis(pause.ms));
    Ok(json!({"slept": pause.ms}))
}

fn wait(_: Value, context: &Context) -> Result<(), ReportError> {
    loop {
        if let Err(error) = context.heartbeat() {
            CANCELED.fetch_add(1, Ordering::SeqCst);
            return Err(error);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn cancellations(_: Value) -> Result<u64, Error> {
    Ok(CANCELED.load(Ordering::SeqCst))
}

fn bad_result(_: Value) -> Result<BTreeMap<(u8, u8), &'static str>, Error> {
    // The names of an object's members are strings.
    Ok([((1, 2), "a key that is a pair")].into())
}

fn main() -> ExitCode {
    Handlers::new()
        .function("echo", echo)
        .function("nothing", nothing)
        .function("fan_out", fan_out)
        .function("one", one)
        .function("fail", fail)
        .function("retry", retry)
        .function("crash", crash)
        .function("steps", steps)
        .streaming("stream", stream)
        .function("context", context)
        .function("slow", slow)
        .function("wait", wait)
        .function("cancellations", cancellations)
        .function("bad_result", bad_result)
        .run()
}
