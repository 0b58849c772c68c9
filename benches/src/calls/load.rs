//! Who asks and who answers: `calls-load` and `calls-upstream`, and what became of the requests between them.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use benches::{peer::Killed, pin::Cpu, procfs, run::program};

use crate::side::Proxy;

/// The service behind every proxy; it ends when this is dropped.
pub(crate) struct Upstream {
    process: Killed,
    pub(crate) port: u16,
}

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Requests a second; 0 is as many as there can be.
    pub(crate) rate: u32,
    /// How long it is measured.
    pub(crate) span: Duration,
}

/// What became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Microseconds from a request to its answer.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Processors that the proxy took.
    pub(crate) proxy: f64,
    /// Processors that who asks and who answers took.
    pub(crate) around: f64,
}

/// Before what counts: a proxy on Node compiles what it does meanwhile.
const WARM_UP: Duration = Duration::from_secs(1);

impl Upstream {
    pub(crate) fn start(cpu: Cpu) -> anyhow::Result<Self> {
        let (process, line) = Killed::announced(&mut Command::new(program("calls-upstream")?), cpu)?;
        let port = line.parse().context("calls-upstream named no port")?;
        Ok(Self { process, port })
    }

    fn cpu(&self) -> anyhow::Result<Duration> {
        procfs::cpu_of_threads(self.process.id())
    }
}

impl Load {
    /// Asks the proxy for what the upstream has.
    pub(crate) fn run(&self, proxy: &Proxy, upstream: &Upstream, cpu: Cpu) -> anyhow::Result<Figures> {
        let mut command = Command::new(program("calls-load")?);
        let millis = |span: Duration| span.as_millis().to_string();
        command
            .args([
                proxy.port.to_string(),
                self.connections.to_string(),
                self.rate.to_string(),
            ])
            .args([millis(WARM_UP), millis(self.span)])
            .stdout(Stdio::piped());
        let mut child = cpu.with(|| command.spawn()).context("cannot start calls-load")?;
        let mut lines = BufReader::new(child.stdout.take().context("calls-load has no output")?).lines();
        let mut line = || lines.next().transpose();
        let begun = line()?;
        let (at, proxy_before, upstream_before) = (Instant::now(), proxy.cpu()?, upstream.cpu()?);
        let found = line()?;
        let (proxy_after, upstream_after) = (proxy.cpu()?, upstream.cpu()?);
        let span = at.elapsed().as_secs_f64();
        ensure!(
            child.wait()?.success() && begun.as_deref() == Some("begun"),
            "calls-load failed"
        );
        let found = found.context("calls-load found nothing")?;
        let numbers: Result<Vec<f64>, _> = found.split(' ').map(str::parse).collect();
        let [rate, p50, p99, busy] = numbers?[..] else {
            anyhow::bail!("calls-load said `{found}`")
        };
        let share = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() / span;
        Ok(Figures {
            rate,
            p50: p50 / 1e3,
            p99: p99 / 1e3,
            proxy: share(proxy_before, proxy_after),
            around: share(upstream_before, upstream_after) + busy,
        })
    }
}
