//! The queues in this process: what the conformance suite over the wire cannot see or would have to wait for.

use super::*;
use std::sync::atomic::{AtomicI64, Ordering};

const START: i64 = 1_750_000_000_000;

/// Queues under a clock that only the test moves.
struct World {
    sqs: Sqs,
    clock: Arc<AtomicI64>,
}

impl World {
    fn new(path: Option<&Path>) -> Self {
        Self::at(path, START)
    }

    fn at(path: Option<&Path>, now: i64) -> Self {
        let clock = Arc::new(AtomicI64::new(now));
        let hand = clock.clone();
        let now: Now = Arc::new(move || hand.load(Ordering::SeqCst));
        Self { sqs: Sqs::open(path, now, "http://queues.test/".to_owned()).unwrap(), clock }
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::SeqCst);
        self.sqs.poke();
    }

    fn queue(&self, spec: QueueSpec) -> &Self {
        self.sqs.create_queue(&spec).unwrap();
        self
    }

    fn send(&self, queue: &str, body: &str) -> Sent {
        self.sqs.send(queue, OutgoingMessage::new(body)).unwrap()
    }

    fn send_in_group(&self, queue: &str, group: &str, body: &str) -> Sent {
        let message = OutgoingMessage { group_id: Some(group.to_owned()), ..OutgoingMessage::new(body) };
        self.sqs.send(queue, message).unwrap()
    }

    fn receive(&self, queue: &str, max: usize) -> Vec<ReceivedMessage> {
        self.sqs.receive(queue, max, None).unwrap()
    }

    fn bodies(&self, queue: &str) -> Vec<String> {
        self.receive(queue, 10).into_iter().map(|message| message.body).collect()
    }

    fn delete(&self, queue: &str, message: &ReceivedMessage) -> Result<(), Option<Code>> {
        self.sqs
            .delete_batch(queue, &[&message.receipt_handle])
            .unwrap()
            .remove(0)
            .map_err(|error| error.code())
    }

    fn depth(&self, queue: &str) -> (u64, u64, u64) {
        let depth = self.sqs.depth(queue).unwrap();
        (depth.visible, depth.in_flight, depth.delayed)
    }
}

fn count(message: &ReceivedMessage) -> &str {
    &message.attributes["ApproximateReceiveCount"]
}

fn fifo(name: &str) -> QueueSpec {
    QueueSpec::new(name).with("FifoQueue", "true").with("ContentBasedDeduplication", "true")
}

#[test]
fn messages_queues_handles_and_sequences_survive_a_process_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queues.db");
    let world = World::new(Some(&path));
    world.queue(QueueSpec::new("plain").with("VisibilityTimeout", "60")).queue(fifo("ordered.fifo"));
    world.send("plain", "held");
    world.send("plain", "waiting");
    let held = world.receive("plain", 1).remove(0);
    let first = world.send_in_group("ordered.fifo", "g", "one");
    // Killed: the file is taken as it is, and nothing of the process is closed.
    for suffix in ["", "-wal"] {
        let name = format!("queues.db{suffix}");
        std::fs::copy(folder.path().join(&name), folder.path().join(format!("copy-{name}"))).unwrap();
    }
    std::fs::rename(folder.path().join("copy-queues.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    std::fs::rename(folder.path().join("copy-queues.db"), folder.path().join("copy.db")).unwrap();

    let again = World::at(Some(&folder.path().join("copy.db")), START + 1000);
    assert_eq!(again.depth("plain"), (1, 1, 0));
    assert_eq!(again.delete("plain", &held), Ok(()));
    assert_eq!(again.depth("plain"), (1, 0, 0));
    let second = again.send_in_group("ordered.fifo", "g", "two");
    assert!(second.sequence_number > first.sequence_number);
    assert_eq!(again.send_in_group("ordered.fifo", "g", "one").message_id, first.message_id);
}

#[test]
fn a_second_process_cannot_open_the_queues() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queues.db");
    let world = World::new(Some(&path));
    world.queue(QueueSpec::new("q"));
    assert!(Sqs::open(Some(&path), Arc::new(|| START), String::new()).is_err());
}

