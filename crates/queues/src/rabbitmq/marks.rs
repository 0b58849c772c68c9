//! What is written beside a message, and read there: who counts its attempts and deliveries, and since when it waits.
//!
//! Pure. A body is never looked into; these are the message's AMQP properties.

use std::sync::Arc;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use wire::TraceContext;

use super::options::QueueType;
use crate::Tally;

/// What the broker and we know of a message besides its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The attempt that the last put-back named.
    pub(super) attempt: Option<u32>,
    /// Deliveries that began and did not finish before this copy was made.
    pub(super) before: u32,
    /// When it was put, in milliseconds since 1970, where its queue is trimmed by age.
    pub(super) put_at: Option<i64>,
    /// Which of its copies it is, while a handler works on it for long.
    pub(super) parking: Option<i64>,
    /// Where it stands in its trace.
    pub(super) trace: Option<Arc<TraceContext>>,
}

impl Marks {
    pub(super) fn read(properties: &BasicProperties) -> Self {
        let headers = properties.headers().as_ref();
        let text = |name| headers.and_then(|headers| words(headers, name));
        let trace = text("traceparent").and_then(|parent| TraceContext::parse(&parent, text("tracestate").as_deref()));
        Self {
            attempt: number(headers, ATTEMPT),
            before: number(headers, DELIVERIES).unwrap_or(0),
            put_at: headers.and_then(|headers| integer(headers, PUT_AT)),
            parking: headers.and_then(|headers| integer(headers, PARKING)),
            trace: trace.map(Arc::new),
        }
    }

    /// The properties of a message, durable, with a number by which it is told from others of its batch.
    pub(super) fn write(&self, number: u64) -> BasicProperties {
        let mut headers = FieldTable::default();
        let mut set = |name: &str, value: AMQPValue| {
            headers.insert(ShortString::from(name), value);
        };
        if let Some(attempt) = self.attempt {
            set(ATTEMPT, AMQPValue::LongLongInt(attempt.into()));
        }
        if self.before > 0 {
            set(DELIVERIES, AMQPValue::LongLongInt(self.before.into()));
        }
        if let Some(put_at) = self.put_at {
            set(PUT_AT, AMQPValue::LongLongInt(put_at));
        }
        if let Some(parking) = self.parking {
            set(PARKING, AMQPValue::LongLongInt(parking));
        }
        if let Some(trace) = &self.trace {
            set("traceparent", AMQPValue::LongString(trace.traceparent().into()));
            if let Some(state) = trace.tracestate() {
                set("tracestate", AMQPValue::LongString(state.into()));
            }
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_correlation_id(number.to_string().into());
        if headers.inner().is_empty() {
            properties
        } else {
            properties.with_headers(headers)
        }
    }

    /// The counters of a delivery. A classic queue does not count deliveries.
    pub(super) fn tally(&self, properties: &BasicProperties, kind: QueueType) -> Tally {
        let redelivered = number(properties.headers().as_ref(), DELIVERY_COUNT).unwrap_or(0);
        Tally {
            attempt: self.attempt,
            deliveries: match kind {
                QueueType::Quorum => Some(self.before.saturating_add(redelivered).saturating_add(1)),
                QueueType::Classic => None,
            },
        }
    }
}

/// The number that [`Marks::write`] gave a message.
pub(super) fn number_of(properties: &BasicProperties) -> Option<u64> {
    properties.correlation_id().as_ref()?.as_str().parse().ok()
}

fn number(headers: Option<&FieldTable>, name: &str) -> Option<u32> {
    integer(headers?, name).and_then(|number| u32::try_from(number).ok())
}

/// Other clients write integers of any width.
fn integer(headers: &FieldTable, name: &str) -> Option<i64> {
    match headers.inner().get(name)? {
        AMQPValue::ShortShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => Some((*number).into()),
        AMQPValue::ShortUInt(number) => Some((*number).into()),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::LongLongInt(number) => Some(*number),
        AMQPValue::Timestamp(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}

fn words(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(words) => std::str::from_utf8(words.as_bytes()).ok().map(str::to_owned),
        AMQPValue::ShortString(words) => Some(words.to_string()),
        _ => None,
    }
}

const PERSISTENT: u8 = 2;
const ATTEMPT: &str = "x-outrigger-attempt";
const DELIVERIES: &str = "x-outrigger-deliveries";
const PUT_AT: &str = "x-outrigger-put-at";
const PARKING: &str = "x-outrigger-parking";
/// Written by quorum queues.
const DELIVERY_COUNT: &str = "x-delivery-count";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            attempt in proptest::option::of(any::<u32>()), before in any::<u32>(),
            put_at in proptest::option::of(any::<i64>()), parking in proptest::option::of(any::<i64>()),
            number in any::<u64>(),
        ) {
            let marks = Marks { attempt, before, put_at, parking, trace: None };
            let properties = marks.write(number);
            prop_assert_eq!(Marks::read(&properties), marks);
            prop_assert_eq!(number_of(&properties), Some(number));
        }
    }

    #[test]
    fn a_quorum_queue_counts_deliveries_on_top_of_those_before_the_copy() {
        let mut headers = FieldTable::default();
        headers.insert(DELIVERY_COUNT.into(), AMQPValue::LongLongInt(2));
        headers.insert(DELIVERIES.into(), AMQPValue::ShortShortInt(3));
        let properties = BasicProperties::default().with_headers(headers);
        let marks = Marks::read(&properties);
        assert_eq!(marks.tally(&properties, QueueType::Quorum).deliveries, Some(6));
        assert_eq!(marks.tally(&properties, QueueType::Classic).deliveries, None);
    }
}
