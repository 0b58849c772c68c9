//! A changed configuration, taken whole or not at all.

use std::{
    io::Write,
    net::TcpStream,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{TO_A_FILE, event, health, lines_of, port, run, wait_for_lines};
use crate::harness::{Field, Signal, Value, wait_until};

#[test]
fn a_good_file_is_used_and_a_bad_one_changes_nothing() {
    let (field, sidecar) = run(TO_A_FILE);
    let mut stream = TcpStream::connect(port(&sidecar)).unwrap();
    let mut say = |number: usize| {
        stream
            .write_all(format!("{}\n", event("a", number)).as_bytes())
            .unwrap();
    };
    say(1);
    wait_for_lines(&field.path("out.jsonl"), 1);

    field.configure(&TO_A_FILE.replace("out.jsonl", "other.jsonl"));
    let (status, body) = sidecar.ask("POST", "/reload");
    assert_eq!((status, body.as_str()), (200, "{\"generation\":2}"));
    say(2);
    assert_eq!(wait_for_lines(&field.path("other.jsonl"), 1), [event("a", 2)]);

    field.configure(&TO_A_FILE.replace("type: file", "type: fiel"));
    let (status, body) = sidecar.ask("POST", "/reload");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &problem["code"]), (422, &Value::from("invalid_config")));
    assert!(
        problem["detail"].as_str().unwrap().contains("did you mean `file`?"),
        "{body}"
    );
    let health = health(&sidecar);
    assert_eq!(health["config"]["ok"], false);
    assert_eq!(health["status"], "degraded");
    say(3);
    wait_for_lines(&field.path("other.jsonl"), 2);
}

#[test]
fn a_file_that_changes_and_a_hang_up_are_noticed() {
    let (field, sidecar) = run(TO_A_FILE);
    let generation = |number: u64| {
        wait_until("it is reloaded", || {
            let words = sidecar.lines();
            words.iter().any(|line| line["generation"] == number).then_some(())
        });
    };
    field.configure(&TO_A_FILE.replace("out.jsonl", "second.jsonl"));
    generation(2);
    sidecar.signal(Signal::SIGHUP);
    generation(3);
}

#[test]
fn links_that_are_switched_are_noticed() {
    let field = Field::new("");
    let write = |folder: &str, file: &str| {
        std::fs::create_dir(field.path(folder)).unwrap();
        let text = TO_A_FILE.replace("out.jsonl", file) + "admin: { listen: \"127.0.0.1:0\" }\n";
        field.write(&format!("{folder}/outrigger.yaml"), text);
    };
    // As Kubernetes lays a ConfigMap down.
    write("first", &field.path("a.jsonl").display().to_string());
    write("second", &field.path("b.jsonl").display().to_string());
    symlink("first", field.path("data")).unwrap();
    symlink("data/outrigger.yaml", field.path("c.yaml")).unwrap();
    let sidecar = field.start(&["run", "c.yaml"], &[]);
    sidecar.ready();
    symlink("second", field.path("data.new")).unwrap();
    std::fs::rename(field.path("data.new"), field.path("data")).unwrap();
    wait_until("it is reloaded", || {
        sidecar.lines().iter().any(|line| line["generation"] == 2).then_some(())
    });
    super::send(port(&sidecar), &[event("a", 1)]);
    wait_for_lines(&field.path("b.jsonl"), 1);
}

#[test]
fn reloads_under_load_lose_no_line() {
    let (field, sidecar) = run(TO_A_FILE);
    let address = port(&sidecar);
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..3)
        .map(|sender| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    let line = event(&format!("s{sender}"), sent);
                    stream.write_all(format!("{line}\n").as_bytes()).unwrap();
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    let rounds = if std::env::var_os("OUTRIGGER_FAULT_ROUNDS").is_some() {
        1000
    } else {
        50
    };
    for round in 0..rounds {
        field.configure(&TO_A_FILE.replace("out.jsonl", &format!("out{}.jsonl", round % 3)));
        let (status, body) = sidecar.ask("POST", "/reload");
        assert_eq!(status, 200, "{body}");
    }
    stop.store(true, Ordering::Relaxed);
    let sent: usize = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
    let files = ["out.jsonl", "out0.jsonl", "out1.jsonl", "out2.jsonl"];
    let all = || -> usize { files.iter().map(|file| lines_of(&field.path(file)).len()).sum() };
    wait_until("every line is in a file", || (all() >= sent).then_some(()));
    assert_eq!(all(), sent);
}
