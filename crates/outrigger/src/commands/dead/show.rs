//! `outrigger dead show`: what happened to one message, for a person.

use std::{fmt::Write as _, process::ExitCode, slice};

use jiff::Timestamp;
use queues::Queue;
use wire::{Envelope, ErrorRecord, code};

use super::{
    letter::{Letter, Letters},
    ls::moment,
};
use crate::{
    cli::DeadShow,
    human::{bytes, count, duration, shorten},
    output::{Array, Out, print},
    terminal::Paint,
};

/// Explains a message; all of them where its id stands more than once.
pub(super) async fn show(args: &DeadShow, queue: &dyn Queue, end: &str) -> anyhow::Result<ExitCode> {
    let letters = Letters::new(queue, end).named(slice::from_ref(&args.id)).await?;
    if letters.len() > 1 {
        eprintln!(
            "{} stand under this id: here are all of them",
            count(letters.len(), "message")
        );
    }
    if args.output.json() {
        let (mut out, mut array) = (Out::new(), Array::default());
        for letter in &letters {
            array.element(&mut out, letter.body())?;
        }
        array.end(&mut out)?;
    } else {
        let told: Vec<String> = letters
            .iter()
            .map(|letter| tell(letter, Timestamp::now(), Paint::stdout()))
            .collect();
        print(told.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The story of a message, without colours.
pub fn explain(envelope: &Envelope) -> String {
    tell_envelope(envelope, Timestamp::now(), Paint::new(false))
}

/// The story of a message, or of bytes that are none.
fn tell(letter: &Letter, now: Timestamp, paint: Paint) -> String {
    let invalid = match &letter.envelope {
        Ok(envelope) => return tell_envelope(envelope, now, paint),
        Err(invalid) => invalid,
    };
    let mut story = Story {
        text: String::new(),
        paint,
    };
    story.headline(invalid.id.as_deref().unwrap_or("(no id)"), "is no message at all");
    story.line("why", &invalid.why.to_string());
    story.line("bytes", &shown(&invalid.raw));
    if let Some(id) = &invalid.id {
        story.next(&[("removes it", format!("outrigger dead drop {}", quoted(id)))]);
    }
    story.text
}

fn tell_envelope(envelope: &Envelope, now: Timestamp, paint: Paint) -> String {
    let id = quoted(envelope.id());
    let mut story = Story {
        text: String::new(),
        paint,
    };
    let Some(error) = envelope.error() else {
        story.headline(envelope.id(), "has no error record: somebody put it here by hand");
        story.line("payload", &shown(envelope.payload().bytes()));
        story.next(&[("removes it", format!("outrigger dead drop {id}"))]);
        return story.text;
    };
    story.headline(envelope.id(), &headline(&error));
    story.line("what", &what(&error));
    if let Some(meaning) = meaning(&error.code) {
        story.line("that is", meaning);
    }
    story.line("when", &when(error.at, now));
    story.line("attempt", &error.attempt.to_string());
    if !envelope.actors().is_empty() {
        story.line("route", &route(envelope, paint));
    }
    if let Some(parent) = envelope.parent_id() {
        story.line("part of", &parent);
    }
    if let Some(headers) = envelope.headers() {
        story.line("headers", &shown(headers.bytes()));
    }
    if let Some(details) = &error.details {
        story.line("details", &shown(details.bytes()));
    }
    match raw(envelope) {
        Some(raw) => story.line("bytes", &shown(raw.as_bytes())),
        None => story.line("payload", &shown(envelope.payload().bytes())),
    }
    if let Some(traceback) = &error.traceback {
        story.block("traceback", traceback);
    }
    let drop = ("removes it for good", format!("outrigger dead drop {id}"));
    if envelope.replay(now).is_ok() {
        story.next(&[
            (
                "sends it again, when the cause is mended",
                format!("outrigger dead redrive {id}"),
            ),
            drop,
        ]);
    } else {
        let look = format!("outrigger dead show {id} --output json");
        story.next(&[("prints its bytes; it cannot be sent again as it is", look), drop]);
    }
    story.text
}

/// Lines of a name and a text below a headline.
struct Story {
    text: String,
    paint: Paint,
}

impl Story {
    fn headline(&mut self, id: &str, what: &str) {
        let _infallible = writeln!(self.text, "{} {what}\n", self.paint.strong(id));
    }

    fn line(&mut self, name: &str, text: &str) {
        let name = self.paint.dim(&format!("{name:>9}"));
        let _infallible = writeln!(self.text, "{name}  {text}");
    }

    fn block(&mut self, name: &str, text: &str) {
        let mut lines = text.trim_end().lines();
        self.line(name, lines.next().unwrap_or_default());
        for line in lines {
            let _infallible = writeln!(self.text, "{:11}{line}", "");
        }
    }

    fn next(&mut self, steps: &[(&str, String)]) {
        self.text.push('\n');
        let width = steps
            .iter()
            .map(|(_, command)| command.chars().count())
            .max()
            .unwrap_or(0);
        for (why, command) in steps {
            let _infallible = writeln!(self.text, "  {command:<width$}   {}", self.paint.dim(why));
        }
    }
}

fn headline(error: &ErrorRecord) -> String {
    if error.actor.is_empty() {
        format!("failed with `{}`", error.code)
    } else {
        format!("failed at actor `{}` with `{}`", error.actor, error.code)
    }
}

/// The message of the error, after the exception's type where there is one.
fn what(error: &ErrorRecord) -> String {
    match &error.kind {
        Some(kind) => format!("{kind}: {}", error.message),
        None => error.message.clone(),
    }
}

/// What a code of ours means, and where the cure lies.
fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        code::INVALID_ENVELOPE => "the bytes on the queue were no message: whoever put them there has to change",
        code::ROUTE_MISMATCH => "its route says that another actor has it: it was put on the wrong queue",
        code::TIMEOUT => "the handler gave no reply in time: make it faster, or raise the actor's `timeout`",
        code::DEADLINE_EXCEEDED => "its deadline passed before there was a reply; a redrive drops the deadline",
        code::HANDLER_LOST => "the handler's process ended while it worked on this",
        code::BAD_REPLY => {
            "what the handler answered is no reply: look at its last lines, and at `reply:` of the actor"
        }
        code::FRAME_TOO_LARGE => "it does not fit the actor's `max_frame`: raise it, or send a reference to the data",
        code::TOO_LARGE => "a result is larger than the next queue takes: send a reference to the data",
        code::ATTEMPTS_EXHAUSTED => "its handler ended each time that it worked on this: it may kill its handler",
        code::NO_QUEUE => "the next actor of its route has no queue: start that actor, or mend the route",
        _ => return None,
    })
}

