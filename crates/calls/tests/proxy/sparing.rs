//! What is tried again, what is not, and which upstreams are left alone.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use calls::config::{Balance, Breaker, BreakerLimits, Retry, Share, Upstream};
use chassis::config::Duration as Wait;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
};

use crate::common::{Front, GET, OK, Server, eventually, hurried, is, nobody, stalling, until};

fn tried(upstream: Upstream, attempts: u32) -> Upstream {
    let attempts = NonZeroU32::new(attempts).unwrap();
    Upstream {
        retry: Retry {
            attempts,
            backoff: Wait::from_millis(1),
            ..Retry::default()
        },
        ..hurried(upstream)
    }
}

#[tokio::test]
async fn only_what_does_no_harm_twice_is_tried_again() {
    let large = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 70000\r\n\r\n{}",
        "x".repeat(70_000)
    );
    let chunked =
        "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (request, tries) in [
        (GET, 3),
        ("DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 3),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
            3,
        ),
        (chunked, 3),
        (&large, 1),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
            1,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 1),
        (
            "PATCH / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
            1,
        ),
        ("LIST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 1),
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let of_server = Arc::clone(&count);
        let server = Server::start(move |mut stream, _| {
            of_server.fetch_add(1, Ordering::SeqCst);
            async move {
                until(&mut stream, "\r\n\r\n").await;
            }
        })
        .await;
        let front = Front::to(tried(server.upstream(), 3)).await;
        is(&front.ask(request).await, 502, "Bad gateway");
        assert_eq!(
            count.load(Ordering::SeqCst),
            tries,
            "{}",
            &request[..request.len().min(200)]
        );
    }
}

