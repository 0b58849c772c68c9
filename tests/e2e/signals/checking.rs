//! What `outrigger check` says of a telemetry plane.

use super::TO_A_FILE;
use crate::harness::Field;

/// What `check` says, and its exit code.
fn check(config: &str) -> (String, Option<i32>) {
    let field = Field::new("");
    field.write("c.yaml", config);
    let output = field.output(&["check", "c.yaml"]);
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).expect("text"), output.status.code())
}

/// The `sidecar` section of the older files, as it stands in their documentation.
const OLDER: &str = "sidecar:
  tcp:
    host: \"127.0.0.1\"
    port: 17000
    max_connections: 100
    read_timeout: 30
    keepalive: true

  buffers:
    max_queue_size: 10000        # messages
    per_source_buffer: 1000      # messages per source
    flush_interval: 5            # seconds
    flush_batch_size: 100        # messages

  performance:
    worker_threads: 4            # for CPU-bound tasks
    max_memory_mb: 512           # memory limit
    gc_interval: 60              # garbage collection

  health:
    metrics_port: 17001
    health_check_interval: 10
";

#[test]
fn the_older_files_pass_as_they_stand() {
    let rest = "routing:
  queue-service:
    - { backend: filesystem, priority: 1, enabled: true, filter: { types: [event, metric] } }
  default:
    - backend: filesystem
backends:
  filesystem:
    type: filesystem
    enabled: true
    config: { base_path: /mnt/nas/logs, rotate_daily: true, rotate_size_mb: 100 }
  flat: { type: webhook, url: \"http://127.0.0.1:9/\", enabled: false }
";
    let (said, code) = check(&format!("{OLDER}{rest}"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok: "), "{said}");
    assert_eq!(
        said.matches("nothing here").count(),
        2,
        "a notice each for two sections: {said}"
    );
    assert_eq!(check(OLDER).1, Some(0));
    assert_eq!(check(rest).1, Some(0));
}

#[test]
fn a_routing_test_that_fails_is_named() {
    let config = format!(
        "{TO_A_FILE}  routing: {{ api: [{{ backend: out, filter: {{ level: error }} }}] }}
  tests:
    - {{ name: errors are kept, lines: [{{ src: api, ts: 1, type: event, data: {{ level: error }} }}], reach: [out] }}
    - {{ name: infos are kept, lines: ['{{\"src\":\"api\",\"ts\":1,\"type\":\"event\",\"data\":{{\"level\":\"info\"}}}}'], reach: [out] }}
"
    );
    let (said, code) = check(&config);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("test `infos are kept`: the line reaches nothing (filtered) and not `out`"),
        "{said}"
    );
    assert!(!said.contains("errors are kept`:"), "{said}");
}

#[test]
fn a_rule_that_names_nobody_is_an_error_and_a_disabled_backend_a_warning() {
    let (said, code) = check(
        "signals:
  routing: { default: [{ backend: flies }], x: [{ backend: off }] }
  backends: { files: { type: file }, off: { type: blackhole, enabled: false } }
",
    );
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("did you mean `files`?") && said.contains("backend `off` is disabled"),
        "{said}"
    );
}

#[test]
fn settings_that_do_not_fit_are_told_with_their_line() {
    let (said, code) = check(
        "signals:
  backends:
    a: { type: fil }
    b: { type: http, url: ftp://x }
    c: { type: file, path: \"{host}.log\" }
    d: { type: file, config: { pth: x } }
",
    );
    assert_eq!(code, Some(78), "{said}");
    for word in ["did you mean `file`?", "http://HOST", "did you mean `path`?"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let (said, code) = check("signals: { backends: { c: { type: file, path: \"{host}.log\" } } }");
    assert!(
        code == Some(78) && said.contains("nothing stands for `{host}`"),
        "{said}"
    );
}
