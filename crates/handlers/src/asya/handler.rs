//! The runtime behind a socket: what it is told, whether it is ready, and what a close without a byte means.

use std::{fs, io};

use async_trait::async_trait;
use bytes::Bytes;
use wire::{
    Draft, Envelope, Fault, Input, Json, Reply,
    asya::{Exchange, Generation},
};

use super::{AsyaOptions, framed, http};
use crate::{Call, Handler, HandlerError, Liveness, Report, Side, socket::connect, trouble::Trouble};

/// A runtime of Asya behind a Unix socket.
///
/// Each call has a connection of its own. A call that carries a payload alone, no message, is told as the only step of
/// a route.
#[derive(Debug)]
pub struct AsyaHandler {
    options: AsyaOptions,
}

/// What a runtime of the second generation puts beside its socket when its function is loaded.
const READY: &str = "runtime-ready";

impl AsyaHandler {
    /// Connects to nothing yet.
    pub fn new(options: AsyaOptions) -> Self {
        Self { options }
    }

    async fn exchange(&self, call: &Call, report: &mut Report<'_>) -> Result<Reply, Trouble> {
        let options = &self.options;
        let message = message(call);
        let exchange = Exchange::new(&message, options.generation, options.position, call.headers.clone());
        let request = exchange.request(&call.actor);
        if request.len() as u64 > u64::from(options.max_frame) {
            return Err(Trouble::TooLarge {
                whose: Side::Request,
                bytes: request.len() as u64,
            });
        }
        match options.generation {
            Generation::One | Generation::Two => framed::exchange(options, &exchange, request, call).await,
            Generation::Three => http::exchange(options, &exchange, request, call, report).await,
        }
    }

    async fn ready(&self) -> io::Result<()> {
        if self.options.generation == Generation::Two {
            let file = self.options.path.with_file_name(READY);
            fs::metadata(&file)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
        }
        connect::to(&self.options.path, self.options.patience).await.map(drop)
    }
}

#[async_trait]
impl Handler for AsyaHandler {
    async fn call(&self, call: &Call, report: &mut Report<'_>) -> Result<Reply, HandlerError> {
        match self.exchange(call, report).await {
            Err(Trouble::Unanswered(source)) => Ok(Reply::Fault(Fault::new(format!(
                "the runtime closed the connection without an answer ({source}): it may have crashed or run out of memory"
            )))),
            Err(trouble) => Err(trouble.of_call(self.describe(), self.options.max_frame)),
            Ok(reply) => Ok(reply),
        }
    }

    async fn ping(&self) -> Result<Liveness, HandlerError> {
        let trouble = |source| Trouble::Unwritten(source).of_ping(self.describe(), self.options.max_frame);
        self.ready().await.map_err(trouble)?;
        Ok(Liveness::Connected)
    }

    fn describe(&self) -> String {
        self.options.path.display().to_string()
    }
}

/// The message of a call: its body, or one that is made around a payload.
fn message(call: &Call) -> Envelope {
    if call.input == Input::Envelope
        && let Ok(message) = Envelope::decode_at_end(call.body.clone())
    {
        return message;
    }
    let payload = Json::parse(call.body.clone()).unwrap_or_else(|_| Json::from_value(&text(&call.body)));
    let draft = Draft {
        id: Some(call.id.clone()),
        deadline: call.deadline,
        ..Draft::new([call.actor.as_str()], payload)
    };
    Envelope::decode_at_end(Envelope::compose(draft)).expect("a message of ours is one")
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_alone_is_told_as_the_only_step_of_a_route() {
        let call = Call {
            id: "m".into(),
            actor: "a".into(),
            package: None,
            function: None,
            attempt: 1,
            deadline: None,
            headers: Json::null(),
            input: Input::Payload,
            body: "[1.0]".into(),
        };
        let exchange = |generation| {
            let message = message(&call);
            let exchange = Exchange::new(&message, generation, wire::asya::Position::Step, Json::null());
            String::from_utf8(exchange.request("a").to_vec()).unwrap()
        };
        assert_eq!(
            exchange(Generation::One),
            r#"{"job_id":"m","route":{"steps":["a"],"current":0},"payload":[1.0]}"#
        );
        assert_eq!(
            exchange(Generation::Three),
            r#"{"id":"m","route":{"prev":[],"curr":"a","next":[]},"payload":[1.0]}"#
        );
    }
}
