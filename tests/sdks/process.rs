//! How a runtime behaves as a process: its socket, its settings, its signals, its end.

use std::{
    fs,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
};

use crate::{
    harness::{Signal, json, wait_until},
    peer::Peer,
    runtimes::{Refused, Running, for_each_runtime, refused},
};

/// Waits until nothing accepts on the socket any more.
#[track_caller]
fn stops_accepting(running: &Running) {
    wait_until("nothing accepts any more", || {
        UnixStream::connect(running.socket()).is_err().then_some(())
    });
}

/// More than any socket holds unread.
const PIECES: usize = 100_000;

for_each_runtime! {
    fn the_socket_is_for_its_owner_alone_and_gone_at_the_end(runtime) {
        let mut running = Running::start(runtime);
        let mode = fs::metadata(running.socket()).expect("the socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{mode:o}");
        running.signal(Signal::SIGTERM);
        assert_eq!(running.ended(), 0);
        assert!(!running.socket().exists(), "the socket's file is left");
    }

    fn a_stale_socket_is_replaced(runtime) {
        let running = Running::start_with(runtime, |command| {
            let folder = command.get_current_dir().expect("a folder").to_owned();
            drop(UnixListener::bind(folder.join("h.sock")).expect("a socket"));
        });
        let mut peer = wait_until("the new socket accepts", || {
            UnixStream::connect(running.socket()).is_ok().then(|| Peer::connect(&running.socket()))
        });
        peer.call("echo", &json!(1));
        assert_eq!(peer.reply()["result"], 1);
    }

    fn a_socket_that_another_process_serves_is_refused_with_73(runtime) {
        let running = Running::start(runtime);
        let Refused { code, said, .. } = refused(runtime, |command, _| {
            command.env("OUTRIGGER_HANDLER_SOCKET", running.socket());
        });
        assert_eq!(code, 73, "{said}");
        assert!(said.contains(&*running.socket().to_string_lossy()), "{said}");
        Peer::connect(&running.socket());
    }

    fn a_file_that_is_no_socket_is_refused_with_73_and_left_alone(runtime) {
        let Refused { folder, code, said } = refused(runtime, |_, folder| {
            fs::write(folder.join("h.sock"), "mine").expect("a file");
        });
        assert_eq!(code, 73, "{said}");
        assert_eq!(fs::read(folder.path().join("h.sock")).expect("it is there"), b"mine");
    }

    fn a_socket_that_cannot_be_made_is_refused_with_73(runtime) {
        let Refused { code, said, .. } = refused(runtime, |command, folder| {
            command.env("OUTRIGGER_HANDLER_SOCKET", folder.join("no/such/folder/h.sock"));
        });
        assert_eq!(code, 73, "{said}");
    }

    fn settings_that_cannot_be_are_refused_with_78(runtime) {
        let Refused { code, said, .. } = refused(runtime, |command, _| {
            command.env_remove("OUTRIGGER_HANDLER_SOCKET");
        });
        assert_eq!(code, 78, "{said}");
        assert!(said.contains("OUTRIGGER_HANDLER_SOCKET"), "{said}");
        let Refused { code, said, .. } = refused(runtime, |command, folder| {
            command.env("OUTRIGGER_HANDLER_SOCKET", folder.join("x".repeat(100)));
        });
        assert_eq!(code, 78, "{said}");
        for concurrency in ["0", "many", "-1"] {
            let Refused { code, said, .. } = refused(runtime, |command, _| {
                command.env("OUTRIGGER_HANDLER_CONCURRENCY", concurrency);
            });
            assert_eq!(code, 78, "{concurrency}: {said}");
        }
    }

    fn sigterm_serves_open_connections_until_they_close(runtime) {
        let mut running = Running::start(runtime);
        let mut peer = Peer::connect(&running.socket());
        running.signal(Signal::SIGTERM);
        stops_accepting(&running);
        for n in 0..3 {
            peer.call("echo", &json!(n));
            assert_eq!(peer.reply()["result"], n);
        }
        assert!(running.is_alive());
        drop(peer);
        assert_eq!(running.ended(), 0);
    }

    fn sigint_closes_idle_connections_and_answers_what_runs(runtime) {
        let mut running = Running::start(runtime);
        let (mut idle, mut busy) = (Peer::connect(&running.socket()), Peer::connect(&running.socket()));
        // A call that has streamed a piece is one that runs; so many pieces go on only as they are read.
        busy.call("stream", &json!({"n": PIECES}));
        assert_eq!(busy.reply()["status"], "partial");
        running.signal(Signal::SIGINT);
        assert!(idle.is_closed());
        for n in 1..PIECES {
            assert_eq!(busy.reply()["data"]["n"], n);
        }
        assert_eq!(busy.reply()["result"]["count"], PIECES);
        assert!(busy.is_closed());
        assert_eq!(running.ended(), 0);
    }

    fn a_second_signal_ends_it_at_once(runtime) {
        for (second, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
            let mut running = Running::start(runtime);
            let mut peer = Peer::connect(&running.socket());
            peer.call("wait", &json!(null));
            assert_eq!(peer.reply()["status"], "heartbeat");
            running.signal(Signal::SIGTERM);
            stops_accepting(&running);
            running.signal(second);
            assert_eq!(running.ended(), code);
        }
    }

    fn it_leaves_with_its_group_when_the_lifeline_ends(runtime) {
        let mut running = Running::start(runtime);
        let mut peer = Peer::connect(&running.socket());
        peer.call("wait", &json!(null));
        assert_eq!(peer.reply()["status"], "heartbeat");
        running.cut_the_lifeline();
        let code = running.ended();
        assert!(code == 128 + 9 || code == 1, "{code}");
    }

    fn it_leaves_with_1_where_the_group_is_not_its_own(runtime) {
        let mut running = Running::start_with(runtime, |command| {
            let group = nix::unistd::getpgrp().as_raw();
            command.process_group(group);
        });
        running.cut_the_lifeline();
        assert_eq!(running.ended(), 1);
    }

    fn the_actor_of_the_environment_stands_in_where_a_meta_names_none(runtime) {
        let running = Running::start_with(runtime, |command| {
            command.env("OUTRIGGER_ACTOR", "the-actor");
        });
        let mut peer = Peer::connect(&running.socket());
        peer.call("context", &json!(null));
        assert_eq!(peer.reply()["result"]["actor"], "a");
        peer.control(&json!({"meta": {"function": "context"}}));
        peer.request(&json!(null));
        assert_eq!(peer.reply()["result"]["actor"], "the-actor");
    }

    fn one_call_runs_at_a_time_where_nothing_is_said_of_concurrency(runtime) {
        let running = Running::start_with(runtime, |command| {
            command.env_remove("OUTRIGGER_HANDLER_CONCURRENCY");
        });
        let (mut first, mut second) = (Peer::connect(&running.socket()), Peer::connect(&running.socket()));
        first.call("wait", &json!(null));
        assert_eq!(first.reply()["status"], "heartbeat");
        second.call("cancellations", &json!(null));
        for _ in 0..20 {
            assert_eq!(first.reply()["status"], "heartbeat");
        }
        // It begins when the first has ended, and so sees its end.
        drop(first);
        assert_eq!(second.reply()["result"], 1);
    }
}
