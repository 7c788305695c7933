//! `sluice journey draw` and `sluice journey run`: a journey as a picture, and one person's way through it.

use super::output::{Failure, note, pretty, say};
use super::policies::documents_in;
use super::{JourneyDrawArgs, JourneyRunArgs, StackArgs};
use serde_json::{Value, json};
use sluice_domain::journey::{Line, Script, Somebody, draw, play, unread};
use sluice_domain::policy::{Document, Period, PolicySet};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_host::lambda::SystemClock;
use std::collections::BTreeSet;
use std::path::Path;

pub(crate) async fn picture(args: &JourneyDrawArgs) -> Result<(), Failure> {
    let policies = documents(args.dir.as_deref(), &args.stack).await?;
    let known = || policies.journeys.keys().cloned().collect::<Vec<_>>().join(", ");
    let flow = policies.journeys.get(&args.name);
    let flow = flow.ok_or_else(|| format!("there is no journey `{}`; known: {}", args.name, known()))?;
    let svg = draw(flow);
    match &args.out {
        None if args.stack.json => say(&json!({"journey": args.name, "svg": svg}).to_string()),
        None => say(svg.trim_end()),
        Some(file) => {
            std::fs::write(file, svg).map_err(|error| format!("{}: {error}", file.display()))?;
            match args.stack.json {
                true => say(&json!({"journey": args.name, "file": file.display().to_string()}).to_string()),
                false => note(&format!("{} has the picture; a browser shows it.", file.display())),
            }
        }
    }
    Ok(())
}

pub(crate) async fn run(args: &JourneyRunArgs) -> Result<(), Failure> {
    let time = |text: &str| {
        Timestamp::parse(text)
            .ok_or_else(|| format!("`{text}` is no time: write it like 2027-03-01T09:00:00Z"))
    };
    let from = match &args.from {
        Some(text) => time(text)?,
        None if args.dir.is_none() || is_of_a_stack(&args.customer) => args.stack.now().await,
        None => SystemClock.now(),
    };
    let until = match Period::parse(&args.until) {
        Ok(length) => from.plus_millis(length.millis()),
        Err(_) => {
            time(&args.until).map_err(|why| format!("{why}, or how long after the beginning, like 30d"))?
        }
    };
    let mut customer = customer(&args.customer, &args.stack).await?;
    for text in &args.event {
        let (event, at) = text.split_once('@').map_or((text.as_str(), None), |(event, at)| (event, Some(at)));
        let told = json!({"event": event, "at": at});
        match customer["events"].as_array_mut() {
            Some(events) => events.push(told),
            None => customer["events"] = json!([told]),
        }
    }
    let person: Somebody =
        serde_json::from_value(customer).map_err(|error| format!("the customer: {error}"))?;
    let policies = documents(args.dir.as_deref(), &args.stack).await?;
    let script = Script { journey: &args.name, person: &person, from, until };
    let lines = play(&policies, script)?;
    let heard: BTreeSet<&str> =
        policies.journeys.get(&args.name).into_iter().flat_map(|flow| flow.events()).collect();
    let heard = heard.into_iter().collect::<Vec<_>>().join(", ");
    for event in unread(&policies, script)? {
        let heard = if heard.is_empty() { String::new() } else { format!("; {} goes by {heard}", args.name) };
        note(&format!("Neither {} nor a score, stage or segment asks for `{event}`{heard}", args.name));
    }
    if args.stack.json {
        say(&pretty(&json!({"journey": args.name, "lines": lines})));
    } else {
        lines.iter().for_each(show);
    }
    Ok(())
}

fn show(line: &Line) {
    let at = line.at.rfc3339();
    let at = at.split('.').next().unwrap_or(&at).replace('T', " ");
    match &line.step {
        Some(step) => say(&format!("{at}  > {step}: {}", line.words)),
        None => say(&format!("{at}    {}", line.words)),
    }
}

fn is_of_a_stack(named: &str) -> bool {
    named.starts_with("cu_") && !Path::new(named).exists()
}

/// A file, or whom an id of a running stack is of.
async fn customer(named: &str, stack: &StackArgs) -> Result<Value, Failure> {
    if is_of_a_stack(named) {
        return stack.call("GET", &format!("/api/customers/{named}"), None).await;
    }
    let text = std::fs::read_to_string(named).map_err(|error| format!("{named}: {error}"))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("{named}: {error}"))?;
    let members = value.as_object().ok_or_else(|| format!("{named}: a customer is a JSON object"))?;
    // What the API shows of a customer has more.
    let is_shown = members.contains_key("created");
    let is_known = |name: &&String| is_shown || Somebody::FIELDS.contains(&name.as_str());
    if let Some(strange) = members.keys().find(|name| !is_known(name)) {
        let fields = Somebody::FIELDS.join(", ");
        return Err(
            format!("{named}: nothing of a customer is called `{strange}`; there may be {fields}").into()
        );
    }
    Ok(value)
}

/// The documents of a folder, or those that a stack has published.
async fn documents(dir: Option<&Path>, stack: &StackArgs) -> Result<PolicySet, Failure> {
    let documents = match dir {
        Some(dir) => documents_in(dir)?,
        None => published(stack).await?,
    };
    PolicySet::build(0, documents).map_err(|error| error.to_string().into())
}

async fn published(stack: &StackArgs) -> Result<Vec<Document>, Failure> {
    let listed = stack.call("GET", "/api/policies", None).await?;
    let mut documents = Vec::new();
    for entry in listed["documents"].as_array().into_iter().flatten() {
        let name = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let path = format!("{}/{}", name("kind"), name("name"));
        let document = stack.call("GET", &format!("/api/policies/{path}"), None).await?;
        documents.push(Document::from_json(document).map_err(|error| format!("{path}: {error}"))?);
    }
    Ok(documents)
}
