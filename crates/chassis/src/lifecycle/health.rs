//! How each part of the process does, set by the parts themselves from any task.
//!
//! Two questions are kept apart: is it *ready* for work (`/readyz`), and does it work *well* (`/health`)? The whole is
//! ready when every part is.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;
use tracing::{debug, info, warn};
use wire::status::{Condition, ConfigStatus, Overall, Readiness, Unready};

/// The parts of the process and how they do; a cheap handle, clones share one registry.
#[derive(Debug, Clone, Default)]
pub struct Health {
    parts: Arc<watch::Sender<Parts>>,
}

impl Health {
    /// A registry without parts; an empty one is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part that is `ok` but not ready yet: `starting`. One of the same name is replaced.
    pub fn component(&self, name: impl Into<String>) -> Component {
        let part = Part {
            unready: Some("starting".to_owned()),
            condition: Condition::Ok,
        };
        self.add(name.into(), Kind::Component, part)
    }

    /// Adds a place where signals go; it is ready from the start.
    pub fn backend(&self, name: impl Into<String>) -> Component {
        let part = Part {
            unready: None,
            condition: Condition::Ok,
        };
        self.add(name.into(), Kind::Backend, part)
    }

    /// Notes what became of a reload: `Err` when it was refused and the older config runs on.
    pub fn config_reloaded(&self, outcome: Result<(), String>) {
        let error = outcome.err();
        let ok = error.is_none();
        self.parts
            .send_modify(|parts| parts.config = Some(ConfigStatus { ok, error }));
    }

    /// Every part that is not ready, and why.
    pub fn readiness(&self) -> Readiness {
        let reasons = self.parts.borrow().unready();
        Readiness {
            ready: reasons.is_empty(),
            reasons,
        }
    }

    /// Waits until every part is ready.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn ready(&self) {
        let mut parts = self.parts.subscribe();
        let all_ready = parts.wait_for(|parts| parts.unready().is_empty()).await;
        all_ready.expect("this handle keeps the sender");
    }

    /// The components, the backends and the last reload, as they are now.
    pub(super) fn conditions(&self) -> Conditions {
        let parts = self.parts.borrow();
        let of = |kind: Kind| {
            let of_kind = parts.all.iter().filter(move |((of, _), _)| *of == kind);
            of_kind.map(|((_, name), part)| (name.clone(), part.shown())).collect()
        };
        Conditions {
            overall: parts.overall(),
            components: of(Kind::Component),
            backends: of(Kind::Backend),
            config: parts.config.clone(),
        }
    }

    fn add(&self, name: String, kind: Kind, part: Part) -> Component {
        let key = (kind, name);
        self.parts
            .send_modify(|parts| drop(parts.all.insert(key.clone(), part)));
        Component {
            parts: Arc::clone(&self.parts),
            key: Arc::new(key),
        }
    }
}

/// A part's own handle; a cheap clone. Its last word stands when it is dropped.
#[derive(Debug, Clone)]
pub struct Component {
    parts: Arc<watch::Sender<Parts>>,
    key: Arc<(Kind, String)>,
}

impl Component {
    /// It takes work.
    pub fn ready(&self) {
        self.change(
            |part| part.unready.take().is_some(),
            || {
                debug!(component = self.name(), "ready");
            },
        );
    }

    /// It takes no work now, and why.
    pub fn not_ready(&self, reason: impl Into<String>) {
        let reason = reason.into();
        let new = Some(reason.clone());
        self.change(
            |part| std::mem::replace(&mut part.unready, new.clone()) != new,
            || {
                debug!(component = self.name(), reason, "not ready");
            },
        );
    }

    /// It works.
    pub fn ok(&self) {
        self.condition(&Condition::Ok, || info!(component = self.name(), "works again"));
    }

    /// It does not work, and why.
    pub fn failing(&self, reason: impl Into<String>) {
        let reason = reason.into();
        let new = Condition::Failing { reason: reason.clone() };
        self.condition(&new, || warn!(component = self.name(), reason, "failing"));
    }

    /// It is switched off, and why; it holds nothing back.
    pub fn disabled(&self, reason: impl Into<String>) {
        let reason = reason.into();
        let new = Condition::Disabled { reason: reason.clone() };
        self.condition(&new, || info!(component = self.name(), reason, "disabled"));
    }

    /// Takes it out of the registry; what its other handles say is not heard any more.
    pub fn remove(self) {
        self.parts.send_modify(|parts| drop(parts.all.remove(&*self.key)));
    }

    fn name(&self) -> &str {
        &self.key.1
    }

    fn condition(&self, new: &Condition, log: impl FnOnce()) {
        self.change(|part| std::mem::replace(&mut part.condition, new.clone()) != *new, log);
    }

