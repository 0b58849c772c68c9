//! Which cases have to notice which flaw: these, and no others.

use crate::flaw::Flaw;

/// A flaw and the names of all cases that it makes fail.
pub(crate) type Caught = (Flaw, &'static [&'static str]);

/// What goes in and comes out.
pub(crate) const PUTTING: &[Caught] = &[
    (
        Flaw::PutsBackwards,
        &[
            "messages are taken in the order they were put",
            "browsing shows messages in order and takes none",
            "browsing goes on after a position and stops at the limit",
            "a claim takes the one message at its position, once",
            "a queue that nobody consumes keeps the newest up to its number",
            "retention can be changed, and declaring without one leaves it",
        ],
    ),
    (Flaw::CutsBodies, &["a body of 1 MiB goes through whole"]),
    (
        Flaw::EndsBodiesAtNul,
        &[
            "a body comes back byte for byte, an empty one too",
            "a body of 1 MiB goes through whole",
        ],
    ),
    (
        Flaw::IgnoresLimit,
        &[
            "a body over the limit is refused with the limit, and nothing is put",
            "an output over the limit is refused, and nothing is settled",
        ],
    ),
    (
        Flaw::PutDeclares,
        &[
            "a queue that nobody declared is an error that names it",
            "a put of many is all or nothing",
        ],
    ),
    (
        Flaw::HangsOnUndeclared,
        &["a queue that nobody declared is an error that names it"],
    ),
    (
        Flaw::DeclareEmpties,
        &["declaring a queue again leaves its messages alone"],
    ),
    (Flaw::PutsOneByOne, &["a put of many is all or nothing"]),
    (
        Flaw::TakesNothingNow,
        &["take_now gives what is ready and says when nothing is"],
    ),
    (
        Flaw::GivenUpTakesLose,
        &[
            "a take that is given up loses nothing",
            "of 10,000 messages several consumers get each exactly once",
        ],
    ),
    (
        Flaw::IgnoresCredit,
        &[
            "no more are unsettled than the credit allows",
            "credit can be raised while a take waits",
            "credit can be lowered below what is held",
        ],
    ),
    (
        Flaw::CreditStays,
        &[
            "credit can be raised while a take waits",
            "credit can be lowered below what is held",
            "no credit is a pause: what was not handed out is for others",
            "a queue with a consumer is never trimmed",
        ],
    ),
    (
        Flaw::NeverPauses,
        &["no credit is a pause: what was not handed out is for others"],
    ),
    (
        Flaw::KeepsWhatItFetched,
        &[
            "take_now gives what is ready and says when nothing is",
            "no credit is a pause: what was not handed out is for others",
            "a consumer that is dropped gives back what it did not hand out, uncounted",
        ],
    ),
];

