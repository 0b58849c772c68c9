//! The conformance kit on RabbitMQ, for both kinds of queue. A crash is a line to the broker that is cut.

#![cfg(feature = "rabbitmq")]
#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use queues::{
    Queue, QueueError,
    conformance::{self, Harness, Outcome, Staged},
    rabbitmq::{QueueType, RabbitOptions, RabbitQueue},
};
use rabbit_node::{Node, Proxy, Settings};
use tempfile::TempDir;

/// A node of its own, with a virtual host for each place: the kit's queues have the same names in all of them.
struct Broker {
    node: Node,
    queue_type: QueueType,
    state: Mutex<State>,
    _folder: TempDir,
}

#[derive(Default)]
struct State {
    places: HashMap<String, usize>,
    open: HashMap<usize, (Arc<RabbitQueue>, Proxy)>,
}

impl Broker {
    fn new(queue_type: QueueType) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::start(folder.path(), &Settings::default()).unwrap();
        let make = format!(
            r#"[begin V = iolist_to_binary(["p", integer_to_list(N)]), rabbit_vhost:add(V, <<"kit">>),
                rabbit_auth_backend_internal:set_permissions(<<"guest">>, V, <<".*">>, <<".*">>, <<".*">>, <<"kit">>)
                end || N <- lists:seq(0, {})]."#,
            conformance::names().count()
        );
        node.ctl(&["eval", &make]).unwrap();
        Self {
            node,
            queue_type,
            state: Mutex::default(),
            _folder: folder,
        }
    }
}

#[async_trait]
impl Harness for Broker {
    async fn open(&self, place: &str) -> Result<Arc<dyn Queue>, QueueError> {
        let mut state = self.state.lock().unwrap();
        let next = state.places.len();
        let vhost = *state.places.entry(place.to_owned()).or_insert(next);
        let line = Proxy::between(self.node.address()).unwrap();
        let url = line.url(&self.node.url()).replace("/%2f", &format!("/p{vhost}"));
        let options = RabbitOptions {
            queue_type: self.queue_type,
            trim_every: Duration::from_millis(300),
            ..RabbitOptions::default()
        };
        let opened = Arc::new(RabbitQueue::new(&url, Path::new("."), options)?);
        let queue: Arc<dyn Queue> = opened.clone();
        state.open.insert(address(&queue), (opened, line));
        Ok(queue)
    }

    async fn crash(&self, _place: &str, queue: Arc<dyn Queue>) -> Staged {
        let (queue, line) = self.state.lock().unwrap().open.remove(&address(&queue)).unwrap();
        queue.stage_crash();
        // What a killed process had written is delivered still: its kernel does that.
        tokio::time::sleep(Duration::from_millis(300)).await;
        line.refuse();
        Staged::Done
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn quiet(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn lateness(&self) -> Duration {
        Duration::from_secs(2)
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(45)
    }
}

fn address(queue: &Arc<dyn Queue>) -> usize {
    Arc::as_ptr(queue).cast::<()>() as usize
}

async fn passes(queue_type: QueueType) {
    let report = conformance::assert_passes(&Broker::new(queue_type)).await;
    let not_tried: Vec<_> = report
        .cases
        .iter()
        .filter(|case| matches!(case.outcome, Outcome::NotTried(_)))
        .map(|case| case.name)
        .collect();
    // A settle that fails has lost its channel; the tests of lost connections have that.
    assert_eq!(
        not_tried,
        ["a settle that fails keeps its outcome and is tried again"],
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quorum_queues_keep_their_promises() {
    passes(QueueType::Quorum).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn classic_queues_keep_their_promises() {
    passes(QueueType::Classic).await;
}
