//! `GET /api/audit`: who changed a policy, a token or an owner, when, from what to what; newest first.

use crate::{Call, Console, unavailable};
use serde_json::{Value, json};
use sluice_domain::access::{Change, Note};
use sluice_domain::time::Timestamp;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;

/// Entries of one page, unless the caller wants another number of them.
const PAGE: usize = 50;
/// The most entries of one page.
const MOST: usize = 200;
/// Entries read to fill a page that is asked for by kind or by who.
const READ: usize = 1_000;

impl Console {
    /// `kind` (policy, token, owner), `who` (the name, or the id of a token), `since` and `until` narrow it. A page may be shorter
    /// than asked for, or empty, and have a `cursor` all the same: so far was looked.
    pub(crate) async fn show_audit(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let kind = call.query("kind");
        if kind.as_deref().is_some_and(|kind| !Change::KINDS.contains(&kind)) {
            let detail = format!("A kind is one of {}.", Change::KINDS.join(", "));
            return Err(Problem::new(422, "kind-unknown", detail).about("kind"));
        }
        let who = call.query("who");
        let (since, until) = (call.time("since")?, call.time("until")?);
        if since.zip(until).is_some_and(|(since, until)| since > until) {
            let said = "`since` lies after `until`.";
            return Err(Problem::new(422, "time-out-of-place", said).about("since"));
        }
        let limit = call.limit(PAGE, MOST);
        let fits = |note: &Note| {
            kind.as_deref().is_none_or(|kind| note.change.kind() == kind)
                && who
                    .as_ref()
                    .is_none_or(|who| note.who.name == *who || note.who.token.as_ref() == Some(who))
        };
        let mut found = Vec::new();
        let mut cursor = call.query("cursor");
        let mut read = 0;
        loop {
            // Never more than fit: the cursor stands behind the last that was read.
            let wanted = i32::try_from(limit - found.len()).unwrap_or(i32::MAX);
            let page =
                self.store.audit(since, until, cursor.as_deref(), wanted).await.map_err(unavailable)?;
            read += page.items.len();
            found.extend(page.items.iter().filter(|note| fits(note)).map(view));
            cursor = page.next;
            if cursor.is_none() || found.len() >= limit || read >= READ {
                return Ok(HttpResponse::json(200, &json!({ "audit": found, "cursor": cursor })));
            }
        }
    }
}

fn view(note: &Note) -> Value {
    let mut shown = json!(note.change);
    shown["id"] = json!(note.id());
    shown["at"] = Timestamp::rfc3339(note.at).into();
    shown["who"] = json!({ "name": note.who.name, "role": note.who.role, "token": note.who.token });
    shown
}
