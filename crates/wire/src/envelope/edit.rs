//! What an envelope becomes: the next step, an end, another attempt.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::decode::{
    ACTORS, ATTEMPT, CURRENT, ERROR, FIELDS, HEADERS, ID, JOB_ID, PARENT_ID, PAYLOAD, ROUTE, ROUTE_FIELDS, Route, STEPS,
};
use super::{Envelope, Flaw};
use crate::json::{Kind, quoted};
use crate::names::child_id;
use crate::object::{Edit, Members};
use crate::{ErrorRecord, Json, Part};

/// A route that a handler may not give: it would rewrite what has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteRefused {
    /// It is no route at all.
    #[error("the route of the reply is not one: {why}")]
    Invalid {
        /// What is wrong with it.
        why: Flaw,
    },
    /// It differs from the old one up to and including the actor that has the message.
    #[error("the route of the reply differs from the message's up to the actor that has it")]
    Past,
    /// Its `current` is neither the old one nor the one after it.
    #[error("the route of the reply has `current` {given}, not {current} or the one after it")]
    Current {
        /// What the reply says.
        given: i64,
        /// What the message says.
        current: i64,
    },
}

impl Envelope {
    /// The id of output `index`: 0 keeps the message's own, others are derived from it, the same each time.
    pub fn child_id(&self, index: usize) -> String {
        child_id(self.id(), self.current(), index)
    }

    /// Where the outputs go that have this route, and none of their own says otherwise; `None` is happy-end.
    ///
    /// # Errors
    /// When it is no route, or differs from the old one up to and including `current`.
    pub fn next_on(&self, route: &Json) -> Result<Option<String>, RouteRefused> {
        let given = Route::read(route.bytes()).map_err(|why| RouteRefused::Invalid { why })?;
        let current = self.current();
        let after = current.saturating_add(1);
        if let Some(given) = given.current.filter(|given| ![current, after].contains(given)) {
            return Err(RouteRefused::Current { given, current });
        }
        let next = usize::try_from(after).map_err(|_| RouteRefused::Past)?;
        if given
            .actors
            .get(..next)
            .is_none_or(|past| Some(past) != self.actors().get(..next))
        {
            return Err(RouteRefused::Past);
        }
        Ok(given.actors.get(next).cloned())
    }

    /// Output `index` of this step: `current` is one higher, `attempt` and `error` are gone.
    ///
    /// A route of the part's own takes the place of the old one (in the old one's dialect) when
    /// [`next_on`](Self::next_on) takes it, else it is passed over; so is one that is `null`. Headers of the part's own
    /// are set over the message's, which are carried on; headers that are no object are passed over.
    pub fn advance(&self, index: usize, part: &Part) -> Bytes {
        let mut edit = self.edit();
        edit.set(PAYLOAD, &part.payload.bytes()[..]);
        if let Some(route) = self.next_route(part) {
            edit.set(ROUTE, route);
        }
        if let Some(headers) = part.headers.as_ref().filter(|headers| headers.kind() == Kind::Object) {
            edit.set(HEADERS, self.headers_under(headers).bytes().to_vec());
        }
        if index > 0 {
            let id = quoted(&self.child_id(index));
            for spelling in [ID, JOB_ID] {
                if self.has(spelling) {
                    edit.set(spelling, id.clone());
                }
            }
            edit.set(PARENT_ID, quoted(self.id()));
        }
        edit.remove(ATTEMPT);
        edit.remove(ERROR);
        edit.finish().into()
    }

    /// The original for happy-end, when the handler has no output.
    pub fn finished(&self) -> Bytes {
        if !self.has(ATTEMPT) && !self.has(ERROR) {
            return self.body.clone();
        }
        let mut edit = self.edit();
        edit.remove(ATTEMPT);
        edit.remove(ERROR);
        edit.finish().into()
    }

    /// The original for error-end, with the reason.
    pub fn failed(&self, record: &ErrorRecord) -> Bytes {
        let mut edit = self.edit();
        edit.remove(ATTEMPT);
        edit.set(ERROR, Json::from_value(record).bytes().to_vec());
        edit.finish().into()
    }

    /// What a handler with `input: envelope` is shown at its attempt `attempt`.
    pub fn with_attempt(&self, attempt: u32) -> Bytes {
        if attempt == 1 && !self.has(ATTEMPT) {
            return self.body.clone();
        }
        let mut edit = self.edit();
        edit.set(ATTEMPT, attempt.to_string().into_bytes());
        edit.finish().into()
    }

    /// The headers with some of them set, for a [`Part`]: `traceparent` of the hop, say. All others stay as they are.
    pub fn headers_with(&self, set: &[(&str, &str)]) -> Json {
        let set: Vec<_> = set.iter().map(|(name, value)| (*name, quoted(value))).collect();
        self.headers_set(&set)
    }

    /// The headers with those of an object set over them, each byte for byte.
    fn headers_under(&self, own: &Json) -> Json {
        let own: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(own.bytes()).unwrap_or_default();
        let set: Vec<_> = own
            .iter()
            .map(|(name, value)| (&**name, value.get().as_bytes().to_vec()))
            .collect();
        self.headers_set(&set)
    }

    fn headers_set(&self, set: &[(&str, Vec<u8>)]) -> Json {
        let headers = self
            .headers()
            .unwrap_or_else(|| Json::checked(Bytes::from_static(b"{}")));
        let names: Vec<&str> = set.iter().map(|(name, _)| *name).collect();
        let members = Members::scan(headers.as_str(), &names).expect("headers are an object");
        let mut edit = Edit::new(headers.bytes(), &members, &names);
        for (index, (_, value)) in set.iter().enumerate() {
            edit.set(index, value.clone());
        }
        Json::checked(edit.finish().into())
    }

    pub(crate) fn edit(&self) -> Edit<'_> {
        Edit::new(&self.body, &self.members, &FIELDS)
    }

    /// The route of an output; `None` where the message has none.
    fn next_route(&self, part: &Part) -> Option<Vec<u8>> {
        let own = self.route.as_ref()?;
        let after = self.current().saturating_add(1).to_string().into_bytes();
        let given = part.route.as_ref().filter(|route| self.next_on(route).is_ok());
        if let Some(text) = given.map(Json::bytes)
            && let Ok(route) = Route::read(text)
        {
            let mut edit = Edit::new(text, &route.members, &ROUTE_FIELDS);
            edit.set(CURRENT, after);
            if let Some((from, to)) = respelt(own, &route) {
                edit.rename(from, ROUTE_FIELDS[to]);
            }
            return Some(edit.finish());
        }
        let mut edit = Edit::new(&self.body[own.place.clone()], &own.members, &ROUTE_FIELDS);
        edit.set(CURRENT, Cow::Owned(after));
        Some(edit.finish())
    }
}

/// From which to which spelling the list of a handler's route goes, to be in the dialect of the message.
fn respelt(own: &Route, given: &Route) -> Option<(usize, usize)> {
    let only = |route: &Route, this, other| route.members.value(this).is_some() && route.members.value(other).is_none();
    [(ACTORS, STEPS), (STEPS, ACTORS)]
        .into_iter()
        .find(|&(from, to)| only(given, from, to) && only(own, to, from))
}
