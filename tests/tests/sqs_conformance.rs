//! One list of SQS behaviours, asked of our own server, of ministack and, where credentials exist, of AWS itself.
//!
//! Every behaviour says what AWS documents and how to see it through the AWS SDK. The own server must show exactly that.
//! Where ministack shows something else, `MINISTACK_DEVIATES` names what, so that a change of either is noticed.

#[path = "sqs_conformance/fifo.rs"]
mod fifo;
#[path = "sqs_conformance/messages.rs"]
mod messages;
#[path = "sqs_conformance/ministack.rs"]
mod ministack;
#[path = "sqs_conformance/queues.rs"]
mod queues;
#[path = "sqs_conformance/redrive.rs"]
mod redrive;
#[path = "sqs_conformance/server.rs"]
mod server;

use futures::StreamExt;
use futures::future::BoxFuture;
use server::{Failure, Server};
use sluice_tests::needs;
use std::time::Duration;

/// One thing SQS does, as its documentation has it.
pub(crate) struct Behaviour {
    name: &'static str,
    documented: &'static str,
    observe: fn(Server) -> BoxFuture<'static, Result<String, Failure>>,
}

/// What ministack 1.5.33 shows instead of the documented behaviour.
const MINISTACK_DEVIATES: &[(&str, &str)] = &[
    ("a queue's name has letters, digits, hyphens and underscores, at most 80", "accepted accepted"),
    ("an attribute that does not exist is refused", "accepted"),
    ("no attributes are returned when none are asked for", "11 attributes"),
    ("a deleted queue's name is free again only after 60 seconds", "accepted"),
    ("a queue is purged at most once in 60 seconds", "accepted"),
    ("the visibility of a message that is not in flight cannot be changed", "accepted"),
    ("a message is hidden for at most twelve hours from its receive", "accepted, then accepted"),
    ("an old receipt handle is accepted and deletes nothing", "ReceiptHandleIsInvalid, 1 message left"),
    ("deleting twice is accepted", "accepted ReceiptHandleIsInvalid, 0 visible, 0 in flight, 0 delayed"),
    ("a message is delayed by 15 minutes at most", "accepted accepted"),
    ("attributes count towards the size of a message", "accepted"),
    ("a message has at most ten attributes", "accepted"),
    ("a message move brings dead letters back as new messages", "InvalidAction"),
    ("message moves out of a queue that does not exist are not found", "InvalidAction"),
    (
        "a FIFO message cannot be deleted after its visibility timeout",
        "accepted, 0 visible, 0 in flight, 0 delayed",
    ),
    ("the dead letters of a FIFO queue are a FIFO queue", "accepted"),
];

/// Behaviours that AWS documents as taking up to a minute, so that asking at once proves nothing.
const SETTLES_SLOWLY_ON_AWS: &[&str] = &[
    "a deleted queue is gone",
    "a purge empties the queue, in flight or not",
    "changed attributes are seen and the others stay",
];

fn behaviours() -> impl Iterator<Item = &'static Behaviour> {
    [queues::LIST, messages::LIST, redrive::LIST, fifo::LIST].into_iter().flatten()
}

async fn observe(server: &Server, behaviour: &Behaviour) -> String {
    match tokio::time::timeout(Duration::from_secs(60), (behaviour.observe)(server.clone())).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(failure)) => format!("failed: {failure}"),
        Err(_) => "no end within a minute".to_owned(),
    }
}

/// Fails with every behaviour that was not seen as expected.
fn judge(seen: &[(&'static Behaviour, String)], deviations: &[(&str, &str)]) {
    let deviation =
        |name: &str| deviations.iter().find(|(deviant, _)| *deviant == name).map(|(_, shown)| *shown);
    let wrong: Vec<String> = seen
        .iter()
        .filter(|(behaviour, shown)| shown != deviation(behaviour.name).unwrap_or(behaviour.documented))
        .map(|(b, shown)| format!("{}\n  documented: {}\n  shown:      {shown}\n", b.name, b.documented))
        .collect();
    assert!(wrong.is_empty(), "{} of {} behaviours:\n{}", wrong.len(), seen.len(), wrong.join(""));
}

#[test]
fn every_deviation_names_a_behaviour_and_differs_from_what_is_documented() {
    for (name, shown) in MINISTACK_DEVIATES {
        let found: Vec<_> = behaviours().filter(|behaviour| behaviour.name == *name).collect();
        assert!(found.len() == 1 && found[0].documented != *shown, "{name}");
    }
    for name in SETTLES_SLOWLY_ON_AWS {
        assert!(behaviours().any(|behaviour| behaviour.name == *name), "{name}");
    }
}

#[tokio::test]
async fn the_own_server_does_what_aws_documents() {
    let server = Server::own().await.unwrap();
    let mut seen = Vec::new();
    // One after the other: passing time for one passes it for all.
    for behaviour in behaviours() {
        seen.push((behaviour, observe(&server, behaviour).await));
    }
    judge(&seen, &[]);
}

#[tokio::test]
async fn ministack_does_what_aws_documents_except_for_what_is_listed() {
    let Some(ministack) = needs::found("ministack", ministack::start().await) else { return };
    let server = Server::ministack(ministack.port);
    judge(&side_by_side(&server, behaviours()).await, MINISTACK_DEVIATES);
}

#[tokio::test]
async fn aws_does_what_aws_documents() {
    let Some(server) = Server::aws() else {
        println!(
            "skipped: AWS is asked only with SLUICE_AWS_CONFORMANCE=1, AWS_REGION and credentials in the environment"
        );
        return;
    };
    let prompt = behaviours().filter(|behaviour| !SETTLES_SLOWLY_ON_AWS.contains(&behaviour.name));
    let seen = side_by_side(&server, prompt).await;
    server.delete_queues().await.unwrap();
    judge(&seen, &[]);
}

/// Several at a time, because most of what they do is wait; few enough that a second stays a second.
async fn side_by_side(
    server: &Server,
    list: impl Iterator<Item = &'static Behaviour>,
) -> Vec<(&'static Behaviour, String)> {
    let asked = list.map(|behaviour| async move { (behaviour, observe(server, behaviour).await) });
    futures::stream::iter(asked).buffered(8).collect().await
}
