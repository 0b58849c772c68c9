//! The first and the second generation: one frame there, one frame back.

use bytes::Bytes;
use wire::{Control, Header, Reply, asya::Exchange};

use super::AsyaOptions;
use crate::{
    BadAnswer, Call, Side,
    limits::Limits,
    socket::{
        connect,
        reader::{Incoming, ReadError, Reader},
        writer,
    },
    trouble::Trouble,
};

/// # Cancellation
/// Dropping the future closes the connection.
pub(super) async fn exchange(
    options: &AsyaOptions,
    exchange: &Exchange<'_>,
    request: Bytes,
    call: &Call,
) -> Result<Reply, Trouble> {
    let header = Header::new(request.len(), Control::No, options.max_frame).map_err(|_| Trouble::TooLarge {
        whose: Side::Request,
        bytes: request.len() as u64,
    })?;
    let stream = connect::to(&options.path, options.patience)
        .await
        .map_err(Trouble::Unwritten)?;
    let mut reader = Reader::new(options.max_frame);
    let limits = Limits::new(options.timeout, options.idle_timeout, call)?;
    let written = limits
        .keep(writer::write(&stream, &mut reader, &header.to_bytes(), &request))
        .await?;
    let answer = match (limits.keep(reader.next(&stream)).await?, written) {
        (Ok(Incoming::Data(answer)), _) => answer,
        (Ok(Incoming::Control(_)), _) => return Err(Trouble::Bad(BadAnswer::Control)),
        (Err(ReadError::Ended(_)), Err(unwritten)) => return Err(Trouble::Unwritten(unwritten)),
        (Err(error), _) => return Err(error.trouble(Trouble::Unanswered)),
    };
    exchange
        .read(answer)
        .map_err(|error| Trouble::Bad(BadAnswer::Content(error)))
}
