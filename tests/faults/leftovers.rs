//! What a killed `up` leaves behind: nothing that works on.

use std::time::{Duration, Instant};

use crate::{
    harness::{Field, HANDLERS, interpreter, is_alive, rounds, within},
    line::{called, ours},
};

/// Killed: `up`, while its handlers work.
/// Holds: they are gone within 2 s, and the next `up` serves within 5 s.
#[test]
fn handlers_are_gone_two_seconds_after_a_sigkill_of_up_and_the_next_one_serves_within_five() {
    rounds(|round| {
        let field = ours("work");
        field.load(&["a", "b"], 60);
        let up = field.up();
        called(&field, round.number_in(1..=60));
        round.moment();
        let handlers = field.notes().starts;
        assert_eq!(handlers.len(), 2);
        up.kill();
        let killed = Instant::now();
        within(Duration::from_secs(2), "the handlers are gone", || {
            handlers.iter().all(|pid| !is_alive(*pid)).then_some(())
        });
        let before = field.notes().calls.len();
        let _up = field.start(&["up"], &[]);
        within(Duration::from_secs(5), "the next `up` serves", || {
            (field.notes().calls.len() > before || field.notes().repeated() > 0).then_some(())
        });
        assert!(killed.elapsed() < Duration::from_secs(7));
    });
}

/// A shell that waits for its child: the parent-death signal reaches the shell alone.
const SHELL: &str = "#!/bin/sh\n\"$PYTHON\" orphan.py \"$@\" <&0 &\nwait\n";

/// A handler without our runtime, so that no lifeline ends it: it serves until it is killed.
const ORPHAN: &str = r#"
import os, socket, struct, threading, json
notes = os.open("notes", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False
elders = [int(line.split()[1]) for line in open("notes") if line.startswith("start ")]
os.write(notes, f"start {os.getpid()}\n".encode())
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["OUTRIGGER_HANDLER_SOCKET"])
listener.listen(16)
def serve(connection):
    stream = connection.makefile("rb")
    while head := stream.read(4):
        body = stream.read(struct.unpack(">I", head)[0])
        old = sum(map(alive, elders))
        os.write(notes, f"call a m{json.loads(body)['n']} {os.getpid()} {old}\n".encode())
        connection.sendall(head + body)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

/// Killed: `up`, whose handler is a shell that has started the real one and would outlive it.
/// Holds: whatever the shell had started is gone before the next `up` takes a message.
#[test]
fn grandchildren_of_a_killed_up_are_gone_before_the_next_one_takes_anything() {
    rounds(|round| {
        let field = Field::new(&format!(
            "actors: {{ a: {{ handler: {{ run: \"sh wrapper.sh\", env: {{ PYTHON: \"{}\" }} }} }} }}",
            interpreter()
        ));
        field.write("wrapper.sh", SHELL);
        field.write("orphan.py", ORPHAN);
        field.load(&["a"], 40);
        let up = field.up();
        called(&field, round.number_in(1..=30));
        round.moment();
        let old = field.notes().starts;
        assert_eq!(old.len(), 1);
        up.kill();
        assert!(
            is_alive(old[0]),
            "the grandchild outlives the shell, or this test shows nothing"
        );
        let up = field.up();
        assert!(!is_alive(old[0]), "the grandchild lives on beside the next `up`");
        field.wait_for("happy-end", 40);
        let beside: Vec<_> = field.notes().calls.into_iter().filter(|call| call.elders > 0).collect();
        assert!(beside.is_empty(), "called while an old process lived: {beside:?}");
        assert!(up.stop().success());
    });
}

/// Stopped in order: `up`, whose handler is a shell that has started the real one.
/// Holds: nothing of it lives on after a SIGTERM either.
#[test]
fn grandchildren_go_with_an_up_that_is_asked_to_leave() {
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"sh wrapper.sh\", env: {{ PYTHON: \"{}\" }} }} }} }}",
        interpreter()
    ));
    field.write("wrapper.sh", SHELL);
    field.write("orphan.py", ORPHAN);
    field.write("handlers.py", HANDLERS);
    let up = field.up();
    let handlers = field.notes().starts;
    assert_eq!(handlers.len(), 1);
    assert!(up.stop().success());
    within(Duration::from_secs(2), "the grandchild is gone", || {
        (!is_alive(handlers[0])).then_some(())
    });
}
