//! A queue that is deleted under a sidecar.

use std::collections::BTreeMap;

use crate::{
    harness::{Value, envelopes, wait_until},
    line::{CONCURRENCY, called},
    rabbitmq::town::{MESSAGES, Town, rounds_in},
};

/// Deleted: the queue of `b`, while its handlers work and messages wait in it.
/// Holds: it is declared again, and that is said; what is sent afterwards comes out, once; of what was there before just what
/// was worked on comes out, once: what the queue held is lost, and nothing else.
#[test]
fn a_deleted_queue_is_declared_again_and_only_what_it_held_is_lost() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let field = town.street_of("gated", round, None);
        let up = field.up();
        let send = |numbers| {
            field.write("envelopes.jsonl", envelopes(&["b"], numbers).join("\n") + "\n");
            field.ok(&["send", "b", "--envelopes", "envelopes.jsonl"]);
        };
        send(1..=MESSAGES);
        called(&field, CONCURRENCY);
        round.moment();
        let queue = format!("r{}-b", round.number);
        town.node.ctl(&["delete_queue", &queue]).expect("the queue is deleted");
        wait_until("it is said that the queue was declared again", || {
            up.said()
                .contains("the queue was deleted and is declared again")
                .then_some(())
        });
        send(MESSAGES + 1..=2 * MESSAGES);
        field.write("gate", "");
        let mut came: BTreeMap<String, usize> = BTreeMap::new();
        let end = format!("r{}-happy-end", round.number);
        wait_until("all that is left has come", || {
            let words = ["take", &end, "-n", "100000", "--wait", "200ms", "--output", "json"];
            let taken: Vec<Value> = serde_json::from_slice(&field.output(&words).stdout).unwrap_or_default();
            for message in taken {
                *came
                    .entry(message["id"].as_str().expect("an id").to_owned())
                    .or_default() += 1;
            }
            (came.len() >= MESSAGES + CONCURRENCY).then_some(())
        });
        let later = (MESSAGES + 1..=2 * MESSAGES).filter(|n| came.contains_key(&format!("m{n}")));
        assert_eq!(later.count(), MESSAGES, "all that was sent afterwards");
        assert_eq!(
            came.len(),
            MESSAGES + CONCURRENCY,
            "what was worked on, of what was there before"
        );
        assert!(came.values().all(|times| *times == 1), "{came:?}");
        assert!(up.stop().success());
    });
}
