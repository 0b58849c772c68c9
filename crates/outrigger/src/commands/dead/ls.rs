//! `outrigger dead ls`.

use std::process::ExitCode;

use jiff::Timestamp;
use queues::Queue;

use super::letter::{Filter, Letters};
use crate::{
    cli::DeadLs,
    human,
    output::{Array, Out, print},
    table::{Align, Table},
    terminal::Paint,
};

/// Lists the messages that failed, oldest first.
pub(super) async fn ls(args: &DeadLs, queue: &dyn Queue, end: &str) -> anyhow::Result<ExitCode> {
    let filter = Filter {
        actor: args.actor.as_deref(),
        code: args.code.as_deref(),
    };
    let mut letters = Letters::new(queue, end);
    let (mut out, mut array) = (Out::new(), Array::default());
    let mut table = Table::new(["id", "actor", "code", "when", "attempt", "message"].map(|name| {
        let align = if name == "attempt" { Align::Right } else { Align::Left };
        (name, align)
    }));
    let mut rows = 0;
    while let Some(letter) = letters.next().await? {
        let summary = letter.summary();
        if !filter.fits(&summary) {
            continue;
        }
        if args.output.json() {
            array.value(&mut out, &summary)?;
            continue;
        }
        rows += 1;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.row([
            or_dash(summary.id),
            or_dash(summary.actor),
            or_dash(summary.code),
            or_dash(summary.at.map(moment)),
            or_dash(summary.attempt.map(|attempt| attempt.to_string())),
            or_dash(summary.message.map(|message| human::shorten(&message, MESSAGE))),
        ]);
    }
    if args.output.json() {
        array.end(&mut out)?;
    } else if rows == 0 {
        eprintln!(
            "no failed message in `{end}`{}",
            if filter.is_open() { "" } else { " fits the filters" }
        );
    } else {
        print(table.render(Paint::stdout()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A moment to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

const MESSAGE: usize = 72;
