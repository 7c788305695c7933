//! The servers that are asked, and the few calls every behaviour is made of.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::operation::send_message::SendMessageOutput;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use aws_smithy_http_client::tls;
use sluice_services::sqs::Sqs;
use sluice_services::{Now, listen};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// Something that should not have happened while looking.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Milliseconds since the epoch at which the own server's clock starts.
const START: i64 = 1_750_000_000_000;

/// A server under test.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) client: Client,
    /// Begins the name of every queue made here.
    pub(crate) run: String,
    made: Arc<AtomicUsize>,
    /// The own server, and the milliseconds its clock is ahead.
    own: Option<(Sqs, Arc<AtomicI64>)>,
    /// How long a new queue needs before it can be used.
    settling: Duration,
}

impl Server {
    /// The own server on a port of this machine. Its clock runs, and can be put forward.
    pub(crate) async fn own() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (ahead, started) = (Arc::new(AtomicI64::new(0)), tokio::time::Instant::now());
        let hand = ahead.clone();
        let now: Now =
            Arc::new(move || START + hand.load(Ordering::SeqCst) + started.elapsed().as_millis() as i64);
        let sqs = Sqs::open(None, now, url.clone())?;
        tokio::spawn(listen::serve(listener, Arc::new(sqs.clone())));
        Ok(Self { own: Some((sqs, ahead)), ..Self::at(config().endpoint_url(url)) })
    }

    /// A ministack that listens on `port`.
    pub(crate) fn ministack(port: u16) -> Self {
        Self::at(config().endpoint_url(format!("http://127.0.0.1:{port}")))
    }

    /// AWS, if it was asked for and there are credentials.
    pub(crate) fn aws() -> Option<Self> {
        let wanted = variable("SLUICE_AWS_CONFORMANCE").is_some_and(|value| value == "1");
        let credentials = Credentials::new(
            variable("AWS_ACCESS_KEY_ID").filter(|_| wanted)?,
            variable("AWS_SECRET_ACCESS_KEY")?,
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let region = Region::new(variable("AWS_REGION")?);
        let server = Self::at(config().region(region).credentials_provider(credentials));
        Some(Self { settling: Duration::from_secs(1), ..server })
    }

    fn at(config: Builder) -> Self {
        let run = format!("sluice-conformance-{}", std::process::id());
        let client = Client::from_conf(config.build());
        Self { client, run, made: Arc::default(), own: None, settling: Duration::ZERO }
    }

    /// Lets seconds pass: in no time where the clock can be put forward.
    pub(crate) async fn pass(&self, seconds: u32) {
        match &self.own {
            Some((sqs, ahead)) => {
                ahead.fetch_add(i64::from(seconds) * 1000, Ordering::SeqCst);
                sqs.poke();
            }
            // A little more, because timeouts are counted from when the server saw the request.
            None => tokio::time::sleep(Duration::from_millis(u64::from(seconds) * 1000 + 200)).await,
        }
    }

    /// A name that no queue has yet.
    pub(crate) fn new_name(&self) -> String {
        format!("{}-{}", self.run, self.made.fetch_add(1, Ordering::SeqCst))
    }

    /// A new queue's URL.
    pub(crate) async fn queue(&self, attributes: &[(&str, &str)]) -> Result<String, Failure> {
        let fifo = attributes.iter().any(|(name, _)| *name == "FifoQueue");
        let name = format!("{}{}", self.new_name(), if fifo { ".fifo" } else { "" });
        let mut create = self.client.create_queue().queue_name(name);
        for (name, value) in attributes {
            create = create.attributes(QueueAttributeName::from(*name), *value);
        }
        let made = create.send().await?;
        tokio::time::sleep(self.settling).await;
        Ok(made.queue_url.ok_or("no queue URL")?)
    }

    /// A new FIFO queue that tells repeats by their content.
    pub(crate) async fn fifo_queue(&self, attributes: &[(&str, &str)]) -> Result<String, Failure> {
        let fifo = [("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
        self.queue(&[&fifo, attributes].concat()).await
    }

    /// A new queue whose messages go to a second new queue on the receive after `max_receives`: both URLs.
    pub(crate) async fn queue_with_dead_letters(
        &self,
        max_receives: u32,
    ) -> Result<(String, String), Failure> {
        let dead = self.queue(&[]).await?;
        let policy = format!(
            r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"{max_receives}"}}"#,
            self.attribute(&dead, "QueueArn").await?
        );
        Ok((self.queue(&[("RedrivePolicy", &policy), ("VisibilityTimeout", "0")]).await?, dead))
    }

    /// One attribute of a queue; empty if it has none.
    pub(crate) async fn attribute(&self, url: &str, name: &str) -> Result<String, Failure> {
        let name = QueueAttributeName::from(name);
        let got =
            self.client.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await?;
        Ok(got.attributes.and_then(|mut attributes| attributes.remove(&name)).unwrap_or_default())
    }

    /// Visible, in flight and delayed messages of a queue.
    pub(crate) async fn depth(&self, url: &str) -> Result<String, Failure> {
        let visible = self.attribute(url, "ApproximateNumberOfMessages").await?;
        let in_flight = self.attribute(url, "ApproximateNumberOfMessagesNotVisible").await?;
        let delayed = self.attribute(url, "ApproximateNumberOfMessagesDelayed").await?;
        Ok(format!("{visible} visible, {in_flight} in flight, {delayed} delayed"))
    }

    /// Sends a message that is only a body.
    pub(crate) async fn send(&self, url: &str, body: &str) -> Result<SendMessageOutput, Failure> {
        Ok(self.client.send_message().queue_url(url).message_body(body).send().await?)
    }

    /// Sends a message to a FIFO queue.
    pub(crate) async fn send_in_group(
        &self,
        url: &str,
        group: &str,
        body: &str,
    ) -> Result<SendMessageOutput, Failure> {
        let send = self.client.send_message().queue_url(url).message_body(body).message_group_id(group);
        Ok(send.send().await?)
    }

    /// The next message, which must be there or about to come.
    pub(crate) async fn receive(&self, url: &str) -> Result<Message, Failure> {
        let got = self.receive_up_to(url, 1, 2).await?;
        Ok(got.into_iter().next().ok_or("no message to receive")?)
    }

    /// What can be received at once.
    pub(crate) async fn receive_now(&self, url: &str) -> Result<Vec<Message>, Failure> {
        self.receive_up_to(url, 10, 0).await
    }

    /// Up to `max` messages with all their attributes, waiting up to `seconds` for the first.
    pub(crate) async fn receive_up_to(
        &self,
        url: &str,
        max: i32,
        seconds: i32,
    ) -> Result<Vec<Message>, Failure> {
        let receive = self.client.receive_message().queue_url(url).max_number_of_messages(max);
        let receive = receive.wait_time_seconds(seconds).message_attribute_names("All");
        let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
        Ok(receive.send().await?.messages.unwrap_or_default())
    }

    /// Deletes every queue of this run.
    pub(crate) async fn delete_queues(&self) -> Result<(), Failure> {
        let listed = self.client.list_queues().queue_name_prefix(&self.run).send().await?;
        for url in listed.queue_urls() {
            self.client.delete_queue().queue_url(url).send().await?;
        }
        Ok(())
    }
}

/// `accepted`, or the code of the refusal.
pub(crate) fn verdict<T, E: ProvideErrorMetadata + std::fmt::Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.code().map_or_else(|| format!("no code: {error:?}"), str::to_owned),
    }
}

/// A message system attribute; empty if it is not there.
pub(crate) fn system(message: &Message, name: &str) -> String {
    let name = MessageSystemAttributeName::from(name);
    message.attributes.as_ref().and_then(|all| all.get(&name)).cloned().unwrap_or_default()
}

/// The bodies, joined.
pub(crate) fn bodies(messages: &[Message]) -> String {
    messages.iter().filter_map(|message| message.body.as_deref()).collect::<Vec<_>>().join(" ")
}

/// The receipt handle.
pub(crate) fn handle(message: &Message) -> &str {
    message.receipt_handle.as_deref().unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "whom a test asks is the runner's configuration, not a function's"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn config() -> Builder {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
}
