//! Behaviours of dead-letter queues: when a message goes there, and how it comes back.

use crate::Behaviour;
use crate::server::{Failure, Server, handle, system, verdict};
use aws_sdk_sqs::types::QueueAttributeName;

/// A message in a dead-letter queue: the queue it came from, and the dead letters.
async fn dead_letter(s: &Server, body: &str) -> Result<(String, String), Failure> {
    let (url, dead) = s.queue_with_dead_letters(1).await?;
    s.send(&url, body).await?;
    s.receive(&url).await?;
    s.pass(1).await;
    s.receive_now(&url).await?;
    Ok((url, dead))
}

pub(crate) const LIST: &[Behaviour] = &[
    Behaviour {
        name: "a message goes to the dead letters on the receive after the last one allowed",
        documented: "received 2 times, then 0; dead: the same message, from its queue",
        observe: |s| {
            Box::pin(async move {
                let (url, dead) = s.queue_with_dead_letters(2).await?;
                let sent = s.send(&url, "poison").await?;
                s.receive(&url).await?;
                s.pass(1).await;
                let times = system(&s.receive(&url).await?, "ApproximateReceiveCount");
                s.pass(1).await;
                let then = s.receive_now(&url).await?.len();
                let found = s.receive(&dead).await?;
                let same = if found.message_id == sent.message_id { "the same" } else { "another" };
                let origin = system(&found, "DeadLetterQueueSourceArn");
                let from =
                    if origin == s.attribute(&url, "QueueArn").await? { "its queue" } else { "elsewhere" };
                Ok(format!("received {times} times, then {then}; dead: {same} message, from {from}"))
            })
        },
    },
    Behaviour {
        name: "a message received often enough stays until it is received again",
        documented: "1 visible, 0 in flight, 0 delayed; dead: 0 visible, 0 in flight, 0 delayed",
        observe: |s| {
            Box::pin(async move {
                let (url, dead) = s.queue_with_dead_letters(1).await?;
                s.send(&url, "poison").await?;
                s.receive(&url).await?;
                s.pass(1).await;
                Ok(format!("{}; dead: {}", s.depth(&url).await?, s.depth(&dead).await?))
            })
        },
    },
    Behaviour {
        name: "receives are counted across both queues",
        documented: "2",
        observe: |s| {
            Box::pin(async move {
                let (_, dead) = dead_letter(&s, "m").await?;
                Ok(system(&s.receive(&dead).await?, "ApproximateReceiveCount"))
            })
        },
    },
    Behaviour {
        name: "a redrive policy to a queue that does not exist is refused",
        documented: "refused",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let arn = format!("{}-absent", s.attribute(&url, "QueueArn").await?);
                let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"3"}}"#);
                let set = s.client.set_queue_attributes().queue_url(&url);
                let set = set.attributes(QueueAttributeName::RedrivePolicy, policy).send().await;
                Ok(if set.is_err() { "refused" } else { "accepted" }.to_owned())
            })
        },
    },
    Behaviour {
        name: "a redrive policy needs 1 to 1000 receives",
        documented: "refused",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let arn = s.attribute(&s.queue(&[]).await?, "QueueArn").await?;
                let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"0"}}"#);
                let set = s.client.set_queue_attributes().queue_url(&url);
                let set = set.attributes(QueueAttributeName::RedrivePolicy, policy).send().await;
                Ok(if set.is_err() { "refused" } else { "accepted" }.to_owned())
            })
        },
    },
    Behaviour {
        name: "a message move brings dead letters back as new messages",
        documented: "COMPLETED, 1 moved; back: m, another id, received 1 times",
        observe: |s| {
            Box::pin(async move {
                let (url, dead) = dead_letter(&s, "m").await?;
                let arn = s.attribute(&dead, "QueueArn").await?;
                let found = s.receive(&dead).await?;
                let show = s.client.change_message_visibility().queue_url(&dead).visibility_timeout(0);
                show.receipt_handle(handle(&found)).send().await?;
                let started = s.client.start_message_move_task().source_arn(&arn).send().await;
                if started.is_err() {
                    return Ok(verdict(started));
                }
                let mut status = String::new();
                for _ in 0..20 {
                    let tasks = s.client.list_message_move_tasks().source_arn(&arn).send().await?;
                    let task = tasks.results().first().ok_or("no task")?;
                    status = format!(
                        "{}, {} moved",
                        task.status().unwrap_or_default(),
                        task.approximate_number_of_messages_moved()
                    );
                    if task.status() != Some("RUNNING") {
                        break;
                    }
                    s.pass(1).await;
                }
                let back = s.receive(&url).await?;
                let id = if back.message_id == found.message_id { "the same id" } else { "another id" };
                let times = system(&back, "ApproximateReceiveCount");
                Ok(format!(
                    "{status}; back: {}, {id}, received {times} times",
                    back.body().unwrap_or_default()
                ))
            })
        },
    },
    Behaviour {
        name: "messages move only out of dead-letter queues",
        documented: "refused",
        observe: |s| {
            Box::pin(async move {
                let arn = s.attribute(&s.queue(&[]).await?, "QueueArn").await?;
                let started = s.client.start_message_move_task().source_arn(arn).send().await;
                Ok(if started.is_err() { "refused" } else { "accepted" }.to_owned())
            })
        },
    },
    Behaviour {
        name: "message moves out of a queue that does not exist are not found",
        documented: "ResourceNotFoundException",
        observe: |s| {
            Box::pin(async move {
                let arn = format!("{}-absent", s.attribute(&s.queue(&[]).await?, "QueueArn").await?);
                Ok(verdict(s.client.start_message_move_task().source_arn(arn).send().await))
            })
        },
    },
];
