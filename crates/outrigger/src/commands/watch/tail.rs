//! `outrigger tail`: lines as they come in.

use std::process::ExitCode;

use bytes::Bytes;
use serde::Deserialize;

use super::{
    admin::{Admin, quoted},
    line::show,
    until_ctrl_c,
};
use crate::{
    cli,
    exit::{Code, Failure},
    human::count,
    output::Out,
    terminal::Paint,
};

/// Prints lines until Ctrl-C, or until the process ends.
pub async fn tail(args: &cli::Tail, admin: &Admin) -> anyhow::Result<ExitCode> {
    until_ctrl_c(follow(args, admin)).await
}

async fn follow(args: &cli::Tail, admin: &Admin) -> anyhow::Result<ExitCode> {
    let mut answer = admin.get(&path(args)).await?;
    let (mut out, mut events, paint) = (Out::new(), Events::default(), Paint::stdout());
    loop {
        let Some(piece) = answer.piece().await? else {
            let failure = Failure::new(
                Code::Unavailable,
                format!("the process at {} has ended", admin.address()),
            );
            return Err(failure.into());
        };
        for event in events.take(&piece) {
            match event {
                Event::Line(line) if args.output.json() => out.line(line)?,
                Event::Line(line) => out.line(show(&line, paint))?,
                Event::Lost(lines) => {
                    // In its place among the lines.
                    out.flush()?;
                    eprintln!(
                        "{} lost here: they come faster than they are read",
                        count(lines, "line")
                    );
                }
            }
        }
        out.flush()?;
    }
}

fn path(args: &cli::Tail) -> String {
    let filters = [
        ("source", &args.source),
        ("type", &args.kind),
        ("level", &args.level),
        ("name", &args.name),
    ];
    let filters = filters
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", quoted(value.as_deref()?))));
    format!("/tail?{}", filters.collect::<Vec<_>>().join("&"))
}

/// Reads server-sent events.
#[derive(Debug, Default)]
struct Events {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    name: String,
    data: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// A signal line.
    Line(String),
    /// So many were not sent.
    Lost(usize),
}

#[derive(Deserialize)]
struct Lost {
    lost: usize,
}

impl Events {
    /// The events that end in what came.
    fn take(&mut self, piece: &Bytes) -> Vec<Event> {
        self.begun.extend_from_slice(piece);
        let begun = std::mem::take(&mut self.begun);
        let mut lines = begun.split(|byte| *byte == b'\n');
        self.begun = lines.next_back().unwrap_or_default().to_vec();
        lines
            .filter_map(|line| self.line(&String::from_utf8_lossy(line)))
            .collect()
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), self.data.take()?);
            return match name.as_str() {
                "" => Some(Event::Line(data)),
                "lost" => serde_json::from_str(&data).ok().map(|Lost { lost }| Event::Lost(lost)),
                // One of a later version.
                _ => None,
            };
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                None => self.data = Some(value.to_owned()),
                Some(data) => {
                    // In JSON a line break is white space.
                    data.push(' ');
                    data.push_str(value);
                }
            },
            "event" => value.clone_into(&mut self.name),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_the_stream_is_torn() {
        let stream = "data: {\"a\":1}\n\n:\n\nevent: lost\ndata: {\"lost\":7}\n\nevent: other\ndata: x\n\ndata:{\r\ndata: }\r\n\r\ndata: cut";
        for size in [1, 3, 7, stream.len()] {
            let mut events = Events::default();
            let pieces = stream.as_bytes().chunks(size);
            let got: Vec<Event> = pieces
                .flat_map(|piece| events.take(&Bytes::copy_from_slice(piece)))
                .collect();
            let wanted = [
                Event::Line("{\"a\":1}".into()),
                Event::Lost(7),
                Event::Line("{ }".into()),
            ];
            assert_eq!(got, wanted, "{size}");
        }
    }
}
