//! `outrigger top`: how much comes and goes, each second.

use std::{
    collections::VecDeque,
    process::ExitCode,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};
use wire::status::{Condition, Overall, Report};

use super::{
    admin::Admin,
    figures::{millis, rate},
    samples::Sample,
    until_ctrl_c,
};
use crate::{
    cli,
    exit::Failure,
    human::{self, count, shorten},
    output::{print, print_json},
    table::{Align, Table},
    terminal::{self, Paint},
};

/// Shows figures each second until Ctrl-C; with `once` after the first.
pub async fn top(args: &cli::Top, admin: &Admin) -> anyhow::Result<ExitCode> {
    until_ctrl_c(follow(args, admin)).await
}

async fn follow(args: &cli::Top, admin: &Admin) -> anyhow::Result<ExitCode> {
    let is_screen = !args.once && !args.output.json() && terminal::stdout_is_terminal();
    let mut samples = VecDeque::from([sample(admin).await?]);
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.tick().await;
    loop {
        seconds.tick().await;
        let (now, health) = (sample(admin).await?, health(admin).await?);
        let view = View::new([&samples[0], &samples[samples.len() - 1], &now], &health);
        samples.push_back(now);
        if samples.len() > REMEMBERED {
            samples.pop_front();
        }
        if args.output.json() {
            print_json(&view)?;
        } else if is_screen {
            let text = view.text(terminal::height().saturating_sub(1), Paint::stdout());
            // Written over what was there: a screen that is cleared first flickers.
            print(format!("\u{1b}[H{}\u{1b}[J", text.replace('\n', "\u{1b}[K\n")))?;
        } else {
            print(view.text(usize::MAX, Paint::stdout()))?;
        }
        if args.once {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

async fn sample(admin: &Admin) -> Result<Sample, Failure> {
    let body = admin.get("/metrics").await?.bytes().await?;
    let text = std::str::from_utf8(&body).map_err(|error| admin.foreign(error))?;
    Sample::read(text, Instant::now()).ok_or_else(|| admin.without_signals())
}

async fn health(admin: &Admin) -> Result<Report, Failure> {
    let body = admin.get("/health").await?.bytes().await?;
    serde_json::from_slice(&body).map_err(|error| admin.foreign(error))
}

/// What is shown of a second.
#[derive(Debug, Serialize)]
struct View {
    status: Overall,
    uptime_s: u64,
    connections: u64,
    dropped_per_s: f64,
    sources: Vec<SourceView>,
    backends: Vec<BackendView>,
}

#[derive(Debug, Serialize)]
struct SourceView {
    source: String,
    received_per_s: f64,
    received: u64,
    waiting: u64,
}

#[derive(Debug, Serialize)]
struct BackendView {
    backend: String,
    routed_per_s: f64,
    routed: u64,
    waiting: u64,
    /// The middle of the last seconds' deliveries.
    latency_ms: Option<f64>,
    status: &'static str,
    reason: Option<String>,
}

impl View {
    /// Of the time between two looks; `oldest` is the first that is remembered.
    fn new([oldest, before, now]: [&Sample; 3], health: &Report) -> Self {
        let mut sources: Vec<SourceView> = now
            .sources
            .iter()
            .map(|(name, source)| {
                let earlier = before.sources.get(name).map_or(0.0, |source| source.received);
                SourceView {
                    source: name.clone(),
                    received_per_s: now.rate(before, source.received, earlier),
                    received: whole(source.received),
                    waiting: whole(source.waiting),
                }
            })
            .collect();
        // The busiest first; those that are as busy stay in the order of their names.
        sources.sort_by(|one, other| other.received_per_s.total_cmp(&one.received_per_s));
        let backends = now.backends.iter().map(|(name, backend)| {
            let earlier = before.backends.get(name).map_or(0.0, |backend| backend.routed);
            let (status, reason) = match health.backends.get(name) {
                Some(Condition::Ok) => ("ok", None),
                Some(Condition::Failing { reason }) => ("failing", Some(reason.clone())),
                Some(Condition::Disabled { reason }) => ("disabled", Some(reason.clone())),
                None => ("gone", None),
            };
            BackendView {
                backend: name.clone(),
                routed_per_s: now.rate(before, backend.routed, earlier),
                routed: whole(backend.routed),
                waiting: whole(backend.waiting),
                latency_ms: backend
                    .median(oldest.backends.get(name))
                    .map(|seconds| seconds * 1000.0),
                status,
                reason,
            }
        });
        Self {
            status: health.status,
            uptime_s: health.uptime,
            connections: whole(now.connections),
            dropped_per_s: now.rate(before, now.dropped, before.dropped),
            backends: backends.collect(),
            sources,
        }
    }

    /// In so many lines at most: of sources that find no room it is said how many there are.
    fn text(&self, lines: usize, paint: Paint) -> String {
        let status = match self.status {
            Overall::Healthy => paint.good("healthy"),
            Overall::Degraded => paint.bad("degraded"),
        };
        let connections = match self.connections {
            1 => "1 connection".to_owned(),
            number => format!("{number} connections"),
        };
        let mut text = format!(
            "{status}, up {}, {}, {} dropped a second\n\n",
            human::duration(Duration::from_secs(self.uptime_s)),
            connections,
            rate(self.dropped_per_s),
        );
        text.push_str(&self.backends().render(paint));
        text.push('\n');
        // The head of the table, and a line for those that are left out.
        let room = lines.saturating_sub(text.lines().count() + 2).max(1);
        text.push_str(&self.sources(room).render(paint));
        if self.sources.len() > room {
            text.push_str("and ");
            text.push_str(&count(self.sources.len() - room, "other"));
            text.push('\n');
        }
        text
    }

    fn backends(&self) -> Table {
        let mut table = Table::new([
            ("backend", Align::Left),
            ("routed/s", Align::Right),
            ("routed", Align::Right),
            ("waiting", Align::Right),
            ("p50", Align::Right),
            ("status", Align::Left),
        ]);
        for backend in &self.backends {
            let status = match &backend.reason {
                Some(reason) => format!("{}: {reason}", backend.status),
                None => backend.status.to_owned(),
            };
            table.row([
                shorten(&backend.backend, LONGEST),
                rate(backend.routed_per_s),
                backend.routed.to_string(),
                backend.waiting.to_string(),
                backend.latency_ms.map_or_else(|| "-".to_owned(), millis),
                shorten(&status, LONGEST),
            ]);
        }
        table
    }

    fn sources(&self, most: usize) -> Table {
        let mut table = Table::new([
            ("source", Align::Left),
            ("received/s", Align::Right),
            ("received", Align::Right),
            ("waiting", Align::Right),
        ]);
        for source in self.sources.iter().take(most) {
            table.row([
                shorten(&source.source, LONGEST),
                rate(source.received_per_s),
                source.received.to_string(),
                source.waiting.to_string(),
            ]);
        }
        table
    }
}

/// A count, which the text format writes as any number.
fn whole(count: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts are whole, and a cast keeps within bounds"
    )]
    let whole = count as u64;
    whole
}

const SECOND: Duration = Duration::from_secs(1);
/// Looks that are remembered, for the middle of what took so long.
const REMEMBERED: usize = 11;
/// The longest name, or reason.
const LONGEST: usize = 50;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;

    use super::*;

    fn view() -> View {
        let began = Instant::now();
        let text = |a: u32, b: u32, routed: u32| {
            format!(
                "sidecar_active_connections 2\nsidecar_messages_received_total{{source=\"a\"}} {a}\n\
                sidecar_messages_received_total{{source=\"b\"}} {b}\n\
                sidecar_messages_routed_total{{backend=\"files\"}} {routed}\n\
                sidecar_backend_buffer_size{{backend=\"files\"}} 3\n\
                sidecar_backend_latency_seconds_bucket{{le=\"0.01\",backend=\"files\"}} {routed}\n\
                sidecar_messages_routed_total{{backend=\"hook\"}} 0\n\
                sidecar_messages_dropped_total{{reason=\"filtered\"}} {b}\n"
            )
        };
        let sample = |text: String, seconds| Sample::read(&text, began + Duration::from_secs(seconds)).unwrap();
        let (before, now) = (sample(text(10, 5, 10), 0), sample(text(14, 1205, 1000), 1));
        let health = Report {
            status: Overall::Degraded,
            version: "1".into(),
            uptime: 200,
            components: BTreeMap::new(),
            backends: BTreeMap::from([
                ("files".into(), Condition::Ok),
                (
                    "hook".into(),
                    Condition::Failing {
                        reason: "connection\nrefused".into(),
                    },
                ),
            ]),
            planes: Vec::new(),
            config: None,
        };
        View::new([&before, &before, &now], &health)
    }

    #[test]
    fn the_busiest_sources_stand_first() {
        assert_snapshot!(view().text(usize::MAX, Paint::new(false)), @r"
        degraded, up 3m 20s, 2 connections, 1200 dropped a second

        backend  routed/s  routed  waiting     p50  status
        files         990    1000        3  5.00ms  ok
        hook            0       0        0       -  failing: connection refused

        source  received/s  received  waiting
        b             1200      1205        0
        a              4.0        14        0
        ");
    }

    #[test]
    fn sources_without_room_are_counted() {
        let text = view().text(9, Paint::new(false));
        assert_eq!(text.lines().count(), 9, "{text}");
        assert!(text.ends_with("and 1 other\n"), "{text}");
    }
}
