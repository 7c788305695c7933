//! Calls of tracking libraries become events on their queue, which is where an event is durable first: a call is answered
//! with success once all its events are there, and whatever repeats them is absorbed by their ids.

mod cors;

use futures::future::BoxFuture;
use sluice_domain::event::Happened;
use sluice_domain::pii::Pii;
use sluice_domain::policy::{PolicySet, Source};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::http::{Http, HttpHandler};
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{self, Outbox, QueueName};
use sluice_host::secrets::{SecretError, SecretStore};
use sluice_store::Policies;
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use sluice_wire::sources::{Secrets, key_of_tracker};
use sluice_wire::track::{self, Route};
use std::sync::Arc;

/// Routes served, as the template declares them.
pub const ROUTES: [&str; 28] = [
    "POST /v1/{call}",
    "OPTIONS /v1/{call}",
    "POST /beacon/v1/{call}",
    "OPTIONS /beacon/v1/{call}",
    "POST /batch",
    "OPTIONS /batch",
    "POST /batch/{slash+}",
    "OPTIONS /batch/{slash+}",
    "POST /capture",
    "OPTIONS /capture",
    "POST /capture/{slash+}",
    "OPTIONS /capture/{slash+}",
    "POST /e",
    "OPTIONS /e",
    "POST /e/{slash+}",
    "OPTIONS /e/{slash+}",
    "POST /i/v0/e",
    "OPTIONS /i/v0/e",
    "POST /i/v0/e/{slash+}",
    "OPTIONS /i/v0/e/{slash+}",
    "POST /decide",
    "OPTIONS /decide",
    "POST /decide/{slash+}",
    "OPTIONS /decide/{slash+}",
    "POST /flags",
    "OPTIONS /flags",
    "POST /flags/{slash+}",
    "OPTIONS /flags/{slash+}",
];

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 3] = ["SLUICE_TABLE", "SLUICE_EVENT_QUEUE_URL", "SLUICE_SECRET_PREFIX"];

/// Seconds after which a library is to repeat what the queue did not take.
const AGAIN: u32 = 2;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let track = Track {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            outbox: Outbox::new(&env, store, &[QueueName::Event])?,
            env,
        };
        // One call during start, so that the first request does not pay for the connection. If it fails, the first
        // request will say so.
        let _ = track.policies.current(track.env.clock.now()).await;
        Ok(Arc::new(Http(track)) as Arc<dyn Function>)
    })
}

struct Track {
    policies: Policies,
    secrets: SecretStore,
    outbox: Outbox,
    env: Environment,
}

impl HttpHandler for Track {
    async fn handle(&self, request: HttpRequest) -> HttpResponse {
        let route =
            Route::of(&request.path).filter(|_| matches!(request.method.as_str(), "POST" | "OPTIONS"));
        let Some(route) = route else {
            let detail = "There is nothing here. Tracking libraries call /v1/batch, /batch/ and the like.";
            return Problem::new(404, "no-such-route", detail).response();
        };
        let now = self.env.clock.now();
        let policies = match self.policies.current(now).await {
            Ok(policies) => policies,
            Err(error) => {
                tracing::error!(%error, "policies not read");
                return unavailable().response();
            }
        };
        let callers =
            || policies.sources.values().filter(|source| route.sources().contains(&source.sender.as_str()));
        // Who asks beforehand does not say for which source.
        let origins = || callers().flat_map(|source| &source.origins);
        if request.method == "OPTIONS" {
            return cors::preflight(origins(), &request);
        }
        match self.post(&policies, route, &request, now).await {
            Ok((source, answer)) => {
                cors::allow(&source.origins, &request, answer.unwrap_or_else(HttpResponse::from))
            }
            Err(problem) => cors::allow(origins(), &request, problem.response()),
        }
    }
}

