//! The HTTP server for OTLP.
//!
//! What is not a request's turn within a second is refused with 429, and nothing of it is taken: the sender keeps it. What was
//! taken goes on to the backends even where the sender has gone.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use chassis::lifecycle::Drain;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use subtle::ConstantTimeEq;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{debug, info, warn};
use wire::signal::Wrong;

use super::{
    answer::{Encoding, Refusal, Rejected, taken},
    body::{self, Described},
    takes::{Export, Signal},
};
use crate::{
    config::OtlpListener,
    hub::Hub,
    ingest::{doorway::Doorway, draft::millis, inlet::Inlet},
};

/// A bound address.
#[derive(Debug)]
pub(crate) struct Otlp {
    listener: TcpListener,
}

/// What requests have to keep to; others take their place at a reload.
#[derive(Debug)]
pub(crate) struct Terms(OtlpListener);

/// What all requests share.
#[derive(Debug)]
struct Desk {
    hub: Arc<Hub>,
    terms: Arc<ArcSwap<Terms>>,
    /// KiB that requests may take together, roughly.
    memory: Arc<Semaphore>,
    drain: Drain,
}

/// What came of a body.
struct Sorted {
    inlet: Inlet,
    records: usize,
    rejected: Rejected,
}

/// KiB that requests may take together.
const MEMORY: u32 = 64 * 1024;
/// What a request takes beside its body, in bodies: it decoded, and its lines.
const FACTOR: usize = 3;
/// How long the head of a request may take, from the end of the one before.
const HEAD: Duration = Duration::from_mins(1);
/// How long a connection is still told that the end has come.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a request waits for its turn, and for room at a backend, before it is refused.
const PATIENCE: Duration = Duration::from_secs(1);

impl Otlp {
    /// Binds the address.
    ///
    /// # Errors
    /// The address, and why not.
    pub(crate) async fn bind(config: &OtlpListener) -> Result<Self, (String, io::Error)> {
        let listener = TcpListener::bind(&config.listen).await;
        let listener = listener.map_err(|error| (config.listen.clone(), error))?;
        Ok(Self { listener })
    }

    /// With the port that was taken.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Begins to serve; ends with the drain.
    pub(crate) fn start(self, terms: &Arc<ArcSwap<Terms>>, hub: &Arc<Hub>, drain: &Drain) {
        if let Some(address) = self.address() {
            info!(%address, "taking OTLP over HTTP");
        }
        let desk = Arc::new(Desk {
            hub: Arc::clone(hub),
            terms: Arc::clone(terms),
            memory: Arc::new(Semaphore::new(MEMORY as usize)),
            drain: drain.clone(),
        });
        let doorway = Doorway {
            name: "OTLP connection",
            listener: self.listener,
        };
        drain.spawn("OTLP listener", async move {
            let (hub, drain) = (Arc::clone(&desk.hub), desk.drain.clone());
            let most = || desk.terms.load().0.max_connections.get();
            doorway
                .run(hub, drain, most, |stream, peer| serve(Arc::clone(&desk), stream, peer))
                .await;
        });
    }
}

impl Terms {
    pub(crate) fn new(config: &OtlpListener) -> Self {
        Self(config.clone())
    }

    /// Whether both are for the same address.
    pub(crate) fn has_address_of(&self, other: &Self) -> bool {
        self.0.listen == other.0.listen
    }

    /// Whether a request knows what it has to.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.0.token else { return true };
        let said = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let said = said.and_then(|value| value.split_once(' '));
        let said = said.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        said.is_some_and(|(_, said)| bool::from(said.trim().as_bytes().ct_eq(token.expose().as_bytes())))
    }
}

