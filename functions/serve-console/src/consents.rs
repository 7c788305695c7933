//! What a person wants, by address and channel, with proof; and what the company writes down for them.

use crate::acts::ATTEMPTS;
use crate::auth;
use crate::customers::no_such_customer;
use crate::messages::topics;
use crate::{Call, Console, unavailable};
use serde_json::{Value, json};
use sluice_domain::customer::{AddressHash, Customer, HashKeys, IdentityKind, Whole};
use sluice_domain::gate::{EVERY_TOPIC, Gate, How, Proof, Said, SuppressedBy, Wish};
use sluice_domain::id::CustomerId;
use sluice_domain::identity::Email;
use sluice_domain::lead::{self, Envelope, Origin};
use sluice_domain::message::Channel;
use sluice_domain::policy::{PolicySet, Reading};
use sluice_store::{Commit, GateRecord, Recorded, StoreError, Word, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::idempotency;
use sluice_wire::problem::Problem;

/// Proofs shown, the newest.
const SHOWN: usize = 200;
/// The longest note and wording, in characters.
const NOTE: usize = 2_000;

/// An address of a person on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) channel: Channel,
    pub(crate) kind: IdentityKind,
    /// The address, where a record spells it out.
    pub(crate) value: Option<String>,
    pub(crate) hashes: Vec<AddressHash>,
}

/// Every address of a person that messages can go to, by channel.
pub(crate) fn places(whole: &Whole<'_>, policies: &PolicySet, keys: &HashKeys) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for channel in Channel::ALL {
        let kind = policies.address_kind(channel).identity();
        for identity in whole.parts().flat_map(|part| part.identities()).filter(|one| one.kind == kind) {
            let value = Some(identity.value().to_owned());
            let place = Place { channel, kind, value, hashes: keys.hashes(&identity) };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        for (_, hash) in whole.parts().flat_map(|part| &part.keys).filter(|(held, _)| *held == kind) {
            let is_there = |place: &Place| place.channel == channel && place.hashes.contains(hash);
            if !places.iter().any(is_there) {
                places.push(Place { channel, kind, value: None, hashes: vec![hash.clone()] });
            }
        }
    }
    places
}

/// Whether messages of the channel go to such an address at all: an openid of another app is known, and not written to.
fn is_written_to(place: &Place, policies: &PolicySet) -> bool {
    let name = policies.address_name(place.channel);
    place.hashes.first().is_some_and(|hash| name.is_given_by(hash.namespace()))
}

/// The address of a place as its person wrote it, which is how mail goes there; none where no record spells it out.
fn as_written(whole: &Whole<'_>, place: &Place) -> Option<String> {
    let key = place.value.as_ref()?;
    let written = |part: &Customer| {
        let email = Email::of_any_domain(part.facts.get(IdentityKind::Email.name())?.value.reveal()).ok()?;
        (email.match_key() == *key).then(|| email.as_sent().to_owned())
    };
    let written = match place.kind {
        IdentityKind::Email => whole.parts().find_map(written),
        _ => None,
    };
    written.or_else(|| Some(key.clone()))
}

/// The same as the caller may see them: what is hidden is known by what it is, so that what stands for it is found.
pub(crate) fn seen_places(
    call: &Call,
    whole: &Whole<'_>,
    policies: &PolicySet,
    keys: &HashKeys,
) -> Vec<Place> {
    let mut places = places(whole, policies, keys);
    for place in &mut places {
        place.value = call.sight.shown(place.kind.name(), place.value.as_deref());
    }
    places
}

impl Console {
    pub(crate) async fn show_consents(&self, call: &Call) -> Result<HttpResponse, Problem> {
        Ok(HttpResponse::json(200, &self.consents(call, call.part(0)).await?))
    }

    /// `{"channel": "email", "topic": "product", "wish": "no", "wording": …, "note": …}`; the topic `*` is all of them.
    /// For every address of the person on the channel, or the one that `address` names. Once for each
    /// `Idempotency-Key`.
    pub(crate) async fn add_consent(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let body = call.json()?;
        let topic =
            body["topic"].as_str().map(str::trim).filter(|topic| !topic.is_empty()).ok_or_else(|| {
                Problem::new(422, "topic-missing", "Say about what: `topic`, or `*` for everything.")
                    .about("topic")
            })?;
        let wish = match body["wish"].as_str() {
            Some("yes") => Wish::Yes,
            Some("no") => Wish::No,
            _ => {
                let detail = "Say what the person wants: `wish` is yes or no. Only they can confirm it.";
                return Err(Problem::new(422, "wish-missing", detail).about("wish"));
            }
        };
        channel_of(&body)?.ok_or_else(|| {
            Problem::new(422, "channel-missing", "Say over what: `channel` is email, sms or chat.")
                .about("channel")
        })?;
        self.write_down(call, "consents", &body, Said::Wish { topic: topic.to_owned(), wish }).await
    }

