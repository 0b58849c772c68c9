//! Files that cannot be used, disks that are full, paths that are long: a clear error, and nothing lost.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use queues::{
    Put, Queue, QueueError, QueueSpec, Settle,
    sqlite::{SqliteOptions, SqliteQueue},
};
use tokio::task::JoinSet;

async fn open(path: &Path) -> Arc<dyn Queue> {
    let queue = SqliteQueue::open(SqliteOptions::new(path)).await.unwrap();
    let queues = [QueueSpec::new("work"), QueueSpec::new("next")];
    queue.declare(&queues).await.unwrap();
    Arc::new(queue)
}

async fn refusal(path: &Path) -> String {
    match SqliteQueue::open(SqliteOptions::new(path)).await {
        Err(QueueError::Unusable { path: named, why, .. }) => {
            assert_eq!(named, path);
            why
        }
        other => panic!("{other:?}"),
    }
}

async fn put(queue: &Arc<dyn Queue>, body: impl Into<bytes::Bytes>) -> Result<(), QueueError> {
    queue.put(vec![Put::new("work", body)]).await
}

async fn depth(queue: &Arc<dyn Queue>, name: &str) -> u64 {
    let stats = queue.stats().await.unwrap();
    stats.iter().find(|it| &*it.name == name).unwrap().depth.unwrap()
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let text = "these are my notes, and they are no queue\n".repeat(200);
    std::fs::write(&path, &text).unwrap();
    let why = refusal(&path).await;
    assert!(why.contains("corrupt or no queue file"), "{why}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let queue = open(&path).await;
    put(&queue, "a").await.unwrap();
    queue.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[100..] {
        *byte = 0xa5;
    }
    std::fs::write(&path, bytes).unwrap();
    let why = refusal(&path).await;
    assert!(why.contains("restore it from a backup"), "{why}");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE mine(x)").unwrap();
    drop(db);
    let why = refusal(&path).await;
    assert!(why.contains("another program"), "{why}");
}

#[tokio::test]
async fn a_file_from_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    open(&path).await.close().await;
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 9).unwrap();
    drop(db);
    let why = refusal(&path).await;
    assert!(why.contains("newer") && why.contains("version 9"), "{why}");
}

#[tokio::test]
async fn a_folder_in_place_of_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let why = refusal(folder.path()).await;
    assert!(why.contains("folder"), "{why}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let why = refusal(&folder.path().join("file/queue.db")).await;
    assert!(why.contains("where a folder should be"), "{why}");
}

#[tokio::test]
async fn a_path_longer_than_a_socket_allows_is_shared_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d".repeat(200)).join("f".repeat(200));
    let (one, other) = (open(&path).await, open(&path).await);
    put(&other, "a").await.unwrap();
    let mut consumer = one.consume("work", 1).await.unwrap();
    let delivery = consumer.take().await.unwrap();
    assert_eq!(delivery.body(), "a");
    delivery.settle(Settle::Done).await.unwrap();
    other.close().await;
    one.close().await;
}

#[tokio::test]
async fn a_file_that_is_deleted_while_in_use_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let queue = open(&path).await;
    std::fs::remove_file(&path).unwrap();
    let error = loop {
        if let Err(error) = put(&queue, "a").await {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(error.to_string().contains("deleted or replaced"), "{error}");
}

#[tokio::test]
async fn consumers_hear_that_the_file_was_deleted_though_nothing_happens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/queue.db");
    let (owner, other) = (open(&path).await, open(&path).await);
    let (mut one, mut two) = (
        owner.consume("work", 1).await.unwrap(),
        other.consume("work", 1).await.unwrap(),
    );
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    let both = async { tokio::join!(one.take(), two.take()) };
    let (one, two) = tokio::time::timeout(Duration::from_secs(30), both).await.expect("told");
    for told in [one, two] {
        assert!(matches!(told, Err(QueueError::Unusable { .. })), "{told:?}");
    }
    for queue in [&owner, &other] {
        let again = queue.consume("work", 1).await.map(drop);
        assert!(matches!(again, Err(QueueError::Unusable { .. })), "{again:?}");
    }
}

#[tokio::test]
async fn a_file_at_its_limit_takes_messages_again_when_others_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = SqliteOptions::new(folder.path().join("queue.db"));
    options.max_bytes = Some(1 << 20);
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(options).await.unwrap());
    queue.declare(&[QueueSpec::new("work")]).await.unwrap();
    let mut safe = 0;
    let error = loop {
        match put(&queue, vec![1; 50_000]).await {
            Ok(()) => safe += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, QueueError::Full { .. }), "{error:?}");
    assert!(safe > 10, "{safe}");
    assert_eq!(depth(&queue, "work").await, safe);
    let mut consumer = queue.consume("work", 4).await.unwrap();
    for _ in 0..2 {
        consumer.take().await.unwrap().settle(Settle::Done).await.unwrap();
    }
    put(&queue, vec![2; 50_000]).await.unwrap();
    for _ in 2..=safe {
        consumer.take().await.unwrap().settle(Settle::Done).await.unwrap();
    }
    assert!(consumer.take_now().await.unwrap().is_none());
}