/// One connection. When the drain begins, the request that is under way is the last one that is taken; for a moment the next
/// one is still told why it is not.
async fn serve(desk: Arc<Desk>, stream: TcpStream, peer: SocketAddr) {
    let drain = desk.drain.clone();
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request, peer).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let (mut ending, mut told) = (None, false);
    loop {
        tokio::select! {
            biased;
            () = drain.cut() => return,
            () = drain.begun(), if ending.is_none() => ending = Some(Instant::now() + FAREWELL),
            () = sleep_until(ending.unwrap_or_else(Instant::now)), if ending.is_some() && !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            served = connection.as_mut() => {
                if let Err(error) = served {
                    debug!(%error, "a connection broke");
                }
                return;
            }
        }
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let encoding = body::encoding(request.headers()).unwrap_or(Encoding::Json);
        let mut response = match self.take(request, peer).await {
            Ok((signal, rejected)) => taken(signal, encoding, &rejected),
            Err(refusal) => {
                debug!(%peer, status = refusal.status.as_u16(), why = refusal.message, "a request is refused");
                refusal.answer(encoding)
            }
        };
        if self.drain.is_begun() {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn take(&self, request: Request<Incoming>, peer: SocketAddr) -> Result<(Signal, Rejected), Refusal> {
        let terms = self.terms.load_full();
        let signal = Signal::at(request.uri().path())
            .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "there are /v1/logs, /v1/metrics and /v1/traces"))?;
        if request.method() != Method::POST {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "send it with POST"));
        }
        if !terms.admits(request.headers()) {
            self.hub.metrics.dropped("auth_failed", 1);
            warn!(%peer, "a request without the right token is refused");
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "send `Authorization: Bearer ..` with the token",
            ));
        }
        if self.drain.is_begun() {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "shutting down"));
        }
        let (most, most_inflated) = (terms.0.max_body.len(), terms.0.max_inflated.len());
        let described = Described::read(request.headers(), most)?;
        let memory = self.memory(described, most, most_inflated).await?;
        let body = tokio::select! {
            biased;
            body = body::receive(request.into_body(), most) => body?,
            () = self.farewell() => return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "shutting down")),
        };
        let inlet = Inlet::new(&self.hub, peer.to_string());
        let sorted = spawn_blocking(move || sort(inlet, signal, described, &body, most_inflated)).await;
        let sorted =
            sorted.map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the request was too odd"))??;
        self.hand_over(sorted, memory).await.map(|rejected| (signal, rejected))
    }

    /// The end has come, and there was time to send what was begun.
    async fn farewell(&self) {
        self.drain.begun().await;
        sleep(FAREWELL).await;
    }

    /// Waits for its share of the memory.
    async fn memory(&self, of: Described, most: usize, inflated: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let length = of.length.unwrap_or(most);
        let bytes = if of.is_gzip {
            inflated.min(length.saturating_mul(8))
        } else {
            length
        };
        let share = u32::try_from(bytes.saturating_mul(FACTOR) / 1024 + 1).unwrap_or(MEMORY);
        let permit = timeout(PATIENCE, Arc::clone(&self.memory).acquire_many_owned(share.min(MEMORY))).await;
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too much is under way, send it again",
            )),
        }
    }

    /// Lays the lines down, where the backends have room for them.
    async fn hand_over(&self, sorted: Sorted, memory: OwnedSemaphorePermit) -> Result<Rejected, Refusal> {
        let Sorted {
            mut inlet,
            records,
            mut rejected,
        } = sorted;
        if timeout(PATIENCE, inlet.room()).await.is_err() {
            inlet.forget();
            let message = "a backend has no room, send it again";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, message));
        }
        // From here on the lines are ours: they go on where the sender leaves, or does not care to wait.
        let ending = self.drain.clone();
        let flushed = self.drain.spawn("OTLP request", async move {
            let _memory = memory;
            tokio::select! {
                biased;
                lost = inlet.flush() => lost,
                () = ending.cut() => 0,
            }
        });
        if let Ok(Some(lost)) = timeout(PATIENCE, flushed.join()).await.map(Result::ok)
            && lost > 0
        {
            rejected.why = format!("{lost} lines found no room at a backend that fails");
            rejected.records = records.min(rejected.records + lost);
        }
        Ok(rejected)
    }
}

/// Reads a body, and sorts its lines.
fn sort(mut inlet: Inlet, signal: Signal, described: Described, body: &[u8], most: usize) -> Result<Sorted, Refusal> {
    let inflated;
    let body = if described.is_gzip {
        inflated = body::inflate(body, most)?;
        &inflated
    } else {
        body
    };
    let bad = |why| Refusal::new(StatusCode::BAD_REQUEST, why);
    let export = Export::decode(signal, described.encoding, body).map_err(bad)?;
    let now = millis(Timestamp::now().as_microsecond());
    let (mut records, mut rejected) = (0, Rejected::default());
    // What lines share stands in each of them: a small body may say very much.
    let mut left = most.saturating_mul(2);
    let mut too_large = false;
    inlet.begin();
    export.lines(&now, &mut |lines| {
        records += 1;
        if too_large {
            return;
        }
        let why = match lines {
            Ok(lines) => {
                let mut why = None;
                for draft in lines {
                    match inlet.take(&draft) {
                        Ok(bytes) if bytes <= left => left -= bytes,
                        Ok(_) => {
                            too_large = true;
                            return;
                        }
                        Err(wrong) => why = Some(wrong.to_string()),
                    }
                }
                why
            }
            Err(why) => {
                inlet.wrong(Wrong::NotJson);
                Some(why.to_owned())
            }
        };
        if let Some(why) = why {
            rejected.records += 1;
            rejected.why = why;
        }
    });
    if too_large {
        let message = format!(
            "the lines of the request have more than {} bytes",
            most.saturating_mul(2)
        );
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    Ok(Sorted {
        inlet,
        records,
        rejected,
    })
}
