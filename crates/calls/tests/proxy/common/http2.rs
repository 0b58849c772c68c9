//! Clients of HTTP/2.

use bytes::Bytes;
use http::Request;
use tokio::{net::TcpStream, time::timeout};

use super::SOON;

/// One request over HTTP/2: its status and body.
pub(crate) async fn ask_2<S>(stream: S, request: Request<()>, body: Option<&'static str>) -> (u16, String)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    drive(connection);
    let mut sender = sender.ready().await.unwrap();
    let (answer, mut sending) = sender.send_request(request, body.is_none()).unwrap();
    if let Some(body) = body {
        sending.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
    }
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    let status = answer.status().as_u16();
    (
        status,
        String::from_utf8(read(answer.into_body()).await.unwrap()).unwrap(),
    )
}

/// Who asks over a connection of their own.
pub(crate) async fn connected(port: u16) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    drive(connection);
    sender.ready().await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
fn drive<S>(connection: h2::client::Connection<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let _ = connection.await;
    });
}

pub(crate) async fn read(mut body: h2::RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = timeout(SOON, body.data()).await.expect("the body does not end") {
        let data = data?;
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    Ok(all)
}
