//! A request is answered.

use std::{io, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, Serialize};
use wire::{Json, TraceContext};

use super::{
    Access, CrossOrigin,
    envelope::Envelope,
    media,
    patience::{Patient, SILENCE},
    refusal::Refusal,
    stream::{self, Form},
};
use crate::{
    Body, BodyError,
    access_log::AccessLog,
    functions::{Args, CallError, Caller, Event, Found, Function, Path, Registry, Wanted, declarations, listing},
    listen::Peer,
    reply,
};

/// The functions over HTTP; a cheap handle.
#[derive(Debug, Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    access: Access,
    cors: Option<CrossOrigin>,
    body_limit: u64,
    about: About,
}

/// What `/version` says.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// The version of the program.
    pub version: String,
    /// The commit that it was built from, or `unknown`.
    pub commit: String,
    /// The day of that commit, or `unknown`.
    pub date: String,
}

impl Service {
    pub(crate) fn new(
        registry: Registry,
        access: Access,
        cors: Option<CrossOrigin>,
        body_limit: u64,
        about: About,
    ) -> Self {
        let shared = Shared {
            registry,
            access,
            cors,
            body_limit,
            about,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Whether a path is the server's own or a function's.
    pub fn serves(&self, path: &str) -> bool {
        Path::own(path).is_some() || matches!(self.shared.registry.at(path), Found::Function(_))
    }

    /// Who may call, for those who stand beside the functions.
    pub fn access(&self) -> &Access {
        &self.shared.access
    }

    /// Where requests are told of, for those who stand beside the functions.
    pub(crate) fn access_log(&self) -> &AccessLog {
        self.shared.registry.access_log()
    }

    /// Answers a request by its path.
    ///
    /// # Cancellation
    /// Dropping the future, or the body of the answer, ends the call.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let own = Path::own(request.uri().path());
        self.guarded(request, own, |request| self.by_path(request)).await
    }

    /// Answers a request with the function of this name, `name` or `package/name`, whatever its path is.
    ///
    /// # Cancellation
    /// As of [`answer`](Self::answer).
    pub async fn answer_with<B>(&self, function: &str, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let (package, name) = match function.split_once('/') {
            Some((package, name)) => (Some(package), name),
            None => (None, function),
        };
        let function = self.shared.registry.named(package, name);
        let call = async |request| {
            let function = function.map_err(Refusal::from);
            match function {
                Ok(function) => self.function(function, request).await,
                Err(refusal) => Err(refusal),
            }
        };
        self.guarded(request, None, call).await
    }

    /// Tells whoever is let in why there is no answer; browsers may read it.
    pub(crate) async fn refuse<B>(&self, request: Request<B>, refusal: Refusal) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
    {
        self.guarded(request, None, |_| std::future::ready(Err(refusal))).await
    }

    /// What stands around every answer: who may, what browsers are told, the log.
    async fn guarded<B, F>(
        &self,
        request: Request<B>,
        own: Option<Path>,
        answer: impl FnOnce(Request<B>) -> F,
    ) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        F: Future<Output = Result<Response<Body>, Refusal>>,
    {
        let shared = &*self.shared;
        let entry = self.access_log().begin(&request);
        let method = request.method().clone();
        let asked = shared.cors.as_ref().map(|cors| (cors, request.headers().clone()));
        let preflight = asked
            .as_ref()
            .and_then(|(cors, headers)| cors.preflight(request.method(), headers));
        let is_preflight = preflight.is_some();
        let mut response = if let Some(preflight) = preflight {
            preflight
        } else {
            let peer = request.extensions().get::<Peer>();
            let is_admitted = own == Some(Path::Health) || shared.access.admits(request.headers(), peer);
            let answered = if is_admitted {
                answer(request).await
            } else {
                Err(Refusal::Unauthorized)
            };
            let domain = match own {
                Some(_) => StatusCode::OK,
                None => StatusCode::UNPROCESSABLE_ENTITY,
            };
            answered.unwrap_or_else(|refusal| refusal.into_response(domain))
        };
        if let Some((cors, headers)) = asked.filter(|_| !is_preflight) {
            cors.mark(&headers, response.headers_mut());
        }
        entry.follow(finished(&method, response))
    }

    async fn by_path<B>(&self, request: Request<B>) -> Result<Response<Body>, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let shared = &*self.shared;
        let path = request.uri().path();
        let envelope = match Path::own(path) {
            Some(Path::Invoke) => return self.invoke(request).await,
            Some(own) => {
                if !matches!(*request.method(), Method::GET | Method::HEAD) {
                    return Err(Refusal::Method {
                        allow: "GET, HEAD".into(),
                    });
                }
                self.page(own)
            }
            None => match shared.registry.at(path) {
                Found::Function(function) => return self.function(function, request).await,
                Found::Unsure => {
                    let error = CallError::Unavailable {
                        function: path.to_owned(),
                        why: "a handler that may have it is not there yet",
                        source: None,
                    };
                    return Err(error.into());
                }
                Found::Nothing => {
                    let what = format!("nothing has the path `{path}`");
                    return Err(CallError::NotFound { what }.into());
                }
            },
        };
        Ok(json(StatusCode::OK, envelope))
    }

