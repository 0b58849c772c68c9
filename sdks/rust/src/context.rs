//! What a handler is told about its call, and what it can tell while it works.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::{Map, Value, json};

/// One call of a handler. Copies of it are cheap, and about the same call.
///
/// [`Context::test`] is the form for a unit test: what the handler reports is kept in [`Context::reported`].
///
/// ```
/// use outrigger_handler::{Context, Error};
///
/// fn process(words: Vec<String>, context: &Context) -> Result<usize, Error> {
///     context.progress(100.0, None)?;
///     Ok(words.len())
/// }
///
/// let context = Context::test();
/// assert_eq!(process(vec!["a".into()], &context).unwrap(), 1);
/// assert_eq!(context.reported(), [serde_json::json!({"status": "progress", "percent": 100.0})]);
/// ```
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    told: Told,
    canceled: AtomicBool,
    sink: Mutex<Sink>,
}

/// What is known of the message.
#[derive(Debug, Clone)]
struct Told {
    id: String,
    actor: String,
    function: Option<String>,
    attempt: u32,
    deadline: Option<SystemTime>,
    headers: Map<String, Value>,
}

/// Where reports go.
enum Sink {
    /// They are kept, for a test.
    Kept(Vec<Value>),
    /// They are sent.
    Sent(Arc<dyn Report>),
    /// The final frame has gone or is about to.
    Closed,
}

/// Sends one frame of an exchange.
pub(crate) trait Report: Send + Sync {
    /// Fails where the frame is too large or nobody is there to read it.
    fn report(&self, body: &[u8]) -> Result<(), ReportError>;
}

/// A report that was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Nobody waits for the answer any more: return it and stop.
    #[error("the sidecar has closed the connection")]
    Canceled,
    /// The function has returned already.
    #[error("this call has ended: its context cannot report any more")]
    Ended,
    /// The value has no JSON form.
    #[error("a partial result has no JSON form")]
    NotJson(#[source] serde_json::Error),
    /// The frame would be longer than any may be.
    #[error("a report of {bytes} bytes is more than the cap of {cap}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What a frame may have.
        cap: u32,
    },
}

impl Context {
    /// The context of a call that no sidecar made.
    pub fn test() -> Self {
        let told = Told {
            id: "test".to_owned(),
            actor: String::new(),
            function: None,
            attempt: 1,
            deadline: None,
            headers: Map::new(),
        };
        Self::new(told, Sink::Kept(Vec::new()))
    }

    /// The context of a request that `meta` was sent ahead of; every field of it may be missing.
    pub(crate) fn of(meta: &Map<String, Value>, actor: &str, report: Arc<dyn Report>) -> Self {
        let text = |name: &str| meta.get(name).and_then(Value::as_str);
        let attempt = meta.get("attempt").and_then(Value::as_u64);
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let told = Told {
            id: text("id").unwrap_or_default().to_owned(),
            actor: text("actor")
                .filter(|name| !name.is_empty())
                .unwrap_or(actor)
                .to_owned(),
            function: text("function").map(str::to_owned),
            attempt: attempt.and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or(1),
            deadline: text("deadline").and_then(time).map(SystemTime::from),
            headers: meta
                .get("headers")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        };
        Self::new(told, Sink::Sent(report))
    }

    fn new(told: Told, sink: Sink) -> Self {
        Self(Arc::new(Inner {
            told,
            canceled: AtomicBool::new(false),
            sink: Mutex::new(sink),
        }))
    }

    /// The message's id; the same along its route, so the same when a message is delivered twice.
    pub fn id(&self) -> &str {
        &self.0.told.id
    }

    /// The actor that has the message.
    pub fn actor(&self) -> &str {
        &self.0.told.actor
    }

    /// The function that was asked for, where several are served.
    pub fn function(&self) -> Option<&str> {
        self.0.told.function.as_deref()
    }

