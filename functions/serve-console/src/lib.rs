//! The people's API: leads and what reps do with them, customers, policies, the ledger.

mod acts;
mod auth;
mod behaviour;
mod choose;
mod consents;
mod contacts;
mod customers;
mod erase;
mod export;
mod imports;
mod insight;
mod leads;
mod leave;
mod ledger;
mod messages;
mod person;
mod policies;
mod rebalance;
mod routes;
mod templates;
mod timeline;
mod tokens;
mod trial;
mod webhooks;

pub use routes::{ROUTES, Right};

use auth::Principal;
use futures::future::BoxFuture;
use serde_json::Value;
use sluice_domain::event::Teller;
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::http::{Http, HttpHandler};
use sluice_host::outbox::{Outbox, QueueName};
use sluice_host::secrets::SecretStore;
use sluice_store::{Policies, Store, StoreError};
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use std::sync::Arc;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 9] = [
    "SLUICE_TABLE",
    "SLUICE_LEAD_QUEUE_URL",
    "SLUICE_NOTICE_QUEUE_URL",
    "SLUICE_MESSAGE_QUEUE_URL",
    "SLUICE_BULK_QUEUE_URL",
    "SLUICE_ERASE_QUEUE_URL",
    "SLUICE_EVENT_QUEUE_URL",
    "SLUICE_HASH_KEY_SECRET",
    "SLUICE_ADMIN_TOKEN_SECRET",
];

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let console = Console {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            outbox: Outbox::new(
                &env,
                store.clone(),
                &[
                    QueueName::Lead,
                    QueueName::Notice,
                    QueueName::Message,
                    QueueName::Bulk,
                    QueueName::Erase,
                    QueueName::Event,
                ],
            )?,
            admin_token_secret: env.required("SLUICE_ADMIN_TOKEN_SECRET")?.to_owned(),
            store,
            env,
        };
        // The connection before the first request.
        let _ = console.policies.current(console.env.clock.now()).await;
        Ok(Arc::new(Http(console)) as Arc<dyn Function>)
    })
}

pub(crate) struct Console {
    pub(crate) policies: Policies,
    pub(crate) secrets: SecretStore,
    pub(crate) outbox: Outbox,
    pub(crate) admin_token_secret: String,
    pub(crate) store: Store,
    pub(crate) env: Environment,
}

/// One call, with who makes it and what the path's placeholders are.
pub(crate) struct Call {
    pub(crate) request: HttpRequest,
    pub(crate) who: Principal,
    pub(crate) path: Vec<String>,
}

impl Call {
    /// The path's placeholder by its place.
    pub(crate) fn part(&self, at: usize) -> &str {
        self.path.get(at).map(String::as_str).unwrap_or_default()
    }

    /// A value of the query that says something.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        self.request.query_value(name).filter(|value| !value.is_empty())
    }

    /// The JSON body; an empty one is an empty object.
    pub(crate) fn json(&self) -> Result<Value, Problem> {
        if self.request.body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(&self.request.body).map_err(|error| {
            let at = format!("line {} column {}", error.line(), error.column());
            Problem::new(400, "malformed-json", format!("The body is not JSON ({at})."))
        })
    }
}

impl HttpHandler for Console {
    async fn handle(&self, request: HttpRequest) -> HttpResponse {
        self.answer(request).await.unwrap_or_else(|problem| problem.response())
    }
}

