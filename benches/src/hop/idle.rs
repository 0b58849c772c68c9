//! `idle-*`: what `outrigger run` takes with one actor, a live handler and nothing to do.
//!
//! Ten seconds from when it is ready and at rest: resident memory at their end, and the processor time of its threads
//! meanwhile. Nothing is pinned, nothing is asked of it.

use std::{thread, time::Duration};

use benches::procfs;

use crate::{
    case::{Case, Stage},
    echo::Echo,
    figures::median,
    pin::Cpu,
    product::Site,
    report::Row,
};

/// Memory and processor time.
#[derive(Default)]
pub(crate) struct Idle {
    mebibytes: Vec<f64>,
    percent: Vec<f64>,
}

/// How long it is watched.
const SPAN: Duration = Duration::from_secs(10);

impl Case for Idle {
    fn names(&self) -> &[&'static str] {
        &["idle-rss", "idle-cpu"]
    }

    fn round(&mut self, stage: &Stage, _: u32) -> anyhow::Result<String> {
        let site = Site::new(&stage.folder)?;
        let _echo = Echo::open(&site.socket("a"), Cpu::ANY)?;
        let mut process = site.start("a", 1, Cpu::ANY)?;
        process.settled()?;
        let before = procfs::cpu_of_threads(process.id())?;
        thread::sleep(SPAN);
        // A thread that has ended since takes its time along.
        let taken = procfs::cpu_of_threads(process.id())?.saturating_sub(before);
        let resident = procfs::resident(process.id())?;
        process.stop()?;
        let mebibytes = Duration::from_secs(resident).as_secs_f64() / 1024.0;
        let percent = taken.as_secs_f64() / SPAN.as_secs_f64() * 100.0;
        self.mebibytes.push(mebibytes);
        self.percent.push(percent);
        Ok(format!("{mebibytes:.1} MiB, {percent:.3} %"))
    }

    fn rows(&self) -> Vec<Row> {
        let names = self.names();
        let span = format!("one actor, {} s after it was ready", SPAN.as_secs());
        vec![
            Row::new(names[0], "MiB", median(&self.mebibytes), span.clone()),
            Row::new(
                names[1],
                "%",
                median(&self.percent),
                format!("of one processor; {span}"),
            ),
        ]
    }
}