#[tokio::test]
async fn a_try_is_made_again_with_the_whole_body_and_not_after_the_first_byte_of_an_answer() {
    let server = Server::start(|mut stream, number| async move {
        let request = until(&mut stream, "hello").await;
        assert!(request.contains("Content-Length: 5\r\n"));
        if number == 1 {
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let front = Front::to(tried(server.upstream(), 2)).await;
    let put = "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    assert!(front.ask(put).await.ends_with("\r\n\r\nok"));
    assert_eq!(front.sample("sidecar_proxy_retries_total"), Some(1.0));

    let server = Server::start(|mut stream, number| async move {
        until(&mut stream, "\r\n\r\n").await;
        stream
            .write_all(if number == 0 { b"H" } else { OK.as_bytes() })
            .await
            .unwrap();
    })
    .await;
    let front = Front::to(tried(server.upstream(), 2)).await;
    is(&front.ask(GET).await, 502, "Bad gateway");
}

#[tokio::test]
async fn the_budget_bounds_tries() {
    let count = Arc::new(AtomicUsize::new(0));
    let of_server = Arc::clone(&count);
    let server = Server::start(move |mut stream, _| {
        of_server.fetch_add(1, Ordering::SeqCst);
        async move {
            until(&mut stream, "\r\n\r\n").await;
        }
    })
    .await;
    let upstream = tried(server.upstream(), 2);
    let front = Front::to(Upstream {
        retry: Retry {
            budget: Share::percent(0),
            ..upstream.retry
        },
        ..upstream
    })
    .await;
    for _ in 0..10 {
        front.ask(GET).await;
    }
    assert_eq!(count.load(Ordering::SeqCst), 13, "ten requests and three repeats");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_an_idempotent_request_nothing() {
    let server = Server::start(|mut stream, number| async move {
        until(&mut stream, "\r\n\r\n").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        if number == 0 {
            // Closed when the next request is here, without a word.
            let mut byte = [0];
            let _ = stream.read(&mut byte).await;
        }
    })
    .await;
    let front = Front::to(hurried(server.upstream())).await;
    for _ in 0..2 {
        assert!(front.ask(GET).await.ends_with("\r\n\r\nok"));
    }
}

fn broken(failures: u32, open: Wait) -> Breaker {
    Breaker::On(BreakerLimits {
        failures: NonZeroU32::new(failures).unwrap(),
        open,
    })
}

#[tokio::test]
async fn an_open_breaker_answers_at_once_and_one_probe_decides() {
    let works = Arc::new(AtomicUsize::new(0));
    let (heard, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let of_server = (Arc::clone(&works), Arc::clone(&heard), Arc::clone(&go_on));
    let server = Server::start(move |mut stream, _| {
        let (works, heard, go_on) = of_server.clone();
        async move {
            until(&mut stream, "\r\n\r\n").await;
            if works.load(Ordering::SeqCst) == 1 {
                heard.add_permits(1);
                go_on.acquire().await.unwrap().forget();
                stream
                    .write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
                    .await
                    .unwrap();
            }
        }
    })
    .await;
    let front = Front::to(Upstream {
        breaker: broken(2, Wait::from_millis(1500)),
        ..server.upstream()
    })
    .await;
    let state = || front.sample("sidecar_proxy_breaker_state");
    assert_eq!(state(), Some(0.0));
    for _ in 0..2 {
        is(&front.ask(GET).await, 502, "Bad gateway");
    }
    assert_eq!(state(), Some(2.0));
    let answer = front.ask(GET).await;
    is(&answer, 503, "Service temporarily unavailable");
    assert!(answer.to_ascii_lowercase().contains("retry-after: 2\r\n"), "{answer}");
    eventually(|| (state() == Some(1.0)).then_some(())).await;
    is(&front.ask(GET).await, 502, "Bad gateway");
    is(&front.ask(GET).await, 503, "Service temporarily unavailable");
    works.store(1, Ordering::SeqCst);
    eventually(|| (state() == Some(1.0)).then_some(())).await;
    let (probe, other) = tokio::join!(front.ask(GET), async {
        // While the probe is under way.
        heard.acquire().await.unwrap().forget();
        let other = front.ask(GET).await;
        go_on.add_permits(10);
        other
    });
    assert!(probe.starts_with("HTTP/1.1 500 Oh"), "a status is no failure: {probe}");
    is(&other, 503, "Service temporarily unavailable");
    for _ in 0..3 {
        assert!(front.ask(GET).await.starts_with("HTTP/1.1 500 Oh"));
    }
    assert_eq!(state(), Some(0.0));
}

#[tokio::test]
async fn a_client_that_leaves_does_not_speak_against_the_upstream_and_a_broken_body_does() {
    let server = stalling("").await;
    let front = Front::to(Upstream {
        breaker: broken(1, Wait::from_secs(60)),
        ..server.upstream()
    })
    .await;
    let pending = |count: f64| (front.sample("sidecar_proxy_pending") == Some(count)).then_some(());
    for _ in 0..3 {
        let mut client = front.connect().await;
        client.send(GET).await;
        eventually(|| pending(1.0)).await;
        drop(client);
        eventually(|| pending(0.0)).await;
    }
    assert_eq!(front.sample("sidecar_proxy_breaker_state"), Some(0.0));

    let server = Server::saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    let front = Front::to(Upstream {
        breaker: broken(2, Wait::from_secs(60)),
        ..server.upstream()
    })
    .await;
    for _ in 0..2 {
        front.ask(GET).await;
    }
    is(&front.ask(GET).await, 503, "Service temporarily unavailable");
}

#[tokio::test]
async fn several_addresses_share_the_work_and_stand_in_for_each_other() {
    let (one, two) = (
        Server::saying(OK).await,
        Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo").await,
    );
    for balance in [Balance::RoundRobin, Balance::LeastPending] {
        let front = Front::to(Upstream {
            balance,
            ..Upstream::at([one.url(), two.url()])
        })
        .await;
        let mut twos = 0;
        for _ in 0..10 {
            twos += usize::from(front.ask(GET).await.ends_with("two"));
        }
        assert_eq!(twos, 5, "{balance:?}");
    }
    let dead = format!("http://127.0.0.1:{}", nobody().await);
    let front = Front::to(Upstream {
        breaker: broken(1, Wait::from_secs(60)),
        ..tried(Upstream::at([dead, one.url()]), 2)
    })
    .await;
    for _ in 0..6 {
        assert!(front.ask(GET).await.ends_with("ok"));
    }
    assert_eq!(
        front.sample("sidecar_proxy_retries_total"),
        Some(1.0),
        "then it is left alone"
    );
}