/// Runs one test of this file again where a small disk is mounted, which root may do, and mostly everybody in a user
/// namespace.
fn on_a_small_disk(test: &str, folder: &Path) {
    let script = "mount -t tmpfs -o size=1m none \"$1\" && shift && exec \"$@\"";
    let apart = |namespaces: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(namespaces).args(["sh", "-c", script, "sh"]).arg(folder);
        command
    };
    let kinds: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
    let possible = |kind: &&[&str]| apart(kind).arg("true").status().is_ok_and(|status| status.success());
    let kind = kinds.into_iter().find(possible);
    let kind = kind.expect("this test mounts a small disk: run it as root, or where user namespaces are allowed");
    let ran = apart(kind)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("QUEUE_TEST_DISK", folder)
        .status();
    assert!(ran.unwrap().success());
}

/// The same story on any disk that `fill` can fill and `free` can empty.
async fn full_and_free_again(path: &Path, fill: impl Fn(), free: impl Fn()) {
    let queue = open(path).await;
    for number in 0..4 {
        put(&queue, format!("{number}")).await.unwrap();
    }
    let mut consumer = queue.consume("work", 2).await.unwrap();
    let (one, two) = (consumer.take().await.unwrap(), consumer.take().await.unwrap());
    fill();
    let mut confirmed = 0;
    let error = loop {
        match put(&queue, vec![7; 20_000]).await {
            Ok(()) => confirmed += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, QueueError::Full { .. }), "{error:?}");
    assert!(error.is_transient());
    let (mut settled, mut forwarded) = (JoinSet::new(), JoinSet::new());
    settled.spawn(one.settle(Settle::Done));
    forwarded.spawn(two.forward(vec![Put::new("next", vec![8; 40_000])]));
    // The outcome waits in the queue for room.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(forwarded.try_join_next().is_none());
    free();
    let soon = Duration::from_secs(5);
    tokio::time::timeout(soon, settled.join_all())
        .await
        .unwrap()
        .pop()
        .unwrap()
        .unwrap();
    tokio::time::timeout(soon, forwarded.join_all())
        .await
        .unwrap()
        .pop()
        .unwrap()
        .unwrap();
    put(&queue, "last").await.unwrap();
    assert_eq!(depth(&queue, "next").await, 1);
    let mut left = Vec::new();
    while let Some(delivery) = consumer.take_now().await.unwrap() {
        left.push(delivery.body().clone());
        delivery.settle(Settle::Done).await.unwrap();
    }
    assert_eq!(left.len(), 2 + confirmed + 1);
    assert_eq!((&left[0][..], &left[1][..]), (&b"2"[..], &b"3"[..]));
    queue.close().await;
}

#[tokio::test]
async fn a_full_disk_refuses_puts_and_keeps_outcomes_until_there_is_room() {
    let disk = std::env::var_os("QUEUE_TEST_DISK");
    let Some(disk) = disk else {
        let folder = tempfile::tempdir().unwrap();
        let name = "a_full_disk_refuses_puts_and_keeps_outcomes_until_there_is_room";
        on_a_small_disk(name, folder.path());
        return;
    };
    let ballast = Path::new(&disk).join("ballast");
    let fill = || {
        let _ = std::fs::write(&ballast, vec![0; 4 << 20]);
    };
    let free = || std::fs::remove_file(&ballast).unwrap();
    full_and_free_again(&Path::new(&disk).join("queue.db"), fill, free).await;
}

/// Runs one test of this file again as a user who owns nothing; `None` in that run.
fn as_nobody(test: &str, path: &Path) -> bool {
    let ran = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("QUEUE_TEST_READ_ONLY", path)
        .status();
    ran.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused_with_the_cure() {
    use std::os::unix::fs::PermissionsExt;

    let path = std::env::var_os("QUEUE_TEST_READ_ONLY");
    if let Some(path) = path {
        let why = refusal(Path::new(&path)).await;
        assert!(why.contains("write permission"), "{why}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    open(&path).await.close().await;
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    set(&path, 0o444);
    set(folder.path(), 0o555);
    if std::fs::OpenOptions::new().append(true).open(&path).is_ok() {
        // Nothing is forbidden to root: let somebody else try.
        let name = "a_file_that_cannot_be_written_is_refused_with_the_cure";
        assert!(as_nobody(name, &path));
    } else {
        let why = refusal(&path).await;
        assert!(why.contains("write permission"), "{why}");
    }
    set(folder.path(), 0o755);
}
