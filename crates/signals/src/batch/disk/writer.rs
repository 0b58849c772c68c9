//! The thread that owns a buffer's file: it carries out what was asked, many things in one transaction.

use std::{path::PathBuf, sync::Arc};

use chassis::lifecycle::Hold;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info, warn};

use super::{
    super::{
        Parcel,
        policy::{self, Lost, Tally, Terms},
    },
    file::{self, Fault},
    ledger::Ledger,
    store::Shared,
};
use crate::{config::WhenFull, metrics::Metrics};

/// What is asked of the thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Lay a parcel down.
    Lay {
        parcel: Parcel,
        terms: Terms,
        answer: oneshot::Sender<Laid>,
    },
    /// Give out the oldest lines.
    Pick {
        lines: usize,
        bytes: usize,
        answer: oneshot::Sender<Option<Vec<Parcel>>>,
    },
    /// So many lines of those that were given out have left.
    Finish {
        lines: usize,
        answer: oneshot::Sender<bool>,
    },
    /// Leave no room, or as much as there is, whatever the disk has.
    #[cfg(test)]
    Squeeze { on: bool, answer: oneshot::Sender<bool> },
}

/// What became of a parcel.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) lost: Lost,
    /// What has to wait.
    pub(super) rest: Option<Parcel>,
    pub(super) tally: Tally,
    /// Nothing had waited before.
    pub(super) is_first: bool,
}

/// A parcel as far as it has come in the transaction.
struct Attempt {
    /// What was appended, and what was not.
    pieces: Vec<Parcel>,
    parcel: Parcel,
    /// How many lines it had.
    lines: usize,
    lost: Lost,
    policy: WhenFull,
    /// Whether it was tried.
    is_tried: bool,
    answer: oneshot::Sender<Laid>,
}

/// The thread.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) metrics: Metrics,
    /// `None` where it could not be opened again.
    pub(super) ledger: Option<Ledger>,
    /// The number of the next parcel in a fresh file.
    pub(super) next: i64,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) shared: Arc<Shared>,
    /// The disk has no room for what comes.
    pub(super) is_short: bool,
    /// Lets the end of the process wait for us.
    pub(super) hold: Hold,
}

/// Commands in one transaction, and bytes of parcels.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 4 << 20;
/// A disk that was full and has room for so many bytes is full no more.
const AMPLE: usize = 512 << 10;

impl Writer {
    /// Works until nobody has the handle any more.
    pub(super) fn run(mut self) {
        let mut group = Vec::new();
        while let Some(first) = self.commands.blocking_recv() {
            let mut bytes = first.bytes();
            group.push(first);
            while group.len() < GROUP
                && bytes < GROUP_BYTES
                && let Ok(next) = self.commands.try_recv()
            {
                bytes += next.bytes();
                group.push(next);
            }
            self.carry_out(&mut group);
        }
        drop(self.ledger);
        drop(self.hold);
    }

    /// Carries out a group, and answers once it is written.
    fn carry_out(&mut self, group: &mut Vec<Command>) {
        let was_empty = self.shared.tally().waiting == 0;
        let mut attempts = Vec::new();
        let mut finished = Vec::new();
        let mut picks = Vec::new();
        let writes = group
            .iter()
            .any(|command| matches!(command, Command::Lay { .. } | Command::Finish { .. }));
        let has_room = !writes || self.has_room(group);
        let mut done = if writes { self.begin() } else { Ok(()) };
        for command in group.drain(..) {
            match command {
                Command::Lay { parcel, terms, answer } => {
                    let mut attempt = Attempt {
                        lines: parcel.lines,
                        pieces: Vec::new(),
                        parcel,
                        lost: Lost::default(),
                        policy: terms.policy,
                        is_tried: has_room,
                        answer,
                    };
                    if let (true, Ok(()), Some(ledger)) = (has_room, &done, &mut self.ledger) {
                        let laid = policy::lay(ledger, &terms, &mut attempt.parcel);
                        attempt.pieces.append(&mut ledger.laid);
                        done = laid.map(|lost| attempt.lost = lost);
                    }
                    attempts.push(attempt);
                }
                Command::Finish { lines, answer } => {
                    if let (Ok(()), Some(ledger)) = (&done, &mut self.ledger) {
                        done = ledger.finish(lines);
                    }
                    finished.push(answer);
                }
                #[cfg(test)]
                Command::Squeeze { on, answer } => {
                    self.ledger.as_ref().expect("it is open").squeeze(on);
                    finished.push(answer);
                }
                Command::Pick { lines, bytes, answer } => picks.push((lines, bytes, answer)),
            }
        }
        if writes && let (Ok(()), Some(ledger)) = (&done, &mut self.ledger) {
            done = ledger.commit();
        }
        let is_corrupt = matches!(done, Err(Fault::Corrupt(_)));
        let is_done = done.is_ok();
        if is_done && !has_room {
            self.is_short = true;
            self.tell_trouble(&Fault::full());
        } else if is_done && self.is_still_short() {
            // Told when it is over for a while, not with each batch that leaves.
        } else if writes {
            self.settle(done);
        }
        let mut given = Vec::new();
        for (lines, bytes, answer) in picks {
            let picked = self.ledger.as_mut().map(|ledger| ledger.pick(lines, bytes));
            let picked = match picked.unwrap_or_else(|| Ok(Vec::new())) {
                Ok(parcels) => Some(parcels),
                Err(fault) => {
                    self.settle(Err(fault));
                    None
                }
            };
            given.push((answer, picked));
        }
        let tally = self.tell_tally();
        for attempt in attempts {
            let is_written = is_done && attempt.is_tried;
            attempt.answer(is_written, is_corrupt, tally, was_empty);
        }
        for answer in finished {
            // What was under way is not in a fresh file.
            let _ = answer.send(is_done || is_corrupt);
        }
        let mut is_taken = true;
        for (answer, parcels) in given {
            is_taken = answer.send(parcels).is_ok();
        }
        if !is_taken && let Some(ledger) = &mut self.ledger {
            // Who has gone meanwhile takes nothing: the next who asks gets the same, and has to see that it waits.
            ledger.take_back();
            self.tell_tally();
        }
    }

