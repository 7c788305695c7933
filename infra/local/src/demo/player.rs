//! Does what a script says, each thing at its time, and says what came of it.

use super::outside::Outside;
use super::script::{Deed, Handling, Line, Script};
use super::senders::{self, BROWSER, Post, Secrets, pairs};
use super::{Door, words};
use serde_json::{Map, Value, json};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_host::lambda::SystemClock;
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: i64 = 86_400_000;
/// How often and for how long the end of a lead is asked for where the clock cannot be moved.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSES: usize = 50;

/// What was done, in words.
#[derive(Clone, Debug)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// What.
    pub words: String,
    /// Whether it could not be done; the words say why.
    pub is_left_out: bool,
}

impl Told {
    /// As one line, with the time of the day in UTC.
    pub fn line(&self) -> String {
        let left_out = if self.is_left_out { "left out: " } else { "" };
        format!("{}  {left_out}{}", words::clock(self.at), self.words)
    }
}

/// Plays one day on one stack.
pub struct Player {
    door: Door,
    secrets: Secrets,
    outside: Option<Outside>,
    /// Midnight of the day.
    day: Timestamp,
    is_movable: bool,
    /// When the play began.
    began: Timestamp,
    sources: BTreeMap<String, Value>,
    /// Of reps, once they did something.
    tokens: BTreeMap<String, String>,
}

impl Player {
    /// For the stack behind a door. Where its clock can be moved the day is its next one that is no Saturday or Sunday;
    /// elsewhere it is today, and things happen when they are played.
    pub async fn new(door: Door, secrets: Secrets, outside: Option<Outside>) -> Result<Self, String> {
        let clock = door.local("GET", "/_local/clock").await.unwrap_or(Value::Null);
        let is_movable = clock["movable"] == true;
        let shown = clock["now"].as_str().and_then(Timestamp::parse).filter(|_| is_movable);
        let day = match shown {
            Some(now) => {
                let next = |day: Timestamp| day.plus_millis(DAY);
                let today = Timestamp(now.millis().div_euclid(DAY) * DAY);
                let mut day = if today == now { today } else { next(today) };
                while is_weekend(day) {
                    day = next(day);
                }
                day
            }
            None => Timestamp(SystemClock.now().millis().div_euclid(DAY) * DAY),
        };
        let began = if is_movable { day } else { SystemClock.now() };
        Ok(Self {
            door,
            secrets,
            outside,
            day,
            is_movable,
            began,
            sources: BTreeMap::new(),
            tokens: BTreeMap::new(),
        })
    }

    /// Midnight of the day, in UTC.
    pub const fn day(&self) -> Timestamp {
        self.day
    }

    /// Since when what comes is of this day.
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// Whether the stack's clock goes by the script, so that what waits for time happens.
    pub const fn is_movable(&self) -> bool {
        self.is_movable
    }

    /// The door it plays at.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// What the script needs and the stack does not have, in words.
    pub async fn missing(&mut self, script: &Script) -> Result<Vec<String>, String> {
        let listed = self.door.api("GET", "/api/policies", None).await?;
        let has = |kind: &str, name: &str| {
            let mut documents = listed["documents"].as_array().into_iter().flatten();
            documents.any(|document| document["kind"] == kind && document["name"] == name)
        };
        // Readers name a mail by its template, or by its campaign, whichever variant they got.
        let kind_of = |mail: &str| if has("campaign", mail) { "campaign" } else { "template" };
        let mut missing = Vec::new();
        for line in &script.lines {
            let wanted = match &line.deed {
                Deed::Form { form, .. } => ("form", form),
                Deed::Hook { source, .. } | Deed::Call { source, .. } => ("source", source),
                Deed::Open { mail, .. } | Deed::Click { mail, .. } | Deed::Unsubscribe { mail, .. } => {
                    (kind_of(mail), mail)
                }
                Deed::Campaign { campaign, .. } => ("campaign", campaign),
                Deed::Rep { .. } | Deed::Consent { .. } | Deed::Erase { .. } => continue,
            };
            let words = format!("{} {}", wanted.0, wanted.1);
            if !has(wanted.0, wanted.1) && !missing.contains(&words) {
                missing.push(words);
            }
        }
        Ok(missing)
    }

