//! The one door of all listeners for HTTP, behind which the configuration may change: each request sees the one of its time.

use arc_swap::ArcSwap;
use http::{Request, Response};

use crate::{
    Body,
    front::Front,
    listen::{Handle, Peer},
};

#[derive(Debug)]
pub(super) struct Door {
    front: ArcSwap<Front>,
}

impl Door {
    pub(super) fn new(front: Front) -> Self {
        Self {
            front: ArcSwap::from_pointee(front),
        }
    }

    /// From the next request on.
    pub(super) fn lead_to(&self, front: Front) {
        self.front.store(front.into());
    }
}

impl Handle for Door {
    async fn handle(&self, request: Request<Body>, peer: Peer) -> Response<Body> {
        self.front.load_full().handle(request, peer).await
    }
}
