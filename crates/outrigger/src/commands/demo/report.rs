//! What the tour says: before, and after.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use serde_json::json;

use super::tour::{CORRUPT_ID, Tally};
use crate::commands::dead;

/// Before the run, on standard error: standard output is for what was found out.
pub fn introduce(folder: &Path) {
    eprintln!(
        "1,797 handwritten digits go through three Python actors: normalise -> classify -> judge.\n\
         Each is a plain function in a process of its own; a durable queue is between them.\n\
         Folder: {}\n",
        folder.display()
    );
}

/// After the run, for people.
pub fn print(tally: &Tally, kept: Option<&Path>) -> io::Result<()> {
    let (right, unseen) = tally.unseen();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "in        {:>7}   images, and one that is corrupt",
        thousands(tally.sent)
    )?;
    writeln!(out, "out       {:>7}   at happy-end", thousands(tally.verdicts.len()))?;
    writeln!(out, "lost      {:>7}", tally.lost())?;
    writeln!(out, "repeated  {:>7}", tally.repeated())?;
    writeln!(out, "failed    {:>7}   at error-end", tally.failed.len())?;
    writeln!(
        out,
        "accuracy  {:>7}   {right} of {unseen} images that the classifier had never seen",
        percent(right, unseen)
    )?;
    writeln!(
        out,
        "speed     {:>7.0}   messages a second through three hops, each synced to disk",
        tally.rate()
    )?;
    writeln!(
        out,
        "hop p50   {:>7}   from taking a message to its output being safe",
        duration(tally.hop(50))
    )?;
    writeln!(out, "hop p99   {:>7}", duration(tally.hop(99)))?;
    writeln!(
        out,
        "ready in  {:>7}   three actors, four processes",
        duration(tally.starting)
    )?;
    if let Some(corrupt) = tally.corrupt() {
        writeln!(
            out,
            "\nThe corrupt one, as `outrigger dead show {CORRUPT_ID}` explains it:\n"
        )?;
        for line in dead::explain(corrupt).lines() {
            writeln!(out, "  {line}")?;
        }
    }
    writeln!(out, "\nWhat to try next:")?;
    if let Some(folder) = kept {
        writeln!(out, "  cd {}", folder.display())?;
        writeln!(out, "  outrigger queues                    what is in the queues")?;
        writeln!(out, "  outrigger dead ls                   what failed")?;
        writeln!(out, "  outrigger up                        start the actors again")?;
    } else {
        writeln!(
            out,
            "  outrigger init my-actor             a handler of your own, running in a minute"
        )?;
        writeln!(
            out,
            "  outrigger demo --keep               the same, and the folder stays to look around in"
        )?;
    }
    out.flush()
}

/// After the run, for scripts.
pub fn print_json(tally: &Tally, kept: Option<&Path>) -> anyhow::Result<()> {
    let (right, unseen) = tally.unseen();
    let corrupt = tally.corrupt().and_then(wire::Envelope::error_text);
    let report = json!({
        "in": tally.sent,
        "out": tally.verdicts.len(),
        "lost": tally.lost(),
        "repeated": tally.repeated(),
        "failed": tally.failed.len(),
        "accuracy": ratio(right, unseen),
        "unseen": unseen,
        "messages_per_second": tally.rate(),
        "hop_p50_ms": tally.hop(50).as_secs_f64() * 1e3,
        "hop_p99_ms": tally.hop(99).as_secs_f64() * 1e3,
        "ready_ms": tally.starting.as_secs_f64() * 1e3,
        "corrupt": corrupt,
        "folder": kept,
    });
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &report)?;
    writeln!(out)?;
    Ok(())
}

fn thousands(count: usize) -> String {
    if count < 1000 {
        count.to_string()
    } else {
        format!("{},{:03}", count / 1000, count % 1000)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a demo counts fewer images than a float can")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", ratio(part, whole) * 100.0)
}

fn duration(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}
