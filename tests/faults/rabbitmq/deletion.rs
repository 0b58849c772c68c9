//! A queue that is deleted under a sidecar.

use crate::{
    harness::{Value, wait_until},
    line::called,
    rabbitmq::town::{MESSAGES, Town, load, loaded, rounds_in},
};

/// Deleted: the queue of `b`, under load.
/// Holds: it is declared again, and that is said; what was sent afterwards comes out; of what was sent before only what the
/// queue held is missing.
#[test]
fn a_deleted_queue_is_declared_again_and_only_what_it_held_is_lost() {
    let mut town = Town::new();
    rounds_in(&mut town, |town, round| {
        let field = town.street(round, None);
        let up = field.up();
        load(&field, MESSAGES);
        called(&field, 1 + round.number_in(0..=MESSAGES));
        let queue = format!("r{}-b", round.number);
        town.node.ctl(&["delete_queue", &queue]).expect("the queue is deleted");
        wait_until("it is said that the queue was declared again", || {
            up.said()
                .contains("the queue was deleted and is declared again")
                .then_some(())
        });
        wait_until("the first actor has nothing left", || {
            (field.depth(&format!("r{}-a", round.number)) == 0).then_some(())
        });
        let later = crate::harness::envelopes(&["a", "b"], MESSAGES + 1..=2 * MESSAGES);
        field.write("envelopes.jsonl", later.join("\n") + "\n");
        field.ok(&["send", "a,b", "--envelopes", "envelopes.jsonl"]);
        let afterwards = loaded(2 * MESSAGES).difference(&loaded(MESSAGES)).cloned().collect();
        let mut all = std::collections::BTreeSet::clone(&afterwards);
        let mut came = 0;
        // Those from before may come too, as many as the queue did not hold.
        let end = format!("r{}-happy-end", round.number);
        wait_until("all that was sent afterwards is at the happy end", || {
            let taken = field.output(&["take", &end, "-n", "100000", "--wait", "200ms", "--output", "json"]);
            let taken: Vec<Value> = serde_json::from_slice(&taken.stdout).unwrap_or_default();
            for message in taken {
                all.remove(message["id"].as_str().expect("an id"));
                came += 1;
            }
            all.is_empty().then_some(())
        });
        assert!(came >= afterwards.len());
        assert!(up.stop().success());
    });
}