impl Console {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, Problem> {
        let (route, path) = routes::find(&request.method, &request.path)?;
        let who = self.authenticate(&request).await?;
        if !who.may(route.right) {
            return Err(Problem::new(403, "not-allowed", "This token's role may not do that."));
        }
        let call = Call { request, who, path };
        match route.name {
            "GET /api/health" => self.health().await,
            "GET /api/ledger" => self.ledger().await,
            "GET /api/leads" => self.list_leads(&call).await,
            "GET /api/leads/{id}" => self.show_lead(&call).await,
            "POST /api/leads/try" => self.try_lead(&call).await,
            "POST /api/leads/{id}/accept" => self.accept(&call).await,
            "POST /api/leads/{id}/close" => self.close(&call).await,
            "POST /api/leads/{id}/disqualify" => self.disqualify(&call).await,
            "POST /api/leads/{id}/contacts" => self.add_contact(&call).await,
            "GET /api/insight/speed-to-lead" => self.speed_to_lead(&call).await,
            "GET /api/insight/{report}" => self.results(&call).await,
            "POST /api/leads/{id}/reassign" => self.reassign(&call).await,
            "POST /api/leads/{id}/claim" => self.claim(&call).await,
            "POST /api/leads/{id}/credit" => self.credit(&call).await,
            "GET /api/reps/{name}/leave" => self.show_leave(&call).await,
            "PUT /api/reps/{name}/leave" => self.put_leave(&call).await,
            "POST /api/reps/{name}/rebalance" => self.rebalance(&call).await,
            "POST /api/customers/lookup" => self.lookup_customer(&call).await,
            "GET /api/customers/{id}" => self.show_customer(&call).await,
            "DELETE /api/customers/{id}" => self.erase_customer(&call).await,
            "GET /api/customers/{id}/erasure" => self.show_erasure(&call).await,
            "GET /api/customers/{id}/export" => self.export_customer(&call).await,
            "GET /api/customers/{id}/runs" => self.show_runs(&call).await,
            "POST /api/segments/{name}/preview" => self.preview_segment(&call).await,
            "GET /api/customers/{id}/timeline" => self.show_timeline(&call).await,
            "GET /api/customers/{id}/consents" => self.show_consents(&call).await,
            "POST /api/customers/{id}/consents" => self.add_consent(&call).await,
            "POST /api/customers/{id}/suppress" => self.suppress(&call).await,
            "POST /api/customers/{id}/unsuppress" => self.unsuppress(&call).await,
            "POST /api/customers/{id}/merge" => self.merge(&call).await,
            "POST /api/customers/{id}/keep-apart" => self.keep_apart(&call).await,
            "POST /api/customers/{id}/unmerge" => self.unmerge(&call).await,
            "GET /api/policies" => self.list_policies().await,
            "POST /api/policies/validate" => self.validate(&call),
            "POST /api/policies/apply" => self.apply(&call).await,
            "GET /api/policies/{kind}/{name}" => self.show_policy(&call).await,
            "PUT /api/policies/{kind}/{name}" => self.put_policy(&call).await,
            "GET /api/imports" => self.list_batches(&call).await,
            "POST /api/imports" => self.begin_batch(&call).await,
            "POST /api/imports/try" => self.try_rows(&call).await,
            "GET /api/imports/{batch}" => self.show_batch(&call).await,
            "POST /api/imports/{batch}/rows" => self.import_rows(&call).await,
            "POST /api/imports/{batch}/revert" => self.revert_batch(&call).await,
            "GET /api/messages" => self.list_messages(&call).await,
            "POST /api/messages" => self.ask_message(&call).await,
            "GET /api/messages/{id}" => self.show_message(&call).await,
            "POST /api/messages/{id}/settle" => self.settle_message(&call).await,
            "POST /api/templates/{name}/preview" => self.preview_template(&call).await,
            "POST /api/templates/{name}/test-send" => self.test_send(&call).await,
            "GET /api/webhooks" => self.list_webhooks().await,
            "POST /api/webhooks/{id}/enable" => self.enable_webhook(&call).await,
            "POST /api/tokens" => self.create_token(&call).await,
            other => Err(Problem::new(501, "not-built", format!("{other} is declared and not built."))),
        }
    }

    pub(crate) async fn current(&self) -> Result<Arc<PolicySet>, Problem> {
        self.policies.current(self.env.clock.now()).await.map_err(unavailable)
    }

    async fn health(&self) -> Result<HttpResponse, Problem> {
        let manifest = self.store.manifest().await.map_err(unavailable)?;
        Ok(HttpResponse::json(
            200,
            &serde_json::json!({
                "status": "ok",
                "version": env!("CARGO_PKG_VERSION"),
                "policies": {"version": manifest.version, "documents": manifest.documents.len()},
                "time": self.env.clock.now().rfc3339(),
            }),
        ))
    }
}

/// As whom it tells of what happened to customers.
pub(crate) const fn teller(now: Timestamp) -> Teller {
    Teller { function: "serve-console", now }
}

/// What a caller is told when the store does not answer.
pub(crate) fn unavailable(error: StoreError) -> Problem {
    match error {
        StoreError::Unavailable(why) => {
            tracing::warn!(why, "store unavailable");
            Problem::new(503, "unavailable", "The store does not answer just now. Try again.").retry_after(2)
        }
        StoreError::Corrupt(what) => {
            tracing::error!(what, "record cannot be read");
            Problem::new(500, "record-unreadable", "A record cannot be read. The log says which kind.")
        }
    }
}
