use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::*;
use crate::{
    backends::testing::{Asked, Reply, Site, away},
    batch::testing::{batch, batch_of},
};

const FIRST: &str = r#"{"src":"API","ts":1714557600001,"type":"event","data":{"msg":"one"}}"#;
const SECOND: &str = r#" {"src":"API","ts":1714557600002,"type":"event"}"#;
const TIMED: &str = r#"{"src":"b","ts":3,"type":"metric","@timestamp":"2024-05-01T00:00:00Z"}"#;

fn elasticsearch(site: &Site, more: Value) -> Elasticsearch {
    Elasticsearch::new(&site.config("/", more), 100).unwrap()
}

/// Keeps to what the bulk API asks for; each action with its document.
fn check(asked: &Asked) -> Vec<(Value, Value)> {
    assert_eq!(asked.method, "POST");
    assert!(
        asked
            .path
            .starts_with("/_bulk?filter_path=items.*.status%2Citems.*.error.type"),
        "{}",
        asked.path
    );
    assert_eq!(asked.header("content-type"), Some("application/x-ndjson"));
    let text = asked.text();
    assert!(text.ends_with('\n'));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() % 2, 0);
    let pairs = lines.chunks(2).map(|pair| {
        let index = pair[0]["create"]["_index"].as_str().unwrap();
        assert_eq!(index, index.to_lowercase());
        (pair[0]["create"].clone(), pair[1].clone())
    });
    pairs.collect()
}

fn items(items: &[(u16, &str)]) -> Reply {
    let items: Vec<Value> = items
        .iter()
        .map(|(status, kind)| match *kind {
            "" => json!({ "create": { "status": status } }),
            kind => json!({ "create": { "status": status, "error": { "type": kind } } }),
        })
        .collect();
    Reply::status(200).body(json!({ "items": items }).to_string())
}

#[tokio::test]
async fn lines_become_documents_of_their_index_with_their_time() {
    let site = Site::answering([items(&[(201, ""), (201, ""), (201, "")])]).await;
    let more = json!({ "index": "logs-{source}-{type}", "api_key": "k", "pipeline": "p q" });
    let batch = batch_of(&[("API", &[FIRST, SECOND]), ("b", &[TIMED])]);
    assert_eq!(elasticsearch(&site, more).deliver(&batch).await, Ok(vec![]));
    let asked = site.asked();
    assert!(asked[0].path.ends_with("&pipeline=p+q"), "{}", asked[0].path);
    assert_eq!(asked[0].header("authorization"), Some("ApiKey k"));
    let pairs = check(&asked[0]);
    assert_eq!(pairs[0].0["_index"], "logs-api-event");
    assert_eq!(pairs[2].0["_index"], "logs-b-metric");
    assert_eq!(pairs[0].0["_id"].as_str().unwrap().len(), 32);
    let mut wanted: Value = serde_json::from_str(FIRST).unwrap();
    wanted["@timestamp"] = "2024-05-01T10:00:00.001Z".into();
    assert_eq!(pairs[0].1, wanted);
    assert_eq!(pairs[1].1["@timestamp"], "2024-05-01T10:00:00.002Z");
    assert_eq!(pairs[2].1["@timestamp"], "2024-05-01T00:00:00Z");
}

#[tokio::test]
async fn the_server_makes_the_ids_where_that_is_asked_for() {
    let site = Site::answering([items(&[(201, "")])]).await;
    let more = json!({ "id": "auto" });
    assert_eq!(
        elasticsearch(&site, more).deliver(&batch("a", &[FIRST])).await,
        Ok(vec![])
    );
    assert!(check(&site.asked()[0])[0].0.get("_id").is_none());
}

#[tokio::test]
async fn only_what_could_not_be_stored_is_sent_again_and_what_never_can_is_refused() {
    let replies = [
        items(&[
            (429, "es_rejected_execution_exception"),
            (201, ""),
            (400, "document_parsing_exception"),
        ]),
        items(&[(503, "unavailable_shards_exception")]),
        items(&[(201, "")]),
    ];
    let site = Site::answering(replies).await;
    let delivered = elasticsearch(&site, json!({}))
        .deliver(&batch("a", &[FIRST, SECOND, TIMED]))
        .await;
    let refused = delivered.unwrap();
    assert_eq!((refused.len(), &*refused[0].lines), (1, &[2][..]));
    assert!(
        refused[0].why.contains("document_parsing_exception"),
        "{}",
        refused[0].why
    );
    let asked = site.asked();
    let sent: Vec<Vec<Value>> = asked
        .iter()
        .map(|asked| {
            check(asked)
                .into_iter()
                .map(|(_, document)| document["ts"].clone())
                .collect()
        })
        .collect();
    let first = json!(1_714_557_600_001_u64);
    assert_eq!(
        (sent[0].len(), &sent[1], &sent[2]),
        (3, &vec![first.clone()], &vec![first])
    );
}

