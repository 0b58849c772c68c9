//! Bodies of requests: as many bytes as are allowed, and as few surprises.

use std::{io::Read, time::Duration};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    HeaderMap, StatusCode,
    body::Incoming,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use tokio::time::timeout;

use super::answer::{Encoding, Refusal};

/// What the head of a request says of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) encoding: Encoding,
    pub(super) is_gzip: bool,
    /// Where the sender says it.
    pub(super) length: Option<usize>,
}

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The encoding of a body, if it is one that is understood.
pub(super) fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let media = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "application/x-protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

impl Described {
    /// # Errors
    /// 415, or 413 where it says of itself that it is too large.
    pub(super) fn read(headers: &HeaderMap, most: usize) -> Result<Self, Refusal> {
        let unsupported = |message: &str| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
        let encoding = encoding(headers)
            .ok_or_else(|| unsupported("send `application/x-protobuf` or `application/json` as the content's type"))?;
        let is_gzip = match headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?")) {
            None | Some("" | "identity" | "none") => false,
            Some("gzip" | "x-gzip") => true,
            Some(_) => return Err(unsupported("send the body as it is, or in `gzip`")),
        };
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length| length > most) {
            return Err(too_large(most));
        }
        Ok(Self {
            encoding,
            is_gzip,
            length,
        })
    }
}

/// Reads a body to its end.
///
/// # Errors
/// 413, 408 where it takes too long, 400 where it breaks.
pub(super) async fn receive(body: Incoming, most: usize) -> Result<Bytes, Refusal> {
    let whole = timeout(PATIENCE, Limited::new(body, most).collect()).await;
    let whole = whole.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))?;
    match whole {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Err(error) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the body cannot be read: {error}"),
        )),
    }
}

/// Decompresses a body.
///
/// # Errors
/// 413, or 400 where it is no gzip.
pub(super) fn inflate(body: &[u8], most: usize) -> Result<Vec<u8>, Refusal> {
    let mut whole = Vec::new();
    // One more than is allowed, to see that there is more.
    let mut reader = MultiGzDecoder::new(body).take(most as u64 + 1);
    let read = reader.read_to_end(&mut whole);
    read.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body is no gzip: {error}")))?;
    if whole.len() > most {
        let message = format!("the body has more than {most} bytes once it is decompressed");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    Ok(whole)
}

fn too_large(most: usize) -> Refusal {
    let message = format!("the body has more than {most} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn a_small_body_that_becomes_large_is_refused() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(bomb.len() < 4096);
        assert_eq!(inflate(&bomb, 1 << 20).unwrap().len(), 1 << 20);
        let refusal = inflate(&bomb, (1 << 20) - 1).unwrap_err();
        assert_eq!(refusal.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(inflate(b"plain", 100).unwrap_err().status, StatusCode::BAD_REQUEST);
        assert_eq!(inflate(&bomb[..20], 100).unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_head_says_what_is_understood() {
        let status = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            Described::read(&headers, 100).map_or_else(|refusal| refusal.status.as_u16(), |_| 200)
        };
        let json = ("content-type", "Application/JSON; charset=utf-8");
        assert_eq!(
            status(&[json, ("content-encoding", "gzip"), ("content-length", "100")]),
            200
        );
        assert_eq!(status(&[json, ("content-length", "101")]), 413);
        assert_eq!(status(&[json, ("content-encoding", "br")]), 415);
        assert_eq!(status(&[("content-type", "text/plain")]), 415);
        assert_eq!(status(&[]), 415);
    }
}
