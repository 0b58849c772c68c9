//! A node of one's own, and the one that stays.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rabbit_node::{
    Node, Settings,
    standing::{self, Started},
};

/// Waits until it holds, a minute at most.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "not within a minute: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Every process whose command line names the folder.
fn processes_of(folder: &Path) -> Vec<u32> {
    let folder = folder.canonicalize().expect("it is there");
    let folder = folder.to_str().expect("it is text");
    let all = fs::read_dir("/proc").expect("processes").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        is_alive(*pid) && String::from_utf8_lossy(&environment).contains(&format!("HOME={folder}\0"))
    })
    .collect()
}

#[test]
fn a_node_of_ones_own_can_be_killed_paused_told_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::default().with("consumer_timeout", "61000");
    let mut node = Node::start(folder.path(), &settings).unwrap();
    let timeout = node
        .ctl(&["eval", "application:get_env(rabbit, consumer_timeout)."])
        .unwrap();
    assert_eq!(timeout.trim(), "{ok,61000}");
    node.ctl(&["add_vhost", "kept"]).unwrap();
    let refused = node.ctl(&["delete_vhost", "not there"]).unwrap_err().to_string();
    assert!(refused.contains("not there"), "{refused}");

    let (pid, url) = (node.pid(), node.url());
    node.kill();
    assert!(!is_alive(pid));
    assert!(TcpStream::connect(node.address()).is_err(), "somebody still listens");
    node.restart().unwrap();
    assert_ne!(node.pid(), pid);
    assert_eq!(node.url(), url);
    let hosts = node.ctl(&["list_vhosts"]).unwrap();
    assert!(hosts.lines().any(|line| line == "kept"), "{hosts}");

    node.pause().unwrap();
    let connected = TcpStream::connect(node.address());
    assert!(connected.is_ok(), "a paused node's sockets stay open");
    node.resume().unwrap();
    node.ctl(&["list_queues"]).unwrap();

    let pid = node.pid();
    assert!(processes_of(folder.path()).contains(&pid));
    node.stop().unwrap();
    assert!(!is_alive(pid));
    drop(node);
    until("nothing of it is left", || processes_of(folder.path()).is_empty());
}

#[test]
fn a_node_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::default().with("no_such_key", "1");
    let error = Node::start(folder.path(), &settings).unwrap_err().to_string();
    assert!(error.contains("no_such_key"), "{error}");
    until("nothing of it is left", || processes_of(folder.path()).is_empty());
}

/// Names the folder to the process that owns the node.
const OWNED: &str = "RABBIT_NODE_OWNED";

#[test]
fn a_node_ends_with_its_owner() {
    if let Some(folder) = std::env::var_os(OWNED) {
        own(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_node_ends_with_its_owner"])
        .env(OWNED, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("it is up", || folder.path().join("up").exists());
    assert!(processes_of(folder.path()).len() >= 2);
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("nothing of it is left", || processes_of(folder.path()).is_empty());
}

/// What the killed process does: this same program.
fn own(folder: &Path) -> ! {
    let _node = Node::start(folder, &Settings::default()).expect("it starts");
    fs::write(folder.join("up"), "").expect("a file");
    loop {
        thread::park();
    }
}

#[test]
fn the_standing_node_is_started_once_and_stopped_whole() {
    let services = tempfile::tempdir().unwrap();
    let folder = services.path();
    assert_eq!(standing::running(folder), None);
    assert!(!standing::stop(folder).unwrap());

    let Started::Now(first) = standing::start(folder).unwrap() else {
        panic!("something ran before");
    };
    assert_eq!(standing::running(folder).as_ref(), Some(&first));
    assert_eq!(standing::start(folder).unwrap(), Started::Before(first.clone()));

    // Killed behind its back: its record is stale, and its port mapper is still there.
    let killed = Command::new("kill").args(["-KILL", &first.pid().to_string()]).status();
    assert!(killed.unwrap().success());
    until("it is gone", || !is_alive(first.pid()));
    assert_eq!(standing::running(folder), None);
    let Started::Now(second) = standing::start(folder).unwrap() else {
        panic!("a dead node was taken for a live one");
    };
    assert_eq!(second.url, first.url);

    assert!(standing::stop(folder).unwrap());
    assert_eq!(standing::running(folder), None);
    until("nothing of it is left", || {
        processes_of(&folder.join("rabbitmq")).is_empty()
    });
}
