//! Behaviours of messages: sending, receiving, digests, visibility, receipt handles, batches.

use crate::Behaviour;
use crate::server::{Failure, Server, bodies, handle, system, verdict};
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageAttributeValue, SendMessageBatchRequestEntry,
};

/// MD5 of `{"lead":"é"}` and of the attributes below, worked out by hand from the developer guide's recipe.
const BODY: &str = r#"{"lead":"é"}"#;
const MD5_OF_BODY: &str = "e6932be334e9839dee138527b0d98376";
const MD5_OF_ALL: &str = "0d382bd45ba6b777f07033c67815bc2b";
const MD5_OF_NAME: &str = "cc68980856af033f6dc1d77107ee6a8d";

fn text(kind: &str, value: &str) -> Result<MessageAttributeValue, Failure> {
    Ok(MessageAttributeValue::builder().data_type(kind).string_value(value).build()?)
}

async fn send_with_attributes(s: &Server, url: &str) -> Result<Option<String>, Failure> {
    let raw =
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255])).build()?;
    let send = s.client.send_message().queue_url(url).message_body(BODY);
    let send = send.message_attributes("name", text("String", "Zoë")?);
    let send = send.message_attributes("age", text("Number", "41")?).message_attributes("raw.bytes", raw);
    let sent = send.send().await?;
    Ok(sent.md5_of_message_attributes)
}

fn entry(id: &str, body: &str) -> Result<SendMessageBatchRequestEntry, Failure> {
    Ok(SendMessageBatchRequestEntry::builder().id(id).message_body(body).build()?)
}

async fn batch_verdict(s: &Server, url: &str, entries: &[(&str, &str)]) -> Result<String, Failure> {
    let entries = entries.iter().map(|(id, body)| entry(id, body)).collect::<Result<Vec<_>, _>>()?;
    let sent = s.client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
    Ok(verdict(sent))
}

fn failed(entries: &[BatchResultErrorEntry]) -> String {
    entries.iter().map(|e| format!("{} {}", e.id(), e.code())).collect::<Vec<_>>().join(", ")
}

/// Whether a wait of ten seconds that began at `started` ended early.
fn in_time(started: tokio::time::Instant) -> &'static str {
    if started.elapsed().as_secs() < 8 { "before the wait is over" } else { "when the wait was over" }
}

