//! A conformance handler on threads of the test, which does one thing wrong.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tempfile::TempDir;

use crate::harness::{Value, json};

/// What a handler does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Nothing.
    None,
    /// It says nothing before it is asked.
    NoHello,
    /// It says hello in a frame that is no control frame.
    PlainHello,
    /// It speaks a protocol of another number.
    OtherProtocol,
    /// It names another function only.
    OtherFunctions,
    /// It counts pings for itself.
    WrongPong,
    /// It says after a result that it is half done.
    LateInterim,
    /// It writes numbers as texts.
    ChangedBytes,
    /// It reads and does not answer.
    Silent,
    /// It closes instead of answering.
    ClosesEarly,
    /// Its lengths count characters.
    CountsCharacters,
    /// Its lengths are little-endian.
    LittleEndian,
    /// It answers with the result alone.
    BareReply,
    /// It answers with what is no JSON.
    NotJson,
    /// It answers one connection at a time.
    OneAtATime,
}

/// A handler that serves `echo` and `slow`, as right as its defect lets it.
pub(crate) struct Broken {
    folder: TempDir,
    leaving: Arc<AtomicBool>,
}

impl Broken {
    pub(crate) fn start(defect: Defect) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("h.sock")).expect("a socket");
        let leaving = Arc::new(AtomicBool::new(false));
        let broken = Self {
            folder,
            leaving: Arc::clone(&leaving),
        };
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if leaving.load(Ordering::SeqCst) {
                    return;
                }
                let served = thread::spawn(move || serve(&stream, defect));
                if defect == Defect::OneAtATime {
                    served.join().expect("it does not panic");
                }
            }
        });
        broken
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("h.sock")
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        self.leaving.store(true, Ordering::SeqCst);
        // Wakes the accept.
        drop(UnixStream::connect(self.socket()));
    }
}

/// One connection, until either side has enough.
fn serve(stream: &UnixStream, defect: Defect) -> Option<()> {
    let functions = match defect {
        Defect::OtherFunctions => json!([{"name": "process"}]),
        _ => FUNCTIONS.iter().map(|name| json!({ "name": name })).collect(),
    };
    let protocol = if defect == Defect::OtherProtocol { 2 } else { 1 };
    let hello = json!({"hello": {"protocol": protocol, "functions": functions}}).to_string();
    match defect {
        Defect::NoHello => {}
        Defect::PlainHello => write(stream, defect, 0, &hello)?,
        _ => write(stream, defect, CONTROL, &hello)?,
    }
    loop {
        let (control, body) = read(stream)?;
        if control {
            if let Some(number) = body["ping"].as_u64() {
                let number = number + u64::from(defect == Defect::WrongPong);
                write(stream, defect, CONTROL, &json!({ "pong": number }).to_string())?;
            }
            continue;
        }
        if let Some(ms) = body["ms"].as_u64() {
            thread::sleep(std::time::Duration::from_millis(ms));
            write(stream, defect, 0, &ok(&json!({ "slept": ms })))?;
            continue;
        }
        match defect {
            Defect::Silent => {}
            Defect::ClosesEarly => return None,
            Defect::BareReply => write(stream, defect, 0, &body.to_string())?,
            Defect::NotJson => write(stream, defect, 0, &format!("{{'status': 'ok', 'result': {body}}}"))?,
            Defect::ChangedBytes => write(stream, defect, 0, &ok(&as_texts(&body)))?,
            Defect::LateInterim => {
                write(stream, defect, 0, &ok(&body))?;
                write(stream, defect, 0, r#"{"status":"progress","percent":50}"#)?;
            }
            _ => write(stream, defect, 0, &ok(&body))?,
        }
    }
}

fn ok(result: &Value) -> String {
    json!({"status": "ok", "result": result}).to_string()
}

fn as_texts(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        Value::Array(elements) => elements.iter().map(as_texts).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), as_texts(value)))
            .collect(),
        other => other.clone(),
    }
}

fn read(mut stream: &UnixStream) -> Option<(bool, Value)> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).ok()?;
    let head = u32::from_be_bytes(head);
    let mut body = vec![0; (head & !CONTROL) as usize];
    stream.read_exact(&mut body).ok()?;
    Some((head & CONTROL != 0, serde_json::from_slice(&body).ok()?))
}

fn write(mut stream: &UnixStream, defect: Defect, flag: u32, body: &str) -> Option<()> {
    let length = match defect {
        Defect::CountsCharacters => body.chars().count(),
        _ => body.len(),
    };
    let head = u32::try_from(length).expect("a short frame") | flag;
    let head = match defect {
        // Its control frames are right, so that it comes this far.
        Defect::LittleEndian if flag == 0 => head.to_le_bytes(),
        _ => head.to_be_bytes(),
    };
    stream.write_all(&[&head, body.as_bytes()].concat()).ok()
}

/// Where somebody else has bound a socket and does not serve it any more.
pub(crate) fn stale(folder: &Path) -> PathBuf {
    let path = folder.join("stale.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    path
}

const CONTROL: u32 = 1 << 31;
const FUNCTIONS: [&str; 2] = ["echo", "slow"];
