//! `POST /api/leads/try`: what would happen to this lead now, and why. Writes nothing.

use crate::customers::check_person;
use crate::{Call, Console, person, unavailable};
use base64::Engine;
use serde_json::json;
use sluice_domain::clock;
use sluice_domain::customer::{Known, blocking_keys, consider, recognise};
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::lead::{self, Facts, Flag, Lead, Origin, Progress};
use sluice_domain::policy::PolicySet;
use sluice_domain::routing::{Case, Desk, LiveTeams, Missing, Outcome, change, decide, explain};
use sluice_domain::team::TeamState;
use sluice_store::Wanted;
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::problem::Problem;
use sluice_wire::{body, capture};
use std::collections::{BTreeMap, BTreeSet};

impl Console {
    /// `{"form": …, "content_type": …, "body": …}`; `"encoding": "base64"` for a body that is not text.
    pub(crate) async fn try_lead(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked = call.json()?;
        let policies = self.current().await?;
        let form = asked["form"].as_str().and_then(|name| policies.forms.get(name)).ok_or_else(|| {
            let forms = policies.forms.keys().cloned().collect::<Vec<_>>().join(", ");
            Problem::new(404, "no-such-form", format!("There is no form of this name; known: {forms}."))
                .about("form")
        })?;
        let text = asked["body"].as_str().unwrap_or_default();
        let bytes = match asked["encoding"].as_str() {
            Some("base64") => base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| {
                Problem::new(400, "malformed-base64", "The body is not base64.").about("body")
            })?,
            _ => text.as_bytes().to_vec(),
        };
        let content_type = asked["content_type"].as_str().unwrap_or("application/json").to_owned();
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: format!("/f/{}", form.name),
            headers: vec![("content-type".to_owned(), content_type)],
            body: bytes.into(),
            ..HttpRequest::default()
        };
        let submission = body::parse(&request).await?;
        if capture::is_spam(form, &submission) {
            return Ok(HttpResponse::json(
                200,
                &json!({
                    "state": "spam", "owner": null, "customer": null, "identities": [], "flags": [], "unreadable": [], "clock": null,
                    "why": ["The field that people cannot see was filled in: it ends as spam, and nobody is told."],
                    "policy_version": policies.version,
                }),
            ));
        }
        let now = self.env.clock.now();
        let lead = Lead {
            id: LeadId::fresh(now, [0; 10]),
            origin: Origin { kind: "form".to_owned(), name: form.name.clone() },
            external_id: None,
            received: now,
            envelope: capture::from_form(form, &request, submission)?,
            needs_enrichment: false,
            manifest: policies.version,
            progress: Progress::default(),
            version: 0,
        };
        let facts =
            lead::read(&lead.origin, &lead.envelope, &policies.reading(&lead.origin), &policies.settings);
        let mut known = self.known(&facts.identities).await?;
        let is_empty = facts.flags.contains(&Flag::Empty);
        let alike = self.lookalikes(&facts, &policies, &mut known).await?;
        let who = (!is_empty).then(|| {
            let shared_after = policies.settings.shared_after as usize;
            let mut who = recognise(&lead.id, &facts.identities, &known, shared_after);
            consider(&mut who, &facts, &known, &alike, &policies.settings);
            who
        });
        call.sight.people(&known);
        let case = Case { lead: &lead, facts: &facts, known: &known, who: who.as_ref() };
        let companies = facts.company_domain.iter().filter(|_| policies.routing.use_company_owners);
        let mut wanted = Wanted {
            companies: companies.map(|domain| domain.as_str().to_owned()).collect(),
            ..Wanted::default()
        };
        let mut read: BTreeMap<String, TeamState> = BTreeMap::new();
        let mut desk = Desk::default();
        let receipt = loop {
            let fresh = self.store.desk(&wanted).await.map_err(unavailable)?;
            read.extend(fresh.teams.into_iter().map(|(name, record)| (name, record.state)));
            desk.leave.extend(fresh.leave.into_iter().map(|(rep, record)| (rep, record.leave)));
            desk.companies.extend(
                fresh
                    .companies
                    .into_iter()
                    .map(|(domain, record)| (domain, (record.owner.rep, record.owner.team))),
            );
            let (mut teams, mut missing) = (read.clone(), Missing::default());
            let live = LiveTeams { teams: &mut teams, desk: &desk, missing: &mut missing, looks_ahead: true };
            let receipt = decide(case, &policies, live, now);
            if missing.is_empty() {
                break receipt;
            }
            wanted = Wanted { teams: missing.teams, reps: missing.reps, ..Wanted::default() };
        };
        let owner = match &receipt.outcome {
            Outcome::Assigned { rep, team } => json!({"rep": rep, "team": team}),
            _ => json!(null),
        };
        if let Some(who) = &who {
            call.sight.owner_of(&known, &who.customer);
        }
        let explanation = explain(&call.sight.receipt(&receipt, &known, None), &facts, &policies);
        let (after, _) = change(case, receipt.clone(), &policies);
        let mut why = explanation.why;
        why.extend(clock::explain(&after));
        let after = Lead { progress: after, ..lead.clone() };
        Ok(HttpResponse::json(
            200,
            &json!({
                "state": receipt.outcome.state().name(),
                "owner": owner,
                "customer": who.as_ref().map(|who| &who.customer).filter(|id| check_person(call, &known, id).is_ok()),
                "identities": person::carried(&facts.identities, &call.sight),
                "unreadable": lead.envelope.unreadable,
                "flags": facts.flags.iter().map(|flag| flag.name()).collect::<Vec<_>>(),
                "clock": self.clock_view(&after).await?,
                "why": why,
                "policy_version": policies.version,
            }),
        ))
    }

    /// Whom the lead may be one with, where the settings ask for it.
    async fn lookalikes(
        &self,
        facts: &Facts,
        policies: &PolicySet,
        known: &mut Known,
    ) -> Result<BTreeSet<CustomerId>, Problem> {
        if !policies.settings.matching.is_on() {
            return Ok(BTreeSet::new());
        }
        let keys = self.hash_keys().await?;
        let blocks = [blocking_keys(facts)];
        let found = self.store.lookalikes(&blocks, &keys, std::slice::from_mut(known)).await;
        Ok(found.map_err(unavailable)?.into_iter().flat_map(|found| found.candidates).collect())
    }
}
