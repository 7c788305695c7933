//! One version of all documents, ready to decide with.

use super::territory::Map;
use super::{
    Access, AddressKind, AddressName, Alert, Campaign, ChannelPolicy, Cost, Document, Form, Left, Reading,
    Rep, Routing, Rule, Settings, Source, Subscription, Target, Team, Templates, Topic,
};
use crate::advance::Triggers;
use crate::calendar::{Hours, Leave, Schedule, Zone};
use crate::condition::{Condition, ConditionError};
use crate::identity::Country;
use crate::journey::Flow;
use crate::live::{LiveDocuments, LivePolicy};
use crate::message::Channel;
use crate::time::Timestamp;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Routing rules with their conditions compiled.
#[derive(Debug, Default)]
pub struct Rules {
    /// In order; no condition is "always".
    pub rules: Vec<(Rule, Option<Condition>)>,
    /// Fields of the customer that conditions read.
    pub customer_fields: BTreeSet<String>,
    /// Whether a condition reads the customer as a whole.
    pub read_whole_customer: bool,
    /// Whether a condition reads `lead.territory`.
    pub read_territory: bool,
    /// Whether a rule gives leads to the owner of a company.
    pub use_company_owners: bool,
}

impl Rules {
    /// Compiles the rules; the error names the rule's place.
    pub fn compile(routing: &Routing) -> Result<Self, (usize, ConditionError)> {
        let mut rules = Vec::with_capacity(routing.rules.len());
        for (at, rule) in routing.rules.iter().enumerate() {
            let condition = match &rule.when {
                Some(source) => Some(Condition::compile(source).map_err(|error| (at, error))?),
                None => None,
            };
            rules.push((rule.clone(), condition));
        }
        let set = Self { rules, ..Self::default() };
        let field = |path: &'_ str| path.split('.').nth(1).map(str::to_owned);
        let (customer_fields, read_whole_customer) = (
            set.reads("customer").filter_map(field).collect(),
            set.reads("customer").any(|path| field(path).is_none()),
        );
        let is_territory = |path: &str| matches!(path.split('.').nth(1), None | Some("territory"));
        let read_territory = set.reads("lead").any(is_territory);
        let mut targets = set.rules.iter().filter_map(|(rule, _)| rule.assign.as_ref());
        let use_company_owners = targets.any(|assign| assign.target == Target::CompanysOwner);
        Ok(Self { customer_fields, read_whole_customer, read_territory, use_company_owners, ..set })
    }

    /// Every path the conditions read below `root`.
    pub fn reads<'a>(&'a self, root: &'a str) -> impl Iterator<Item = &'a str> {
        self.rules
            .iter()
            .filter_map(|(_, condition)| condition.as_ref())
            .flat_map(|condition| condition.reads())
            .map(String::as_str)
            .filter(move |path| path.split('.').next() == Some(root))
    }
}

/// Kinds of documents that say what behaviour makes of customers: if one changes, all customers are looked at.
pub const BEHAVIOUR: [&str; 5] = ["lifecycle", "scoring", "segment", "journey", "settings"];

/// By when every function decides with a new publication, in milliseconds from when it was begun to be written down. The write may
/// take three seconds and more, where its first try hangs until the next is made; a function asks what is published every two
/// seconds; and what it began by then is done within the last one. If this were less, a state might be counted for good while another
/// function still puts events beside it that it does not count.
pub const SEEN_MS: i64 = 6_000;

