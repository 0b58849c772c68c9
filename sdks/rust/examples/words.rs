//! Counts the words of a text: one message in, one message a word out.
//!
//! ```yaml
//! actors:
//!   words:
//!     handler: { run: "./target/debug/examples/words" }
//! ```

use std::{collections::BTreeMap, process::ExitCode};

use outrigger_handler::{Context, Error, Fail};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
struct Document {
    text: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct Word {
    word: String,
    count: usize,
}

fn words(Document { text }: Document, context: &Context) -> Result<Vec<Word>, Error> {
    let mut counts = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    if counts.is_empty() {
        return Err(Fail::new("no_words", "the text has no words").into());
    }
    context.progress(100.0, "counted")?;
    Ok(counts.into_iter().map(|(word, count)| Word { word, count }).collect())
}

fn main() -> ExitCode {
    outrigger_handler::serve("words", words)
}
