//! A handler behind HTTP/1.1, over TCP or a Unix socket: `POST {address}/invoke`, the payload as its body.
//!
//! The one rule: a connection lives exactly as long as somebody polls it. There is no task behind it, so a call that is
//! dropped has closed its connection, and an idle one that was closed meanwhile is seen to be when it is taken out.
//!
//! What an answer means is in [`answer`], pure; how it comes in is in [`link`] and [`body`].

mod address;
mod answer;
mod body;
mod handler;
mod link;
mod options;
mod request;
mod split;
mod stream;

pub use address::{BadAddress, HttpAddress};
pub use handler::HttpHandler;
pub use options::HttpOptions;
pub use request::{BodyError, StreamBody};

pub(crate) use address::Target;
pub(crate) use answer::{Kind, excerpt, kind};
pub(crate) use body::{Answer, Stream};
pub(crate) use link::Link;
pub(crate) use request::{Outgoing, post};
pub(crate) use split::{Event, Events};
