//! What is answered, a line each. Pure.

use bytes::Bytes;
use serde::Serialize;
use wire::Json;

use super::request::Id;
use crate::{
    functions::{CallError, Flaw},
    reply::{self, ErrorValue, compact},
};

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_value: Option<ErrorValue<'a>>,
    #[serde(skip_serializing_if = "<[Flaw]>::is_empty")]
    errors: &'a [Flaw],
}

/// Whether a call gives its result in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    Streamed,
}

/// A piece of a result.
pub(super) fn piece(id: Option<&Id>, piece: &Json) -> Bytes {
    reply::line(&Line {
        id: id.map(|id| &id.spelt),
        data: Some(compact(piece)),
        ..Line::default()
    })
}

/// How a call ended.
pub(super) fn end(id: Option<&Id>, end: &Result<Json, CallError>, manner: Manner) -> Bytes {
    let (result, error) = match end {
        Ok(result) => (Some(compact(result)), None),
        Err(error) => (None, Some(error)),
    };
    reply::line(&Line {
        id: id.map(|id| &id.spelt),
        success: Some(error.is_none()),
        done: (manner == Manner::Streamed).then_some(true),
        data: None,
        result,
        error: error.map(ToString::to_string),
        code: error.map(CallError::code),
        error_value: error.and_then(ErrorValue::of),
        errors: error.map(CallError::flaws).unwrap_or_default(),
    })
}
