//! Messages: asking for one to a customer, listing them, saying what became of one whose outcome is unknown.

use crate::acts::ATTEMPTS;
use crate::campaigns::no_such_campaign;
use crate::once::{Asking, Once};
use crate::{Call, Console, no_such_cursor, teller, templates, unavailable};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_domain::access::Role;
use sluice_domain::customer::Known;
use sluice_domain::gate::Reason;
use sluice_domain::id::{CustomerId, MessageId};
use sluice_domain::identity::{Email, Language, Phone};
use sluice_domain::message::{
    Cause, CauseKind, Channel, Message, MessageState, OnUnknown, Order, Otherwise, Replacement, Seen,
};
use sluice_domain::pii::Pii;
use sluice_domain::policy::{AddressKind, PolicySet, Topic};
use sluice_domain::template::{Given, context, preview};
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{self, Outgoing, QueueName};
use sluice_store::{Commit, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::idempotency;
use sluice_wire::problem::Problem;
use sluice_wire::queue::{OrderMessage, encode};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Messages of one page.
const PAGE: i32 = 50;
/// Messages whose outcome is unknown that are looked at for one page of those within reach.
const LOOKED_AT: usize = 500;
/// The largest values for a template, in bytes of JSON: they are part of an item that is written several times.
const DATA: usize = 4_096;

/// A message as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    customer: CustomerId,
    template: String,
    #[serde(default)]
    channel: Option<Channel>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    data: Map<String, Value>,
    #[serde(default)]
    language: Option<Language>,
    #[serde(default)]
    bulk: bool,
    #[serde(default)]
    at_cap: Option<Otherwise>,
    #[serde(default)]
    in_quiet_hours: Option<Otherwise>,
    #[serde(default)]
    replace_by: Option<Replacement>,
    #[serde(default)]
    unknown: Option<OnUnknown>,
    #[serde(default)]
    not_after: Option<String>,
}

/// A trial as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    customer: CustomerId,
    to: String,
    #[serde(default)]
    channel: Option<Channel>,
    #[serde(default)]
    language: Option<Language>,
    #[serde(default)]
    data: Map<String, Value>,
    /// Of a template: what it would go out about. A campaign says itself.
    #[serde(default)]
    topic: Option<String>,
    /// Of a campaign: which of its variants.
    #[serde(default)]
    variant: Option<String>,
}

/// What became of a message, by whoever looked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finding {
    went_out: bool,
}

impl Console {
    /// `{"customer": …, "template": …, "topic": …, "data": {…}}`: one message to one customer, through the gate like every
    /// other. With an `Idempotency-Key` the same call is one message for ever.
    pub(crate) async fn ask_message(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let key = idempotency::key(&call.request)?;
        let wanted: Wanted = call.read()?;
        let Asking { root, once, .. } = match self.asking(call, "", &wanted.customer, key).await? {
            ControlFlow::Break(answer) => return Ok(answer),
            ControlFlow::Continue(asking) => asking,
        };
        let policies = self.current().await?;
        let not_after = match wanted.not_after.as_deref().map(Timestamp::parse) {
            Some(None) => {
                let message = "A time is written like 2027-03-01T09:00:00Z.";
                return Err(Problem::new(422, "time-unreadable", message).about("not_after"));
            }
            at => at.flatten(),
        };
        let order = Order {
            customer: root,
            at: self.env.clock.now(),
            cause: Cause {
                kind: CauseKind::Api,
                name: wanted.template.clone(),
                part: self.part_of(once.as_ref()),
            },
            channel: wanted.channel.unwrap_or(Channel::Email),
            template: wanted.template,
            topic: wanted.topic.unwrap_or_else(|| Topic::SERVICE.to_owned()),
            language: wanted.language,
            bulk: wanted.bulk,
            at_cap: wanted.at_cap,
            in_quiet_hours: wanted.in_quiet_hours,
            replacement: wanted.replace_by,
            unknown: wanted.unknown,
            not_after,
            campaign: None,
        };
        may_be_sent(&order, &wanted.data, &policies)?;
        self.put_once(call, Message::new(order, wanted.data), once.as_ref()).await
    }