impl Track {
    /// The source whose key the call gives, and the answer; a problem if there is none.
    async fn post<'a>(
        &self,
        policies: &'a PolicySet,
        route: Route,
        request: &HttpRequest,
        now: Timestamp,
    ) -> Result<(&'a Source, Result<HttpResponse, Problem>), Problem> {
        // Who is nobody we know is told so, whatever the body is.
        let known = match track::key_of_headers(request) {
            Some(key) => Some(self.source(policies, route, Some(&key)).await?),
            None => None,
        };
        let call = track::read(route, request).inspect_err(|problem| {
            if problem.name == track::GARBLED {
                Metrics::new().count("BodiesGarbled", 1).emit(&self.env, now);
            }
        })?;
        let source = match known {
            Some(source) => source,
            None => self.source(policies, route, call.key.as_ref()).await?,
        };
        let random = || {
            let mut bytes = [0; 10];
            self.env.random.fill(&mut bytes);
            bytes
        };
        let mut taken = call.events(&source.name, now, random);
        let happened = std::mem::take(&mut taken.happened);
        Metrics::new()
            .count("Events", happened.len())
            .count("EventsDropped", taken.dropped.len())
            .by("Source", &source.name)
            .emit(&self.env, now);
        let answer = match self.enqueue(happened, now).await {
            Ok(()) => track::answer(&call, &taken),
            Err(Busy) => Err(busy(route)),
        };
        Ok((source, answer))
    }

    /// The source that the key names. Documents that name one reference twice are refused; two references may still hold one
    /// value, and then the key is everybody's if it is that of one source that is not trusted: it makes nobody trusted. A source
    /// whose secret cannot be read refuses no call of another; only, while it may be one that is not trusted whose key it is as
    /// well, the key makes nobody trusted either.
    async fn source<'a>(
        &self,
        policies: &'a PolicySet,
        route: Route,
        key: Option<&Pii<String>>,
    ) -> Result<&'a Source, Problem> {
        let key = key.ok_or_else(|| {
            Problem::new(
                401,
                "key-missing",
                "The call gives no key. Libraries take it as write key or API key.",
            )
        })?;
        let mut holders = Vec::new();
        let mut unread = Vec::new();
        for source in policies.sources.values() {
            let Some(secret) = key_of_tracker(&source.sender) else { continue };
            match self.holds(source, secret, key).await {
                Ok(true) => holders.push(source),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, source = source.name, "secret not read");
                    unread.push(source);
                }
            }
        }
        let is_open = holders.iter().any(|source| !source.trusted);
        if let Some(source) = holders.iter().find(|source| is_open && source.trusted) {
            tracing::error!(source = source.name, "a trusted source's key is also that of one that is not");
        }
        let may_be_open = is_open || unread.iter().any(|source| !source.trusted);
        let mut named =
            holders.into_iter().filter(|source| route.sources().contains(&source.sender.as_str()));
        match named.find(|source| !may_be_open || !source.trusted) {
            Some(source) => Ok(source),
            None if !unread.is_empty() => Err(unavailable()),
            None => Err(Problem::new(
                401,
                "key-wrong",
                "The key is that of no source of this type. `sluice sources` lists them.",
            )),
        }
    }

    /// Whether a key is one of a source's. Fails if it is none of those that can be read, and one cannot.
    async fn holds(&self, source: &Source, secret: &str, key: &Pii<String>) -> Result<bool, SecretError> {
        let mut secrets = Secrets::default();
        let mut unread = None;
        for reference in source.secrets.get(secret).into_iter().flatten() {
            match self.secrets.resolve(reference).await {
                Ok(Some(value)) => secrets = secrets.with(secret, value.reveal().as_str()),
                Ok(None) => {}
                Err(error) => unread = Some(error),
            }
        }
        let is_held = secrets.accept(secret, key.reveal());
        match unread {
            Some(error) if !is_held => Err(error),
            _ => Ok(is_held),
        }
    }

    /// Puts all events on their queue.
    async fn enqueue(&self, happened: Vec<Happened>, now: Timestamp) -> Result<(), Busy> {
        let left = self.outbox.enqueue(outbox::events(happened, now), now).await;
        if left.is_empty() { Ok(()) } else { Err(Busy) }
    }
}

/// The queue did not take all events.
struct Busy;

/// The library is to repeat the whole call. 429, since some of Segment's and RudderStack's give up a 500 after a few tries;
/// 503 for PostHog's, since the one for pages repeats no 4xx.
fn busy(route: Route) -> Problem {
    let status = match route {
        Route::Posthog | Route::Flags => 503,
        Route::One(_) | Route::Batch => 429,
    };
    let detail = "Not all events could be taken just now. Send them again in a few seconds.";
    Problem::new(status, "queue-busy", detail).retry_after(AGAIN)
}

/// What a caller is told when we cannot tell whose call it is now.
fn unavailable() -> Problem {
    Problem::new(503, "unavailable", "This could not be taken just now. Send it again in a few seconds.")
        .retry_after(AGAIN)
}