pub(crate) const LIST: &[Behaviour] = &[
    Behaviour {
        name: "the digests of body and attributes are those of the developer guide, on both sides",
        documented: "sent: body and attributes right; received: body and attributes right",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let attributes = send_with_attributes(&s, &url).await?;
                let body = s.send(&s.queue(&[]).await?, BODY).await?.md5_of_message_body;
                let sent = body.as_deref() == Some(MD5_OF_BODY) && attributes.as_deref() == Some(MD5_OF_ALL);
                let got = s.receive(&url).await?;
                let received = got.md5_of_body() == Some(MD5_OF_BODY)
                    && got.md5_of_message_attributes() == Some(MD5_OF_ALL);
                let word = |right| if right { "right" } else { "wrong" };
                let (sent, received) = (word(sent), word(received));
                Ok(format!("sent: body and attributes {sent}; received: body and attributes {received}"))
            })
        },
    },
    Behaviour {
        name: "a receive gives the attributes asked for and their digest",
        documented: "name: Zoë, right digest",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                send_with_attributes(&s, &url).await?;
                let receive = s.client.receive_message().queue_url(&url).wait_time_seconds(2);
                let got = receive.message_attribute_names("name").send().await?;
                let got = got.messages().first().ok_or("no message")?;
                let shown: Vec<_> = got
                    .message_attributes()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| format!("{name}: {}", value.string_value().unwrap_or("?")))
                    .collect();
                let right = got.md5_of_message_attributes() == Some(MD5_OF_NAME);
                Ok(format!("{}, {} digest", shown.join(" "), if right { "right" } else { "wrong" }))
            })
        },
    },
    Behaviour {
        name: "a receive gives the attributes with a prefix",
        documented: "raw.bytes",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                send_with_attributes(&s, &url).await?;
                let receive = s.client.receive_message().queue_url(&url).wait_time_seconds(2);
                let got = receive.message_attribute_names("raw.*").send().await?;
                let got = got.messages().first().ok_or("no message")?;
                let names = got.message_attributes().into_iter().flatten().map(|(name, _)| name.as_str());
                Ok(names.collect::<Vec<_>>().join(" "))
            })
        },
    },
    Behaviour {
        name: "system attributes count receives and tell when a message was sent and first received",
        documented: "received 2 times, first receive after sending and the same both times",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("VisibilityTimeout", "0")]).await?;
                s.send(&url, "m").await?;
                let first = s.receive(&url).await?;
                s.pass(1).await;
                let second = s.receive(&url).await?;
                let times = system(&second, "ApproximateReceiveCount");
                let at = |message, name| system(message, name).parse::<i64>();
                let received = at(&first, "ApproximateFirstReceiveTimestamp")?;
                let after = if received >= at(&first, "SentTimestamp")? { "after" } else { "before" };
                let same = received == at(&second, "ApproximateFirstReceiveTimestamp")?;
                let same = if same { "the same both times" } else { "another the second time" };
                Ok(format!("received {times} times, first receive {after} sending and {same}"))
            })
        },
    },
    Behaviour {
        name: "a receive gives system attributes only when asked",
        documented: "none",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                send_with_attributes(&s, &url).await?;
                let got = s.client.receive_message().queue_url(&url).wait_time_seconds(2).send().await?;
                let got = got.messages().first().ok_or("no message")?;
                let count = got.attributes().map_or(0, |all| all.len())
                    + got.message_attributes().map_or(0, |all| all.len());
                Ok(if count == 0 { "none".to_owned() } else { format!("{count}") })
            })
        },
    },
    Behaviour {
        name: "a receive gives one message unless told, and at most ten",
        documented: "1, InvalidParameterValue InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.send(&url, "a").await?;
                s.send(&url, "b").await?;
                let one = s.client.receive_message().queue_url(&url).wait_time_seconds(2).send().await?;
                let ask =
                    |most| s.client.receive_message().queue_url(&url).max_number_of_messages(most).send();
                let (eleven, none) = (ask(11).await, ask(0).await);
                Ok(format!("{}, {} {}", one.messages().len(), verdict(eleven), verdict(none)))
            })
        },
    },
    Behaviour {
        name: "a received message is hidden until its visibility timeout ends",
        documented: "at once: 0; two seconds later: 1, received 2 times",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("VisibilityTimeout", "2")]).await?;
                s.send(&url, "m").await?;
                s.receive(&url).await?;
                let hidden = s.receive_now(&url).await?.len();
                s.pass(2).await;
                let again = s.receive(&url).await?;
                let times = system(&again, "ApproximateReceiveCount");
                Ok(format!("at once: {hidden}; two seconds later: 1, received {times} times"))
            })
        },
    },
    Behaviour {
        name: "a receive's own visibility timeout goes before the queue's",
        documented: "a second later: 1",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("VisibilityTimeout", "3600")]).await?;
                s.send(&url, "m").await?;
                let receive = s.client.receive_message().queue_url(&url).visibility_timeout(1);
                receive.wait_time_seconds(2).send().await?;
                s.pass(1).await;
                Ok(format!("a second later: {}", s.receive_now(&url).await?.len()))
            })
        },
    },
    Behaviour {
        name: "a visibility timeout changed to zero shows the message at once",
        documented: "1",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.send(&url, "m").await?;
                let held = s.receive(&url).await?;
                let change = s.client.change_message_visibility().queue_url(&url).visibility_timeout(0);
                change.receipt_handle(handle(&held)).send().await?;
                Ok(s.receive_up_to(&url, 10, 2).await?.len().to_string())
            })
        },
    },
    Behaviour {
        name: "the visibility of a message that is not in flight cannot be changed",
        documented: "AWS.SimpleQueueService.MessageNotInflight",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("VisibilityTimeout", "0")]).await?;
                s.send(&url, "m").await?;
                let held = s.receive(&url).await?;
                s.pass(1).await;
                let change = s.client.change_message_visibility().queue_url(&url).visibility_timeout(30);
                Ok(verdict(change.receipt_handle(handle(&held)).send().await))
            })
        },
    },
    Behaviour {
        name: "a message is hidden for at most twelve hours from its receive",
        documented: "InvalidParameterValue, then accepted",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.send(&url, "m").await?;
                let held = s.receive(&url).await?;
                s.pass(2).await;
                let change = |seconds| {
                    let change = s.client.change_message_visibility().queue_url(&url);
                    change.receipt_handle(handle(&held)).visibility_timeout(seconds).send()
                };
                let longest = verdict(change(43_200).await);
                Ok(format!("{longest}, then {}", verdict(change(43_100).await)))
            })
        },
    },
    Behaviour {
        name: "an old receipt handle is accepted and deletes nothing",
        documented: "accepted, 1 message left",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("VisibilityTimeout", "0")]).await?;
                s.send(&url, "m").await?;
                let old = s.receive(&url).await?;
                s.pass(1).await;
                s.receive(&url).await?;
                let deleted =
                    s.client.delete_message().queue_url(&url).receipt_handle(handle(&old)).send().await;
                s.pass(1).await;
                Ok(format!("{}, {} message left", verdict(deleted), s.receive_now(&url).await?.len()))
            })
        },
    },
    Behaviour {
        name: "deleting twice is accepted",
        documented: "accepted accepted, 0 visible, 0 in flight, 0 delayed",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.send(&url, "m").await?;
                let held = s.receive(&url).await?;
                let delete =
                    || s.client.delete_message().queue_url(&url).receipt_handle(handle(&held)).send();
                let (first, second) = (verdict(delete().await), verdict(delete().await));
                Ok(format!("{first} {second}, {}", s.depth(&url).await?))
            })
        },
    },
    Behaviour {
        name: "a receipt handle that was never given out is refused",
        documented: "ReceiptHandleIsInvalid ReceiptHandleIsInvalid",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let delete =
                    s.client.delete_message().queue_url(&url).receipt_handle("invented").send().await;
                let change = s.client.change_message_visibility().queue_url(&url).visibility_timeout(1);
                let change = change.receipt_handle("invented").send().await;
                Ok(format!("{} {}", verdict(delete), verdict(change)))
            })
        },
    },
    Behaviour {
        name: "a delayed message comes when its delay has passed",
        documented: "at once: 0; two seconds later: 1",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.client.send_message().queue_url(&url).message_body("m").delay_seconds(2).send().await?;
                let at_once = s.receive_now(&url).await?.len();
                s.pass(2).await;
                Ok(format!(
                    "at once: {at_once}; two seconds later: {}",
                    s.receive_up_to(&url, 1, 2).await?.len()
                ))
            })
        },
    },
    Behaviour {
        name: "a message is delayed by 15 minutes at most",
        documented: "accepted InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let send = |delay| {
                    s.client.send_message().queue_url(&url).message_body("m").delay_seconds(delay).send()
                };
                Ok(format!("{} {}", verdict(send(900).await), verdict(send(901).await)))
            })
        },
    },
    Behaviour {
        name: "a body has at least one character, and only those of XML",
        documented: "MissingParameter InvalidMessageContents",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let send = |body: &str| s.client.send_message().queue_url(&url).message_body(body).send();
                Ok(format!("{} {}", verdict(send("").await), verdict(send("a\u{1}").await)))
            })
        },
    },
    Behaviour {
        name: "a message has at most 1,048,576 bytes",
        documented: "accepted InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let send =
                    |bytes| s.client.send_message().queue_url(&url).message_body("x".repeat(bytes)).send();
                Ok(format!("{} {}", verdict(send(1_048_576).await), verdict(send(1_048_577).await)))
            })
        },
    },
    Behaviour {
        name: "attributes count towards the size of a message",
        documented: "InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("MaximumMessageSize", "1024")]).await?;
                let send = s.client.send_message().queue_url(&url).message_body("x".repeat(1020));
                Ok(verdict(send.message_attributes("name", text("String", "Zoë")?).send().await))
            })
        },
    },
    Behaviour {
        name: "a message has at most ten attributes",
        documented: "InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let mut send = s.client.send_message().queue_url(&url).message_body("m");
                for n in 0..11 {
                    send = send.message_attributes(format!("a{n}"), text("String", "x")?);
                }
                Ok(verdict(send.send().await))
            })
        },
    },
    Behaviour {
        name: "a receive waits for a message that arrives meanwhile",
        documented: "m, before the wait is over",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let send = async {
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    s.send(&url, "m").await
                };
                let started = tokio::time::Instant::now();
                let (received, sent) = tokio::join!(s.receive_up_to(&url, 1, 10), send);
                sent?;
                Ok(format!("{}, {}", bodies(&received?), in_time(started)))
            })
        },
    },
    Behaviour {
        name: "a receive waits for a delay that ends meanwhile",
        documented: "m, before the wait is over",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.client.send_message().queue_url(&url).message_body("m").delay_seconds(1).send().await?;
                let started = tokio::time::Instant::now();
                let received = s.receive_up_to(&url, 1, 10).await?;
                Ok(format!("{}, {}", bodies(&received), in_time(started)))
            })
        },
    },
    Behaviour {
        name: "a receive that waited in vain is empty",
        documented: "0 after 1 second",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("ReceiveMessageWaitTimeSeconds", "1")]).await?;
                let started = tokio::time::Instant::now();
                let got = s.client.receive_message().queue_url(&url).send().await?;
                let waited = started.elapsed().as_millis() >= 950;
                Ok(format!("{} {}", got.messages().len(), if waited { "after 1 second" } else { "at once" }))
            })
        },
    },
    Behaviour {
        name: "a batch keeps the good messages and names the bad ones",
        documented: "sent a c; failed: b InvalidMessageContents",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let entries = [entry("a", "good")?, entry("b", "bad\u{1}")?, entry("c", "good")?];
                let sent = s.client.send_message_batch().queue_url(&url).set_entries(Some(entries.into()));
                let sent: SendMessageBatchOutput = sent.send().await?;
                let ids: Vec<_> = sent.successful().iter().map(|entry| entry.id()).collect();
                Ok(format!("sent {}; failed: {}", ids.join(" "), failed(sent.failed())))
            })
        },
    },
    Behaviour {
        name: "a message above the queue's own limit fails alone in its batch",
        documented: "failed: b InvalidParameterValue",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[("MaximumMessageSize", "1024")]).await?;
                let entries = [entry("a", "good")?, entry("b", &"x".repeat(1025))?];
                let sent = s.client.send_message_batch().queue_url(&url).set_entries(Some(entries.into()));
                Ok(format!("failed: {}", failed(sent.send().await?.failed())))
            })
        },
    },
    Behaviour {
        name: "a batch of none, of more than ten, with a repeated or a bad id is refused whole",
        documented: "EmptyBatchRequest TooManyEntriesInBatchRequest BatchEntryIdsNotDistinct InvalidBatchEntryId",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let ids: Vec<String> = (0..11).map(|n| n.to_string()).collect();
                let eleven: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "m")).collect();
                let mut shown = Vec::new();
                for entries in [&[][..], &eleven, &[("a", "m"), ("a", "m")], &[("not an id", "m")]] {
                    shown.push(batch_verdict(&s, &url, entries).await?);
                }
                Ok(shown.join(" ").replace("AWS.SimpleQueueService.", ""))
            })
        },
    },
    Behaviour {
        name: "a batch has at most 1,048,576 bytes together",
        documented: "AWS.SimpleQueueService.BatchRequestTooLong",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                let half = "x".repeat(600_000);
                batch_verdict(&s, &url, &[("a", &half), ("b", &half)]).await
            })
        },
    },
    Behaviour {
        name: "a batch of deletions keeps the good ones and names the bad ones",
        documented: "failed: bad ReceiptHandleIsInvalid; 0 visible, 0 in flight, 0 delayed",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.send(&url, "m").await?;
                let held = s.receive(&url).await?;
                let mut delete = s.client.delete_message_batch().queue_url(&url);
                for (id, handle) in [("bad", "invented"), ("good", handle(&held))] {
                    let entry =
                        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build()?;
                    delete = delete.entries(entry);
                }
                Ok(format!("failed: {}; {}", failed(delete.send().await?.failed()), s.depth(&url).await?))
            })
        },
    },
    Behaviour {
        name: "a batch of visibility changes keeps the good ones and names the bad ones",
        documented: "failed: bad ReceiptHandleIsInvalid; 1 visible, 0 in flight, 0 delayed",
        observe: |s| {
            Box::pin(async move {
                let url = s.queue(&[]).await?;
                s.send(&url, "m").await?;
                let held = s.receive(&url).await?;
                let mut change = s.client.change_message_visibility_batch().queue_url(&url);
                for (id, handle) in [("bad", "invented"), ("good", handle(&held))] {
                    let entry =
                        ChangeMessageVisibilityBatchRequestEntry::builder().id(id).receipt_handle(handle);
                    change = change.entries(entry.visibility_timeout(0).build()?);
                }
                Ok(format!("failed: {}; {}", failed(change.send().await?.failed()), s.depth(&url).await?))
            })
        },
    },
];
