//! Callers who do nothing wrong, and are to notice nothing: every answer they get is the right one.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{Scene, client::Client};
use crate::harness::wait_until;

/// One caller of each kind: of a function over HTTP and over the Unix socket, and of a service through the proxy.
pub(super) struct Steady {
    stop: Arc<AtomicBool>,
    callers: Vec<(&'static str, Arc<AtomicUsize>, JoinHandle<()>)>,
}

/// Calls on one connection, then there is another.
const CALLS: usize = 50;
/// A caller takes its time between two calls, so that there is time for others on the machine.
const PACE: Duration = Duration::from_millis(2);
/// What hangs for longer is a failure, on however loaded a machine.
const PATIENCE: Duration = Duration::from_mins(2);

impl Steady {
    #[track_caller]
    pub(super) fn beside(scene: &Scene) -> Self {
        let mut steady = Self {
            stop: Arc::default(),
            callers: Vec::new(),
        };
        let (port, socket) = (scene.port(), scene.socket());
        steady.begin("function over HTTP", move || functions(port));
        steady.begin("service", move || services(port));
        steady.begin("function over the Unix socket", move || ipc(&socket));
        steady.goes_on();
        steady
    }

    /// Begins with a caller; `connect` gives what makes one call, which it is to panic about where the answer is wrong.
    fn begin(&mut self, kind: &'static str, connect: impl Fn() -> Call + Send + 'static) {
        let (stop, count) = (Arc::clone(&self.stop), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&count);
        let caller = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let mut call = connect();
                for _ in 0..CALLS {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    call(counted.load(Ordering::SeqCst));
                    counted.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(PACE);
                }
            }
        });
        self.callers.push((kind, count, caller));
    }

    /// Waits until each of them has been answered some more times.
    #[track_caller]
    pub(super) fn goes_on(&self) {
        for (kind, count, caller) in &self.callers {
            let before = count.load(Ordering::SeqCst);
            wait_until(&format!("{kind}: more answers"), || {
                assert!(!caller.is_finished(), "{kind}: a wrong answer");
                (count.load(Ordering::SeqCst) > before + 5).then_some(())
            });
        }
    }

    /// Ends them; gives how many right answers they had.
    #[track_caller]
    pub(super) fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = 0;
        for (kind, count, caller) in self.callers {
            assert!(caller.join().is_ok(), "{kind}: a wrong answer");
            all += count.load(Ordering::SeqCst);
        }
        all
    }
}

/// Makes one call, with a number that no other has.
type Call = Box<dyn FnMut(usize)>;

fn functions(port: SocketAddr) -> Call {
    let mut client = Client::connect(port);
    Box::new(move |number| {
        client.call("/echo", &format!("{{\"n\":{number}}}"));
        is_right(&mut client, &format!("{{\"n\":{number}}}\n"));
    })
}

fn services(port: SocketAddr) -> Call {
    let mut client = Client::connect(port);
    Box::new(move |number| {
        client.ask(&format!("/good/{number}"));
        is_right(&mut client, &format!("/good/{number}"));
    })
}

#[track_caller]
fn is_right(client: &mut Client, wanted: &str) {
    let answer = client.answer().expect("an answer");
    assert_eq!((answer.status, &*answer.text(), answer.is_whole), (200, wanted, true));
}

fn ipc(socket: &Path) -> Call {
    let stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut stream = BufReader::new(stream);
    Box::new(move |number| {
        let call = format!("{{\"id\":{number},\"function\":\"echo\",\"args\":[{number}]}}\n");
        stream.get_mut().write_all(call.as_bytes()).expect("it takes them");
        let mut line = String::new();
        stream.read_line(&mut line).expect("a line");
        let wanted = format!("{{\"id\":{number},\"success\":true,\"result\":{number}}}\n");
        assert_eq!(line, wanted);
    })
}
