//! Numbered lines, and which of them arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::senders::Account;
use crate::harness::Asked;

/// A line of a source with its number; all of one source are of the same length.
pub(super) fn line(source: &str, number: usize) -> String {
    format!(
        r#"{{"src":"{source}","ts":1700000000000,"type":"event","data":{{"level":"info","n":"{number:08}","pad":"{PAD}"}}}}"#
    )
}

/// Makes a line as long as one that says something.
const PAD: &str = "0123456789012345678901234567890123456789012345678901234567890123456789";

/// The lines of a source with the numbers up to this one.
pub(super) fn lines(source: &str, count: usize) -> String {
    (0..count).map(|number| line(source, number) + "\n").collect()
}

/// The numbers of the lines of each source, in the order in which they came.
#[derive(Default)]
pub(super) struct Arrived(BTreeMap<String, Vec<usize>>);

impl Arrived {
    /// Those of a file.
    #[track_caller]
    pub(super) fn in_file(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is no whole one");
        Self::read(text.lines())
    }

    /// Those of a file that is being written: of what is at its end there may be a part.
    #[track_caller]
    pub(super) fn so_far_in(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        Self::read(text.rsplit_once('\n').map_or("", |(whole, _)| whole).lines())
    }

    /// Those of a file whose writer was killed: each kill may have left the half of a line, on a line of its own.
    #[track_caller]
    pub(super) fn in_file_after(kills: usize, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let (whole, halves): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.ends_with("\"}}"));
        assert!(halves.len() <= kills, "more halves of lines than kills: {halves:?}");
        Self::read(whole.into_iter())
    }

    /// Those of requests.
    #[track_caller]
    pub(super) fn in_requests<'a>(asked: impl IntoIterator<Item = &'a Asked>) -> Self {
        Self::read(asked.into_iter().flat_map(|asked| asked.text().lines()))
    }

    /// Reads lines; each has to be one that a sender sent, byte for byte.
    #[track_caller]
    pub(super) fn read<'a>(all: impl Iterator<Item = &'a str>) -> Self {
        let mut arrived = Self::default();
        for text in all {
            let between = |before: &str| text.split_once(before)?.1.split_once('"').map(|(value, _)| value);
            let parts = between("\"src\":\"").zip(between("\"n\":\"").and_then(|number| number.parse().ok()));
            let (source, number) = parts.unwrap_or_else(|| panic!("a line that nobody sent: {text}"));
            assert_eq!(text, line(source, number), "a line that nobody sent");
            arrived.0.entry(source.to_owned()).or_default().push(number);
        }
        arrived
    }

    /// Lines of a source, each counted once.
    pub(super) fn different(&self, source: &str) -> usize {
        self.of(source).iter().collect::<BTreeSet<_>>().len()
    }

    /// Lines beyond the first of each.
    pub(super) fn repeated(&self) -> usize {
        let sources = self.0.iter();
        sources
            .map(|(source, numbers)| numbers.len() - self.different(source))
            .sum()
    }

    /// Of a sender's lines the first ones have come, in their order but for those that came again, and no others; and all
    /// that it was told of. Gives their number.
    #[track_caller]
    pub(super) fn first_lines_of(&self, account: &Account) -> usize {
        let Account { source, sent, acked } = account;
        let mut next = 0;
        for number in self.of(source) {
            assert!(*number <= next, "{source}: {number} came where {next} had to");
            next = next.max(number + 1);
        }
        assert!(next <= *sent, "{source}: {next} lines came, {sent} were sent");
        assert!(next >= *acked, "{source}: {acked} lines were acknowledged, {next} came");
        next
    }

    /// The lines of a source that have come are its first ones, in their order.
    #[track_caller]
    pub(super) fn are_the_first(&self, source: &str) {
        let numbers = self.of(source);
        assert!(numbers.iter().copied().eq(0..numbers.len()), "{source}: {numbers:?}");
    }

    fn of(&self, source: &str) -> &[usize] {
        self.0.get(source).map_or(&[], Vec::as_slice)
    }
}
