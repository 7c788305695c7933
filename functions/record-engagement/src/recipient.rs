//! Whose link it is: what is known of the recipient, as far as anything is left of them.

use crate::{ATTEMPTS, Engagement, Fault};
use serde_json::json;
use sluice_domain::customer::{AddressHash, HashKeys, IdentityKind, Whole};
use sluice_domain::event::{Happened, Teller};
use sluice_domain::gate::{Change, Choice, EVERY_TOPIC, Gate, Gates, How, Proof, Said, Wish};
use sluice_domain::identity::Language;
use sluice_domain::link::Subject;
use sluice_domain::message::{CauseKind, Message};
use sluice_domain::pii::Pii;
use sluice_domain::policy::PolicySet;
use sluice_domain::template::language_of;
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_store::{Commit, GateRecord, StoreError, Written};
use sluice_wire::http::HttpRequest;
use std::collections::BTreeSet;

/// Characters that are kept of the name of the program somebody chose with.
const LONGEST_AGENT: usize = 500;
/// Topics of which one transaction takes down what was chosen: it has a hundred items at most, and gate, message and its
/// campaign's tally are among them.
const MOST_AT_ONCE: usize = 80;

/// Who follows a link.
pub(crate) struct Recipient {
    /// What the link says.
    pub(crate) subject: Subject,
    /// The message, if it is there still.
    message: Option<Message>,
    /// The address under each key, the one to write first.
    address: Vec<AddressHash>,
    /// The person's others on the channel, each under each key: what is refused by one holds for all.
    others: Vec<Vec<AddressHash>>,
    /// The customer is there still.
    is_known: bool,
    /// What the message was asked to be written in, and what it is written in otherwise, as far as it is known.
    pub(crate) languages: [Option<Language>; 2],
}

impl Recipient {
    /// What is said by this link. The same at the same time is the same proof.
    fn says(&self, how: How, topic: &str, wish: Wish, at: Timestamp) -> Proof {
        let id = self.subject.message.to_string();
        Proof::wish(topic, wish, how, at, &["link", &id, how.name(), topic, wish.name()])
    }
}

/// What was said of the recipient's address, and of the person's others on the channel.
pub(crate) struct Wishes {
    pub(crate) own: Gate,
    others: Vec<Gate>,
}

impl Wishes {
    /// As a message to the address meets them.
    pub(crate) fn gates(&self) -> Gates<'_> {
        Gates { own: self.own.clone(), same_channel: self.others.iter().collect(), ..Gates::default() }
    }
}

/// A choice as it is taken down.
pub(crate) struct Chosen<'a> {
    /// What.
    pub(crate) choice: Choice<'a>,
    /// How it was said.
    pub(crate) how: How,
    /// The words that were shown for a topic.
    pub(crate) wording: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

impl Engagement {
    pub(crate) async fn recipient(
        &self,
        mut subject: Subject,
        policies: &PolicySet,
    ) -> Result<Recipient, Fault> {
        let keys = self.secrets.hash_keys().await?;
        let customer = subject.message.customer();
        let people = self.store.people(BTreeSet::from([customer.clone()]));
        let (message, known) = futures::try_join!(self.store.message(&subject.message), people)?;
        // Links that were written before they said so themselves.
        subject.is_trial |=
            message.as_ref().is_some_and(|message| message.order.cause.kind == CauseKind::Test);
        let record = known.customers.get(&known.root(&customer));
        let whole = record.map(|record| known.whole(record));
        let rules = &policies.settings.survivorship;
        let spoken = whole.as_ref().and_then(|whole| Some(language_of(whole, rules)?.language()));
        // Since the hash key was rotated an address has several hashes; the link knows the one of its time.
        let identities = whole.iter().flat_map(|whole| whole.parts()).flat_map(|part| part.identities());
        let address = identities
            .map(|identity| keys.hashes(&identity))
            .find(|hashes| hashes.contains(&subject.address))
            .unwrap_or_else(|| vec![subject.address.clone()]);
        let written = message.as_ref().and_then(|message| message.order.language);
        let kind = policies.address_kind(subject.channel).identity();
        let mut others = whole.as_ref().map(|whole| addresses(whole, kind, &keys)).unwrap_or_default();
        // What went to somebody else's address, a question or a trial, meets no gates of the customer's.
        if !others.iter().any(|hashes| hashes.contains(&subject.address)) {
            others.clear();
        }
        others.retain(|hashes| !hashes.contains(&subject.address));
        let is_known = record.is_some();
        Ok(Recipient { subject, message, address, others, is_known, languages: [written, spoken] })
    }