#[tokio::test]
async fn a_further_attempt_sends_only_the_rest() {
    let busy = |count| items(&vec![(429, "es_rejected_execution_exception"); count]);
    let replies = [
        items(&[(201, ""), (429, "x"), (429, "x")]),
        busy(2),
        busy(2),
        items(&[(201, ""), (400, "document_parsing_exception")]),
    ];
    let site = Site::answering(replies).await;
    let mut elasticsearch = elasticsearch(&site, json!({ "id": "auto" }));
    let batch = batch("a", &[FIRST, SECOND, TIMED]);
    assert_eq!(away(elasticsearch.deliver(&batch).await), None);
    assert_eq!(site.asked().len(), 3);
    let refused = elasticsearch.deliver(&batch).await.unwrap();
    assert_eq!(refused[0].lines, [2]);
    assert_eq!(
        site.asked().iter().map(|asked| check(asked).len()).collect::<Vec<_>>(),
        [3, 2, 2, 2]
    );
}

/// A server that stores, and whose answer is sometimes lost.
#[tokio::test]
async fn a_line_whose_answer_was_lost_is_stored_once() {
    let stored: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    let (store, calls) = (Arc::clone(&stored), Mutex::new(0));
    let site = Site::open(move |asked| {
        let mut store = store.lock().unwrap();
        let statuses: Vec<(u16, &str)> = check(asked)
            .iter()
            .map(|(action, _)| {
                let id = action["_id"].as_str().unwrap().to_owned();
                let is_known = store.contains_key(&id);
                *store.entry(id).or_default() += u32::from(!is_known);
                if is_known {
                    (409, "version_conflict_engine_exception")
                } else {
                    (201, "")
                }
            })
            .collect();
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        if *calls == 1 { Reply::Reset } else { items(&statuses) }
    })
    .await;
    let mut elasticsearch = elasticsearch(&site, json!({}));
    let batch = batch("a", &[FIRST, SECOND]);
    assert_eq!(away(elasticsearch.deliver(&batch).await), None);
    assert_eq!(elasticsearch.deliver(&batch).await, Ok(vec![]));
    assert_eq!(stored.lock().unwrap().values().copied().collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn a_rest_that_is_too_large_goes_in_parts() {
    let site = Site::open({
        let calls = Mutex::new(0);
        move |asked| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            match (*calls, check(asked).len()) {
                (1, 3) => items(&[(201, ""), (503, "x"), (503, "x")]),
                (_, 1) => items(&[(201, "")]),
                _ => Reply::status(413),
            }
        }
    })
    .await;
    let delivered = elasticsearch(&site, json!({}))
        .deliver(&batch("a", &[FIRST, SECOND, TIMED]))
        .await;
    assert_eq!(delivered, Ok(vec![]));
    assert_eq!(
        site.asked().iter().map(|asked| check(asked).len()).collect::<Vec<_>>(),
        [3, 2, 1, 1]
    );
}

#[tokio::test]
async fn each_answer_to_a_whole_request_has_its_meaning() {
    let replies = [
        Reply::status(413),
        Reply::status(429).header("retry-after", "4"),
        Reply::status(500),
        Reply::status(200).body("<html>a proxy</html>"),
        items(&[(201, ""), (201, "")]),
        Reply::Reset,
        Reply::Hang,
        Reply::status(400).body(r#"{"error":{"type":"illegal_argument_exception","reason":"one"},"status":400}"#),
    ];
    let site = Site::answering(replies).await;
    let mut elasticsearch = elasticsearch(&site, json!({ "timeout": "200ms" }));
    let batch = batch("a", &[FIRST]);
    assert!(matches!(
        elasticsearch.deliver(&batch).await,
        Err(Failure::TooLarge { .. })
    ));
    assert_eq!(away(elasticsearch.deliver(&batch).await), Some(Duration::from_secs(4)));
    for _ in ["500", "no answer of the bulk API", "too many items", "reset", "hang"] {
        assert_eq!(away(elasticsearch.deliver(&batch).await), None);
    }
    let refused = elasticsearch.deliver(&batch).await.unwrap();
    assert_eq!(refused[0].lines, [0]);
    assert!(
        refused[0].why.ends_with("illegal_argument_exception"),
        "{}",
        refused[0].why
    );
}

#[test]
fn an_item_says_what_becomes_of_its_line() {
    let fate = |status, kind: &str, id| {
        let error = Some(Fault { kind: kind.to_owned() });
        match (Stored { status, error }).fate(id) {
            Fate::Stored => "stored",
            Fate::Later(_) => "later",
            Fate::Never(_) => "never",
        }
    };
    let (hash, auto) = (DocumentId::Hash, DocumentId::Auto);
    assert_eq!([200, 201, 409].map(|status| fate(status, "", hash)), ["stored"; 3]);
    assert_eq!([429, 500, 503].map(|status| fate(status, "", hash)), ["later"; 3]);
    assert_eq!([400, 403, 404].map(|status| fate(status, "", hash)), ["never"; 3]);
    assert_eq!(fate(403, "cluster_block_exception", hash), "later");
    assert_eq!(fate(409, "", auto), "never");
}

#[test]
fn an_index_that_no_server_takes_is_said_at_once() {
    for text in ["", "_a", "{source}", "Logs", "a b", "a-{host}", "a/b"] {
        assert!(check_index(text).is_err(), "{text}");
    }
    assert_eq!(check_index("signals-{source}.{type}-{date}"), Ok(()));
}
