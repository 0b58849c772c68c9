//! One connection to the collector, opened when it is needed and kept.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::endpoint::Endpoint;
use crate::lifecycle::{Drain, Scoped};

/// Posts to one endpoint.
pub(super) struct Client {
    endpoint: Endpoint,
    headers: HeaderMap,
    timeout: Duration,
    tls: Option<TlsConnector>,
    drain: Drain,
    open: Option<Open>,
}

/// A connection, and the task that drives it.
struct Open {
    sender: SendRequest<Full<Bytes>>,
    _driver: Scoped,
}

/// What the collector said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Seconds that it wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum PostError {
    /// There is no way to the collector.
    #[error("cannot connect to {endpoint}")]
    Connect {
        endpoint: String,
        #[source]
        source: io::Error,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("the exchange with {endpoint} broke off")]
    Exchange {
        endpoint: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The collector took too long.
    #[error("{endpoint} did not answer within {after:?}")]
    Timeout { endpoint: String, after: Duration },
}

/// Of an answer's body; what counts of it is short.
const MAX_ANSWER: usize = 64 * 1024;

impl Client {
    /// A client that is not connected; its connections are driven in tasks of `drain`.
    pub(super) fn new(
        endpoint: Endpoint,
        headers: HeaderMap,
        timeout: Duration,
        tls: Option<TlsConnector>,
        drain: Drain,
    ) -> Self {
        Self {
            endpoint,
            headers,
            timeout,
            tls,
            drain,
            open: None,
        }
    }

    /// Posts a body. A kept connection that the collector had closed meanwhile is replaced by a fresh one, once.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection; the collector may have got the body.
    pub(super) async fn post(&mut self, body: &Bytes) -> Result<Answer, PostError> {
        let after = self.timeout;
        let endpoint = self.endpoint.to_string();
        let posted = tokio::time::timeout(after, async {
            if let Some(kept) = self.open.take()
                && let Ok(answer) = self.exchange(kept, body).await
            {
                return Ok(answer);
            }
            let fresh = self.connect().await?;
            self.exchange(fresh, body).await
        });
        posted.await.unwrap_or(Err(PostError::Timeout { endpoint, after }))
    }

    async fn exchange(&mut self, mut open: Open, body: &Bytes) -> Result<Answer, PostError> {
        let broke = |source: Box<dyn std::error::Error + Send + Sync>| PostError::Exchange {
            endpoint: self.endpoint.to_string(),
            source,
        };
        open.sender.ready().await.map_err(|error| broke(error.into()))?;
        let response = open
            .sender
            .send_request(self.request(body))
            .await
            .map_err(|error| broke(error.into()))?;
        let answer = read(response).await.map_err(broke)?;
        if !open.sender.is_closed() {
            self.open = Some(open);
        }
        Ok(answer)
    }

    fn request(&self, body: &Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.path.clone();
        let headers = request.headers_mut();
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("OTel-OTLP-Exporter-Outrigger/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(HOST, self.endpoint.authority.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        request
    }

    async fn connect(&self) -> Result<Open, PostError> {
        let failed = |source| PostError::Connect {
            endpoint: self.endpoint.to_string(),
            source,
        };
        let stream = TcpStream::connect((&*self.endpoint.host, self.endpoint.port))
            .await
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let Some(tls) = &self.tls else {
            return self.shake_hands(stream).await;
        };
        let name = ServerName::try_from(self.endpoint.host.clone()).map_err(|error| failed(io::Error::other(error)))?;
        let stream = tls.connect(name, stream).await.map_err(failed)?;
        self.shake_hands(stream).await
    }

    async fn shake_hands<S>(&self, stream: S) -> Result<Open, PostError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| PostError::Exchange {
                    endpoint: self.endpoint.to_string(),
                    source: error.into(),
                })?;
        let driver = self.drain.spawn("collector connection", async move {
            // Whoever waits for an answer is told of it.
            let _ = connection.await;
        });
        Ok(Open {
            sender,
            _driver: driver.scoped(),
        })
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    let seconds = head
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok(Answer {
        status: head.status,
        retry_after: seconds.map(Duration::from_secs),
        body,
    })
}