    /// The gate of the recipient's address, and those of the person's others.
    async fn gates_of(&self, who: &Recipient) -> Result<(GateRecord, Vec<Gate>), Fault> {
        let all = std::iter::once(&who.address).chain(&who.others);
        let wanted: Vec<_> = all.map(|hashes| (who.subject.channel, hashes.clone())).collect();
        let mut read = self.store.gates(&wanted).await?.into_iter();
        let own = read.next().ok_or_else(|| Fault::Unavailable("no gate in the answer".to_owned()))?;
        Ok((own, read.map(|record| record.gate).collect()))
    }

    /// What stands for the recipient.
    pub(crate) async fn wishes_of(&self, who: &Recipient) -> Result<Wishes, Fault> {
        let (own, others) = self.gates_of(who).await?;
        Ok(Wishes { own: own.gate, others })
    }

    /// Takes down what somebody chose: gate, proofs and the message's trail in one transaction, or in several in order where
    /// there are too many topics for one. Durable once this answers, with what stands then. Held to the gate that it changes:
    /// what is said by another address meanwhile counts by its time.
    pub(crate) async fn choose(
        &self,
        who: &Recipient,
        chosen: &Chosen<'_>,
        policies: &PolicySet,
        request: &HttpRequest,
    ) -> Result<Wishes, Fault> {
        let rule = policies.settings.messaging.consent;
        let mut message = who.message.clone();
        // Of so many it is told at last, by their proofs: whoever took down the first of them may have died.
        let is_in_parts = matches!(&chosen.choice, Choice::These { shown, .. } if shown.len() > MOST_AT_ONCE);
        let mut done: BTreeSet<String> = BTreeSet::new();
        let mut conflicts = 0;
        while conflicts < ATTEMPTS {
            let now = self.now();
            let (read, others) = self.gates_of(who).await?;
            let wishes = Wishes { own: read.gate.clone(), others };
            let mut changes = chosen.choice.changes(&wishes.gates(), rule, now);
            changes.retain(|change| !done.contains(&change.topic));
            if changes.is_empty() {
                // Whoever took it down may have died before anybody was told.
                let topics = self.refused_before(who, chosen, &wishes.own).await?;
                let topics = topics.iter().map(String::as_str);
                self.tell(self.refused(who, chosen, &wishes.own, topics)).await?;
                return Ok(wishes);
            }
            changes.truncate(MOST_AT_ONCE);
            let mut gate = read.gate.clone();
            let mut commit = Commit::default();
            for change in &changes {
                let proof = proof(who, change, chosen, policies, request, now);
                if let Some(proof) = proof.beside(&read.gate) {
                    proof.tell(&mut gate);
                    commit = commit.proof(who.subject.channel, &who.address[0], proof);
                }
            }
            if let Some(mut message) = message.take()
                && message.trail.unsubscribed.is_none()
                && changes.iter().any(|change| refuses(change, &message.order.topic))
            {
                message.trail.unsubscribed = Some(now);
                commit = commit.message(message);
            }
            if self.store.commit(commit.gate(read, gate.clone())).await? == Written::Done {
                self.measure_wishes(&changes, chosen.how);
                if !is_in_parts {
                    let refused = changes.iter().filter(|change| change.wish == Wish::No);
                    let topics = refused.map(|change| change.topic.as_str());
                    self.tell(self.refused(who, chosen, &gate, topics)).await?;
                    return Ok(Wishes { own: gate, ..wishes });
                }
                done.extend(changes.into_iter().map(|change| change.topic));
            } else {
                conflicts += 1;
            }
            message = self.store.message(&who.subject.message).await?;
        }
        Err(StoreError::Unavailable("too much contention on a gate".to_owned()).into())
    }