    /// `{"reason": …}` and, if it is not for all addresses, `channel` and `address`.
    pub(crate) async fn suppress(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let body = with_reason(call)?;
        self.write_down(call, "suppress", &body, Said::Suppressed(SuppressedBy::Person)).await
    }

    /// The same: messages may be sent again, whatever kept them back. What the person wants stays.
    pub(crate) async fn unsuppress(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let body = with_reason(call)?;
        self.write_down(call, "unsuppress", &body, Said::Lifted).await
    }

    async fn write_down(
        &self,
        call: &Call,
        what: &str,
        body: &Value,
        said: Said,
    ) -> Result<HttpResponse, Problem> {
        let (root, known) = self.find_person(call, call.part(0)).await?;
        let record = known.customers.get(&root).ok_or_else(no_such_customer)?;
        let (policies, keys) = (self.current().await?, self.hash_keys().await?);
        let (channel, address) = (channel_of(body)?, body["address"].as_str());
        let wanted = address.map(|address| hashes_of(address, &policies, &keys)).transpose()?;
        let is_meant = |place: &Place| {
            channel.is_none_or(|channel| channel == place.channel)
                && wanted.as_ref().is_none_or(|wanted| place.hashes.iter().any(|hash| wanted.contains(hash)))
        };
        let whole = known.whole(record);
        let all = places(&whole, &policies, &keys);
        let meant: Vec<Place> = all.iter().filter(|&place| is_meant(place)).cloned().collect();
        let meant = may_be_said(&said, &policies).and_then(|()| match meant.is_empty() {
            true => Err(no_such_address()),
            false => Ok(meant),
        });
        let key = idempotency::key(&call.request)?.map(auth::hash);
        let meant = match &key {
            Some(key) => self.meant_once(call, key, &format!("{what} {body}"), &all, meant).await?,
            None => meant?,
        };
        let text = |name: &str| body[name].as_str().map(|text| text.chars().take(NOTE).collect::<String>());
        let note = if what == "consents" { "note" } else { "reason" };
        let now = self.env.clock.now();
        for place in &meant {
            let fresh = || {
                let mut random = [0; 16];
                self.env.random.fill(&mut random);
                random.iter().map(|byte| format!("{byte:02x}")).collect()
            };
            let cause = key.clone().unwrap_or_else(fresh);
            let proof = Proof {
                wording: text("wording"),
                by: Some(call.who.name()),
                note: text(note).map(Into::into),
                ..Proof::new(
                    said.clone(),
                    How::Api,
                    now,
                    // By the id that the call names: the live record may be another the next time.
                    &["api", call.part(0), place.channel.name(), &cause],
                )
            };
            let before = match &key {
                // What was written down under the key before stands, which is the same.
                Some(_) => {
                    let before = self.store.record_once(&root, place.channel, &place.hashes, &proof).await;
                    self.unless_erased(call, &root, before).await?
                }
                None => {
                    let recorded =
                        self.store.record_of(Some(&root), place.channel, &place.hashes, &proof).await;
                    let _: Recorded = self.unless_erased(call, &root, recorded).await?;
                    None
                }
            };
            // Whether they meant it is theirs to say, where the topic asks for that. A repeat hands on the same question.
            let proof = before.unwrap_or(proof);
            let was_erased = lead::depends_on_erasure(&proof, &policies) && self.was_erased(place).await?;
            let to = as_written(&whole, place).filter(|_| is_written_to(place, &policies));
            let question = to.and_then(|to| {
                lead::question_of_staff(&proof, place.channel, to, &root, &policies, was_erased)
            });
            if let Some(question) = question {
                self.accept_message(call, question).await?;
            }
        }
        Ok(HttpResponse::json(200, &self.consents(call, root.as_str()).await?))
    }

