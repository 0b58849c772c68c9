//! `ready`: from just before `outrigger run` is started to its `/readyz` answering 200.
//!
//! The handler is there already. The row is of a folder with no queue file yet, which is made; the note has the time on the
//! file of the run before. `/readyz` is asked each half millisecond, and the connect is refused until it listens. Nothing is
//! pinned.

use std::time::Duration;

use crate::{
    case::{Case, Stage},
    echo::Echo,
    figures::median,
    pin::Cpu,
    product::Site,
    report::Row,
};

/// Starts, fresh and again.
#[derive(Default)]
pub(crate) struct Ready {
    fresh: Vec<f64>,
    again: Vec<f64>,
}

/// Fresh starts of a round, and as many again.
const STARTS: usize = 4;

impl Case for Ready {
    fn names(&self) -> &[&'static str] {
        &["ready"]
    }

    fn round(&mut self, stage: &Stage, _: u32) -> anyhow::Result<String> {
        for _ in 0..STARTS {
            let site = Site::new(&stage.folder)?;
            let _echo = Echo::open(&site.socket("a"), Cpu::ANY)?;
            let start = || -> anyhow::Result<f64> {
                let mut process = site.start("a", 1, Cpu::ANY)?;
                let ready = process.ready()?;
                process.settled()?;
                process.stop()?;
                Ok(milliseconds(ready))
            };
            self.fresh.push(start()?);
            self.again.push(start()?);
        }
        Ok(format!(
            "{:.1} ms, again {:.1} ms",
            median(&self.fresh),
            median(&self.again)
        ))
    }

    fn rows(&self) -> Vec<Row> {
        let (starts, again) = (self.fresh.len(), median(&self.again));
        let note =
            format!("spawn to /readyz 200, {starts} starts on a new queue file; {again:.1} ms on one that is there");
        vec![Row::new(self.names()[0], "ms", median(&self.fresh), note)]
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