#[test]
fn of_a_message_that_was_deleted_the_compacted_file_holds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queues.db");
    let world = World::new(Some(&path));
    world.queue(QueueSpec::new("q"));
    for at in 0..20 {
        world.send("q", &format!("merula {at} {}", "tirili ".repeat(200)));
    }
    while let Some(message) = world.receive("q", 1).pop() {
        assert_eq!(world.delete("q", &message), Ok(()));
    }
    world.send("q", "stays");
    let held = || {
        let files = ["", "-wal"].map(|suffix| folder.path().join(format!("queues.db{suffix}")));
        let bytes = files.map(|file| std::fs::read(file).unwrap_or_default()).concat();
        bytes.windows(6).filter(|part| *part == b"merula").count()
    };
    assert_ne!(held(), 0, "there was something to clean");
    world.sqs.compact().unwrap();
    assert_eq!(held(), 0);
    assert_eq!(world.bodies("q"), ["stays"]);
    assert_eq!(world.sqs.depth("q").map(|depth| depth.in_flight).ok(), Some(1));
}

#[test]
fn after_a_restart_what_was_in_flight_is_released_without_counting_a_receive() {
    let world = World::new(None);
    world.queue(QueueSpec::new("q"));
    world.send("q", "m");
    let before = world.receive("q", 1).remove(0);
    let delayed = OutgoingMessage { delay_seconds: Some(60), ..OutgoingMessage::new("later") };
    world.sqs.send("q", delayed).unwrap();
    world.sqs.release_in_flight().unwrap();
    assert_eq!(world.depth("q"), (1, 0, 1));
    let after = world.receive("q", 10).remove(0);
    assert_eq!((count(&before), count(&after)), ("1", "2"));
}

#[test]
fn making_a_queue_again_gives_it_the_new_attributes_and_keeps_its_messages() {
    let world = World::new(None);
    world.queue(QueueSpec::new("q").with("VisibilityTimeout", "5"));
    world.send("q", "m");
    world.queue(QueueSpec::new("q").with("VisibilityTimeout", "500"));
    assert_eq!(world.bodies("q"), ["m"]);
    world.pass(499);
    assert_eq!(world.depth("q"), (0, 1, 0));
    world.pass(1);
    assert_eq!(world.depth("q"), (1, 0, 0));
}

#[test]
fn a_message_goes_to_the_dead_letters_on_the_receive_after_the_last_one_allowed() {
    let world = World::new(None);
    world.queue(QueueSpec::new("dead")).queue(QueueSpec::new("q").with_redrive("dead", 2));
    let sent = world.send("q", "poison");
    for expected in ["1", "2"] {
        assert_eq!(count(&world.receive("q", 1)[0]), expected);
        world.pass(30);
    }
    assert_eq!((world.depth("q"), world.depth("dead")), ((1, 0, 0), (0, 0, 0)), "nothing moves by itself");
    world.send("q", "healthy");
    assert_eq!(world.bodies("q"), ["healthy"], "the receive that moves a message still fills up");
    let dead = world.receive("dead", 1).remove(0);
    assert_eq!((&dead.message_id, count(&dead)), (&sent.message_id, "3"));
    assert_eq!(dead.attributes["DeadLetterQueueSourceArn"], Sqs::queue_arn("q"));
    assert_eq!(dead.attributes["SentTimestamp"], START.to_string());
}

#[test]
fn a_message_stays_when_its_dead_letter_queue_is_gone() {
    let world = World::new(None);
    world.queue(QueueSpec::new("dead")).queue(QueueSpec::new("q").with_redrive("dead", 1));
    world.send("q", "poison");
    world.sqs.store().delete_queue("dead", START).unwrap();
    for expected in ["1", "2", "3"] {
        assert_eq!(count(&world.receive("q", 1)[0]), expected);
        world.pass(30);
    }
}

#[test]
fn a_message_past_its_retention_is_not_given_out_counted_or_waited_for() {
    let world = World::new(None);
    world.queue(QueueSpec::new("q").with("MessageRetentionPeriod", "60"));
    world.send("q", "old");
    world.pass(30);
    world.send("q", "young");
    world.pass(30);
    assert_eq!(world.depth("q"), (1, 0, 0));
    assert_eq!(world.bodies("q"), ["young"]);
    world.pass(30);
    assert_eq!(world.depth("q"), (0, 0, 0));
    assert_eq!(world.sqs.store().next_due("q", START + 90_000).unwrap(), None);
}

