//! Decides where the outputs of a step go.
//!
//! Pure: no I/O, no clock. `dispatch` carries the decision out. Outputs are never lost and never invented: as many
//! leave as the handler gave, in its order, and a message without any is its original, at the happy end.

use bytes::Bytes;
use wire::{Envelope, ErrorRecord, Part, RouteRefused};

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The queue of the actor with this name.
    Actor(String),
    /// Where results go.
    HappyEnd,
    /// Where failed messages go.
    ErrorEnd,
}

/// A message on its way out of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where it goes.
    pub target: Target,
    /// Its id.
    pub id: String,
    /// The whole envelope.
    pub body: Bytes,
}

/// The outputs of a step whose handler gave `parts`.
///
/// # Errors
/// A part brought a route of its own that is none, or that does not begin with the way behind it.
pub fn next(envelope: &Envelope, parts: &[Part]) -> Result<Vec<Output>, RouteRefused> {
    if parts.is_empty() {
        let id = envelope.id().to_owned();
        return Ok(vec![Output { target: Target::HappyEnd, id, body: envelope.finished() }]);
    }
    let output = |(index, part): (usize, &Part)| {
        let next = match part.route.as_ref().filter(|route| !route.is_null()) {
            Some(route) => envelope.next_on(route)?,
            None => envelope.next_actor().map(str::to_owned),
        };
        Ok(Output {
            target: next.map_or(Target::HappyEnd, Target::Actor),
            id: envelope.child_id(index),
            body: envelope.advance(index, part),
        })
    };
    parts.iter().enumerate().map(output).collect()
}

/// The one output of a message that failed.
pub fn failed(envelope: &Envelope, record: &ErrorRecord) -> Output {
    Output { target: Target::ErrorEnd, id: envelope.id().to_owned(), body: envelope.failed(record) }
}

/// The actor that a message goes to when its handler answers with one value and no route of its own.
pub fn expected(envelope: &Envelope) -> Target {
    envelope.next_actor().map_or(Target::HappyEnd, |actor| Target::Actor(actor.to_owned()))
}
