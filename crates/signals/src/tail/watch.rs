//! The end of a watcher: what is sent to it, as server-sent events.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::{
    sync::mpsc::{Receiver, error::TryRecvError},
    time::timeout,
};

use super::{
    Tail,
    hub::{Account, told},
};

/// What comes in, for one who watches. When it is dropped, nothing comes any more.
#[derive(Debug)]
pub(crate) struct Watch {
    tail: Arc<Tail>,
    account: Arc<Account>,
    receiver: Receiver<Bytes>,
}

/// After such a silence something is said, so that one who has gone away is noticed.
const SILENCE: Duration = Duration::from_secs(15);

impl Watch {
    pub(super) fn new(tail: Arc<Tail>, account: Arc<Account>, receiver: Receiver<Bytes>) -> Self {
        Self {
            tail,
            account,
            receiver,
        }
    }

    /// The next piece of the stream; `None` when nothing comes any more.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        match self.receiver.try_recv() {
            Ok(piece) => Some(piece),
            Err(state) => {
                // It has all that it was sent, so that what it lost is told now, also at the end.
                let lost = self.account.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    return Some(told(lost).into());
                }
                if state == TryRecvError::Disconnected {
                    return None;
                }
                match timeout(SILENCE, self.receiver.recv()).await {
                    Ok(piece) => piece,
                    Err(_) => Some(Bytes::from_static(b":\n\n")),
                }
            }
        }
    }

    /// The same as a stream.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures_util::stream::unfold(self, async |mut watch| {
            let piece = watch.next().await?;
            Some((Ok(piece), watch))
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tail.remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use wire::signal::Line;

    use super::{
        super::{Filter, WATCHERS, filter::tests::filter},
        *,
    };

    fn tail() -> Arc<Tail> {
        let tail = Arc::new(Tail::default());
        tail.set_bytes(WATCHERS * 1000);
        tail
    }

    /// One read of these lines.
    fn read(tail: &Tail, lines: &[String]) {
        let Some(mut cutting) = tail.cutting() else { return };
        for line in lines {
            let Ok(Line::Data(record)) = Line::read(line.as_bytes()) else {
                panic!("no data line: {line}");
            };
            cutting.take(line.as_bytes(), &record);
        }
        cutting.finish();
    }

    fn line(source: &str) -> String {
        format!(r#"{{"src":"{source}","ts":1,"type":"event"}}"#)
    }

    async fn text(watch: &mut Watch) -> Option<String> {
        let piece = watch.next().await?;
        Some(String::from_utf8(piece.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn each_watcher_gets_the_lines_that_it_wants() {
        let tail = tail();
        assert!(tail.cutting().is_none());
        let mut all = tail.watch(filter("").unwrap()).unwrap();
        let mut some = tail.watch(filter("source=a*").unwrap()).unwrap();
        read(&tail, &[line("a1"), line("b"), line("a2")]);
        let event = |source: &str| format!("data: {}\n\n", line(source));
        assert_eq!(text(&mut all).await, Some(event("a1") + &event("b") + &event("a2")));
        assert_eq!(text(&mut some).await, Some(event("a1") + &event("a2")));
        drop((all, some));
        assert!(tail.cutting().is_none());
    }

    #[tokio::test]
    async fn a_line_is_one_event_whatever_stands_between_its_tokens() {
        let tail = tail();
        let mut watch = tail.watch(filter("").unwrap()).unwrap();
        read(&tail, &["{\r\"src\":\"a\",\"ts\":1,\r\"type\":\"x\"}".to_owned()]);
        let wanted = "data: { \"src\":\"a\",\"ts\":1, \"type\":\"x\"}\n\n";
        assert_eq!(text(&mut watch).await.as_deref(), Some(wanted));
    }

    #[tokio::test]
    async fn who_is_slow_loses_lines_and_is_told_how_many() {
        let tail = tail();
        let mut watch = tail.watch(filter("").unwrap()).unwrap();
        for number in 0..100 {
            read(&tail, &[line(&number.to_string())]);
        }
        let (mut got, mut lost) = (0, 0);
        let mut note = |piece: &str| {
            for event in piece.split_terminator("\n\n") {
                match event.strip_prefix("event: lost\ndata: {\"lost\":") {
                    Some(rest) => lost += rest.trim_end_matches('}').parse::<u64>().unwrap(),
                    None => got += 1,
                }
            }
        };
        // There is room again, and the loss is told in front of what comes then.
        note(&text(&mut watch).await.unwrap());
        read(&tail, &[line("last")]);
        tail.close();
        while let Some(piece) = text(&mut watch).await {
            note(&piece);
        }
        assert!(lost > 0 && got > 1, "{lost} {got}");
        assert_eq!(got + lost, 101);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_told_even_where_nothing_follows() {
        let tail = tail();
        let mut watch = tail.watch(filter("").unwrap()).unwrap();
        for number in 0..100 {
            read(&tail, &[line(&number.to_string())]);
        }
        let mut last = String::new();
        while !last.starts_with("event: lost") {
            last = text(&mut watch).await.unwrap();
            assert!(!last.starts_with(':'), "it was silent before a loss was told");
        }
    }

    #[tokio::test]
    async fn no_more_than_so_many_watch_and_one_that_leaves_makes_room() {
        let tail = tail();
        let mut watches: Vec<Watch> = (0..WATCHERS).map(|_| tail.watch(Filter::default()).unwrap()).collect();
        assert!(tail.watch(Filter::default()).is_err());
        watches.pop();
        assert!(tail.watch(Filter::default()).is_ok());
    }

    #[tokio::test]
    async fn a_tail_that_is_closed_ends_every_watch_after_what_it_has() {
        let tail = tail();
        let mut watch = tail.watch(Filter::default()).unwrap();
        read(&tail, &[line("a")]);
        tail.close();
        assert!(text(&mut watch).await.is_some());
        assert_eq!(text(&mut watch).await, None);
        let mut late = tail.watch(Filter::default()).unwrap();
        assert_eq!(text(&mut late).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_so_that_one_who_has_gone_is_noticed() {
        let tail = tail();
        let mut watch = tail.watch(Filter::default()).unwrap();
        assert_eq!(text(&mut watch).await.as_deref(), Some(":\n\n"));
    }
}
