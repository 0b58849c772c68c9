//! One connection of a sidecar: hello, pings, and one exchange after the other, on a thread of its own.
//!
//! The thread reads, calls the function itself and writes the answer: nothing is handed over. That the peer has gone
//! while a call runs is noticed by the server, which watches all connections.

use std::{
    io,
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value, json};

use crate::{
    Context, ReportError,
    context::Report,
    frame::{self, Body, CONTROL, Frame, Reader},
    handlers::Functions,
    reply,
    slots::Slots,
};

/// What all connections of a server share.
pub(crate) struct Parts {
    pub(crate) functions: Functions,
    pub(crate) slots: Slots,
    pub(crate) actor: String,
    pub(crate) max_frame: u32,
}

/// An accepted socket, served until either side is done with it.
pub(crate) struct Connection {
    stream: UnixStream,
    parts: Arc<Parts>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The exchange that runs.
    context: Option<Context>,
    /// The peer has gone.
    gone: bool,
    /// It ends with the exchange that runs.
    closing: bool,
}

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GivenUp {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a control frame is not a JSON object")]
    Control,
    #[error("the meta of a control frame is not a JSON object")]
    Meta,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream, parts: Arc<Parts>) -> Self {
        Self {
            stream,
            parts,
            state: Mutex::default(),
        }
    }

    /// Serves to the end; an error is worth a word.
    pub(crate) fn serve(self: &Arc<Self>) -> Result<(), GivenUp> {
        frame::widen(&self.stream);
        let served = self.exchanges();
        self.hang_up();
        let closing = self.state().closing;
        // The peer may have been first.
        let _ = self.stream.shutdown(Shutdown::Both);
        match served {
            // It left without a word; it knows why.
            Err(GivenUp::Io(error)) if closing || left(&error) => Ok(()),
            served => served,
        }
    }

    /// The peer has gone: what it asked for is canceled.
    pub(crate) fn hang_up(&self) {
        let mut state = self.state();
        state.gone = true;
        if let Some(context) = &state.context {
            context.cancel();
        }
        drop(state);
        self.parts.slots.wake();
    }

    /// Ends the connection after the exchange that runs on it; at once where none does.
    pub(crate) fn close_when_idle(&self) {
        let mut state = self.state();
        state.closing = true;
        if state.context.is_none() {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    fn exchanges(self: &Arc<Self>) -> Result<(), GivenUp> {
        self.control(&json!({"hello": {"protocol": PROTOCOL, "functions": self.parts.functions.announcement()}}))?;
        let mut reader = Reader::new(&self.stream, self.parts.max_frame);
        let mut meta = Map::new();
        while !self.state().closing {
            let Some(Frame { control, body }) = reader.read()? else {
                return Ok(());
            };
            match (control, body) {
                (true, Body::Whole(body)) => self.on_control(&body, &mut meta)?,
                (true, Body::TooLarge(_)) => return Err(GivenUp::Control),
                (false, body) => {
                    let unread = if let Body::TooLarge(length) = body { length } else { 0 };
                    self.exchange(body, &std::mem::take(&mut meta))?;
                    reader.skip(unread)?;
                }
            }
        }
        Ok(())
    }

    fn on_control(&self, body: &[u8], meta: &mut Map<String, Value>) -> Result<(), GivenUp> {
        let mut body: Map<String, Value> = serde_json::from_slice(body).map_err(|_| GivenUp::Control)?;
        if let Some(number) = body.remove("ping") {
            self.parts.slots.wait_serving(|| self.state().gone);
            self.control(&json!({"pong": number}))?;
        } else if let Some(told) = body.remove("meta") {
            let Value::Object(told) = told else {
                return Err(GivenUp::Meta);
            };
            *meta = told;
        }
        // Any other control frame is from a protocol to come, which says itself what may be passed over.
        Ok(())
    }

    fn exchange(self: &Arc<Self>, request: Body, meta: &Map<String, Value>) -> Result<(), GivenUp> {
        let context = Context::of(meta, &self.parts.actor, Arc::clone(self) as Arc<dyn Report>);
        {
            let mut state = self.state();
            if state.gone || state.closing {
                return Ok(());
            }
            state.context = Some(context.clone());
        }
        let answer = self.answer(request, &context);
        context.end();
        if let Some(answer) = answer.filter(|_| !context.is_canceled()) {
            frame::write(&self.stream, &answer, 0)?;
        }
        self.state().context = None;
        Ok(())
    }

    /// The final frame; `None` where the call was canceled before it began.
    fn answer(&self, request: Body, context: &Context) -> Option<Vec<u8>> {
        let Parts {
            functions,
            slots,
            max_frame,
            ..
        } = &*self.parts;
        let request = match request {
            Body::Whole(body) => body,
            Body::TooLarge(length) => {
                let message = format!("a frame of {length} bytes is more than the cap of {max_frame}");
                return Some(reply::refusal("frame_too_large", &message));
            }
        };
        let Some(function) = functions.select(context.function()) else {
            // What is wrong with the request itself comes first.
            return Some(match serde_json::from_slice::<serde::de::IgnoredAny>(&request) {
                Ok(_) => reply::refusal("unknown_function", &functions.complaint(context.function())),
                Err(error) => reply::refusal("invalid_request", &format!("the request is not JSON: {error}")),
            });
        };
        let _slot = slots.enter(context)?;
        Some(function.call(request, context, *max_frame))
    }

    fn control(&self, body: &Value) -> io::Result<()> {
        frame::write(&self.stream, body.to_string().as_bytes(), CONTROL)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report for Connection {
    fn report(&self, body: &[u8]) -> Result<(), ReportError> {
        let cap = self.parts.max_frame;
        if body.len() > cap as usize {
            return Err(ReportError::TooLarge { bytes: body.len(), cap });
        }
        frame::write(&self.stream, body, 0).map_err(|_| {
            self.hang_up();
            ReportError::Canceled
        })
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Whether an error only says that the peer is not there any more.
fn left(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

const PROTOCOL: u32 = 1;
