//! Routes there and back: a list and an index with us, two spellings of that and a triple with the runtimes.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Generation;
use crate::envelope::{ACTORS, CURRENT, ROUTE_FIELDS, STEPS};
use crate::object::{Edit, Members};
use crate::{Envelope, Json};

/// The route of a message as a runtime of this generation reads it; what else stands in it is kept.
pub(super) fn spelt(message: &Envelope, generation: Generation, actor: &str) -> Vec<u8> {
    let alone = [actor.to_owned()];
    let (text, actors): (&str, &[String]) = match message.route_text() {
        Some(text) => (text, message.actors()),
        None => ("{}", &alone),
    };
    let members = Members::scan(text, &FIELDS).expect("a route is an object");
    let mut edit = Edit::new(text.as_bytes(), &members, &FIELDS);
    if generation == Generation::Three {
        for field in [ACTORS, STEPS, CURRENT] {
            edit.remove(field);
        }
        let at = usize::try_from(message.current()).unwrap_or(0).min(actors.len());
        let (prev, rest) = actors.split_at(at);
        edit.set(PREV, list(prev));
        edit.set(CURR, list(rest.first().map_or("", String::as_str)));
        edit.set(NEXT, list(rest.get(1..).unwrap_or_default()));
        return edit.finish();
    }
    let (own, other) = match generation {
        Generation::One => (STEPS, ACTORS),
        Generation::Two | Generation::Three => (ACTORS, STEPS),
    };
    if members.value(own).is_none() && members.value(other).is_some() {
        edit.rename(other, FIELDS[own]);
    } else {
        edit.set(own, list(actors));
        edit.remove(other);
    }
    // Some runtimes take nothing but an integer in its plainest form.
    edit.set(CURRENT, list(&message.current()));
    edit.finish()
}

/// The route that a frame brings, in our terms; `None` where it is the message's own.
///
/// # Errors
/// Why it is no route.
pub(super) fn taken(message: &Envelope, generation: Generation, given: Json) -> Result<Option<Json>, &'static str> {
    match generation {
        Generation::One | Generation::Two if is_own(message, &given) => Ok(None),
        Generation::One | Generation::Two => Ok(Some(given)),
        Generation::Three => of_triple(message, &given),
    }
}

/// Whether a route says nothing that the message's own does not: then that one's bytes are kept.
fn is_own(message: &Envelope, given: &Json) -> bool {
    let object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).ok();
    let Some((mut given_members, mut own_members)) = object(given.as_str()).zip(message.route_text().and_then(object))
    else {
        return false;
    };
    let mut actors = Vec::new();
    for members in [&mut given_members, &mut own_members] {
        members.remove("current");
        let (newer, older) = (members.remove("actors"), members.remove("steps"));
        actors.push(newer.filter(|list| !list.is_null()).or(older));
    }
    // A `current` that may not be, or a route that is none, has to be seen by those who refuse it.
    message.next_on(given).is_ok() && actors[0] == actors[1] && given_members == own_members
}

fn of_triple(message: &Envelope, given: &Json) -> Result<Option<Json>, &'static str> {
    #[derive(Deserialize)]
    struct Triple {
        prev: Vec<String>,
        #[serde(default)]
        curr: Option<String>,
        #[serde(default)]
        next: Vec<String>,
    }
    let Triple { prev, curr, next } = given.read().map_err(|_| "its route is not `{prev, curr, next}`")?;
    let curr = curr.filter(|curr| !curr.is_empty());
    if curr.is_none() && !next.is_empty() {
        return Err("its route has a `next` and no `curr`");
    }
    let at = prev.len();
    let actors: Vec<String> = prev.into_iter().chain(curr).chain(next).collect();
    let Some(text) = message.route_text() else {
        return Ok(None);
    };
    let here = usize::try_from(message.current()).unwrap_or(0);
    if actors == message.actors() && [here, here + 1].contains(&at) {
        return Ok(None);
    }
    let members = Members::scan(text, &ROUTE_FIELDS).expect("a route is an object");
    let mut edit = Edit::new(text.as_bytes(), &members, &ROUTE_FIELDS);
    let spelling = if members.value(ACTORS).is_some() { ACTORS } else { STEPS };
    edit.set(spelling, list(&actors));
    edit.set(CURRENT, list(&at));
    Ok(Some(Json::checked(edit.finish().into())))
}

fn list<T: serde::Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("names and numbers have a JSON form")
}

/// The fields of a message's route, and those of the third generation.
const FIELDS: [&str; 6] = ["actors", "steps", "current", "prev", "curr", "next"];
const PREV: usize = 3;
const CURR: usize = 4;
const NEXT: usize = 5;
