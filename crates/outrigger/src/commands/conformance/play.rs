//! Plays one vector.

use std::{collections::BTreeMap, path::Path, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    connection::Connection,
    pattern::{Kept, judge_frame},
    step::{Message, Step},
    trouble::Trouble,
    vectors::Vector,
};

/// Where a vector went wrong, and how.
#[derive(Debug)]
pub struct Failure {
    /// The step, as in `3` or `3.1` inside of a repeat.
    pub step: String,
    /// What was done there.
    pub doing: String,
    /// What it met.
    pub trouble: Trouble,
}

/// Plays a vector on connections of its own.
///
/// # Cancellation
/// Dropping the future closes them.
pub async fn play(vector: &Vector, path: &Path, limit: Duration) -> Result<(), Failure> {
    let mut player = Player {
        path,
        limit,
        connections: BTreeMap::new(),
        kept: Kept::new(),
    };
    player.steps(&vector.steps, "").await?;
    player.last_pings().await
}

struct Player<'a> {
    path: &'a Path,
    /// How long a step may wait.
    limit: Duration,
    connections: BTreeMap<String, Connection>,
    kept: Kept,
}

impl Player<'_> {
    async fn steps(&mut self, steps: &[Step], outer: &str) -> Result<(), Failure> {
        for (index, step) in steps.iter().enumerate() {
            let number = format!("{outer}{}", index + 1);
            if let Step::Repeat { repeat, steps } = step {
                for _ in 0..*repeat {
                    Box::pin(self.steps(steps, &format!("{number}."))).await?;
                }
                continue;
            }
            let until = Instant::now() + self.limit;
            if let Some(on) = step.on() {
                self.open(on, until).await.map_err(|trouble| Failure {
                    step: number.clone(),
                    doing: format!("open connection {on} and read its hello"),
                    trouble,
                })?;
            }
            self.step(step, until).await.map_err(|trouble| Failure {
                step: number,
                doing: step.to_string(),
                trouble,
            })?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step, until: Instant) -> Result<(), Trouble> {
        match step {
            Step::Send(message) => self.send(step, std::slice::from_ref(message), until).await,
            Step::Together { together, .. } => self.send(step, together, until).await,
            Step::Hello { hello, .. } => {
                let seen = self.on(step).hello.clone();
                let wrapped = json!({ "hello": hello });
                self.judge(&wrapped, &json!({ "hello": seen }), "the hello")
            }
            Step::Expect { expect, .. } => {
                let (seen, text) = self.within(until, step, Want::Control).await?;
                self.judge(expect, &seen, &text)
            }
            Step::Reply { reply, .. } => {
                let (seen, text) = self.within(until, step, Want::Reply).await?;
                self.judge(reply, &seen, &text)
            }
            Step::Until {
                until: function,
                payload,
                reply,
                ..
            } => {
                let call = [Message::call(function, payload)];
                loop {
                    self.send(step, &call, until).await?;
                    let (seen, text) = self.within(until, step, Want::Reply).await?;
                    let judged = self.judge(reply, &seen, &text);
                    if judged.is_ok() || Instant::now() >= until {
                        return judged;
                    }
                    sleep(BETWEEN_CALLS).await;
                }
            }
            Step::Order { order } => self.order(order, until).await,
            Step::Close { .. } => {
                self.connections.remove(step.on().expect("a connection"));
                Ok(())
            }
            Step::Repeat { .. } => unreachable!("its steps are played one by one"),
        }
    }

    fn on(&mut self, step: &Step) -> &mut Connection {
        let on = step.on().expect("a connection");
        self.connections.get_mut(on).expect("it has been opened")
    }

    async fn open(&mut self, on: &str, until: Instant) -> Result<(), Trouble> {
        if !self.connections.contains_key(on) {
            let opened = timeout_at(until, Connection::open(self.path)).await;
            let connection = opened.map_err(|_| Trouble::Silent(self.limit))??;
            self.connections.insert(on.to_owned(), connection);
        }
        Ok(())
    }

    async fn send(&mut self, step: &Step, messages: &[Message], until: Instant) -> Result<(), Trouble> {
        let limit = self.limit;
        let sent = timeout_at(until, self.on(step).send(messages)).await;
        sent.map_err(|_| Trouble::Unread(limit))?
    }

    async fn within(&mut self, until: Instant, step: &Step, want: Want) -> Result<(Value, String), Trouble> {
        let limit = self.limit;
        let connection = self.on(step);
        let frame = async {
            match want {
                Want::Control => connection.control().await,
                Want::Reply => connection.reply().await,
            }
        };
        timeout_at(until, frame).await.map_err(|_| Trouble::Silent(limit))?
    }

    fn judge(&mut self, pattern: &Value, seen: &Value, text: &str) -> Result<(), Trouble> {
        judge_frame(pattern, seen, &mut self.kept).map_err(|mismatch| Trouble::Differs(mismatch, text.to_owned()))
    }

    /// Waits for a frame on each of the connections, and looks at the order in which they come.
    async fn order(&mut self, expected: &[String], until: Instant) -> Result<(), Trouble> {
        let among = self.connections.iter_mut().filter(|(on, _)| expected.contains(on));
        let mut coming: FuturesUnordered<_> = among
            .map(|(on, connection)| async move { connection.wait().await.map(|()| on.clone()) })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            match timeout_at(until, coming.next()).await {
                Ok(Some(on)) => seen.push(on?),
                Ok(None) | Err(_) => return Err(Trouble::Silent(self.limit)),
            }
        }
        if seen == expected {
            Ok(())
        } else {
            Err(Trouble::Order(expected.to_vec(), seen))
        }
    }

    /// Nothing may have been sent after the last final frame: a ping's pong is the next that comes.
    async fn last_pings(&mut self) -> Result<(), Failure> {
        let ping = json!({ "control": { "ping": 0 } });
        let ping: Message = serde_json::from_value(ping).expect("a message");
        let until = Instant::now() + self.limit;
        let idle = self
            .connections
            .iter_mut()
            .filter(|(_, connection)| connection.is_idle());
        for (on, connection) in idle {
            let pinged = async {
                connection.send(std::slice::from_ref(&ping)).await?;
                match connection.control().await {
                    Err(Trouble::NotControl(frame)) => Err(Trouble::Extra(frame)),
                    other => other,
                }
            };
            let pinged = timeout_at(until, pinged).await;
            pinged
                .unwrap_or(Err(Trouble::Silent(self.limit)))
                .map_err(|trouble| Failure {
                    step: "the last".to_owned(),
                    doing: format!("ping connection {on} to see that no frame is left"),
                    trouble,
                })?;
        }
        Ok(())
    }
}

/// The kind of frame that has to come.
#[derive(Debug, Clone, Copy)]
enum Want {
    Control,
    Reply,
}

const BETWEEN_CALLS: Duration = Duration::from_millis(10);
