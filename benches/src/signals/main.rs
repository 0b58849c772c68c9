//! `signals`: what the telemetry plane does with lines, beside a bare program, rsyslog and syslog-ng.
//!
//! Lines have 200 bytes and come over TCP on the loopback; throughput is per second of the receiver's own processor time, for
//! wall time on shared processors tells little. In the end every line must be in the file, or there is no figure.

mod buffer;
mod file;
mod idle;
mod latency;
mod side;

use std::time::Duration;

use benches::{
    case::{Case, Stage},
    interrupt,
    pin::Pins,
    report::Report,
    run,
};
use clap::Parser;

/// Measures the telemetry plane.
#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    run: run::Options,
}

/// No round begins that might end after this.
const LIMIT: Duration = Duration::from_mins(8);

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    interrupt::takes_all_along()?;
    let stage = Stage::new(run::folder()?, Pins::NONE);
    let mut report = Report::new("signals", &stage);
    report.machine = format!("{}; {}", report.machine, side::versions()?);
    let cases: Vec<Box<dyn Case>> = vec![
        Box::new(file::Throughput::new("file", 1, true)),
        Box::new(file::Throughput::new("connections-1", 1, false)),
        Box::new(file::Throughput::new("connections-10", 10, false)),
        Box::new(file::Throughput::new("connections-100", 100, false)),
        Box::new(file::Throughput::new("connections-500", 500, false)),
        Box::new(latency::Latency::default()),
        Box::new(idle::Idle::default()),
        Box::new(buffer::Thousand::default()),
    ];
    options.run.measure(report, cases, &stage, LIMIT)
}
