//! The command: what is to be sent is checked, the queue is opened, and everything goes through the outbox.

use std::{path::Path, process::ExitCode};

use bytes::Bytes;
use chassis::config::Loaded;
use jiff::Timestamp;
use queues::{Queue, QueueSpec};
use wire::{Json, JsonError};

use super::{
    form::{Form, Made},
    lines::{Line, Lines},
    outbox::Outbox,
};
use crate::{
    cli::Send,
    config::Root,
    exit::{self, Code, Failure},
    human::{count, list},
    open,
    output::{print, print_json},
    progress::Progress,
    terminal::{self, Paint},
    wiring::queues_of,
};

/// Sends one payload, or a line after the other.
pub async fn send(args: &Send, loaded: &Loaded<Root>) -> anyhow::Result<ExitCode> {
    let form = Form::new(args, Timestamp::now());
    let input = Input::open(args, &form)?;
    let first = loaded.value.queue_of(args.route.first());
    if open::is_missing(loaded) && !args.create && !is_declared(args.route.first(), loaded) {
        return Err(undeclared(&first, loaded).into());
    }
    let queue = open::fresh(loaded).await?;
    let sent = deliver(args, loaded, &*queue, &first, input, &form).await;
    queue.close().await;
    sent
}

/// What is to be sent.
enum Input {
    One(Bytes),
    Many(Lines),
}

impl Input {
    /// Opens it, and checks as much as can be checked before anything is put.
    fn open(args: &Send, form: &Form) -> Result<Self, Failure> {
        if let Some(payload) = &args.payload {
            let bytes = Bytes::copy_from_slice(payload.as_bytes());
            Json::parse(bytes.clone()).map_err(|error| {
                let failure = Failure::new(Code::Data, "the payload is not JSON").because(error);
                failure.help("a text needs its quotes, and the shell others around them: --payload '\"hello\"'")
            })?;
            return Ok(Self::One(bytes));
        }
        let path = args
            .file
            .as_deref()
            .or(args.envelopes.as_deref())
            .unwrap_or(Path::new("-"));
        let lines = Lines::open(path)?;
        if lines.size.is_some() {
            let mut lines = Lines::open(path)?;
            while let Some(line) = lines.next()? {
                let number = line.number;
                form.make(line.bytes).map_err(|error| {
                    bad_line(number, &lines.name, error)
                        .help("nothing was sent: correct the line and send the file again")
                })?;
            }
        }
        Ok(Self::Many(lines))
    }
}

async fn deliver(
    args: &Send,
    loaded: &Loaded<Root>,
    queue: &dyn Queue,
    first: &str,
    input: Input,
    form: &Form,
) -> anyhow::Result<ExitCode> {
    prepare(args, loaded, queue, first).await?;
    let mut outbox = Outbox::new(queue, first);
    let one = matches!(input, Input::One(_));
    let sent = match input {
        Input::One(payload) => put_one(&mut outbox, form, payload).await,
        Input::Many(lines) => put_lines(&mut outbox, form, lines).await,
    };
    // Also after an error: what was put has been put.
    let ids = outbox.put();
    match ids {
        _ if args.output.json() => print_json(&ids)?,
        [Some(id)] if one => print(format!("{id}\n"))?,
        _ if sent.is_ok() => eprintln!("sent {} to {first}", count(ids.len(), "message")),
        _ => {}
    }
    sent?;
    Ok(ExitCode::SUCCESS)
}

/// Declares what the configuration declares, makes sure of the first queue, and warns of later ones.
async fn prepare(args: &Send, loaded: &Loaded<Root>, queue: &dyn Queue, first: &str) -> anyhow::Result<()> {
    let root = &loaded.value;
    if has_declarations(loaded) {
        queue.declare(&queues_of(root)).await?;
    }
    if !queue.exists(first).await? {
        if !args.create {
            return Err(undeclared(first, loaded).into());
        }
        queue.declare(&[QueueSpec::new(first)]).await?;
    }
    let mut unknown = Vec::new();
    for actor in args.route.later() {
        if !root.declares(actor) && !unknown.contains(&actor) && !queue.exists(&root.queue_of(actor)).await? {
            unknown.push(actor);
        }
    }
    if !unknown.is_empty() {
        let (them, have) = if unknown.len() == 1 {
            ("actor", "has")
        } else {
            ("actors", "have")
        };
        let warning = Paint::new(terminal::stderr_has_colour()).odd("warning:");
        eprintln!(
            "{warning} {them} {} of the route {have} no queue: what comes that far ends in `{}` with `no_queue`",
            list(&unknown),
            root.error_end()
        );
    }
    Ok(())
}

