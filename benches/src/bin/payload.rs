//! One message through the message plane in one process: `hop-payload SOCKET BYTES`.
//!
//! A `memory:` queue, one station, and the handler behind a socket, put together as `outrigger run` does. A message of a
//! kilobyte goes through first, so that the connection is there; then one with a payload of `BYTES` bytes is put and
//! taken at the happy end.
//!
//! Prints two numbers: the nanoseconds from the put to the take, and how far resident memory rose meanwhile above what it
//! was before the message was made, in KiB; the message itself counts.

use std::{env, path::Path, process, sync::Arc, time::Instant};

use anyhow::{Context, ensure};
use benches::{message, procfs};
use bytes::Bytes;
use chassis::{
    lifecycle::{Drain, Health},
    telemetry,
};
use handlers::{Ownership, Pool, SocketHandler, SocketOptions};
use messages::{ActorConfig, Ends, Metrics, Plane};
use queues::{Consumer, Put, Queue, QueueSpec, Settle, memory::MemoryQueue};
use serde_json::json;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut words = env::args().skip(1);
    let socket = words.next().context("no socket was named")?;
    let length = words.next().context("no length was named")?.parse()?;

    let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new());
    let ends = Ends::default();
    let names = [message::ACTOR, ends.happy_name(), ends.error_name()];
    queue.declare(&names.map(QueueSpec::new)).await?;
    let (stations, drain) = (Drain::new(), Drain::new());
    serve(&queue, &ends, Path::new(&socket), &stations, &drain).await?;

    let mut happy_end = queue.consume(ends.happy_name(), 1).await?;
    pass(&queue, happy_end.as_mut(), message::envelope(0, 1024)).await?;
    let idle = procfs::resident(process::id())?;
    let large = message::envelope(1, length);
    procfs::reset_peak()?;
    let begun = Instant::now();
    pass(&queue, happy_end.as_mut(), large).await?;
    let taken = begun.elapsed();
    let over_idle = procfs::peak(process::id())?.saturating_sub(idle);
    println!("{} {over_idle}", taken.as_nanos());

    drop(happy_end);
    stations.wait(None).await;
    queue.close().await;
    drain.wait(None).await;
    Ok(())
}

/// Starts the station of the one actor, and waits until its handler is there.
async fn serve(
    queue: &Arc<dyn Queue>,
    ends: &Ends,
    socket: &Path,
    stations: &Drain,
    drain: &Drain,
) -> anyhow::Result<()> {
    let config: ActorConfig = serde_json::from_value(json!({ "handler": { "socket": socket } }))?;
    let metrics = Metrics::new(&telemetry::Metrics::with_process());
    let health = Health::new();
    let plane = Plane::new(queue.clone(), "", ends, metrics, None, drain);
    let pool = Pool::new(message::ACTOR);
    let options = SocketOptions {
        style: config.reply,
        timeout: Some(config.timeout.into()),
        max_frame: u32::try_from(config.max_frame.bytes())?,
        ..SocketOptions::new(socket)
    };
    pool.add(Arc::new(SocketHandler::new(options)), 1, Ownership::Foreign);
    let station = plane.station(message::ACTOR, &config, pool, health.component(message::ACTOR));
    stations.spawn("station", station.run(stations.clone()));
    health.ready().await;
    Ok(())
}

/// Puts a message, and takes it at the happy end with a payload of the same length.
async fn pass(queue: &Arc<dyn Queue>, happy_end: &mut dyn Consumer, body: Bytes) -> anyhow::Result<()> {
    let length = body.len();
    queue.put(vec![Put::new(message::ACTOR, body)]).await?;
    let delivery = happy_end.take().await?;
    // The route's position has one digit before and after.
    ensure!(
        delivery.body().len() == length,
        "{} bytes came out of {length}",
        delivery.body().len()
    );
    delivery.settle(Settle::Done).await?;
    Ok(())
}