#[test]
fn a_group_waits_for_its_message_in_flight_and_other_groups_do_not() {
    let world = World::new(None);
    world.queue(fifo("q.fifo"));
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3")] {
        world.send_in_group("q.fifo", group, body);
    }
    let first = world.receive("q.fifo", 1).remove(0);
    assert_eq!(first.body, "a1");
    assert_eq!(world.bodies("q.fifo"), ["b1"]);
    assert_eq!(world.bodies("q.fifo"), [""; 0]);
    world.delete("q.fifo", &first).unwrap();
    assert_eq!(world.bodies("q.fifo"), ["a2", "a3"], "one receive takes a group's messages in order");
    world.pass(30);
    assert_eq!(world.bodies("q.fifo"), ["a2", "b1", "a3"], "what was not deleted comes again, in order");
}

#[test]
fn a_fifo_handle_ends_with_its_visibility_timeout() {
    let world = World::new(None);
    world.queue(fifo("q.fifo")).queue(QueueSpec::new("plain"));
    world.send_in_group("q.fifo", "a", "m");
    world.send("plain", "m");
    let (ordered, plain) = (world.receive("q.fifo", 1).remove(0), world.receive("plain", 1).remove(0));
    world.pass(30);
    assert_eq!(world.delete("q.fifo", &ordered), Err(Some(Code::InvalidParameterValue)));
    assert_eq!(world.delete("plain", &plain), Ok(()));
    assert_eq!((world.depth("q.fifo"), world.depth("plain")), ((1, 0, 0), (0, 0, 0)));
    assert_eq!(
        world.delete("q.fifo", &plain),
        Err(Some(Code::ReceiptHandleIsInvalid)),
        "another queue's handle"
    );
}

#[test]
fn an_old_handle_does_not_change_the_visibility_of_a_later_receive() {
    let world = World::new(None);
    world.queue(QueueSpec::new("q"));
    world.send("q", "m");
    let old = world.receive("q", 1).remove(0);
    world.pass(30);
    let held = world.receive("q", 1).remove(0);
    let show = |message: &ReceivedMessage| {
        let entry = (message.receipt_handle.clone(), 0);
        let mut results = world.sqs.store().hide("q", &[entry], world.sqs.now()).unwrap();
        results.remove(0).map_err(|error| error.code())
    };
    assert_eq!(show(&old), Err(Some(Code::InvalidParameterValue)));
    assert_eq!(world.depth("q"), (0, 1, 0));
    assert_eq!(show(&held), Ok(()));
    assert_eq!(world.depth("q"), (1, 0, 0));
}

#[test]
fn a_deduplication_id_counts_for_five_minutes_even_after_the_message_is_deleted() {
    let world = World::new(None);
    world.queue(fifo("q.fifo")).queue(fifo("groups.fifo").with("DeduplicationScope", "messageGroup"));
    let first = world.send_in_group("q.fifo", "a", "m");
    let received = world.receive("q.fifo", 1).remove(0);
    world.delete("q.fifo", &received).unwrap();
    world.pass(299);
    assert_eq!(world.send_in_group("q.fifo", "b", "m"), first);
    assert_eq!(world.depth("q.fifo"), (0, 0, 0));
    world.pass(1);
    assert_ne!(world.send_in_group("q.fifo", "b", "m").message_id, first.message_id);

    let in_a = world.send_in_group("groups.fifo", "a", "m");
    assert_ne!(world.send_in_group("groups.fifo", "b", "m").message_id, in_a.message_id);
    assert_eq!(world.send_in_group("groups.fifo", "a", "m").message_id, in_a.message_id);
}

#[test]
fn the_delay_of_a_fifo_queue_counts_for_what_is_already_in_it_and_a_standard_queues_does_not() {
    let world = World::new(None);
    world.queue(fifo("q.fifo")).queue(QueueSpec::new("plain"));
    world.send_in_group("q.fifo", "a", "m");
    world.send("plain", "m");
    world
        .queue(fifo("q.fifo").with("DelaySeconds", "10"))
        .queue(QueueSpec::new("plain").with("DelaySeconds", "10"));
    assert_eq!((world.depth("q.fifo"), world.depth("plain")), ((0, 0, 1), (1, 0, 0)));
}

