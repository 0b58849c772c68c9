//! What asks the process to end: SIGTERM and SIGINT.
//!
//! The first begins the drain; the second is somebody in a hurry and shortens what is left of it.

use std::{io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use super::{Drain, Scoped, task};

/// Follows SIGTERM and SIGINT until the returned value is dropped: the first begins `drain`, the second cuts it after
/// `hurry` at the latest, a third at once.
///
/// Both are listened to from the moment this returns. Not tracked by the drain: it must hear the second signal while
/// the drain waits for everything else.
///
/// # Errors
/// When the system refuses to install a handler.
///
/// # Panics
/// Outside a tokio runtime.
pub fn follow(drain: Drain, hurry: Duration) -> io::Result<Scoped> {
    let mut asked = Asked {
        term: signal(SignalKind::terminate())?,
        int: signal(SignalKind::interrupt())?,
    };
    let task = task::spawn("signals".into(), async move {
        let name = asked.next().await;
        drain.begin();
        info!(
            signal = name,
            "shutting down: taking no new work, finishing what is in flight"
        );
        let name = asked.next().await;
        info!(signal = name, grace = ?hurry, "shutting down faster");
        tokio::select! {
            _ = asked.next() => {}
            () = tokio::time::sleep(hurry) => {}
        }
        drain.cut_now();
    });
    Ok(task.scoped())
}

struct Asked {
    term: Signal,
    int: Signal,
}

impl Asked {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Instant};

    use super::*;
    use crate::lifecycle::Outcome;

    fn raise(name: &str) {
        let line = format!("kill -{name} {}", std::process::id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    // One test, as signals are for the whole process.
    #[tokio::test]
    async fn the_first_signal_begins_the_second_hurries_the_third_cuts() {
        let drain = Drain::new();
        drain.spawn("work", {
            let drain = drain.clone();
            async move { drain.cut().await }
        });
        let following = follow(drain.clone(), Duration::from_millis(20)).unwrap();
        raise("TERM");
        drain.begun().await;
        assert!(!drain.is_cut());
        raise("INT");
        let hurried = tokio::time::timeout(Duration::from_secs(30), drain.wait(None)).await;
        assert_eq!(hurried.expect("the hurry is 20 ms"), Outcome::Cut);
        drop(following);

        let drain = Drain::new();
        let _following = follow(drain.clone(), Duration::from_hours(1)).unwrap();
        raise("INT");
        drain.begun().await;
        raise("TERM");
        // The signal that hurries and the one that cuts may arrive as one: raised until it is heard.
        let began = Instant::now();
        while !drain.is_cut() {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "the third signal is not heard"
            );
            raise("TERM");
            tokio::task::yield_now().await;
        }
    }
}
