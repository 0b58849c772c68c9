//! `latency-p50`, `latency-p99`: from the sender's write of one line to the backend's request, without waiting for others.
//!
//! The backend is an HTTP server of the bench; a line is sent when the one before has arrived.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use benches::{
    case::{Case, Stage},
    figures::{median, percentile},
    lines,
    peer::free_port,
    report::Row,
};

use crate::side;

/// The way of one line.
#[derive(Default)]
pub(crate) struct Latency {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// Lines of a round, and those before them that are the warm-up.
const LINES: (u64, u64) = (1000, 100);
/// How long one may take.
const LIMIT: Duration = Duration::from_secs(5);

impl Case for Latency {
    fn names(&self) -> &[&'static str] {
        &["latency-p50", "latency-p99"]
    }

    fn round(&mut self, stage: &Stage, _: u32) -> anyhow::Result<String> {
        let folder = tempfile::Builder::new().prefix("lines-").tempdir_in(&stage.folder)?;
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let backend = server.local_addr()?;
        let port = free_port()?;
        let config = format!(
            "signals:\n  tcp: {{ port: {{port}} }}\n  buffers: {{ flush_interval: 0 }}\n  backends: {{ out: {{ type: http, url: \"http://{backend}/\" }} }}\n"
        );
        let process = side::ours(folder.path(), port, &config)?;
        let (arrived, arrivals) = std::sync::mpsc::sync_channel(16);
        let answering = thread::spawn(move || -> anyhow::Result<()> {
            let (stream, _) = server.accept()?;
            stream.set_nodelay(true)?;
            let mut requests = BufReader::new(stream);
            while let Some(at) = request(&mut requests)? {
                requests
                    .get_mut()
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
                if arrived.send(at).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        let mut found = Vec::new();
        for number in 0..LINES.0 + LINES.1 {
            let line = lines::event("bench", number);
            let sent = Instant::now();
            stream.write_all(line.as_bytes())?;
            let came = arrivals.recv_timeout(LIMIT).context("a line did not arrive")?;
            if number >= LINES.1 {
                found.push(came.duration_since(sent).as_secs_f64() * 1e3);
            }
        }
        drop(stream);
        drop(arrivals);
        process.stop()?;
        answering.join().map_err(|_| anyhow::anyhow!("the server failed"))??;
        let (p50, p99) = (percentile(&found, 50), percentile(&found, 99));
        self.p50.push(p50);
        self.p99.push(p99);
        Ok(format!("p50 {p50:.3} ms, p99 {p99:.3} ms"))
    }

    fn rows(&self) -> Vec<Row> {
        let note = "to an HTTP backend, one line at a time";
        vec![
            Row::new("latency-p50", "ms", median(&self.p50), note),
            Row::new("latency-p99", "ms", median(&self.p99), note),
        ]
    }
}

/// Reads a request; when its last byte came, or nothing at the end.
fn request(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Option<Instant>> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    Ok(Some(Instant::now()))
}
