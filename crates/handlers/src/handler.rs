//! The one door to the user's code.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;

use crate::{Call, HandlerError};

/// Where interim frames go, in the order in which they came, while the exchange goes on.
pub type Report<'a> = dyn FnMut(wire::Interim) + Send + 'a;

/// The user's code, wherever it runs.
#[async_trait]
pub trait Handler: Send + Sync + Debug {
    /// One exchange: the request, any number of interim frames to `report`, the final reply.
    ///
    /// Its timeout runs from the write of the request.
    ///
    /// # Cancellation
    /// Dropping the future ends the exchange: nothing of a later answer is read as that of another call.
    async fn call(&self, call: &Call, report: &mut Report<'_>) -> Result<wire::Reply, HandlerError>;

    /// Whether it is alive; ends by itself within seconds.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    async fn ping(&self) -> Result<Liveness, HandlerError>;

    /// What it says of itself; `None` where it says nothing. Ends by itself within seconds.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    async fn greet(&self) -> Result<Option<Arc<wire::Hello>>, HandlerError> {
        Ok(None)
    }

    /// Lets go of what is kept for later calls, such as idle connections: there will be none.
    fn rest(&self) {}

    /// Its address, for messages to people.
    fn describe(&self) -> String;
}

/// What a ping has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It accepts connections; more cannot be asked of a plain handler.
    Connected,
    /// It has answered.
    Answered,
}
