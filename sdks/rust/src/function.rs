//! What may be served: functions of a payload, with or without the context of the call.

use std::{
    any::type_name,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

use crate::{Context, Error, reply};

/// A function that can be served: `Fn(Payload) -> Result<T, E>` or `Fn(Payload, &Context) -> Result<T, E>`.
///
/// The payload is anything that serde reads; one that does not fit is given up with the code `invalid_payload`. `T` is
/// anything that serde writes: a list is a fan-out, `()` and `None` are no output, [`One`](crate::One) is one value
/// whatever it is. `E` is any error, a text, or [`Error`](crate::Error).
///
/// Calls run on several threads at once where the concurrency is above 1. A panic is an error of that one message.
pub trait Function<Parameters>: Send + Sync + 'static {
    /// The final frame of a call. `cap` is the most bytes that it may have.
    #[doc(hidden)]
    fn answer(&self, request: Vec<u8>, context: &Context, cap: u32) -> Vec<u8>;
}

impl<F, P, T, E> Function<(P,)> for F
where
    F: Fn(P) -> Result<T, E> + Send + Sync + 'static,
    P: DeserializeOwned,
    T: Serialize,
    E: Into<Error>,
{
    fn answer(&self, request: Vec<u8>, _: &Context, cap: u32) -> Vec<u8> {
        answer(request, self, cap)
    }
}

impl<F, P, T, E> Function<(P, Context)> for F
where
    F: Fn(P, &Context) -> Result<T, E> + Send + Sync + 'static,
    P: DeserializeOwned,
    T: Serialize,
    E: Into<Error>,
{
    fn answer(&self, request: Vec<u8>, context: &Context, cap: u32) -> Vec<u8> {
        answer(request, |payload| self(payload, context), cap)
    }
}

fn answer<P, T, E>(request: Vec<u8>, function: impl FnOnce(P) -> Result<T, E>, cap: u32) -> Vec<u8>
where
    P: DeserializeOwned,
    T: Serialize,
    E: Into<Error>,
{
    let payload = match decode(&request) {
        Ok(payload) => payload,
        Err(refusal) => return refusal,
    };
    // A large request is not held for as long as the function works.
    drop(request);
    // What a panic leaves behind is the function's own: ours is nothing that it can reach.
    let called = catch_unwind(AssertUnwindSafe(|| match function(payload) {
        Ok(result) => reply::ok(&result, cap),
        Err(error) => reply::failed(&error.into(), type_name::<E>()),
    }));
    called.unwrap_or_else(|panic| reply::panicked(&*panic))
}

/// The payload, or the frame that refuses it.
fn decode<P: DeserializeOwned>(request: &[u8]) -> Result<P, Vec<u8>> {
    let not_json = |why: String| reply::refusal("invalid_request", &format!("the request is not JSON: {why}"));
    let text = std::str::from_utf8(request).map_err(|error| not_json(error.to_string()))?;
    serde_json::from_str(text).map_err(|error| {
        // A misfit is met before what may be broken behind it.
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) if error.classify() == Category::Data => reply::refusal(
                "invalid_payload",
                &format!("the payload does not fit the handler: {error}"),
            ),
            Ok(_) => not_json(error.to_string()),
            Err(error) => not_json(error.to_string()),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn code(request: &[u8]) -> Value {
        let frame = (|_: (u8, String)| Ok::<_, Error>(1)).answer(request.to_vec(), &Context::test(), 1000);
        serde_json::from_slice::<Value>(&frame).unwrap()["error"].take()
    }

    #[test]
    fn what_is_no_json_and_what_does_not_fit_are_told_apart() {
        assert_eq!(code(b"[1,\"a\"]"), Value::Null);
        for request in [&b""[..], b"[", b"[1,\"\xff\"]", b"[\"a\",", b"1 2", b"[\"a\"] x"] {
            assert_eq!(code(request), "invalid_request", "{}", String::from_utf8_lossy(request));
        }
        for request in [&b"{}"[..], b"[300,\"a\"]", b"[1]", b"null"] {
            assert_eq!(code(request), "invalid_payload", "{}", String::from_utf8_lossy(request));
        }
    }

    #[test]
    fn a_function_may_want_the_context_and_fail_with_a_text() {
        fn id(_: Value, context: &Context) -> Result<String, &'static str> {
            match context.id() {
                "" => Err("no id"),
                id => Ok(id.to_owned()),
            }
        }
        let frame = id.answer(b"0".to_vec(), &Context::test(), 1000);
        assert_eq!(String::from_utf8(frame).unwrap(), r#"{"status":"ok","result":"test"}"#);
        let frame = id.answer(b"0".to_vec(), &Context::test().with_id(""), 1000);
        assert_eq!(
            String::from_utf8(frame).unwrap(),
            r#"{"message":"no id","status":"error"}"#
        );
    }
}
