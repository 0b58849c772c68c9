//! Telling the broker what has ended.
//!
//! Whoever ends a delivery tells it at once, where nobody else does so at this moment; what is laid down meanwhile is told by
//! the intake, together. So one delivery at a time costs no other task, and many share their acknowledgements.

use futures_util::future::try_join_all;
use lapin::{
    Error,
    options::{BasicAckOptions, BasicNackOptions},
};

use super::{
    desk::{Desk, Ended, Ending, Out},
    hold::Afloat,
    tags::Ack,
};

/// What is told together.
struct Round {
    acks: Vec<Ack>,
    back: Vec<u64>,
    endings: Vec<(Ended, Out)>,
}

impl Desk {
    /// Tells the broker what has been laid down, unless somebody does already. What cannot be told is adrift then.
    pub(super) async fn tell(&self, afloat: &Afloat) {
        let Some(round) = self.begin() else { return };
        let told = self.send(&round).await;
        let mut sent = Vec::new();
        for (ended, out) in round.endings {
            match &told {
                Ok(()) => {
                    sent.extend(out.hold.likeness().filter(|_| ended.ending == Ending::Done));
                    // Whoever settled may have gone.
                    let _ = ended.told.send(());
                }
                Err(_) => afloat.lost(out.hold, Some((ended.ending, ended.told))),
            }
        }
        let look_again = {
            let mut state = self.lock();
            state.telling = false;
            if Self::is_over(&state) {
                afloat.finished.add(sent);
            } else {
                for message in sent {
                    state.unheard.add(message);
                }
            }
            !state.endings.is_empty() || Self::is_leaving(&state)
        };
        if look_again {
            self.wake_intake();
        }
    }

    fn begin(&self) -> Option<Round> {
        let mut state = self.lock();
        if state.telling || state.endings.is_empty() {
            return None;
        }
        let mut round = Round {
            acks: Vec::new(),
            back: Vec::new(),
            endings: Vec::new(),
        };
        let (mut done, mut early) = (Vec::new(), Vec::new());
        for ended in std::mem::take(&mut state.endings) {
            let Some(out) = state.out.remove(&ended.tag) else {
                // It came again and ended before it was written down; the intake is about to.
                early.push(ended);
                continue;
            };
            match ended.ending {
                Ending::Done => done.push(ended.tag),
                Ending::Requeue => {
                    state.tags.returned(ended.tag);
                    round.back.push(ended.tag);
                }
            }
            round.endings.push((ended, out));
        }
        state.endings = early;
        if round.endings.is_empty() {
            return None;
        }
        state.telling = true;
        round.acks = state.tags.finished(done);
        Some(round)
    }

    async fn send(&self, round: &Round) -> Result<(), Error> {
        let acks = round.acks.iter().map(|ack| {
            let options = BasicAckOptions { multiple: ack.multiple };
            self.channel.basic_ack(ack.tag, options)
        });
        let back = round.back.iter().map(|tag| {
            let options = BasicNackOptions {
                requeue: true,
                ..BasicNackOptions::default()
            };
            self.channel.basic_nack(*tag, options)
        });
        tokio::try_join!(try_join_all(acks), try_join_all(back)).map(drop)
    }
}
