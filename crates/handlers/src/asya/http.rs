//! The third generation: HTTP over the Unix socket, its answers one object or a stream of events.

use bytes::Bytes;
use wire::{
    Fault, Interim, Json, Reply,
    asya::{self, Exchange},
};

use super::AsyaOptions;
use crate::{
    BadAnswer, Call, Report,
    http::{Answer, Event, Events, Kind, Link, Stream, Target, excerpt, kind, post},
    limits::Limits,
    trouble::Trouble,
};

/// # Cancellation
/// Dropping the future closes the connection.
pub(super) async fn exchange(
    options: &AsyaOptions,
    exchange: &Exchange<'_>,
    request: Bytes,
    call: &Call,
    report: &mut Report<'_>,
) -> Result<Reply, Trouble> {
    let target = Target::Unix(options.path.clone());
    let mut link = Link::open(&target, options.patience)
        .await
        .map_err(Trouble::Unwritten)?;
    let mut limits = Limits::new(options.timeout, options.idle_timeout, call)?;
    let mut answer = limits.keep(link.ask(post("/invoke", "localhost", request))).await??;
    let bad = |error| Trouble::Bad(BadAnswer::Content(error));
    match kind(answer.status, &answer.headers).map_err(Trouble::Bad)? {
        Kind::Empty => Ok(Reply::Done(None)),
        Kind::Events => follow(options, exchange, &mut answer, &mut limits, report).await,
        Kind::Result | Kind::Lines => exchange
            .read(answer.whole(options.max_frame, &limits).await?)
            .map_err(bad),
        Kind::Failure => {
            let body = match answer.whole(options.max_frame, &limits).await {
                Ok(body) => body,
                // That it failed is known without it.
                Err(Trouble::Bad(_) | Trouble::TooLarge { .. }) => Bytes::new(),
                Err(trouble) => return Err(trouble),
            };
            let untold = || {
                let said = excerpt(&answer.headers, &body).map_or_else(String::new, |said| format!(": {said}"));
                Fault::new(format!("HTTP {}{said}", answer.status))
            };
            Ok(Reply::Fault(asya::fault(&body).unwrap_or_else(untold)))
        }
    }
}

/// Gathers the frames of a stream until it says that it is done; what goes upstream is shown to whoever follows.
async fn follow(
    options: &AsyaOptions,
    exchange: &Exchange<'_>,
    answer: &mut Answer<'_>,
    limits: &mut Limits,
    report: &mut Report<'_>,
) -> Result<Reply, Trouble> {
    let mut stream = Stream::Events(Events::new(options.max_frame));
    let mut frames = Vec::new();
    while let Some(Event { name, data }) = answer.next(&mut stream, limits).await? {
        limits.heard()?;
        match name.as_str() {
            "upstream" => report(Interim::Partial(asya::shown(json(data)?))),
            "downstream" => frames.push(json(data)?),
            "error" => {
                answer.linger().await;
                let untold = || Fault::new(String::from_utf8_lossy(&data));
                return Ok(Reply::Fault(asya::fault(&data).unwrap_or_else(untold)));
            }
            "done" => {
                answer.linger().await;
                return exchange
                    .gather(&frames)
                    .map_err(|error| Trouble::Bad(BadAnswer::Content(error)));
            }
            // Later generations may say more.
            _ => {}
        }
    }
    Err(answer.unfinished())
}

fn json(data: Bytes) -> Result<Json, Trouble> {
    Json::parse(data).map_err(|source| Trouble::Bad(BadAnswer::Content(wire::BadReply::NotJson { source })))
}
