//! What came of a day, asked of the stack itself: nothing is added up that it does not say.

use super::script::{Deed, Script};
use super::{CampaignRow, Door, Story, words};
use serde::Serialize;
use serde_json::{Value, json};
use sluice_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// States that leads end in, and those on the way.
const STATES: [&str; 9] =
    ["open", "assigned", "repeat", "suppressed", "spam", "test", "invalid", "imported", "erased"];
/// From then on somebody was kept waiting, in milliseconds.
const SOON: i64 = 60_000;

/// What came of a day.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The day, `2026-12-02`.
    pub day: String,
    /// Leads of the day by where they stand.
    pub leads: BTreeMap<String, usize>,
    /// By source, most leads first.
    pub sources: Vec<SourceRow>,
    /// By owner, most leads first.
    pub owners: Vec<SourceRow>,
    /// Who waited, and why.
    pub waited: Vec<Waited>,
    /// Messages to customers, by journey and template.
    pub mails: Vec<JourneyMail>,
    /// Campaigns that went out, or were to.
    pub campaigns: Vec<CampaignRow>,
    /// Who wants no more.
    pub unsubscribed: Vec<Left>,
    /// Who bought.
    pub conversions: Vec<Conversion>,
    /// What came in, by currency.
    pub revenue: BTreeMap<String, f64>,
    /// Goals of journeys that were reached, by journey.
    pub goals: BTreeMap<String, usize>,
    /// One customer's way from the first click to the order.
    pub story: Option<Story>,
    /// Who would have entered a journey and is held out to compare with, by journey.
    pub held_out: BTreeMap<String, usize>,
    /// What the ledger says.
    pub ledger: Value,
    /// Every lead with its owner, as the API shows it.
    #[serde(skip)]
    pub(super) shown: Vec<Value>,
}

/// What came by one source, or to one owner.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SourceRow {
    /// Its name.
    pub name: String,
    /// Leads.
    pub leads: usize,
    /// Of these, somebody was in touch with.
    pub contacted: usize,
    /// The median of the working time until then, in milliseconds.
    pub median_ms: Option<i64>,
    /// Of these, ordered on the day.
    pub ordered: usize,
    /// Working times until the first contact, in milliseconds.
    #[serde(skip)]
    times: Vec<i64>,
}

/// Somebody who waited for an owner or an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Waited {
    /// Who.
    pub who: String,
    /// Their lead.
    pub lead: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// How long, in milliseconds; none is that they still wait.
    pub millis: Option<i64>,
    /// Why, in words.
    pub why: String,
}

/// Messages of one template.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JourneyMail {
    /// What sends it: a journey's name, or what else it was.
    pub journey: String,
    /// The template.
    pub template: String,
    /// Went out.
    pub sent: usize,
    /// Of these, opened by a person.
    pub opened: usize,
    /// Of these, a link was followed.
    pub clicked: usize,
    /// Goes out later.
    pub waits: usize,
    /// Did not go out, by reason.
    pub left_out: BTreeMap<String, usize>,
}

/// Somebody who wants no more.
#[derive(Clone, Debug, Serialize)]
pub struct Left {
    /// Who.
    pub who: String,
    /// When, RFC 3339.
    pub at: String,
    /// Of what.
    pub topic: String,
}

/// An order of the day.
#[derive(Clone, Debug, Serialize)]
pub struct Conversion {
    /// Who ordered.
    pub who: String,
    /// The customer.
    pub customer: String,
    /// The order's number.
    pub order: String,
    /// When, RFC 3339.
    pub at: String,
    /// What it came to.
    pub total: f64,
    /// In this currency.
    pub currency: String,
    /// Where the person came from, if by a lead.
    pub source: Option<String>,
    /// Whose customer it is.
    pub owner: Option<String>,
}

/// A customer with what happened to them.
struct Person {
    shown: Value,
    timeline: Vec<Value>,
    messages: Vec<Value>,
}