#[test]
fn a_fifo_message_begins_its_retention_anew_among_the_dead_letters() {
    let world = World::new(None);
    world.queue(fifo("dead.fifo").with("MessageRetentionPeriod", "60"));
    world.queue(fifo("q.fifo").with_redrive("dead.fifo", 1));
    let sent = world.send_in_group("q.fifo", "a", "m");
    world.bodies("q.fifo");
    world.pass(100);
    assert_eq!(world.bodies("q.fifo"), [""; 0]);
    world.pass(59);
    let dead = world.receive("dead.fifo", 1).remove(0);
    assert_eq!(
        (&dead.message_id, &dead.attributes["MessageDeduplicationId"]),
        (&sent.message_id, &sent.message_id)
    );
}

#[test]
fn a_move_at_a_rate_goes_on_by_the_second_and_can_be_cancelled() {
    let world = World::new(None);
    world.queue(QueueSpec::new("dead")).queue(QueueSpec::new("q").with_redrive("dead", 1));
    (0..5).for_each(|n| drop(world.send("q", &n.to_string())));
    world.bodies("q");
    world.pass(30);
    assert_eq!(world.bodies("q"), [""; 0]);
    let source = Sqs::queue_arn("dead");
    let start = |rate| world.sqs.store().start_move(&source, None, rate, world.sqs.now());
    let handle = start(Some(2)).unwrap();
    assert_eq!(world.depth("q").0, 2);
    assert_eq!(start(None).unwrap_err().code(), Some(Code::UnsupportedOperation), "one task at a time");
    world.pass(1);
    assert_eq!(world.depth("q").0, 4);
    assert_eq!(world.sqs.store().cancel_move(&handle, world.sqs.now()).unwrap(), 4);
    world.pass(9);
    assert_eq!((world.depth("q").0, world.depth("dead").0), (4, 1));
    start(None).unwrap();
    let tasks = world.sqs.store().list_moves(&source, 10, world.sqs.now()).unwrap();
    let states: Vec<_> = tasks.iter().map(|task| (task.status.as_str(), task.moved, task.to_move)).collect();
    assert_eq!(states, [("COMPLETED", 1, 1), ("CANCELLED", 4, 5)]);
    assert!(
        world.receive("q", 10).iter().all(|message| count(message) == "1"),
        "redriven messages are new ones"
    );
}

#[test]
fn a_move_without_a_destination_fails_for_messages_that_were_sent_to_the_dead_letters_directly() {
    let world = World::new(None);
    world.queue(QueueSpec::new("dead")).queue(QueueSpec::new("q").with_redrive("dead", 1));
    world.send("dead", "from nowhere");
    world.sqs.store().start_move(&Sqs::queue_arn("dead"), None, None, START).unwrap();
    let task = world.sqs.store().list_moves(&Sqs::queue_arn("dead"), 1, START).unwrap().remove(0);
    assert_eq!((task.status.as_str(), task.moved, world.depth("dead").0), ("FAILED", 0, 1));
}

#[tokio::test]
async fn a_wait_ends_on_arrival_and_when_a_delay_or_a_visibility_timeout_ends() {
    let world = World::new(None);
    world.queue(QueueSpec::new("q").with("VisibilityTimeout", "60"));
    let waiting = |sqs: Sqs| tokio::spawn(async move { sqs.wait("q").await.map_err(|e| e.code()) });

    let arrival = waiting(world.sqs.clone());
    tokio::task::yield_now().await;
    assert!(!arrival.is_finished());
    let delayed = OutgoingMessage { delay_seconds: Some(60), ..OutgoingMessage::new("m") };
    world.sqs.send("q", delayed).unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!arrival.is_finished(), "a delayed message has not arrived");
    world.pass(60);
    assert_eq!(arrival.await.unwrap(), Ok(()));

    let message = world.receive("q", 1).remove(0);
    let expiry = waiting(world.sqs.clone());
    tokio::task::yield_now().await;
    world.pass(59);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!expiry.is_finished());
    world.pass(1);
    assert_eq!(expiry.await.unwrap(), Ok(()));

    world.delete("q", &message).unwrap();
    let prompt = waiting(world.sqs.clone());
    tokio::task::yield_now().await;
    world.send("q", "m");
    let prompt = tokio::time::timeout(std::time::Duration::from_secs(10), prompt).await;
    assert_eq!(prompt.expect("nobody was told of the message").unwrap(), Ok(()));

    let message = world.receive("q", 1).remove(0);
    world.delete("q", &message).unwrap();
    let deleted = waiting(world.sqs.clone());
    tokio::task::yield_now().await;
    world.sqs.store().delete_queue("q", START).unwrap();
    assert_eq!(deleted.await.unwrap(), Err(Some(Code::QueueDoesNotExist)));
}