fn when(at: Timestamp, now: Timestamp) -> String {
    if at == Timestamp::UNIX_EPOCH {
        return "unknown".to_owned();
    }
    match std::time::Duration::try_from(now.duration_since(at)) {
        Ok(ago) => format!("{} ({} ago)", moment(at), duration(ago)),
        Err(_) => moment(at),
    }
}

/// The route with a mark at the actor that had it.
fn route(envelope: &Envelope, paint: Paint) -> String {
    let current = usize::try_from(envelope.current()).ok();
    let actors = envelope.actors().iter().enumerate().map(|(index, actor)| {
        if Some(index) == current {
            paint.bad(&format!("[{actor}]"))
        } else {
            actor.clone()
        }
    });
    let mut route = actors.collect::<Vec<_>>().join(" -> ");
    if current.is_none_or(|current| current >= envelope.actors().len()) {
        let _infallible = write!(route, " (current is {}, outside)", envelope.current());
    }
    route
}

/// Bytes as one shortened line, with their size where they were cut.
fn shown(body: &[u8]) -> String {
    let start = &body[..body.len().min(4 * WIDTH)];
    let line = shorten(&String::from_utf8_lossy(start), WIDTH);
    if line.ends_with('…') || start.len() < body.len() {
        format!("{line} ({})", bytes(body.len()))
    } else {
        line
    }
}

