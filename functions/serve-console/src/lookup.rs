//! Who a person is, by something that names them.

use crate::customers::{check_person, no_such_customer};
use crate::{Call, Console, unavailable};
use sluice_domain::customer::{Identity, IdentityKind, Known};
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::lead::{self, Envelope, Origin, namespace_of};
use sluice_domain::policy::{PolicySet, Reading, is_name};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// Ids looked for by one call, each by each who may have given it: two reads of the table.
const MOST: usize = 200;

impl Console {
    /// An identity by its kind: `{"email": …}`, `{"phone": …}`, `{"wechat_unionid": …}`, `{"external_id": …}`. What somebody
    /// else gave, such as an `external_id`, is an id beside whoever gave it: `source` says who, else everybody is tried, the
    /// company itself first. What is no person's id may be the id a source gave a lead: then the answer is the customer of
    /// that lead.
    pub(crate) async fn lookup_customer(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let body = call.json()?;
        let policies = self.current().await?;
        let source = body["source"].as_str().unwrap_or_default();
        let fields = IdentityKind::ALL
            .iter()
            .map(|kind| kind.name())
            .chain(["country"])
            .filter_map(|name| Some((name.to_owned(), body[name].as_str()?.to_owned())))
            .collect();
        let origin = Origin { kind: "lookup".to_owned(), name: source.to_owned() };
        let envelope = Envelope { fields, ..Envelope::default() };
        let mut facts = lead::read(&origin, &envelope, &Reading::default(), &policies.settings);
        if facts.identities.is_empty() {
            return Err(Problem::new(
                422,
                "nothing-to-look-up",
                "Give a usable `email`, `phone` (with + and country), `wechat_unionid`, `wechat_id`, `external_id`, \
                 `wechat_openid` or `ad_user_id`.",
            ));
        }
        // An id that nobody can have given names nobody; and who gave one is part of its key, which has no room for just anything.
        if !source.is_empty() && !is_name(source) {
            facts.identities.retain(|identity| !identity.kind.has_namespace());
        }
        let mut meant: Vec<Vec<Identity>> =
            facts.identities.into_iter().flat_map(|identity| wherever(identity, &policies)).collect();
        // What names one identity names one person: it comes before what may be of several.
        meant.sort_by_key(|group| group.len() > 1);
        let all = meant.concat();
        if all.len() > MOST {
            return Err(whose_id("There are too many who may have given this id."));
        }
        let known = self.known(&all).await?;
        let mut claims = known.addresses.iter().map(|(_, claim)| claim.as_ref());
        for group in &meant {
            let claims = claims.by_ref().take(group.len()).flatten();
            let roots: BTreeSet<CustomerId> = claims.map(|claim| known.root(&claim.customer)).collect();
            let found = roots.into_iter().map(|root| (root, known.clone()));
            if let Some((root, known)) = the_one(call, found)? {
                return Ok(HttpResponse::json(200, &self.customer_view(call, &root, &known).await?));
            }
        }
        let id = body["external_id"].as_str().ok_or_else(no_such_customer)?;
        let sources = match source {
            "" => policies.sources.keys().map(String::as_str).collect(),
            source => vec![source],
        };
        let ids: Vec<LeadId> =
            sources.into_iter().map(|source| LeadId::derived(&["source", source, id])).collect();
        let mut found = BTreeMap::new();
        for lead in self.store.leads(&ids).await.map_err(unavailable)?.values() {
            found.extend(self.person_of(lead).await?);
        }
        let (root, known) = the_one(call, found)?.ok_or_else(no_such_customer)?;
        Ok(HttpResponse::json(200, &self.customer_view(call, &root, &known).await?))
    }
}

/// An identity, and beside it the same id by whoever else may have given it, if nobody is named. What comes first counts.
fn wherever(identity: Identity, policies: &PolicySet) -> Vec<Vec<Identity>> {
    let kind = identity.kind;
    if !kind.has_namespace() || !identity.namespace.is_empty() {
        return vec![vec![identity]];
    }
    let forms = policies.forms.iter().map(|(name, form)| (name, &form.fields));
    let sources = policies.sources.iter().map(|(name, source)| (name, &source.fields));
    let givers: BTreeSet<&str> = forms
        .chain(sources)
        .flat_map(|(name, fields)| {
            let mapped = fields.keys().filter_map(|field| namespace_of(field, kind));
            mapped.chain([name.as_str()])
        })
        .collect();
    let by = |giver: &&str| Identity::within(kind, giver, identity.value().to_owned());
    let others = givers.iter().map(by).collect();
    vec![vec![identity], others]
}

/// Of those found the one within reach.
fn the_one(
    call: &Call,
    found: impl IntoIterator<Item = (CustomerId, Known)>,
) -> Result<Option<(CustomerId, Known)>, Problem> {
    let mut found = found.into_iter().filter(|(root, known)| check_person(call, known, root).is_ok());
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(whose_id("More than one customer has this id, each by another.")),
        (found, _) => Ok(found),
    }
}

fn whose_id(why: &str) -> Problem {
    let detail =
        format!("{why} Say who gave it: `source` is a form, a source, or a namespace of a field map.");
    Problem::new(422, "source-missing", detail).about("source")
}
