//! `POST /f/{form}`.

use crate::{Capture, cors, unavailable};
use serde_json::json;
use sluice_domain::id::LeadId;
use sluice_domain::lead::{self, Envelope, Lead, LeadState, Origin, Progress};
use sluice_domain::policy::{Form, PolicySet};
use sluice_domain::template::in_ascii;
use sluice_domain::time::Timestamp;
use sluice_store::Accepted;
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use sluice_wire::{body, capture, idempotency};
use std::sync::Arc;

impl Capture {
    pub(crate) async fn preflight(&self, name: &str, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        Ok(cors::preflight(find(&policies, name)?, request))
    }

    pub(crate) async fn post_form(&self, name: &str, request: HttpRequest) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let form = find(&policies, name)?;
        let answer = self.accept_form(&policies, form, &request).await.unwrap_or_else(HttpResponse::from);
        Ok(cors::allow(form, &request, answer))
    }

    async fn accept_form(
        &self,
        policies: &PolicySet,
        form: &Form,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Problem> {
        let now = self.env.clock.now();
        let key = idempotency::key(request)?;
        let submission = body::parse(request).await?;
        let origin = Origin { kind: "form".to_owned(), name: form.name.clone() };
        let is_spam = capture::is_spam(form, &submission);
        let (envelope, state) = match is_spam {
            true => (capture::from_robot(form, request, &submission), LeadState::Spam),
            false => (capture::from_form(form, request, submission)?, LeadState::Waiting),
        };
        let (id, may_be_there) = match key {
            Some(key) => (LeadId::derived(&["form", &form.name, key]), true),
            None if is_spam => (self.fresh_id(now), false),
            None => self.id_without_key(policies, &origin, &envelope, now).await?,
        };
        let lead = Lead {
            id,
            origin,
            external_id: None,
            received: now,
            envelope,
            needs_enrichment: false,
            manifest: policies.version,
            progress: Progress { state, ..Progress::default() },
            version: 0,
        };
        let accepted = match is_spam {
            true => self.ledger.put_spam(&lead).await?,
            false => self.ledger.put(&lead, may_be_there).await?,
        };
        let new = match accepted {
            Accepted::New => 1,
            // Whatever it says, the answer is that of the first time, and nothing of it is kept.
            Accepted::Erased => return Ok(success(form, request, &lead.id)),
            Accepted::Known { fingerprint } if fingerprint == lead.envelope.fingerprint() => 0,
            Accepted::Known { .. } => return Err(idempotency::reused("other fields")),
        };
        if !is_spam {
            self.ledger.count(&lead.origin.name, new);
            self.ledger.hand_on(std::slice::from_ref(&lead)).await?;
        }
        Ok(success(form, request, &lead.id))
    }

    /// The id of a post without a key, and whether it may be there already: a post that names nobody has that of the same post a
    /// moment ago.
    async fn id_without_key(
        &self,
        policies: &PolicySet,
        origin: &Origin,
        envelope: &Envelope,
        now: Timestamp,
    ) -> Result<(LeadId, bool), Problem> {
        let fresh = self.fresh_id(now);
        let facts = lead::read(origin, envelope, &policies.reading(origin), &policies.settings);
        match lead::pressed(origin, envelope, &facts) {
            Some(post) => Ok((self.ledger.id_of_post(&post, &fresh, now).await?, true)),
            None => Ok((fresh, false)),
        }
    }

    pub(crate) fn fresh_id(&self, now: Timestamp) -> LeadId {
        let mut random = [0; 10];
        self.env.random.fill(&mut random);
        LeadId::fresh(now, random)
    }

    pub(crate) async fn current(&self) -> Result<Arc<PolicySet>, Problem> {
        self.policies.current(self.env.clock.now()).await.map_err(|error| {
            tracing::error!(%error, "policies not read");
            unavailable()
        })
    }
}

fn find<'a>(policies: &'a PolicySet, name: &str) -> Result<&'a Form, Problem> {
    policies.forms.get(name).ok_or_else(|| {
        Problem::new(404, "no-such-form", "There is no form of this name. `sluice apply` publishes one.")
    })
}

/// A browser goes to the form's page, a script gets the id.
fn success(form: &Form, request: &HttpRequest, id: &LeadId) -> HttpResponse {
    let is_browser = request.takes_html();
    match &form.redirect {
        Some(url) if is_browser => HttpResponse::empty(303).with_header("location", in_ascii(url)),
        None if is_browser => HttpResponse::empty(202).with_body(
            "text/html; charset=utf-8",
            "<!doctype html><title>Thank you</title><p>Thank you. We have received your message.</p>",
        ),
        _ => HttpResponse::json(202, &json!({"lead_id": id})),
    }
}
