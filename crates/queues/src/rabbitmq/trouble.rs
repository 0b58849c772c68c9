//! What an error of the AMQP client means for us.
//!
//! Pure. A broker that is away is transient; one that says no will say so again, and its words and the cure go to
//! whoever can change that.

use lapin::{
    Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};

use crate::QueueError;

/// What the broker refused, when it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A queue or an exchange is not there.
    NotFound,
    /// It exists with other arguments, a message is too large, a delivery was held too long.
    Precondition,
    /// This user may not.
    Access,
    /// The virtual host is not there or not for this user.
    NotAllowed,
    /// Somebody else has the queue for himself.
    Locked,
}

/// What the broker said no to; `None` where it is only away.
pub(super) fn refusal(error: &Error) -> Option<(Refusal, String)> {
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return None;
    };
    let refusal = match error.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Refusal::NotFound,
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => Refusal::Precondition,
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Refusal::Access,
        AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => Refusal::Locked,
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => Refusal::NotAllowed,
        _ => return None,
    };
    Some((refusal, error.get_message().to_string()))
}

/// Why no connection came about.
pub(super) fn of_connect(error: Error, broker: &str) -> QueueError {
    let refused = |what: String, cure: &str, source: Option<Error>| QueueError::Refused {
        what,
        cure: cure.to_owned(),
        source: source.map(Into::into),
    };
    match refusal(&error) {
        Some((Refusal::Access, _)) => refused(
            format!("RabbitMQ at {broker} does not know this user and password"),
            "put the right ones into the queue's URL (`amqp://user:password@host`); characters such as `@` and `/` are \
             written `%40` and `%2f`. The user `guest` may connect from the broker's own machine only",
            None,
        ),
        Some((Refusal::NotAllowed, said)) => refused(
            format!("RabbitMQ at {broker} refuses the virtual host: {}", plain(&said)),
            "name one that exists at the end of the URL (`amqp://host/vhost`), or make it with `rabbitmqctl add_vhost` \
             and give the user its permissions with `rabbitmqctl set_permissions`",
            None,
        ),
        _ if is_certificate(&error) => refused(
            format!("the certificate of RabbitMQ at {broker} is not trusted, or ours is refused"),
            "name its authority in `rabbitmq.tls.ca`, and the host by a name that its certificate has; where it asks \
             for a client certificate, set `rabbitmq.tls.cert` and `.key`",
            Some(error),
        ),
        _ => away(
            format!("cannot connect to RabbitMQ at {broker}: does it run there?"),
            error,
        ),
    }
}

/// A step that failed because the broker is away or going.
pub(super) fn away(why: impl Into<String>, error: Error) -> QueueError {
    QueueError::Unavailable {
        why: why.into(),
        source: Some(error.into()),
    }
}

/// The limit that a refused message was over, in bytes: `message size 200 is larger than configured max size 100`.
pub(super) fn message_limit(said: &str) -> Option<u64> {
    let (_, limit) = said.split_once("larger than")?;
    limit.split(' ').rev().find_map(|word| word.parse().ok())
}

/// The broker's words without the code in front of them.
pub(super) fn plain(said: &str) -> &str {
    said.split_once(" - ").map_or(said, |(_, words)| words)
}

fn is_certificate(error: &Error) -> bool {
    let said = error.to_string().to_ascii_lowercase();
    matches!(error.kind(), ErrorKind::IOError(_)) && (said.contains("certificate") || said.contains("unknownissuer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_message_is_read_from_the_brokers_words() {
        let said = "PRECONDITION_FAILED - message size 134217729 is larger than configured max size 134217728";
        assert_eq!(message_limit(said), Some(134_217_728));
        assert_eq!(message_limit("PRECONDITION_FAILED - inequivalent arg"), None);
        assert_eq!(
            plain(said),
            "message size 134217729 is larger than configured max size 134217728"
        );
    }
}
