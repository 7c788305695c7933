//! Messages to customers: load, decide at the gate, claim, hand over, write down what came of it.

use crate::pace::come_back;
use crate::{Sender, content, text};
use serde_json::Value;
use sluice_domain::customer::{AddressHash, HashKeys, Identity, Whole};
use sluice_domain::event::{Happened, Teller};
use sluice_domain::gate::{Ask, Gates, Proof, Reason, Verdict, decide, zone_of};
use sluice_domain::identity::{Country, Email, Phone};
use sluice_domain::link::{Links, Subject};
use sluice_domain::message::{
    CauseKind, Channel, Destination, Handed, Message, MessageState, Next, OnUnknown, Order, Otherwise,
};
use sluice_domain::policy::{AddressKind, AddressName, ChannelPolicy, PolicySet, Topic, Via};
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_store::{Commit, GateRecord, Written};
use sluice_wire::queue::OrderMessage;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a message is decided again because somebody was faster.
const TRIES: u32 = 6;
/// When it comes by again if somebody was faster each time, in milliseconds; at random up to four times as late.
const LATER_MS: i64 = 2_000;
/// Items of other addresses that a claim is held to: a transaction takes a hundred.
const MOST_HELD: usize = 80;

/// What came of one attempt.
pub(crate) enum Attempt {
    Done,
    /// It is with the provider, left out with its journey, or was to go to nobody, to compare with; now or since before. Others
    /// hear of it.
    Told(Box<Message>),
    /// Somebody changed what it was decided on: load again.
    Conflict,
}

impl Sender {
    /// Brings a message as far as it can go now, and says so if that is out or ends its journey. Redelivery finds how far it came.
    pub(crate) async fn deliver(&self, order: &Order) -> Result<Option<Happened>, String> {
        let mut bytes = [0u8; 8];
        self.env.random.fill(&mut bytes);
        let random = u64::from_le_bytes(bytes);
        let nonce = random.to_string();
        for tries in 0..TRIES {
            self.pause(tries).await;
            match self.attempt(order, &nonce).await? {
                Attempt::Done => return Ok(None),
                Attempt::Told(message) => return Ok(self.told_of(&message)),
                Attempt::Conflict => {}
            }
        }
        let now = self.env.clock.now();
        let later = LATER_MS + i64::try_from(random % LATER_MS.unsigned_abs()).unwrap_or_default() * 3;
        self.again(order, now.plus_millis(later), now).await?;
        Ok(None)
    }

