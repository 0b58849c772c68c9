//! `outrigger take`: messages out of a queue, onto standard output.
//!
//! The rule: a message is acknowledged only after it was printed and flushed. What could not be printed goes back, as
//! if it had never been taken. An array is ended even where taking fails half-way.

use std::{process::ExitCode, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chassis::config::Loaded;
use queues::{Again, Consumer, Delivery, Queue, QueueError, Settle};
use serde_json::json;
use tokio::task::JoinSet;
use wire::Json;

use crate::{
    cli::Take,
    config::Root,
    open,
    output::{Array, Out, OutputError},
};

/// Takes, or only looks at, at most `args.n` messages.
pub async fn take(args: &Take, loaded: &Loaded<Root>) -> anyhow::Result<ExitCode> {
    let queue = open::existing(loaded).await?;
    let printed = print(args, &*queue, loaded).await;
    queue.close().await;
    printed?;
    Ok(ExitCode::SUCCESS)
}

async fn print(args: &Take, queue: &dyn Queue, loaded: &Loaded<Root>) -> anyhow::Result<()> {
    if !queue.exists(&args.queue).await? {
        return Err(open::no_queue(queue, &args.queue, loaded).await);
    }
    let mut printer = Printer::new(args.output.json());
    let ended = if args.peek {
        peek(args, queue, &mut printer).await
    } else {
        let credit = args.n.get().min(BATCH);
        let mut consumer = queue.consume(&args.queue, credit).await?;
        drain(args, &mut *consumer, &mut printer).await
    };
    // Whatever went wrong: what was printed has left the queue, and whoever reads it needs the end of the array.
    printer.end()?;
    ended
}

async fn peek(args: &Take, queue: &dyn Queue, printer: &mut Printer) -> anyhow::Result<()> {
    let mut left = args.n.get();
    let mut after = None;
    while left > 0 {
        let page = queue.browse(&args.queue, after, BATCH).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        for message in page.iter().filter(|message| !message.in_flight).take(left) {
            printer.message(&message.body)?;
            left -= 1;
        }
    }
    Ok(())
}

/// Takes in batches: print all, flush once, acknowledge all.
async fn drain(args: &Take, consumer: &mut dyn Consumer, printer: &mut Printer) -> anyhow::Result<()> {
    let mut left = args.n.get();
    let mut wait = args.wait.map(chassis::config::Duration::get);
    while left > 0 {
        let batch = ready(consumer, left.min(BATCH), wait.take()).await?;
        if batch.is_empty() {
            break;
        }
        left -= batch.len();
        acknowledge(batch, printer).await?;
    }
    Ok(())
}

/// What is ready at this moment; with `wait` the first may take its time.
async fn ready(consumer: &mut dyn Consumer, most: usize, wait: Option<Duration>) -> Result<Vec<Delivery>, QueueError> {
    let mut batch = Vec::new();
    if let Some(wait) = wait {
        match tokio::time::timeout(wait, consumer.take()).await {
            Ok(first) => batch.push(first?),
            Err(_nothing_came) => return Ok(batch),
        }
    }
    while batch.len() < most {
        match consumer.take_now().await? {
            Some(delivery) => batch.push(delivery),
            None => break,
        }
    }
    Ok(batch)
}

async fn acknowledge(batch: Vec<Delivery>, printer: &mut Printer) -> anyhow::Result<()> {
    let written = batch
        .iter()
        .try_for_each(|delivery| printer.message(delivery.body()))
        .and_then(|()| printer.flush());
    let how = match written {
        Ok(()) => Settle::Done,
        Err(_) => Settle::Again(Again::UNCOUNTED),
    };
    let mut settles = JoinSet::new();
    for delivery in batch {
        settles.spawn(delivery.settle(how));
    }
    for settled in settles.join_all().await {
        settled?;
    }
    Ok(written?)
}

/// Prints messages, a line each or as one JSON array.
struct Printer {
    out: Out,
    array: Option<Array>,
}

impl Printer {
    fn new(json: bool) -> Self {
        Self {
            out: Out::new(),
            array: json.then(Array::default),
        }
    }

    fn message(&mut self, body: &Bytes) -> Result<(), OutputError> {
        match &mut self.array {
            Some(array) => array.element(&mut self.out, &element(body)),
            None => self.out.line(line(body)),
        }
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        self.out.flush()
    }

    fn end(mut self) -> Result<(), OutputError> {
        match self.array {
            Some(array) => array.end(&mut self.out),
            None => self.out.flush(),
        }
    }
}

/// A message as it stands in an array: its own bytes; `{"raw"}` or `{"raw_base64"}` where they are no JSON.
fn element(body: &Bytes) -> Vec<u8> {
    if Json::parse(body.clone()).is_ok() {
        return body.to_vec();
    }
    let raw = match std::str::from_utf8(body) {
        Ok(text) => json!({ "raw": text }),
        Err(_) => json!({ "raw_base64": STANDARD.encode(body) }),
    };
    raw.to_string().into_bytes()
}

/// A message as one line: its own bytes, but for line breaks, which JSON has only between tokens.
fn line(body: &Bytes) -> Vec<u8> {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !body.iter().any(breaks) {
        return body.to_vec();
    }
    if Json::parse(body.clone()).is_err() {
        return element(body);
    }
    body.iter()
        .map(|byte| if breaks(byte) { b' ' } else { *byte })
        .collect()
}

/// How many are printed and acknowledged together.
const BATCH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_keeps_its_bytes_and_what_is_no_json_is_wrapped() {
        let shown = |body: &'static [u8]| String::from_utf8(element(&Bytes::from_static(body))).unwrap();
        assert_eq!(shown(b"{\"a\" :1.0}"), "{\"a\" :1.0}");
        assert_eq!(shown(b"{\"a\n"), "{\"raw\":\"{\\\"a\\n\"}");
        assert_eq!(shown(b"\xff\0"), "{\"raw_base64\":\"/wA=\"}");
    }

    #[test]
    fn a_line_has_no_line_break() {
        let shown = |body: &'static [u8]| String::from_utf8(line(&Bytes::from_static(body))).unwrap();
        assert_eq!(shown(b"{\"a\" :1.0}"), "{\"a\" :1.0}");
        assert_eq!(shown(b"{\r\n\"a\":\"\\n\"}"), "{  \"a\":\"\\n\"}");
        assert_eq!(shown(b"no\njson"), "{\"raw\":\"no\\njson\"}");
    }
}
