//! What came of each vector, for people and for scripts.

use std::fmt::Write;

use serde::Serialize;

use super::{play::Failure, trouble::Trouble, vectors::Vector};
use crate::{human, terminal::Paint};

/// What came of one vector.
#[derive(Debug, Serialize)]
pub struct Outcome {
    name: String,
    passed: bool,
    why: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    wrong: Option<Wrong>,
}

/// How it failed.
#[derive(Debug, Serialize)]
struct Wrong {
    step: String,
    doing: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    seen: String,
    usually: Vec<String>,
}

/// Everything, for scripts.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// The socket.
    pub socket: &'a str,
    /// How many went as they have to.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// Each of them.
    pub vectors: &'a [Outcome],
}

impl Outcome {
    /// Of a vector that was played.
    pub fn of(vector: &Vector, played: Result<(), Failure>) -> Self {
        let wrong = played.err().map(|failure| Wrong {
            expected: failure.trouble.expected(),
            seen: failure.trouble.seen(),
            usually: causes(vector, &failure.trouble),
            step: failure.step,
            doing: failure.doing,
        });
        Self {
            name: vector.name.clone(),
            passed: wrong.is_none(),
            why: vector.why.clone(),
            wrong,
        }
    }

    /// Whether it went as it has to.
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// Its line, and where it failed the lines that say how.
    pub fn render(&self, paint: Paint) -> String {
        let Some(wrong) = &self.wrong else {
            return format!("{}      {}\n", paint.good("ok"), self.name);
        };
        let mut text = format!("{}  {}\n", paint.bad("FAILED"), self.name);
        let mut line = |title: &str, said: &str| {
            let _infallible = writeln!(text, "        {}  {said}", paint.dim(&format!("{title:<8}")));
        };
        line("step", &format!("{}: {}", wrong.step, wrong.doing));
        if let Some(expected) = &wrong.expected {
            line("expected", expected);
        }
        line("seen", &wrong.seen);
        for (cause, title) in wrong.usually.iter().zip(["usually", "or"]) {
            line(title, cause);
        }
        line("matters", &self.why);
        text
    }
}

impl Report<'_> {
    /// The last line.
    pub fn summary(&self, paint: Paint) -> String {
        let all = human::count(self.passed + self.failed, "vector");
        if self.failed == 0 {
            format!("\n{all}: {}\n", paint.good("all passed"))
        } else {
            format!(
                "\n{all}: {} passed, {}\n",
                self.passed,
                paint.bad(&format!("{} failed", self.failed))
            )
        }
    }
}

/// What the trouble usually means by itself, and what it usually means in this vector.
fn causes(vector: &Vector, trouble: &Trouble) -> Vec<String> {
    let here = match trouble {
        Trouble::Missing(_) | Trouble::Extra(_) => None,
        _ => Some(vector.usually.as_str()),
    };
    trouble.usually().into_iter().chain(here).map(str::to_owned).collect()
}
