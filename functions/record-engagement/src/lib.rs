//! What comes back by the links of messages: the open pixel, clicks, the preference page and one-click unsubscribing
//! (RFC 8058), confirmations.
//!
//! A token is all the authority there is: no session, no cookie, no script. `GET` and `HEAD` change no wish, since
//! programs look at links before people do.

mod confirm;
mod page;
mod preferences;
mod recipient;
mod tracking;
mod words;

use futures::future::BoxFuture;
use page::Page;
use sluice_domain::event::{Happened, Teller};
use sluice_domain::link::{Link, LinkKeys, Purpose};
use sluice_domain::message::SETTLED_MS;
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::http::{Http, HttpHandler};
use sluice_host::outbox::{self, Outbox, Outgoing, QueueName};
use sluice_host::secrets::{SecretError, SecretStore};
use sluice_store::{Policies, Store, StoreError};
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use sluice_wire::queue::{Click, EventMessage, encode};
use std::sync::Arc;
use words::Words;

/// Routes served, as the template declares them.
pub const ROUTES: [&str; 10] = [
    "GET /o/{token}",
    "HEAD /o/{token}",
    "GET /c/{token}",
    "HEAD /c/{token}",
    "GET /u/{token}",
    "HEAD /u/{token}",
    "POST /u/{token}",
    "GET /k/{token}",
    "HEAD /k/{token}",
    "POST /k/{token}",
];

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 4] =
    ["SLUICE_TABLE", "SLUICE_HASH_KEY_SECRET", "SLUICE_LINK_KEY_SECRET", "SLUICE_EVENT_QUEUE_URL"];

/// How often something is written again because somebody else was faster.
const ATTEMPTS: u32 = 12;
/// Seconds after which to try again where we could not answer.
const RETRY_AFTER: u32 = 5;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let engagement = Engagement {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            outbox: Outbox::new(&env, store.clone(), &[QueueName::Event])?,
            store,
            env,
        };
        // The connections before the first request. If one fails, that request will say so.
        let _ = engagement.policies.current(engagement.now()).await;
        let _ = engagement.secrets.link_keys().await;
        Ok(Arc::new(Http(engagement)) as Arc<dyn Function>)
    })
}

struct Engagement {
    policies: Policies,
    secrets: SecretStore,
    outbox: Outbox,
    store: Store,
    env: Environment,
}

/// Why there is no answer.
#[derive(Debug)]
enum Fault {
    /// The link is not ours, was changed, or leads nowhere any more. Nothing more is said.
    NoLink,
    /// What was posted is none of our forms, or larger than any.
    Unreadable(Problem),
    /// We could not look or write just now.
    Unavailable(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<SecretError> for Fault {
    fn from(error: SecretError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl HttpHandler for Engagement {
    async fn handle(&self, request: HttpRequest) -> HttpResponse {
        let (letter, token) = request.path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let answer = match (request.method.as_str(), letter) {
            ("GET" | "HEAD", "o") => Ok(self.open(token, &request).await),
            ("GET" | "HEAD", "c") => self.click(token, &request).await,
            ("GET" | "HEAD", "u") => self.show_preferences(token, &request).await,
            ("POST", "u") => self.change_preferences(token, &request).await,
            ("GET" | "HEAD", "k") => self.show_confirmation(token, &request).await,
            ("POST", "k") => self.confirm(token, &request).await,
            _ => Err(Fault::NoLink),
        };
        let answer = answer.unwrap_or_else(|fault| refusal(fault, &request));
        // The head of what a GET would answer, and nothing changed by it.
        if request.method == "HEAD" { HttpResponse { body: Default::default(), ..answer } } else { answer }
    }
}

impl Engagement {
    fn now(&self) -> Timestamp {
        self.env.clock.now()
    }

    fn teller(&self) -> Teller {
        Teller { function: "record-engagement", now: self.now() }
    }

    /// Policies are told of what somebody did.
    async fn tell(&self, happened: Vec<Happened>) -> Result<(), StoreError> {
        let now = self.now();
        self.outbox.hand_over(outbox::events(happened, now), now).await
    }

    /// A click is told once it is settled that a person made it, by whoever looks at its message then.
    async fn tell_later(&self, click: Click) -> Result<(), StoreError> {
        let now = self.now();
        let (id, not_before) = (click.id(), click.at.plus_millis(SETTLED_MS));
        let body = encode(&EventMessage::Click(click));
        self.outbox.hand_over(vec![Outgoing { queue: QueueName::Event, id, body, not_before }], now).await
    }

    async fn current(&self) -> Result<Arc<PolicySet>, Fault> {
        Ok(self.policies.current(self.now()).await?)
    }

    async fn link_keys(&self) -> Result<LinkKeys, Fault> {
        Ok(self.secrets.link_keys().await?)
    }

    /// What the token of a request says.
    async fn link(&self, purpose: Purpose, token: &str) -> Result<Link, Fault> {
        self.link_keys().await?.read(purpose, token).ok_or(Fault::NoLink)
    }
}

/// Why there is nothing: for a browser a page, for programs a problem document. The same for every bad link, so that it tells
/// nobody anything.
fn refusal(fault: Fault, request: &HttpRequest) -> HttpResponse {
    let words = Words::of(words::accepted(request));
    let (problem, title, text) = match fault {
        Fault::NoLink => {
            let detail = "This link is not ours, or leads nowhere any more.";
            (Problem::new(404, "no-such-link", detail), words.no_link, words.no_link_text)
        }
        Fault::Unreadable(problem) => (problem, words.unreadable, words.unreadable_text),
        Fault::Unavailable(why) => {
            tracing::error!(%why, "a link could not be followed");
            let detail = "The link cannot be followed just now. Try again.";
            let problem = Problem::new(503, "unavailable", detail).retry_after(RETRY_AFTER);
            (problem, words.unavailable, words.unavailable_text)
        }
    };
    if !request.takes_html() {
        return problem.response().with_header("cache-control", "no-store, max-age=0");
    }
    let answer = Page::new(words, title).paragraph(text).response(problem.status);
    match problem.retry_after {
        Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
        None => answer,
    }
}
