//! The writer alone, on a real file, with its mail written by hand: what no timing of processes brings about for sure.

use std::sync::Mutex;

use tempfile::TempDir;

use super::{
    super::{file, holder::Place, ledger::Seq, options::Durability, protocol::Claim},
    *,
};
use crate::{Put, QueueSpec, Settle};

/// Keeps the answers.
#[derive(Default)]
struct Answers(Mutex<Vec<Answer>>);

impl Sink for Answers {
    fn send(&self, answers: Vec<Answer>) {
        self.0.lock().unwrap().extend(answers);
    }

    fn cut(&self) {}
}

/// One ownership that does what is in its mail and ends.
fn own(folder: &TempDir, mails: Vec<Mail>) {
    let place = Place::prepare(&folder.path().join("queue.db")).unwrap();
    let db = file::open(&place.file, Durability::Process, None).unwrap();
    let mailbox = Arc::new(Mailbox::new());
    let parts = Parts {
        path: place.file.clone(),
        lease: Duration::from_secs(10),
        mailbox: mailbox.clone(),
        files: place.holders(),
    };
    let mut engine = Engine::load(&db, parts).unwrap();
    mailbox.extend(mails);
    assert!(mailbox.push(Mail::Stop).is_ok());
    engine.run();
}

fn joined(connection: u64, holder: u64) -> (Mail, Arc<Answers>) {
    let answers = Arc::new(Answers::default());
    let mail = Mail::Joined {
        connection,
        holder,
        sink: answers.clone(),
        heard: Some(Arc::new(Heard::new())),
    };
    (mail, answers)
}

fn asked(connection: u64, id: u64, request: Request) -> Mail {
    Mail::Asked(Asked {
        connection,
        id,
        request,
    })
}

fn put(connection: u64, id: u64, answered: u64) -> Mail {
    let messages = vec![Put::new("work", format!("{id}"))];
    asked(connection, id, Request::Put { answered, messages })
}

fn declare(connection: u64) -> Mail {
    asked(connection, 1, Request::Declare(vec![QueueSpec::new("work")]))
}

/// What the file says, as text.
fn read(folder: &TempDir, sql: &str) -> Vec<String> {
    let db = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
    let mut rows = db.prepare(sql).unwrap();
    let rows = rows.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

const BODIES: &str = "SELECT CAST(body AS TEXT) FROM messages ORDER BY seq";

#[test]
fn a_put_that_is_asked_for_again_on_a_new_connection_is_done_once() {
    let folder = tempfile::tempdir().unwrap();
    let ((first, _), (second, answers)) = (joined(1, 9), joined(2, 9));
    let mails = vec![first, declare(1), put(1, 5, 1), Mail::Left(1), second, put(2, 5, 1)];
    own(&folder, mails);
    assert_eq!(read(&folder, BODIES), ["5"]);
    let answers = answers.0.lock().unwrap();
    assert!(matches!(answers[..], [Answer::Reply(5, Reply::Done)]), "{answers:?}");
}

#[test]
fn a_put_that_is_asked_for_again_of_the_next_owner_is_done_once() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::prepare(&folder.path().join("queue.db")).unwrap();
    let alive = place.holder().unwrap();
    own(&folder, vec![joined(1, alive.holder).0, declare(1), put(1, 5, 1)]);
    own(&folder, vec![joined(1, alive.holder).0, put(1, 5, 1), put(1, 6, 1)]);
    assert_eq!(read(&folder, BODIES), ["5", "6"]);
}

#[test]
fn requests_are_forgotten_when_their_answers_came_or_their_process_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::prepare(&folder.path().join("queue.db")).unwrap();
    let alive = place.holder().unwrap();
    let mut mails = vec![joined(1, alive.holder).0, declare(1)];
    mails.extend((100..200).map(|id| put(1, id, 100)));
    mails.push(put(1, 200, 199));
    own(&folder, mails);
    let count = "SELECT CAST(count(*) AS TEXT) FROM requests";
    assert_eq!(read(&folder, count), ["2"]);
    own(&folder, vec![joined(1, alive.holder).0, asked(1, 201, Request::Leave)]);
    assert_eq!(read(&folder, count), ["0"]);
}

#[test]
fn claims_that_never_reached_their_process_go_back_uncounted() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::prepare(&folder.path().join("queue.db")).unwrap();
    let alive = place.holder().unwrap();
    let consume = asked(
        1,
        7,
        Request::Consume {
            consumer: 3,
            queue: "work".into(),
            credit: 2,
        },
    );
    let (mail, answers) = joined(1, alive.holder);
    own(&folder, vec![mail, declare(1), put(1, 5, 1), put(1, 6, 1), consume]);
    let given = answers.0.lock().unwrap();
    let claims: Vec<_> = given
        .iter()
        .filter_map(|answer| match answer {
            Answer::Given(given) => Some(given.claim),
            Answer::Reply(..) => None,
        })
        .collect();
    assert_eq!(claims.len(), 2);
    let deliveries = "SELECT (seq & 255) || ':' || deliveries FROM claims ORDER BY seq";
    assert_eq!(read(&folder, deliveries), ["1:1", "2:1"]);
    let present = asked(1, 8, Request::Present(vec![(claims[1], 3)]));
    own(&folder, vec![joined(1, alive.holder).0, present]);
    assert_eq!(read(&folder, deliveries), ["2:1"]);
}

#[test]
fn a_settle_that_comes_after_its_message_went_back_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mail, answers) = joined(1, 9);
    let take = Request::Take {
        queue: "work".into(),
        position: 1,
    };
    let claim = Claim {
        seq: Seq::new(0, 1),
        token: (1 << 40) + 1,
    };
    let how = Settle::Done;
    let mails = vec![
        mail,
        declare(1),
        put(1, 5, 1),
        asked(1, 6, take),
        asked(1, 7, Request::Leave),
        asked(1, 8, Request::Settle { claim, how }),
    ];
    own(&folder, mails);
    let answers = answers.0.lock().unwrap();
    assert!(
        matches!(&answers[2], Answer::Reply(6, Reply::Taken(Some(given))) if given.claim == claim),
        "{answers:?}"
    );
    assert!(
        matches!(answers[4], Answer::Reply(8, Reply::Refused(Fault::LeaseLost))),
        "{answers:?}"
    );
    assert_eq!(read(&folder, BODIES), ["5"]);
}
