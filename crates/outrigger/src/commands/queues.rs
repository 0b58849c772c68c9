//! `outrigger queues`: what waits where.

use std::process::ExitCode;

use chassis::config::Loaded;
use queues::QueueStats;
use serde::Serialize;

use crate::{
    cli::Output,
    config::Root,
    human, open,
    output::{print, print_json},
    table::{Align, Table},
    terminal::Paint,
};

/// Prints every queue that exists, in order of their names.
pub async fn queues(output: Output, loaded: &Loaded<Root>) -> anyhow::Result<ExitCode> {
    let queue = open::existing(loaded).await?;
    let stats = queue.stats().await;
    queue.close().await;
    let stats = stats?;
    if output.json() {
        print_json(&stats.iter().map(Figures::of).collect::<Vec<_>>())?;
    } else if stats.is_empty() {
        eprintln!("no queue exists yet: `outrigger up` makes those that the configuration declares");
    } else {
        print(table(&stats).render(Paint::stdout()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One queue, for scripts; `null` is unknown.
#[derive(Debug, Serialize)]
struct Figures<'a> {
    name: &'a str,
    depth: Option<u64>,
    in_flight: Option<u64>,
    oldest_s: Option<f64>,
}

impl<'a> Figures<'a> {
    fn of(stats: &'a QueueStats) -> Self {
        Self {
            name: &stats.name,
            depth: stats.depth,
            in_flight: stats.in_flight,
            oldest_s: stats.oldest.map(|oldest| oldest.as_secs_f64()),
        }
    }
}

fn table(stats: &[QueueStats]) -> Table {
    let figure = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    // Put-backs that wait are rare: they get a column only where there are some.
    let delayed = stats
        .iter()
        .any(|stats| stats.delayed.is_some_and(|delayed| delayed > 0));
    let mut columns = vec![
        ("queue", Align::Left),
        ("ready", Align::Right),
        ("in flight", Align::Right),
    ];
    columns.extend(delayed.then_some(("delayed", Align::Right)));
    columns.push(("oldest", Align::Right));
    let mut table = Table::new(columns);
    for stats in stats {
        let mut row = vec![stats.name.to_string(), figure(stats.depth), figure(stats.in_flight)];
        row.extend(delayed.then(|| figure(stats.delayed)));
        row.push(stats.oldest.map_or_else(|| "-".to_owned(), human::duration));
        table.row(row);
    }
    table
}
