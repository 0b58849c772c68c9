//! Callers on the Unix socket that are slow, and those that leave.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::Duration,
};

use super::{
    Scene,
    gauge::{Bound, Gauge},
    is_long, scale,
    steady::Steady,
};
use crate::harness::{Value, json, wait_until};

/// When a caller leaves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaves {
    /// In the middle of an object.
    InAnObject,
    /// With calls that a handler works on.
    InCalls,
    /// With answers that it has not read.
    BeforeAnswers,
    /// After bytes that are no object.
    AfterGarbage,
}

impl Leaves {
    pub(super) const ALL: [Self; 4] = [Self::InAnObject, Self::InCalls, Self::BeforeAnswers, Self::AfterGarbage];
}

/// Calls in flight of one that leaves.
const CALLS: usize = 16;

/// A caller that leaves.
pub(super) fn leave(socket: &Path, when: Leaves) {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    let call = |function: &str, id| format!("{{\"id\":{id},\"function\":\"{function}\",\"args\":[{id}]}}");
    let text: String = match when {
        Leaves::InAnObject => "{\"function\":\"echo\",\"args\":[{\"deep\":[[[\"".to_owned(),
        Leaves::InCalls => (0..CALLS).map(|id| call("hold", id)).collect(),
        Leaves::BeforeAnswers => (0..CALLS).map(|id| call("echo", id)).collect(),
        Leaves::AfterGarbage => "{\"function\" nope".to_owned(),
    };
    stream.write_all(text.as_bytes()).expect("it takes them");
}

/// Gone: callers leave in the middle of an object, with 16 calls in flight, before they have read their answers, after garbage.
/// Holds: their calls are canceled, and nothing of them is left.
#[test]
fn callers_that_leave_end_their_calls() {
    const TIMES: usize = 40;
    let scene = Scene::new();
    let socket = scene.socket();
    let steady = Steady::beside(&scene);
    let many = |times| {
        thread::scope(|scope| {
            for when in Leaves::ALL {
                let socket = &socket;
                scope.spawn(move || (0..times).for_each(|_| leave(socket, when)));
            }
        });
    };
    let are_canceled = |times: usize| {
        let calls = i64::try_from(times * CALLS).expect("few");
        wait_until("every call that was left is counted as canceled", || {
            (scene.canceled("hold", "ipc") == calls).then_some(())
        });
    };
    many(TIMES);
    are_canceled(TIMES);
    let gauge = Gauge::new(&scene.sidecar);
    for time in 1..=scale() {
        many(TIMES);
        are_canceled(TIMES + TIMES * time);
    }
    steady.goes_on();
    gauge.is_back("callers that leave", Bound::FEW);
    eprintln!("callers that leave: {} right answers beside", steady.end());
    assert!(scene.sidecar.stop().success());
}

/// Slow: 20 callers send a call, a byte a second.
/// Holds: each is answered.
#[test]
fn callers_that_send_a_byte_a_second_are_answered() {
    const CALLERS: usize = 20;
    // It is the callers that are slow; where there is less time, they are less slow.
    let pause = Duration::from_millis(if is_long() { 1000 } else { 100 });
    let scene = Scene::new();
    let steady = Steady::beside(&scene);
    let gauge = Gauge::new(&scene.sidecar);
    let connect = |_| UnixStream::connect(scene.socket()).expect("it listens");
    let mut callers: Vec<UnixStream> = (0..CALLERS).map(connect).collect();
    for byte in br#"{"id":"s","function":"echo","args":["\\"]}"# {
        for caller in &mut callers {
            caller.write_all(&[*byte]).expect("it takes it");
        }
        thread::sleep(pause);
    }
    for caller in callers {
        let answer = hear(&mut BufReader::new(caller));
        assert_eq!(answer, json!({"id": "s", "success": true, "result": "\\"}));
    }
    gauge.is_back("slow callers", Bound::FEW);
    eprintln!("slow callers: {} right answers beside", steady.end());
    assert!(scene.sidecar.stop().success());
}

