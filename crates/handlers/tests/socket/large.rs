//! Large payloads, both ways at once too.

use std::io::{Read, Write};

use bytes::Bytes;
use wire::Reply;

use super::stand_in::{StandIn, ask};

/// A JSON string of this many bytes that is not the same everywhere.
fn long(bytes: usize) -> Bytes {
    let mut text = Vec::with_capacity(bytes);
    text.push(b'"');
    text.extend((0..bytes - 2).map(|index| b'a' + u8::try_from(index % 25).expect("a letter")));
    text.push(b'"');
    text.into()
}

async fn comes_back(stand_in: &StandIn, body: Bytes) -> bool {
    match ask(&stand_in.handler(), body.clone()).await.expect("a reply") {
        Reply::Done(Some(result)) => *result.bytes() == body,
        other => panic!("no result: {other:?}"),
    }
}

#[tokio::test]
async fn sixty_four_mebibytes_go_and_come_back_unchanged() {
    assert!(comes_back(&StandIn::echo(), long(64 << 20)).await);
}

#[tokio::test]
async fn every_size_around_the_readers_buffers_comes_back_unchanged() {
    let stand_in = StandIn::echo();
    let handler = stand_in.handler();
    for around in [4, 2 << 10, 16 << 10, 64 << 10, 128 << 10, 256 << 10] {
        for bytes in around - 4..around + 5 {
            let body = long(bytes.max(2));
            let reply = ask(&handler, body.clone()).await.unwrap();
            assert!(
                matches!(reply, Reply::Done(Some(result)) if *result.bytes() == body),
                "{bytes} bytes"
            );
        }
    }
    assert_eq!(stand_in.accepted(), 1);
}

#[tokio::test]
async fn a_handler_that_answers_as_it_reads_does_not_stand_still() {
    let stand_in = StandIn::new(|mut peer| {
        let mut head = [0; 4];
        peer.stream.read_exact(&mut head).unwrap();
        peer.stream.write_all(&head).unwrap();
        let mut left = u32::from_be_bytes(head) as usize;
        let mut some = vec![0; 64 << 10];
        while left > 0 {
            let got = peer.stream.read(&mut some).unwrap();
            peer.stream.write_all(&some[..got]).unwrap();
            left -= got;
        }
    });
    assert!(comes_back(&stand_in, long(32 << 20)).await);
}
