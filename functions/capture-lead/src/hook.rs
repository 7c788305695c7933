//! `GET, POST, PUT, PATCH /hooks/{source}`, and the submit routes of HubSpot's forms.

use crate::{Capture, cors};
use futures::stream::{self, StreamExt};
use sluice_domain::id::LeadId;
use sluice_domain::lead::{Lead, Origin, Progress};
use sluice_domain::policy::{Auth, PolicySet, Source as Document};
use sluice_store::{Accepted, Mark};
use sluice_wire::body;
use sluice_wire::capture;
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use sluice_wire::sources::{self, Delivery, Secrets, Source, SourceLead, hubspot};

/// Leads of one request stored at the same time.
const AT_ONCE: usize = 16;

impl Capture {
    /// A handshake, or for some senders a lead in the query.
    pub(crate) async fn get_hook(&self, name: &str, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let (document, source) = find(&policies, name)?;
        let secrets = self.secrets_of(document).await;
        if let Some(answer) = source.challenge(request, &secrets) {
            return Ok(answer);
        }
        if source.takes_get() && !request.query.is_empty() {
            return self.deliver(&policies, document, source, &secrets, request).await;
        }
        Err(Problem::new(400, "no-challenge", "This address takes POST; a GET is only the handshake."))
    }

    pub(crate) async fn post_hook(&self, name: &str, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let (document, source) = find(&policies, name)?;
        let secrets = self.secrets_of(document).await;
        self.deliver(&policies, document, source, &secrets, request).await
    }

    /// `form` is `{portal}/{form}`. Scripts post here from any page, as they do to HubSpot, and programs with a token.
    pub(crate) async fn post_hubspot(
        &self,
        form: &str,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let answer = match hubspot::document(policies.sources.values(), form) {
            None => Err(Problem::new(
                404,
                "no-such-source",
                "There is no source of type hubspot for this portal and form. `sluice apply` publishes one.",
            )),
            Some(document) => self.post_hook(&document.name, request).await,
        };
        Ok(cors::anywhere(answer.unwrap_or_else(HttpResponse::from)))
    }

    async fn deliver(
        &self,
        policies: &PolicySet,
        document: &Document,
        source: &dyn Source,
        secrets: &Secrets,
        request: &HttpRequest,
    ) -> Result<HttpResponse, Problem> {
        body::within(request, sources::most_bytes(source, request))?;
        let now = self.env.clock.now();
        let delivery = Delivery { request, document, secrets, certificate: None, now };
        if document.auth == Auth::UrlKey {
            // Nothing is fetched for whoever does not even know the key.
            sources::believe(source, &delivery)?;
        }
        let certificate = self.certificates.of(source, &delivery, &self.env).await?;
        let delivery = Delivery { certificate: certificate.as_deref(), ..delivery };
        sources::believe(source, &delivery)?;
        if let Some(answer) = source.challenge(request, secrets) {
            return Ok(answer);
        }
        if let Some(said) = source.subscription(&delivery)? {
            self.subscribe(&document.name, said).await?;
        }
        self.hand_on_feedback(source.feedback(&delivery)?).await?;
        self.hand_on_events(source.events(&delivery)?).await?;
        let leads: Vec<Lead> =
            source.leads(&delivery)?.into_iter().map(|lead| self.lead(policies, document, lead)).collect();
        for mark in source.marks(&delivery)? {
            let id = sources::lead_id(&document.name, &mark.external_id);
            let mark = Mark { kind: mark.kind, at: delivery.now };
            self.ledger.mark(&id, mark).await?;
        }
        // The first wins: a lead that is known was delivered again.
        let puts: Vec<_> =
            leads.iter().map(|lead| self.ledger.put(lead, lead.external_id.is_some())).collect();
        let stored: Vec<Result<Accepted, Problem>> =
            stream::iter(puts).buffer_unordered(AT_ONCE).collect().await;
        let new = stored.iter().filter(|accepted| **accepted == Ok(Accepted::New)).count();
        self.ledger.count(&document.name, new);
        stored.into_iter().collect::<Result<Vec<Accepted>, Problem>>()?;
        self.ledger.hand_on(&leads).await?;
        let ids: Vec<LeadId> = leads.into_iter().map(|lead| lead.id).collect();
        Ok(source.answer(&delivery, &ids))
    }

    fn lead(&self, policies: &PolicySet, document: &Document, lead: SourceLead) -> Lead {
        let now = self.env.clock.now();
        let id = match &lead.external_id {
            Some(external_id) => sources::lead_id(&document.name, external_id),
            None => self.fresh_id(now),
        };
        Lead {
            id,
            origin: Origin { kind: document.sender.clone(), name: document.name.clone() },
            envelope: capture::from_source(&lead),
            external_id: lead.external_id,
            received: now,
            // A test of the sender's own has nothing to be fetched.
            needs_enrichment: lead.needs_enrichment && !lead.test,
            manifest: policies.version,
            progress: Progress::default(),
            version: 0,
        }
    }

    /// A source's secrets, with those that cannot be read just now: what another proves is believed all the same.
    async fn secrets_of(&self, document: &Document) -> Secrets {
        let mut secrets = Secrets::default();
        for (name, references) in &document.secrets {
            for reference in references {
                secrets = match self.secrets.resolve(reference).await {
                    Ok(Some(value)) => secrets.with(name, value.reveal().as_str()),
                    Ok(None) => secrets,
                    Err(error) => {
                        tracing::error!(%error, source = document.name, "secret not read");
                        secrets.with_unread(name)
                    }
                };
            }
        }
        secrets
    }
}

fn find<'a>(policies: &'a PolicySet, name: &str) -> Result<(&'a Document, &'static dyn Source), Problem> {
    policies
        .sources
        .get(name)
        .and_then(|document| Some((document, sources::find(&document.sender)?)))
        // Tracking libraries have routes of their own.
        .filter(|(_, source)| !source.is_tracker())
        .ok_or_else(|| {
            Problem::new(
                404,
                "no-such-source",
                "There is no source of this name. `sluice apply` publishes one.",
            )
        })
}