/// The next answer; null at the end.
fn hear(stream: &mut BufReader<UnixStream>) -> Value {
    stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_mins(2)))
        .expect("a timeout");
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    if line.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&line).expect("JSON")
}

/// Callers that do not read, and the size of their calls.
const CALLERS: usize = 4;
const SIZE: usize = 32 << 10;
/// Calls that a caller without answers never gets rid of.
const ENOUGH: usize = 1000;

/// Has callers send calls for as long as they are taken, and then read all answers; `inspect` is called in between, with how
/// many calls were taken of each.
fn send_without_reading(socket: &Path, inspect: impl FnOnce(&[usize])) {
    let call = |id: usize| {
        format!(
            "{{\"id\":{id},\"function\":\"echo\",\"args\":[\"{}\"]}}",
            "x".repeat(SIZE)
        )
    };
    let fill = || {
        let mut stream = UnixStream::connect(socket).expect("it listens");
        // What is not taken for so long waits for us to read.
        stream
            .set_write_timeout(Some(Duration::from_secs(3)))
            .expect("a timeout");
        let is_full = |id: &usize| {
            stream
                .write_all(call(*id).as_bytes())
                .is_err_and(|error| is_full(&error))
        };
        let taken = (0..ENOUGH).find(is_full).expect("it is held back");
        (stream, taken)
    };
    let callers: Vec<(UnixStream, usize)> = thread::scope(|scope| {
        let filling: Vec<_> = (0..CALLERS).map(|_| scope.spawn(fill)).collect();
        filling
            .into_iter()
            .map(|filled| filled.join().expect("it fills"))
            .collect()
    });
    let taken: Vec<usize> = callers.iter().map(|(_, taken)| *taken).collect();
    inspect(&taken);
    for (stream, taken) in callers {
        // The last one was cut short: what is told of it has no id.
        stream.shutdown(std::net::Shutdown::Write).expect("half of it closes");
        let answers = std::iter::from_fn({
            let mut reader = BufReader::new(stream);
            move || Some(hear(&mut reader)).filter(|answer| !answer.is_null())
        });
        let mut ids: Vec<u64> = answers.filter_map(|answer| answer["id"].as_u64()).collect();
        ids.sort_unstable();
        assert!(
            ids.iter().copied().eq(0..taken as u64),
            "each of {taken} calls once: {ids:?}"
        );
    }
}

/// Attack: 4 callers send calls of 32 KiB for as long as they are taken, and read no answer.
/// Holds: each of them is held back at 256 calls, others are not; in the end every call that was sent has its answer.
#[test]
fn callers_that_do_not_read_are_held_back() {
    /// Calls in flight, each with its argument and its answer, which is read into a buffer that grows to twice its size.
    const MOST_MIB: u64 = (CALLERS * 256 * SIZE * 4) as u64 >> 20;
    let scene = Scene::new();
    let steady = Steady::beside(&scene);
    let gauge = Gauge::new(&scene.sidecar);
    send_without_reading(&scene.socket(), |taken| {
        steady.goes_on();
        let most = gauge.peak_growth();
        eprintln!("callers that do not read: {taken:?} calls taken, {most} MiB more at most");
        assert!(taken.iter().all(|taken| (256..ENOUGH).contains(taken)), "{taken:?}");
        assert!(most <= MOST_MIB, "{most} of {MOST_MIB} MiB");
    });
    // What the allocator has had it keeps, in pieces, of which it has enough after some times. Had it lost one call in two, there
    // would be 36 MiB more.
    send_without_reading(&scene.socket(), |_| {});
    let gauge = Gauge::new(&scene.sidecar);
    for _ in 0..2 * scale() {
        send_without_reading(&scene.socket(), |_| {});
    }
    gauge.is_back("callers that do not read", Bound { mib: 32, ..Bound::FEW });
    eprintln!("callers that do not read: {} right answers beside", steady.end());
    assert!(scene.sidecar.stop().success());
}

fn is_full(error: &std::io::Error) -> bool {
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    true
}
