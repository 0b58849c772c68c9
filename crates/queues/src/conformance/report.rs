//! What came out of a run.

use std::fmt;

/// Every case with its outcome, in the order they ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The cases.
    pub cases: Vec<Tested>,
}

/// One case that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// The promise, as a sentence.
    pub name: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The promise holds.
    Passed,
    /// The transport does not promise this; it was not asked.
    NotPromised,
    /// It promises this, and the harness cannot bring about what it takes to see.
    NotTried(&'static str),
    /// The promise was broken.
    Failed {
        /// What should have been.
        expected: String,
        /// What was.
        seen: String,
    },
}

impl Report {
    /// Whether no promise was broken.
    pub fn passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The promises that were broken.
    pub fn failed(&self) -> impl Iterator<Item = &Tested> {
        self.cases
            .iter()
            .filter(|case| matches!(case.outcome, Outcome::Failed { .. }))
    }

    fn count(&self, which: fn(&Outcome) -> bool) -> usize {
        self.cases.iter().filter(|case| which(&case.outcome)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Tested { name, outcome } in &self.cases {
            match outcome {
                Outcome::Passed => writeln!(f, "passed        {name}")?,
                Outcome::NotPromised => writeln!(f, "not promised  {name}")?,
                Outcome::NotTried(why) => writeln!(f, "not tried     {name} ({why})")?,
                Outcome::Failed { expected, seen } => {
                    writeln!(f, "BROKEN        {name}")?;
                    writeln!(f, "              expected: {expected}")?;
                    writeln!(f, "              seen:     {seen}")?;
                }
            }
        }
        write!(
            f,
            "{} passed, {} not promised, {} not tried, {} broken",
            self.count(|outcome| matches!(outcome, Outcome::Passed)),
            self.count(|outcome| matches!(outcome, Outcome::NotPromised)),
            self.count(|outcome| matches!(outcome, Outcome::NotTried(_))),
            self.count(|outcome| matches!(outcome, Outcome::Failed { .. })),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_broken_expected_and_seen() {
        let failed = Outcome::Failed {
            expected: "1, 2".into(),
            seen: "2, 1".into(),
        };
        let report = Report {
            cases: vec![
                Tested {
                    name: "bodies come back",
                    outcome: Outcome::Passed,
                },
                Tested {
                    name: "order is kept",
                    outcome: failed,
                },
                Tested {
                    name: "leases end",
                    outcome: Outcome::NotPromised,
                },
                Tested {
                    name: "crashes lose nothing",
                    outcome: Outcome::NotTried("no way to crash"),
                },
            ],
        };
        assert!(!report.passed());
        assert_eq!(
            report.failed().map(|case| case.name).collect::<Vec<_>>(),
            ["order is kept"]
        );
        let text = report.to_string();
        assert!(
            text.contains("BROKEN        order is kept\n              expected: 1, 2\n"),
            "{text}"
        );
        assert!(text.contains("seen:     2, 1"), "{text}");
        assert!(text.contains("crashes lose nothing (no way to crash)"), "{text}");
        assert!(
            text.ends_with("1 passed, 1 not promised, 1 not tried, 1 broken"),
            "{text}"
        );
    }
}
