//! A message's place in its trace while one actor has it.
//!
//! The rule: `traceparent` and `tracestate` name the span of whoever acts on the message next after it was written.
//! What came names the parent of our hop; what the handler is shown and what goes out name the hop, or a span that
//! the handler made within the same trace.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::Envelope;
use super::decode::HEADERS;
use crate::json::{Kind, quoted};
use crate::object::{Edit, Members};
use crate::{Json, Part, TraceContext};

/// What the hop made of the message's trace.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) trace: Arc<TraceContext>,
    /// The headers as everybody after us sees them; `None` where something that is no object stands in their place,
    /// which is carried on.
    pub(super) headers: Option<Json>,
}

impl Envelope {
    /// Puts the message at a new place in its trace: `hop` gets the place that it came with, if that is sound, and the
    /// message's id.
    ///
    /// From then on [`headers`](Self::headers) and everything that is made of the message carry the new place. A
    /// message without headers gets some.
    pub fn enter(&mut self, hop: impl FnOnce(Option<TraceContext>, &str) -> TraceContext) -> Arc<TraceContext> {
        let came = self.headers();
        let text = came.as_ref().map_or("{}", Json::as_str);
        let members = Members::scan(text, &NAMES).expect("headers are an object");
        let string = |name| -> Option<Cow<'_, str>> { plain(&text[members.value(name)?]) };
        let parent = string(PARENT).and_then(|parent| TraceContext::parse(&parent, string(STATE).as_deref()));
        let trace = Arc::new(hop(parent, &self.id));
        let headers = if came.is_none() && self.occupied(HEADERS) {
            None
        } else {
            let mut edit = Edit::new(text.as_bytes(), &members, &NAMES);
            write(&mut edit, &trace);
            Some(Json::checked(edit.finish().into()))
        };
        self.hop = Some(Hop {
            trace: trace.clone(),
            headers,
        });
        trace
    }

    /// The place that it has since [`enter`](Self::enter).
    pub fn place(&self) -> Option<&Arc<TraceContext>> {
        self.hop.as_ref().map(|hop| &hop.trace)
    }

    /// The place in the trace of the output that is made of `part`: the hop's, or that of a span of the handler's own
    /// which its headers name, as long as it is of the same trace. `None` before [`enter`](Self::enter).
    pub fn place_of(&self, part: &Part) -> Option<Arc<TraceContext>> {
        let hop = self.place()?;
        Some(own_span(part, hop).map_or_else(|| hop.clone(), Arc::new))
    }

    /// The headers with those of a part set over them, each byte for byte.
    pub(super) fn headers_under(&self, part: &Part, own: &Json) -> Json {
        let mut own: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(own.bytes()).unwrap_or_default();
        let trace = self.place_of(part);
        if trace.is_some() {
            own.retain(|name, _| !NAMES.contains(&&**name));
        }
        let headers = self.headers();
        let text = headers.as_ref().map_or("{}", Json::as_str);
        let names: Vec<&str> = NAMES.into_iter().chain(own.keys().map(|name| &**name)).collect();
        let members = Members::scan(text, &names).expect("headers are an object");
        let mut edit = Edit::new(text.as_bytes(), &members, &names);
        if let Some(trace) = &trace {
            write(&mut edit, trace);
        }
        for (index, value) in own.values().enumerate() {
            edit.set(NAMES.len() + index, value.get().as_bytes());
        }
        Json::checked(edit.finish().into())
    }

    /// Whether a field is something, but not what it should be.
    fn occupied(&self, name: usize) -> bool {
        self.members
            .value(name)
            .is_some_and(|place| &self.body[place] != b"null")
    }
}

/// A span that a handler says it has made within the trace of the hop.
fn own_span(part: &Part, hop: &TraceContext) -> Option<TraceContext> {
    let headers = part.headers.as_ref().filter(|headers| headers.kind() == Kind::Object)?;
    let text = headers.as_str();
    let members = Members::scan(text, &NAMES).ok()?;
    let string = |name| -> Option<Cow<'_, str>> { plain(&text[members.value(name)?]) };
    let own = TraceContext::parse(&string(PARENT)?, string(STATE).as_deref().or(hop.tracestate()))?;
    (own.trace_id() == hop.trace_id()).then_some(own)
}

/// Writes a place in a trace into headers; the names are the first of the edit's.
fn write(edit: &mut Edit<'_>, trace: &TraceContext) {
    edit.set(PARENT, quoted(&trace.traceparent()));
    match trace.tracestate() {
        Some(state) => edit.set(STATE, quoted(state)),
        None => edit.remove(STATE),
    }
}

/// The string that a JSON text writes.
fn plain(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(text).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

const NAMES: [&str; 2] = [TraceContext::TRACEPARENT, TraceContext::TRACESTATE];
const PARENT: usize = 0;
const STATE: usize = 1;
