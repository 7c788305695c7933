//! Forms and ad webhooks become leads in the ledger: durable before the 2xx, then on to their queue. What a mail provider
//! says over HTTPS comes in by the same door and goes to the queue of feedback.

mod accept;
mod certificates;
mod cors;
mod feedback;
mod form;
mod hook;

use accept::Ledger;
use certificates::Certificates;
use futures::future::BoxFuture;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::http::{Http, HttpHandler};
use sluice_host::outbox::{Outbox, QueueName};
use sluice_host::secrets::SecretStore;
use sluice_store::Policies;
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use sluice_wire::sources::hubspot;
use std::sync::Arc;

/// Routes served, as the template declares them.
pub const ROUTES: [&str; 9] = [
    "POST /f/{form}",
    "OPTIONS /f/{form}",
    "GET /hooks/{source}",
    "POST /hooks/{source}",
    "PUT /hooks/{source}",
    "PATCH /hooks/{source}",
    "POST /submissions/v3/integration/submit/{portal}/{form}",
    "OPTIONS /submissions/v3/integration/submit/{portal}/{form}",
    "POST /submissions/v3/integration/secure/submit/{portal}/{form}",
];

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 7] = [
    "SLUICE_TABLE",
    "SLUICE_LEAD_QUEUE_URL",
    "SLUICE_ENRICH_QUEUE_URL",
    "SLUICE_FEEDBACK_QUEUE_URL",
    "SLUICE_ERASE_QUEUE_URL",
    "SLUICE_EVENT_QUEUE_URL",
    "SLUICE_SECRET_PREFIX",
];

/// Queues that what comes in goes to.
const QUEUES: [QueueName; 5] =
    [QueueName::Lead, QueueName::Enrich, QueueName::Feedback, QueueName::Event, QueueName::Erase];

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let capture = Capture {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            certificates: Certificates::default(),
            ledger: Ledger { outbox: Outbox::new(&env, store.clone(), &QUEUES)?, store, env: env.clone() },
            env,
        };
        // One call during start, so that the first request does not pay for the connection. If it fails, the first
        // request will say so.
        let _ = capture.policies.current(capture.env.clock.now()).await;
        Ok(Arc::new(Http(capture)) as Arc<dyn Function>)
    })
}

struct Capture {
    policies: Policies,
    secrets: SecretStore,
    certificates: Certificates,
    ledger: Ledger,
    env: Environment,
}

impl HttpHandler for Capture {
    async fn handle(&self, request: HttpRequest) -> HttpResponse {
        let path = request.path.clone();
        let answer = match (request.method.as_str(), path.trim_start_matches('/').split_once('/')) {
            ("POST", Some(("f", name))) => self.post_form(name, request).await,
            ("OPTIONS", Some(("f", name))) => self.preflight(name, &request).await,
            ("GET", Some(("hooks", name))) => self.get_hook(name, &request).await,
            // Form plugins may be told to use any of them.
            ("POST" | "PUT" | "PATCH", Some(("hooks", name))) => self.post_hook(name, &request).await,
            ("POST", Some(("submissions", _))) if let Some(form) = hubspot::form(&path) => {
                self.post_hubspot(form, &request).await
            }
            ("OPTIONS", Some(("submissions", _))) if path.starts_with(hubspot::PATH) => {
                Ok(cors::preflight_anywhere())
            }
            _ => Err(Problem::new(404, "no-such-route", "There is nothing here. Post a form to /f/{form}.")),
        };
        answer.unwrap_or_else(|problem| problem.response())
    }
}

/// What a caller is told when we cannot answer for what it sent now.
fn unavailable() -> Problem {
    Problem::new(503, "unavailable", "This could not be stored just now. Send it again in a few seconds.")
        .retry_after(5)
}
