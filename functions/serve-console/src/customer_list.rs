//! Customers, page by page: for programs that look at all of them.

use crate::{Call, Console, person, unavailable};
use serde_json::{Value, json};
use sluice_domain::customer::Fact;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;

impl Console {
    /// Everybody within reach, in no order, each as their person with what is known of them. A page may be short, even empty;
    /// while there is a `cursor`, the list goes on.
    pub(crate) async fn list_customers(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let page = self.store.scan_customers(0, 1, call.query("cursor").as_deref()).await;
        let page = page.map_err(unavailable)?;
        let known = self.store.people_of(page.items).await.map_err(unavailable)?;
        let shown = call.sight.people(&known);
        let live = known.customers.values().filter(|record| record.into.is_none());
        let rows = live.filter(|record| call.sight.has_person(&known, record)).filter_map(|record| {
            let whole = shown.whole(shown.customers.get(&record.id)?);
            let facts = whole.facts(&policies.settings.survivorship).into_iter();
            let facts = facts
                .map(|(name, fact): (&str, &Fact)| (name.to_owned(), fact.value.reveal().clone().into()));
            Some(json!({
                "id": record.id,
                "created": record.created.rfc3339(),
                "owner": whole.owner().map(person::owner),
                "facts": facts.collect::<serde_json::Map<String, Value>>(),
                "merged_from": whole.halves.iter().map(|half| &half.id).collect::<Vec<_>>(),
                "kept_apart_from": whole.apart(),
            }))
        });
        let body = json!({ "customers": rows.collect::<Vec<_>>(), "cursor": page.next });
        Ok(HttpResponse::json(200, &body))
    }
}
