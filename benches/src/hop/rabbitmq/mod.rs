//! The cases on `RabbitMQ`: `cargo xtask bench hop --queue rabbitmq`.
//!
//! - [`hops`]: `classic-1`, `classic-100`, `quorum-1`, `quorum-100`, beside a bare program on the same client;
//! - [`steps`]: `steps`, `steps-1`, beside Celery and `FastStream`;
//! - [`chain`]: `chain-latency-p50`, `chain-latency-p99`, beside the same.
//!
//! One node of the bench's own, on the disk of the checkout, serves all sides in turns; each has a virtual host of its own
//! for each measurement, which is deleted after it. Queues are durable and messages persistent for all, and every side has
//! its publishes confirmed. What the broker itself takes is part of every figure: it shares the machine with all.

mod broker;
mod chain;
mod client;
mod hops;
mod peers;
mod side;
mod steps;
mod venv;

use std::rc::Rc;

use rabbit_node::Installed;

use crate::case::{Case, Stage};

pub(crate) use broker::Broker;

/// The cases, where one is wanted whose name begins so.
pub(crate) fn cases(stage: &Stage, only: &str) -> anyhow::Result<Vec<Box<dyn Case>>> {
    let wanted = |names: &[&str]| names.iter().any(|name| name.starts_with(only));
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    if !wanted(ALL) {
        return Ok(cases);
    }
    let broker = Rc::new(Broker::start(&stage.folder)?);
    for (name, kind, in_flight) in hops::CASES {
        cases.push(Box::new(hops::Hops::new(name, *kind, *in_flight, &broker)));
    }
    let venv = venv::Venv::new();
    cases.push(Box::new(steps::Steps::new(
        "steps",
        100,
        steps::ALL_PEERS,
        &broker,
        &venv,
    )));
    cases.push(Box::new(steps::Steps::new("steps-1", 1, steps::CELERY, &broker, &venv)));
    cases.push(Box::new(chain::Chain::new(&broker, &venv)));
    Ok(cases)
}

/// What is compared with what, for the machine's line.
pub(crate) fn versions() -> anyhow::Result<String> {
    let (celery, faststream) = (venv::version("celery"), venv::version("faststream"));
    let broker = Installed::find()?.version();
    Ok(format!("RabbitMQ {broker}, Celery {celery}, FastStream {faststream}"))
}

/// Every row's name.
const ALL: &[&str] = &[
    "classic-1",
    "classic-100",
    "quorum-1",
    "quorum-100",
    "steps",
    "steps-1",
    "chain-latency-p50",
    "chain-latency-p99",
];
