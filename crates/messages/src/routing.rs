//! Decides where the outputs of a step go.
//!
//! Pure: no I/O, no clock. `dispatch` carries the decision out. Outputs are never lost and never invented: as many
//! leave as the handler gave, in its order, and a message without any is its original, at the happy end.

use std::sync::Arc;

use bytes::Bytes;
use wire::{Envelope, ErrorRecord, Part, RouteRefused, TraceContext};

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
    /// Where it stands in its trace, as the envelope says too.
    pub trace: Option<Arc<TraceContext>>,
}

/// The outputs of a step whose handler gave `parts`.
///
/// # Errors
/// A part brought a route of its own that is none, or that does not begin with the way behind it.
pub fn next(envelope: &Envelope, parts: &[Part]) -> Result<Vec<Output>, RouteRefused> {
    if parts.is_empty() {
        let id = envelope.id().to_owned();
        return Ok(vec![Output {
            target: Target::HappyEnd,
            id,
            body: envelope.finished(),
            trace: envelope.place().cloned(),
        }]);
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
            trace: envelope.place_of(part),
        })
    };
    parts.iter().enumerate().map(output).collect()
}

/// The one output of a message that failed.
pub fn failed(envelope: &Envelope, record: &ErrorRecord) -> Output {
    Output {
        target: Target::ErrorEnd,
        id: envelope.id().to_owned(),
        body: envelope.failed(record),
        trace: envelope.place().cloned(),
    }
}

/// The actor that a message goes to when its handler answers with one value and no route of its own.
pub fn expected(envelope: &Envelope) -> Target {
    envelope
        .next_actor()
        .map_or(Target::HappyEnd, |actor| Target::Actor(actor.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::{Draft, Json};

    use super::*;

    fn envelope(actors: &[&str], current: usize) -> Envelope {
        let body =
            format!(r#"{{"id":"m","route":{{"actors":{actors:?},"current":{current}}},"payload":{{"x":1.50}}}}"#);
        Envelope::decode(body.into()).expect("an envelope")
    }

    fn value(text: &str) -> Part {
        Part::new(Json::parse(text.to_owned().into()).expect("JSON"))
    }

    #[test]
    fn one_value_goes_to_the_next_actor_and_to_the_happy_end_when_the_route_is_done() {
        let outputs = next(&envelope(&["a", "b"], 0), &[value("7")]).expect("routed");
        assert_eq!(outputs.len(), 1);
        assert_eq!(outputs[0].target, Target::Actor("b".into()));
        let outputs = next(&envelope(&["a", "b"], 1), &[value("7")]).expect("routed");
        assert_eq!(outputs[0].target, Target::HappyEnd);
        assert_eq!(
            outputs[0].body,
            r#"{"id":"m","route":{"actors":["a", "b"],"current":2},"payload":7}"#
        );
    }

    #[test]
    fn nothing_sends_the_original_to_the_happy_end_byte_for_byte() {
        let envelope = envelope(&["a", "b"], 0);
        let outputs = next(&envelope, &[]).expect("routed");
        assert_eq!((outputs.len(), &outputs[0].target), (1, &Target::HappyEnd));
        assert_eq!(&outputs[0].body, envelope.body());
    }

    #[test]
    fn a_route_of_the_replys_own_decides_for_its_part_and_may_not_change_the_past() {
        let part = |route: &str| Part {
            route: Some(Json::parse(route.to_owned().into()).expect("JSON")),
            ..value("7")
        };
        let envelope = envelope(&["a", "b"], 0);
        let outputs = next(&envelope, &[part(r#"{"actors":["a","c"],"current":0}"#), value("8")]).expect("routed");
        let targets: Vec<_> = outputs.into_iter().map(|output| output.target).collect();
        assert_eq!(targets, [Target::Actor("c".into()), Target::Actor("b".into())]);
        assert!(next(&envelope, &[part(r#"{"actors":["z","c"],"current":0}"#)]).is_err());
    }

    proptest! {
        #[test]
        fn routing_never_loses_and_never_invents(
            payloads in prop::collection::vec("[a-z\"\\\\\u{e9}]{0,8}", 0..20),
            actors in 1_usize..5,
            at in 0_usize..5,
        ) {
            let at = at.min(actors - 1);
            let route: Vec<String> = (0..actors).map(|index| format!("actor-{index}")).collect();
            let body = Envelope::compose(Draft::new(route, Json::null()));
            let body = String::from_utf8(body.to_vec()).expect("text").replace("\"current\":0", &format!("\"current\":{at}"));
            let envelope = Envelope::decode(body.into()).expect("an envelope");
            let parts: Vec<Part> = payloads.iter().map(|text| Part::new(Json::from_value(text))).collect();
            let outputs = next(&envelope, &parts).expect("routed");

            prop_assert_eq!(outputs.len(), payloads.len().max(1));
            let mut ids: Vec<_> = outputs.iter().map(|output| output.id.clone()).collect();
            prop_assert_eq!(&ids[0], envelope.id());
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), outputs.len(), "ids collide");
            for (text, output) in payloads.iter().zip(&outputs) {
                let out = Envelope::decode(output.body.clone()).expect("an output is an envelope");
                prop_assert_eq!(out.payload().read::<String>().expect("a string"), text.clone());
                prop_assert_eq!(out.id(), &output.id);
                prop_assert_eq!(usize::try_from(out.current()).expect("not negative"), at + 1);
                let target = out.here().map_or(Target::HappyEnd, |actor| Target::Actor(actor.to_owned()));
                prop_assert_eq!(&target, &output.target);
            }
        }
    }
}
