//! What one lead costs in the table, counted by the store, one lead at a time.

use crate::people;
use crate::probe::Call;
use crate::report::Section;
use crate::rig::Rig;
use serde_json::{Value, json};

/// One kind of lead. A further kind is a further line in [`ALL`].
pub(crate) struct Kind {
    /// Its name.
    pub(crate) name: &'static str,
    /// Write units it may take until it is decided. (The design's budgets.)
    pub(crate) budget: Option<f64>,
    /// What has to be there: submissions of before.
    before: fn(u64) -> Vec<Value>,
    /// The lead that is counted.
    lead: fn(u64) -> Value,
}

/// Write units that an event which changes its customer may take. (The design's budget.)
pub(crate) const EVENT: f64 = 4.0;

/// Every kind.
pub(crate) const ALL: [Kind; 4] = [
    Kind { name: "new lead, two identities", budget: Some(10.0), before: |_| Vec::new(), lead: new },
    Kind { name: "repeat within ten minutes", budget: Some(7.0), before: |n| vec![new(n)], lead: new },
    Kind { name: "returning customer, owner kept", budget: None, before: |n| vec![new(n)], lead: returning },
    Kind { name: "two customers become one", budget: None, before: halves, lead: new },
];

fn new(n: u64) -> Value {
    people::lead(80, n)
}

fn returning(n: u64) -> Value {
    with(n, &[("message", json!("We have one more question."))])
}

fn halves(n: u64) -> Vec<Value> {
    vec![with(n, &[("phone", Value::Null)]), with(n, &[("email", Value::Null)])]
}

fn with(n: u64, changes: &[(&str, Value)]) -> Value {
    let mut lead = new(n);
    for (name, value) in changes {
        match (value, lead.as_object_mut()) {
            (Value::Null, Some(lead)) => drop(lead.remove(*name)),
            (value, Some(lead)) => drop(lead.insert((*name).to_owned(), value.clone())),
            (_, None) => {}
        }
    }
    lead
}

/// What a lead of one kind cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// Every call in order, those for policies left out: functions make them every few seconds, not for a lead.
    pub(crate) calls: Vec<Call>,
    /// Until it is decided.
    pub(crate) decided: Spent,
    /// Of the events that tell of it, and of what they count.
    pub(crate) events: Spent,
    /// Of the notice.
    pub(crate) notice: Spent,
}

/// What some calls to the table took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// Write units.
    pub(crate) write: f64,
    /// Read units.
    pub(crate) read: f64,
    /// Calls.
    pub(crate) trips: usize,
}

/// Posts one lead of a kind and counts.
pub(crate) async fn count(rig: &Rig, kind: &Kind, n: u64) -> Result<Cost, String> {
    for lead in (kind.before)(n) {
        rig.post(&lead).await?;
    }
    rig.probe.record();
    rig.post(&(kind.lead)(n)).await?;
    let mut cost = Cost::default();
    for call in without_policies(rig.probe.recorded()) {
        let in_table = !items(&call).is_empty();
        let spent = match call.function.as_str() {
            "send-message" => &mut cost.notice,
            "advance-journey" => &mut cost.events,
            _ => &mut cost.decided,
        };
        spent.write += call.write;
        spent.read += call.read;
        spent.trips += usize::from(in_table);
        cost.calls.push(call);
    }
    Ok(cost)
}

/// Calls without those for policies and secrets, which functions make every few seconds and not for one lead.
pub(crate) fn without_policies(calls: Vec<Call>) -> Vec<Call> {
    let mut kept = Vec::new();
    for mut call in calls {
        let items = items(&call);
        if items.is_empty() {
            // What was put on a queue is read while the call that sent it has not returned: the units are not this call's.
            (call.write, call.read) = (0.0, 0.0);
        }
        let of_policies = items.iter().any(|item| matches!(item.as_str(), "manifest" | "policy"));
        if call.operation != "GetSecretValue" && !of_policies {
            kept.push(call);
        }
    }
    kept
}

/// One call as a row.
pub(crate) fn row(section: &mut Section, who: &str, call: &Call) {
    let spent = format!("{:.1} W {:.1} R", call.write, call.read);
    let spent = if call.write + call.read > 0.0 { spent } else { String::new() };
    let items = items(call).join(" + ");
    section.row(format!("  {who}"), spent, format!("{} {items}", call.operation).trim_end().to_owned());
}

/// The kinds of item that a call to the table touches.
pub(crate) fn items(call: &Call) -> Vec<String> {
    let body = &call.body;
    let mut keys = vec![&body["Item"], &body["Key"]];
    for action in body["TransactItems"].as_array().into_iter().flatten() {
        keys.extend(action.as_object().into_iter().flatten().flat_map(|(_, of)| [&of["Item"], &of["Key"]]));
    }
    for table in body["RequestItems"].as_object().into_iter().flatten().map(|(_, table)| table) {
        keys.extend(table["Keys"].as_array().into_iter().flatten());
        let writes = table.as_array().into_iter().flatten();
        keys.extend(writes.flat_map(|write| [&write["PutRequest"]["Item"], &write["DeleteRequest"]["Key"]]));
    }
    let of_query = body["ExpressionAttributeValues"].get(":pk").map(|pk| json!({ "pk": pk }));
    keys.extend(of_query.iter());
    keys.into_iter().filter_map(kind_of).collect()
}

/// The kind of the item with this key, by the prefixes of `sluice_store::keys`.
fn kind_of(key: &Value) -> Option<String> {
    let (pk, sk) = (key["pk"]["S"].as_str()?, key["sk"]["S"].as_str().unwrap_or_default());
    let kind = match pk.split(['#', '_']).next().unwrap_or_default() {
        "ld" if sk == "e" => "envelope",
        "ld" => "lead",
        "cu" => "customer",
        "ad" => "address",
        "rep" => "message",
        other => other,
    };
    Some(kind.to_owned())
}