    /// Lets the time come, in milliseconds since the day's midnight, with all that is due until then.
    pub async fn until(&self, at: i64) -> Result<(), String> {
        if !self.is_movable {
            return Ok(());
        }
        // A clock that runs may be further by now; then what is due is only waited for.
        let shown = self.door.local("GET", "/_local/clock").await?;
        let shown = shown["now"].as_str().and_then(Timestamp::parse).unwrap_or_default();
        let to = self.now(at).max(shown).rfc3339();
        let moved = self.door.local("POST", &format!("/_local/clock?to={to}")).await?;
        match moved["settled"] == true {
            true => Ok(()),
            false => Err("the stack does not come to rest; its log says why".to_owned()),
        }
    }

    /// Does a line, at its time.
    pub async fn play(&mut self, line: &Line) -> Result<Told, String> {
        self.until(line.at).await?;
        let at = self.now(line.at);
        let done = self.act(line, at).await;
        // Whatever it set going ends before the next.
        self.until(line.at).await?;
        let done = match done {
            Ok(Done::Said(words)) => Ok(words),
            Ok(Done::Lead(words, lead)) => Ok(format!("{words} {}", self.end_of(&lead).await?)),
            Ok(Done::Asked(words, person)) => Ok(match self.newest_lead(&person).await {
                Ok(lead) => format!("{}: {words} {}", self.name(&person).await, self.end_of(&lead).await?),
                Err(_) => words,
            }),
            Err(why) => Err(why),
        };
        let is_left_out = done.is_err();
        Ok(Told { at, words: done.unwrap_or_else(|why| why), is_left_out })
    }

    fn now(&self, at: i64) -> Timestamp {
        if self.is_movable { self.day.plus_millis(at) } else { SystemClock.now() }
    }

    /// What a thing that is sent once is known by.
    fn key(&self, line: &Line) -> String {
        format!("day {} {}", words::date(self.day), line.key)
    }

    async fn act(&mut self, line: &Line, now: Timestamp) -> Result<Done, String> {
        let key = self.key(line);
        match &line.deed {
            Deed::Form { form, fields, language, page } => {
                let post = senders::form(form, fields, language.as_deref(), page.as_deref(), &key);
                let answer = self.post(post).await?;
                let words = format!("{}: form {form}", words::who(fields));
                Ok(match answer["lead_id"].as_str() {
                    Some(lead) => Done::Lead(words, lead.to_owned()),
                    None => Done::Said(words),
                })
            }
            Deed::Hook { source, body, answers } => {
                if !answers.is_empty() {
                    let Some(outside) = &self.outside else {
                        return Err(format!("{source}: only its own API can answer for this lead"));
                    };
                    let dated = super::script::dated(&Value::Object(answers.clone()), self.day);
                    outside.know(dated.as_object().unwrap_or(&Map::new()));
                }
                let document = self.source(source).await?;
                let post = senders::hook(&document, &self.secrets, body, self.day, now)?;
                self.post(post).await?;
                let person = words::person(body).or_else(|| answers.values().find_map(words::person));
                let words = format!("lead of {source}");
                Ok(match person {
                    Some(person) => Done::Asked(words, person),
                    None => Done::Said(words),
                })
            }
            Deed::Call { source, batch } => {
                let document = self.source(source).await?;
                let post = senders::calls(&document, &self.secrets, batch, &key, self.day, now)?;
                self.post(post).await?;
                Ok(Done::Said(format!("{source}: {}", words::calls(batch))))
            }
            Deed::Open { reader, mail } => {
                let letter = self.letter(reader, mail).await?;
                let pixel = words::own_path(letter.html(), "/o/").ok_or("the mail has no pixel")?;
                self.visit("GET", &pixel, Vec::new()).await?;
                Ok(Done::Said(format!("{} opens {mail}", self.name(reader).await)))
            }
            Deed::Click { reader, mail, link } => {
                let letter = self.letter(reader, mail).await?;
                let path = letter.leads_to(link).ok_or_else(|| format!("{mail} has no link to {link}"))?;
                self.visit("GET", &path, Vec::new()).await?;
                Ok(Done::Said(format!("{} follows {link} in {mail}", self.name(reader).await)))
            }
            Deed::Unsubscribe { reader, mail } => {
                let letter = self.letter(reader, mail).await?;
                let path = letter.unsubscribe().ok_or("the mail has no unsubscribe button")?;
                self.visit("POST", &path, b"List-Unsubscribe=One-Click".to_vec()).await?;
                Ok(Done::Said(format!("{} unsubscribes by {mail}", self.name(reader).await)))
            }
            Deed::Rep { lead_of, does, body } => self.act_as_rep(lead_of, does, body, &key).await,
            Deed::Consent { people, body } => {
                for person in people {
                    let id = words::text(&self.door.find(person).await?, "/id");
                    let path = format!("/api/customers/{id}/consents");
                    self.door.api_as(&self.admin(), "POST", &path, Some(body), Some(&key)).await?;
                }
                let who = match people.as_slice() {
                    [person] => self.name(person).await,
                    people => format!("{} people", people.len()),
                };
                let (wish, topic) = (words::text(body, "/wish"), words::text(body, "/topic"));
                Ok(Done::Said(format!("{who}: {wish} to {topic}")))
            }
            Deed::Campaign { campaign, does } => self.handle(campaign, *does, &key).await,
            Deed::Erase { person } => {
                let id = words::text(&self.door.find(person).await?, "/id");
                self.door.api("DELETE", &format!("/api/customers/{id}"), None).await?;
                Ok(Done::Said("somebody asks to be forgotten, and is".to_owned()))
            }
        }
    }

