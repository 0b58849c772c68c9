//! Every request of the corpus is refused before anything of it is passed on, or passed on as one request.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::common::{Front, OK, SOON, Server};

struct Case {
    name: &'static str,
    wanted: &'static str,
    request: Vec<u8>,
}

fn corpus() -> Vec<Case> {
    let text = include_str!("smuggling/corpus.txt");
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("== ") {
            let (name, wanted) = head.split_once(" -> ").expect("a name and what is wanted");
            cases.push(Case {
                name,
                wanted,
                request: Vec::new(),
            });
        } else if let (false, Some(case)) = (line.starts_with('#'), cases.last_mut()) {
            case.request.extend(unescaped(line));
        }
    }
    cases
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, (byte == b'\\').then(|| rest.next().unwrap())) {
            (_, Some(b'r')) => b'\r',
            (_, Some(b'n')) => b'\n',
            (_, Some(b't')) => b'\t',
            (_, Some(b'0')) => 0,
            (_, Some(b'x')) => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            (_, Some(other)) => other,
            (byte, None) => byte,
        });
    }
    bytes
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_before_it_is_passed_on() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let of_server = Arc::clone(&seen);
    let server = Server::start(move |mut stream, _| {
        let seen = Arc::clone(&of_server);
        async move {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                seen.lock().unwrap().extend_from_slice(&buffer[..read]);
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let front = Front::to(server.upstream()).await;
    let cases = corpus();
    assert!(cases.len() > 60);
    for case in cases {
        seen.lock().unwrap().clear();
        let mut client = front.connect().await;
        client.send(&case.request).await;
        let mut answer = vec![0; 4096];
        let read = timeout(SOON, client.0.read(&mut answer))
            .await
            .unwrap_or_else(|_| panic!("{}: no answer", case.name));
        let answer = String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned();
        let seen = String::from_utf8_lossy(&seen.lock().unwrap()).into_owned();
        match case.wanted.strip_prefix("pass ") {
            None => {
                assert!(answer.starts_with("HTTP/1.1 400 "), "{}: {answer}", case.name);
                assert_eq!(seen, "", "{}: the upstream saw something", case.name);
                assert!(answer.contains("\"error\""), "{}: {answer}", case.name);
            }
            Some(line) => {
                assert!(answer.starts_with("HTTP/1.1 200 "), "{}: {answer}", case.name);
                let lines = seen.split("\r\n").filter(|seen| *seen == line).count();
                assert_eq!(lines, 1, "{}: {line:?} in {seen}", case.name);
                assert_eq!(
                    seen.matches("X-Forst-Sidecar").count(),
                    1,
                    "{}: one request: {seen}",
                    case.name
                );
            }
        }
    }
}
