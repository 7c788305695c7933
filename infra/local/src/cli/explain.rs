//! `sluice explain`: why something is as it is, for people in words, for programs as the API has it.

use super::output::{Failure, pretty, say};
use super::tools::words;
use super::{Explained, StackArgs};
use crate::demo::words::name;
use serde_json::{Value, json};

/// What came back of a message, by its name in the API and as people say it.
const CAME_BACK: [(&str, &str); 5] = [
    ("opened", "opened"),
    ("clicked", "clicked"),
    ("by_machines", "looked at by machines"),
    ("complained", "complaint"),
    ("unsubscribed", "unsubscribed"),
];

pub(crate) async fn run(kind: Explained, id: &str, stack: &StackArgs) -> Result<(), Failure> {
    match kind {
        Explained::Lead => lead(id, stack).await,
        Explained::Customer => customer(id, stack).await,
        Explained::Message if id.starts_with("ms_") => message(id, stack).await,
        Explained::Message => notices(id, stack).await,
    }
}

async fn lead(id: &str, stack: &StackArgs) -> Result<(), Failure> {
    let lead = stack.call("GET", &format!("/api/leads/{id}"), None).await?;
    if stack.json {
        say(&pretty(&lead));
    } else {
        print_lead(id, &lead);
    }
    let otherwise: Vec<&str> = is_otherwise(&lead).then_some(id).into_iter().collect();
    report(&otherwise)
}

/// Whoever it is, and each of their leads as it is explained by itself.
async fn customer(id: &str, stack: &StackArgs) -> Result<(), Failure> {
    let mut customer = stack.call("GET", &format!("/api/customers/{id}"), None).await?;
    let ids: Vec<String> = list(&customer, "leads").map(|lead| words(&lead["id"])).collect();
    if !stack.json {
        print_customer(id, &customer);
    }
    let (mut leads, mut otherwise) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in &ids {
        let lead = match stack.call("GET", &format!("/api/leads/{id}"), None).await {
            // It went since its person was asked about.
            Err(why) if why.is_of_nothing() => continue,
            lead => lead?,
        };
        if is_otherwise(&lead) {
            otherwise.push(id.as_str());
        }
        if stack.json {
            leads.push(lead);
        } else {
            say("");
            print_lead(id, &lead);
        }
    }
    if stack.json {
        customer["leads"] = leads.into();
        say(&pretty(&customer));
    }
    report(&otherwise)
}

async fn message(id: &str, stack: &StackArgs) -> Result<(), Failure> {
    let message = stack.call("GET", &format!("/api/messages/{id}"), None).await?;
    if stack.json {
        say(&pretty(&message));
    } else {
        print_message(id, &message);
    }
    Ok(())
}

/// What a rep was told about a lead: once for each channel, if they have several.
async fn notices(id: &str, stack: &StackArgs) -> Result<(), Failure> {
    let named = "a message to a customer is named ms_…, one to a rep LEAD/REP, as ld_…/li.wei";
    let (lead, rep) = id.split_once('/').ok_or(named)?;
    let mut path = format!("/api/messages?rep={rep}");
    loop {
        let page = stack.call("GET", &path, None).await?;
        let found: Vec<&Value> = list(&page, "messages").filter(|message| message["lead"] == lead).collect();
        if !found.is_empty() {
            if stack.json {
                say(&pretty(&json!({"lead": lead, "rep": rep, "messages": found})));
            } else {
                found.iter().for_each(|notice| print_notice(rep, notice));
            }
            return Ok(());
        }
        match page["cursor"].as_str() {
            Some(cursor) => path = format!("/api/messages?rep={rep}&cursor={cursor}"),
            None => return Err(format!("{rep} was told nothing about {lead}").into()),
        }
    }
}

/// Whether deciding again from what was seen came to something else.
fn is_otherwise(lead: &Value) -> bool {
    lead["reproduced"] == false
}

/// Fails if there is a lead that is decided otherwise now, however it was shown.
fn report(otherwise: &[&str]) -> Result<(), Failure> {
    if otherwise.is_empty() {
        return Ok(());
    }
    let leads = otherwise.join(", ");
    Err(format!("{leads}: deciding again from what was seen gives another result; please report this").into())
}

fn print_lead(id: &str, lead: &Value) {
    say(&format!("Lead {id} from {} at {}", words(&lead["source"]), words(&lead["received"])));
    say(&format!("State: {}   Owner: {}", words(&lead["state"]), lead["owner"].as_str().unwrap_or("nobody")));
    if let Some(customer) = lead["customer"].as_str() {
        say(&format!("Customer: {customer}"));
    }
    let missing: Vec<&str> = list(lead, "missing").filter_map(Value::as_str).collect();
    if !missing.is_empty() {
        say(&format!("Still to be settled: {}", missing.join(", ")));
    }
    print_reading(lead);
    print_why(lead);
    if lead["reproduced"] == true {
        let version = &lead["policy_version"];
        say(&format!("Decided again from what was seen, policy version {version}: the same."));
    }
}