    /// Whether there is room for what is to be laid down. What keeps the log needlessly large is done first.
    fn has_room(&self, group: &[Command]) -> bool {
        let bytes = group.iter().map(Command::bytes).sum();
        if file::has_room(&self.path, bytes) {
            return true;
        }
        if let Some(ledger) = &self.ledger
            && file::log_bytes(&self.path) > 0
            && let Err(error) = ledger.empty_log()
        {
            // What is written stays written.
            debug!(file = %self.path.display(), %error, "the log of a disk buffer stays as large as it is");
        }
        file::has_room(&self.path, bytes)
    }

    /// Whether the disk was short of room and has little more now.
    fn is_still_short(&mut self) -> bool {
        let waits = self.ledger.as_ref().is_some_and(|ledger| ledger.at.lines > 0);
        self.is_short = self.is_short && waits && !file::has_room(&self.path, AMPLE);
        self.is_short
    }

    /// Begins a transaction, having opened the file again where that is needed.
    fn begin(&mut self) -> Result<(), Fault> {
        if self.ledger.is_none() {
            let db = file::open(&self.path)?;
            self.ledger = Some(Ledger::load(db, self.metrics.clone(), self.next)?);
        }
        let ledger = self.ledger.as_mut().expect("it was just opened");
        ledger.begin()
    }

    /// Says whether the file serves, and mends what can be mended.
    fn settle(&mut self, done: Result<(), Fault>) {
        let fault = match done {
            Ok(()) => {
                if self.shared.trouble(None) {
                    info!(file = %self.path.display(), "a disk buffer can be written again");
                }
                return;
            }
            Err(fault) => fault,
        };
        if let Some(ledger) = &mut self.ledger {
            ledger.rollback();
            self.next = ledger.next();
        }
        if let Fault::Corrupt(_) = fault {
            self.ledger = None;
            put_aside(&self.path, &fault);
            return;
        }
        self.tell_trouble(&fault);
    }

    fn tell_trouble(&self, fault: &Fault) {
        let why = format!("its disk buffer {} cannot be used: {fault}", self.path.display());
        if self.shared.trouble(Some(why)) {
            warn!(file = %self.path.display(), error = %fault, "a disk buffer cannot be used, it counts as full");
        }
    }

    fn tell_tally(&self) -> Tally {
        let tally = self.ledger.as_ref().map(Ledger::tally).unwrap_or_default();
        self.shared.set_tally(tally);
        tally
    }
}

/// Renames a corrupt file, loudly.
pub(super) fn put_aside(path: &std::path::Path, fault: &Fault) {
    match file::put_aside(path) {
        Ok(aside) => error!(
            file = %path.display(), aside = %aside.display(), error = %fault,
            "a disk buffer is corrupt, its lines are lost to its backend: it was renamed, and a fresh one is begun"
        ),
        Err(rename) => error!(
            file = %path.display(), error = %fault, %rename,
            "a disk buffer is corrupt and cannot be renamed: move it away"
        ),
    }
}

impl Command {
    fn bytes(&self) -> usize {
        match self {
            Self::Lay { parcel, .. } => parcel.text.len(),
            _ => 0,
        }
    }
}

impl Attempt {
    /// Tells what became of it. One that could not be written is as if there had been no room, but for a corrupt file:
    /// then it is tried once more on the fresh one.
    fn answer(mut self, is_done: bool, is_corrupt: bool, tally: Tally, is_first: bool) {
        let mut lost = self.lost;
        if !is_done {
            for piece in self.pieces.into_iter().rev() {
                self.parcel.put_back(piece);
            }
            lost = Lost::default();
            if self.policy != WhenFull::Hold && !is_corrupt {
                lost.full = self.lines;
                self.parcel = self.parcel.empty();
            }
        }
        let laid = Laid {
            lost,
            rest: (self.parcel.lines > 0).then_some(self.parcel),
            tally,
            is_first,
        };
        // Who has gone meanwhile does not want to know.
        let _ = self.answer.send(laid);
    }
}
