//! Customers who are probably one person, looked for among all of them at once.

use super::StackArgs;
use super::output::{Failure, note, pretty, say};
use serde_json::{Value, json};
use sluice_domain::access::Hidden;
use sluice_domain::matching::{Duplicates, Evidence, Link, Profile, Verdict, duplicates};
use std::collections::{BTreeMap, BTreeSet};

/// Customers read between two lines that say so.
const SAID_EACH: usize = 5_000;
/// Reasons given for one pair.
const REASONS: usize = 6;

/// Everybody, as they are compared.
#[derive(Default)]
struct Base {
    ids: Vec<String>,
    profiles: Vec<Profile>,
    /// By every id of theirs, also those that gave way.
    places: BTreeMap<String, u32>,
    /// Ids of two who are two people.
    apart: Vec<(String, String)>,
    /// Whether something about somebody is hidden from this token.
    is_masked: bool,
}

/// Looks for them, says what speaks for each pair, and joins those that are certain if told to.
pub(crate) async fn find(join: bool, stack: &StackArgs) -> Result<(), Failure> {
    let base = Base::read(stack).await?;
    if base.is_masked {
        note("Some facts are hidden from this token: what they would say is not compared.");
    }
    let Duplicates { compared, groups } = duplicates(&base.profiles, &base.apart());
    let (mut certain, mut refused, mut shown) = (0, 0, Vec::new());
    for group in &groups {
        let mut links = Vec::new();
        if !stack.json {
            say(&format!("{} records of one person, probably:", group.members.len()));
        }
        for link in &group.links {
            let (one, other) = (base.id(link.one), base.id(link.other));
            let is_certain = link.score.verdict() == Verdict::Same;
            certain += usize::from(is_certain);
            let done = match join && is_certain {
                true => Some(joined(one, other, stack).await?),
                false => None,
            };
            refused += usize::from(matches!(done, Some(Err(_))));
            if !stack.json {
                say(&format!("  {one}  {other}  {}", words(link)));
                match &done {
                    Some(Ok(())) => say("    joined"),
                    Some(Err(why)) => say(&format!("    not joined: {why}")),
                    None => {}
                }
            }
            links.push(json!({
                "one": one, "other": other, "probability": link.score.probability(), "certain": is_certain,
                "reasons": reasons(link), "joined": done.as_ref().map(Result::is_ok),
                "refused": done.and_then(Result::err),
            }));
        }
        let members: Vec<&str> = group.members.iter().map(|member| base.id(*member)).collect();
        shown.push(json!({ "customers": members, "links": links }));
    }
    let all: usize = groups.iter().map(|group| group.links.len()).sum();
    let whole = if refused > 0 { Err(format!("{refused} were not joined").into()) } else { Ok(()) };
    if stack.json {
        say(&pretty(&json!({ "customers": base.ids.len(), "compared": compared, "groups": shown })));
        return whole;
    }
    say(&format!(
        "{} customers, {compared} pairs compared: {all} are probably somebody who is there already, {certain} of them certainly.",
        base.ids.len()
    ));
    if join {
        say(&format!("{} joined. `sluice unmerge ID` takes one apart again.", certain - refused));
    } else if all > 0 {
        say(
            "`sluice merge ID OTHER` joins two, `sluice keep-apart ID OTHER` keeps them apart for good; --join joins the certain ones.",
        );
    }
    whole
}

impl Base {
    async fn read(stack: &StackArgs) -> Result<Self, Failure> {
        let (mut base, mut cursor) = (Self::default(), None::<String>);
        let mut said = 0;
        loop {
            let path = match &cursor {
                Some(cursor) => format!("/api/customers?cursor={cursor}"),
                None => "/api/customers".to_owned(),
            };
            let page = stack.insist("GET", &path, &Value::Null).await?;
            for customer in page["customers"].as_array().into_iter().flatten() {
                base.take(customer);
            }
            if base.ids.len() >= said + SAID_EACH {
                said = base.ids.len();
                note(&format!("{said} customers read …"));
            }
            cursor = page["cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok(base);
            }
        }
    }

    fn take(&mut self, customer: &Value) {
        let (Some(id), Ok(place)) = (customer["id"].as_str(), u32::try_from(self.ids.len())) else { return };
        let facts = &customer["facts"];
        self.is_masked |=
            facts.as_object().is_some_and(|facts| facts.values().any(|fact| *fact == Hidden::SHOWN));
        self.profiles.push(Profile::read(|name| facts[name].as_str().filter(|fact| *fact != Hidden::SHOWN)));
        let named = |name: &str| {
            let ids = customer[name].as_array().into_iter().flatten();
            ids.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        self.places.extend(named("merged_from").into_iter().map(|half| (half, place)));
        self.apart.extend(named("kept_apart_from").into_iter().map(|other| (id.to_owned(), other)));
        self.places.insert(id.to_owned(), place);
        self.ids.push(id.to_owned());
    }

    /// Pairs whom somebody told apart.
    fn apart(&self) -> BTreeSet<(u32, u32)> {
        let place = |id: &String| self.places.get(id).copied();
        let pairs = self.apart.iter().filter_map(|(one, other)| Some((place(one)?, place(other)?)));
        pairs.map(|(a, b)| (a.min(b), a.max(b))).collect()
    }

    fn id(&self, at: u32) -> &str {
        usize::try_from(at).ok().and_then(|at| self.ids.get(at)).map_or("", String::as_str)
    }
}

/// Joins two; the inner error is why the stack does not.
async fn joined(one: &str, other: &str, stack: &StackArgs) -> Result<Result<(), String>, Failure> {
    let merge = format!("/api/customers/{one}/merge");
    match stack.insist("POST", &merge, &json!({ "with": other })).await {
        Ok(_) => Ok(Ok(())),
        Err(why) if why.problem().is_none() => Err(why),
        Err(why) => Ok(Err(why.to_string())),
    }
}

fn reasons(link: &Link) -> Vec<String> {
    let told = link.score.evidence.iter().filter(|one| one.bits.abs() >= 0.5);
    told.take(REASONS).map(Evidence::words).collect()
}

fn words(link: &Link) -> String {
    let percent = (link.score.probability() * 1_000.0).floor() / 10.0;
    format!("{percent} %: {}", reasons(link).join(", "))
}