impl Summary {
    /// Asks the stack about everything since `since`, and about whom the script names.
    pub async fn gather(door: &Door, script: &Script, since: Timestamp) -> Result<Self, String> {
        let leads = leads(door, since).await?;
        let people = people(door, script, &leads).await?;
        let start = since.rfc3339();
        let of_day = |thing: &&Value| thing["at"].as_str().is_some_and(|at| at >= start.as_str());

        let mut conversions = Vec::new();
        let mut unsubscribed = Vec::new();
        let mut mails: BTreeMap<(String, String), JourneyMail> = BTreeMap::new();
        let mut goals: BTreeMap<String, usize> = BTreeMap::new();
        let mut held_out: BTreeMap<String, usize> = BTreeMap::new();
        let mut stories = Vec::new();
        for (id, person) in &people {
            let name = words::name(&person.shown);
            let owner = person.shown["owner"]["rep"].as_str().map(str::to_owned);
            let first = leads
                .iter()
                .filter(|lead| lead["customer"] == **id)
                .min_by_key(|lead| words::text(lead, "/received"));
            let mut ordered = false;
            for event in person.timeline.iter().filter(of_day) {
                match event["event"].as_str() {
                    Some("order_completed") => {
                        ordered = true;
                        conversions.push(Conversion {
                            who: name.clone(),
                            customer: id.clone(),
                            order: words::text(event, "/properties/order_id"),
                            at: words::text(event, "/at"),
                            total: event["properties"]["total"].as_f64().unwrap_or(0.0),
                            currency: words::text(event, "/properties/currency"),
                            source: first.map(|lead| words::text(lead, "/source")),
                            owner: owner.clone(),
                        });
                    }
                    Some("unsubscribed") => unsubscribed.push(Left {
                        who: name.clone(),
                        at: words::text(event, "/at"),
                        topic: words::text(event, "/properties/topic"),
                    }),
                    _ => {}
                }
            }
            // Campaigns are counted by themselves.
            let is_counted = |message: &&Value| {
                words::text(message, "/asked") >= start && message["cause"]["kind"] != "campaign"
            };
            for message in person.messages.iter().filter(is_counted) {
                count(&mut mails, message);
            }
            for run in person.shown["runs"].as_array().into_iter().flatten() {
                if run["goal"].as_str().is_some_and(|goal| goal >= start.as_str()) {
                    *goals.entry(words::text(run, "/journey")).or_default() += 1;
                }
                if run["outcome"] == "held_out" && words::text(run, "/entered") >= start {
                    *held_out.entry(words::text(run, "/journey")).or_default() += 1;
                }
            }
            if ordered && first.is_some() {
                stories.extend(Story::of(&person.shown, &person.timeline, &start));
            }
        }
        conversions.sort_by(|a, b| a.at.cmp(&b.at));
        unsubscribed.sort_by(|a, b| a.at.cmp(&b.at));
        let mut revenue: BTreeMap<String, f64> = BTreeMap::new();
        for order in &conversions {
            *revenue.entry(order.currency.clone()).or_default() += order.total;
        }
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for lead in &leads {
            *states.entry(words::text(lead, "/state")).or_default() += 1;
        }
        let buyers: BTreeSet<&str> = conversions.iter().map(|order| order.customer.as_str()).collect();
        let named = |lead: &Value| {
            people
                .get(lead["customer"].as_str().unwrap_or_default())
                .map_or_else(|| "somebody".to_owned(), |person| words::name(&person.shown))
        };
        let mut waited: Vec<Waited> = leads.iter().filter_map(|lead| waited_for(lead, named(lead))).collect();
        waited.sort_by(|a, b| a.since.cmp(&b.since));
        Ok(Self {
            day: words::date(since),
            sources: rows(&leads, &buyers, "/source"),
            owners: rows(&leads, &buyers, "/owner"),
            leads: states,
            waited,
            mails: mails.into_values().collect(),
            campaigns: CampaignRow::gather(door, &start).await?,
            unsubscribed,
            conversions,
            revenue,
            goals,
            held_out,
            story: stories.into_iter().max_by_key(|story| story.steps.len()),
            ledger: door.api("GET", "/api/ledger", None).await?,
            shown: leads,
        })
    }
}

