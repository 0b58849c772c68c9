//! Reads, writes and continues a trace context.

use std::sync::Arc;

use super::ids::{SpanId, TraceId, hex};
use super::state::carried;

/// A span's place in its trace, and what goes with it: the values of `traceparent` and `tracestate`.
///
/// ```
/// use wire::{SpanId, TraceContext};
///
/// let caller = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("vendor=1"));
/// let hop = caller.expect("a sound context").child(SpanId::new(0x1122_3344_5566_7788));
/// assert_eq!(hop.traceparent(), "00-0af7651916cd43dd8448eb211c80319c-1122334455667788-01");
/// assert_eq!(hop.tracestate(), Some("vendor=1"));
/// assert!(hop.is_sampled());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    flags: u8,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// The header, and the field of an envelope's headers, that says which span of which trace.
    pub const TRACEPARENT: &'static str = "traceparent";
    /// The header, and the field of an envelope's headers, with what tracing systems say to themselves.
    pub const TRACESTATE: &'static str = "tracestate";

    /// The first span of a trace.
    pub fn root(trace: TraceId, span: SpanId, sampling: Sampling) -> Self {
        let flags = 0;
        Self {
            trace,
            span,
            flags,
            state: None,
        }
        .sampled(sampling)
    }

    /// Reads the two values; `None` where `traceparent` is not sound: then a trace starts afresh.
    ///
    /// A later version than 00 is read as far as 00 goes, and goes on as 00. Flags other than *sampled* and *random*
    /// are dropped. A `tracestate` that is not sound is dropped, one over 512 bytes shortened.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let text = traceparent.trim_matches([' ', '\t']).as_bytes();
        let (head, rest) = text.split_at_checked(LENGTH)?;
        let [version, trace, span, flags] = FIELDS.map(|(from, to)| &head[from..to]);
        if [2, 35, 52].iter().any(|&dash| head[dash] != b'-') {
            return None;
        }
        let sound = match hex(version)? {
            0 => rest.is_empty(),
            0xff => false,
            _ => matches!(rest.first(), None | Some(b'-')),
        };
        if !sound {
            return None;
        }
        let flags = u8::try_from(hex(flags)?).ok()? & KNOWN;
        Some(Self {
            trace: TraceId::read(trace)?,
            span: SpanId::read(span)?,
            flags,
            state: tracestate.and_then(carried).map(Into::into),
        })
    }

    /// The context of a span whose parent this one is.
    pub fn child(&self, span: SpanId) -> Self {
        Self { span, ..self.clone() }
    }

    /// The same place in the trace, recorded or not.
    pub fn sampled(self, sampling: Sampling) -> Self {
        let flags = match sampling {
            Sampling::Recorded => self.flags | SAMPLED,
            Sampling::Dropped => self.flags & !SAMPLED,
        };
        Self { flags, ..self }
    }

    /// The trace.
    pub fn trace_id(&self) -> TraceId {
        self.trace
    }

    /// The span.
    pub fn span_id(&self) -> SpanId {
        self.span
    }

    /// Whether whoever made the span may have recorded it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags as they are written.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// The value of `traceparent`, in version 00.
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(LENGTH);
        text.push_str("00-");
        push_hex(&mut text, &self.trace.to_bytes());
        text.push('-');
        push_hex(&mut text, &self.span.to_bytes());
        text.push('-');
        push_hex(&mut text, &[self.flags]);
        text
    }

    /// The value of `tracestate`; `None` means that there is no such header.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Whether a span is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// It is, or may be.
    Recorded,
    /// It is not.
    Dropped,
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
}

/// Of a `traceparent` in version 00.
const LENGTH: usize = 55;
/// Version, trace, span, flags; a dash between each two.
const FIELDS: [(usize, usize); 4] = [(0, 2), (3, 35), (36, 52), (53, 55)];
const SAMPLED: u8 = 1;
/// *Sampled*, and *random* of the specification's second level, which says that the trace's id was made by chance.
const KNOWN: u8 = 0b11;