fn print_customer(id: &str, customer: &Value) {
    say(&format!("Customer {id}: {}, since {}", name(customer), words(&customer["created"])));
    let owner = &customer["owner"];
    say(&match owner["rep"].as_str() {
        Some(rep) => {
            let team = owner["team"].as_str().map(|team| format!(" of {team}")).unwrap_or_default();
            format!("Owner: {rep}{team}, since {}", words(&owner["since"]))
        }
        None => "Owner: nobody".to_owned(),
    });
    print_identities(customer);
    for (fact, shown) in customer["profile"].as_object().into_iter().flatten() {
        let source = shown["source"].as_str().map(|source| format!("   from {source}")).unwrap_or_default();
        say(&format!("  {fact}: {}{source} at {}", plain(&shown["value"]), words(&shown["at"])));
    }
    say_list("Stage", customer["stage"].as_str().map(str::to_owned).into_iter());
    say_list("Tags", list(customer, "tags").map(|one| words(&one["tag"])));
    say_list("Segments", list(customer, "segments").map(|one| words(&one["segment"])));
    say_list("Joined from", list(customer, "merged_from").map(words));
    say_list("Kept apart from", list(customer, "kept_apart_from").map(words));
    for one in list(customer, "suggestions") {
        say(&format!("Perhaps one person with {}: {}", words(&one["customer"]), words(&one["reason"])));
    }
    for place in list(customer, "consents") {
        let topics = list(place, "topics");
        let topics = topics.map(|one| format!("{} {}", words(&one["topic"]), words(&one["wish"])));
        let stopped = place["suppressed"]["by"].as_str().map(|by| format!("nothing is sent, by {by}"));
        let all: Vec<String> = stopped.into_iter().chain(topics).collect();
        if !all.is_empty() {
            say(&format!(
                "By {} to {}: {}",
                words(&place["channel"]),
                plain(&place["address"]),
                all.join(", ")
            ));
        }
    }
    if let Some(leads) = customer["lead_count"].as_u64() {
        let shown = list(customer, "leads").count() as u64;
        let newest = (shown < leads)
            .then(|| format!("; here are the newest {shown}, `sluice explain lead ID` explains any other"));
        say(&format!("Leads: {leads}{}", newest.unwrap_or_default()));
    }
}

fn print_message(id: &str, message: &Value) {
    let text = |name: &str| message[name].as_str();
    let said = |name: &str| text(name).unwrap_or_default();
    say(&format!("Message {id} to {} by {}", said("customer"), said("channel")));
    say(&format!("State: {}   Topic: {}   Template: {}", said("state"), said("topic"), said("template")));
    let cause = &message["cause"];
    say(&format!("Because of: {} {}", words(&cause["kind"]), words(&cause["name"])));
    print_attempts(message);
    if let Some(why) = text("why") {
        say(&format!("  {why}"));
    }
    let steps = [
        ("asked", "asked for"),
        ("not_before", "waits until"),
        ("claimed", "last tried"),
        ("delivered", "delivered"),
    ];
    for (name, what) in steps {
        if let Some(at) = text(name) {
            say(&format!("  {what} {at}"));
        }
    }
    if let Some(at) = message["bounced"]["at"].as_str() {
        say(&format!("  bounced {at} ({})", words(&message["bounced"]["kind"])));
    }
    for (name, what) in CAME_BACK {
        let seen = &message[name];
        match (seen.as_str(), seen["first"].as_str()) {
            (Some(at), _) => say(&format!("  {what} {at}")),
            (None, Some(first)) => say(&format!("  {what} {first}, {} times in all", seen["times"])),
            (None, None) => {}
        }
    }
    for sign in list(message, "machine_signs") {
        say(&format!("  sign of a machine: {}", words(&sign["why"])));
    }
    for link in list(message, "links").filter_map(Value::as_str) {
        say(&format!("  leads to {link}"));
    }
}

fn print_notice(rep: &str, notice: &Value) {
    let said = |name: &str| notice[name].as_str().unwrap_or_default();
    say(&format!("{} told {rep} by {}: {}", said("lead"), said("channel"), said("kind")));
    say(&format!("State: {}", said("state")));
    if let Some(customer) = notice["customer"].as_str() {
        say(&format!("Customer: {customer}"));
    }
    print_attempts(notice);
    for (name, what) in [("text", "says"), ("due", "due")] {
        if let Some(text) = notice[name].as_str() {
            say(&format!("  {what} {text}"));
        }
    }
}

/// How often it was tried, of how many of these nobody knows what came of them, and what was noted.
fn print_attempts(message: &Value) {
    if let Some(attempts) = message["attempts"].as_u64() {
        let unknown = message["unknown"].as_u64().filter(|unknown| *unknown > 0);
        let unknown = unknown.map(|unknown| format!(", of {unknown} the outcome is unknown"));
        say(&format!("Attempts: {attempts}{}", unknown.unwrap_or_default()));
    }
    if let Some(note) = message["note"].as_str() {
        say(&format!("Note: {note}"));
    }
}

/// By what the person can be recognised, and what a person should look at.
pub(super) fn print_reading(answer: &Value) {
    print_identities(answer);
    say_list("To be looked at", list(answer, "flags").chain(list(answer, "unreadable")).map(words));
}

fn print_identities(answer: &Value) {
    let identity = |one: &Value| {
        let weak = if one["strong"] == true { "" } else { " (a hint only)" };
        let within =
            one["namespace"].as_str().map(|namespace| format!(" of {namespace}")).unwrap_or_default();
        // Of some only a hash is kept.
        let value = one["value"].as_str().map(|value| format!(" {value}")).unwrap_or_default();
        format!("{}{within}{value}{weak}", words(&one["kind"]))
    };
    let identities: Vec<String> = list(answer, "identities").map(identity).collect();
    say(&format!(
        "Identities: {}",
        if identities.is_empty() { "none".to_owned() } else { identities.join(", ") }
    ));
}

pub(super) fn print_why(answer: &Value) {
    for line in list(answer, "why").filter_map(Value::as_str) {
        say(&format!("  {line}"));
    }
}

/// Several things on one line; nothing of none.
fn say_list(title: &str, all: impl Iterator<Item = String>) {
    let all: Vec<String> = all.collect();
    if !all.is_empty() {
        say(&format!("{title}: {}", all.join(", ")));
    }
}

fn list<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    answer[name].as_array().into_iter().flatten()
}

/// A value as it is: text without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