    /// Which attempt at this step this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.told.attempt
    }

    /// When the answer is no longer wanted; `None` when never.
    pub fn deadline(&self) -> Option<SystemTime> {
        self.0.told.deadline
    }

    /// How long it is until the deadline; zero where it has passed, `None` where there is none.
    pub fn remaining(&self) -> Option<Duration> {
        let left = |deadline: SystemTime| deadline.duration_since(SystemTime::now());
        self.deadline().map(|deadline| left(deadline).unwrap_or_default())
    }

    /// The message's headers.
    pub fn headers(&self) -> &Map<String, Value> {
        &self.0.told.headers
    }

    /// Whether nobody waits for the answer any more; a long loop looks at this and stops.
    pub fn is_canceled(&self) -> bool {
        self.0.canceled.load(Ordering::SeqCst)
    }

    /// Marks the call as canceled, as a closed connection does; in a test, what the handler then meets.
    pub fn cancel(&self) {
        self.0.canceled.store(true, Ordering::SeqCst);
    }

    /// Reports how far the work is: a percentage, a message, or both.
    ///
    /// ```
    /// # let context = outrigger_handler::Context::test();
    /// context.progress(25.0, None)?;
    /// context.progress(None, "reading")?;
    /// context.progress(75.0, "writing")?;
    /// # Ok::<(), outrigger_handler::ReportError>(())
    /// ```
    pub fn progress<'a>(
        &self,
        percent: impl Into<Option<f64>>,
        message: impl Into<Option<&'a str>>,
    ) -> Result<(), ReportError> {
        let mut frame = json!({"status": "progress"});
        if let Some(percent) = percent.into() {
            frame["percent"] = percent.into();
        }
        match message.into() {
            Some(message) => frame["message"] = message.into(),
            // A report has one of the two: one that says nothing is an empty message.
            None if frame.get("percent").is_none_or(Value::is_null) => frame["message"] = "".into(),
            None => {}
        }
        self.tell(&frame)
    }

    /// Streams a piece of the answer to whoever follows the job; it is not routed on.
    pub fn partial(&self, data: impl Serialize) -> Result<(), ReportError> {
        let data = serde_json::to_value(data).map_err(ReportError::NotJson)?;
        self.tell(&json!({"status": "partial", "data": data}))
    }

    /// Says that the work goes on, where an idle timeout is set.
    pub fn heartbeat(&self) -> Result<(), ReportError> {
        self.tell(&json!({"status": "heartbeat"}))
    }

    /// What a context for a test has been told, as the frames that would have been sent.
    pub fn reported(&self) -> Vec<Value> {
        match &*self.sink() {
            Sink::Kept(frames) => frames.clone(),
            Sink::Sent(_) | Sink::Closed => Vec::new(),
        }
    }

    /// After this nothing is reported: the final frame is the last one of an exchange.
    pub(crate) fn end(&self) {
        *self.sink() = Sink::Closed;
    }

    /// Whether both are about the same call.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Reports of several threads leave one after the other.
    fn tell(&self, frame: &Value) -> Result<(), ReportError> {
        let mut sink = self.sink();
        if self.is_canceled() {
            return Err(ReportError::Canceled);
        }
        match &mut *sink {
            Sink::Kept(frames) => {
                frames.push(frame.clone());
                Ok(())
            }
            Sink::Sent(report) => report.report(frame.to_string().as_bytes()),
            Sink::Closed => Err(ReportError::Ended),
        }
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.0.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fields of a context for a test.
impl Context {
    /// The same with another id.
    pub fn with_id(self, id: impl Into<String>) -> Self {
        self.with(|told| told.id = id.into())
    }

    /// The same at another actor.
    pub fn with_actor(self, actor: impl Into<String>) -> Self {
        self.with(|told| told.actor = actor.into())
    }

    /// The same for this function.
    pub fn with_function(self, function: impl Into<String>) -> Self {
        self.with(|told| told.function = Some(function.into()))
    }

    /// The same at another attempt.
    pub fn with_attempt(self, attempt: u32) -> Self {
        self.with(|told| told.attempt = attempt)
    }

    /// The same with a deadline.
    pub fn with_deadline(self, deadline: SystemTime) -> Self {
        self.with(|told| told.deadline = Some(deadline))
    }

    /// The same with one more header.
    pub fn with_header(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|told| {
            told.headers.insert(name.into(), value.into());
        })
    }

    fn with(self, change: impl FnOnce(&mut Told)) -> Self {
        let mut told = self.0.told.clone();
        change(&mut told);
        Self::new(told, Sink::Kept(self.reported()))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("told", &self.0.told)
            .field("canceled", &self.is_canceled())
            .finish_non_exhaustive()
    }
}
