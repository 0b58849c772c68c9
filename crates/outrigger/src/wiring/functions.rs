//! The seam between calls and messages: functions call actors' handlers, and actors work by functions.

use std::{collections::BTreeMap, path::Path};

use calls::{About, ActorSeat, Calls, Parts, Plane};
use chassis::{
    config::Loaded,
    lifecycle::Drain,
    telemetry::{Metrics, traces::Tracer},
};

use super::actors::Served;
use crate::config::Root;

/// The plane's functions; those of actors share their pools with the queue.
pub fn plane(
    config: &Calls,
    loaded: &Loaded<Root>,
    served: &[Served<'_>],
    environment: &BTreeMap<String, String>,
    (metrics, tracer, drain): (&Metrics, Tracer, &Drain),
) -> anyhow::Result<Plane> {
    let seats = served.iter().map(|actor| {
        let seat = ActorSeat {
            pool: actor.pool.clone(),
            input: actor.config.given(),
        };
        (actor.name.to_owned(), seat)
    });
    let runtime = environment.get("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty());
    let parts = Parts {
        folder: &loaded.folder,
        runtime: runtime.map(Path::new),
        actors: seats.collect(),
        metrics,
        tracer,
        about: About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("OUTRIGGER_COMMIT").unwrap_or("unknown").to_owned(),
            date: option_env!("OUTRIGGER_DATE").unwrap_or("unknown").to_owned(),
        },
        drain,
    };
    Ok(Plane::new(config, parts)?)
}