    /// Whoever has the person's newest lead does something with it, with a token of their own.
    async fn act_as_rep(
        &mut self,
        person: &str,
        does: &str,
        body: &Value,
        key: &str,
    ) -> Result<Done, String> {
        let name = self.name(person).await;
        let Some((lead, owner)) = self.lead_in_hand(person).await? else {
            return Err(format!("{name}: nobody has the lead, so nobody can say {does}"));
        };
        let token = match self.tokens.get(&owner) {
            Some(token) => token.clone(),
            None => {
                let asked = json!({ "role": "rep", "rep": owner });
                let made = self.door.api("POST", "/api/tokens", Some(&asked)).await?;
                let token = words::text(&made, "/token");
                self.tokens.insert(owner.clone(), token.clone());
                token
            }
        };
        let path = format!("/api/leads/{lead}/{does}");
        self.door.api_as(&token, "POST", &path, Some(body), Some(key)).await?;
        let how = [words::text(body, "/channel"), words::text(body, "/reason"), words::text(body, "/note")];
        let how: Vec<String> = how.into_iter().filter(|word| !word.is_empty()).collect();
        let how = if how.is_empty() { String::new() } else { format!(" ({})", how.join(": ")) };
        Ok(Done::Said(format!("{owner} {} {name}{how}", words::act(does))))
    }

    /// Marketing does something with a campaign, or looks at it; the numbers are those of the moment.
    async fn handle(&self, campaign: &str, does: Handling, key: &str) -> Result<Done, String> {
        let path = format!("/api/campaigns/{campaign}");
        let shown = match does {
            Handling::Look => self.door.api("GET", &path, None).await?,
            does => {
                let path = format!("{path}/{}", does.name());
                self.door.api_as(&self.admin(), "POST", &path, None, Some(key)).await?
            }
        };
        Ok(Done::Said(match does {
            Handling::Schedule => match shown["local_time"].as_str() {
                Some(local) => {
                    let local = local.replace('T', " ");
                    format!("marketing schedules {campaign} for {local} where each reader lives")
                }
                None => format!("marketing schedules {campaign}"),
            },
            Handling::Look => format!("marketing looks at {campaign}: {}", words::counts(&shown)),
            does => format!("marketing {}s {campaign}: {}", does.name(), words::counts(&shown)),
        }))
    }