    pub(crate) async fn accept_message(
        &self,
        call: &Call,
        message: Message,
    ) -> Result<HttpResponse, Problem> {
        let id = message.id();
        for _ in 0..ATTEMPTS {
            // Its id is nobody else's: if it is there it is this one, and the answer was lost.
            if self.store.put_message(&message).await.map_err(unavailable)? == Written::Done
                || self.store.message(&id).await.map_err(unavailable)?.is_some()
            {
                self.queue(&message.order).await?;
                return Ok(HttpResponse::json(202, &json!({ "message_id": id })));
            }
            // Erased at this moment, or their record is being changed, and it is not there: what is said in it would be lost.
            self.find_person(call, message.order.customer.as_str()).await?;
        }
        Err(Problem::new(409, "busy", "Others are changing this customer. Try again.").retry_after(1))
    }

    pub(crate) async fn queue(&self, order: &Order) -> Result<(), Problem> {
        let now = self.env.clock.now();
        let out = Outgoing {
            queue: if order.bulk { QueueName::Bulk } else { QueueName::Message },
            id: order.id().to_string(),
            body: encode(&OrderMessage::new(order.clone())),
            not_before: now,
        };
        self.outbox.hand_over(vec![out], now).await.map_err(unavailable)
    }

    /// `{"customer": …, "to": "me@shop.example", "topic": …}`: the template as this customer would get it, sent to somebody who
    /// tests: with the header and the links of a message about the topic, which change nothing for anybody. With an
    /// `Idempotency-Key` the same call is one trial for ever.
    pub(crate) async fn test_send(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let key = idempotency::key(&call.request)?;
        let name = call.part(0);
        let is_there = self.current().await?.templates.templates.contains_key(name);
        let trial: Trial = match call.read() {
            Err(unfit) if !is_there && unfit.status == 422 => return Err(templates::no_such_template(name)),
            read => read?,
        };
        let what = format!("trial of template {name} ");
        // Under its key a call that was carried out is answered as before, though the template is gone since.
        let asking = match self.asking(call, &what, &trial.customer, key).await {
            Ok(ControlFlow::Break(answer)) => return Ok(answer),
            Err(problem) if is_there || problem.status != 404 => return Err(problem),
            Ok(ControlFlow::Continue(asking)) if is_there => asking,
            _ => return Err(templates::no_such_template(name)),
        };
        if trial.variant.is_some() {
            return Err(Problem::new(422, "no-variants", "A template has no variants.").about("variant"));
        }
        let topic = trial.topic.clone().unwrap_or_else(|| Topic::SERVICE.to_owned());
        self.try_template(call, name, &topic, trial, asking).await
    }

    /// The same of a campaign: what it sends about its topic, or one of its variants, the first unless `variant` says.
    pub(crate) async fn test_campaign(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let key = idempotency::key(&call.request)?;
        let trial: Trial = call.read()?;
        let what = format!("trial of campaign {} ", call.part(0));
        let asking = match self.asking(call, &what, &trial.customer, key).await? {
            ControlFlow::Break(answer) => return Ok(answer),
            ControlFlow::Continue(asking) => asking,
        };
        if trial.topic.is_some() {
            let said = "A campaign's document says what its messages are about.";
            return Err(Problem::new(422, "topic-not-chosen", said).about("topic"));
        }
        let policies = self.current().await?;
        let campaign = policies.campaigns.get(call.part(0)).map(|(document, _)| document);
        let campaign = campaign.ok_or_else(no_such_campaign)?;
        let place = match &trial.variant {
            None => Some(0),
            Some(name) => {
                let at = campaign.variants.iter().position(|variant| variant.name == *name);
                let at = at.and_then(|at| u8::try_from(at).ok());
                Some(at.ok_or_else(|| {
                    let said = format!("The campaign has no variant `{name}`.");
                    Problem::new(422, "no-such-variant", said).about("variant")
                })?)
            }
        };
        let channel = trial.channel.or(campaign.send.channel);
        let trial = Trial { channel, ..trial };
        self.try_template(call, campaign.template(place), &campaign.send.topic, trial, asking).await
    }

