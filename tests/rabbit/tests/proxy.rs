//! The line that can be cut: before an echo, so that every byte can be counted.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use rabbit_node::{Proxy, Trouble};

/// Answers every byte with itself.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let (mut from, mut to) = (stream.try_clone().expect("a handle"), stream);
                let _ = std::io::copy(&mut from, &mut to);
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).expect("it listens");
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).expect("a timeout");
    stream
}

/// Sends text through and reads it back; `false` where the connection has ended.
fn passes(stream: &mut TcpStream, text: &[u8]) -> bool {
    let mut back = vec![0; text.len()];
    stream.write_all(text).is_ok() && stream.read_exact(&mut back).is_ok() && back == text
}

#[test]
fn what_is_sent_comes_through_and_ends_as_it_was_ended() {
    let proxy = Proxy::between(echo()).unwrap();
    let mut stream = connect(&proxy);
    let text: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = text.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == text, "{} of {} bytes came back", back.len(), text.len());
    assert_eq!(proxy.cuts(), 0);
}

#[test]
fn a_cut_ends_what_is_open_and_lets_new_ones_through() {
    let proxy = Proxy::between(echo()).unwrap();
    let mut first = connect(&proxy);
    assert!(passes(&mut first, b"before"));
    assert_eq!(proxy.open(), 1);
    proxy.cut();
    let end = first.read(&mut [0; 8]).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    assert!(passes(&mut connect(&proxy), b"after"));
    assert_eq!(proxy.cuts(), 1);

    proxy.refuse();
    assert!(!passes(&mut connect(&proxy), b"refused"));
    proxy.accept();
    assert!(passes(&mut connect(&proxy), b"accepted"));
}

#[test]
fn a_stalled_line_holds_bytes_and_loses_none() {
    let proxy = Proxy::between(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.stall();
    stream.write_all(b"held").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let nothing = stream.read(&mut [0; 8]).unwrap_err();
    assert!(matches!(nothing.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    proxy.flow();
    let mut back = [0; 4];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"held");
}

#[test]
fn trouble_is_the_same_for_the_same_seed() {
    let came = |seed: u64| -> Vec<usize> {
        let proxy = Proxy::between(echo()).unwrap();
        proxy.trouble(Trouble {
            seed,
            bytes: 1..=200,
            delay: Duration::from_micros(200),
        });
        let lengths = (0..8).map(|_| {
            let mut stream = connect(&proxy);
            // A byte there, then the same byte back: what passes is counted exactly.
            (0..2000).take_while(|_| passes(&mut stream, b"x")).count()
        });
        lengths.collect()
    };
    let first = came(7);
    assert_eq!(first, came(7));
    assert_ne!(first, came(8));
    assert!(first.iter().all(|length| *length <= 100), "{first:?}");
}

#[test]
fn a_calm_line_leaves_new_connections_alone() {
    let proxy = Proxy::between(echo()).unwrap();
    proxy.trouble(Trouble {
        seed: 1,
        bytes: 0..=0,
        delay: Duration::ZERO,
    });
    assert!(!passes(&mut connect(&proxy), b"x"));
    assert_eq!(proxy.cuts(), 1);
    proxy.calm();
    assert!(passes(&mut connect(&proxy), &[1; 10_000]));
}

#[test]
fn a_url_leads_through_the_line_and_is_the_same_otherwise() {
    let proxy = Proxy::between(echo()).unwrap();
    let address = proxy.address();
    assert_eq!(
        proxy.url("amqp://a:b@127.0.0.1:7/%2f?x=1"),
        format!("amqp://a:b@{address}/%2f?x=1")
    );
    assert_eq!(proxy.url("amqp://127.0.0.1:7"), format!("amqp://{address}"));
}
