//! The floor of a hop on `RabbitMQ`: what a plain program does with the client alone, without a crate of ours.
//!
//! `hop-bare URL IN OUT SOCKET PREFETCH [EXCHANGE]` takes messages from the queue `IN`, `PREFETCH` at once, carries each payload to
//! the handler and back over as many connections, publishes the answer to `OUT` (persistent, mandatory, through the
//! default exchange), awaits the confirms in their order, and acknowledges up to the end of what is finished without a
//! gap. Where the payload lies in a message is known beforehand: nothing is parsed. One thread beside the client's own, one
//! connection to the broker.
//!
//! With an `EXCHANGE` it says to the broker what the product has to say: it publishes through that topic exchange, on a
//! connection of its own, with an id and a trace. The difference is what the protocol costs, and not the product.
//!
//! What it leaves out is what a sidecar is for: routes, retries, deadlines, a broker that goes away, a handler that does.
//!
//! It prints `taking` when it does, and ends with its standard input, in order.

use std::{
    collections::BTreeSet,
    env,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, bail, ensure};
use benches::message;
use futures_util::{
    FutureExt, StreamExt,
    stream::{FuturesOrdered, FuturesUnordered},
};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions,
    },
    types::{AMQPValue, FieldTable},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::oneshot,
};

/// What stands on the command line.
struct Words {
    url: String,
    from: String,
    to: String,
    socket: PathBuf,
    prefetch: u16,
    exchange: Option<String>,
}

/// A finished exchange: its connection is free again, the message is for the next queue.
struct Exchanged {
    stream: UnixStream,
    tag: u64,
    message: Vec<u8>,
}

/// Where messages leave.
struct Outlet {
    channel: Channel,
    /// Its connection, where it is not the one that takes.
    own: Option<Connection>,
    exchange: String,
    queue: String,
    properties: BasicProperties,
}

/// Finished deliveries, and up to where there is no gap.
#[derive(Default)]
struct Finished {
    beyond: BTreeSet<u64>,
    prefix: u64,
}