#[tokio::test]
async fn a_wait_for_a_group_ends_when_its_message_in_flight_is_deleted() {
    let world = World::new(None);
    world.queue(fifo("q.fifo"));
    world.send_in_group("q.fifo", "a", "one");
    world.send_in_group("q.fifo", "a", "two");
    let first = world.receive("q.fifo", 1).remove(0);
    let sqs = world.sqs.clone();
    let waiting = tokio::spawn(async move { sqs.wait("q.fifo").await.is_ok() });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    world.delete("q.fifo", &first).unwrap();
    assert!(waiting.await.unwrap());
    assert_eq!(world.bodies("q.fifo"), ["two"]);
}

#[tokio::test]
async fn a_refusal_has_its_shape_in_the_body_and_its_older_code_in_the_header() {
    let world = World::new(None);
    let request = |target: &str, body: &'static str| {
        let request =
            http::Request::post("/").header("x-amz-target", target).body(Bytes::from_static(body.as_bytes()));
        world.sqs.call(request.unwrap())
    };
    let shown = |response: http::Response<Bytes>| {
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        let header =
            response.headers().get("x-amzn-query-error").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), body["__type"].as_str().map(str::to_owned), header)
    };
    let missing =
        request("AmazonSQS.SendMessage", r#"{"QueueUrl":"http://x/0/nope","MessageBody":"m"}"#).await;
    assert_eq!(missing.headers()["content-type"], "application/x-amz-json-1.0");
    let expected = |shape: &str, code: &str| (400, Some(shape.to_owned()), Some(format!("{code};Sender")));
    assert_eq!(
        shown(missing),
        expected("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
    );
    assert_eq!(
        shown(request("AmazonSQS.SendMessage", "{").await),
        expected("com.amazon.coral.service#SerializationException", "MalformedInput")
    );
    assert_eq!(
        shown(request("AmazonSQS.Juggle", "{}").await),
        expected("com.amazon.coral.service#UnknownOperationException", "InvalidAction")
    );
}

#[test]
fn looking_at_a_queue_receives_nothing_and_what_was_seen_can_be_put_back() {
    let world = World::new(None);
    world.queue(QueueSpec::new("dead"));
    world.queue(QueueSpec::new("q").with("VisibilityTimeout", "60").with_redrive("dead", 2));
    world.send("q", "held");
    world.receive("q", 1);
    world
        .sqs
        .send("q", OutgoingMessage { delay_seconds: Some(30), ..OutgoingMessage::new("later") })
        .unwrap();
    let held = |body: &str, seconds: i64, receives: i64| Held {
        body: body.to_owned(),
        visible_at: START + seconds * 1000,
        receive_count: receives,
        sent_at: START,
        first_received_at: (receives > 0).then_some(START),
        dead_from: None,
    };
    let seen = [held("later", 30, 0), held("held", 60, 1)];
    for _ in 0..2 {
        assert_eq!(world.sqs.contents("q").unwrap(), seen);
    }
    assert_eq!(world.depth("q"), (0, 1, 1));

    world.pass(60);
    assert_eq!(world.bodies("q"), ["later", "held"]);
    world.sqs.put_back("q", &seen).unwrap();
    assert_eq!(world.sqs.contents("q").unwrap(), seen);
    let again = world.receive("q", 10);
    assert_eq!(again.iter().map(count).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(world.delete("q", &again[0]), Ok(()));
    world.pass(60);
    assert_eq!(world.bodies("q"), Vec::<String>::new());
    let dead = world.sqs.contents("dead").unwrap();
    assert_eq!((dead[0].body.as_str(), dead[0].dead_from.as_deref()), ("held", Some("q")));
}
