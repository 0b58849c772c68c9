//! Another configuration in the place of the one in use: made ready first, then put in place at once.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::{
    Plane, PlaneError, Shared, catalog, front,
    listeners::{Listeners, Wanted},
    upstreams,
};
use crate::{Calls, front::Front, functions, proxy::Proxy};

/// A configuration that is ready to be used; dropped, it changes nothing.
#[derive(Debug)]
#[must_use = "it is not used before `apply`"]
pub struct Change {
    shared: Arc<Shared>,
    functions: functions::Change,
    proxy: Proxy,
    front: Front,
    listeners: OwnedMutexGuard<Listeners>,
    wanted: Wanted,
}

impl Plane {
    /// Makes ready for another configuration. What it says as before stays as it is: connections, breakers, what handlers have said.
    /// New addresses are bound, and new handlers asked what they have, for 5 s at most.
    ///
    /// # Errors
    /// It cannot be used; everything is as it was.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn prepare(&self, config: &Calls) -> Result<Change, PlaneError> {
        let shared = Arc::clone(&self.shared);
        let listeners = Arc::clone(&shared.listeners).lock_owned().await;
        let registry = &shared.receivers.registry;
        let before = shared.proxy.load_full();
        let proxy = before
            .renewed(&upstreams(config, &shared.folders), config.trusted_proxies.clone())
            .map_err(|source| PlaneError::Proxy { source })?;
        let front = front(config, &shared.folders, (registry, &proxy), &shared.about)?;
        let wanted = listeners.bind(config, &shared.folders).await?;
        let functions = registry
            .prepare(catalog(config, &shared.folders, &shared.actors)?)
            .await;
        Ok(Change {
            shared,
            functions,
            proxy,
            front,
            listeners,
            wanted,
        })
    }
}

impl Change {
    /// Puts it in place. Calls under way go on as they began; connections stay, but those of addresses that are no longer taken: they
    /// end when what they have asked is answered.
    pub fn apply(mut self) {
        let Shared {
            receivers,
            proxy,
            drain,
            ..
        } = &*self.shared;
        self.functions.apply();
        proxy.store(self.proxy.into());
        receivers.door.lead_to(self.front);
        self.listeners.open(self.wanted, receivers, drain);
        receivers.limit(self.listeners.config());
        receivers
            .registry
            .access_log()
            .write_as(self.listeners.config().access_log);
    }
}
