//! The people's API: leads and what reps do with them, customers, policies, the ledger.

mod acts;
mod asked;
mod audit;
mod auth;
mod behaviour;
mod campaign_view;
mod campaigns;
mod choose;
mod consents;
mod contacts;
mod customer_list;
mod customers;
mod erase;
mod export;
mod imports;
mod insight;
mod journeys;
mod leads;
mod leave;
mod ledger;
mod lists;
mod looks;
mod lookup;
mod messages;
mod missing;
mod once;
mod person;
mod policies;
mod rebalance;
mod routes;
mod sight;
mod templates;
mod timeline;
mod tokens;
mod told;
mod trial;
mod webhooks;

pub use routes::{ELSEWHERE, ROUTES};

use auth::Principal;
use futures::future::BoxFuture;
use insight::{Of, read_day};
use serde_json::Value;
use sight::Sight;
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

/// The description of the whole API.
const CONTRACT: &str = include_str!("../../../infra/openapi.yaml");

/// The page of whatever has one, the same for all: it asks for what its address names.
const PAGE: &str = include_str!("page.html");
/// What links of notices lead to.
const PAGES: [&str; 4] = [
    "GET /api/leads/{id}",
    "GET /api/customers/{id}",
    "GET /api/campaigns/{name}",
    "GET /api/policies/{kind}/{name}",
];
/// It asks this host only, and nobody puts it into a page of theirs.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What `sluice package` built this from; whoever builds otherwise knows.
const COMMIT: Option<&str> = option_env!("SLUICE_COMMIT");

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 11] = [
    "SLUICE_TABLE",
    "SLUICE_LEAD_QUEUE_URL",
    "SLUICE_NOTICE_QUEUE_URL",
    "SLUICE_MESSAGE_QUEUE_URL",
    "SLUICE_BULK_QUEUE_URL",
    "SLUICE_ERASE_QUEUE_URL",
    "SLUICE_EVENT_QUEUE_URL",
    "SLUICE_CAMPAIGN_QUEUE_URL",
    "SLUICE_HASH_KEY_SECRET",
    "SLUICE_ADMIN_TOKEN_SECRET",
    "SLUICE_TEMPLATE",
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
                    QueueName::Campaign,
                ],
            )?,
            admin_token_secret: env.required("SLUICE_ADMIN_TOKEN_SECRET")?.to_owned(),
            template: env.required("SLUICE_TEMPLATE")?.to_owned(),
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
    /// Which infra/template.yaml the stack was deployed from.
    pub(crate) template: String,
    pub(crate) store: Store,
    pub(crate) env: Environment,
}

/// One call, with who makes it and what the path's placeholders are.
pub(crate) struct Call {
    pub(crate) request: HttpRequest,
    pub(crate) who: Principal,
    pub(crate) sight: Sight,
    pub(crate) path: Vec<String>,
}

impl Call {
    /// The path's placeholder by its place.
    pub(crate) fn part(&self, at: usize) -> &str {
        self.path.get(at).map(String::as_str).unwrap_or_default()
    }

    /// A query parameter that says anything.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        self.request.query_value(name).filter(|value| !value.is_empty())
    }

    /// A query parameter that is a time; a day is its midnight in UTC.
    pub(crate) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let read = |text: String| {
            Timestamp::parse(&text).or_else(|| read_day(&text)).ok_or_else(|| {
                let detail = "A time is written like 2027-03-01T09:00:00Z, a day like 2027-03-01.";
                Problem::new(422, "time-unreadable", detail).about(name)
            })
        };
        self.query(name).map(read).transpose()
    }

    /// Whether what `If-Match` asks for holds (RFC 9110, section 13.1.1): one of its tags is that of this version, or it is `*` and there
    /// is something at all. Without it whatever there is may be written over.
    pub(crate) fn may_replace(&self, version: u64, is_there: bool) -> bool {
        let Some(tags) = self.request.header("if-match") else { return true };
        let version = version.to_string();
        tags.split(',').map(str::trim).any(|tag| match tag {
            "*" => is_there,
            tag => tag.trim_matches('"') == version,
        })
    }

    /// How many things a page shall have, by `limit`.
    pub(crate) fn limit(&self, usual: usize, most: usize) -> usize {
        self.query("limit").and_then(|n| n.parse().ok()).unwrap_or(usual).clamp(1, most)
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
        let answer = self.answer(request).await.unwrap_or_else(|problem| problem.response());
        match answer.status {
            // RFC 9110, section 11.6.1.
            401 => answer.with_header("www-authenticate", "Bearer"),
            _ => answer,
        }
    }
}

