//! The one JSON object that answers are. Pure.

use serde::Serialize;
use wire::Json;

use super::refusal::Refusal;
use crate::{
    functions::Flaw,
    reply::{ErrorValue, compact},
};

/// What the server answers, but for the bare results of functions' own paths.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'e> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_value: Option<ErrorValue<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'e str>,
    #[serde(skip_serializing_if = "<[Flaw]>::is_empty")]
    errors: &'e [Flaw],
    #[serde(skip_serializing_if = "Option::is_none")]
    reloading: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

impl<'e> Envelope<'e> {
    /// Something to read.
    pub(super) fn output(text: impl Into<String>) -> Self {
        Self {
            success: true,
            output: Some(text.into()),
            ..Self::default()
        }
    }

    /// The server is there; `reloading` is the number of the functions in use while others are being made ready.
    pub(super) fn healthy(reloading: Option<u64>) -> Self {
        Self {
            reloading: reloading.map(|_| true),
            generation: reloading,
            ..Self::output("outrigger is healthy")
        }
    }

    /// Something for programs.
    pub(super) fn result(value: &impl Serialize) -> Self {
        Self {
            success: true,
            result: Some(Json::from_value(value)),
            ..Self::default()
        }
    }

    /// What a function gave.
    pub(super) fn called(result: &Json) -> Self {
        let result = compact(result);
        // A string with half a surrogate pair in it is no text of ours: it is shown as it is spelt.
        let text: Option<String> = result.read().ok();
        Self {
            success: true,
            output: Some(text.unwrap_or_else(|| result.as_str().to_owned())),
            result: Some(result),
            ..Self::default()
        }
    }

    /// Why there is nothing.
    pub(super) fn refusal(refusal: &'e Refusal) -> Self {
        let call = refusal.call();
        Self {
            error: Some(refusal.to_string()),
            error_value: call.and_then(ErrorValue::of),
            code: Some(refusal.code()),
            errors: call.map(crate::functions::CallError::flaws).unwrap_or_default(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::CallError;

    fn called(text: &str) -> String {
        let result = Json::parse(text.to_owned().into()).unwrap();
        serde_json::to_string(&Envelope::called(&result)).unwrap()
    }

    #[test]
    fn a_result_stands_as_text_and_as_itself() {
        assert_eq!(
            called("\"a\\nb\""),
            r#"{"success":true,"output":"a\nb","result":"a\nb"}"#
        );
        assert_eq!(
            called("{ \"x\" : 1.0 }"),
            r#"{"success":true,"output":"{\"x\":1.0}","result":{"x":1.0}}"#
        );
        assert_eq!(called("null"), r#"{"success":true,"output":"null","result":null}"#);
    }

    #[test]
    fn a_domain_error_says_what_it_is() {
        let error = CallError::Domain {
            tag: "main/TooFar".into(),
            code: None,
            message: "no way".into(),
            payload: Json::null(),
        };
        let refusal = Refusal::from(error);
        assert_eq!(
            serde_json::to_string(&Envelope::refusal(&refusal)).unwrap(),
            r#"{"success":false,"error":"no way","errorValue":{"tag":"main/TooFar","payload":null,"message":"no way"},"code":"TooFar"}"#
        );
    }
}
