//! SIGKILL of the commands that come and go: `send`, `take`, `dead redrive`.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::harness::{Field, Value, envelopes, rounds, wait_until};

/// Killed: a `send` of many messages at a random moment.
/// Holds: what it was told to be safe is there; nothing is there twice.
#[test]
fn sigkill_of_send_leaves_whole_batches_and_nothing_twice() {
    rounds(|round| {
        let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
        field.write("many.jsonl", envelopes(&["a"], 1..=6000).join("\n"));
        let mut send = field
            .command(&["send", "a", "--envelopes", "many.jsonl"])
            .spawn()
            .expect("it starts");
        let file = field.path(".outrigger/queue.db");
        wait_until("the queue file is there", || file.exists().then_some(()));
        for _ in 0..round.number_in(0..=8) {
            round.moment();
        }
        send.kill().expect("it can be killed");
        send.wait().expect("it ends");
        field.ok(&["send", "a", "--id", "last", "--payload", "0"]);
        let ids = field.ids("a");
        assert!(ids.values().all(|times| *times == 1), "there twice: {ids:?}");
        let there = ids.len() - 1;
        assert!(
            (1..=there).all(|n| ids.contains_key(&format!("m{n}"))),
            "not the first {there}"
        );
    });
}

/// Killed: a `take` at a random moment, its output read to the end.
/// Holds: what it acknowledged was printed; the rest is there for the next one.
#[test]
fn sigkill_of_take_loses_nothing_that_was_not_printed() {
    rounds(|round| {
        let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
        field.load(&["a"], 1000);
        let mut take = field.command(&["take", "a", "-n", "1000"]);
        let mut take = take.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut printed = BufReader::new(take.stdout.take().expect("its stdout")).lines();
        let mut lines: Vec<String> = printed
            .by_ref()
            .take(round.number_in(1..=900))
            .map_while(Result::ok)
            .collect();
        take.kill().expect("it can be killed");
        take.wait().expect("it ends");
        lines.extend(printed.map_while(Result::ok));
        let printed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut ids: BTreeSet<String> = printed.map(|it| it["id"].as_str().expect("an id").to_owned()).collect();
        ids.extend(field.ids("a").into_keys());
        let lost: Vec<_> = (1..=1000)
            .map(|n| format!("m{n}"))
            .filter(|id| !ids.contains(id))
            .collect();
        assert!(lost.is_empty(), "neither printed nor there: {lost:?}");
        assert_eq!(field.in_flight("a"), 0, "a dead process holds messages");
    });
}

/// Killed: a `dead redrive` of many messages at a random moment.
/// Holds: each message is either still at error-end or back at its actor, once.
#[test]
fn sigkill_of_redrive_leaves_each_message_in_one_place() {
    rounds(|round| {
        let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
        let dead: Vec<String> = envelopes(&["a"], 1..=1500)
            .into_iter()
            .map(|it| it.replace(r#""payload""#, r#""error":{"code":"c","message":"m","actor":"a","attempt":1,"at":"2026-01-01T00:00:00Z"},"payload""#))
            .collect();
        field.put("error-end", &dead);
        let mut redrive = field.command(&["dead", "redrive", "--all"]);
        let mut redrive = redrive
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        for _ in 0..round.number_in(1..=60) {
            round.moment();
        }
        redrive.kill().expect("it can be killed");
        redrive.wait().expect("it ends");
        let (mut ids, back) = (field.ids("error-end"), field.ids("a"));
        eprintln!("{} are still dead, {} are back", ids.len(), back.len());
        for (id, times) in back {
            *ids.entry(id).or_default() += times;
        }
        assert_eq!(ids.len(), 1500, "messages were lost");
        assert!(ids.values().all(|times| *times == 1), "messages are in two places");
    });
}
