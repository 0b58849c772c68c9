//! The command: looks whether a runtime is there at all, plays the vectors one after the other, tells of each.

use std::{io, path::Path, process::ExitCode, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    connection::Connection,
    play::{self, play},
    report::{Outcome, Report},
    trouble::Trouble,
    vectors::{Vector, selected},
};
use crate::{
    cli::Conformance,
    exit::{Code, Failure},
    output::{Out, print, print_json},
    terminal::Paint,
};

/// Plays the vectors that were asked for; exit 0 only where all of them passed.
///
/// # Cancellation
/// Dropping the future closes all connections.
pub async fn conformance(args: &Conformance) -> anyhow::Result<ExitCode> {
    let vectors = selected(args.only.as_deref());
    if vectors.is_empty() {
        let part = args.only.as_deref().unwrap_or_default();
        let failure = Failure::new(Code::Usage, format!("no vector has `{part}` in its name"));
        return Err(failure.help("`outrigger conformance --list` shows all names").into());
    }
    match &args.socket {
        Some(socket) if !args.list => run(args, socket, &vectors).await,
        _ => list(args, &vectors),
    }
}

fn list(args: &Conformance, vectors: &[Vector]) -> anyhow::Result<ExitCode> {
    if args.output.json() {
        let entry = |vector: &Vector| json!({ "name": vector.name, "why": vector.why });
        print_json(&vectors.iter().map(entry).collect::<Vec<_>>())?;
    } else {
        let names: Vec<&str> = vectors.iter().map(|vector| vector.name.as_str()).collect();
        print(
            names.join(
                "
",
            ) + "
",
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(args: &Conformance, socket: &Path, vectors: &[Vector]) -> anyhow::Result<ExitCode> {
    let limit = args.timeout.get();
    let served = greeting(socket, limit).await?;
    let (paint, mut out) = (Paint::stdout(), Out::new());
    let mut outcomes = Vec::new();
    for vector in vectors {
        let outcome = Outcome::of(vector, check(vector, &served, socket, limit).await);
        if !args.output.json() {
            out.bytes(outcome.render(paint).as_bytes())?;
            out.flush()?;
        }
        outcomes.push(outcome);
    }
    let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
    let report = Report {
        socket: &socket.to_string_lossy(),
        passed,
        failed: outcomes.len() - passed,
        vectors: &outcomes,
    };
    if args.output.json() {
        print_json(&report)?;
    } else {
        out.bytes(report.summary(paint).as_bytes())?;
        out.flush()?;
    }
    Ok(if report.failed == 0 {
        ExitCode::SUCCESS
    } else {
        Code::Protocol.into()
    })
}

/// Plays a vector where the handler has the functions for it.
async fn check(vector: &Vector, served: &[String], socket: &Path, limit: Duration) -> Result<(), play::Failure> {
    let missing = vector
        .functions()
        .into_iter()
        .filter(|name| !served.iter().any(|it| it == name));
    let missing: Vec<String> = missing.map(str::to_owned).collect();
    if missing.is_empty() {
        return play(vector, socket, limit).await;
    }
    Err(play::Failure {
        step: "none".to_owned(),
        doing: "not begun".to_owned(),
        trouble: Trouble::Missing(missing),
    })
}

/// The functions that the handler's hello names; an error with its cure where there is no such handler.
async fn greeting(socket: &Path, limit: Duration) -> Result<Vec<String>, Failure> {
    let place = socket.display();
    let trouble = match timeout(limit, Connection::open(socket)).await {
        Ok(Ok(connection)) => return Ok(names(&connection.hello)),
        Ok(Err(trouble)) => trouble,
        Err(_) => Trouble::Silent(limit),
    };
    let start = format!("start the handler with OUTRIGGER_HANDLER_SOCKET={place}, and do this again");
    Err(match trouble {
        Trouble::Refused(error) if error.kind() == io::ErrorKind::NotFound => {
            Failure::new(Code::NoInput, format!("there is no socket {place}")).help(start)
        }
        Trouble::Refused(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Failure::new(Code::Unavailable, format!("nobody serves on the socket {place}")).help(start)
        }
        Trouble::Refused(error) => {
            Failure::new(Code::Unavailable, format!("cannot connect to the socket {place}")).because(error)
        }
        Trouble::Silent(_) => Failure::new(
            Code::Protocol,
            format!("the handler on {place} says no hello, so it is a plain handler: nothing here is for it"),
        )
        .help(
            "a plain handler needs no runtime; one of protocol 1 sends the control frame \
             {\"hello\":{\"protocol\":1,\"functions\":[{\"name\":..}]}} right after it has accepted a connection",
        ),
        trouble => Failure::new(
            Code::Protocol,
            format!("the handler on {place} does not begin with a hello: {}", trouble.seen()),
        )
        .help(
            "the first frame of a connection is the control frame {\"hello\":{\"protocol\":1,\"functions\":[..]}}: \
             its length is four bytes, big-endian, with bit 31 set",
        ),
    })
}

fn names(hello: &Value) -> Vec<String> {
    let functions = hello["functions"].as_array().into_iter().flatten();
    functions
        .filter_map(|function| Some(function["name"].as_str()?.to_owned()))
        .collect()
}
