//! What the runtimes of Asya are told and what they answer, in each of their three generations.
//!
//! The one rule: a message stays its own bytes. What goes to a runtime is the message with its id and its route spelt
//! as that generation spells them; what comes back changes the message only where the runtime changed something.

mod reply;
mod request;
mod route;

#[cfg(test)]
mod tests;

pub use reply::{fault, shown};

use crate::{Envelope, Json};

/// A generation of Asya's runtimes, each with a spelling of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// `job_id`, `route.steps`; whoever takes the answer increments `current`.
    One,
    /// `id`, `route.actors`; the runtime has incremented `current`.
    Two,
    /// `id`, a route of `prev`, `curr` and `next`; the runtime has moved on in it.
    Three,
}

/// Where on a route the runtime stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Position {
    /// At a step: its frames go on.
    #[default]
    Step,
    /// At an end: whatever its frames are, they go nowhere.
    End,
}

/// One message in the spelling of one generation: what is sent, and how the answer is read.
///
/// ```
/// use wire::{Envelope, asya::{Exchange, Generation, Position}};
///
/// let body = r#"{"id":"m","route":{"actors":["a","b"],"current":0},"payload":1.0}"#;
/// let message = Envelope::decode(body.into())?;
/// let exchange = Exchange::new(&message, Generation::One, Position::Step, wire::Json::null());
/// assert_eq!(exchange.request("a"), r#"{"job_id":"m","route":{"steps":["a","b"],"current":0},"payload":1.0}"#);
/// let reply = exchange.read(r#"[{"payload":2,"route":{"steps":["a","b"],"current":0}}]"#.into())?;
/// assert_eq!(reply.parts().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Exchange<'m> {
    message: &'m Envelope,
    generation: Generation,
    position: Position,
    headers: Json,
}

impl<'m> Exchange<'m> {
    /// `headers` are those of this hop, an object; anything else leaves the message's own.
    pub fn new(message: &'m Envelope, generation: Generation, position: Position, headers: Json) -> Self {
        Self {
            message,
            generation,
            position,
            headers,
        }
    }
}
