//! The table of the moment, and what is found in it.
//!
//! Handlers are asked what they have until each has answered; one that is called before that is asked then.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chassis::lifecycle::{Component, Drain};
use tracing::debug;

use super::{CallError, Caller, Function, Source, Table, table::Named};
use crate::telemetry::Telemetry;

/// All functions that can be called; a cheap handle, clones share one table.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sources: Vec<Arc<Source>>,
    table: ArcSwap<Table>,
    telemetry: Telemetry,
}

/// What stands at a path.
#[derive(Debug)]
pub(crate) enum Found {
    Function(Arc<Function>),
    /// Nothing yet: a handler that is not there may have it.
    Unsure,
    Nothing,
}

impl Registry {
    /// The functions that are known without asking anybody.
    pub(crate) fn new(sources: Vec<Source>, telemetry: Telemetry) -> Self {
        let sources: Vec<Arc<Source>> = sources.into_iter().map(Arc::new).collect();
        let table = Table::new(&sources, &Table::default(), &telemetry);
        Self {
            shared: Arc::new(Shared {
                sources,
                table: ArcSwap::from_pointee(table),
                telemetry,
            }),
        }
    }

    /// The table as it is now.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.shared.table.load_full()
    }

    /// What stands at a path.
    pub(crate) fn at(&self, path: &str) -> Found {
        match self.shared.table.load().by_path(path) {
            Some(function) => Found::Function(Arc::clone(function)),
            None if self.is_unsure() => Found::Unsure,
            None => Found::Nothing,
        }
    }

    /// The function with this name; without its package it has to be in one alone.
    pub(crate) fn named(&self, package: Option<&str>, name: &str) -> Result<Arc<Function>, CallError> {
        let table = self.shared.table.load();
        let what = match table.by_name(package, name) {
            Named::One(function) => return Ok(Arc::clone(function)),
            Named::Several => {
                let what = format!("function `{name}` is in several packages: name its `package`");
                return Err(CallError::NotFound { what });
            }
            Named::None if self.is_unsure() => {
                return Err(CallError::Unavailable {
                    function: name.to_owned(),
                    why: "a handler that may have it is not there yet",
                    source: None,
                });
            }
            Named::None => match package {
                Some(package) if !table.has_package(package) => format!("there is no package `{package}`"),
                Some(package) => format!("there is no function `{name}` in package `{package}`"),
                None => format!("there is no function `{name}`"),
            },
        };
        Err(CallError::NotFound { what })
    }

    /// The same function once its handler has said what it takes, where it had not been asked.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub(crate) async fn sure(&self, function: Arc<Function>, caller: &Caller) -> Result<Arc<Function>, CallError> {
        if !function.source.is_unheard() {
            return Ok(function);
        }
        if let Err(error) = self.ask(&function.source).await {
            return Err(function.refuse(CallError::of_exchange(&function.full_name(), error), caller));
        }
        self.named(Some(&function.package), &function.name)
    }

    /// Asks handlers what they have until the drain begins; `component` is ready when each of them has answered.
    pub(crate) async fn follow(self, component: Component, drain: Drain) {
        loop {
            let mut waiting = Vec::new();
            for source in &self.shared.sources {
                if source.is_unheard() || source.is_nameless() {
                    let asked = tokio::select! {
                        biased;
                        () = drain.begun() => return,
                        asked = self.ask(source) => asked,
                    };
                    if let Err(error) = asked {
                        debug!(%error, "a handler has not said what it has, asking again");
                        waiting.push(error.to_string());
                    }
                }
            }
            let is_waiting = self
                .shared
                .sources
                .iter()
                .any(|source| source.is_nameless() && source.is_unheard());
            match waiting.first() {
                Some(why) if is_waiting => component.not_ready(why.clone()),
                _ => component.ready(),
            }
            let pause = if waiting.is_empty() { LOOK } else { AGAIN };
            tokio::select! {
                () = drain.begun() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn ask(&self, source: &Source) -> Result<(), handlers::HandlerError> {
        if source.ask().await? {
            let shared = &self.shared;
            // Whoever comes second sees what both have heard.
            shared
                .table
                .rcu(|before| Table::new(&shared.sources, before, &shared.telemetry));
        }
        Ok(())
    }

    /// Whether there may be functions that nobody has told of yet.
    fn is_unsure(&self) -> bool {
        let mut nameless = self.shared.sources.iter().filter(|source| source.is_nameless());
        nameless.any(|source| source.is_unheard())
    }
}

/// Between two looks at handlers that may have come back with other functions.
const LOOK: Duration = Duration::from_secs(2);
/// Before a handler that was not there is asked again.
const AGAIN: Duration = Duration::from_millis(200);
