//! Syslog, from util-linux's `logger` and from sockets.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    process::Command,
    time::UNIX_EPOCH,
};

use serde_json::{Value, json};

use crate::plane::Running;

async fn both() -> Running {
    Running::start(json!({ "syslog": { "tcp": "127.0.0.1:0", "udp": "127.0.0.1:0", "time_zone": "UTC" } })).await
}

/// Runs `logger` against an address.
async fn logger(address: SocketAddr, words: &[&str]) {
    let mut command = Command::new("logger");
    command
        .args(["--server", "127.0.0.1", "--port", &address.port().to_string()])
        .args(words)
        .env("TZ", "UTC");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.expect("`logger` runs: it is in Debian's package bsdutils");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn of(line: &Value) -> [&Value; 5] {
    [
        &line["src"],
        &line["type"],
        &line["data"]["level"],
        &line["data"]["msg"],
        &line["data"]["ctx"]["facility"],
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn logger_is_understood_in_both_formats_over_udp_and_tcp() {
    let running = both().await;
    let addresses = running.addresses();
    let (tcp, udp) = (addresses.syslog_tcp.unwrap(), addresses.syslog_udp.unwrap());
    // In whole seconds, as the older form has them.
    let before = UNIX_EPOCH.elapsed().unwrap().as_secs_f64().floor() * 1000.0;
    for (number, (address, words)) in [
        (udp, vec!["--udp", "--rfc5424"]),
        (udp, vec!["--udp", "--rfc3164"]),
        (tcp, vec!["--tcp", "--rfc5424"]),
        (tcp, vec!["--tcp", "--rfc5424", "--octet-count"]),
        (tcp, vec!["--tcp", "--rfc3164"]),
        (tcp, vec!["--tcp", "--rfc3164", "--octet-count"]),
    ]
    .into_iter()
    .enumerate()
    {
        logger(
            address,
            &[&words[..], &["-t", "backup", "-p", "cron.err", "disk is full"]].concat(),
        )
        .await;
        let lines = running.wait_for(number + 1).await;
        let line = lines.last().unwrap();
        assert_eq!(
            of(line),
            ["backup", "event", "error", "disk is full", "cron"],
            "{words:?}"
        );
        assert_eq!(line["data"]["ctx"]["severity"], "err");
        assert!(line["data"]["ctx"]["host"].is_string(), "{line}");
        assert!(line["ts"].as_f64() >= Some(before), "{line}");
    }
    assert_eq!(running.count("sidecar_messages_received_total{source=\"backup\"}"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_logger_says_for_programs_is_in_the_context() {
    let running = both().await;
    let udp = running.addresses().syslog_udp.unwrap();
    let words = [
        "--udp",
        "--rfc5424",
        "--id=77",
        "--msgid",
        "M1",
        "--sd-id",
        "order@32473",
        "--sd-param",
        r#"n="a\"b""#,
        "-t",
        "shop",
        "sold",
    ];
    logger(udp, &words).await;
    let lines = running.wait_for(1).await;
    let ctx = &lines[0]["data"]["ctx"];
    assert_eq!((&ctx["procid"], &ctx["msgid"]), (&"77".into(), &"M1".into()), "{ctx}");
    assert_eq!(ctx["structured_data"]["order@32473"]["n"], "a\"b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_datagrams_and_what_was_sent_before_the_end_arrive_whole() {
    let running = both().await;
    let addresses = running.addresses();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(addresses.syslog_udp.unwrap()).unwrap();
    let mut stream = TcpStream::connect(addresses.syslog_tcp.unwrap()).unwrap();
    // No more than the smallest buffer that systems have by default takes at once.
    for number in 0..200 {
        socket.send(format!("<14>burst: {number}").as_bytes()).unwrap();
    }
    let lines: Vec<String> = (0..5000).map(|number| format!("<14>stream: {number}\n")).collect();
    stream.write_all(lines.concat().as_bytes()).unwrap();
    stream.write_all(b"<14>stream: and an end without its line").unwrap();
    drop(stream);
    running.finish().await;
    let lines = running.lines();
    let from = |source: &str| lines.iter().filter(|line| line["src"] == source).count();
    assert_eq!((from("burst"), from("stream")), (200, 5001));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_on_tcp_is_told_of_the_end_and_loses_nothing_before_it() {
    let running = both().await;
    let mut stream = TcpStream::connect(running.addresses().syslog_tcp.unwrap()).unwrap();
    stream.write_all(b"<14>a: first\n").unwrap();
    running.wait_for(1).await;
    let sender = tokio::task::spawn_blocking(move || {
        // The end of the stream is the word to stop.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        stream.write_all(b"12 <14>a: last!").unwrap();
    });
    running.finish().await;
    sender.await.unwrap();
    let texts: Vec<Value> = running.lines().iter().map(|line| line["data"]["msg"].clone()).collect();
    assert_eq!(texts, ["first", "last!"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_no_use_is_counted_and_costs_itself_alone() {
    let running = both().await;
    let mut stream = TcpStream::connect(running.addresses().syslog_tcp.unwrap()).unwrap();
    let long = "x".repeat(70_000);
    // Too long as it is, too long as a line of ours, and cut off.
    let quotes = "\"".repeat(40_000);
    write!(
        stream,
        "<14>a: {long}\n70007 <14>a: {long}<14>a: {quotes}\n\n<14>a: whole\n99 <14>a: part"
    )
    .unwrap();
    drop(stream);
    let lines = running.wait_for(1).await;
    assert_eq!(lines[0]["data"]["msg"], "whole");
    running.wait_for_dropped("too_long", 3).await;
    running.wait_for_dropped("not_json", 1).await;
    assert_eq!(running.lines().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_is_closed_and_another_limit_counts_from_the_reload_on() {
    let config =
        |most: usize| json!({ "tcp": { "port": 0 }, "syslog": { "tcp": "127.0.0.1:0", "max_connections": most } });
    let running = Running::start(config(1)).await;
    let address = running.addresses().syslog_tcp.unwrap();
    let mut first = TcpStream::connect(address).unwrap();
    first.write_all(b"<14>a: b\n").unwrap();
    running.wait_for(1).await;
    let mut second = TcpStream::connect(address).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap_or(0), 0);
    running.wait_for_dropped("too_many_connections", 1).await;
    let mut more = config(2);
    more["backends"] = json!({ "file": { "type": "file", "path": "lines.jsonl", "flush_interval": 0 } });
    running.plane.reload(&serde_json::from_value(more).unwrap()).unwrap();
    let mut third = TcpStream::connect(address).unwrap();
    third.write_all(b"<14>a: c\n").unwrap();
    running.wait_for(2).await;
}