    /// What a choice refuses that stands refused by this very link, in the same way. What was said by another's is told of that
    /// one.
    async fn refused_before(
        &self,
        who: &Recipient,
        chosen: &Chosen<'_>,
        gate: &Gate,
    ) -> Result<Vec<String>, Fault> {
        let stands = |topic: &str| {
            let (wish, at) = gate.wish(topic).filter(|(wish, _)| *wish == Wish::No)?;
            Some(who.says(chosen.how, topic, wish, at))
        };
        let proofs: Vec<Proof> = chosen.choice.refused().into_iter().filter_map(stands).collect();
        let kept = self.store.recorded(who.subject.channel, &who.address, proofs).await?;
        let topic = |proof: Proof| match proof.said {
            Said::Wish { topic, .. } => Some(topic),
            _ => None,
        };
        Ok(kept.into_iter().filter_map(topic).collect())
    }

    /// That somebody wants no more of a topic, or of anything: known again by when they said it.
    fn refused<'a>(
        &self,
        who: &Recipient,
        chosen: &Chosen<'_>,
        gate: &Gate,
        topics: impl Iterator<Item = &'a str>,
    ) -> Vec<Happened> {
        let Subject { message, channel, .. } = &who.subject;
        let tell = |topic: &str| {
            let (wish, at) = gate.wish(topic).filter(|(wish, _)| *wish == Wish::No)?;
            let mut properties = json!({
                "message": message, "channel": channel.name(), "topic": topic, "how": chosen.how.name(),
            });
            if let (Some(all), Some(of)) = (properties.as_object_mut(), &who.message) {
                all.extend(Teller::cause(&of.order));
            }
            let of = [message.as_str(), topic, wish.name(), &at.millis().to_string()];
            Some(self.teller().tell(&message.customer(), "unsubscribed", &of, at, properties))
        };
        topics.filter_map(tell).collect()
    }

    fn measure_wishes(&self, changes: &[Change], how: How) {
        let (no, yes): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.wish == Wish::No);
        let mut metrics = Metrics::new().by("How", how.name());
        for (name, changes) in [("OptOuts", no), ("OptIns", yes)] {
            if !changes.is_empty() {
                metrics = metrics.count(name, changes.len());
            }
        }
        metrics.emit(&self.env, self.now());
    }
}

/// What is kept of one wish: its time is that of the gate, by which it is found again.
fn proof(
    who: &Recipient,
    change: &Change,
    chosen: &Chosen<'_>,
    policies: &PolicySet,
    request: &HttpRequest,
    now: Timestamp,
) -> Proof {
    let Change { topic, wish, as_of } = change;
    let mut proof = who.says(chosen.how, topic, *wish, now);
    proof.as_of = Some(*as_of).filter(|as_of| *as_of != proof.at);
    proof.message = Some(who.subject.message.clone());
    proof.wording = (chosen.wording)(topic);
    // The words are ours, with the titles of these documents in them.
    proof.version = Some(policies.version.to_string());
    proof.source = Some(chosen.how.name().to_owned());
    // Where somebody was when they said no, and with what, is nobody's business. Of whom no record is left, an export and
    // another erasure would not find it.
    if *wish != Wish::No && who.is_known {
        let agent = request.header("user-agent").map(|agent| agent.chars().take(LONGEST_AGENT).collect());
        proof.user_agent = agent.map(Pii::new);
        proof.ip = request.source_ip.clone().map(Pii::new);
    }
    proof
}

/// The addresses of this kind that a person has, each once, under each key: those that are held and that nobody spells out
/// any more as well.
fn addresses(whole: &Whole<'_>, kind: IdentityKind, keys: &HashKeys) -> Vec<Vec<AddressHash>> {
    let mut all: Vec<Vec<AddressHash>> = Vec::new();
    for identity in whole.parts().flat_map(|part| part.identities()).filter(|one| one.kind == kind) {
        let hashes = keys.hashes(&identity);
        if !all.contains(&hashes) {
            all.push(hashes);
        }
    }
    for (_, hash) in whole.parts().flat_map(|part| &part.keys).filter(|(of, _)| *of == kind) {
        if !all.iter().any(|hashes| hashes.contains(hash)) {
            all.push(vec![hash.clone()]);
        }
    }
    all
}

/// Whether a change keeps messages about the topic back.
fn refuses(change: &Change, topic: &str) -> bool {
    change.wish == Wish::No && [topic, EVERY_TOPIC].contains(&change.topic.as_str())
}
