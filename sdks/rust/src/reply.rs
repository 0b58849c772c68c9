//! The frames that answer a request: `ok` with its result, or `error` with what is known of it.
//!
//! The rule: an answer can always be written. What has no JSON form becomes an error that says so.

use std::{any::Any, cell::RefCell, panic, sync::Once};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Fail, Retry};

/// The final frame of a call that returned `result`; `()` and `None` are an empty result.
pub(crate) fn ok(result: &impl Serialize, cap: u32) -> Vec<u8> {
    let mut body = OK.to_vec();
    if let Err(error) = serde_json::to_writer(&mut body, result) {
        return refusal(
            "invalid_result",
            &format!("the handler's result cannot be sent: {error}"),
        );
    }
    if &body[OK.len()..] == b"null" {
        return br#"{"status":"ok"}"#.to_vec();
    }
    body.push(b'}');
    if body.len() > cap as usize {
        let bytes = body.len();
        let message = format!("the handler's result makes a frame of {bytes} bytes, more than the cap of {cap}");
        return refusal("result_too_large", &message);
    }
    body
}

/// The final frame of a request that cannot be served, now or later.
pub(crate) fn refusal(code: &str, message: &str) -> Vec<u8> {
    let frame = json!({"status": "error", "error": code, "message": message, "retryable": false});
    frame.to_string().into_bytes()
}

/// The final frame of a call that returned an error, of a type of this name.
pub(crate) fn failed(error: &Error, kind: &'static str) -> Vec<u8> {
    let (mut frame, mut kind) = (Map::new(), type_name(kind));
    let chain = chain(&**error);
    if let Some(fail) = chain.iter().find_map(|error| error.downcast_ref::<Fail>()) {
        frame.insert("retryable".into(), false.into());
        if !fail.code.is_empty() {
            frame.insert("error".into(), fail.code.clone().into());
        }
        frame.extend(fail.details.clone().map(|details| ("details".to_owned(), details)));
        kind = kind.or(Some("Fail"));
    } else if let Some(retry) = chain.iter().find_map(|error| error.downcast_ref::<Retry>()) {
        frame.insert("retryable".into(), true.into());
        frame.extend(retry.code.clone().map(|code| ("error".to_owned(), code.into())));
        frame.extend(retry.details.clone().map(|details| ("details".to_owned(), details)));
        let after = retry.after.map(|after| after.as_secs_f64());
        frame.extend(after.map(|after| ("retry_after".to_owned(), after.into())));
        kind = kind.or(Some("Retry"));
    }
    let causes: Vec<String> = chain
        .iter()
        .skip(1)
        .map(|cause| format!("caused by: {cause}"))
        .collect();
    let traceback = (!causes.is_empty()).then(|| causes.join("\n"));
    error_frame(frame, &error.to_string(), kind, traceback)
}

/// The final frame of a call that panicked.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Vec<u8> {
    let text = payload.downcast_ref::<&str>().copied();
    let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = PLACE.with_borrow_mut(Option::take);
    error_frame(Map::new(), message.unwrap_or_default(), Some("panic"), place)
}

fn error_frame(mut frame: Map<String, Value>, message: &str, kind: Option<&str>, traceback: Option<String>) -> Vec<u8> {
    let message = if message.trim().is_empty() {
        kind.unwrap_or("the handler failed without a message")
    } else {
        message
    };
    frame.insert("status".into(), "error".into());
    frame.insert("message".into(), clip(message, MAX_MESSAGE).into());
    frame.extend(kind.map(|kind| ("type".to_owned(), kind.into())));
    frame.extend(traceback.map(|text| ("traceback".to_owned(), clip(&text, MAX_TRACEBACK).into())));
    Value::Object(frame).to_string().into_bytes()
}

/// An error and its causes.
fn chain<'a>(error: &'a (dyn std::error::Error + 'static)) -> Vec<&'a (dyn std::error::Error + 'static)> {
    let mut chain = vec![error];
    while let Some(cause) = chain.last().and_then(|error| error.source()) {
        chain.push(cause);
    }
    chain
}

/// The name that people know a type by; `None` for those that hold any error.
fn type_name(path: &'static str) -> Option<&'static str> {
    let holds_any = ["dyn ", "anyhow::Error", "&str", "alloc::string::String"];
    if holds_any.iter().any(|name| path.contains(name)) {
        return None;
    }
    let plain = path.split('<').next().unwrap_or(path);
    plain.rsplit("::").next()
}

/// Notes where a panic came from, for the frame that tells of it. Whatever hook there is still runs.
pub(crate) fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(|place| format!("panicked at {place}"));
            let trace = std::backtrace::Backtrace::capture();
            let trace = (trace.status() == std::backtrace::BacktraceStatus::Captured).then(|| trace.to_string());
            let lines: Vec<String> = place.into_iter().chain(trace).collect();
            PLACE.set(Some(lines.join("\n")));
            before(info);
        }));
    });
}

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The two ends of a text that is too long.
fn clip(text: &str, limit: usize) -> String {
    let count = text.chars().count();
    if count <= limit {
        return text.to_owned();
    }
    let half = limit / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(count - half).collect();
    format!("{head}\n... {} characters left out ...\n{tail}", count - 2 * half)
}

const OK: &[u8] = br#"{"status":"ok","result":"#;
const MAX_MESSAGE: usize = 16 * 1024;
const MAX_TRACEBACK: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(frame: &[u8]) -> Value {
        serde_json::from_slice(frame).unwrap()
    }

    #[test]
    fn nothing_is_an_empty_result_and_a_list_is_literal() {
        let text = |frame: Vec<u8>| String::from_utf8(frame).unwrap();
        assert_eq!(text(ok(&(), 100)), r#"{"status":"ok"}"#);
        assert_eq!(text(ok(&None::<u8>, 100)), r#"{"status":"ok"}"#);
        assert_eq!(text(ok(&[1, 2], 100)), r#"{"status":"ok","result":[1,2]}"#);
        assert_eq!(text(ok(&crate::One(()), 100)), r#"{"status":"ok","result":[null]}"#);
        assert_eq!(read(&ok(&"x".repeat(100), 100))["error"], "result_too_large");
    }

    #[test]
    fn fail_and_retry_are_found_behind_other_errors() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the image")]
        struct Outer(#[source] Fail);
        let frame = read(&failed(
            &Outer(Fail::new("bad", "no pixels")).into(),
            std::any::type_name::<Outer>(),
        ));
        assert_eq!(
            frame,
            json!({"status": "error", "error": "bad", "message": "cannot read the image", "type": "Outer",
                   "retryable": false, "traceback": "caused by: no pixels"})
        );
        let retry = Retry::new("later").after(Duration::from_millis(1500)).code("cold");
        let frame = read(&failed(&retry.into(), std::any::type_name::<Error>()));
        assert_eq!(
            frame,
            json!({"status": "error", "error": "cold", "message": "later", "type": "Retry", "retryable": true,
                   "retry_after": 1.5})
        );
    }

    #[test]
    fn an_error_that_only_has_words_has_no_type() {
        let frame = read(&failed(&"boom".into(), std::any::type_name::<Error>()));
        assert_eq!(frame, json!({"status": "error", "message": "boom"}));
        assert_eq!(type_name("a::b::Kind<c::D>"), Some("Kind"));
    }

    #[test]
    fn a_long_message_keeps_its_ends() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdefg", 4), "ab\n... 3 characters left out ...\nfg");
    }
}
