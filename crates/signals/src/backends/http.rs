//! Requests to a server, each with a batch.

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;

use super::{
    Capacity, Failure, Refusal, Sink,
    client::{LARGEST, Server, Version},
};
use crate::{
    batch::Batch,
    config::{Encoding, Http},
};

/// Posts batches.
#[derive(Debug)]
pub(super) struct Requests {
    server: Server,
    encoding: Encoding,
    lines: usize,
}

impl Requests {
    pub(super) fn new(config: &Http, lines: usize) -> Result<Self, String> {
        let media = match config.encoding {
            Encoding::Ndjson => "application/x-ndjson",
            Encoding::Json => "application/json",
        };
        let server = Server::new(&config.url, config.timeout.get(), Version::Http1)?
            .method(&config.method)?
            .header(CONTENT_TYPE, media)
            .headers(&config.headers)?
            .compressed(config.compression);
        Ok(Self {
            server,
            encoding: config.encoding,
            lines,
        })
    }

    fn body(&self, batch: &Batch) -> Vec<u8> {
        let mut body = Vec::new();
        match self.encoding {
            Encoding::Ndjson => {
                for line in batch.lines() {
                    body.extend_from_slice(line);
                    body.push(b'\n');
                }
            }
            Encoding::Json => {
                for (index, line) in batch.lines().enumerate() {
                    body.push(if index == 0 { b'[' } else { b',' });
                    body.extend_from_slice(line);
                }
                body.push(b']');
            }
        }
        body
    }
}

#[async_trait]
impl Sink for Requests {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: self.lines,
            bytes: LARGEST,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        self.server.send(self.body(batch)).await?.judge()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, time::Duration};

    use flate2::read::GzDecoder;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        backends::testing::{Reply, Site, away},
        batch::testing::batch,
    };

    const LINES: [&str; 2] = [
        r#"{"src":"a","ts":1,"type":"event"}"#,
        r#"{"src":"a","ts":2,"type":"event","data":{"msg":"ü"}}"#,
    ];

    fn requests(site: &Site, more: Value) -> Requests {
        Requests::new(&site.config("/in?tenant=7", more), 100).unwrap()
    }

    #[tokio::test]
    async fn lines_go_one_below_the_other_as_they_came() {
        let site = Site::answering([Reply::status(204)]).await;
        let mut requests = requests(&site, json!({ "headers": { "X-Key": "k", "Content-Type": "text/x" } }));
        assert_eq!(requests.deliver(&batch("a", &LINES)).await, Ok(vec![]));
        let asked = site.asked();
        assert_eq!((&*asked[0].method, &*asked[0].path), ("POST", "/in?tenant=7"));
        assert_eq!(asked[0].body, format!("{}\n{}\n", LINES[0], LINES[1]).as_bytes());
        assert_eq!(asked[0].header("x-key"), Some("k"));
        assert_eq!(asked[0].header("content-type"), Some("text/x"));
        assert_eq!(asked[0].header("content-encoding"), None);
    }

    #[tokio::test]
    async fn lines_go_as_an_array_compressed_and_by_another_method() {
        let site = Site::answering([Reply::status(200)]).await;
        let more = json!({ "method": "put", "encoding": "json", "compression": "gzip" });
        assert_eq!(requests(&site, more).deliver(&batch("a", &LINES)).await, Ok(vec![]));
        let asked = site.asked();
        assert_eq!(&*asked[0].method, "PUT");
        assert_eq!(asked[0].header("content-type"), Some("application/json"));
        assert_eq!(asked[0].header("content-encoding"), Some("gzip"));
        let mut body = String::new();
        GzDecoder::new(&asked[0].body[..]).read_to_string(&mut body).unwrap();
        let lines: Vec<Value> = serde_json::from_str(&body).unwrap();
        assert_eq!(lines, LINES.map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }

    #[tokio::test]
    async fn each_answer_has_its_meaning() {
        let replies = [
            Reply::status(400),
            Reply::status(413),
            Reply::status(429).header("retry-after", "3"),
            Reply::status(500),
            Reply::Reset,
            Reply::Hang,
            Reply::status(200),
        ];
        let site = Site::answering(replies).await;
        let mut requests = requests(&site, json!({ "timeout": "200ms" }));
        let batch = batch("a", &LINES);
        assert!(matches!(requests.deliver(&batch).await, Err(Failure::Refused { .. })));
        assert!(matches!(requests.deliver(&batch).await, Err(Failure::TooLarge { .. })));
        assert_eq!(away(requests.deliver(&batch).await), Some(Duration::from_secs(3)));
        for _ in ["500", "reset", "hang"] {
            assert_eq!(away(requests.deliver(&batch).await), None);
        }
        assert_eq!(requests.deliver(&batch).await, Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_sent_is_said_at_once() {
        let new = |config: Value| Requests::new(&serde_json::from_value(config).unwrap(), 1).map(drop);
        let said = new(json!({ "url": "http://a", "headers": { "a b": "c" } })).unwrap_err();
        assert!(said.contains("`a b`"), "{said}");
        assert!(new(json!({ "url": "http://a", "headers": { "a": "\n" } })).is_err());
        assert!(new(json!({ "url": "http://a", "method": "a b" })).is_err());
    }
}
