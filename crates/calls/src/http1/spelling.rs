//! How a head was written, for whoever writes it again. Pure.

use bytes::Bytes;
use http::HeaderName;

use super::fields::Place;

/// The names of the fields of a head as they were written, in their order, and the words after the status of a reply; goes along in
/// the extensions of a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spelling {
    text: Bytes,
    places: Vec<Place>,
    reason: Option<Bytes>,
}

/// Gives the names out again; each of them once.
#[derive(Debug)]
pub(crate) struct Speller<'a> {
    spelling: &'a Spelling,
    next: usize,
    given: [u64; 4],
}

impl Spelling {
    pub(super) fn new(text: Bytes, places: Vec<Place>) -> Self {
        Self {
            text,
            places,
            reason: None,
        }
    }

    /// The same with these words after the status.
    pub(super) fn with_reason(self, reason: Bytes) -> Self {
        Self {
            reason: Some(reason),
            ..self
        }
    }

    /// The words after the status.
    pub(crate) fn reason(&self) -> Option<&[u8]> {
        self.reason.as_deref()
    }

    pub(crate) fn speller(&self) -> Speller<'_> {
        Speller {
            spelling: self,
            next: 0,
            given: [0; 4],
        }
    }

    fn name(&self, index: usize) -> &[u8] {
        let (from, to) = self.places[index].name;
        &self.text[from as usize..to as usize]
    }
}

impl<'a> Speller<'a> {
    /// The next spelling of this name; the name itself where there is none.
    pub(crate) fn spell<'b>(&mut self, name: &'b HeaderName) -> &'b [u8]
    where
        'a: 'b,
    {
        let count = self.spelling.places.len().min(self.given.len() * 64);
        // Mostly they are asked for in their own order.
        for offset in 0..count {
            let index = (self.next + offset) % count;
            let spelt = self.spelling.name(index);
            let (word, bit) = (index / 64, 1 << (index % 64));
            if self.given[word] & bit == 0 && spelt.eq_ignore_ascii_case(name.as_str().as_bytes()) {
                self.given[word] |= bit;
                self.next = index + 1;
                return spelt;
            }
        }
        name.as_str().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_given_once_and_in_order() {
        let text = Bytes::from_static(b"X-a x-A OTHER");
        let place = |name| Place { name, value: (0, 0) };
        let spelling = Spelling::new(text, [(0, 3), (4, 7), (8, 13)].map(place).to_vec());
        let mut speller = spelling.speller();
        let (a, other, none) = (
            HeaderName::from_static("x-a"),
            HeaderName::from_static("other"),
            HeaderName::from_static("none"),
        );
        assert_eq!(speller.spell(&other), b"OTHER");
        assert_eq!(speller.spell(&a), b"X-a");
        assert_eq!(speller.spell(&none), b"none");
        assert_eq!(speller.spell(&a), b"x-A");
        assert_eq!(speller.spell(&a), b"x-a", "there is no third one");
    }
}