/// All documents of one manifest version.
#[derive(Debug, Default)]
pub struct PolicySet {
    /// The manifest's version; 0 before the first is published.
    pub version: u64,
    /// The latest version with a document of [`BEHAVIOUR`] that is as it was published with it. Whoever published that has all
    /// customers looked at.
    pub behaviour: u64,
    /// When the latest version began to be written down with which other documents say what is counted of behaviour, where that is known.
    pub counts_since: Option<Timestamp>,
    /// By name.
    pub forms: BTreeMap<String, Form>,
    /// By name.
    pub sources: BTreeMap<String, Source>,
    /// By name.
    pub reps: BTreeMap<String, Rep>,
    /// By name.
    pub teams: BTreeMap<String, Team>,
    /// The `default` routing document.
    pub routing: Rules,
    /// The `default` settings document, or the defaults.
    pub settings: Settings,
    /// The `default` access document, or what holds without one.
    pub access: Access,
    /// Ways to reach customers, of those that have a document.
    pub channels: BTreeMap<Channel, ChannelPolicy>,
    /// By name, of those that have a document.
    pub topics: BTreeMap<String, Topic>,
    /// Those that had one once and have none: nothing may be about them, though no topic may have a document by now.
    pub gone_topics: BTreeSet<String>,
    /// Who is in a team no longer and may still have open leads of it.
    pub left: Left,
    /// Where leads are.
    pub territories: Map,
    /// Other systems that are told of events, by name.
    pub webhooks: BTreeMap<String, Subscription>,
    /// What messages to customers are made of.
    pub templates: Templates,
    /// What behaviour makes of customers.
    pub live: LivePolicy,
    /// By name.
    pub journeys: BTreeMap<String, Flow>,
    /// By name, each with the condition of its audience unless that is a segment's.
    pub campaigns: BTreeMap<String, (Campaign, Option<Condition>)>,
    /// Which journeys something that happens may concern.
    pub triggers: Triggers,
    /// What was paid for what brings people, by name.
    pub costs: BTreeMap<String, Cost>,
    /// What somebody is to be told of, by name.
    pub alerts: BTreeMap<String, Alert>,
    /// Working time by rep and by team, of those that have hours.
    schedules: Schedules,
}

#[derive(Debug, Default)]
struct Schedules {
    reps: BTreeMap<String, Schedule>,
    teams: BTreeMap<String, Schedule>,
}

impl PolicySet {
    /// Builds the set. Documents were checked when they were published, so a failure here is a corrupt store.
    pub fn build(
        version: u64,
        documents: impl IntoIterator<Item = Document>,
    ) -> Result<Self, ConditionError> {
        let mut set = Self { version, ..Self::default() };
        let mut calendars = BTreeMap::new();
        let mut territories = BTreeMap::new();
        let mut behaviour = LiveDocuments::default();
        let mut journeys = Vec::new();
        for document in documents {
            match document {
                Document::Form(form) => drop(set.forms.insert(form.name.clone(), form)),
                Document::Source(source) => drop(set.sources.insert(source.name.clone(), source)),
                Document::Rep(rep) => drop(set.reps.insert(rep.name.clone(), rep)),
                Document::Team(team) => drop(set.teams.insert(team.name.clone(), team)),
                Document::Routing(routing) => {
                    set.routing = Rules::compile(&routing).map_err(|(_, error)| error)?;
                }
                Document::Settings(settings) => set.settings = settings,
                Document::Access(access) => set.access = access,
                Document::Webhook(webhook) => drop(set.webhooks.insert(webhook.name.clone(), webhook)),
                Document::Channel(channel) => drop(set.channels.insert(channel.name, channel)),
                Document::Topic(topic) => drop(set.topics.insert(topic.name.clone(), topic)),
                Document::Calendar(calendar) => drop(calendars.insert(calendar.name.clone(), calendar)),
                Document::Territory(territory) => {
                    drop(territories.insert(territory.name.clone(), territory));
                }
                Document::Template(_) | Document::Layout(_) | Document::Partial(_) => {
                    drop(set.templates.take(document));
                }
                Document::Lifecycle(lifecycle) => behaviour.lifecycle = lifecycle,
                Document::Scoring(scoring) => behaviour.scoring = scoring,
                Document::Segment(segment) => behaviour.segments.push(segment),
                Document::Journey(journey) => journeys.push(journey),
                Document::Cost(cost) => drop(set.costs.insert(cost.name.clone(), cost)),
                Document::Alert(alert) => drop(set.alerts.insert(alert.name.clone(), alert)),
                Document::Campaign(campaign) => {
                    let condition = campaign.audience.condition();
                    let condition = condition.as_deref().map(Condition::compile).transpose()?;
                    set.campaigns.insert(campaign.name.clone(), (*campaign, condition));
                }
            }
        }
        (behaviour.rfm, behaviour.churn) = (set.settings.rfm.clone(), set.settings.churn.clone());
        set.territories = Map::build(territories.values());
        let schedule = |hours: &Hours| {
            Schedule::new(hours, hours.calendar.as_ref().and_then(|name| calendars.get(name)))
        };
        let hours = |name: &String, hours: &Option<Hours>| Some((name.clone(), schedule(hours.as_ref()?)));
        set.schedules = Schedules {
            reps: set.reps.values().filter_map(|rep| hours(&rep.name, &rep.hours)).collect(),
            teams: set.teams.values().filter_map(|team| hours(&team.name, &team.hours)).collect(),
        };
        for journey in journeys {
            let flow = Flow::compile(&journey, &set, &calendars).map_err(|error| error.error)?;
            set.journeys.insert(journey.name, flow);
        }
        let of_campaigns = set.campaigns.values().filter_map(|(_, condition)| condition.as_ref());
        let conditions = set.journeys.values().flat_map(Flow::every_condition).chain(of_campaigns);
        set.live = LivePolicy::compile(version, behaviour, conditions)?;
        set.triggers = Triggers::of(set.journeys.values());
        Ok(set)
    }

