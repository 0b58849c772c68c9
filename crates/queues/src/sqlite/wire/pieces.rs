//! The pieces that frames are made of.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};

use super::broken;

/// A frame on its way out: small things in the head, bodies as they are.
#[derive(Default)]
pub(in super::super) struct Out {
    head: Vec<u8>,
    bodies: Vec<Bytes>,
}

impl Out {
    pub(super) fn clear(&mut self) {
        self.head.clear();
        self.bodies.clear();
    }

    pub(super) fn parts(&self) -> (&[u8], &[Bytes]) {
        (&self.head, &self.bodies)
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.head.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.head.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.head.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.head.extend_from_slice(text.as_bytes());
    }

    pub(super) fn option(&mut self, value: Option<u64>) {
        self.u8(value.is_some().into());
        self.u64(value.unwrap_or(0));
    }

    pub(super) fn duration(&mut self, value: Duration) {
        self.u64(value.as_secs());
        self.u32(value.subsec_nanos());
    }

    pub(super) fn body(&mut self, body: &Bytes) {
        self.u64(body.len() as u64);
        self.bodies.push(body.clone());
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.u64(items.len() as u64);
        for item in items {
            each(self, item);
        }
    }
}

/// A frame on its way in.
pub(in super::super) struct In<'a> {
    head: &'a [u8],
    bodies: Bytes,
}

impl<'a> In<'a> {
    pub(super) fn new(head: &'a [u8], bodies: Bytes) -> Self {
        Self { head, bodies }
    }

    pub(super) fn u8(&mut self) -> io::Result<u8> {
        self.head.try_get_u8().map_err(short)
    }

    pub(super) fn u32(&mut self) -> io::Result<u32> {
        self.head.try_get_u32_le().map_err(short)
    }

    pub(super) fn u64(&mut self) -> io::Result<u64> {
        self.head.try_get_u64_le().map_err(short)
    }

    pub(super) fn flag(&mut self) -> io::Result<bool> {
        Ok(self.u8()? != 0)
    }

    pub(super) fn text(&mut self) -> io::Result<Arc<str>> {
        let length = self.length()?;
        let (text, rest) = self.head.split_at_checked(length).ok_or_else(|| short(()))?;
        self.head = rest;
        let text = std::str::from_utf8(text).map_err(|_| broken("a frame's text is no UTF-8"))?;
        Ok(text.into())
    }

    pub(super) fn option(&mut self) -> io::Result<Option<u64>> {
        let some = self.flag()?;
        let value = self.u64()?;
        Ok(some.then_some(value))
    }

    pub(super) fn duration(&mut self) -> io::Result<Duration> {
        let (seconds, nanos) = (self.u64()?, self.u32()?);
        if nanos >= 1_000_000_000 {
            return Err(broken("a frame's duration is none"));
        }
        Ok(Duration::new(seconds, nanos))
    }

    pub(super) fn body(&mut self) -> io::Result<Bytes> {
        let length = self.length()?;
        if length > self.bodies.len() {
            return Err(short(()));
        }
        Ok(self.bodies.split_to(length))
    }

    pub(super) fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> io::Result<T>) -> io::Result<Vec<T>> {
        let length = self.length()?;
        let mut items = Vec::with_capacity(length.min(self.head.len()));
        for _ in 0..length {
            items.push(each(self)?);
        }
        Ok(items)
    }

    fn length(&mut self) -> io::Result<usize> {
        usize::try_from(self.u64()?).map_err(short)
    }
}

fn short<E>(_: E) -> io::Error {
    broken("a frame is shorter than it says")
}