/// How deliveries end.
pub(crate) const SETTLING: &[Caught] = &[
    (
        Flaw::ConsumingRepeatsSettled,
        &[
            "a body comes back byte for byte, an empty one too",
            "a settled message never comes back",
            "of 10,000 messages several consumers get each exactly once",
            "what was settled before a crash does not come back",
            "a crash under load loses nothing confirmed and repeats nothing settled",
        ],
    ),
    (
        Flaw::AgainIsDone,
        &[
            "a message that was put back comes again",
            "a settle that fails keeps its outcome and is tried again",
            "the attempt of a put-back is kept",
            "deliveries that did not finish are counted, the others not",
            "a dropped delivery is counted and keeps its attempt",
            "a refused forward gives the delivery back, still held",
            "a delayed message comes neither before its time nor much after it",
            "a shorter delay does not wait for a longer one",
            "depth counts what could be taken",
            "delayed counts what waits for its time",
            "oldest is the age of the oldest ready message since its put",
            "browsing says what is in flight",
            "a delivery outlives its consumer",
            "closed and opened again, a durable transport has everything in place",
            "a silent holder loses its message, and settling it late writes nothing",
            "attempt and delay survive a crash",
        ],
    ),
    (
        Flaw::LosesDropped,
        &[
            "a delivery that is dropped goes back",
            "a dropped delivery is counted and keeps its attempt",
            "a claimed message that is dropped goes back",
        ],
    ),
    (Flaw::LosesPanicked, &["a delivery in a task that panics goes back"]),
    (
        Flaw::SettleNeedsItsFuture,
        &["a settle whose future is dropped still happens"],
    ),
    (
        Flaw::FailedSettleIsForgotten,
        &["a settle that fails keeps its outcome and is tried again"],
    ),
    (
        Flaw::ForgetsAttempt,
        &[
            "a settle that fails keeps its outcome and is tried again",
            "the attempt of a put-back is kept",
            "a dropped delivery is counted and keeps its attempt",
            "a refused forward gives the delivery back, still held",
            "a delayed message comes neither before its time nor much after it",
            "closed and opened again, a durable transport has everything in place",
            "attempt and delay survive a crash",
        ],
    ),
    (
        Flaw::InventsAttempt,
        &[
            "a new message has no attempt",
            "closed and opened again, a durable transport has everything in place",
        ],
    ),
    (
        Flaw::CountsAll,
        &[
            "deliveries that did not finish are counted, the others not",
            "a dropped delivery is counted and keeps its attempt",
        ],
    ),
    (
        Flaw::CountsNone,
        &["deliveries that did not finish are counted, the others not"],
    ),
    (
        Flaw::ForwardDropsOutputs,
        &[
            "forward puts every output and ends the delivery",
            "a refused forward puts none of its outputs",
        ],
    ),
    (
        Flaw::ForwardSettlesFirst,
        &[
            "a refused forward gives the delivery back, still held",
            "an output over the limit is refused, and nothing is settled",
        ],
    ),
    (
        Flaw::ForwardPutsWhatItCan,
        &["a refused forward puts none of its outputs"],
    ),
    (
        Flaw::ForgetsDelay,
        &[
            "a delayed message comes neither before its time nor much after it",
            "a shorter delay does not wait for a longer one",
            "a delayed message holds up no other",
            "delayed counts what waits for its time",
            "attempt and delay survive a crash",
        ],
    ),
    (
        Flaw::IsLate,
        &[
            "a delayed message comes neither before its time nor much after it",
            "a shorter delay does not wait for a longer one",
        ],
    ),
    (
        Flaw::IsEarly,
        &["a delayed message comes neither before its time nor much after it"],
    ),
];

/// What is said about queues, and what is kept.
pub(crate) const WATCHING: &[Caught] = &[
    (
        Flaw::ListsUnsorted,
        &["every declared queue has its figures, sorted by name"],
    ),
    (Flaw::CountsHeldAsReady, &["depth counts what could be taken"]),
    (
        Flaw::ForgetsInFlight,
        &["in_flight counts what is held and not settled"],
    ),
    (Flaw::ForgetsDelayed, &["delayed counts what waits for its time"]),
    (
        Flaw::CountsConsumersOnce,
        &["consumers counts those that are connected"],
    ),
    (
        Flaw::HalvesAges,
        &["oldest is the age of the oldest ready message since its put"],
    ),
    (
        Flaw::GuessesFigures,
        &["a figure that is not promised is unknown, not a guess"],
    ),
    (
        Flaw::PanicsInStats,
        &[
            "a settle whose future is dropped still happens",
            "every declared queue has its figures, sorted by name",
            "depth counts what could be taken",
            "in_flight counts what is held and not settled",
            "delayed counts what waits for its time",
            "oldest is the age of the oldest ready message since its put",
            "consumers counts those that are connected",
            "a queue that nobody consumes keeps the newest up to its number",
            "a queue that nobody consumes keeps messages no longer than their time",
            "retention can be changed, and declaring without one leaves it",
        ],
    ),
    (
        Flaw::BrowsingCounts,
        &["browsing shows messages in order and takes none"],
    ),
    (
        Flaw::BrowsingRepeats,
        &["browsing goes on after a position and stops at the limit"],
    ),
    (Flaw::BrowsingHidesHolders, &["browsing says what is in flight"]),
    (
        Flaw::ClaimsTheFirst,
        &["a claim takes the one message at its position, once"],
    ),
    (
        Flaw::NeverTrims,
        &[
            "a queue that nobody consumes keeps the newest up to its number",
            "a queue that nobody consumes keeps messages no longer than their time",
            "retention can be changed, and declaring without one leaves it",
        ],
    ),
    (
        Flaw::CloseForgetsTakes,
        &["close ends a take that waits", "a closed transport says so"],
    ),
    (
        Flaw::CloseLosesSettled,
        &[
            "close waits for the settles that were begun",
            "closed and opened again, a durable transport has everything in place",
            "what was settled before a crash does not come back",
            "a crash under load loses nothing confirmed and repeats nothing settled",
        ],
    ),
];

