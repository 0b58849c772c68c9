//! A request into a stream socket.
//!
//! One vectored write for all of it, the body from where it lies. While a large one does not go out, what comes in is
//! read: a handler that answers as it reads would otherwise wait for us as we wait for it.

use std::io::{self, IoSlice};

use tokio::{io::Interest, net::UnixStream};

use super::reader::{Filled, Reader};

/// Writes `head` and then `body`.
///
/// # Cancellation
/// Dropping the future leaves the request half written.
pub(crate) async fn write(stream: &UnixStream, reader: &mut Reader, head: &[u8], body: &[u8]) -> io::Result<()> {
    let (mut head, mut body) = (head, body);
    let mut listening = true;
    while !head.is_empty() || !body.is_empty() {
        match stream.try_write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                let of_head = written.min(head.len());
                head = &head[of_head..];
                body = &body[written - of_head..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                listening &= wait(stream, reader, listening).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until more can be written, and reads meanwhile; false when there is nothing more to be read.
async fn wait(stream: &UnixStream, reader: &mut Reader, listening: bool) -> io::Result<bool> {
    if !listening || !reader.has_room() {
        stream.writable().await?;
        return Ok(listening);
    }
    let ready = stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
    if !ready.is_readable() {
        return Ok(true);
    }
    // A bad frame is met again where frames are taken out.
    Ok(!matches!(reader.fill(stream), Filled::End(_)) && reader.open().is_ok())
}

/// Asks for a send buffer that takes a large request in few steps; the system may grant less.
pub(super) fn widen(stream: &UnixStream) {
    // Slower where it is refused, and nothing else.
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(LARGE_BUFFER);
    let _ = socket2::SockRef::from(stream).set_recv_buffer_size(LARGE_BUFFER);
}

/// A request from this size on is worth the two system calls.
pub(super) const LARGE: usize = 128 * 1024;
const LARGE_BUFFER: usize = 4 * 1024 * 1024;