    /// Which of a person's addresses a call with a key is about: those that it was about when it first came, whatever
    /// has become since of the person, and of documents: `meant` is what a new call is about, or why it cannot be. The key is kept before
    /// anything is written down under it.
    async fn meant_once(
        &self,
        call: &Call,
        key: &str,
        asked: &str,
        all: &[Place],
        meant: Result<Vec<Place>, Problem>,
    ) -> Result<Vec<Place>, Problem> {
        let named = CustomerId::parse(call.part(0)).ok_or_else(no_such_customer)?;
        let fingerprint = auth::hash(asked);
        if let Some(before) = self.meant_before(&named, key, &fingerprint, all).await? {
            return Ok(before);
        }
        let meant = meant?;
        let places = meant.iter().filter_map(|place| Some((place.channel, place.hashes.first()?.clone())));
        let word = Word { fingerprint, places: places.collect() };
        for _ in 0..ATTEMPTS {
            let commit = Commit::default().word(&named, key, word.clone()).standing_customer(&named);
            if self.store.commit(commit).await.map_err(unavailable)? == Written::Done {
                return Ok(meant);
            }
            if let Some(before) = self.meant_before(&named, key, &word.fingerprint, all).await? {
                return Ok(before);
            }
        }
        // Erased at this moment, or the same call is being made elsewhere.
        self.find_person(call, named.as_str()).await?;
        Err(Problem::new(409, "busy", "The same call is being made elsewhere. Try again.").retry_after(1))
    }

    /// Which of them the call was about that came first under the key, if one did.
    async fn meant_before(
        &self,
        named: &CustomerId,
        key: &str,
        fingerprint: &str,
        all: &[Place],
    ) -> Result<Option<Vec<Place>>, Problem> {
        let Some(before) = self.store.word(named, key).await.map_err(unavailable)? else { return Ok(None) };
        if before.fingerprint != fingerprint {
            return Err(idempotency::reused("something else that this customer wants"));
        }
        let is_of_it = |place: &&Place| before.is_about(place.channel, &place.hashes);
        Ok(Some(all.iter().filter(is_of_it).cloned().collect()))
    }

    /// Nothing is written down of a customer who was erased meanwhile.
    async fn unless_erased<T>(
        &self,
        call: &Call,
        customer: &CustomerId,
        recorded: Result<T, StoreError>,
    ) -> Result<T, Problem> {
        match recorded {
            Ok(recorded) => Ok(recorded),
            Err(error) => {
                self.find_person(call, customer.as_str()).await?;
                Err(unavailable(error))
            }
        }
    }

    /// Everything that was said about an address, oldest first.
    pub(crate) async fn proofs_of(&self, place: &Place) -> Result<Vec<Proof>, Problem> {
        let proofs = self.store.all_proofs(place.channel, &place.hashes).await;
        let mut proofs = proofs.map_err(unavailable)?;
        proofs.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        proofs.dedup_by(|a, b| (a.at, &a.id) == (b.at, &b.id));
        Ok(proofs)
    }

    async fn consents(&self, call: &Call, id: &str) -> Result<Value, Problem> {
        let (root, known) = self.find_person(call, id).await?;
        let Some(record) = known.customers.get(&root) else {
            return Err(no_such_customer());
        };
        // What is hidden is hidden in notes as well.
        call.sight.people(&known);
        let (policies, keys) = (self.current().await?, self.hash_keys().await?);
        let places = seen_places(call, &known.whole(record), &policies, &keys);
        let rows = self.standing(&places).await?;
        let mut proofs = Vec::new();
        for place in &places {
            let told = self.proofs_of(place).await?;
            proofs.extend(told.into_iter().map(|proof| (proof.at, proof_view(place, &proof))));
        }
        proofs.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let proofs: Vec<Value> = proofs.into_iter().take(SHOWN).map(|(_, view)| view).collect();
        Ok(json!({"customer": root, "addresses": rows, "proofs": proofs}))
    }

    /// What stands for each of these addresses.
    pub(crate) async fn standing(&self, places: &[Place]) -> Result<Vec<Value>, Problem> {
        let gates = self.gates_of(places).await?;
        Ok(places.iter().zip(&gates).map(|(place, gate)| gate_view(place, &gate.gate)).collect())
    }

    /// Whether the person of an address was ever erased.
    async fn was_erased(&self, place: &Place) -> Result<bool, Problem> {
        let gates = self.gates_of(std::slice::from_ref(place)).await?;
        Ok(gates.iter().any(|record| record.gate.erased.is_some()))
    }

    async fn gates_of(&self, places: &[Place]) -> Result<Vec<GateRecord>, Problem> {
        let wanted: Vec<_> = places.iter().map(|place| (place.channel, place.hashes.clone())).collect();
        self.store.gates(&wanted).await.map_err(unavailable)
    }
}

