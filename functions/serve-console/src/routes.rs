//! The routes of the API and what right each needs. A test walks them all with all roles.

use sluice_domain::access::Right;
use sluice_wire::problem::Problem;

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Method and path, as the template declares them.
    pub name: &'static str,
    /// What it asks.
    pub right: Right,
}

const fn route(name: &'static str, right: Right) -> Route {
    Route { name, right }
}

/// Every route, fixed paths before those with placeholders.
pub const ROUTES: &[Route] = &[
    route("GET /api/health", Right::Any),
    route("GET /api/openapi.yaml", Right::Any),
    route("GET /api/ledger", Right::Manage),
    route("GET /api/leads", Right::ReadPeople),
    route("POST /api/leads/try", Right::ReadPolicies),
    route("GET /api/leads/{id}", Right::ReadPeople),
    route("POST /api/leads/{id}/accept", Right::WorkLeads),
    route("POST /api/leads/{id}/close", Right::WorkLeads),
    route("POST /api/leads/{id}/disqualify", Right::WorkLeads),
    route("POST /api/leads/{id}/contacts", Right::WorkLeads),
    route("POST /api/leads/{id}/qualify", Right::WorkLeads),
    route("POST /api/leads/{id}/reassign", Right::Manage),
    route("POST /api/leads/{id}/claim", Right::WorkLeads),
    route("POST /api/leads/{id}/credit", Right::Manage),
    route("GET /api/reps/{name}/leave", Right::WorkLeads),
    route("PUT /api/reps/{name}/leave", Right::WorkLeads),
    route("POST /api/reps/{name}/rebalance", Right::Manage),
    route("POST /api/customers/lookup", Right::ReadPeople),
    route("GET /api/customers/{id}", Right::ReadPeople),
    route("DELETE /api/customers/{id}", Right::Manage),
    route("GET /api/customers/{id}/erasure", Right::Manage),
    route("GET /api/customers/{id}/export", Right::Manage),
    route("GET /api/customers/{id}/timeline", Right::ReadPeople),
    route("GET /api/customers/{id}/runs", Right::ReadPeople),
    route("GET /api/customers/{id}/consents", Right::ReadPeople),
    route("POST /api/customers/{id}/consents", Right::WorkLeads),
    route("POST /api/customers/{id}/suppress", Right::Manage),
    route("POST /api/customers/{id}/unsuppress", Right::Manage),
    route("POST /api/customers/{id}/merge", Right::Manage),
    route("POST /api/customers/{id}/keep-apart", Right::Manage),
    route("POST /api/customers/{id}/unmerge", Right::Manage),
    route("GET /api/policies", Right::ReadPolicies),
    route("POST /api/policies/validate", Right::ReadPolicies),
    route("POST /api/policies/apply", Right::WritePolicies),
    route("GET /api/policies/{kind}/{name}", Right::ReadPolicies),
    route("PUT /api/policies/{kind}/{name}", Right::WritePolicies),
    route("GET /api/imports", Right::Import),
    route("POST /api/imports", Right::Import),
    route("POST /api/imports/try", Right::Import),
    route("GET /api/imports/{batch}", Right::Import),
    route("POST /api/imports/{batch}/rows", Right::Import),
    route("POST /api/imports/{batch}/revert", Right::Import),
    route("GET /api/insight/speed-to-lead", Right::ReadPeople),
    route("GET /api/insight/teams", Right::ReadPeople),
    route("GET /api/insight/reps", Right::ReadPeople),
    route("GET /api/insight/journeys", Right::ReadPolicies),
    route("GET /api/insight/campaigns", Right::ReadPolicies),
    route("GET /api/insight/sources", Right::ReadPolicies),
    route("GET /api/insight/attribution", Right::ReadPolicies),
    route("GET /api/messages", Right::ReadPeople),
    route("POST /api/messages", Right::Send),
    route("GET /api/messages/{id}", Right::ReadPeople),
    route("POST /api/messages/{id}/settle", Right::Send),
    route("POST /api/templates/{name}/preview", Right::Send),
    route("POST /api/templates/{name}/test-send", Right::Send),
    route("POST /api/segments/{name}/preview", Right::ReadPolicies),
    route("GET /api/journeys/{name}", Right::ReadPolicies),
    route("GET /api/campaigns", Right::ReadPolicies),
    route("GET /api/campaigns/{name}", Right::ReadPolicies),
    route("POST /api/campaigns/{name}/schedule", Right::RunCampaigns),
    route("POST /api/campaigns/{name}/pause", Right::RunCampaigns),
    route("POST /api/campaigns/{name}/resume", Right::RunCampaigns),
    route("POST /api/campaigns/{name}/cancel", Right::RunCampaigns),
    route("POST /api/campaigns/{name}/test-send", Right::Send),
    route("GET /api/webhooks", Right::Manage),
    route("GET /api/webhooks/{id}/deliveries", Right::Manage),
    route("POST /api/webhooks/{id}/enable", Right::Manage),
    route("POST /api/webhooks/{id}/redeliver", Right::Manage),
    route("GET /api/tokens", Right::Admin),
    route("POST /api/tokens", Right::Admin),
    route("DELETE /api/tokens/{id}", Right::Admin),
    route("GET /api/audit", Right::Admin),
];

/// The longest placeholder, in bytes: nothing of ours has a longer name or id.
const LONGEST: usize = 256;

/// The route of a request and what its placeholders are.
pub(crate) fn find(method: &str, path: &str) -> Result<(Route, Vec<String>), Problem> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut other_method = false;
    for route in ROUTES {
        let Some((want, pattern)) = route.name.split_once(' ') else { continue };
        let Some(found) = matches(pattern, &parts) else { continue };
        if want == method {
            return Ok((*route, found));
        }
        other_method = true;
    }
    Err(if other_method {
        Problem::new(405, "wrong-method", "This path exists with another method.")
    } else {
        Problem::new(404, "no-such-route", "There is nothing at this path.")
    })
}

fn matches(pattern: &str, parts: &[&str]) -> Option<Vec<String>> {
    let pattern: Vec<&str> = pattern.trim_matches('/').split('/').collect();
    if pattern.len() != parts.len() {
        return None;
    }
    let mut found = Vec::new();
    for (want, have) in pattern.iter().zip(parts) {
        if want.starts_with('{') {
            if have.len() > LONGEST {
                return None;
            }
            found.push((*have).to_owned());
        } else if want != have {
            return None;
        }
    }
    Some(found)
}
