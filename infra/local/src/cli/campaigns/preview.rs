//! What a campaign would come to, before anybody schedules it.

use super::super::output::{Failure, note, pretty, say};
use super::show::instant;
use super::{StackArgs, find};
use crate::demo::words;
use serde_json::{Value, json};
use sluice_domain::calendar::Zone;
use sluice_domain::campaign::{Broadcast, Forecast, PLAN_AHEAD_MS, Place, Planner, Section, Share, forecast};
use sluice_domain::gate::zone_of;
use sluice_domain::id::CustomerId;
use sluice_domain::identity::Country;
use sluice_domain::message::Channel;
use sluice_domain::policy::campaign::Audience;
use sluice_domain::policy::{Campaign, Document};
use sluice_domain::time::Timestamp;

/// People who are shown.
const SHOWN: usize = 8;

/// One of the audience, and what they would get.
struct Member {
    id: CustomerId,
    name: String,
    zone: Zone,
    place: Place,
}

pub(super) async fn run(name: &str, stack: &StackArgs) -> Result<(), Failure> {
    let view = find(name, stack).await?;
    let document = read(&view["document"])?;
    let found = audience(&view["document"]["audience"], stack).await?;
    let people = found["matching"].as_u64().unwrap_or(0);
    let rate = channel_rate(&document, stack).await;
    let now = stack.now().await;
    let what = forecast(&document, rate, people, now).map_err(|_| {
        format!("the time that {name} says has passed; publish it with another one to schedule it")
    })?;
    let members = members(&document, &what, &found["sample"], now, stack).await?;
    if stack.json {
        say(&pretty(&as_json(&document, &found, &what, rate, &members)));
        return Ok(());
    }
    print(&document, &found, &what, document.rate.or(rate), &members);
    Ok(())
}

/// How many an audience holds, and some of them.
pub(super) async fn audience(audience: &Value, stack: &StackArgs) -> Result<Value, Failure> {
    let audience: Audience = serde_json::from_value(audience.clone()).map_err(|error| error.to_string())?;
    // Where a condition is given the name is not looked at.
    let segment = audience.segment.clone().unwrap_or_else(|| "audience".to_owned());
    let body = audience.condition().map_or_else(|| json!({}), |when| json!({ "when": when }));
    stack.call("POST", &format!("/api/segments/{segment}/preview"), Some(&body)).await
}