async fn put_one(outbox: &mut Outbox<'_>, form: &Form, payload: Bytes) -> anyhow::Result<()> {
    let made = form.make(payload)?;
    outbox.add(made.id, made.body).await?;
    outbox.flush().await?;
    Ok(())
}

async fn put_lines(outbox: &mut Outbox<'_>, form: &Form, mut lines: Lines) -> anyhow::Result<()> {
    let mut progress = Progress::new("sending", lines.size);
    let mut flaws = Flaws::default();
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(failure) => {
                outbox.flush().await?;
                return Err(failure.help(resume(outbox.put().len(), None)).into());
            }
        };
        let Line { number, bytes, read } = line;
        let Made { id, body, flaw } = match form.make(bytes) {
            Ok(made) => made,
            Err(error) => {
                outbox.flush().await.map_err(|error| stopped(error, outbox))?;
                let failure = bad_line(number, &lines.name, error);
                return Err(failure.help(resume(outbox.put().len(), Some(number))).into());
            }
        };
        if let Some(flaw) = flaw {
            flaws.warn(number, &flaw);
        }
        outbox.add(id, body).await.map_err(|error| stopped(error, outbox))?;
        progress.advance(if lines.size.is_some() { read } else { 1 });
        if lines.may_wait() {
            // Whoever writes to us line by line has each of them sent at once.
            outbox.flush().await.map_err(|error| stopped(error, outbox))?;
        }
    }
    outbox.flush().await.map_err(|error| stopped(error, outbox))?;
    flaws.sum_up();
    Ok(())
}

/// Says what is put although no actor will take it for a message; of many only the first few.
#[derive(Default)]
struct Flaws(usize);

impl Flaws {
    fn warn(&mut self, line: usize, flaw: &wire::Flaw) {
        self.0 += 1;
        if self.0 <= MOST_WARNINGS {
            let warning = Paint::new(terminal::stderr_has_colour()).odd("warning:");
            eprintln!("{warning} line {line} is no envelope, its actor will bury it: {flaw}");
        }
    }

    fn sum_up(&self) {
        if self.0 > MOST_WARNINGS {
            let warning = Paint::new(terminal::stderr_has_colour()).odd("warning:");
            eprintln!("{warning} so are {} more lines", self.0 - MOST_WARNINGS);
        }
    }
}

const MOST_WARNINGS: usize = 5;

fn bad_line(number: usize, input: &str, error: JsonError) -> Failure {
    let failure = Failure::new(Code::Data, format!("line {number} of {input} is not JSON"));
    match &error {
        JsonError::Syntax { source } => {
            // Within one line the column says where.
            let place = format!(" at line {} column {}", source.line(), source.column());
            let what = source.to_string();
            let what = what.strip_suffix(&place).unwrap_or(&what);
            failure.because(format!("{what}, at column {}", source.column()))
        }
        _ => failure.because(error),
    }
}

/// A put failed: how far it went.
fn stopped(error: queues::QueueError, outbox: &Outbox<'_>) -> anyhow::Error {
    let error = anyhow::Error::from(error);
    let sent = count(outbox.put().len(), "message");
    Failure {
        code: exit::code_of(&error),
        message: format!("cannot send on, {sent} went out before"),
        help: Some(resume(outbox.put().len(), None)),
        source: Some(error.into()),
    }
    .into()
}

/// Where to go on from.
fn resume(put: usize, line: Option<usize>) -> String {
    match line {
        Some(line) => format!(
            "{} went out before it: correct it and send on from line {line}",
            count(put, "message")
        ),
        None => format!(
            "{} went out: leave them out when you send the rest",
            count(put, "message")
        ),
    }
}

/// Whether there is a configuration that declares queues, and not its defaults alone.
fn has_declarations(loaded: &Loaded<Root>) -> bool {
    loaded.file.is_some() || !loaded.value.actors.is_empty()
}

fn is_declared(actor: &str, loaded: &Loaded<Root>) -> bool {
    has_declarations(loaded) && loaded.value.declares(actor)
}

fn undeclared(queue: &str, loaded: &Loaded<Root>) -> Failure {
    let cure = match &loaded.file {
        Some(file) => format!(
            "declare its actor in {}, or make the queue with `--create`",
            file.display()
        ),
        None => "run this where outrigger.yaml is, or make the queue with `--create`".to_owned(),
    };
    Failure::new(Code::NoInput, format!("queue `{queue}` does not exist")).help(cure)
}
