//! Behaviours of FIFO queues: order, groups, deduplication.

use crate::Behaviour;
use crate::server::{bodies, handle, verdict};
use aws_sdk_sqs::types::QueueAttributeName;

pub(crate) const LIST: &[Behaviour] = &[
    Behaviour {
        name: "a FIFO queue's name ends in .fifo",
        documented: "InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let create = s.client.create_queue().queue_name(s.new_name());
                Ok(verdict(create.attributes(QueueAttributeName::FifoQueue, "true").send().await))
            })
        },
    },
    Behaviour {
        name: "messages of a group come in order, and together if there is room",
        documented: "a1 a2 a3",
        observe: |s| {
            Box::pin(async move {
                let url = s.fifo_queue(&[]).await?;
                for body in ["a1", "a2", "a3"] {
                    s.send_in_group(&url, "a", body).await?;
                }
                Ok(bodies(&s.receive_up_to(&url, 10, 2).await?))
            })
        },
    },
    Behaviour {
        name: "a group waits while one of its messages is in flight, other groups do not",
        documented: "a1, then b1, then nothing, after the deletion a2",
        observe: |s| {
            Box::pin(async move {
                let url = s.fifo_queue(&[]).await?;
                for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
                    s.send_in_group(&url, group, body).await?;
                }
                let first = s.receive(&url).await?;
                let then = bodies(&s.receive_up_to(&url, 10, 2).await?);
                let nothing = bodies(&s.receive_now(&url).await?);
                let nothing = if nothing.is_empty() { "nothing" } else { &nothing };
                s.client.delete_message().queue_url(&url).receipt_handle(handle(&first)).send().await?;
                let after = bodies(&s.receive_up_to(&url, 10, 2).await?);
                let first = first.body().unwrap_or_default();
                Ok(format!("{first}, then {then}, then {nothing}, after the deletion {after}"))
            })
        },
    },
    Behaviour {
        name: "a message that was not deleted comes again before the rest of its group",
        documented: "a1, a second later a1 a2",
        observe: |s| {
            Box::pin(async move {
                let url = s.fifo_queue(&[("VisibilityTimeout", "1")]).await?;
                for body in ["a1", "a2"] {
                    s.send_in_group(&url, "a", body).await?;
                }
                let first = s.receive(&url).await?;
                s.pass(1).await;
                let again = bodies(&s.receive_up_to(&url, 10, 2).await?);
                Ok(format!("{}, a second later {again}", first.body().unwrap_or_default()))
            })
        },
    },
    Behaviour {
        name: "a repeated deduplication id is accepted and sends nothing, even after a deletion",
        documented: "same id, 1 message; after its deletion: same id, 0 messages",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("FifoQueue", "true")]).await?;
                let send = |body: &str| {
                    let send = s.client.send_message().queue_url(&url).message_body(body);
                    send.message_group_id("a").message_deduplication_id("once").send()
                };
                let (first, second) = (send("one").await?, send("two").await?);
                let same =
                    |id: &Option<String>| if *id == first.message_id { "same id" } else { "another id" };
                let got = s.receive_up_to(&url, 10, 2).await?;
                let held = got.first().ok_or("no message")?;
                s.client.delete_message().queue_url(&url).receipt_handle(handle(held)).send().await?;
                let third = send("three").await?;
                let (before, after) = (same(&second.message_id), same(&third.message_id));
                let left = s.receive_now(&url).await?.len();
                Ok(format!("{before}, {} message; after its deletion: {after}, {left} messages", got.len()))
            })
        },
    },
    Behaviour {
        name: "with content-based deduplication the same body is the same message",
        documented: "same id, other body another id",
        observe: |s| {
            Box::pin(async move {
                let url = s.fifo_queue(&[]).await?;
                let first = s.send_in_group(&url, "a", "m").await?.message_id;
                let same = first == s.send_in_group(&url, "b", "m").await?.message_id;
                let other = first == s.send_in_group(&url, "a", "n").await?.message_id;
                let word = |same| if same { "same id" } else { "another id" };
                Ok(format!("{}, other body {}", word(same), word(other)))
            })
        },
    },
    Behaviour {
        name: "deduplication can be by message group",
        documented: "another id",
        observe: |s| {
            Box::pin(async move {
                let url = s.fifo_queue(&[("DeduplicationScope", "messageGroup")]).await?;
                let first = s.send_in_group(&url, "a", "m").await?.message_id;
                let same = first == s.send_in_group(&url, "b", "m").await?.message_id;
                Ok(if same { "same id" } else { "another id" }.to_owned())
            })
        },
    },
    Behaviour {
        name: "a FIFO message needs a group and a deduplication id",
        documented: "MissingParameter InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("FifoQueue", "true")]).await?;
                let send = || s.client.send_message().queue_url(&url).message_body("m");
                let alone = send().message_deduplication_id("d").send().await;
                let repeatable = send().message_group_id("a").send().await;
                Ok(format!("{} {}", verdict(alone), verdict(repeatable)))
            })
        },
    },
    Behaviour {
        name: "a FIFO message has no delay of its own",
        documented: "InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let url = s.fifo_queue(&[]).await?;
                let send = s.client.send_message().queue_url(&url).message_body("m").message_group_id("a");
                Ok(verdict(send.delay_seconds(5).send().await))
            })
        },
    },
    Behaviour {
        name: "sequence numbers grow",
        documented: "grow",
        observe: |s| {
            Box::pin(async move {
                let url = s.fifo_queue(&[]).await?;
                let mut numbers = Vec::new();
                for body in ["1", "2", "3"] {
                    let number = s.send_in_group(&url, "a", body).await?.sequence_number;
                    numbers.push(number.ok_or("no sequence number")?.parse::<u128>()?);
                }
                Ok(if numbers.is_sorted_by(|a, b| a < b) { "grow" } else { "do not grow" }.to_owned())
            })
        },
    },
    Behaviour {
        name: "a FIFO message cannot be deleted after its visibility timeout",
        documented: "InvalidParameterValue, 1 visible, 0 in flight, 0 delayed",
        observe: |s| {
            Box::pin(async move {
                let url = s.fifo_queue(&[("VisibilityTimeout", "1")]).await?;
                s.send_in_group(&url, "a", "m").await?;
                let held = s.receive(&url).await?;
                s.pass(1).await;
                let deleted =
                    s.client.delete_message().queue_url(&url).receipt_handle(handle(&held)).send().await;
                Ok(format!("{}, {}", verdict(deleted), s.depth(&url).await?))
            })
        },
    },
    Behaviour {
        name: "the dead letters of a FIFO queue are a FIFO queue",
        documented: "refused",
        observe: |s| {
            Box::pin(async move {
                let url = s.fifo_queue(&[]).await?;
                let arn = s.attribute(&s.queue(&[]).await?, "QueueArn").await?;
                let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"3"}}"#);
                let set = s.client.set_queue_attributes().queue_url(&url);
                let set = set.attributes(QueueAttributeName::RedrivePolicy, policy).send().await;
                Ok(if set.is_err() { "refused" } else { "accepted" }.to_owned())
            })
        },
    },
];