    async fn try_template(
        &self,
        call: &Call,
        template: &str,
        topic: &str,
        trial: Trial,
        Asking { root, known, once }: Asking,
    ) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let of_template = policies.templates.templates.get(template).map(|template| template.channel);
        let channel = trial.channel.or(of_template).unwrap_or(Channel::Email);
        let kind = policies.channel(channel).map(|policy| policy.address_kind());
        let is_address = match kind {
            Some(AddressKind::Email) => Email::of_any_domain(&trial.to).is_ok(),
            Some(AddressKind::Phone) => Phone::parse(&trial.to, None).is_ok(),
            Some(AddressKind::WechatOpenid) => !trial.to.trim().is_empty(),
            None => true,
        };
        if !is_address {
            let said = "`to` is no address that this channel writes to: an e-mail address, or a number with + and country.";
            return Err(Problem::new(422, "not-an-address", said).about("to"));
        }
        let part = self.part_of(once.as_ref());
        let cause = Cause { kind: CauseKind::Test, name: template.to_owned(), part };
        let now = self.env.clock.now();
        let order = Order::new(root, now, cause, channel, template, topic);
        let order = Order { language: trial.language, ..order };
        may_be_sent(&order, &trial.data, &policies)?;
        may_be_seen(call, &known, &order, &trial.data, &policies)?;
        let mut message = Message::new(order, trial.data);
        message.to = Some(Pii::new(trial.to.trim().to_owned()));
        // What was looked at is what is sent.
        message.policies = Some(policies.version);
        self.put_once(call, message, once.as_ref()).await
    }

    /// `?customer=`: a customer's messages, newest first. `?state=unknown`: all whose outcome is unknown. `?rep=`: what a rep
    /// was told.
    pub(crate) async fn list_messages(&self, call: &Call) -> Result<HttpResponse, Problem> {
        if let Some(customer) = call.query("customer") {
            return self.messages_of(call, &customer).await;
        }
        if let Some(state) = call.query("state") {
            return self.messages_in(call, &state).await;
        }
        let me = call.who.rep.clone().filter(|_| call.who.role == Role::Rep);
        let rep = call.query("rep").or(me).ok_or_else(|| {
            let said = "Say whose messages: ?customer=ID, ?rep=NAME, or ?state=unknown.";
            Problem::new(422, "whose-messages", said).about("customer")
        })?;
        call.reach_rep(&rep)?;
        let page =
            self.store.notices_to(&rep, call.query("cursor").as_deref(), PAGE).await.map_err(unavailable)?;
        let items: Vec<Value> = page
            .items
            .iter()
            .map(|message| {
                json!({
                    "lead": message.lead, "customer": message.customer, "text": message.text,
                    "due": message.due.map(|due| due.rfc3339()), "kind": message.kind, "channel": message.channel, "state": message.state,
                    "attempts": message.attempts, "unknown": message.unknown, "note": message.note,
                })
            })
            .collect();
        Ok(HttpResponse::json(200, &json!({"messages": items, "cursor": page.next})))
    }

    async fn messages_of(&self, call: &Call, customer: &str) -> Result<HttpResponse, Problem> {
        let (root, known) = self.find_person(call, customer).await?;
        let cursor = call.query("cursor");
        if cursor.as_ref().is_some_and(|cursor| MessageId::from_parts(&root, cursor).is_none()) {
            return Err(no_such_cursor());
        }
        call.sight.people(&known);
        let Some(record) = known.customers.get(&root) else {
            return Err(crate::customers::no_such_customer());
        };
        let mut messages = Vec::new();
        for part in known.whole(record).parts() {
            // One more than fits says that there is another page.
            messages.extend(
                self.store.messages_of(&part.id, cursor.as_deref(), PAGE + 1).await.map_err(unavailable)?,
            );
        }
        messages.sort_by(|a, b| b.id().own_part().cmp(a.id().own_part()));
        let is_more = messages.len() > PAGE as usize;
        messages.truncate(PAGE as usize);
        let next = messages.last().filter(|_| is_more).map(|last| last.id().own_part().to_owned());
        let items: Vec<Value> = messages.iter().map(view).collect();
        Ok(HttpResponse::json(200, &json!({"messages": items, "cursor": next})))
    }

    async fn messages_in(&self, call: &Call, state: &str) -> Result<HttpResponse, Problem> {
        if MessageState::parse(state) != Some(MessageState::Unknown) {
            let said = "Only messages whose outcome is unknown are listed by their state: ?state=unknown.";
            return Err(Problem::new(422, "no-such-list", said).about("state"));
        }
        let (mut items, mut looked_at) = (Vec::new(), 0);
        let mut cursor = call.query("cursor");
        loop {
            // Never more than fit: the cursor stands behind the last that was looked at.
            let room = PAGE - i32::try_from(items.len()).unwrap_or(PAGE);
            let page = self.store.unknown_messages(cursor.as_deref(), room).await.map_err(unavailable)?;
            looked_at += page.items.len();
            for id in page.items {
                // The index may be behind: what is settled meanwhile is not listed.
                let message = self.store.message(&id).await.map_err(unavailable)?;
                let unknown = message.filter(|message| message.state == MessageState::Unknown);
                if let Some(message) = unknown
                    && self.reaches(call, &message).await?
                {
                    items.push(view(&message));
                }
            }
            cursor = page.next;
            if cursor.is_none() || items.len() >= PAGE as usize || looked_at >= LOOKED_AT {
                break;
            }
        }
        Ok(HttpResponse::json(200, &json!({"messages": items, "cursor": cursor})))
    }

    pub(crate) async fn show_message(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let message = self.find_message(call).await?;
        Ok(HttpResponse::json(200, &view(&message)))
    }

    /// `{"went_out": true}`: what a person found out about a message whose outcome is unknown.
    pub(crate) async fn settle_message(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let finding: Finding = call.read()?;
        for _ in 0..ATTEMPTS {
            let mut message = self.find_message(call).await?;
            let note = format!("{} says so", call.who.name());
            // Whoever found it out before may have died before anybody was told; the provider may have been faster.
            let found = if finding.went_out { MessageState::Sent } else { MessageState::Failed };
            let is_known = message.state == found;
            if !is_known && message.state == MessageState::Unknown {
                message.settle_unknown(finding.went_out, &note);
            } else if !is_known {
                let said = "Only a message whose outcome is unknown can be settled.";
                return Err(Problem::new(409, "not-unknown", said));
            }
            if is_known || self.put_finding(&message, finding.went_out).await? == Written::Done {
                if finding.went_out {
                    let now = self.env.clock.now();
                    let at = message.claimed.unwrap_or(now);
                    let sent = teller(now).message(&message, "message_sent", "", at, Value::Null);
                    let messages = outbox::events(sent.into_iter().collect(), now);
                    self.outbox.hand_over(messages, now).await.map_err(unavailable)?;
                }
                return Ok(HttpResponse::json(200, &view(&message)));
            }
        }
        Err(Problem::new(409, "busy", "Others are changing this message. Try again.").retry_after(1))
    }

    /// The claim of what did not go out was for nothing, unless there was another attempt of which nobody knows.
    async fn put_finding(&self, message: &Message, went_out: bool) -> Result<Written, Problem> {
        let claim = message.address.clone().zip(message.claimed);
        if let Some((address, claimed)) = claim.filter(|_| !went_out && message.unknown == 1) {
            let wanted = [(message.order.channel, vec![address])];
            for read in self.store.gates(&wanted).await.map_err(unavailable)? {
                let mut gate = read.gate.clone();
                gate.given_back(claimed);
                if gate != read.gate {
                    let commit = Commit::default().message(message.clone()).gate(read, gate);
                    return self.store.commit(commit).await.map_err(unavailable);
                }
            }
        }
        self.store.put_message(message).await.map_err(unavailable)
    }

    async fn find_message(&self, call: &Call) -> Result<Message, Problem> {
        let missing = || Problem::new(404, "no-such-message", "There is no message with this id.");
        let id = MessageId::parse(call.part(0)).ok_or_else(missing)?;
        let message = self.store.message(&id).await.map_err(unavailable)?.ok_or_else(missing)?;
        if self.reaches(call, &message).await? { Ok(message) } else { Err(missing()) }
    }

    /// Whether whom the message is to is within reach; what of them is hidden is left out of the answer.
    async fn reaches(&self, call: &Call, message: &Message) -> Result<bool, Problem> {
        if call.sight.is_whole() {
            return Ok(true);
        }
        match self.find_person(call, message.order.customer.as_str()).await {
            Ok((_, known)) => {
                call.sight.people(&known);
                Ok(true)
            }
            Err(problem) if problem.status == 404 => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// What tells a message from others that are asked for alike: the key of the call, or something that no other call has.
    fn part_of(&self, once: Option<&Once>) -> String {
        if let Some(once) = once {
            return once.key.clone();
        }
        let mut bytes = [0u8; 16];
        self.env.random.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A trial shows whoever tests what the customer would read.
fn may_be_seen(
    call: &Call,
    known: &Known,
    order: &Order,
    data: &Map<String, Value>,
    policies: &PolicySet,
) -> Result<(), Problem> {
    if call.sight.mask.is_empty() {
        return Ok(());
    }
    let template = policies.templates.templates.get(&order.template);
    // Which of its wordings is sent is the sender's to decide: none may show it.
    let wordings = template.into_iter().flat_map(|template| template.translations.keys().copied().map(Some));
    for language in wordings.chain([template.and_then(|template| template.language)]) {
        let whole = known.customers.get(&order.customer).map(|record| known.whole(record));
        let given = Given { data: Value::Object(data.clone()), ..Given::default() };
        let shown = preview(policies, &order.template, language, context(whole.as_ref(), policies, given));
        // Of one that cannot be shown nobody can say what it reads.
        let read = shown.map_err(|failure| templates::refused(&failure))?.used;
        if let Some(used) = read.iter().find(|used| call.sight.mask.hides_path(&used.field)) {
            let said = format!("The template reads `{}`, which this token's role does not see.", used.field);
            return Err(Problem::new(403, "masked-fact", said).about("template"));
        }
    }
    Ok(())
}

/// What there is instead of a topic that nobody has described.
pub(crate) fn topics(policies: &PolicySet) -> String {
    let known: BTreeSet<&str> = policies.topics.keys().map(String::as_str).chain([Topic::SERVICE]).collect();
    format!("such topic; known: {}.", known.into_iter().collect::<Vec<_>>().join(", "))
}

/// What would keep every such message from going out is said at once.
fn may_be_sent(order: &Order, data: &Map<String, Value>, policies: &PolicySet) -> Result<(), Problem> {
    let replacement = order.replacement.as_ref();
    let pairs = std::iter::once((order.channel, &order.template))
        .chain(replacement.map(|replacement| (replacement.channel, &replacement.template)));
    for (channel, template) in pairs {
        if policies.channel(channel).is_none() {
            let said = format!("There is no document of the channel `{}`.", channel.name());
            return Err(Problem::new(422, "no-such-channel", said).about("channel"));
        }
        if policies.templates.templates.get(template).is_none_or(|found| found.channel != channel) {
            let said = format!("There is no template `{template}` for the channel `{}`.", channel.name());
            return Err(Problem::new(422, "no-such-template", said).about("template"));
        }
    }
    if !policies.is_topic(&order.topic) {
        let said = format!("There is no {}", topics(policies));
        return Err(Problem::new(422, "no-such-topic", said).about("topic"));
    }
    if replacement.is_some_and(|other| other.channel == order.channel) {
        let said = "What goes out instead has to go over another channel.";
        return Err(Problem::new(422, "replacement-channel", said).about("replace_by"));
    }
    let wants_other = [order.at_cap, order.in_quiet_hours].contains(&Some(Otherwise::Replace));
    if wants_other && replacement.is_none() {
        let said = "`replace` needs `replace_by: {channel, template}`.";
        return Err(Problem::new(422, "replacement-missing", said).about("replace_by"));
    }
    if Value::Object(data.clone()).to_string().len() > DATA {
        let said = format!("`data` is larger than {DATA} bytes.");
        return Err(Problem::new(413, "data-too-large", said).about("data"));
    }
    Ok(())
}

/// A message as people see it.
pub(crate) fn view(message: &Message) -> Value {
    let order = &message.order;
    let at = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    let seen =
        |seen: Option<Seen>| seen.map(|seen| json!({"first": seen.first.rfc3339(), "times": seen.times}));
    let trail = &message.trail;
    json!({
        "id": message.id(),
        "customer": order.customer,
        "channel": order.channel,
        "template": order.template,
        "topic": order.topic,
        "cause": { "kind": order.cause.kind, "name": order.cause.name },
        "asked": order.at.rfc3339(),
        "state": message.state.name(),
        "reason": message.reason.as_ref().map(Reason::name),
        "why": message.reason.as_ref().map(Reason::sentence),
        "not_before": at(message.until.filter(|_| message.state == MessageState::Ready)),
        "attempts": message.attempts,
        "unknown": message.unknown,
        "claimed": at(message.claimed),
        "note": message.note,
        "policy_version": message.policies,
        "links": message.links,
        "delivered": at(trail.delivered),
        "bounced": trail.bounced.map(|(when, kind)| json!({"at": when.rfc3339(), "kind": kind})),
        "complained": at(trail.complained),
        "opened": seen(trail.opened),
        "clicked": seen(trail.clicked),
        "by_machines": seen(trail.machine),
        "machine_signs": trail.signs.iter().map(|sign| json!({"sign": sign.name(), "why": sign.sentence()})).collect::<Vec<_>>(),
        "unsubscribed": at(trail.unsubscribed),
    })
}