    /// A page of the server's own.
    fn page(&self, path: Path) -> Bytes {
        #[derive(Serialize)]
        struct Version<'v> {
            #[serde(flatten)]
            about: &'v About,
            #[serde(rename = "contractVersion")]
            contract: &'static str,
            runtime: &'static str,
        }
        let table = self.shared.registry.table();
        let envelope = match path {
            Path::Version => Envelope::result(&Version {
                about: &self.shared.about,
                contract: reply::CONTRACT,
                runtime: "outrigger",
            }),
            Path::Functions => Envelope::result(&listing(&table)),
            Path::Types => Envelope::output(declarations(&table)),
            Path::Health | Path::Invoke => Envelope::healthy(self.shared.registry.reloading()),
        };
        reply::line(&envelope)
    }

    /// `POST /invoke`.
    async fn invoke<B>(&self, request: Request<B>) -> Result<Response<Body>, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        #[derive(Deserialize)]
        struct Invoke {
            package: Option<String>,
            function: String,
            args: Json,
            streaming: Option<bool>,
        }
        let (head, body) = posted(request)?;
        let body = self.read(&head.headers, body).await?;
        let bad = |why: String| CallError::BadRequest { why };
        let whole = Json::parse(body).map_err(|error| bad(format!("the body is not JSON: {}", cause(&error))))?;
        let no_invoke = |why: &str| bad(format!("the body is no `{{function, args}}`: {why}"));
        if !whole.bytes().trim_ascii_start().starts_with(b"{") {
            return Err(no_invoke("it is no object").into());
        }
        let invoke: Invoke = whole.read().map_err(|error| no_invoke(&cause(&error)))?;
        let args = Args::list(invoke.args).ok_or_else(|| bad("`args` has to be a list".to_owned()))?;
        let registry = &self.shared.registry;
        let function = registry.named(invoke.package.as_deref(), &invoke.function)?;
        let caller = caller(&head.headers);
        let function = registry.sure(function, &caller).await?;
        let wants_events = media::wants_events(&head.headers);
        if invoke.streaming.unwrap_or(wants_events) {
            let form = if wants_events { Form::Events } else { Form::Lines };
            return streamed(&function, &args, &caller, form).await;
        }
        let result = function.call(&args, &caller, Wanted::ResultAlone)?.result().await?;
        Ok(json(StatusCode::OK, reply::line(&Envelope::called(&result))))
    }

    /// `POST /{function}`.
    async fn function<B>(&self, function: Arc<Function>, request: Request<B>) -> Result<Response<Body>, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let (head, body) = posted(request)?;
        let caller = caller(&head.headers);
        let function = self.shared.registry.sure(function, &caller).await?;
        let exchange = if function.takes_stream() {
            let media = head.headers.get(CONTENT_TYPE).cloned();
            function.stream(Body::new(body), media, &caller)
        } else {
            let body = self.read(&head.headers, body).await?;
            let args = arguments(&function, body)?;
            function.call(&args, &caller, Wanted::ResultAlone)?
        };
        let result = exchange.result().await?;
        let mut line = result.bytes().to_vec();
        line.push(b'\n');
        Ok(json(StatusCode::OK, line))
    }

    /// The whole body, where it is JSON and not too much.
    async fn read<B>(&self, headers: &HeaderMap, body: B) -> Result<Bytes, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        if !media::is_json(headers) {
            return Err(Refusal::Media);
        }
        let limit = self.shared.body_limit;
        if body.size_hint().lower() > limit {
            return Err(CallError::TooLarge { limit }.into());
        }
        let body = std::pin::pin!(body);
        let limited = Limited::new(Patient::new(body), usize::try_from(limit).unwrap_or(usize::MAX));
        match limited.collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(CallError::TooLarge { limit }.into()),
            Err(error) => {
                let is_late =
                    (error.downcast_ref::<io::Error>()).is_some_and(|why| why.kind() == io::ErrorKind::TimedOut);
                let why = if is_late {
                    format!("nothing more of the body came for {} s", SILENCE.as_secs())
                } else {
                    "the body broke off".to_owned()
                };
                Err(CallError::BadRequest { why }.into())
            }
        }
    }
}

