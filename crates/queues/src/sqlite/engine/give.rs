//! Gives messages out: to whose turn it is, as long as there are messages and credit.

use bytes::Bytes;

use super::{
    super::{
        ledger::{Consumer, Held, Next, Place, Seq},
        protocol::{Answer, Claim, Given},
    },
    Engine,
};

/// How many bytes one transaction gives out; the rest follows in the next.
const GIVE_BYTES: usize = 64 << 20;

impl Engine<'_> {
    /// Claims whatever can be given out in the queues where something changed.
    pub(super) fn give(&mut self) -> Result<(), rusqlite::Error> {
        let hot = self.ledger.take_hot();
        let mut bytes = 0;
        let given = hot.iter().try_for_each(|line| self.give_line(*line, &mut bytes));
        if given.is_err() || bytes >= GIVE_BYTES {
            for line in hot {
                self.ledger.heat(line);
            }
        }
        if given.is_ok() && bytes < GIVE_BYTES {
            // Claiming warms its own queue again.
            self.ledger.take_hot();
        }
        given
    }

    fn give_line(&mut self, line: usize, bytes: &mut usize) -> Result<(), rusqlite::Error> {
        while *bytes < GIVE_BYTES && self.ledger.next(line) != Next::Nothing {
            let Some(consumer) = self.ledger.whose_turn(line) else {
                break;
            };
            let Some(seq) = self.ready(line)? else { break };
            if let Some(given) = self.claim(seq, consumer, None)? {
                *bytes += given.body.len();
                if let Some(connection) = self.holders.connection(consumer.holder) {
                    self.batch.given.push((connection, Answer::Given(given)));
                }
            }
        }
        Ok(())
    }

    /// The first message that could be given out, read from the file where it has to be.
    fn ready(&mut self, line: usize) -> Result<Option<Seq>, rusqlite::Error> {
        loop {
            match self.ledger.next(line) {
                Next::Message(number) => return Ok(Some(Seq::new(line, number))),
                Next::Nothing => return Ok(None),
                Next::Load(from) => {
                    let end = self.ledger.line(line).next;
                    let (rows, through) = self.store.window(line, from, end)?;
                    self.ledger.load(line, rows, through);
                }
            }
        }
    }

    /// Claims one message; `None` where the file does not have it any more.
    pub(super) fn claim(
        &mut self,
        seq: Seq,
        by: Consumer,
        body: Option<Bytes>,
    ) -> Result<Option<Given>, rusqlite::Error> {
        self.write()?;
        self.token += 1;
        let (mark, cached) = self.ledger.claim(seq, self.token, by);
        let body = match body.or(cached) {
            Some(body) => Some(body),
            None => self.store.body(seq)?,
        };
        let Some(body) = body else {
            self.ledger.set(seq, None);
            self.store.unmark(seq)?;
            return Ok(None);
        };
        self.store.place(seq, &Place::Held(Held { mark, by }))?;
        let token = self.token;
        let claim = Claim { seq, token };
        let consumer = by.number;
        Ok(Some(Given {
            consumer,
            claim,
            mark,
            body,
        }))
    }

    /// The message that could be taken first and when it was put.
    pub(super) fn oldest(&mut self, line: usize) -> Result<Option<(u64, i64)>, rusqlite::Error> {
        let (number, exact) = match self.ledger.next(line) {
            Next::Nothing => return Ok(None),
            Next::Message(number) => (number, true),
            Next::Load(from) => (from, false),
        };
        if exact && let Some(put_at) = self.ledger.line(line).window_put_at(number) {
            return Ok(Some((number, put_at)));
        }
        let mut from = number;
        loop {
            let rows = self.store.put_at(line, from, 64)?;
            let Some((last, _)) = rows.last().copied() else {
                return Ok(None);
            };
            let is_ready =
                |number: u64| matches!(self.ledger.place(Seq::new(line, number)), None | Some(Place::Ready(_)));
            if let Some(found) = rows.into_iter().find(|(number, _)| is_ready(*number)) {
                return Ok(Some(found));
            }
            from = last + 1;
        }
    }
}