    async fn post(&self, post: Post) -> Result<Value, String> {
        let answer = self.door.send("POST", &post.path, &post.headers, post.body).await?;
        if !(200..400).contains(&answer.status) {
            let path = post.path.split('?').next().unwrap_or_default();
            return Err(format!("{path} answers {}", answer.status));
        }
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// A person's mail program or browser follows an address of ours.
    async fn visit(&self, method: &str, path: &str, body: Vec<u8>) -> Result<(), String> {
        let mut headers = pairs(&[("user-agent", BROWSER), ("accept-language", "en")]);
        if !body.is_empty() {
            headers.extend(pairs(&[("content-type", "application/x-www-form-urlencoded")]));
        }
        let answer = self.door.send(method, path, &headers, body).await?;
        if answer.status < 400 { Ok(()) } else { Err(format!("a link of a mail answers {}", answer.status)) }
    }

    async fn source(&mut self, name: &str) -> Result<Value, String> {
        if let Some(known) = self.sources.get(name) {
            return Ok(known.clone());
        }
        let document = self.door.api("GET", &format!("/api/policies/source/{name}"), None).await?;
        self.sources.insert(name.to_owned(), document.clone());
        Ok(document)
    }

    /// The newest lead of a person that somebody has, and who that is.
    async fn lead_in_hand(&self, person: &str) -> Result<Option<(String, String)>, String> {
        let customer = self.door.find(person).await?;
        for lead in customer["leads"].as_array().into_iter().flatten() {
            let lead = words::text(lead, "/id");
            let shown = self.door.api("GET", &format!("/api/leads/{lead}"), None).await?;
            if let Some(owner) = shown["owner"].as_str() {
                return Ok(Some((lead, owner.to_owned())));
            }
        }
        Ok(None)
    }

    async fn newest_lead(&self, person: &str) -> Result<String, String> {
        let customer = self.door.find(person).await?;
        let lead = words::text(&customer, "/leads/0/id");
        if lead.is_empty() { Err(format!("{person} has sent no lead")) } else { Ok(lead) }
    }

    /// Where a lead stands, once it stands somewhere.
    async fn end_of(&self, lead: &str) -> Result<String, String> {
        let path = format!("/api/leads/{lead}");
        // A robot is told that all is well, and nothing of it is kept.
        let Ok(mut shown) = self.door.api("GET", &path, None).await else {
            return Ok("-> nothing is kept".to_owned());
        };
        for _ in 0..PAUSES {
            if self.is_movable || shown["reproduced"].is_boolean() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            shown = self.door.api("GET", &path, None).await?;
        }
        Ok(match (shown["owner"].as_str(), shown["state"].as_str().unwrap_or_default()) {
            (Some(owner), "assigned") => format!("-> {owner}"),
            (_, state) => format!("-> {state}"),
        })
    }

    async fn name(&self, person: &str) -> String {
        match self.door.find(person).await {
            Ok(customer) => words::name(&customer),
            Err(_) => person.to_owned(),
        }
    }

    /// The newest mail of a template or a campaign that somebody got.
    async fn letter(&self, reader: &str, mail: &str) -> Result<Letter, String> {
        let customer = words::text(&self.door.find(reader).await?, "/id");
        let listed = self.door.api("GET", &format!("/api/messages?customer={customer}"), None).await?;
        let mut messages = listed["messages"].as_array().into_iter().flatten();
        let is_it = |message: &&Value| {
            let cause = &message["cause"];
            message["template"] == mail || (cause["kind"] == "campaign" && cause["name"] == mail)
        };
        let message = messages.find(is_it).ok_or_else(|| format!("{reader} got no {mail}"))?;
        let state = words::text(message, "/state");
        if state != "sent" {
            return Err(format!("{reader} got no {mail}: it is {state} {}", words::text(message, "/why")));
        }
        let id = words::text(message, "/id");
        let found = self.door.local("GET", &format!("/_local/mail?format=json&q={id}")).await?;
        let mail = words::text(&found, "/mails/0/id");
        if mail.is_empty() {
            return Err("the mail itself cannot be read here".to_owned());
        }
        let letter = self.door.local("GET", &format!("/_local/mail/{mail}?format=json")).await?;
        Ok(Letter { message: message.clone(), letter })
    }

    /// The token of the admin, for calls that bring a key.
    fn admin(&self) -> String {
        self.door.token().to_owned()
    }
}

/// What came of a deed, so far as it can be said at once.
enum Done {
    Said(String),
    /// A lead was accepted.
    Lead(String, String),
    /// A lead was announced, of this person.
    Asked(String, String),
}

/// A mail as its reader has it.
struct Letter {
    message: Value,
    letter: Value,
}

impl Letter {
    fn html(&self) -> &str {
        self.letter["html"].as_str().unwrap_or_default()
    }

    /// The address of ours that leads to a path. Ours are in the order of what they lead to.
    fn leads_to(&self, link: &str) -> Option<String> {
        let links = self.message["links"].as_array()?;
        let leads = |url: &Value| url.as_str().and_then(words::path_of) == Some(link);
        let number = links.iter().position(leads)?;
        words::own_paths(self.html(), "/c/").get(number).cloned()
    }

    fn unsubscribe(&self) -> Option<String> {
        let address = self.letter["unsubscribe"]["addresses"].as_array()?.iter().find_map(Value::as_str)?;
        words::path_of(address).map(str::to_owned)
    }
}

fn is_weekend(day: Timestamp) -> bool {
    // The first day of the epoch was a Thursday.
    matches!((day.millis().div_euclid(DAY) + 4).rem_euclid(7), 0 | 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturdays_and_sundays_are_known() {
        let days = ["2026-12-04", "2026-12-05", "2026-12-06", "2026-12-07"];
        let day = |text: &str| Timestamp::parse(&format!("{text}T00:00:00Z")).unwrap();
        assert_eq!(days.map(|text| is_weekend(day(text))), [false, true, true, false]);
    }
}
