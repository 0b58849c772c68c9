//! Handlers that work for longer than the broker waits for an acknowledgement.

use std::{env, time::Duration};

use rabbit_node::{Node, Settings};

use crate::harness::{Field, HANDLERS, interpreter, wait_until, within};

/// Seconds: the broker's consumer timeout, and how long the handler works; in the long rounds a minute and three.
fn times() -> (u64, u64) {
    if env::var_os("OUTRIGGER_FAULT_ROUNDS").is_some() {
        (60, 180)
    } else {
        (6, 18)
    }
}

struct Strict {
    field: Field,
    work: u64,
    _node: Node,
    _folder: tempfile::TempDir,
}

/// A broker that waits for less than the handler works, and an actor on it.
fn strict(long_jobs: &str) -> Strict {
    let (timeout, work) = times();
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::default().with("consumer_timeout", (timeout * 1000).to_string());
    let node = Node::start(folder.path(), &settings).expect("the broker starts");
    // It looks for deliveries that are out for too long once a minute otherwise.
    node.ctl(&["eval", "application:set_env(rabbit, channel_tick_interval, 1000)."])
        .expect("the broker looks more often");
    let field = Field::new(&format!(
        "queue: \"{}\"\nlong_jobs: {long_jobs}\nrabbitmq: {{ consumer_timeout: {timeout}s }}\nactors:\n  \
         a: {{ handler: {{ run: \"{} -m outrigger handlers.py:work\" }} }}\n",
        node.url(),
        interpreter()
    ));
    field.write("handlers.py", HANDLERS);
    Strict {
        field,
        _node: node,
        work,
        _folder: folder,
    }
}

impl Strict {
    /// Sends the one long job, and waits until it is at the happy end.
    fn done(&self) {
        let payload = format!("{{\"ms\":{}}}", self.work * 1000);
        self.field.ok(&["send", "a", "--id", "long", "--payload", &payload]);
        let limit = Duration::from_secs(self.work + 60);
        within(limit, "the long job is at the happy end", || {
            (self.field.depth("happy-end") > 0).then_some(())
        });
    }
}

/// What is said when the broker has taken a delivery back.
const STRUCK: &str = "was not acknowledged within the broker's consumer timeout";

/// Holds: a handler that works three times as long as the broker waits is called once, and the broker never strikes.
#[test]
fn a_parked_job_is_called_once_however_long_it_takes() {
    let strict = strict("park");
    let up = strict.field.up();
    strict.done();
    assert_eq!(strict.field.notes().calls_for("long"), 1);
    // Had the channel been closed, it would be noticed when the next message is taken.
    strict.field.send("a", "short", "{}");
    wait_until("the next job is done", || {
        (strict.field.depth("happy-end") > 1).then_some(())
    });
    assert!(!up.said().contains(STRUCK), "the broker took the delivery back");
    assert!(up.said().contains("a long job is parked on the broker"));
    assert!(up.stop().success());
}

/// Holds: without parking it is said before the broker strikes, with the cure; and what it gives out again finds its work.
#[test]
fn a_job_that_is_too_long_is_warned_of_before_the_broker_takes_it_back() {
    let strict = strict("warn");
    let up = strict.field.up();
    strict.done();
    let said = wait_until("it is said that the broker has struck", || {
        Some(up.said()).filter(|said| said.contains(STRUCK))
    });
    let warned = said.find("a handler has worked for most of").expect("the warning");
    assert!(said[warned..].contains("long_jobs: park"), "the warning names its cure");
    assert!(Some(warned) < said.find(STRUCK), "the warning came too late");
    assert_eq!(
        strict.field.notes().calls_for("long"),
        1,
        "its own process had it again, and called again"
    );
    assert!(up.stop().success());
    wait_until("one result", || (strict.field.depth("happy-end") == 1).then_some(()));
}
