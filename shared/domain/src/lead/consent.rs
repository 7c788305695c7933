//! What the consent box of a lead says about its addresses.

use super::{Facts, Lead, LeadState};
use crate::customer::{Identity, IdentityKind};
use crate::gate::{How, Proof, Said, Wish};
use crate::id::CustomerId;
use crate::message::{Cause, CauseKind, Channel, Message, Order};
use crate::pii::Pii;
use crate::policy::{ConsentRule, PolicySet, Topic};
use crate::time::Timestamp;
use serde_json::Map;

/// A wish that came with a lead: the address it is about, and the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consented {
    /// On this channel.
    pub channel: Channel,
    /// Of this address.
    pub address: Identity,
    /// What was said.
    pub proof: Proof,
}

impl LeadState {
    /// Whether there is a person behind a lead that came to this: what they say counts.
    pub const fn has_a_person(self) -> bool {
        !matches!(self, Self::Waiting | Self::Spam | Self::Test | Self::Invalid | Self::Erased)
    }
}

/// The wishes that a lead brings which came to `state`: one for each channel that its form names, if the box was ticked and
/// the lead has an address for it. A box that was not ticked says nothing. `captured` are the policies of the lead's day, whose
/// wording the person was shown.
pub fn consented(
    lead: &Lead,
    state: LeadState,
    facts: &Facts,
    captured: &PolicySet,
    policies: &PolicySet,
) -> Vec<Consented> {
    let ticked = lead.envelope.consent.as_ref().filter(|consent| consent.given && state.has_a_person());
    let Some(consent) = ticked else { return Vec::new() };
    let form = captured.forms.get(&lead.origin.name).filter(|_| lead.origin.kind == "form");
    let shown = form.and_then(|form| form.consent.as_ref());
    let channels = shown.map_or_else(|| vec![Channel::Email], |shown| shown.channels.clone());
    let note = |name: &str| lead.envelope.attribution.get(name).cloned();
    let how = if lead.progress.import.is_some() { How::Import } else { How::Form };
    let one = |channel: Channel| {
        let name = policies.address_name(channel);
        let is_one = |identity: &&Identity| {
            identity.kind == name.kind.identity() && name.is_given_by(&identity.namespace)
        };
        let address = facts.identities.iter().find(is_one)?.clone();
        let cause = ["lead", lead.id.as_str(), consent.topic.as_str(), channel.name()];
        let proof = Proof {
            wording: shown.map(|shown| shown.wording.clone()).or_else(|| note("consent_text")),
            version: Some(consent.version.clone()).filter(|version| !version.is_empty()),
            source: Some(lead.origin.name.clone()),
            lead: Some(lead.id.clone()),
            ip: note("ip").map(Into::into),
            user_agent: note("user_agent").map(Into::into),
            ..Proof::wish(&consent.topic, Wish::Yes, how, lead.received, &cause)
        };
        Some(Consented { channel, address, proof })
    };
    channels.into_iter().filter_map(one).collect()
}

/// What is said once the file a lead came with is taken back: its wishes count no more from `now` on.
pub fn unconsented(wishes: Vec<Consented>, now: Timestamp) -> Vec<Consented> {
    let one = |wish: Consented| Some(Consented { proof: wish.proof.taken_back(now)?, ..wish });
    wishes.into_iter().filter_map(one).collect()
}

/// Whether it depends on the gate of the address if anybody is asked whether a wish is really meant: of a topic that has a
/// question and puts it only to those who come back after an erasure.
pub fn depends_on_erasure(proof: &Proof, policies: &PolicySet) -> bool {
    let is_any = |topic: &Topic| topic.confirm.is_some() && !is_double(topic, policies);
    proof.how != How::Import && wanted(proof, policies).is_some_and(is_any)
}

/// The message that asks whether a wish of a lead is really meant, if its topic has one: where it wants double opt-in, and
/// of an address whose person `was_erased`, to which nothing goes until they have confirmed it. To the address
/// that was typed into the form, whether or not it is the one the customer is written to. Of one lead it is always the
/// same message. A file that was brought in asks nobody anything, and neither does a lead that nobody is to approach.
pub fn question(
    wish: &Consented,
    state: LeadState,
    facts: &Facts,
    customer: &CustomerId,
    policies: &PolicySet,
    was_erased: bool,
) -> Option<Message> {
    if wish.proof.how != How::Form || state == LeadState::Suppressed {
        return None;
    }
    let to = match wish.address.kind {
        IdentityKind::Email => facts.email.as_ref()?.as_sent().to_owned(),
        _ => wish.address.value().to_owned(),
    };
    let part = wish.proof.lead.as_ref()?.to_string();
    ask((&wish.proof, part), wish.channel, to, customer, policies, was_erased)
}

/// The same of a wish that staff wrote down, to the address as its person wrote it: of one proof it is always the same
/// message.
pub fn question_of_staff(
    proof: &Proof,
    channel: Channel,
    to: String,
    customer: &CustomerId,
    policies: &PolicySet,
    was_erased: bool,
) -> Option<Message> {
    ask((proof, proof.id.to_string()), channel, to, customer, policies, was_erased)
}

/// The topic that a wish says yes to, if that may be refused.
fn wanted<'a>(proof: &Proof, policies: &'a PolicySet) -> Option<&'a Topic> {
    let Said::Wish { topic, wish: Wish::Yes } = &proof.said else { return None };
    policies.topics.get(topic).filter(|topic| !topic.service)
}

fn is_double(topic: &Topic, policies: &PolicySet) -> bool {
    topic.consent.unwrap_or(policies.settings.messaging.consent) == ConsentRule::DoubleOptIn
}

fn ask(
    (proof, part): (&Proof, String),
    channel: Channel,
    to: String,
    customer: &CustomerId,
    policies: &PolicySet,
    was_erased: bool,
) -> Option<Message> {
    let topic = wanted(proof, policies)?;
    let is_asked = was_erased || is_double(topic, policies);
    let template = policies.templates.templates.get(topic.confirm.as_ref().filter(|_| is_asked)?)?;
    let cause = Cause { kind: CauseKind::Confirmation, name: topic.name.clone(), part };
    let order = Order::new(customer.clone(), proof.at, cause, channel, &template.name, &topic.name);
    let message = Message { to: Some(Pii::new(to)), ..Message::new(order, Map::new()) };
    (template.channel == channel).then_some(message)
}