    /// Tells those who wait, and the log, only when something changed.
    fn change(&self, change: impl FnOnce(&mut Part) -> bool, log: impl FnOnce()) {
        if self
            .parts
            .send_if_modified(|parts| parts.all.get_mut(&*self.key).is_some_and(change))
        {
            log();
        }
    }
}

/// A moment of a [`Health`].
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) overall: Overall,
    pub(super) components: BTreeMap<String, Condition>,
    pub(super) backends: BTreeMap<String, Condition>,
    pub(super) config: Option<ConfigStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Component,
    Backend,
}

#[derive(Debug, Default)]
struct Parts {
    all: BTreeMap<(Kind, String), Part>,
    config: Option<ConfigStatus>,
}

impl Parts {
    fn unready(&self) -> Vec<Unready> {
        let held = self
            .all
            .iter()
            .filter(|(_, part)| !matches!(part.condition, Condition::Disabled { .. }));
        held.filter_map(|((_, name), part)| {
            part.unready.as_ref().map(|reason| Unready {
                component: name.clone(),
                reason: reason.clone(),
            })
        })
        .collect()
    }

    fn overall(&self) -> Overall {
        let failing = self
            .all
            .values()
            .any(|part| matches!(part.shown(), Condition::Failing { .. }));
        if failing || self.config.as_ref().is_some_and(|config| !config.ok) {
            Overall::Degraded
        } else {
            Overall::Healthy
        }
    }
}

#[derive(Debug)]
struct Part {
    /// Why it is not ready.
    unready: Option<String>,
    condition: Condition,
}

impl Part {
    /// What `/health` shows: a part that works but takes no work yet is failing for that reason.
    fn shown(&self) -> Condition {
        match (&self.condition, &self.unready) {
            (Condition::Ok, Some(reason)) => Condition::Failing { reason: reason.clone() },
            (condition, _) => condition.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(reason: &str) -> Condition {
        Condition::Failing { reason: reason.into() }
    }

    #[test]
    fn the_whole_is_ready_when_every_part_is() {
        let health = Health::new();
        let (queue, handler) = (health.component("queue"), health.component("handler"));
        queue.ready();
        assert_eq!(
            health.readiness(),
            Readiness {
                ready: false,
                reasons: vec![Unready {
                    component: "handler".into(),
                    reason: "starting".into()
                }]
            }
        );
        handler.ready();
        assert!(health.readiness().ready);
        queue.not_ready("the owner is gone");
        assert_eq!(health.readiness().reasons[0].reason, "the owner is gone");
    }

    #[test]
    fn failing_degrades_and_does_not_make_unready() {
        let health = Health::new();
        let files = health.backend("files");
        files.failing("disk full");
        assert!(health.readiness().ready);
        let conditions = health.conditions();
        assert_eq!(conditions.overall, Overall::Degraded);
        assert_eq!(conditions.backends["files"], failing("disk full"));
        assert!(conditions.components.is_empty());
        files.ok();
        assert_eq!(health.conditions().overall, Overall::Healthy);
    }

    #[test]
    fn a_disabled_part_holds_nothing_back() {
        let health = Health::new();
        health.component("gateway").disabled("not configured");
        assert!(health.readiness().ready);
        assert_eq!(health.conditions().overall, Overall::Healthy);
    }

    #[test]
    fn a_part_that_is_not_ready_shows_in_health_with_its_reason() {
        let health = Health::new();
        let _queue = health.component("queue");
        assert_eq!(health.conditions().components["queue"], failing("starting"));
        assert_eq!(health.conditions().overall, Overall::Degraded);
    }

    #[test]
    fn a_removed_part_is_not_asked_any_more() {
        let health = Health::new();
        let part = health.component("old");
        let other = part.clone();
        part.remove();
        other.not_ready("too late");
        assert!(health.readiness().ready);
    }

    #[test]
    fn a_refused_reload_degrades_until_one_is_taken() {
        let health = Health::new();
        health.config_reloaded(Err("line 3: unknown key".into()));
        assert_eq!(health.conditions().overall, Overall::Degraded);
        health.config_reloaded(Ok(()));
        assert_eq!(health.conditions().overall, Overall::Healthy);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_ready_ends_when_the_last_part_is() {
        let health = Health::new();
        let part = health.component("queue");
        let waiting = health.clone();
        let task = super::super::Drain::new().spawn("waiter", async move { waiting.ready().await });
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        part.ready();
        let told = tokio::time::timeout(std::time::Duration::from_secs(1), task.join()).await;
        told.expect("the waiter is told").unwrap();
    }
}
