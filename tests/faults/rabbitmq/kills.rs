//! SIGKILL, SIGSTOP and closed connections, of the broker and of the sidecar.

use std::{collections::BTreeSet, thread, time::Duration};

use crate::{
    harness::{Field, Round, Sidecar, wait_until},
    line::called,
    rabbitmq::town::{MESSAGES, Outcome, Town, load, loaded, rounds_in},
};

/// Killed: the broker, under load, and started again on its data.
/// Holds: every message comes out; the sidecar goes on by itself.
#[test]
fn sigkill_of_the_broker_loses_nothing() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let (field, up) = under_way(town, round);
        town.node.kill();
        round.moment();
        town.node.restart().expect("the broker starts again");
        out(&field, round, up);
    });
}

/// Killed: the broker and the sidecar, in either order.
/// Holds: as above.
#[test]
fn sigkill_of_broker_and_sidecar_loses_nothing() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let (field, up) = under_way(town, round);
        if round.number_in(0..=1) == 0 {
            up.kill();
            round.moment();
            town.node.kill();
        } else {
            town.node.kill();
            round.moment();
            up.kill();
        }
        town.node.restart().expect("the broker starts again");
        let up = field.up();
        out(&field, round, up);
    });
}

/// Killed: the sidecar, twice, under load.
/// Holds: every message comes out.
#[test]
fn sigkill_of_the_sidecar_on_a_broker_loses_nothing() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let (field, up) = under_way(town, round);
        up.kill();
        let up = field.up();
        round.moment();
        up.kill();
        let up = field.up();
        out(&field, round, up);
    });
}

/// Closed: every connection, by the broker's own administrator, twice under load.
/// Holds: every message comes out; what was still worked on is not worked on again by us. An output whose confirmation went
/// with its connection is put once more, and both are worked on: such a message comes out as often as it was called for.
#[test]
fn closing_all_connections_loses_nothing_and_repeats_no_call() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let (field, up) = under_way(town, round);
        for _ in 0..2 {
            town.node
                .ctl(&["close_all_connections", "a fault test"])
                .expect("the connections are closed");
            round.moment();
        }
        let outcome = out(&field, round, up);
        let notes = field.notes();
        let once = notes.at("a").into_values().all(|calls| calls == 1);
        assert!(once, "calls were repeated at a though nobody died");
        for (id, calls) in notes.at("b") {
            let copies = outcome.ids[id];
            assert!(calls <= copies, "{calls} calls for {id} at b, where {copies} came out");
        }
    });
}

/// Paused: the broker, for 20 seconds, under load.
/// Holds: every message comes out.
#[test]
fn a_paused_broker_loses_nothing() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let (field, up) = under_way(town, round);
        town.node.pause().expect("the broker stands still");
        thread::sleep(Duration::from_secs(20));
        town.node.resume().expect("the broker goes on");
        out(&field, round, up);
    });
}

/// Killed: the broker, while a message becomes a hundred.
/// Holds: every child comes out, under an id of its own.
#[test]
fn sigkill_of_the_broker_within_a_fan_out_loses_no_child() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let field = town.street(round, None);
        field.write(
            "fan.py",
            "def fan(payload):\n    return [{\"n\": n} for n in range(100)]\n",
        );
        let config = std::fs::read_to_string(field.path("outrigger.yaml")).expect("its configuration");
        field.write("outrigger.yaml", config.replacen("handlers.py:work", "fan.py:fan", 1));
        let up = field.up();
        let sent = 10;
        load(&field, sent);
        called(&field, 1);
        round.moment();
        town.node.kill();
        town.node.restart().expect("the broker starts again");
        let mut ids = BTreeSet::new();
        for n in 1..=sent {
            let parent = format!("m{n}");
            let child = |index: usize| match index {
                0 => parent.clone(),
                index => wire::child_id(&parent, 0, index),
            };
            ids.extend((0..100).map(child));
        }
        assert_eq!(ids.len(), 100 * sent, "ids do not collide");
        let outcome = Outcome::collect(&field, round, &ids);
        eprintln!("{} outputs were repeated", outcome.repeated());
        assert!(up.stop().success());
    });
}

/// A sidecar whose load is under way.
fn under_way(town: &Town, round: &mut Round) -> (Field, Sidecar) {
    let field = town.street(round, None);
    let up = field.up();
    load(&field, MESSAGES);
    called(&field, 1 + round.number_in(0..=MESSAGES));
    round.moment();
    (field, up)
}

/// Everything comes out, and the sidecar ends as it should.
fn out(field: &Field, round: &Round, up: Sidecar) -> Outcome {
    let mut outcome = Outcome::collect(field, round, &loaded(MESSAGES));
    eprintln!(
        "{} calls and {} outputs were repeated",
        field.notes().repeated(),
        outcome.repeated()
    );
    wait_until("the sidecar is ready again", || up.is_ready().then_some(()));
    assert!(up.stop().success());
    outcome.collect_rest(field, round);
    outcome
}
