//! The routes of the API and what right each needs. A test walks them all with all roles.

use crate::CONTRACT;
use sluice_domain::access::Right;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The route of whatever has none: it is answered with that, without a token and without reading anything.
pub const ELSEWHERE: &str = "$default";

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
    route("GET /api/customers", Right::ReadPeople),
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
pub(crate) fn find(method: &str, path: &str) -> Option<(Route, Vec<String>)> {
    ROUTES.iter().find_map(|route| {
        let (want, pattern) = route.name.split_once(' ')?;
        Some((*route, matches(pattern, path).filter(|_| want == method)?))
    })
}

/// What whoever asks for something that has no route is told: which other methods the path has, or that there is no such path.
pub(crate) fn elsewhere(method: &str, path: &str) -> HttpResponse {
    let methods_there = methods(path);
    if !methods_there.is_empty() && !methods_there.contains(&method) {
        let allowed = methods_there.join(", ");
        let detail = format!("This path has another method: {allowed}.");
        return Problem::new(405, "wrong-method", detail).response().with_header("allow", allowed);
    }
    let plain = path.trim_end_matches('/');
    let detail = match plain.len() < path.len() && !methods(plain).is_empty() {
        true => "There is nothing at this path. Leave the slash at its end out.",
        false => "There is nothing at this path.",
    };
    Problem::new(404, "no-such-route", detail).response()
}

/// The methods of a path, also of what other functions answer.
fn methods(path: &str) -> Vec<&'static str> {
    let of_path = DESCRIBED.iter().filter(|(_, pattern)| matches(pattern, path).is_some());
    let all: BTreeSet<&str> = of_path.map(|(method, _)| *method).collect();
    all.into_iter().collect()
}

/// Methods and paths of the whole stack, as the API's description has them: each path stands on a line of its own, and below it
/// its methods.
static DESCRIBED: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let (mut all, mut path) = (Vec::new(), "");
    for line in CONTRACT.lines().take_while(|line| *line != "components:") {
        let Some(name) = line.strip_suffix(':') else { continue };
        match name.strip_prefix("  ") {
            Some(found) if found.starts_with('/') => path = found,
            Some(name) => all.extend(
                METHODS
                    .iter()
                    .find(|(key, _)| name.strip_prefix("  ") == Some(key))
                    .map(|(_, method)| (*method, path)),
            ),
            None => {}
        }
    }
    all
});

/// A path's keys in the description, and the methods that they are.
const METHODS: [(&str, &str); 7] = [
    ("get", "GET"),
    ("head", "HEAD"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("options", "OPTIONS"),
];

/// What stands for the placeholders, if the path is one of this pattern. A slash at the end makes it another.
fn matches(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut parts) = (pattern.split('/'), path.split('/'));
    let mut found = Vec::new();
    loop {
        match (wanted.next(), parts.next()) {
            (None, None) => return Some(found),
            (Some(want), Some(have)) if want.starts_with('{') => {
                if have.is_empty() || have.len() > LONGEST {
                    return None;
                }
                found.push(have.to_owned());
            }
            (Some(want), Some(have)) if want == have => {}
            _ => return None,
        }
    }
}