    /// Lets whoever was faster finish; random, so that two do not meet again: all messages to one address change one gate.
    async fn pause(&self, tries: u32) {
        if tries == 0 {
            return;
        }
        let mut byte = [0];
        self.env.random.fill(&mut byte);
        let ms = u64::from(tries) * 4 + u64::from(byte[0]) * u64::from(tries) / 16;
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn attempt(&self, order: &Order, nonce: &str) -> Result<Attempt, String> {
        let now = self.env.clock.now();
        let id = order.id();
        let people = self.store.people(BTreeSet::from([order.customer.clone()]));
        let (known, stored) = futures::try_join!(people, self.store.message(&id)).map_err(text)?;
        // Whoever was erased gets nothing, and nothing is written down.
        let Some(record) = known.customers.get(&known.root(&order.customer)) else {
            return Ok(Attempt::Done);
        };
        let whole = known.whole(record);
        if stored.is_none() && order.cause.kind == CauseKind::Confirmation {
            // A question is stored with the address it goes to before it is handed over: it is gone, and goes to no other.
            return Ok(Attempt::Done);
        }
        let mut message = stored.unwrap_or_else(|| Message::new(order.clone(), serde_json::Map::new()));
        let policies = match message.policies.filter(|_| order.cause.kind == CauseKind::Test) {
            // A trial is judged by what its template reads: what has been published since was not looked at.
            Some(version) => self.policies.at(version).await.map_err(text)?,
            None => self.policies.current(now).await.map_err(text)?,
        };
        let policy = policies.channel(order.channel);
        let on_unknown = order.unknown.or(policy.as_ref().map(|policy| policy.unknown)).unwrap_or_default();
        // Our own claim, whose answer was lost.
        let is_ours = message.state == MessageState::Claimed && message.nonce.as_deref() == Some(nonce);
        if !is_ours {
            match message.next(now) {
                Next::Done if message.state == MessageState::Sent => {
                    return Ok(Attempt::Told(Box::new(message)));
                }
                Next::Done => return self.instead(&message, now).await,
                Next::At(at) => return self.again(order, at, now).await,
                Next::Unanswered => {
                    let again = message.unanswered(on_unknown, now).again;
                    return self.put(message, again, now).await;
                }
                Next::Decide => {}
            }
        }
        if !is_ours && let Some(attempt) = self.hold(&message, &whole, &policies, now).await? {
            return Ok(attempt);
        }
        let Some(policy) = policy else {
            return self.refuse(message, Verdict::Skip(Reason::NoChannel), now).await;
        };
        let people = Person::of(&whole, &message, &policies, &policy);
        let Some((to, _)) = &people.own else {
            return self.refuse(message, Verdict::Skip(Reason::NoAddress), now).await;
        };
        let keys = self.secrets.hash_keys().await.map_err(|error| error.to_string())?;
        let wanted = people.wanted(&keys, order.channel);
        let gates = self.store.gates(&wanted.gates).await.map_err(text)?;
        let Some((own, others)) = gates.split_first() else { return Err("no gate".to_owned()) };
        let Some(address) = own.address().cloned() else { return Err("no gate".to_owned()) };
        if !is_ours && let Some(attempt) = self.hold_twin(&message, &whole, now).await? {
            return Ok(attempt);
        }
        if !is_ours {
            let verdict = self.verdict(&message, &whole, &policies, &policy, own, others, now);
            if verdict != Verdict::Send {
                return self.refuse(message, verdict, now).await;
            }
        }
        let link_keys = self.secrets.link_keys().await.map_err(|error| error.to_string())?;
        let subject = Subject {
            message: id.clone(),
            channel: order.channel,
            address: address.clone(),
            topic: order.topic.clone(),
            is_trial: order.cause.kind == CauseKind::Test,
        };
        let links = Links::new(&link_keys, &self.public_url, subject);
        let content = match content::render(&self.library, &message, &whole, &policies, &links) {
            Ok(content) => content,
            Err(why) => return self.refuse(message, Verdict::Skip(Reason::Template(why)), now).await,
        };
        if !is_ours {
            let mut gate = own.gate.clone();
            if let Some(earlier) = message.earlier_claim(&address) {
                gate.given_back(earlier);
            }
            message.claim(now, nonce.to_owned(), address);
            message.policies = Some(policies.version);
            message.links.clone_from(&content.links);
            // What people ask for themselves must not use up what they get besides.
            let counts = !policies.topic(&message.order.topic).service;
            match message.order.cause.kind {
                CauseKind::Confirmation => {
                    gate.claimed(now);
                    gate.asks(now);
                }
                CauseKind::Api | CauseKind::Journey | CauseKind::Campaign if counts => gate.claimed(now),
                CauseKind::Api | CauseKind::Journey | CauseKind::Campaign | CauseKind::Test => {}
            }
            let commit = Commit::default().message(message.clone()).gate(own.clone(), gate);
            // Written, not only held to: whoever still takes two records for two people fails, and looks again.
            let is_joined = order.campaign.is_some() && whole.parts().nth(1).is_some();
            let mut room = MOST_HELD;
            let mut commit = commit;
            for (place, other) in (1..).zip(others.iter().cloned()) {
                let Some(left) = room.checked_sub(other.items()) else { break };
                room = left;
                commit = match is_joined && place < wanted.spelled {
                    true => {
                        let gate = other.gate.clone();
                        commit.gate(other, gate)
                    }
                    false => commit.unchanged_gate(other),
                };
            }
            if self.store.commit(commit).await.map_err(text)? == Written::Conflict {
                return Ok(Attempt::Conflict);
            }
            message.is_stored();
        }
        let is_kept = order.channel == Channel::Email && self.mail.goes_one_way();
        let handed = match policy.via {
            Via::Webhook if !is_kept => self.call_provider(&id, &policy, to, &content, now).await,
            Via::Ses | Via::Smtp | Via::Webhook => self.mail(&id, &policy, to, &content, now).await,
        };
        self.settle(message, handed, on_unknown, now).await
    }

    #[expect(clippy::too_many_arguments, reason = "all that is looked at")]
    fn verdict(
        &self,
        message: &Message,
        whole: &Whole<'_>,
        policies: &PolicySet,
        policy: &ChannelPolicy,
        own: &GateRecord,
        others: &[GateRecord],
        now: Timestamp,
    ) -> Verdict {
        let order = &message.order;
        let messaging = &policies.settings.messaging;
        let facts = whole.facts(&policies.settings.survivorship);
        let fact = |name: &str| facts.get(name).map(|fact| fact.value.reveal().as_str());
        let zone =
            zone_of(fact("time_zone"), fact("country").and_then(Country::parse), messaging.zone.as_ref());
        let is_trial = order.cause.kind == CauseKind::Test;
        // Whoever tests has asked for it.
        let topic: &str = if is_trial { Topic::SERVICE } else { &order.topic };
        let topic = policies.is_topic(topic).then(|| policies.topic(topic));
        let ask = Ask {
            topic: topic.as_deref(),
            consent: messaging.consent,
            asks_for_consent: order.cause.kind == CauseKind::Confirmation,
            caps: &policy.caps,
            overall: &messaging.caps,
            quiet: policy.quiet_hours.as_ref().or(messaging.quiet_hours.as_ref()),
            zone: &zone,
            at_cap: order.at_cap.unwrap_or(Otherwise::Defer),
            in_quiet_hours: order.in_quiet_hours.unwrap_or(Otherwise::Defer),
            not_after: order.not_after,
        };
        let (same, other): (Vec<_>, Vec<_>) = others.iter().partition(|gate| gate.channel == order.channel);
        let mut gate = own.gate.clone();
        // What it was claimed for before keeps others back, and not itself.
        if let Some(earlier) = own.address().and_then(|address| message.earlier_claim(address)) {
            gate.given_back(earlier);
        }
        let gates = Gates {
            own: gate,
            same_channel: same.into_iter().map(|record| &record.gate).collect(),
            other_channels: other.into_iter().map(|record| &record.gate).collect(),
        };
        decide(&ask, &gates, now)
    }

    /// Writes down why it does not go out, or not now, and does what its author wants instead.
    pub(crate) async fn refuse(
        &self,
        mut message: Message,
        verdict: Verdict,
        now: Timestamp,
    ) -> Result<Attempt, String> {
        let data = message.data.clone();
        message.refuse(verdict);
        let again = message.until;
        let instead = message.order.replaced().filter(|_| message.is_replaced() && !data.is_empty());
        let written = match instead {
            // What it was to say is the other one's now.
            Some(order) => {
                let both = Commit::default().message(message.clone()).message(Message::new(order, data));
                self.store.commit(both.standing_customer(&message.order.customer)).await
            }
            None => self.store.put_message(&message).await,
        };
        if written.map_err(text)? == Written::Conflict {
            return Ok(Attempt::Conflict);
        }
        if let (MessageState::Skipped, Some(reason)) = (message.state, &message.reason) {
            let metrics =
                Metrics::new().by("Channel", message.order.channel.name()).by("Reason", reason.name());
            metrics.count("Skipped", 1).emit(&self.env, now);
        }
        match again {
            Some(at) => self.again(&message.order, at, now).await,
            None => self.instead(&message, now).await,
        }
    }

    /// What goes out instead of a message that was left out, if anything does. Handed over again by each redelivery.
    async fn instead(&self, message: &Message, now: Timestamp) -> Result<Attempt, String> {
        if let Some(order) = message.order.replaced().filter(|_| message.is_replaced()) {
            return self.again(&order, now, now).await;
        }
        if message.ends_its_journey() || message.reason == Some(Reason::HeldOut) {
            return Ok(Attempt::Told(Box::new(message.clone())));
        }
        Ok(Attempt::Done)
    }

    async fn again(&self, order: &Order, at: Timestamp, now: Timestamp) -> Result<Attempt, String> {
        let message = come_back(&OrderMessage::new(order.clone()), at);
        self.outbox.hand_over(vec![message], now).await.map_err(text)?;
        Ok(Attempt::Done)
    }

    async fn put(
        &self,
        message: Message,
        again: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Attempt, String> {
        if self.store.put_message(&message).await.map_err(text)? == Written::Conflict {
            return Ok(Attempt::Conflict);
        }
        self.count(&message, now);
        match again {
            Some(at) => self.again(&message.order, at, now).await,
            None => Ok(Attempt::Done),
        }
    }

    /// Writes down what became of the hand-over. If that fails the claim runs out and the outcome is unknown.
    async fn settle(
        &self,
        mut message: Message,
        handed: Handed,
        on_unknown: OnUnknown,
        now: Timestamp,
    ) -> Result<Attempt, String> {
        let nonce = message.nonce.clone();
        let claimed = message.claimed;
        for tries in 0..TRIES {
            self.pause(tries).await;
            let mut after = message.clone();
            let settled = after.settle(handed.clone(), on_unknown, now);
            let for_nothing = claimed.filter(|_| settled.give_back);
            let proof = matches!(handed, Handed::NoMailbox(_)).then(|| after.no_mailbox(now));
            // What became of it matters more than what its gate learns of it: at last it is written down alone.
            let is_of_the_gate = (for_nothing.is_some() || proof.is_some()) && tries + 1 < TRIES;
            let written = match &message.address {
                Some(address) if is_of_the_gate => {
                    self.put_with_gate(&after, address, for_nothing, proof).await?
                }
                _ => self.store.put_message(&after).await.map_err(text)?,
            };
            if written == Written::Done {
                self.count(&after, now);
                return match settled.again {
                    Some(at) => self.again(&after.order, at, now).await,
                    None if after.state == MessageState::Sent => Ok(Attempt::Told(Box::new(after))),
                    None => Ok(Attempt::Done),
                };
            }
            // What came back of it was faster, or somebody else goes on with it.
            match self.store.message(&message.id()).await.map_err(text)? {
                Some(held) if held.state == MessageState::Claimed && held.nonce == nonce => message = held,
                // It was written down and the answer was lost, or the provider told of it first: policies hear of it either way.
                Some(held) if held.state == MessageState::Sent => return Ok(Attempt::Told(Box::new(held))),
                Some(held) => match held.next(now) {
                    Next::At(at) => return self.again(&held.order, at, now).await,
                    _ => return Ok(Attempt::Done),
                },
                None => return Ok(Attempt::Done),
            }
        }
        Err("what became of it could not be written down".to_owned())
    }

    fn told_of(&self, message: &Message) -> Option<Happened> {
        let now = self.env.clock.now();
        let teller = Teller { function: "send-message", now };
        if message.ends_its_journey() {
            return teller.stopped(message);
        }
        if message.reason == Some(Reason::HeldOut) {
            return teller.message(message, "campaign_held_out", "", now, Value::Null);
        }
        teller.message(message, "message_sent", "", message.claimed.unwrap_or(now), Value::Null)
    }

    /// The message as it is now, and the gate without a claim that was for nothing and with what was said of the address.
    async fn put_with_gate(
        &self,
        message: &Message,
        address: &AddressHash,
        for_nothing: Option<Timestamp>,
        proof: Option<Proof>,
    ) -> Result<Written, String> {
        let channel = message.order.channel;
        let read = self.store.gates(&[(channel, vec![address.clone()])]).await.map_err(text)?;
        let Some(read) = read.into_iter().next() else { return Err("no gate".to_owned()) };
        let mut gate = read.gate.clone();
        if let Some(claimed) = for_nothing {
            gate.given_back(claimed);
        }
        let mut commit = Commit::default().message(message.clone());
        if let Some(proof) = proof {
            proof.tell(&mut gate);
            if let Some(proof) = proof.beside(&read.gate) {
                commit = commit.proof(channel, address, proof);
            }
        }
        self.store.commit(commit.gate(read, gate)).await.map_err(text)
    }

    fn count(&self, message: &Message, now: Timestamp) {
        let metrics = Metrics::new().by("Channel", message.order.channel.name());
        match message.state {
            MessageState::Unknown => metrics.count("UnknownSends", 1).emit(&self.env, now),
            MessageState::Failed => metrics.count("FailedSends", 1).emit(&self.env, now),
            MessageState::Sent => {
                let waited = now.since(message.order.at);
                metrics.count("Sent", 1).millis("OrderToSent", waited).emit(&self.env, now);
            }
            _ => {}
        }
    }
}

/// The addresses of a person that matter for a message.
struct Person {
    /// Where it goes, and whose gate that is.
    own: Option<(Destination, Identity)>,
    /// All the person's on the channel, and those on other channels where caps hold over all.
    spelled: Vec<(Channel, Identity)>,
    /// The same of those that are held and that nobody spells out any more: what was said of them still counts, and what was sent.
    held: Vec<(Channel, AddressHash)>,
}

/// The gates of a person that are read, the one of the message first.
struct Wanted {
    gates: Vec<(Channel, Vec<AddressHash>)>,
    /// So many are of addresses that are spelled out: the first.
    spelled: usize,
}

impl Person {
    fn of(whole: &Whole<'_>, message: &Message, policies: &PolicySet, policy: &ChannelPolicy) -> Self {
        let address = policy.address_name();
        let kind = address.kind;
        if let Some(to) = &message.to {
            let mut facts = whole.parts().flat_map(|part| &part.facts);
            let known = facts.find(|(name, fact)| address.is_fact(name) && fact.value == *to);
            let name = known.map_or_else(|| address.to_string(), |(name, _)| name.clone());
            let own = identity(kind, &name, to.reveal());
            let own = own.map(|identity| (Destination { kind, value: to.clone() }, identity));
            return Self { own, spelled: Vec::new(), held: Vec::new() };
        }
        let facts = whole.facts(&policies.settings.survivorship);
        let own = facts.iter().find(|(name, _)| address.is_fact(name)).and_then(|(name, fact)| {
            let destination = Destination { kind, value: fact.value.clone() };
            Some((destination, identity(kind, name, fact.value.reveal())?))
        });
        let over_all = !policies.settings.messaging.caps.is_empty();
        let channels = Channel::ALL.into_iter().filter(|channel| *channel == policy.name || over_all);
        let (mut spelled, mut held) = (Vec::new(), Vec::new());
        for channel in channels {
            let Some(policy) = policies.channel(channel) else { continue };
            let kind = policy.address_kind();
            // Also of apps that are not written to: what was refused under one holds for all.
            let any = AddressName::any(kind);
            for part in whole.parts() {
                let facts = part.facts.iter().filter(|(name, _)| any.is_fact(name));
                let identities = facts.filter_map(|(name, fact)| identity(kind, name, fact.value.reveal()));
                spelled.extend(identities.map(|identity| (channel, identity)));
                let keys = part.keys.iter().filter(|(of, _)| *of == kind.identity());
                held.extend(keys.map(|(_, hash)| (channel, hash.clone())));
            }
        }
        Self { own, spelled, held }
    }

    /// The gates to read, each once. Two ways to write one address have one gate.
    fn wanted(&self, keys: &HashKeys, channel: Channel) -> Wanted {
        let own = self.own.iter().map(|(_, identity)| (channel, identity));
        let spelled = self.spelled.iter().map(|(channel, identity)| (*channel, identity));
        let mut gates: Vec<(Channel, Vec<AddressHash>)> = Vec::new();
        for (channel, identity) in own.chain(spelled) {
            let gate = (channel, keys.hashes(identity));
            if !gates.contains(&gate) {
                gates.push(gate);
            }
        }
        let spelled = gates.len();
        for (channel, hash) in &self.held {
            if !gates.iter().any(|(of, hashes)| of == channel && hashes.contains(hash)) {
                gates.push((*channel, vec![hash.clone()]));
            }
        }
        Wanted { gates, spelled }
    }
}

/// The identity whose gate it is, by the fact that names it: the one that consent, the preference page and an erasure know.
fn identity(kind: AddressKind, fact: &str, value: &str) -> Option<Identity> {
    let value = match kind {
        AddressKind::Email => Email::of_any_domain(value).ok()?.match_key(),
        AddressKind::Phone => Phone::parse(value, None).ok()?.e164().to_owned(),
        AddressKind::WechatOpenid => value.to_owned(),
    };
    let namespace = fact.split_once('.').map(|(_, namespace)| namespace).unwrap_or_default();
    Some(Identity::within(kind.identity(), namespace, value))
}
