//! A server of the tests: keeps what it was asked, and answers as it was told.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use chassis::lifecycle::Drain;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{HeaderName, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::{Failure, Refusal};

/// A server on a port of its own; it ends when this is dropped.
pub(super) struct Site {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    drain: Drain,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    /// With what is asked for.
    pub(super) path: String,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Answer {
        status: u16,
        headers: Box<HeaderMap>,
        body: Bytes,
        trailers: Option<Box<HeaderMap>>,
    },
    /// Nothing, while the connection stands.
    Hang,
    /// Nothing: the connection is torn.
    Reset,
}

type Answers = dyn Fn(&Asked) -> Reply + Send + Sync;

impl Site {
    /// Answers in turn; the last answer is given from then on.
    pub(super) async fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::open(move |_| {
            let mut replies = replies.lock().unwrap();
            if replies.len() > 1 {
                replies.pop_front().unwrap()
            } else {
                replies[0].clone()
            }
        })
        .await
    }

    /// Answers what it is asked.
    pub(super) async fn open(answers: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, drain) = (Arc::<Mutex<Vec<Asked>>>::default(), Drain::new());
        let (answers, seen, ending): (Arc<Answers>, _, _) = (Arc::new(answers), Arc::clone(&asked), drain.clone());
        drain.spawn("site", async move {
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    () = ending.cut() => return,
                };
                let (answers, seen, cut) = (Arc::clone(&answers), Arc::clone(&seen), ending.clone());
                ending.spawn("site connection", async move {
                    tokio::select! {
                        () = serve(stream, answers, seen) => {}
                        () = cut.cut() => {}
                    }
                });
            }
        });
        Self { address, asked, drain }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The configuration of a backend that sends to `path` of it.
    pub(super) fn config<C: DeserializeOwned>(&self, path: &str, more: Value) -> C {
        let Value::Object(mut members) = more else {
            panic!("the rest of a configuration")
        };
        members.insert("url".to_owned(), self.url(path).into());
        serde_json::from_value(members.into()).unwrap()
    }

    /// All requests until now.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.drain.cut_now();
    }
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Box::default(),
            body: Bytes::new(),
            trailers: None,
        }
    }

    pub(super) fn body(mut self, said: impl Into<Bytes>) -> Self {
        if let Self::Answer { body, .. } = &mut self {
            *body = said.into();
        }
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        self
    }

    pub(super) fn trailer(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { trailers, .. } = &mut self {
            let all = trailers.get_or_insert_default();
            all.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        self
    }
}

async fn serve(stream: TcpStream, answers: Arc<Answers>, seen: Arc<Mutex<Vec<Asked>>>) {
    let handle: Arc<OwnedFd> = Arc::new(stream.as_fd().try_clone_to_owned().unwrap());
    let service = service_fn(move |request: Request<Incoming>| {
        let (answers, seen, handle) = (Arc::clone(&answers), Arc::clone(&seen), Arc::clone(&handle));
        async move {
            let (head, body) = request.into_parts();
            let asked = Asked {
                method: head.method.to_string(),
                path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                headers: head.headers,
                body: body.collect().await.map_err(|error| error.to_string())?.to_bytes(),
            };
            let reply = answers(&asked);
            seen.lock().unwrap().push(asked);
            match reply {
                Reply::Answer {
                    status,
                    headers,
                    body,
                    trailers,
                } => Ok(response(status, *headers, body, trailers.map(|trailers| *trailers))),
                Reply::Hang => std::future::pending().await,
                Reply::Reset => {
                    SockRef::from(&*handle).set_linger(Some(Duration::ZERO)).unwrap();
                    Err("torn".to_owned())
                }
            }
        }
    });
    // That a connection ended is for the client to find out.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn response(
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
) -> Response<BoxBody<Bytes, Infallible>> {
    let body = Full::new(body);
    let body = match trailers {
        None => body.boxed(),
        Some(trailers) => body.with_trailers(async move { Some(Ok(trailers)) }).boxed(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().unwrap();
    *response.headers_mut() = headers;
    response
}

/// That a backend is away, and how long it wants to be left alone.
#[track_caller]
pub(super) fn away(delivered: Result<Vec<Refusal>, Failure>) -> Option<Duration> {
    match delivered {
        Err(Failure::Away { after, .. }) => after,
        other => panic!("not away: {other:?}"),
    }
}
