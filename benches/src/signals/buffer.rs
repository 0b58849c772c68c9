//! `buffer-1000`: memory that a thousand lines of 200 bytes take while they wait for a backend.

use std::{
    io::Write,
    net::{Ipv4Addr, TcpStream},
    thread,
    time::Duration,
};

use benches::{
    case::{Case, Stage},
    figures::{float, median},
    lines,
    peer::free_port,
    procfs,
    report::Row,
};

use crate::side;

/// A thousand lines that wait.
#[derive(Default)]
pub(crate) struct Thousand(Vec<f64>);

const CONFIG: &str = "signals:
  tcp: { port: {port} }
  buffers: { flush_interval: 1h, flush_batch_size: 100000, per_source_buffer: 100000, max_queue_size: 100000 }
  backends: { out: { type: file, path: out.jsonl } }
";

impl Case for Thousand {
    fn names(&self) -> &[&'static str] {
        &["buffer-1000"]
    }

    fn round(&mut self, stage: &Stage, _: u32) -> anyhow::Result<String> {
        let folder = tempfile::Builder::new().prefix("lines-").tempdir_in(&stage.folder)?;
        let port = free_port()?;
        let process = side::ours(folder.path(), port, CONFIG)?;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        // The first lines bring in what is there once, however many follow.
        for number in 0..1000 {
            stream.write_all(lines::event("bench", number).as_bytes())?;
        }
        let before = settled(process.id())?;
        for number in 0..1000 {
            stream.write_all(lines::event("bench", number).as_bytes())?;
        }
        let grown = settled(process.id())?.saturating_sub(before);
        drop(stream);
        process.stop()?;
        self.0.push(float(grown));
        Ok(format!("{grown} KiB"))
    }

    fn rows(&self) -> Vec<Row> {
        let note = "resident memory more, the second thousand of one connection";
        vec![Row::new("buffer-1000", "KB", median(&self.0) * 1.024, note)]
    }
}

/// Resident memory once it has not changed for a while, in KiB.
fn settled(id: u32) -> anyhow::Result<u64> {
    let mut last = procfs::resident(id)?;
    loop {
        thread::sleep(Duration::from_millis(200));
        let now = procfs::resident(id)?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
}
