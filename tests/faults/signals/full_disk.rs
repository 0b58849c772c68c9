//! A disk without room, which has room again later.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    arrived::{Arrived, lines},
    failing, health, nothing_waits, port, send,
    senders::{Manners, Sender},
    waiting,
};
use crate::harness::{Asked, Field, Said, Sidecar, Web, wait_until};

/// A small disk of the test's own; gone when the test ends, however it ends.
struct Disk {
    place: PathBuf,
}

impl Disk {
    /// `None` where this user may not have one.
    fn of(kib: usize, place: PathBuf) -> Option<Self> {
        fs::create_dir_all(&place).expect("a folder");
        let size = format!("size={kib}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&place);
        let mounted = mount.output().expect("mount runs");
        if mounted.status.success() {
            return Some(Self { place });
        }
        eprintln!("not tried: {}", String::from_utf8_lossy(&mounted.stderr));
        None
    }

    /// Takes room away for as long as it is not removed.
    fn ballast(&self, kib: usize) -> PathBuf {
        let path = self.place.join("ballast");
        fs::write(&path, vec![b'x'; kib * 1024]).expect("there is room");
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At once for everybody, whoever still has a file open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.place).status();
    }
}

fn is_healthy(run: &Sidecar) {
    wait_until("it is healthy again", || {
        (health(run)["status"] == "healthy").then_some(())
    });
}

/// What stands in a file, nothing of it in part; while a write is tried there may be a part for a moment.
#[track_caller]
fn whole(path: &Path) -> Arrived {
    wait_until("the file ends with a whole line", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        (text.is_empty() || text.ends_with('\n')).then(|| Arrived::read(text.lines()))
    })
}

/// Full: the disk of the file that lines go to, until room is made on it.
/// Holds: the process stays up, `/health` says which file and why; another backend gets every line meanwhile; no line stands
/// in the file in part at any time; when there is room every line comes, once.
#[test]
fn a_file_on_a_full_disk_gets_every_line_once_there_is_room() {
    const LINES: usize = 3000;
    let field = Field::new(
        "signals:
  tcp: { port: 0 }
  buffers: { flush_interval: 0, per_source_buffer: 10000 }
  backends: { full: { type: file, path: disk/out.jsonl }, other: { type: file, path: other.jsonl } }
",
    );
    let Some(disk) = Disk::of(512, field.path("disk")) else {
        return;
    };
    let ballast = disk.ballast(384);
    let run = field.run();
    send(port(&run), &lines("a", LINES));
    let reason = failing(&run, "full");
    assert!(
        reason.contains("disk/out.jsonl") && reason.contains("No space left"),
        "{reason}"
    );
    let out = field.path("disk/out.jsonl");
    let other = field.path("other.jsonl");
    wait_until("the other one has every line", || {
        (Arrived::so_far_in(&other).different("a") == LINES).then_some(())
    });
    assert_eq!(health(&run)["backends"]["other"]["status"], "ok");
    let before = whole(&out).different("a");
    assert!(before < LINES);
    fs::remove_file(ballast).expect("it can be removed");
    // Still too little for all: it is full once more.
    wait_until("more lines have come", || {
        let text = fs::read_to_string(&out).unwrap_or_default();
        (text.matches('\n').count() > before).then_some(())
    });
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,size=4m"]).arg(&disk.place);
    assert!(remount.status().expect("mount runs").success());
    nothing_waits(&run, "full");
    let arrived = whole(&out);
    assert_eq!((arrived.different("a"), arrived.repeated()), (LINES, 0));
    is_healthy(&run);
    assert!(run.stop().success());
}

/// Full: the disk of the buffer of a backend that is away, until room is made on it.
/// Killed then: `run`, while it delivers and the disk is full again.
/// Holds: the process stays up and `/health` says which buffer and why; a sender that asks is held back and told of no line
/// that is not on disk; when there is room it goes on, and a buffer that is full again is emptied all the same once the
/// backend is back; every line that the sender was told of comes, in its order, and no more of them again than a batch has.
#[test]
fn a_disk_buffer_on_a_full_disk_holds_back_and_goes_on_once_there_is_room() {
    const BATCH: usize = 100;
    let (is_back, taken) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<String>>::default());
    let (back, lines) = (Arc::clone(&is_back), Arc::clone(&taken));
    let web = Web::on_port(move |asked: &Asked| {
        if !back.load(Ordering::SeqCst) {
            return Said::with(503, &[], "");
        }
        lines.lock().unwrap().push_str(asked.text());
        Said::with(200, &[], "")
    });
    let field = Field::new(&format!(
        "signals:
  tcp: {{ port: 0 }}
  buffers: {{ flush_interval: 0, per_source_buffer: 1000000 }}
  backends:
    web: {{ type: http, url: \"{}\", when_full: hold, flush_batch_size: {BATCH}, buffer: {{ type: disk, max_bytes: 64MiB }} }}
",
        web.address()
    ));
    let Some(disk) = Disk::of(3 * 1024, field.path(".outrigger/signals")) else {
        return;
    };
    let ballast = disk.ballast(1024);
    let run = field.run();
    let manners = Manners {
        asks: true,
        stops: true,
    };
    let sender = Sender::tcp(port(&run), "a", manners);
    let reason = wait_until("the buffer is seen to be full", || {
        let health = health(&run);
        let reason = health["backends"]["web"]["reason"].as_str().unwrap_or_default();
        reason.contains("its disk buffer").then(|| reason.to_owned())
    });
    assert!(
        reason.contains("web.db") && reason.contains("the disk is full"),
        "{reason}"
    );
    let waits = waiting(&run, "web");
    assert!(waits > 0);
    fs::remove_file(ballast).expect("it can be removed");
    wait_until("more lines are on disk", || {
        (waiting(&run, "web") > waits).then_some(())
    });
    is_back.store(true, Ordering::SeqCst);
    wait_until("the server has lines", || {
        (!taken.lock().unwrap().is_empty()).then_some(())
    });
    let told = run.said().matches("a disk buffer cannot be used").count();
    assert!(told <= 3, "it was told {told} times");
    // Nothing of what the sender was told of is in memory alone.
    run.kill();
    let account = sender.end();
    let run = field.run();
    nothing_waits(&run, "web");
    is_healthy(&run);
    assert!(run.stop().success());
    let arrived = Arrived::read(taken.lock().unwrap().lines());
    let came = arrived.first_lines_of(&account);
    eprintln!(
        "{} lines were sent, {} acknowledged, {came} came",
        account.sent, account.acked
    );
    assert!(arrived.repeated() <= BATCH, "{} lines came again", arrived.repeated());
}