/// Load, leases and crashes.
pub(crate) const SURVIVING: &[Caught] = &[
    (
        Flaw::DuplicatesOneInThousands,
        &["of 10,000 messages several consumers get each exactly once"],
    ),
    (
        Flaw::StarvesTheSecond,
        &[
            "two consumers of one queue share it fairly",
            "a crash under load loses nothing confirmed and repeats nothing settled",
        ],
    ),
    (
        Flaw::LeaseNeverEnds,
        &[
            "a silent holder loses its message, and settling it late writes nothing",
            "a silent holder's late forward puts nothing",
        ],
    ),
    (
        Flaw::LeaseNotRenewed,
        &["a holder that works for longer than the lease keeps its message"],
    ),
    (
        Flaw::LateSettleSucceeds,
        &["a silent holder loses its message, and settling it late writes nothing"],
    ),
    (
        Flaw::LateForwardPuts,
        &[
            "a refused forward gives the delivery back, still held",
            "a refused forward puts none of its outputs",
            "an output over the limit is refused, and nothing is settled",
            "a silent holder's late forward puts nothing",
        ],
    ),
    (
        Flaw::CrashLosesPuts,
        &[
            "what was put survives a crash",
            "what was held at a crash comes back",
            "what was forwarded before a crash is in its place",
            "a delivery that was cut short by a crash is counted",
            "a crash under load loses nothing confirmed and repeats nothing settled",
        ],
    ),
    (
        Flaw::CrashLosesHeld,
        &[
            "what was held at a crash comes back",
            "a delivery that was cut short by a crash is counted",
        ],
    ),
    (
        Flaw::CrashForgetsCount,
        &["a delivery that was cut short by a crash is counted"],
    ),
    (
        Flaw::ConfirmsBeforeWriting,
        &[
            "what was settled before a crash does not come back",
            "a crash under load loses nothing confirmed and repeats nothing settled",
        ],
    ),
    (
        Flaw::SleepsThroughPuts,
        &[
            "a take waits until a message is put",
            "a delayed message comes neither before its time nor much after it",
            "a shorter delay does not wait for a longer one",
            "a silent holder loses its message, and settling it late writes nothing",
            "a silent holder's late forward puts nothing",
            "two handles on one place see the same queues",
            "attempt and delay survive a crash",
        ],
    ),
    (
        Flaw::ForwardOfNothingDoesNothing,
        &["forward of nothing just ends the delivery"],
    ),
    (
        Flaw::ForwardKeepsCredit,
        &["a settled delivery gives its credit back, however it ends"],
    ),
    (
        Flaw::SecondHandleIsApart,
        &[
            "a holder that works for longer than the lease keeps its message",
            "a silent holder loses its message, and settling it late writes nothing",
            "a silent holder's late forward puts nothing",
            "two handles on one place see the same queues",
        ],
    ),
];
