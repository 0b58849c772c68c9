//! A message as a runtime reads it.

use bytes::Bytes;

use super::{Exchange, Generation, route};
use crate::envelope::{HEADERS, ID, JOB_ID, ROUTE};
use crate::json::{Kind, quoted};

impl Exchange<'_> {
    /// The whole message in the runtime's own spelling; every other byte stays. A message without a route, as an end
    /// may have it, gets one that names `actor` alone. Headers that are no object are left out.
    pub fn request(&self, actor: &str) -> Bytes {
        let message = self.message;
        let mut edit = message.edit();
        let (own, other) = match self.generation {
            Generation::One => (JOB_ID, ID),
            Generation::Two | Generation::Three => (ID, JOB_ID),
        };
        if message.has(own) {
            edit.set(own, quoted(message.id()));
            edit.remove(other);
        } else {
            edit.rename(other, crate::envelope::FIELDS[own]);
        }
        edit.set(ROUTE, route::spelt(message, self.generation, actor));
        if self.headers.kind() == Kind::Object {
            edit.set(HEADERS, &self.headers.bytes()[..]);
        } else if message.headers().is_none() {
            edit.remove(HEADERS);
        }
        edit.finish().into()
    }
}