    /// Whether nobody decides any more by a version that may count something else; clocks may differ either way.
    pub fn is_seen(&self, now: Timestamp) -> bool {
        self.counts_since.is_none_or(|at| now.since(at).abs() >= SEEN_MS)
    }

    /// Whether any document says what is to be made of what customers are like or do.
    pub fn looks_at_people(&self) -> bool {
        !self.live.index.is_empty() || !self.journeys.is_empty()
    }

    /// How a lead of this origin is read. An origin whose document is gone is read with the usual names. Where no document names a
    /// country, it is that of those whom this type of sender reaches.
    pub fn reading(&self, origin: &crate::lead::Origin) -> Reading {
        let form = self.forms.get(&origin.name).filter(|_| origin.kind == "form");
        let source = self.sources.get(&origin.name).filter(|_| origin.kind != "form");
        let reading = match (form, source) {
            (Some(form), _) => Reading { fields: form.fields.clone(), default_country: form.default_country },
            (_, Some(source)) => {
                Reading { fields: source.fields.clone(), default_country: source.default_country }
            }
            _ => Reading::default(),
        };
        let default_country = reading.default_country.or_else(|| home(&origin.kind));
        Reading { default_country, ..reading }
    }

    /// When a rep works as a member of a team: by hours of their own, else by the team's, else always; absent as their
    /// document and `leave` say.
    pub fn schedule(&self, rep: &str, team: Option<&str>, leave: Option<&Leave>) -> Schedule {
        let teams = || self.schedules.teams.get(team?);
        self.absent(self.schedules.reps.get(rep).or_else(teams), rep, team, leave)
    }

    /// When a rep is there, whatever the hours of a team are: by hours of their own, else always; absent as their
    /// document and `leave` say, by the days of [`Self::zone_of`].
    pub fn presence(&self, rep: &str, team: Option<&str>, leave: Option<&Leave>) -> Schedule {
        self.absent(self.schedules.reps.get(rep), rep, team, leave)
    }

    fn absent(
        &self,
        hours: Option<&Schedule>,
        rep: &str,
        team: Option<&str>,
        leave: Option<&Leave>,
    ) -> Schedule {
        let planned = self.reps.get(rep).map(|rep| &rep.leave);
        let absences = planned.into_iter().chain(leave).filter(|leave| !leave.is_empty());
        let mut absences = absences.peekable();
        let hours = match (hours, absences.peek()) {
            (Some(hours), _) => hours.clone(),
            (None, Some(_)) => Schedule::always_in(self.zone_of(rep, team)),
            (None, None) => return Schedule::always(),
        };
        absences.fold(hours, |schedule, leave| schedule.with_leave(leave))
    }

    /// Whose days a rep lives by: those of their own hours, else of the team's, else of the first of their teams that
    /// has hours.
    pub fn zone_of(&self, rep: &str, team: Option<&str>) -> Zone {
        let of_team = |team: &str| self.schedules.teams.get(team);
        let own = self.schedules.reps.get(rep).or_else(|| of_team(team?));
        let found = own.or_else(|| self.teams_of(rep).find_map(|team| of_team(&team.name)));
        found.map_or_else(Zone::utc, |schedule| schedule.zone().clone())
    }

