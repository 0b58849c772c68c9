//! What a buffer on disk promises beyond one in memory.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command as Process, Stdio},
    time::{Duration, Instant},
};

use chassis::{lifecycle::Drain, telemetry::Metrics as Registry};
use tempfile::TempDir;

use super::{super::tests::open, *};
use crate::{
    batch::{
        Buffer, Limits,
        parcel::tests::{parcel, texts},
        policy::Lost,
    },
    config::WhenFull,
    metrics::Metrics,
};

fn limits(when_full: Option<WhenFull>) -> Limits {
    Limits {
        lines: usize::MAX,
        lines_of_source: 1 << 20,
        disk: Some(1 << 20),
        when_full,
        interval: Duration::ZERO,
        ripe: 100,
    }
}

fn buffer(folder: &TempDir) -> Buffer {
    Buffer::on_disk(limits(None), open(folder))
}

/// Everything that waits, and has left then.
async fn drain(buffer: &Buffer) -> Vec<String> {
    buffer.close();
    let mut all = Vec::new();
    while let Some(batch) = buffer.take(7, 1 << 20).await {
        all.extend(batch.iter().flat_map(texts));
        buffer.finish(&batch).await;
    }
    all
}

#[tokio::test]
async fn what_has_not_left_is_there_at_the_next_start_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let first = buffer(&folder);
    first.push(parcel("a", &["1", "2", "3", "4", "5"])).await;
    first.push(parcel("b", &["6"])).await;
    let batch = first.take(2, 1 << 20).await.unwrap();
    first.finish(&batch).await;
    // Under way, and not finished.
    let _ = first.take(2, 1 << 20).await.unwrap();
    drop(first);
    let second = buffer(&folder);
    assert_eq!(second.lines(), 4);
    let batch = second.take(9, 1 << 20).await.unwrap();
    let sources: Vec<&str> = batch.iter().map(|parcel| &*parcel.source).collect();
    assert_eq!(sources, ["a", "b"]);
    second.finish(&batch).await;
    second.push(parcel("a", &["7"])).await;
    assert_eq!(drain(&second).await, ["7"]);
}

#[tokio::test]
async fn what_is_given_back_goes_out_again_without_what_had_left() {
    let folder = tempfile::tempdir().unwrap();
    let buffer = buffer(&folder);
    buffer.push(parcel("a", &["1", "2", "3", "4"])).await;
    buffer.take(3, 1 << 20).await.unwrap();
    buffer.give_back(1).await;
    assert_eq!(drain(&buffer).await, ["2", "3", "4"]);
}

#[tokio::test]
async fn a_file_never_exceeds_its_size_and_shrinks_once_it_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(&folder);
    let buffer = Buffer::on_disk(limits(Some(WhenFull::DropNewest)), disk);
    let line = "x".repeat(3000);
    let mut lost = 0;
    for _ in 0..1000 {
        lost += buffer.push(parcel("a", &[&line])).await.full;
    }
    let size = || fs::metadata(folder.path().join("a.db")).unwrap().len();
    assert!(lost > 500 && lost < 900, "{lost}");
    assert_eq!(drain(&buffer).await.len(), 1000 - lost);
    drop(buffer);
    wait_until_closed(&folder);
    assert!(size() < 1 << 19, "{}", size());
}

#[tokio::test]
async fn a_corrupt_file_is_put_aside_and_a_fresh_one_serves() {
    for from in [0, 4096, 40_000] {
        let folder = tempfile::tempdir().unwrap();
        let first = buffer(&folder);
        for line in 0..100 {
            first.push(parcel("a", &[&format!("{line}{}", "x".repeat(2000))])).await;
        }
        drop(first);
        wait_until_closed(&folder);
        let path = folder.path().join("a.db");
        let scribbled = || -> std::io::Result<()> {
            let mut bytes = fs::read(&path)?;
            let end = bytes.len().min(from + 100_000);
            bytes[from..end].fill(0x5a);
            fs::write(&path, bytes)
        };
        scribbled().unwrap();
        let second = buffer(&folder);
        let rest = drain(&second).await;
        assert!(rest.len() < 100, "{}", rest.len());
        drop(second);
        let third = buffer(&folder);
        assert_eq!(third.push(parcel("a", &["new"])).await, Lost::default());
        assert_eq!(drain(&third).await.last().map(String::as_str), Some("new"));
        let names = fs::read_dir(folder.path()).unwrap().flatten();
        let aside = names.filter(|entry| entry.file_name().to_string_lossy().contains("corrupt"));
        assert!(aside.count() >= 1);
    }
}

