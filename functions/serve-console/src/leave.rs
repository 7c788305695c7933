//! A rep's own absences.

use crate::acts::ATTEMPTS;
use crate::sight::no_such_rep;
use crate::{Call, Console, unavailable};
use serde_json::json;
use sluice_domain::calendar::{Absence, Leave, MAX_ABSENCES};
use sluice_domain::policy::PolicySet;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Commit, LeaveRecord, Wanted, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::BTreeSet;

impl Console {
    /// What the rep has set, what their document plans, and whether they are at work now.
    pub(crate) async fn show_leave(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (rep, policies) = self.rep_of(call).await?;
        let record = self.leave_of(&rep).await?;
        Ok(self.leave_view(&rep, &record, &policies))
    }

    /// `{"leave": [{"from": "2026-12-24", "to": "2026-12-31"}]}` replaces what the rep has set. A date is a whole day
    /// where the rep works, the last one included; a time is an instant; without `to` it is until further notice. With
    /// `If-Match` only if nobody has changed it since, but for a repeat of the call that did.
    pub(crate) async fn put_leave(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (rep, policies) = self.rep_of(call).await?;
        let leave = read(call)?;
        for _ in 0..ATTEMPTS {
            let LeaveRecord { leave: before, version } = self.leave_of(&rep).await?;
            // The answer to a call that was carried out may have been lost: as it is repeated its tag is of the version before.
            let last = version.checked_sub(1).filter(|_| before == leave);
            let is_repeat = last.is_some_and(|last| call.may_replace(last, true));
            // Of every rep something is set, if only that there is nothing.
            if !is_repeat && !call.may_replace(version, true) {
                return Err(Problem::new(409, "changed", "Somebody has changed it since. Read it again."));
            }
            if before != leave {
                let commit = Commit::default().leave(&rep, LeaveRecord { leave: leave.clone(), version });
                if self.store.commit(commit).await.map_err(unavailable)? == Written::Conflict {
                    continue;
                }
            }
            // Sent also by a repeat: whoever died in between has woken nobody.
            let now = self.env.clock.now();
            let told = Outgoing {
                queue: QueueName::Lead,
                id: format!("leave-{rep}"),
                body: encode(&LeadMessage::Leave(rep.clone())),
                not_before: now,
            };
            self.outbox.hand_over(vec![told], now).await.map_err(unavailable)?;
            let record = self.leave_of(&rep).await?;
            return Ok(self.leave_view(&rep, &record, &policies));
        }
        Err(Problem::new(409, "busy", "Others are changing it. Try again.").retry_after(1))
    }

    async fn rep_of(&self, call: &Call) -> Result<(String, std::sync::Arc<PolicySet>), Problem> {
        let (rep, policies) = (call.part(0).to_owned(), self.current().await?);
        call.reach_rep(&rep)?;
        if !policies.reps.contains_key(&rep) {
            return Err(no_such_rep());
        }
        Ok((rep, policies))
    }

    async fn leave_of(&self, rep: &str) -> Result<LeaveRecord, Problem> {
        let wanted = Wanted { reps: BTreeSet::from([rep.to_owned()]), ..Wanted::default() };
        let mut desk = self.store.desk(&wanted).await.map_err(unavailable)?;
        Ok(desk.leave.remove(rep).unwrap_or_default())
    }

    fn leave_view(&self, rep: &str, record: &LeaveRecord, policies: &PolicySet) -> HttpResponse {
        let schedule = policies.schedule(rep, None, Some(&record.leave));
        let planned = policies.reps.get(rep).map(|rep| &rep.leave);
        let closed = schedule.closed(self.env.clock.now());
        let body = json!({
            "rep": rep, "leave": record.leave, "planned": planned, "zone": policies.zone_of(rep, None),
            "at_work": closed.is_none(),
            "back": closed.and_then(|closed| closed.back).map(|back| back.rfc3339()),
        });
        HttpResponse::json(200, &body).with_header("etag", format!("\"{}\"", record.version))
    }
}

fn read(call: &Call) -> Result<Leave, Problem> {
    let body = call.json()?;
    let refuse = |detail: String| Problem::new(422, "leave-unreadable", detail).about("leave");
    let list = body.get("leave").cloned().ok_or_else(|| {
        refuse(
            "Say when: `leave`, a list of `{\"from\": \"2026-12-24\", \"to\": \"2026-12-31\"}`.".to_owned(),
        )
    })?;
    let leave: Vec<Absence> = serde_json::from_value(list).map_err(|error| refuse(format!("{error}.")))?;
    if leave.len() > MAX_ABSENCES {
        return Err(refuse(format!("At most {MAX_ABSENCES} absences are kept.")));
    }
    let utc = sluice_domain::calendar::Zone::utc();
    let backwards = leave.iter().find(|absence| {
        let (from, to) = absence.interval(&utc);
        from >= to
    });
    match backwards {
        Some(absence) => {
            let absence = serde_json::to_string(absence).unwrap_or_default();
            Err(refuse(format!("{absence} ends before it begins.")))
        }
        None => Ok(Leave(leave)),
    }
}
