//! Behaviours of queues: names, attributes, listing, deletion.

use crate::Behaviour;
use crate::server::{bodies, verdict};
use aws_sdk_sqs::types::QueueAttributeName;

pub(crate) const LIST: &[Behaviour] = &[
    Behaviour {
        name: "a queue can be made again with the same attributes, not with others",
        documented: "same URL, QueueAlreadyExists",
        observe: |s| {
            Box::pin(async move {
                let name = s.new_name();
                let create = |seconds: &str| {
                    let attribute = QueueAttributeName::VisibilityTimeout;
                    s.client.create_queue().queue_name(&name).attributes(attribute, seconds).send()
                };
                let (first, again) = (create("40").await?, create("40").await?);
                let same = if first.queue_url == again.queue_url { "same URL" } else { "another URL" };
                Ok(format!("{same}, {}", verdict(create("41").await)))
            })
        },
    },
    Behaviour {
        name: "a queue's name has letters, digits, hyphens and underscores, at most 80",
        documented: "InvalidParameterValue InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let long = format!("{}-{}", s.run, "x".repeat(80));
                let spaced = s.client.create_queue().queue_name("not a name").send().await;
                let long = s.client.create_queue().queue_name(long).send().await;
                Ok(format!("{} {}", verdict(spaced), verdict(long)))
            })
        },
    },
    Behaviour {
        name: "a numeric attribute outside its range is refused",
        documented: "InvalidAttributeValue",
        observe: |s| {
            Box::pin(async move {
                let create = s.client.create_queue().queue_name(s.new_name());
                Ok(verdict(create.attributes(QueueAttributeName::VisibilityTimeout, "43201").send().await))
            })
        },
    },
    Behaviour {
        name: "an attribute that does not exist is refused",
        documented: "InvalidAttributeName",
        observe: |s| {
            Box::pin(async move {
                let create = s.client.create_queue().queue_name(s.new_name());
                Ok(verdict(create.attributes(QueueAttributeName::from("Colour"), "red").send().await))
            })
        },
    },
    Behaviour {
        name: "a new queue has the documented defaults",
        documented: "delay 0, size 1048576, retention 345600, wait 0, visibility 30",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let mut shown = Vec::new();
                for (word, name) in [
                    ("delay", "DelaySeconds"),
                    ("size", "MaximumMessageSize"),
                    ("retention", "MessageRetentionPeriod"),
                    ("wait", "ReceiveMessageWaitTimeSeconds"),
                    ("visibility", "VisibilityTimeout"),
                ] {
                    shown.push(format!("{word} {}", s.attribute(&url, name).await?));
                }
                Ok(shown.join(", "))
            })
        },
    },
    Behaviour {
        name: "no attributes are returned when none are asked for",
        documented: "0 attributes",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let got = s.client.get_queue_attributes().queue_url(&url).send().await?;
                Ok(format!("{} attributes", got.attributes.map_or(0, |all| all.len())))
            })
        },
    },
    Behaviour {
        name: "changed attributes are seen and the others stay",
        documented: "delay 5, visibility 40",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("VisibilityTimeout", "40")]).await?;
                let set = s.client.set_queue_attributes().queue_url(&url);
                set.attributes(QueueAttributeName::DelaySeconds, "5").send().await?;
                let delay = s.attribute(&url, "DelaySeconds").await?;
                Ok(format!("delay {delay}, visibility {}", s.attribute(&url, "VisibilityTimeout").await?))
            })
        },
    },
    Behaviour {
        name: "a queue that was never made does not exist for any action",
        documented: "AWS.SimpleQueueService.NonExistentQueue AWS.SimpleQueueService.NonExistentQueue",
        observe: |s| {
            Box::pin(async move {
                let there = s.queue(&[]).await?;
                let (_, name) = there.rsplit_once('/').ok_or("no path in the URL")?;
                let url = there.replace(name, &s.new_name());
                let found = s.client.get_queue_url().queue_name(s.new_name()).send().await;
                let sent = s.client.send_message().queue_url(url).message_body("m").send().await;
                Ok(format!("{} {}", verdict(found), verdict(sent)))
            })
        },
    },
    Behaviour {
        name: "queues are listed by prefix, in pages of the size asked for",
        documented: "2 with a token, then 1 without",
        observe: |s| {
            Box::pin(async move {
                let prefix = format!("{}-pages", s.new_name());
                for name in ["a", "b", "c"] {
                    s.client.create_queue().queue_name(format!("{prefix}-{name}")).send().await?;
                }
                s.pass(1).await;
                let list = || s.client.list_queues().queue_name_prefix(&prefix).max_results(2);
                let first = list().send().await?;
                let token = first.next_token().map(str::to_owned);
                let with = if token.is_some() { "with" } else { "without" };
                let second = list().set_next_token(token).send().await?;
                let then = if second.next_token().is_some() { "with" } else { "without" };
                let (first, second) = (first.queue_urls().len(), second.queue_urls().len());
                Ok(format!("{first} {with} a token, then {second} {then}"))
            })
        },
    },
    Behaviour {
        name: "a deleted queue is gone",
        documented: "AWS.SimpleQueueService.NonExistentQueue",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.client.delete_queue().queue_url(&url).send().await?;
                Ok(verdict(s.client.send_message().queue_url(url).message_body("m").send().await))
            })
        },
    },
    Behaviour {
        name: "a deleted queue's name is free again only after 60 seconds",
        documented: "AWS.SimpleQueueService.QueueDeletedRecently",
        observe: |s| {
            Box::pin(async move {
                let name = s.new_name();
                let url = s.client.create_queue().queue_name(&name).send().await?.queue_url;
                s.client.delete_queue().set_queue_url(url).send().await?;
                Ok(verdict(s.client.create_queue().queue_name(&name).send().await))
            })
        },
    },
    Behaviour {
        name: "a purge empties the queue, in flight or not",
        documented: "0 visible, 0 in flight, 0 delayed",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.send(&url, "held").await?;
                s.receive(&url).await?;
                s.send(&url, "waiting").await?;
                s.client.purge_queue().queue_url(&url).send().await?;
                s.depth(&url).await
            })
        },
    },
    Behaviour {
        name: "a queue is purged at most once in 60 seconds",
        documented: "AWS.SimpleQueueService.PurgeQueueInProgress",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.client.purge_queue().queue_url(&url).send().await?;
                Ok(verdict(s.client.purge_queue().queue_url(&url).send().await))
            })
        },
    },
    Behaviour {
        name: "messages are counted as visible, in flight and delayed",
        documented: "1 visible, 1 in flight, 1 delayed",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.send(&url, "held").await?;
                s.receive(&url).await?;
                s.send(&url, "waiting").await?;
                s.client.send_message().queue_url(&url).message_body("late").delay_seconds(60).send().await?;
                s.depth(&url).await
            })
        },
    },
    Behaviour {
        name: "a queue's own delay holds for messages without one",
        documented: "at once: prompt; two seconds later: late",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("DelaySeconds", "2")]).await?;
                s.send(&url, "late").await?;
                s.client
                    .send_message()
                    .queue_url(&url)
                    .message_body("prompt")
                    .delay_seconds(0)
                    .send()
                    .await?;
                let at_once = bodies(&[s.receive(&url).await?]);
                s.pass(2).await;
                Ok(format!("at once: {at_once}; two seconds later: {}", bodies(&[s.receive(&url).await?])))
            })
        },
    },
];
