//! Lines in a real `PostgreSQL`.

mod common;

use std::{fs, path::Path};

use common::{arrived, config, finish, lines, postgres::Server, send, start, until};
use serde_json::{Value, json};

fn backend(server: &Server, table: &str) -> Value {
    json!({ "type": "postgres", "url": server.url(), "table": table, "dead_letter": "dead.jsonl" })
}

async fn rows(server: &Server, table: &str, count: usize) {
    let (there, sql) = (
        format!("SELECT to_regclass('{table}')"),
        format!("SELECT count(*) FROM {table}"),
    );
    until(&format!("{count} rows in {table}"), async || {
        let is_there = server.query(&there).await[0] != "NULL";
        (is_there && server.query(&sql).await[0] == count.to_string()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_becomes_a_row() {
    let (server, folder) = (Server::shared(), tempfile::tempdir().unwrap());
    let plane = start(&config(&backend(server, "Lines")), folder.path()).await;
    let span = r#"{"src":"a\\\tb","ts":1697821234567.25,"type":"span","tid":"t","sid":"s","pid":"p","data":{"name":"\u00fc\\","x":[1]}}"#;
    send(&plane, &format!("{span}\n{}\n", r#"{"src":"b","ts":7,"type":"new"}"#)).await;
    rows(server, "\"Lines\"", 2).await;
    let sql = "SELECT json_build_array(ts AT TIME ZONE 'UTC', source, type, trace, span, parent, data, received > '2020-01-01')
               FROM \"Lines\" ORDER BY id";
    assert_eq!(
        server.query(sql).await,
        [
            r#"["2023-10-20T17:00:34.56725", "a\\\tb", "span", "t", "s", "p", {"x": [1], "name": "ü\\"}, true]"#,
            r#"["1970-01-01T00:00:00.007", "b", "new", null, null, null, null, true]"#
        ]
    );
    finish(plane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_server_refuses_costs_only_itself() {
    let (server, folder) = (Server::shared(), tempfile::tempdir().unwrap());
    let plane = start(&config(&backend(server, "bad_rows")), folder.path()).await;
    let bad = [
        r#"{"src":"a","ts":1,"type":"event","data":{"msg":"\u0000"}}"#,
        r#"{"src":"a","ts":1,"type":"event\u0000"}"#,
        r#"{"src":"a","ts":1e300,"type":"event"}"#,
        r#"{"src":"a","ts":1,"type":"event","data":{"x":1e999999}}"#,
    ];
    let good = lines(0..100);
    let mut text = String::new();
    for (index, line) in good.lines().enumerate() {
        text.extend([line, "\n"]);
        if let Some(bad) = bad.get(index / 7).filter(|_| index % 7 == 3) {
            text.extend([*bad, "\n"]);
        }
    }
    send(&plane, &text).await;
    rows(server, "bad_rows", 100).await;
    let letters = arrived(&folder.path().join("dead.jsonl"), bad.len()).await;
    let mut letters: Vec<&str> = letters.lines().collect();
    letters.sort_unstable();
    let mut bad = bad.to_vec();
    bad.sort_unstable();
    assert_eq!(letters, bad);
    let order = "SELECT string_agg((extract(epoch FROM ts) * 1000)::int::text, ',' ORDER BY id) FROM bad_rows";
    let wanted: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(server.query(order).await, [wanted.join(",")]);
    finish(plane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_gets_each_line_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    let plane = start(&config(&backend(&server, "signals")), folder.path()).await;
    send(&plane, &lines(0..10)).await;
    rows(&server, "signals", 10).await;
    server.stop();
    send(&plane, &lines(10..30)).await;
    server.start();
    send(&plane, &lines(30..40)).await;
    rows(&server, "signals", 40).await;
    let distinct = server.query("SELECT count(DISTINCT ts) FROM signals").await;
    assert_eq!(distinct, ["40"]);
    finish(plane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_encrypted_where_that_is_asked_for_and_the_server_is_known() {
    let (server, folder) = (Server::shared(), tempfile::tempdir().unwrap());
    let with = |more: Value| {
        let mut backend = backend(server, "encrypted");
        backend["url"] = format!("{}?sslmode=verify-full", server.url()).into();
        backend
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        backend
    };
    let stranger = start(&config(&with(json!({}))), folder.path()).await;
    send(&stranger, &lines(0..1)).await;
    fs::copy(server.ca(), folder.path().join("ca.pem")).unwrap();
    stranger.reload(&config(&with(json!({ "ca": "ca.pem" })))).unwrap();
    send(&stranger, &lines(1..2)).await;
    rows(server, "encrypted", 1).await;
    let ssl = server
        .query("SELECT ssl::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'outrigger' AND ssl")
        .await;
    assert!(ssl.contains(&"true".to_owned()), "{ssl:?}");
    let plain = start(&config(&backend(server, "plain")), folder.path()).await;
    send(&plain, &lines(0..1)).await;
    rows(server, "plain", 1).await;
    stranger.finish(Some(std::time::Duration::ZERO)).await;
    finish(plain).await;
}

/// As the extension would answer: what is called is written down.
const STUB: &str = "
    SET allow_system_table_mods = on;
    CREATE TABLE called(what text);
    CREATE FUNCTION create_hypertable(relation regclass, column_name name, if_not_exists boolean) RETURNS int
        LANGUAGE sql AS $$ INSERT INTO called VALUES (relation || ' ' || column_name || ' ' || if_not_exists) RETURNING 1 $$;
    INSERT INTO pg_extension(oid, extname, extowner, extnamespace, extrelocatable, extversion)
        VALUES (99999, 'timescaledb', 10, 11, false, '2');
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_table_becomes_a_hypertable_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new();
    let mut wanted = backend(&server, "plain");
    wanted["type"] = "timescaledb".into();
    wanted["hypertable"] = true.into();
    let fill = async |wanted: &Value, path: &Path| {
        let plane = start(&config(wanted), path).await;
        send(&plane, &lines(0..1)).await;
        rows(&server, wanted["table"].as_str().unwrap(), 1).await;
        finish(plane).await;
    };
    // Without the extension the table is a plain one.
    fill(&wanted, folder.path()).await;
    server.query(STUB).await;
    wanted["table"] = "public.hyper".into();
    fill(&wanted, folder.path()).await;
    assert_eq!(server.query("SELECT what FROM called").await, ["hyper ts true"]);
}