/// The bytes of a buried message, which stand in its error record.
fn raw(envelope: &Envelope) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Grave {
        raw: Option<String>,
        raw_base64: Option<String>,
    }
    let grave: Grave = envelope.error_text()?.read().ok()?;
    grave.raw.or(grave.raw_base64)
}

/// An id as a shell takes it.
fn quoted(id: &str) -> String {
    shlex::try_quote(id).map_or_else(|_| id.to_owned(), std::borrow::Cow::into_owned)
}

const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn story(body: &str) -> String {
        let letter = Letter::new(7, body.to_owned().into());
        tell(&letter, "2026-03-04T05:09:27Z".parse().unwrap(), Paint::new(false))
    }

    #[test]
    fn a_failure_is_told_with_all_that_is_known_of_it() {
        let pixels = "0,".repeat(200);
        let body = format!(
            r#"{{"id":"m-1","parent_id":"m","route":{{"actors":["normalise","classify"],"current":1}},"headers":{{"k":"v"}},"payload":[{pixels}1],"error":{{"code":"handler_error","message":"63 pixels","type":"CorruptImage","traceback":"File \"a.py\", line 3\n  raise\n","details":{{"row":4}},"actor":"classify","attempt":2,"at":"2026-03-04T05:06:07Z"}}}}"#
        );
        assert_snapshot!(story(&body), @r#"
        m-1 failed at actor `classify` with `handler_error`

             what  CorruptImage: 63 pixels
             when  2026-03-04 05:06:07Z (3m 20s ago)
          attempt  2
            route  normalise -> [classify]
          part of  m
          headers  {"k":"v"}
          details  {"row":4}
          payload  [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,… (403 bytes)
        traceback  File "a.py", line 3
                     raise

          outrigger dead redrive m-1   sends it again, when the cause is mended
          outrigger dead drop m-1      removes it for good
        "#);
    }

    #[test]
    fn what_was_buried_is_shown_with_its_bytes() {
        assert_snapshot!(story(r#"{"id":"m 1","payload":null,"error":{"code":"invalid_envelope","message":"no route","actor":"a","attempt":1,"at":"2026-03-04T05:06:07Z","raw":"{\"id\":\"m 1\"}"}}"#), @r#"
        m 1 failed at actor `a` with `invalid_envelope`

             what  no route
          that is  the bytes on the queue were no message: whoever put them there has to change
             when  2026-03-04 05:06:07Z (3m 20s ago)
          attempt  1
            bytes  {"id":"m 1"}

          outrigger dead show 'm 1' --output json   prints its bytes; it cannot be sent again as it is
          outrigger dead drop 'm 1'                 removes it for good
        "#);
    }

    #[test]
    fn strangers_are_shown_too() {
        assert_snapshot!(story("not json"), @r"
        (no id) is no message at all

              why  not JSON: expected ident at line 1 column 2
            bytes  not json
        ");
        assert_snapshot!(story(r#"{"id":"m","route":{"actors":["a"],"current":1},"payload":1}"#), @r"
        m has no error record: somebody put it here by hand

          payload  1

          outrigger dead drop m   removes it
        ");
    }

    #[test]
    fn every_code_of_ours_has_a_meaning() {
        for code in [
            code::INVALID_ENVELOPE,
            code::ROUTE_MISMATCH,
            code::TIMEOUT,
            code::DEADLINE_EXCEEDED,
            code::HANDLER_LOST,
            code::BAD_REPLY,
            code::FRAME_TOO_LARGE,
            code::TOO_LARGE,
            code::ATTEMPTS_EXHAUSTED,
            code::NO_QUEUE,
        ] {
            assert!(meaning(code).is_some(), "{code}");
        }
        assert_eq!(meaning(code::HANDLER_ERROR), None);
    }
}