    /// When a team works, if it has hours.
    pub(crate) fn team_schedule(&self, team: &str) -> Option<Schedule> {
        self.schedules.teams.get(team).cloned()
    }

    /// How a channel works: as its document says; e-mail needs none.
    pub fn channel(&self, channel: Channel) -> Option<Cow<'_, ChannelPolicy>> {
        match self.channels.get(&channel) {
            Some(policy) => Some(Cow::Borrowed(policy)),
            None => (channel == Channel::Email).then(|| Cow::Owned(ChannelPolicy::usual_email())),
        }
    }

    /// The channel that a campaign's messages go over: as it says, else its template's.
    pub fn channel_of(&self, campaign: &Campaign) -> Channel {
        let template = self.templates.templates.get(&campaign.send.template);
        campaign.send.channel.or(template.map(|template| template.channel)).unwrap_or_default()
    }

    /// Messages a second that the channel of a campaign takes, as far as that is known.
    pub fn rate_of(&self, campaign: &Campaign) -> Option<u32> {
        self.channel(self.channel_of(campaign)).and_then(|channel| channel.rate)
    }

    /// What a channel writes to, whether it has a document or not.
    pub fn address_kind(&self, channel: Channel) -> AddressKind {
        self.channel(channel).map_or(AddressKind::usual(channel), |channel| channel.address_kind())
    }

    /// The same, as its document names it.
    pub fn address_name(&self, channel: Channel) -> AddressName {
        let usual = AddressName::any(AddressKind::usual(channel));
        self.channel(channel).map_or(usual, |channel| channel.address_name())
    }

    /// Whether messages may be about this: [`Topic::SERVICE`], or what has a document. Where no topic has one, anything that is a
    /// word is a topic like any other, unless it had a document once.
    pub fn is_topic(&self, name: &str) -> bool {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_name = !name.is_empty() && name.len() <= Topic::LONGEST && name.chars().all(is_word);
        let is_free = || self.topics.is_empty() && !self.gone_topics.contains(name);
        is_name && (name == Topic::SERVICE || self.topics.contains_key(name) || is_free())
    }

    /// A topic: as its document says, or without one.
    pub fn topic(&self, name: &str) -> Cow<'_, Topic> {
        self.topics.get(name).map_or_else(|| Cow::Owned(Topic::plain(name)), Cow::Borrowed)
    }

    /// The condition that makes somebody be in a campaign's audience; none if its document, or its segment's, is gone.
    pub fn audience(&self, campaign: &str) -> Option<&Condition> {
        let (document, condition) = self.campaigns.get(campaign)?;
        condition.as_ref().or_else(|| self.segment(document.audience.segment.as_deref()?))
    }

    /// The condition of a segment.
    pub fn segment(&self, name: &str) -> Option<&Condition> {
        Some(&self.live.segments.get(name)?.condition)
    }

    /// The teams a rep is a member of.
    pub fn teams_of(&self, rep: &str) -> impl Iterator<Item = &Team> {
        self.teams.values().filter(move |team| team.member(rep).is_some())
    }

    /// The names of all teams through which a rep may have open leads: those they are a member of, and those they left with some.
    pub fn held_through(&self, rep: &str) -> impl Iterator<Item = &str> {
        let left = self.left.iter().filter(move |(_, reps)| reps.contains(rep));
        self.teams_of(rep).map(|team| team.name.as_str()).chain(left.map(|(team, _)| team.as_str()))
    }

    /// Whether the rep exists and takes new leads.
    pub fn is_available(&self, rep: &str) -> bool {
        self.reps.get(rep).is_some_and(|rep| rep.available.0)
    }
}

/// The country of those whom a type of sender reaches. 飞鱼 and 抖音 are of the mainland, whose numbers come without it.
fn home(kind: &str) -> Option<Country> {
    if matches!(kind, "feiyu" | "douyin") { Country::parse("CN") } else { None }
}
