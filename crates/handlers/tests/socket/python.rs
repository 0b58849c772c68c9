//! The real Python runtime, where there is a Python 3.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use handlers::{HandlerError, Ownership, Pool, SocketHandler, SocketOptions};
use wire::{Interim, Json, Reply};

use super::stand_in::{call, done};

struct Python {
    process: Child,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

impl Python {
    fn start(source: &str, name: &str, concurrency: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("handler.py");
        std::fs::write(&file, source).expect("a file");
        let socket = dir.path().join("handler.sock");
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdks/python/src");
        let process = Command::new("python3")
            .args(["-m", "outrigger"])
            .arg(format!("{}:{name}", file.display()))
            .env("PYTHONPATH", sdk)
            .env("OUTRIGGER_HANDLER_SOCKET", &socket)
            .env("OUTRIGGER_HANDLER_CONCURRENCY", concurrency.to_string())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 starts");
        Self {
            process,
            socket,
            _dir: dir,
        }
    }

    fn join(&self, pool: &Pool, slots: usize, timeout: Option<Duration>) {
        let options = SocketOptions {
            timeout,
            connections: slots,
            ..SocketOptions::new(&self.socket)
        };
        pool.add(Arc::new(SocketHandler::new(options)), slots, Ownership::Foreign);
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn ask(pool: &Pool, body: &'static str) -> (Vec<Interim>, Result<Reply, HandlerError>) {
    let mut interims = Vec::new();
    let mut asked = call(body);
    asked.headers = Json::parse(r#"{"lang":"en"}"#.into()).expect("JSON");
    let reply = pool
        .slot()
        .await
        .call(&asked, &mut |interim| interims.push(interim))
        .await;
    (interims, reply)
}

#[tokio::test]
async fn a_python_function_gets_its_payload_and_its_headers_and_reports() {
    let python = Python::start(
        "def process(payload, ctx):\n    ctx.progress(percent=50)\n    return {'n': payload['n'] + 1, 'lang': ctx.headers['lang']}\n",
        "process",
        1,
    );
    let pool = Pool::new("clean");
    python.join(&pool, 1, None);
    for _ in 0..3 {
        let (interims, reply) = ask(&pool, r#"{"n": 1}"#).await;
        assert!(
            matches!(
                interims[..],
                [Interim::Progress {
                    percent: Some(50.0),
                    ..
                }]
            ),
            "{interims:?}"
        );
        let Ok(Reply::Done(Some(result))) = reply else {
            panic!("{reply:?}")
        };
        let result: serde_json::Value = result.read().unwrap();
        assert_eq!(result, serde_json::json!({"n": 2, "lang": "en"}));
    }
}

#[tokio::test]
async fn a_python_exception_is_a_fault_with_its_type() {
    let python = Python::start(
        "def process(payload):\n    raise ValueError('no such thing')\n",
        "process",
        1,
    );
    let pool = Pool::new("clean");
    python.join(&pool, 1, None);
    let (_, reply) = ask(&pool, "1").await;
    let Ok(Reply::Fault(fault)) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(
        (fault.message.as_str(), fault.kind.as_deref()),
        ("no such thing", Some("ValueError"))
    );
}

#[tokio::test]
async fn a_python_handler_that_hangs_is_down_until_it_answers_a_ping() {
    let source = "import time\ndef process(payload):\n    time.sleep(payload)\n    return 1\n";
    let python = Python::start(source, "process", 1);
    let pool = Pool::new("clean");
    python.join(&pool, 1, Some(Duration::from_millis(800)));
    let begun = std::time::Instant::now();
    let (_, reply) = ask(&pool, "2").await;
    assert!(matches!(reply, Err(HandlerError::Timeout { .. })), "{reply:?}");
    assert!(!pool.readiness().borrow().is_ready());
    // The slot comes back only when the function has ended, two seconds after it began.
    let (_, reply) = ask(&pool, "0").await;
    assert_eq!(reply.unwrap(), done("1"));
    assert!(begun.elapsed() >= Duration::from_secs(2));
}