impl Console {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, Problem> {
        let Some((route, path)) = routes::find(&request.method, &request.path) else {
            return Ok(routes::elsewhere(&request.method, &request.path));
        };
        if PAGES.contains(&route.name) && is_a_browsers(&request) {
            return Ok(page());
        }
        let who = self.authenticate(&request).await?;
        if !who.role.may(route.right) {
            return Err(Problem::new(403, "not-allowed", "This token's role may not do that."));
        }
        let sight = self.sight(&who).await?;
        let call = Call { request, who, sight, path };
        let answer = self.carry_out(route.name, &call).await;
        Ok(call.sight.clean(answer.unwrap_or_else(|problem| problem.response())))
    }

    async fn carry_out(&self, route: &str, call: &Call) -> Result<HttpResponse, Problem> {
        match route {
            "GET /api/health" => self.health().await,
            "GET /api/ledger" => self.ledger(call).await,
            "GET /api/leads" => self.list_leads(call).await,
            "GET /api/leads/{id}" => self.show_lead(call).await,
            "POST /api/leads/try" => self.try_lead(call).await,
            "POST /api/leads/{id}/accept" => self.accept(call).await,
            "POST /api/leads/{id}/close" => self.close(call).await,
            "POST /api/leads/{id}/disqualify" => self.disqualify(call).await,
            "POST /api/leads/{id}/contacts" => self.add_contact(call).await,
            "POST /api/leads/{id}/qualify" => self.qualify(call).await,
            "GET /api/insight/speed-to-lead" => self.speed_to_lead(call).await,
            "GET /api/insight/journeys" => self.results(call, Of::Journeys).await,
            "GET /api/insight/campaigns" => self.results(call, Of::Campaigns).await,
            "GET /api/insight/sources" => self.results(call, Of::Sources).await,
            "GET /api/insight/teams" => self.results(call, Of::Teams).await,
            "GET /api/insight/reps" => self.results(call, Of::Reps).await,
            "GET /api/insight/attribution" => self.results(call, Of::Attribution).await,
            "POST /api/leads/{id}/reassign" => self.reassign(call).await,
            "POST /api/leads/{id}/claim" => self.claim(call).await,
            "POST /api/leads/{id}/credit" => self.credit(call).await,
            "GET /api/reps/{name}/leave" => self.show_leave(call).await,
            "PUT /api/reps/{name}/leave" => self.put_leave(call).await,
            "POST /api/reps/{name}/rebalance" => self.rebalance(call).await,
            "POST /api/customers/lookup" => self.lookup_customer(call).await,
            "GET /api/customers" => self.list_customers(call).await,
            "GET /api/customers/{id}" => self.show_customer(call).await,
            "DELETE /api/customers/{id}" => self.erase_customer(call).await,
            "GET /api/customers/{id}/erasure" => self.show_erasure(call).await,
            "GET /api/customers/{id}/export" => self.export_customer(call).await,
            "GET /api/customers/{id}/runs" => self.show_runs(call).await,
            "POST /api/segments/{name}/preview" => self.preview_segment(call).await,
            "GET /api/customers/{id}/timeline" => self.show_timeline(call).await,
            "GET /api/customers/{id}/consents" => self.show_consents(call).await,
            "POST /api/customers/{id}/consents" => self.add_consent(call).await,
            "POST /api/customers/{id}/suppress" => self.suppress(call).await,
            "POST /api/customers/{id}/unsuppress" => self.unsuppress(call).await,
            "POST /api/customers/{id}/merge" => self.merge(call).await,
            "POST /api/customers/{id}/keep-apart" => self.keep_apart(call).await,
            "POST /api/customers/{id}/unmerge" => self.unmerge(call).await,
            "GET /api/policies" => self.list_policies().await,
            "POST /api/policies/validate" => self.validate(call).await,
            "POST /api/policies/apply" => self.apply(call).await,
            "GET /api/policies/{kind}/{name}" => self.show_policy(call).await,
            "PUT /api/policies/{kind}/{name}" => self.put_policy(call).await,
            "GET /api/imports" => self.list_batches(call).await,
            "POST /api/imports" => self.begin_batch(call).await,
            "POST /api/imports/try" => self.try_rows(call).await,
            "GET /api/imports/{batch}" => self.show_batch(call).await,
            "POST /api/imports/{batch}/rows" => self.import_rows(call).await,
            "POST /api/imports/{batch}/revert" => self.revert_batch(call).await,
            "GET /api/messages" => self.list_messages(call).await,
            "POST /api/messages" => self.ask_message(call).await,
            "GET /api/messages/{id}" => self.show_message(call).await,
            "POST /api/messages/{id}/settle" => self.settle_message(call).await,
            "POST /api/templates/{name}/preview" => self.preview_template(call).await,
            "POST /api/templates/{name}/test-send" => self.test_send(call).await,
            "GET /api/webhooks" => self.list_webhooks(call).await,
            "GET /api/webhooks/{id}/deliveries" => self.list_deliveries(call).await,
            "POST /api/webhooks/{id}/redeliver" => self.redeliver(call).await,
            "GET /api/openapi.yaml" => Ok(HttpResponse::empty(200).with_body("application/yaml", CONTRACT)),
            "POST /api/webhooks/{id}/enable" => self.enable_webhook(call).await,
            "GET /api/tokens" => self.list_tokens(call).await,
            "POST /api/tokens" => self.create_token(call).await,
            "DELETE /api/tokens/{id}" => self.revoke_token(call).await,
            "GET /api/audit" => self.show_audit(call).await,
            "GET /api/journeys/{name}" => self.show_journey(call).await,
            "GET /api/campaigns" => self.list_campaigns().await,
            "GET /api/campaigns/{name}" => self.show_campaign(call).await,
            "POST /api/campaigns/{name}/schedule" => self.schedule_campaign(call).await,
            "POST /api/campaigns/{name}/pause" => self.pause_campaign(call).await,
            "POST /api/campaigns/{name}/resume" => self.resume_campaign(call).await,
            "POST /api/campaigns/{name}/cancel" => self.cancel_campaign(call).await,
            "POST /api/campaigns/{name}/test-send" => self.test_campaign(call).await,
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
                "build": {"version": env!("CARGO_PKG_VERSION"), "commit": COMMIT},
                "template": self.template,
                "policies": {"version": manifest.version, "documents": manifest.documents.len()},
                "time": self.env.clock.now().rfc3339(),
            }),
        ))
    }
}