/// Every lead that came since, as the API shows it, oldest first.
async fn leads(door: &Door, since: Timestamp) -> Result<Vec<Value>, String> {
    let mut ids = BTreeSet::new();
    for state in STATES {
        let mut cursor = String::new();
        loop {
            let path = format!("/api/leads?state={state}&since={}{cursor}", since.rfc3339());
            let page = door.api("GET", &path, None).await?;
            let rows = page["leads"].as_array().into_iter().flatten();
            ids.extend(rows.map(|lead| words::text(lead, "/id")));
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
    }
    let mut leads = Vec::new();
    for id in ids {
        leads.push(door.api("GET", &format!("/api/leads/{id}"), None).await?);
    }
    leads.sort_by_key(|lead| (words::text(lead, "/received"), words::text(lead, "/id")));
    Ok(leads)
}

/// Everybody of the day: whose leads came, and whom the script names.
async fn people(door: &Door, script: &Script, leads: &[Value]) -> Result<BTreeMap<String, Person>, String> {
    let mut ids: BTreeSet<String> = leads.iter().map(|lead| words::text(lead, "/customer")).collect();
    let mut named = BTreeSet::new();
    for line in &script.lines {
        match &line.deed {
            Deed::Call { batch, .. } => {
                named.extend(batch.iter().map(|call| words::text(call, "/traits/email")));
            }
            Deed::Open { reader: person, .. }
            | Deed::Click { reader: person, .. }
            | Deed::Unsubscribe { reader: person, .. } => drop(named.insert(person.clone())),
            Deed::Consent { people, .. } => named.extend(people.iter().cloned()),
            _ => {}
        }
    }
    for person in named.iter().filter(|person| !person.is_empty()) {
        if let Ok(customer) = door.find(person).await {
            ids.insert(words::text(&customer, "/id"));
        }
    }
    let mut people = BTreeMap::new();
    for id in ids.into_iter().filter(|id| !id.is_empty()) {
        // Who was erased is not there any more.
        let Ok(shown) = door.api("GET", &format!("/api/customers/{id}"), None).await else { continue };
        let root = words::text(&shown, "/id");
        let timeline = door.api("GET", &format!("/api/customers/{root}/timeline?limit=200"), None).await?;
        let messages = door.api("GET", &format!("/api/messages?customer={root}"), None).await?;
        let list = |page: &Value, name: &str| page[name].as_array().cloned().unwrap_or_default();
        let person =
            Person { shown, timeline: list(&timeline, "timeline"), messages: list(&messages, "messages") };
        people.insert(root, person);
    }
    Ok(people)
}

fn count(mails: &mut BTreeMap<(String, String), JourneyMail>, message: &Value) {
    let journey = match words::text(message, "/cause/kind").as_str() {
        "journey" => words::text(message, "/cause/name"),
        other => other.to_owned(),
    };
    let template = words::text(message, "/template");
    let row = mails.entry((journey.clone(), template.clone())).or_insert_with(|| JourneyMail {
        journey,
        template,
        ..JourneyMail::default()
    });
    match message["state"].as_str().unwrap_or_default() {
        "sent" => {
            row.sent += 1;
            row.opened += usize::from(!message["opened"].is_null());
            row.clicked += usize::from(!message["clicked"].is_null());
        }
        "ready" | "claimed" => row.waits += 1,
        state => {
            let why = message["why"].as_str().unwrap_or(state);
            *row.left_out.entry(why.to_owned()).or_default() += 1;
        }
    }
}

/// Leads by what a pointer leads to, most first.
fn rows(leads: &[Value], buyers: &BTreeSet<&str>, by: &str) -> Vec<SourceRow> {
    let mut rows: BTreeMap<String, SourceRow> = BTreeMap::new();
    let mut counted: BTreeSet<(String, String)> = BTreeSet::new();
    for lead in leads.iter().filter(|lead| !words::text(lead, by).is_empty()) {
        let name = words::text(lead, by);
        let row = rows
            .entry(name.clone())
            .or_insert_with(|| SourceRow { name: name.clone(), ..SourceRow::default() });
        row.leads += 1;
        if let Some(millis) = lead["contact"]["working_ms"].as_i64() {
            row.contacted += 1;
            row.times.push(millis);
        }
        let customer = words::text(lead, "/customer");
        if buyers.contains(customer.as_str()) && counted.insert((name, customer)) {
            row.ordered += 1;
        }
    }
    let mut rows: Vec<SourceRow> = rows.into_values().collect();
    for row in &mut rows {
        row.times.sort_unstable();
        row.median_ms = row.times.len().checked_sub(1).and_then(|last| row.times.get(last / 2)).copied();
    }
    rows.sort_by(|a, b| b.leads.cmp(&a.leads).then_with(|| a.name.cmp(&b.name)));
    rows
}

/// Why the sender of a lead was kept waiting, if they were: nobody was there, or whoever had it did not answer.
fn waited_for(lead: &Value, who: String) -> Option<Waited> {
    let time = |pointer: &str| lead.pointer(pointer).and_then(Value::as_str).and_then(Timestamp::parse);
    let received = time("/received")?;
    let (id, since) = (words::text(lead, "/id"), words::text(lead, "/received"));
    let waited = |millis: Option<i64>, why: String| {
        Some(Waited { who: who.clone(), lead: id.clone(), since: since.clone(), millis, why })
    };
    let state = words::text(lead, "/state");
    if matches!(state.as_str(), "waiting" | "escalated" | "queued") {
        return waited(None, last_reason(lead));
    }
    let past = lead["past"].as_array().into_iter().flatten();
    let silent: Vec<String> = past
        .filter_map(|past| match past["why"].as_str()? {
            "silent" => Some(words::text(past, "/rep")),
            "away" => Some(format!("{} (away)", words::text(past, "/rep"))),
            _ => None,
        })
        .collect();
    if !silent.is_empty() {
        let contact = time("/contact/at");
        let owner = words::text(lead, "/owner");
        let why = format!("{} did not answer in time; now {owner}'s", silent.join(", then "));
        return waited(contact.map(|at| at.since(received)), why);
    }
    let assigned = time("/assignment/at")?;
    if assigned.since(received) >= SOON {
        let team = words::text(lead, "/assignment/team");
        return waited(Some(assigned.since(received)), format!("nobody of {team} was at work"));
    }
    None
}

fn last_reason(lead: &Value) -> String {
    let why = lead["why"].as_array().and_then(|why| why.last());
    why.and_then(Value::as_str).unwrap_or("no reason is known").to_owned()
}

impl Summary {
    /// As a program reads it.
    pub fn to_json(&self) -> Value {
        json!(self)
    }

    /// Every lead of the day as the API shows it, oldest first.
    pub fn leads(&self) -> &[Value] {
        &self.shown
    }
}
