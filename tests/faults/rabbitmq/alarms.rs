//! The broker's memory and disk alarms: publishers are blocked, then go on.

use crate::{
    harness::wait_until,
    line::{CONCURRENCY, called},
    rabbitmq::town::{MESSAGES, Outcome, Town, load, loaded, rounds_in},
};

/// Blocked: publishers, by a memory alarm in one round and a disk alarm in the next, while handlers work.
/// Holds: it is said; nothing is lost or fails; all goes on when the alarm is over.
#[test]
fn an_alarm_of_the_broker_makes_puts_wait_and_loses_nothing() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let field = town.street_of("gated", round, None);
        let up = field.up();
        load(&field, MESSAGES);
        called(&field, CONCURRENCY);
        let (raise, clear) = if round.number.is_multiple_of(2) {
            (["set_disk_free_limit", "900000GB"], ["set_disk_free_limit", "50MB"])
        } else {
            (
                ["set_vm_memory_high_watermark", "0"],
                ["set_vm_memory_high_watermark", "0.9"],
            )
        };
        town.node.ctl(&raise).expect("the alarm is raised");
        field.write("gate", "");
        let said = |words: &str| up.said().matches(words).count();
        wait_until("it is said that puts wait", || {
            (said("takes no messages for now") > 0).then_some(())
        });
        round.moment();
        assert_eq!(
            field.notes().calls.len(),
            CONCURRENCY,
            "work went on though nothing could go out"
        );
        town.node.ctl(&clear).expect("the alarm is cleared");
        let outcome = Outcome::collect(&field, round, &loaded(MESSAGES));
        assert_eq!(outcome.repeated(), 0, "nobody died");
        assert_eq!(field.notes().repeated(), 0, "nobody died");
        assert!(said("takes messages again") > 0, "it is said that puts go on");
        assert!(up.stop().success());
    });
}
