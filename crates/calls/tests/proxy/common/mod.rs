//! A listener with the proxy behind it, in this process; clients and upstreams that say exactly the bytes they are told.

pub(crate) mod http2;

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use calls::{
    Body,
    config::{Breaker, Off, Timeouts, TrustedProxies, Upstream},
    listen::{Address, Listener, Peer},
    proxy::{Proxy, ProxyParts},
};
use chassis::{
    config::Duration as Wait,
    lifecycle::Drain,
    telemetry::{Exposition, Metrics, traces::Tracer},
};
use http::{Request, uri::PathAndQuery};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// What hangs is a failure.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A listener, and the proxy behind it.
pub(crate) struct Front {
    pub(crate) port: u16,
    pub(crate) drain: Drain,
    pub(crate) metrics: Metrics,
}

impl Front {
    /// Everything goes to this upstream.
    pub(crate) async fn to(upstream: Upstream) -> Self {
        Self::trusting(upstream, TrustedProxies::default()).await
    }

    pub(crate) async fn trusting(upstream: Upstream, trusted: TrustedProxies) -> Self {
        let address: Address = "http://127.0.0.1:0".parse().unwrap();
        Self::on(Listener::bind(&address, None).await.unwrap(), upstream, trusted)
    }

    pub(crate) fn on(listener: Listener, upstream: Upstream, trusted: TrustedProxies) -> Self {
        Self::telling(listener, upstream, trusted, Tracer::default(), Metrics::new())
    }

    pub(crate) fn telling(
        listener: Listener,
        upstream: Upstream,
        trusted: TrustedProxies,
        tracer: Tracer,
        metrics: Metrics,
    ) -> Self {
        let drain = Drain::new();
        let parts = ProxyParts {
            trusted,
            metrics: metrics.clone(),
            tracer,
            drain: drain.clone(),
        };
        let proxy = Proxy::new(&BTreeMap::from([("api".to_owned(), upstream)]), parts).unwrap();
        let passage = proxy.passage("/", "api").unwrap();
        let handle = move |request: Request<Body>, peer: Peer| {
            let passage = passage.clone();
            async move {
                let target = request.uri().path_and_query().cloned();
                let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
                passage.call(request, &peer, &target).await
            }
        };
        let port = match listener.address() {
            Address::Tcp { port, .. } => port,
            Address::Unix(_) => 0,
        };
        drain.spawn("listener", listener.run(Arc::new(handle), drain.clone()));
        Self { port, drain, metrics }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(("127.0.0.1", self.port)).await.unwrap())
    }

    /// Sends bytes on a connection of their own, and gives all that comes back until its end.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        client.rest().await
    }

    /// The value of a sample, by the beginning of its line.
    pub(crate) fn sample(&self, name: &str) -> Option<f64> {
        let text = self.metrics.encode(Exposition::Prometheus);
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }
}

/// A client that says exactly what it is told.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// What comes until the connection ends.
    pub(crate) async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        // A reset is an end as well.
        let _ = timeout(SOON, self.0.read_to_end(&mut all))
            .await
            .expect("the connection does not end");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// What comes up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        until(&mut self.0, end).await
    }
}

/// Reads up to and with `end`.
pub(crate) async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let byte = timeout(SOON, stream.read_u8()).await;
        match byte.unwrap_or_else(|_| panic!("waiting for {end:?} after {:?}", String::from_utf8_lossy(&all))) {
            Ok(byte) => all.push(byte),
            Err(error) => panic!("{error} instead of {end:?} after {:?}", String::from_utf8_lossy(&all)),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// An upstream: what is done with each of its connections, and their number from 0.
pub(crate) struct Server {
    pub(crate) port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
    pub(crate) async fn start<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream, usize) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, number));
            }
        });
        Self { port, task }
    }

    /// One that answers each request, whose body is none, with these bytes.
    pub(crate) async fn saying(answer: &'static str) -> Self {
        Self::start(move |mut stream, _| async move {
            loop {
                let mut byte = [0];
                if stream.peek(&mut byte).await.unwrap_or(0) == 0 {
                    return;
                }
                until(&mut stream, "\r\n\r\n").await;
                stream.write_all(answer.as_bytes()).await.unwrap();
                if !answer.to_ascii_lowercase().contains("content-length") {
                    return;
                }
            }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream::at([self.url()])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that nobody listens on.
pub(crate) async fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One without much patience, and without a breaker.
pub(crate) fn hurried(upstream: Upstream) -> Upstream {
    Upstream {
        timeouts: Timeouts {
            connect: Wait::from_millis(300),
            headers: Wait::from_millis(300),
            idle: Wait::from_millis(300),
            total: Wait::ZERO,
        },
        breaker: Breaker::Off(Off::Off),
        ..upstream
    }
}

/// A server that hears out the head, says these bytes, and then waits.
pub(crate) async fn stalling(answer: &'static str) -> Server {
    Server::start(move |mut stream, _| async move {
        until(&mut stream, "\r\n\r\n").await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await
}

/// Waits until something holds, and gives what it gives.
pub(crate) async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    timeout(SOON, look).await.expect("it does not come about")
}

/// Whether an answer is this error.
pub(crate) fn is(answer: &str, status: u16, error: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    assert!(
        answer.contains("Content-Type: application/json") || answer.contains("content-type: application/json"),
        "{answer}"
    );
    assert!(
        answer.ends_with(&format!("\r\n\r\n{{\"error\":\"{error}\"}}")),
        "{answer}"
    );
}
