//! The conformance kit notices what it is for: each flaw makes just the cases fail that are about it, each case is
//! failed by some flaw, and a transport without a flaw passes.

#![expect(clippy::unwrap_used, reason = "a rig that breaks is a failed test")]

mod caught;
mod flaw;
mod rig;
mod taking;

use std::collections::BTreeSet;

use caught::{Caught, PUTTING, SETTLING, SURVIVING, WATCHING};
use flaw::Flaw;
use queues::conformance::{self, Outcome};
use rig::Rig;

/// The rig promises everything, so that these do not apply to it unless a flaw takes a promise away.
const ONLY_WHERE_NOT_PROMISED: [&str; 1] = ["browse and claim say that they are unsupported where they are"];

#[tokio::test(start_paused = true)]
async fn a_transport_without_a_flaw_passes_every_case() {
    let report = conformance::assert_passes(&Rig::new(None)).await;
    let untried: Vec<_> = report
        .cases
        .iter()
        .filter(|case| matches!(case.outcome, Outcome::NotTried(_)))
        .collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[tokio::test(start_paused = true)]
async fn flaws_in_putting_and_taking_are_caught() {
    are_caught(PUTTING).await;
}

#[tokio::test(start_paused = true)]
async fn flaws_in_settling_are_caught() {
    are_caught(SETTLING).await;
}

#[tokio::test(start_paused = true)]
async fn flaws_in_figures_browsing_and_trimming_are_caught() {
    are_caught(WATCHING).await;
}

#[tokio::test(start_paused = true)]
async fn flaws_under_load_and_in_crashes_are_caught() {
    are_caught(SURVIVING).await;
}

#[test]
fn every_case_is_failed_by_some_flaw() {
    let caught: BTreeSet<_> = [PUTTING, SETTLING, WATCHING, SURVIVING]
        .concat()
        .into_iter()
        .flat_map(|(_, cases)| cases)
        .copied()
        .chain(ONLY_WHERE_NOT_PROMISED)
        .collect();
    assert_eq!(caught, conformance::names().collect());
}

#[tokio::test(start_paused = true)]
async fn a_hang_is_a_failure_that_says_where() {
    let (expected, seen) = failure(
        Flaw::HangsOnUndeclared,
        "a queue that nobody declared is an error that names it",
    )
    .await;
    assert_eq!(expected, "an end within 20s");
    assert_eq!(seen, "a case that hangs at `consume a queue that nobody declared`");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_that_says_where() {
    let (expected, seen) = failure(Flaw::PanicsInStats, "depth counts what could be taken").await;
    assert_eq!(expected, "no panic");
    assert_eq!(seen, "a panic at `read the figures`: no figures today");
}

async fn failure(flaw: Flaw, case: &str) -> (String, String) {
    match conformance::run_case(&Rig::new(Some(flaw)), case).await {
        Some(Outcome::Failed { expected, seen }) => (expected, seen),
        other => panic!("{flaw:?} passed: {other:?}"),
    }
}

async fn are_caught(flaws: &[Caught]) {
    for (flaw, cases) in flaws {
        let report = conformance::run(&Rig::new(Some(*flaw))).await;
        let failed: BTreeSet<_> = report.failed().map(|case| case.name).collect();
        assert_eq!(failed, cases.iter().copied().collect(), "{flaw:?}\n{report}");
    }
}
