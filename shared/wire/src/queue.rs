//! Queue messages between our functions: ids only, never personal data. The exceptions are feedback, which comes with the
//! address it is about, and events, which are durable there first.

use serde::{Deserialize, Serialize};
pub use sluice_domain::advance::Wake;
use sluice_domain::campaign::{Look, Share};
use sluice_domain::clock::{Mark, Tick};
use sluice_domain::event::{Call, Happened, Heard, Tell};
use sluice_domain::feedback::Feedback;
use sluice_domain::id::{CustomerId, LeadId, MessageId};
use sluice_domain::message::Order;
use sluice_domain::time::Timestamp;

/// On the lead queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadMessage {
    /// Recognise and route this lead.
    Lead(LeadId),
    /// The same of each of these, which a wake-up found, in whatever state they are by now.
    Leads(Vec<LeadId>),
    /// Somebody may have become available: try the escalated leads again, oldest first.
    Wake(String),
    /// The absences of this rep are others now: try the escalated leads again, and set the clocks of what the rep has anew.
    Leave(String),
    /// The clocks that were left of it.
    LeaveAfter {
        /// The rep.
        rep: String,
        /// Behind which notice of theirs to go on.
        after: String,
    },
    /// A point of this lead's response clock is reached.
    Clock(Tick),
}

/// On the enrich queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrichMessage {
    /// Fetch what the sender left out of this lead.
    Lead(LeadId),
}

/// On the erase queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EraseMessage {
    /// Go on with the erasure of this customer.
    Customer(CustomerId),
    /// This lead was on its way when its person was erased.
    Lead(LeadId),
    /// Its sender has withdrawn this lead, which its mark says.
    Withdrawn(LeadId),
    /// Look through the dead letters for what is about people who were erased.
    DeadLetters,
}

/// Why a rep is told about a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// It is theirs now.
    Assigned,
    /// Nobody could take it.
    Escalated,
    /// Part of its window has passed without a contact: which, and when that was decided.
    Reminder(Mark),
}

impl NoticeKind {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Escalated => "escalated",
            Self::Reminder(_) => "reminder",
        }
    }

    /// The word used in ids and keys, where the number of the assignment follows it: one for each point.
    pub fn label(self) -> String {
        match self {
            Self::Reminder(mark) => format!("reminder{}.", mark.point.value()),
            other => other.name().to_owned(),
        }
    }
}

/// On the notice queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeMessage {
    /// About this lead.
    pub lead: LeadId,
    /// To this rep.
    pub rep: String,
    /// Why.
    pub kind: NoticeKind,
    /// Number of the assignment it is about, or after which nobody else was found; 0 for a lead that never had an owner.
    /// One that was overtaken is not sent.
    pub n: u32,
}

/// On the notice queue, beside what is told of leads: what a journey tells of a customer, what became of a campaign, and
/// what alerts found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TellMessage {
    /// A rep is told, or has something to do.
    Tell(Tell),
    /// Another system is told by a journey.
    Call(Box<Call>),
    /// Another system is told of an event.
    Heard(Heard),
    /// A rep is told that a campaign was stopped.
    Halt(Halt),
    /// A rep is told that something is out of its bounds.
    Alarm(AlarmMessage),
}

/// Room at a provider that takes no more than so many a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// It is reserved from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Timestamp>,
    /// It was waited for since this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Timestamp>,
    /// None is needed any more: the mail came to its end, and only another channel comes again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
}

impl Room {
    /// Whether nothing is reserved, nobody waited and nothing is over.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Something on the notice queue, with the room it has for its mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roomed<T> {
    /// What rep or system is told.
    #[serde(flatten)]
    pub notice: T,
    /// The room; whoever asks for a notice knows of none.
    #[serde(default, skip_serializing_if = "Room::is_none")]
    pub room: Room,
}

/// A rep is told that a guard rail stopped a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// To this rep.
    #[serde(rename = "to")]
    pub rep: String,
    /// Which campaign.
    #[serde(rename = "c")]
    pub campaign: String,
    /// Which broadcast of it.
    #[serde(rename = "b")]
    pub broadcast: u32,
    /// When it was stopped; with the others the id of it.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// By what, in a sentence.
    #[serde(rename = "w")]
    pub why: String,
}

impl Halt {
    /// The same for the same stop and rep.
    pub fn id(&self) -> String {
        let Self { rep, campaign, broadcast, at, .. } = self;
        format!("halt-{campaign}-{broadcast}-{}-{rep}", at.millis())
    }
}

/// A rep is told what an alert found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmMessage {
    /// To this rep.
    #[serde(rename = "to")]
    pub rep: String,
    /// By this alert.
    #[serde(rename = "a")]
    pub alert: String,
    /// Since when; with rep and alert the id of it.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// What is wrong, in a sentence.
    #[serde(rename = "t")]
    pub text: String,
}

impl AlarmMessage {
    /// The same for the same alarm and rep.
    pub fn id(&self) -> String {
        let Self { rep, alert, at, .. } = self;
        format!("alert-{alert}-{}-{rep}", at.millis())
    }
}

/// On the message and bulk queues: a message to a customer that is to go out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderMessage {
    /// What is to go out. Values for its template, which may be personal, are stored with the message.
    pub order: Order,
    /// Room at the provider is reserved for it from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Timestamp>,
    /// It has waited for room since this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Timestamp>,
}

impl OrderMessage {
    /// Without room reserved.
    pub const fn new(order: Order) -> Self {
        Self { order, slot: None, waits: None }
    }
}