/// What stands for an address: each topic that was spoken of, and what keeps messages back.
fn gate_view(place: &Place, gate: &Gate) -> Value {
    let topics = gate.says.keys().filter_map(|topic| {
        let (wish, at) = gate.wish(topic)?;
        Some(json!({"topic": topic, "wish": wish.name(), "at": at.rfc3339()}))
    });
    json!({
        "channel": place.channel.name(),
        "kind": place.kind.name(),
        "address": place.value,
        "topics": topics.collect::<Vec<_>>(),
        "suppressed": gate.suppression().map(|(why, at)| json!({"by": why.name(), "at": at.rfc3339()})),
        "lifted": gate.lifted.map(|at| at.rfc3339()),
        "erased": gate.erased.map(|at| at.rfc3339()),
        "sent": gate.recent.iter().map(|at| at.rfc3339()).collect::<Vec<_>>(),
        "asked": gate.asked.iter().map(|at| at.rfc3339()).collect::<Vec<_>>(),
        "soft_bounces": gate.soft_bounces.iter().map(|bounce| bounce.at.rfc3339()).collect::<Vec<_>>(),
        "forgiven": gate.forgiven.map(|at| at.rfc3339()),
    })
}

/// One thing that was said, with its proof.
pub(crate) fn proof_view(place: &Place, proof: &Proof) -> Value {
    let said = match &proof.said {
        Said::Wish { .. } => "wish",
        Said::TakenBack { .. } => "taken_back",
        Said::Suppressed(_) => "suppressed",
        Said::Lifted => "lifted",
    };
    let (topic, wish) = match &proof.said {
        Said::Wish { topic, wish } => (Some(topic), Some(wish.name())),
        Said::TakenBack { topic } => (Some(topic), None),
        _ => (None, None),
    };
    let suppressed = match &proof.said {
        Said::Suppressed(why) => Some(why.name()),
        _ => None,
    };
    let pii =
        |value: &Option<sluice_domain::pii::Pii<String>>| value.as_ref().map(|value| value.reveal().clone());
    json!({
        "channel": place.channel.name(), "address": place.value,
        "said": said, "topic": topic, "wish": wish, "suppressed_by": suppressed,
        "at": proof.at.rfc3339(), "how": proof.how.name(),
        "wording": proof.wording, "version": proof.version,
        "source": proof.source, "lead": proof.lead, "message": proof.message,
        "by": proof.by, "note": pii(&proof.note), "ip": pii(&proof.ip), "user_agent": pii(&proof.user_agent),
    })
}

fn channel_of(body: &Value) -> Result<Option<Channel>, Problem> {
    match &body["channel"] {
        Value::Null => Ok(None),
        value => value.as_str().and_then(Channel::parse).map(Some).ok_or_else(|| {
            Problem::new(422, "channel-unknown", "A channel is email, sms or chat.").about("channel")
        }),
    }
}

/// Whether documents let this be written down. A no that keeps nothing back would be answered as if it did.
fn may_be_said(said: &Said, policies: &PolicySet) -> Result<(), Problem> {
    let Said::Wish { topic, wish } = said else { return Ok(()) };
    if topic == EVERY_TOPIC {
        return Ok(());
    }
    if !policies.is_topic(topic) {
        let said = format!("There is no {} `*` is everything.", topics(policies));
        return Err(Problem::new(422, "no-such-topic", said).about("topic"));
    }
    if *wish == Wish::No && policies.topic(topic).service {
        let detail = "Messages about this topic are what the person asked for themselves: a no to it keeps nothing back. \
                      The topic `*` is everything else; to send nothing whatever, suppress the address.";
        return Err(Problem::new(422, "service-topic", detail).about("topic"));
    }
    Ok(())
}

fn no_such_address() -> Problem {
    let detail = "The customer has no such address on this channel.";
    Problem::new(422, "no-such-address", detail).about("address")
}

fn with_reason(call: &Call) -> Result<Value, Problem> {
    let body = call.json()?;
    match body["reason"].as_str() {
        Some(reason) if !reason.trim().is_empty() => Ok(body),
        _ => Err(Problem::new(422, "reason-missing", "Say why: `reason`.").about("reason")),
    }
}

/// The hashes of an address as it is written: an e-mail address or a phone number.
fn hashes_of(address: &str, policies: &PolicySet, keys: &HashKeys) -> Result<Vec<AddressHash>, Problem> {
    let name = if address.contains('@') { "email" } else { "phone" };
    let envelope = Envelope { fields: vec![(name.to_owned(), address.to_owned())], ..Envelope::default() };
    let origin = Origin { kind: "lookup".to_owned(), name: String::new() };
    let facts = lead::read(&origin, &envelope, &Reading::default(), &policies.settings);
    let hashes: Vec<AddressHash> =
        facts.identities.iter().flat_map(|identity| keys.hashes(identity)).collect();
    if hashes.is_empty() {
        let detail = "`address` is an e-mail address, or a phone number with + and country.";
        return Err(Problem::new(422, "address-unreadable", detail).about("address"));
    }
    Ok(hashes)
}
