//! Brings a member back that is down.
//!
//! Runs only while the member is down, and ends with it.

use std::{
    io,
    sync::{Arc, Weak},
    time::Duration,
};

use chassis::guard::Backoff;
use tracing::debug;

use super::{
    MemberId, MemberState,
    member::{Cause, Change},
    state::Shared,
};
use crate::{Handler, HandlerError, Liveness};

/// Between pings of a handler that is down; short, for one that is starting is not to wait for us.
const PINGS: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));

/// After an exchange that was lost: one that was started anew is to be noticed soon, one that lets connections in and
/// closes them is not to be tried without end.
const LOSSES: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));

/// Before a probe of a plain handler that did not answer.
const PROBES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

pub(super) async fn bring_back(pool: Weak<Shared>, id: MemberId, period: u64, mut cause: Cause) {
    let mut pings = PINGS.steps();
    if let Cause::Gone { losses: losses @ 1.. } = cause {
        tokio::time::sleep(LOSSES.delay(losses, fastrand::f64())).await;
    }
    loop {
        let Some(handler) = down(&pool, id, period) else { return };
        let answer = handler.ping().await;
        let wait = match (answer, cause) {
            (Ok(Liveness::Answered), _) | (Ok(Liveness::Connected), Cause::Gone { .. }) => {
                return come_up(&pool, id, period, MemberState::Live);
            }
            (Ok(Liveness::Connected), Cause::Silent { failures }) => {
                drop(handler);
                tokio::time::sleep(PROBES.delay(failures, fastrand::f64())).await;
                return come_up(&pool, id, period, MemberState::Probation);
            }
            (Err(error), _) => {
                debug!(handler = handler.describe(), %error, "handler is still down");
                if is_gone(&error) {
                    // Whatever comes up now is not what had been silent.
                    cause = Cause::Gone { losses: 0 };
                }
                pings.failed(None)
            }
        };
        drop(handler);
        tokio::time::sleep(wait).await;
    }
}

/// The handler, as long as there is something to do for it.
fn down(pool: &Weak<Shared>, id: MemberId, period: u64) -> Option<Arc<dyn Handler>> {
    let pool = pool.upgrade()?;
    let mut state = pool.lock();
    let member = state.member(id)?;
    (member.period == period).then(|| Arc::clone(&member.handler))
}

fn come_up(pool: &Weak<Shared>, id: MemberId, period: u64, state_then: MemberState) {
    let Some(pool) = pool.upgrade() else { return };
    let mut state = pool.lock();
    let Some(member) = state.member(id).filter(|member| member.period == period) else {
        return;
    };
    // This task ends by itself.
    member.recovery = None;
    if state_then == MemberState::Probation {
        member.go_on_probation();
    } else {
        member.come_up();
        pool.follow(&mut state, id, Change::Live);
    }
    drop(state);
    pool.hand_out();
}

/// Whether nobody listens at its address.
fn is_gone(error: &HandlerError) -> bool {
    let HandlerError::Unreachable { source, .. } = error else {
        return false;
    };
    matches!(
        source.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
    )
}