/// On the feedback queue, beside what SES puts there by way of EventBridge or SNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackMessage {
    /// An event that came over HTTPS and was believed.
    Event(Feedback),
}

/// On the event queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventMessage {
    /// Events that may be one person's, in the order in which they happened. These hold what their senders said, which may be
    /// personal: the queue is where an event is durable first.
    Events(Vec<Happened>),
    /// A link of a message was followed, by a person as far as that could be told then: whether it was one is looked up once it is
    /// settled, and told if it was.
    Click(Click),
    /// Something is due for this customer: a step of a journey, a look at what time alone changes.
    Due(Wake),
    /// Policies were published that say what behaviour makes of customers: all are looked at, page by page.
    Pass(Pass),
}

/// A click as the trail of its message holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// Of this message.
    #[serde(rename = "m")]
    pub message: MessageId,
    /// Which of its links.
    #[serde(rename = "l")]
    pub link: u16,
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The number of the visit; with the message the id of it.
    #[serde(rename = "n")]
    pub nonce: u32,
}

impl Click {
    /// The same for the same click.
    pub fn id(&self) -> String {
        let Self { message, nonce, .. } = self;
        format!("click-{message}-{nonce}")
    }
}

/// On the campaign queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignMessage {
    /// Of this campaign.
    #[serde(rename = "c")]
    pub campaign: String,
    /// Which broadcast of it.
    #[serde(rename = "b")]
    pub broadcast: u32,
    /// What is to be done.
    #[serde(rename = "do")]
    pub task: CampaignTask,
}

/// What is to be done of a broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignTask {
    /// Its time comes.
    Begin,
    /// Go through pages of one part of the table, from this one on.
    Pages {
        /// Which part, from 0.
        part: u8,
        /// Which page, from 0.
        page: u32,
    },
    /// It is these people's time.
    Bundle(Bundle),
    /// It goes on after it waited.
    GoOn,
    /// Hand on more of what waits, the next of it at this time.
    Drain(Timestamp),
    /// Look at what was counted by then.
    Watch(Look),
}

/// People whose messages go out within one minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// When the minute begins.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Who, what, and how many milliseconds later.
    #[serde(rename = "p")]
    pub people: Vec<(CustomerId, Share, i64)>,
    /// When it comes instead, of those who wait for a winner.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

impl CampaignMessage {
    /// The same for the same task.
    pub fn id(&self) -> String {
        let Self { campaign, broadcast, task } = self;
        let task = match task {
            CampaignTask::Begin => "begin".to_owned(),
            CampaignTask::Pages { part, page } => format!("pages-{part}-{page}"),
            CampaignTask::Bundle(bundle) => format!("bundle-{}", id_of(&encode(bundle))),
            CampaignTask::GoOn => "go-on".to_owned(),
            CampaignTask::Drain(at) => format!("drain-{}", at.millis()),
            CampaignTask::Watch(look) => format!("watch-{}", look.at.millis()),
        };
        format!("{campaign}-{broadcast}-{task}")
    }
}

/// One page of a look at all customers, and those after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// The version of the policies that was published.
    #[serde(rename = "v")]
    pub version: u64,
    /// Which part of the table, from 0.
    #[serde(rename = "n")]
    pub part: i32,
    /// Behind this place; absent is from the start.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Pass {
    /// Parts of the table that are gone through at the same time.
    pub const PARTS: i32 = 4;

    /// The first pages of all parts.
    pub fn all(version: u64) -> Vec<Self> {
        (0..Self::PARTS).map(|part| Self { version, part, cursor: None }).collect()
    }

    /// The same for the same page.
    pub fn id(&self) -> String {
        let cursor = self.cursor.as_deref().unwrap_or_default();
        format!("pass-{}-{}-{}", self.version, self.part, id_of(cursor))
    }
}

/// An id that the same body always has (SHA-256, cut to 128 bits, in hexadecimal).
pub fn id_of(body: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The body of a message.
pub fn encode(message: &impl Serialize) -> String {
    let text = serde_json::to_string(message).unwrap_or_default();
    // No queue takes these two characters, and somebody may have written them. (SQS, SendMessage, "MessageBody".)
    if text.contains(['\u{fffe}', '\u{ffff}']) {
        return text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_told_reads_alike_with_room_and_without() {
        let notice = NoticeMessage {
            lead: LeadId::derived(&["one"]),
            rep: "ann".to_owned(),
            kind: NoticeKind::Assigned,
            n: 1,
        };
        let halt = TellMessage::Halt(Halt {
            rep: "ann".to_owned(),
            campaign: "spring".to_owned(),
            broadcast: 1,
            at: Timestamp(7),
            why: "bounces".to_owned(),
        });
        let bare = Roomed { notice: notice.clone(), room: Room::default() };
        assert_eq!(encode(&bare), encode(&notice));
        let waits = Room { slot: Some(Timestamp(5)), waits: Some(Timestamp(3)), done: false };
        let done = Room { done: true, ..Room::default() };
        for room in [Room::default(), waits, done] {
            let one = Roomed { notice: notice.clone(), room };
            assert_eq!(serde_json::from_str::<Roomed<NoticeMessage>>(&encode(&one)).unwrap(), one);
            let other = Roomed { notice: halt.clone(), room };
            assert_eq!(serde_json::from_str::<Roomed<TellMessage>>(&encode(&other)).unwrap(), other);
        }
        assert_eq!(serde_json::from_str::<Roomed<TellMessage>>(&encode(&halt)).unwrap().notice, halt);
    }
}