fn read(document: &Value) -> Result<Campaign, String> {
    let gone = "its document is not published any more; `sluice apply DIR` publishes documents";
    let mut document = document.as_object().cloned().ok_or(gone)?;
    document.insert("kind".to_owned(), "campaign".into());
    match Document::from_json(document.into()) {
        Ok(Document::Campaign(campaign)) => Ok(*campaign),
        Ok(_) => Err(gone.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Messages a second that the channel takes, if its document says.
async fn channel_rate(document: &Campaign, stack: &StackArgs) -> Option<u32> {
    let template = &document.send.template;
    let published =
        |path: String| async move { stack.call("GET", &format!("/api/policies/{path}"), None).await };
    let channel = match document.send.channel {
        Some(channel) => channel,
        None => {
            let template = published(format!("template/{template}")).await.unwrap_or_default();
            template["channel"].as_str().and_then(Channel::parse).unwrap_or_default()
        }
    };
    // A channel works without a document, too, and is then as fast as it is.
    let channel = published(format!("channel/{}", channel.name())).await.ok()?;
    channel["rate"].as_u64().and_then(|rate| u32::try_from(rate).ok())
}

/// What each of these people would get, and when: planned as it will be, but for the turns that the rate makes.
async fn members(
    document: &Campaign,
    what: &Forecast,
    sample: &Value,
    now: Timestamp,
    stack: &StackArgs,
) -> Result<Vec<Member>, Failure> {
    let mut broadcast = Broadcast::new(&document.name, 1, what.when, "", now);
    let begins = what.when.at.plus_millis(-PLAN_AHEAD_MS).max(now);
    let unlimited = Campaign { rate: None, ..document.clone() };
    broadcast.begin(&unlimited, 0, None, begins).map_err(|_| "it cannot begin".to_owned())?;
    let planner = Planner::new(&broadcast, None, 0).ok_or("it cannot begin")?;
    let settings = stack.call("GET", "/api/policies/settings/default", None).await.unwrap_or_default();
    let own = settings["messaging"]["zone"].as_str().and_then(Zone::named);
    let mut members = Vec::new();
    for id in sample.as_array().into_iter().flatten().filter_map(Value::as_str).take(SHOWN) {
        let customer = stack.call("GET", &format!("/api/customers/{id}"), None).await?;
        let fact = |name: &str| words::text(&customer, &format!("/profile/{name}/value"));
        let zone = zone_of(Some(&fact("time_zone")), Country::parse(&fact("country")), own.as_ref());
        let Some(id) = CustomerId::parse(id) else { continue };
        let place = planner.place(&mut Section::default(), &id, &zone);
        members.push(Member { id, name: words::name(&customer), zone, place });
    }
    Ok(members)
}

fn print(document: &Campaign, found: &Value, what: &Forecast, rate: Option<u32>, members: &[Member]) {
    let Forecast { when, held_out, messages, tested, takes, last } = what;
    say(&document.name);
    let audience = match (&document.audience.segment, &document.audience.list, &document.audience.query) {
        (Some(segment), ..) => format!("segment {segment}"),
        (_, Some(list), _) => format!("list {list}"),
        (_, _, query) => query.clone().unwrap_or_default(),
    };
    let so_far =
        if found["complete"] == true { "" } else { " so far: there are too many to look at all of them" };
    say(&format!("  to        {} of {} people ({audience}){so_far}", found["matching"], found["of"]));
    if let Some(part) = document.hold_out {
        say(&format!("            about {held_out} of them get nothing, to compare with ({part})"));
    }
    let names: Vec<String> =
        document.variants.iter().map(|variant| format!("{} {}", variant.name, variant.weight)).collect();
    if !names.is_empty() {
        say(&format!("  variants  by weight: {}", names.join(", ")));
    }
    if let (Some(winner), Some(tested)) = (&document.winner, tested) {
        let after = words::length(winner.after.millis());
        say(&format!(
            "            {tested} get one of them at once, the others after {after} the one that did best"
        ));
    }
    let at = instant(&when.at.rfc3339());
    say(&match when.local {
        Some(local) => format!(
            "  goes out  {} where each recipient lives: from {at} to {}",
            local.strftime("%Y-%m-%d %H:%M"),
            instant(&last.rfc3339())
        ),
        None => format!("  goes out  {at}, the last about {}", instant(&last.rfc3339())),
    });
    let pace = rate.map_or_else(|| "as fast as it goes".to_owned(), |rate| format!("{rate} a second"));
    let spread = document.spread.map(|spread| format!(", spread over {}", words::length(spread.millis())));
    say(&format!(
        "  takes     {} s for {messages} messages ({pace}{}): about {}",
        takes / 1_000,
        spread.unwrap_or_default(),
        words::length(*takes)
    ));
    for (at, member) in members.iter().enumerate() {
        let head = if at == 0 { "for example" } else { "" };
        let when = instant(&member.place.at.rfc3339());
        let gets = match member.place.share {
            Share::Nothing => "nothing, to compare with".to_owned(),
            _ => format!("{} at {when} ({})", gets(document, member), member.zone.name()),
        };
        say(&format!("  {head:<11} {} ({}): {gets}", member.name, member.id));
    }
    if found["matching"] == 0 {
        note("Nobody is in the audience now. It is evaluated again when it goes out.");
    }
    if let Some(error) = found["error"].as_str() {
        note(&format!("Of {} people it cannot be told: {error}", found["errors"]));
    }
    note("Who wants no more, is at a cap or has no address is left out when it is sent.");
}

fn gets<'a>(document: &'a Campaign, member: &Member) -> &'a str {
    match member.place.share {
        Share::Message(variant) => document.variant_name(variant).unwrap_or(&document.send.template),
        Share::Winner => "the variant that wins",
        Share::Nothing => "nothing",
    }
}

fn as_json(
    document: &Campaign,
    found: &Value,
    what: &Forecast,
    rate: Option<u32>,
    members: &[Member],
) -> Value {
    let sample = members.iter().map(|member| {
        json!({
            "customer": member.id, "gets": gets(document, member), "at": member.place.at.rfc3339(),
            "zone": member.zone.name(),
        })
    });
    json!({
        "campaign": document.name,
        "matching": found["matching"], "of": found["of"], "complete": found["complete"],
        "errors": found["errors"], "error": found["error"],
        "held_out": what.held_out, "messages": what.messages, "tested": what.tested,
        "first": what.when.at.rfc3339(), "last": what.last.rfc3339(),
        "local_time": what.when.local.map(|local| local.strftime("%Y-%m-%dT%H:%M").to_string()),
        "rate": document.rate.or(rate), "seconds": what.takes / 1_000,
        "sample": sample.collect::<Vec<_>>(),
    })
}