/// Whether somebody has followed a link: no program, which brings its token.
fn is_a_browsers(request: &HttpRequest) -> bool {
    request.takes_html() && request.header("authorization").is_none()
}

/// What the link of a notice leads to: a page that asks for the reader's token and shows what the link names with it.
fn page() -> HttpResponse {
    HttpResponse::empty(200)
        .with_body("text/html; charset=utf-8", PAGE)
        .with_header("content-security-policy", PAGE_POLICY)
        .with_header("referrer-policy", "no-referrer")
}

/// As whom it tells of what happened to customers.
pub(crate) const fn teller(now: Timestamp) -> Teller {
    Teller { function: "serve-console", now }
}

/// A cursor that no page of this list ended with.
pub(crate) fn no_such_cursor() -> Problem {
    let said = "This cursor is none of this list's: take `cursor` of the page before as it is.";
    Problem::new(422, "cursor-unreadable", said).about("cursor")
}

/// What a caller is told when the store does not answer.
pub(crate) fn unavailable(error: StoreError) -> Problem {
    match error {
        StoreError::Unavailable(why) => {
            tracing::warn!(why, "store unavailable");
            Problem::new(503, "unavailable", "The store does not answer just now. Try again.").retry_after(2)
        }
        StoreError::Cursor => no_such_cursor(),
        StoreError::Corrupt(what) => {
            tracing::error!(what, "record cannot be read");
            Problem::new(500, "record-unreadable", "A record cannot be read. The log says which kind.")
        }
    }
}