/// Waits until no log stands beside the file: then it is closed.
fn wait_until_closed(folder: &TempDir) {
    let until = Instant::now() + Duration::from_secs(30);
    while folder.path().join("a.db-wal").exists() {
        assert!(Instant::now() < until, "the file is not closed");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE t(x)")
        .unwrap();
    let metrics = Metrics::new(&Registry::default());
    let why = Disk::open(&path, &metrics, Drain::new().hold()).unwrap_err();
    assert!(why.contains("another program"), "{why}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_full_disk_is_as_no_room_until_there_is_some() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(&folder);
    let dropping = Buffer::on_disk(limits(Some(WhenFull::DropNewest)), disk.clone());
    let holding = Buffer::on_disk(limits(Some(WhenFull::Hold)), disk.clone());
    dropping.push(parcel("a", &["1"])).await;
    disk.squeeze(true).await;
    let large = "x".repeat(60_000);
    let lost = dropping.push(parcel("a", &[&large, &large])).await;
    assert_eq!(lost, Lost { full: 2, sampled: 0 });
    assert!(dropping.trouble().unwrap().contains("disk is full"));
    let mut held = std::pin::pin!(holding.push(parcel("a", &[&large])));
    tokio::select! {
        _ = held.as_mut() => panic!("there is no room"),
        () = async { while !holding.holds() { tokio::task::yield_now().await } } => {}
    }
    disk.squeeze(false).await;
    assert_eq!(held.await, Lost::default());
    assert_eq!(holding.trouble(), None);
    assert_eq!(drain(&holding).await, ["1".to_owned(), large]);
}

#[tokio::test]
async fn lines_that_nobody_asks_for_any_more_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let old = path(folder.path(), "old/one", None);
    let metrics = Metrics::new(&Registry::default());
    let drain = Drain::new();
    let disk = Disk::open(&old, &metrics, drain.hold()).unwrap();
    Buffer::on_disk(limits(None), disk).push(parcel("a", &["1", "2"])).await;
    // Its thread has closed it.
    drain.wait(None).await;
    assert_eq!(forgotten(folder.path(), &[]), [(old.clone(), 2)]);
    assert_eq!(forgotten(folder.path(), &[old]), []);
}

/// Lines of one batch in the test that follows.
const AT_ONCE: usize = 50;

#[test]
fn a_killed_process_loses_nothing_and_repeats_one_batch_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let (delivered, marker) = (folder.path().join("delivered"), folder.path().join("to-be-killed"));
    fs::write(&marker, "").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for round in 0..8 {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "batch::disk::tests::process_that_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut safe = told.filter_map(|line| line.strip_prefix("safe ")?.parse::<usize>().ok());
        let acked = safe
            .nth(fastrand::usize(1..400))
            .expect("it goes on until it is killed");
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it was gone counts too.
        let acked = safe.last().unwrap_or(acked);
        let gone: Vec<usize> = numbers(&fs::read_to_string(&delivered).unwrap_or_default());
        let waits = runtime.block_on(async { drain(&buffer(&folder)).await });
        let waits = numbers(&waits.join("\n"));
        let first = waits.first().copied().unwrap_or(gone.len());
        assert!(
            gone.iter().copied().eq(0..gone.len()),
            "round {round}: delivered in order and once"
        );
        assert!(
            waits.iter().copied().eq(first..first + waits.len()),
            "round {round}: {waits:?}"
        );
        assert!(
            first <= gone.len(),
            "round {round}: {first} waits first, {} are delivered",
            gone.len()
        );
        assert!(
            gone.len() - first <= AT_ONCE,
            "round {round}: {} lines are repeated",
            gone.len() - first
        );
        assert!(first + waits.len() > acked, "round {round}: line {acked} was safe");
        fs::remove_file(&delivered).unwrap();
        wait_until_closed(&folder);
    }
}

fn numbers(text: &str) -> Vec<usize> {
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Lays down numbered lines and says which are safe, and delivers them to a file, until it is killed.
#[test]
#[ignore = "it is a part of another test"]
fn process_that_is_killed() {
    if !Path::new("to-be-killed").exists() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let metrics = Metrics::new(&Registry::default());
        let disk = Disk::open(Path::new("a.db"), &metrics, Drain::new().hold()).unwrap();
        let buffer = Buffer::on_disk(limits(None), disk);
        let lay = async {
            let mut next = 0;
            loop {
                let count = fastrand::usize(1..120);
                let lines: Vec<String> = (next..next + count).map(|line| line.to_string()).collect();
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                buffer.push(parcel("a", &lines)).await;
                next += count;
                println!("\nsafe {}", next - 1);
            }
        };
        let deliver = async {
            let mut file = fs::File::options().create(true).append(true).open("delivered").unwrap();
            loop {
                let batch = buffer.take(AT_ONCE, 1 << 20).await.unwrap();
                let text: Vec<u8> = batch.iter().flat_map(|parcel| parcel.text.clone()).collect();
                file.write_all(&text).unwrap();
                buffer.finish(&batch).await;
            }
        };
        // Neither ends.
        tokio::select! {
            () = lay => {}
            () = deliver => {}
        }
    });
}