/// Tells somebody who may not call an upstream so; browsers are told nothing.
pub(crate) fn turn_away<B>(request: &Request<B>) -> Response<Body> {
    finished(request.method(), Refusal::Unauthorized.into_response(StatusCode::OK))
}

/// A request that has to be a POST.
fn posted<B>(request: Request<B>) -> Result<(http::request::Parts, B), Refusal> {
    if *request.method() == Method::POST {
        Ok(request.into_parts())
    } else {
        Err(Refusal::Method { allow: "POST".into() })
    }
}

/// The arguments in a body of a function's own path: the one argument, or the list of several.
fn arguments(function: &Function, body: Bytes) -> Result<Args, CallError> {
    let count = function.contract.parameters.as_ref().map_or(1, Vec::len);
    if count == 0 && body.trim_ascii().is_empty() {
        return Ok(Args::none());
    }
    let value = Json::parse(body).map_err(|error| CallError::BadRequest {
        why: format!("the body is not JSON: {}", cause(&error)),
    })?;
    if count == 1 {
        return Ok(Args::one(value));
    }
    Args::list(value).ok_or_else(|| CallError::BadRequest {
        why: format!(
            "`{}` takes {count} arguments: the body has to be the list of them",
            function.full_name()
        ),
    })
}

async fn streamed(
    function: &Arc<Function>,
    args: &Args,
    caller: &Caller,
    form: Form,
) -> Result<Response<Body>, Refusal> {
    let mut exchange = function.call(args, caller, Wanted::Pieces)?;
    // Until something has come a failure has a status of its own.
    let first = match exchange.next().await {
        Some(Event::End(Err(error))) if !matches!(error, CallError::Domain { .. }) => return Err(error.into()),
        Some(event) => event,
        None => Event::End(Ok(Json::null())),
    };
    let mut response = Response::new(stream::body(first, exchange, form));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn caller(headers: &HeaderMap) -> Caller {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let parent = text(TraceContext::TRACEPARENT);
    Caller {
        way: "http",
        trace: parent.and_then(|parent| TraceContext::parse(parent, text(TraceContext::TRACESTATE))),
    }
}

/// What an error of JSON says itself.
fn cause(error: &wire::JsonError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What every answer of the server has.
fn finished(method: &Method, mut response: Response<Body>) -> Response<Body> {
    reply::promise(response.headers_mut());
    if *method == Method::HEAD {
        response = without_body(response);
    }
    response
}

/// The head alone, as it would be with the body.
fn without_body(response: Response<Body>) -> Response<Body> {
    let length = response.body().size_hint().exact();
    let mut response = response.map(|_| Body::empty());
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}
