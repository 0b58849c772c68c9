//! The floor of a proxy: `calls-hyper UPSTREAM_PORT` listens on a free port of the loopback, which it prints, and passes
//! requests on with hyper's server and the pool of hyper-util's client.
//!
//! One worker, as `outrigger run` has. What it leaves out is what a proxy is for: what it adds to a request, limits, retries,
//! breakers, metrics, traces, and the strictness of what it lets in.

use std::{
    env,
    io::{self, Write},
    net::Ipv4Addr,
};

use anyhow::Context;
use chassis::lifecycle::Drain;
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    header::CONNECTION,
    http::uri::{Authority, Parts, Scheme},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

#[derive(Clone)]
struct Proxy {
    client: Client<HttpConnector, Incoming>,
    upstream: Authority,
}

#[tokio::main(worker_threads = 1)]
async fn main() -> anyhow::Result<()> {
    let port: u16 = env::args()
        .nth(1)
        .context("usage: calls-hyper UPSTREAM_PORT")?
        .parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let proxy = Proxy {
        client: Client::builder(TokioExecutor::new()).build(connector),
        upstream: format!("127.0.0.1:{port}").parse()?,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
    let drain = Drain::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let proxy = proxy.clone();
        drain.spawn("connection", async move {
            let pass = service_fn(|request| proxy.pass(request));
            // A client that leaves is none of its business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), pass).await;
        });
    }
}

impl Proxy {
    async fn pass(&self, mut request: Request<Incoming>) -> anyhow::Result<Response<Incoming>> {
        let mut parts = Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.upstream.clone());
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from_parts(parts)?;
        request.headers_mut().remove(CONNECTION);
        let mut response = self.client.request(request).await?;
        response.headers_mut().remove(CONNECTION);
        Ok(response)
    }
}