const USAGE: &str = "usage: hop-bare URL IN OUT SOCKET PREFETCH [EXCHANGE]";
/// What the frame of an answer begins with: its length.
const HEAD: usize = 4;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [url, from, to, socket, prefetch, exchange @ ..] = &words[..] else {
        bail!(USAGE)
    };
    ensure!(exchange.len() <= 1, USAGE);
    let words = Words {
        url: url.clone(),
        from: from.clone(),
        to: to.clone(),
        socket: socket.into(),
        prefetch: prefetch.parse().context(USAGE)?,
        exchange: exchange.first().cloned(),
    };
    let (leave, left) = oneshot::channel();
    thread::spawn(move || {
        // Nothing is said there: its end is what counts.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        let _ = leave.send(());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(pass(&words, left))
}

async fn pass(words: &Words, mut left: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let connection = Connection::connect(&words.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let outlet = Outlet::open(words, &channel).await?;
    channel.basic_qos(words.prefetch, BasicQosOptions::default()).await?;
    let mut free = Vec::new();
    for _ in 0..words.prefetch {
        free.push(connect(&words.socket).await?);
    }
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut taken = channel
        .basic_consume(words.from.as_str().into(), "".into(), options, none)
        .await?;
    writeln!(io::stdout(), "taking")?;
    let mut at_work = FuturesUnordered::new();
    let mut confirms = FuturesOrdered::new();
    let mut finished = Finished::default();
    loop {
        tokio::select! {
            _ = &mut left => break,
            delivery = taken.next() => {
                let delivery = delivery.context("the broker has ended")??;
                let stream = free.pop().context("more deliveries than the prefetch")?;
                at_work.push(exchange(stream, delivery));
            }
            Some(exchanged) = at_work.next() => {
                let Exchanged { stream, tag, message } = exchanged?;
                free.push(stream);
                let confirm = outlet.publish(&message).await?;
                confirms.push_back(confirm.map(move |confirmed| (tag, confirmed)));
            }
            Some((tag, confirmed)) = confirms.next() => {
                let mut moved = finished.add(tag, &confirmed?)?;
                // What else is there already needs no acknowledgement of its own.
                while let Some(Some((tag, confirmed))) = confirms.next().now_or_never() {
                    moved |= finished.add(tag, &confirmed?)?;
                }
                if moved {
                    channel.basic_ack(finished.prefix, BasicAckOptions { multiple: true }).await?;
                }
            }
        }
    }
    outlet.close().await?;
    Ok(connection.close(200, "done".into()).await?)
}

async fn connect(socket: &Path) -> anyhow::Result<UnixStream> {
    UnixStream::connect(socket)
        .await
        .context("cannot connect to the handler")
}

/// The payload out, the answer back, within a message as the one that came.
async fn exchange(mut stream: UnixStream, delivery: Delivery) -> anyhow::Result<Exchanged> {
    let mut message = delivery.data;
    let start = message::head(0).len();
    ensure!(message.len() > start, "a message of another form");
    let payload = &message[start..message.len() - 1];
    let mut frame = Vec::with_capacity(HEAD + payload.len());
    frame.extend_from_slice(&u32::try_from(payload.len())?.to_be_bytes());
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await?;
    // The handler echoes: the answer is as long.
    let mut got = 0;
    while got < frame.len() {
        let more = stream.read(&mut frame[got..]).await?;
        ensure!(more > 0, "the handler has closed the connection");
        got += more;
    }
    message.truncate(start);
    message.extend_from_slice(&frame[HEAD..]);
    message.push(b'}');
    Ok(Exchanged {
        stream,
        tag: delivery.delivery_tag,
        message,
    })
}

impl Outlet {
    /// On the channel that takes, or, through an exchange, on a connection of its own.
    async fn open(words: &Words, taking: &Channel) -> anyhow::Result<Self> {
        let mut outlet = Self {
            channel: taking.clone(),
            own: None,
            exchange: String::new(),
            queue: words.to.clone(),
            properties: BasicProperties::default().with_delivery_mode(2),
        };
        if let Some(exchange) = &words.exchange {
            let own = Connection::connect(&words.url, ConnectionProperties::default()).await?;
            outlet.channel = own.create_channel().await?;
            outlet.own = Some(own);
            outlet.exchange.clone_from(exchange);
            outlet.bind().await?;
            let trace = AMQPValue::LongString("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
            let mut headers = FieldTable::default();
            headers.insert("traceparent".into(), trace);
            outlet.properties = outlet
                .properties
                .with_content_type("application/json".into())
                .with_message_id("0af7651916cd43dd-1".into())
                .with_headers(headers);
        }
        outlet.channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(outlet)
    }

    async fn bind(&self) -> lapin::Result<()> {
        let (exchange, queue) = (self.exchange.as_str(), self.queue.as_str());
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let none = FieldTable::default();
        self.channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, durable, none.clone())
            .await?;
        let options = QueueBindOptions::default();
        self.channel
            .queue_bind(queue.into(), exchange.into(), queue.into(), options, none)
            .await
    }

    async fn publish(&self, message: &[u8]) -> lapin::Result<lapin::PublisherConfirm> {
        let mandatory = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let (exchange, queue) = (self.exchange.as_str().into(), self.queue.as_str().into());
        let properties = self.properties.clone();
        self.channel
            .basic_publish(exchange, queue, mandatory, message, properties)
            .await
    }

    async fn close(self) -> lapin::Result<()> {
        match self.own {
            Some(own) => own.close(200, "done".into()).await,
            None => Ok(()),
        }
    }
}

impl Finished {
    /// Notes a confirm; whether more is finished without a gap.
    fn add(&mut self, tag: u64, confirmed: &Confirmation) -> anyhow::Result<bool> {
        ensure!(
            matches!(confirmed, Confirmation::Ack(None)),
            "the broker did not take a message"
        );
        self.beyond.insert(tag);
        let before = self.prefix;
        while self.beyond.remove(&(self.prefix + 1)) {
            self.prefix += 1;
        }
        Ok(self.prefix > before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_not_acknowledged() {
        let mut finished = Finished::default();
        let mut add = |tag| {
            let moved = finished.add(tag, &Confirmation::Ack(None)).unwrap();
            (moved, finished.prefix)
        };
        assert_eq!(
            [2, 1, 4, 3].map(&mut add),
            [(false, 0), (true, 2), (false, 2), (true, 4)]
        );
        assert!(Finished::default().add(1, &Confirmation::Nack(None)).is_err());
    }
}
