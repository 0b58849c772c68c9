//! The backend against servers of the test's own.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    batch::testing::batch,
    ingest::syslog::{Frame, Framer},
};

const LINES: [&str; 2] = [
    r#"{"src":"a","ts":0,"type":"event","data":{"msg":"one"}}"#,
    r#"{"src":"a","ts":0,"type":"event","data":{"msg":"two\nlines"}}"#,
];

fn sink(address: &str, more: &str, folder: &Path) -> Messages {
    let config = format!(r#"{{"address":"{address}","hostname":"h"{more}}}"#);
    Messages::new(&serde_json::from_str(&config).unwrap(), 100, folder).unwrap()
}

fn texts(stream: &[u8]) -> Vec<String> {
    let (mut framer, mut texts) = (Framer::default(), Vec::new());
    let mut note = |frame: Frame<'_>| match frame {
        Frame::Message(text) => texts.push(String::from_utf8(text.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    };
    framer.split(stream, &mut note);
    framer.end(&mut note);
    texts
}

const SENT: [&str; 2] = [
    "<14>1 1970-01-01T00:00:00.000Z h a - event - one",
    "<14>1 1970-01-01T00:00:00.000Z h a - event - two\nlines",
];

#[tokio::test]
async fn a_server_that_has_closed_the_connection_gets_the_next_batch_on_another() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", server.local_addr().unwrap());
    let mut sink = sink(&address, "", Path::new("."));
    let lines = batch("a", &LINES);
    for _ in 0..2 {
        let (delivered, stream) = tokio::join!(sink.deliver(&lines), async {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut text = vec![0; SENT.map(str::len).iter().sum::<usize>() + 6];
            stream.read_exact(&mut text).await.unwrap();
            stream.shutdown().await.unwrap();
            text
        });
        assert_eq!(delivered, Ok(Vec::new()));
        assert_eq!(texts(&stream), SENT);
        // Until the end of the stream has come.
        let Some(Connection::Tcp(stream)) = &sink.connection else {
            panic!("no connection")
        };
        stream.readable().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_away_gets_the_batch_when_it_is_back() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = server.local_addr().unwrap();
    drop(server);
    let mut sink = sink(&format!("tcp://{own}"), "", Path::new("."));
    let lines = batch("a", &LINES);
    assert!(matches!(sink.deliver(&lines).await, Err(Failure::Away { .. })));
    let server = TcpListener::bind(own).await.unwrap();
    assert_eq!(sink.deliver(&lines).await, Ok(Vec::new()));
    let (mut stream, _) = server.accept().await.unwrap();
    sink.close().await;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    assert_eq!(texts(&text), SENT);
}

#[tokio::test]
async fn a_datagram_is_a_message_no_larger_than_it_may_be() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let mut sink = sink(&address, r#","max_bytes":480"#, Path::new("."));
    let long = format!(
        r#"{{"src":"a","ts":0,"type":"event","data":{{"msg":"{}"}}}}"#,
        "x".repeat(1000)
    );
    assert_eq!(sink.deliver(&batch("a", &[LINES[1], &long])).await, Ok(Vec::new()));
    let mut scratch = [0; 2000];
    let bytes = server.recv(&mut scratch).await.unwrap();
    assert_eq!(&scratch[..bytes], SENT[1].as_bytes());
    assert_eq!(server.recv(&mut scratch).await.unwrap(), 480);
}

#[tokio::test]
async fn a_local_socket_that_comes_back_gets_each_message_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut sink = sink("unix:log", r#","format":"rfc3164","facility":"daemon""#, folder.path());
    let lines = batch("a", &LINES);
    assert!(matches!(sink.deliver(&lines).await, Err(Failure::Away { .. })));
    let server = UnixDatagram::bind(&path).unwrap();
    assert_eq!(sink.deliver(&lines).await, Ok(Vec::new()));
    let mut scratch = [0; 2000];
    for text in ["one", "two\nlines"] {
        let bytes = server.recv(&mut scratch).await.unwrap();
        let message = std::str::from_utf8(&scratch[..bytes]).unwrap();
        assert!(
            message.starts_with("<30>") && message.ends_with(&format!(" a: {text}")),
            "{message}"
        );
    }
    let nothing = server.try_recv(&mut scratch).map_err(|error| error.kind());
    assert_eq!(nothing, Err(io::ErrorKind::WouldBlock));
    // The daemon is started anew: the old socket is nobody's.
    drop(server);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(sink.deliver(&lines).await, Err(Failure::Away { .. })));
    let server = UnixDatagram::bind(&path).unwrap();
    assert_eq!(sink.deliver(&lines).await, Ok(Vec::new()));
    for _ in LINES {
        server.recv(&mut scratch).await.unwrap();
    }
}
