//! Lines of one source that came together.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use crate::metrics::Source;

/// Whole lines of one source, each with its end; they came at the same time and wait for one backend.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// The source's own name.
    pub(crate) source: Arc<str>,
    /// Where its lines are counted.
    pub(crate) account: Arc<Source>,
    /// When they came.
    pub(crate) received: SystemTime,
    pub(crate) text: Vec<u8>,
    pub(crate) lines: usize,
    /// Since when the oldest of them waits.
    pub(crate) since: Instant,
}

impl Parcel {
    /// What one takes in memory beside its text, the name of a source and its places in tables included.
    pub(crate) const BESIDE: usize = size_of::<Self>() + 160;

    /// An empty one.
    pub(crate) fn new(source: &Arc<str>, account: &Arc<Source>, received: SystemTime, since: Instant) -> Self {
        Self {
            source: Arc::clone(source),
            account: Arc::clone(account),
            received,
            text: Vec::new(),
            lines: 0,
            since,
        }
    }

    /// One of the same source and time, without lines.
    pub(crate) fn empty(&self) -> Self {
        Self::new(&self.source, &self.account, self.received, self.since)
    }

    /// Takes off all of its lines.
    pub(crate) fn take_all(&mut self) -> Self {
        let empty = self.empty();
        std::mem::replace(self, empty)
    }

    /// Puts what was taken off its front back there.
    pub(crate) fn put_back(&mut self, mut front: Self) {
        front.text.extend_from_slice(&self.text);
        self.text = front.text;
        self.lines += front.lines;
    }

    /// Adds a line that has no end yet.
    pub(crate) fn push(&mut self, line: &[u8]) {
        self.text.reserve(line.len() + 1);
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        self.lines += 1;
    }

    /// Gives back memory that its lines do not need, where that is worth a copy.
    pub(crate) fn fit(&mut self) {
        if self.text.capacity() - self.text.len() > self.text.len() / 8 {
            self.text.shrink_to_fit();
        }
    }

    /// Its lines, without their ends.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        lines(&self.text)
    }

    /// What it takes in memory.
    pub(crate) fn size(&self) -> usize {
        self.text.capacity() + Self::BESIDE
    }

    /// The place behind the first `lines` lines, and how many there are that end within `bytes`.
    fn place(&self, lines: usize, bytes: usize) -> (usize, usize) {
        place(&self.text, lines, bytes)
    }

    /// Takes off as many of its first lines as are no more than `lines`, in no more than `bytes`.
    pub(crate) fn take_front(&mut self, lines: usize, bytes: usize) -> Option<Self> {
        let (at, count) = self.place(lines, bytes);
        if count == 0 {
            return None;
        }
        let mut front = self.empty();
        front.text = self.text[..at].to_vec();
        front.lines = count;
        self.text.drain(..at);
        self.text.shrink_to_fit();
        self.lines -= count;
        Some(front)
    }

    /// Forgets its first lines; as many as there are, or `lines`.
    pub(crate) fn drop_front(&mut self, lines: usize) -> usize {
        let (at, count) = self.place(lines, usize::MAX);
        self.text.drain(..at);
        self.lines -= count;
        count
    }

    /// Forgets its last lines; as many as there are, or `lines`.
    pub(crate) fn drop_back(&mut self, lines: usize) -> usize {
        let gone = lines.min(self.lines);
        let (at, kept) = self.place(self.lines - gone, usize::MAX);
        self.text.truncate(at);
        self.text.shrink_to_fit();
        self.lines = kept;
        gone
    }

    /// Takes in what came later, where it is of the same source and day and both together are not too much; says whether.
    pub(crate) fn merge(&mut self, later: &Self) -> bool {
        let day = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs() / 86_400)
        };
        let fits = self.source == later.source
            && self.text.len() + later.text.len() <= LARGEST_MERGED
            && day(self.received) == day(later.received);
        if fits {
            self.text.extend_from_slice(&later.text);
            self.lines += later.lines;
        }
        fits
    }
}

/// The lines of a text in which each has its end, without the ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest)?;
        let (line, more) = rest.split_at(end);
        rest = &more[1..];
        Some(line)
    })
}

/// The place behind the first `most` lines of a text, and how many there are that end within `bytes`.
pub(super) fn place(text: &[u8], most: usize, bytes: usize) -> (usize, usize) {
    let (mut at, mut count) = (0, 0);
    for line in lines(text).take(most) {
        if at + line.len() + 1 > bytes {
            break;
        }
        at += line.len() + 1;
        count += 1;
    }
    (at, count)
}

/// Small parcels become one up to this size.
const LARGEST_MERGED: usize = 32 * 1024;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn parcel(source: &str, lines: &[&str]) -> Parcel {
        let account = Arc::new(Source::unregistered());
        let mut parcel = Parcel::new(&source.into(), &account, SystemTime::now(), Instant::now());
        for line in lines {
            parcel.push(line.as_bytes());
        }
        parcel
    }

    pub(crate) fn texts(parcel: &Parcel) -> Vec<String> {
        parcel
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }

    #[test]
    fn lines_are_taken_off_both_ends() {
        let mut parcel = parcel("a", &["1", "22", "333", "4"]);
        assert!(parcel.take_front(0, 99).is_none() && parcel.take_front(9, 1).is_none());
        let front = parcel.take_front(9, 5).unwrap();
        assert_eq!((texts(&front), front.lines), (vec!["1".into(), "22".into()], 2));
        assert_eq!(parcel.drop_back(1), 1);
        assert_eq!((texts(&parcel), parcel.lines), (vec!["333".to_owned()], 1));
        assert_eq!((parcel.drop_front(7), parcel.lines, parcel.text.len()), (1, 0, 0));
    }

    #[test]
    fn parcels_of_one_source_become_one() {
        let mut one = parcel("a", &["1"]);
        assert!(one.merge(&parcel("a", &["2", "3"])));
        assert!(!one.merge(&parcel("b", &["4"])));
        assert_eq!((texts(&one).concat(), one.lines), ("123".to_owned(), 3));
    }
}
