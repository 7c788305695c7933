//! `GET, POST /hooks/{source}`.

use crate::{Capture, unavailable};
use futures::stream::{self, StreamExt, TryStreamExt};
use sluice_domain::id::LeadId;
use sluice_domain::lead::{Lead, Origin, Progress};
use sluice_domain::policy::{Auth, PolicySet, Source as SourceDocument};
use sluice_store::Accepted;
use sluice_wire::capture;
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use sluice_wire::sources::{self, Secrets, Source};

/// Leads of one request stored at the same time.
const AT_ONCE: usize = 16;

impl Capture {
    pub(crate) async fn challenge(&self, name: &str, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let (document, source) = find(&policies, name)?;
        let secrets = self.secrets_of(document).await?;
        source.challenge(request, &secrets).ok_or_else(|| {
            Problem::new(400, "no-challenge", "This address takes POST; a GET is only the handshake.")
        })
    }

    pub(crate) async fn post_hook(&self, name: &str, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let (document, source) = find(&policies, name)?;
        let secrets = self.secrets_of(document).await?;
        let now = self.env.clock.now();
        if document.auth != Auth::Signature {
            return Err(Problem::new(
                401,
                "must-sign",
                "Senders of this type sign; the source must say `auth: signature`.",
            ));
        }
        source.verify(request, &secrets, now)?;
        let leads: Vec<Lead> = source
            .leads(request, now)?
            .into_iter()
            .map(|lead| {
                Ok(Lead {
                    id: LeadId::derived(&["source", &document.name, &lead.external_id]),
                    origin: Origin { kind: document.sender.clone(), name: document.name.clone() },
                    envelope: capture::from_source(&lead)?,
                    external_id: Some(lead.external_id),
                    received: now,
                    needs_enrichment: lead.needs_enrichment,
                    manifest: policies.version,
                    progress: Progress::default(),
                    version: 0,
                })
            })
            .collect::<Result<_, Problem>>()?;
        // The first wins: a lead that is known was delivered again.
        let puts: Vec<_> = leads.iter().map(|lead| self.ledger.put(lead)).collect();
        let stored: Vec<Accepted> = stream::iter(puts).buffer_unordered(AT_ONCE).try_collect().await?;
        let new = stored.iter().filter(|accepted| **accepted == Accepted::New).count();
        self.ledger.hand_on(&leads, new).await?;
        let ids: Vec<LeadId> = leads.into_iter().map(|lead| lead.id).collect();
        Ok(source.answer(&ids))
    }

    async fn secrets_of(&self, document: &SourceDocument) -> Result<Secrets, Problem> {
        let mut secrets = Secrets::default();
        for (name, references) in &document.secrets {
            for reference in references {
                let value = self.secrets.resolve(reference).await.map_err(|error| {
                    tracing::error!(%error, "secret not read");
                    unavailable()
                })?;
                if let Some(value) = value {
                    secrets = secrets.with(name, value.reveal().as_str());
                }
            }
        }
        Ok(secrets)
    }
}

fn find<'a>(
    policies: &'a PolicySet,
    name: &str,
) -> Result<(&'a SourceDocument, &'static dyn Source), Problem> {
    policies
        .sources
        .get(name)
        .and_then(|document| Some((document, sources::find(&document.sender)?)))
        .ok_or_else(|| {
            Problem::new(
                404,
                "no-such-source",
                "There is no source of this name. `sluice apply` publishes one.",
            )
        })
}
