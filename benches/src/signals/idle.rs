//! `idle-cpu`: the share of one processor that the plane takes while nobody sends, one connection open.

use std::{
    net::{Ipv4Addr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use benches::{
    case::{Case, Stage},
    figures::median,
    peer::free_port,
    procfs,
    report::Row,
};

use crate::side::{self, OURS};

/// Nothing to do.
#[derive(Default)]
pub(crate) struct Idle(Vec<f64>);

/// How long it is watched.
const SPAN: Duration = Duration::from_secs(5);

impl Case for Idle {
    fn names(&self) -> &[&'static str] {
        &["idle-cpu"]
    }

    fn round(&mut self, stage: &Stage, _: u32) -> anyhow::Result<String> {
        let folder = tempfile::Builder::new().prefix("lines-").tempdir_in(&stage.folder)?;
        let port = free_port()?;
        let process = side::ours(folder.path(), port, OURS)?;
        let sender = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        thread::sleep(Duration::from_secs(1));
        let before = procfs::cpu_of_threads(process.id())?;
        let began = Instant::now();
        thread::sleep(SPAN);
        let taken = procfs::cpu_of_threads(process.id())?.saturating_sub(before);
        let share = taken.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
        drop(sender);
        process.stop()?;
        self.0.push(share);
        Ok(format!("{share:.3} %"))
    }

    fn rows(&self) -> Vec<Row> {
        vec![Row::new(
            "idle-cpu",
            "% of a CPU",
            median(&self.0),
            "over 5 seconds, one connection open",
        )]
    }
}
