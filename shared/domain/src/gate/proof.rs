//! Proofs: what was said about an address, by whom, shown what, when and where. Written once, never changed; an erasure
//! takes what is personal out of them.

use super::{Gate, SuppressedBy, Wish};
use crate::id::{LeadId, MessageId, ProofId};
use crate::pii::Pii;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// What the person wants of a topic; [`super::EVERY_TOPIC`] is about all.
    Wish {
        /// The topic.
        #[serde(rename = "t")]
        topic: String,
        /// What is wanted.
        #[serde(rename = "w")]
        wish: Wish,
    },
    /// The file that said so was taken back.
    TakenBack {
        /// The topic.
        #[serde(rename = "t")]
        topic: String,
    },
    /// Nothing may be sent to the address.
    Suppressed(SuppressedBy),
    /// Messages may be sent again.
    Lifted,
}

/// How it came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The consent box of a form, or what an ad platform sent of one.
    Form,
    /// A file that was brought in. It is nobody's own word: see [`Gate::import`].
    Import,
    /// The button of a mail program (RFC 8058).
    OneClick,
    /// The preference page.
    Page,
    /// The link in the message that asks whether the person really wants it.
    Confirmation,
    /// A call of the API: somebody of the company wrote down what the person told them.
    Api,
    /// A complaint that the provider passed on.
    Complaint,
    /// What the provider says of the address.
    Provider,
}

impl How {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Import => "import",
            Self::OneClick => "one_click",
            Self::Page => "page",
            Self::Confirmation => "confirmation",
            Self::Api => "api",
            Self::Complaint => "complaint",
            Self::Provider => "provider",
        }
    }
}

/// One thing that was said about an address on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When; half of its key.
    #[serde(skip)]
    pub at: Timestamp,
    /// Derived from its cause, so that what is told twice is written once; the other half.
    #[serde(skip, default = "no_id")]
    pub id: ProofId,
    /// What.
    #[serde(rename = "s")]
    pub said: Said,
    /// How it came to us.
    #[serde(rename = "h")]
    pub how: How,
    /// The words the person was shown.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub wording: Option<String>,
    /// Their version.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The form or source it came through.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The lead it came with.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<LeadId>,
    /// The message whose link or button it was.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Who of the company wrote it down.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the words of whoever wrote it down.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Pii<String>>,
    /// Where the person was.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Pii<String>>,
    /// With which program.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Pii<String>>,
    /// From when on it counts, if not from when it was said: a confirmation counts as of the message that asked for it, so
    /// that a no said since stands.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
}

fn no_id() -> ProofId {
    ProofId::derived(&[])
}

impl Proof {
    /// What was said at `at`. `cause` names what told us (a lead and a topic, a message and its link, a call's key): the same
    /// cause at the same time is the same proof for ever.
    pub fn new(said: Said, how: How, at: Timestamp, cause: &[&str]) -> Self {
        Self {
            at,
            id: ProofId::derived(cause),
            said,
            how,
            wording: None,
            version: None,
            source: None,
            lead: None,
            message: None,
            by: None,
            note: None,
            ip: None,
            user_agent: None,
            as_of: None,
        }
    }

    /// A wish.
    pub fn wish(topic: &str, wish: Wish, how: How, at: Timestamp, cause: &[&str]) -> Self {
        Self::new(Said::Wish { topic: topic.to_owned(), wish }, how, at, cause)
    }

    /// That the file which said so was taken back at `now`; nothing of what no file said.
    pub fn taken_back(&self, now: Timestamp) -> Option<Self> {
        let Said::Wish { topic, .. } = &self.said else { return None };
        let said = Said::TakenBack { topic: topic.clone() };
        let of_import = (self.how == How::Import)
            .then(|| Self::new(said, How::Import, now, &["taken back", self.id.as_str()]))?;
        Some(Self { source: self.source.clone(), lead: self.lead.clone(), ..of_import })
    }

    /// When the newest file said yes to a topic of those that were not taken back since, by all that was said of an address.
    pub fn newest_import(proofs: &[Self], topic: &str) -> Option<Timestamp> {
        let is_back = |wish: &Self| {
            let Some(back) = wish.taken_back(wish.at) else { return false };
            proofs.iter().any(|proof| proof.id == back.id && proof.said == back.said && proof.at >= wish.at)
        };
        let says_yes = |proof: &&Self| {
            proof.how == How::Import
                && matches!(&proof.said, Said::Wish { topic: of, wish: Wish::Yes | Wish::Confirmed } if of == topic)
        };
        proofs.iter().filter(says_yes).filter(|wish| !is_back(wish)).map(Self::counts_from).max()
    }

    /// What is kept of it beside such a gate; none if nothing is. After an erasure a yes from before it is forgotten, and what
    /// keeps messages back is kept without anything personal. A yes from after it is a new one, with all its proof, unless
    /// a file says so.
    pub fn beside(&self, gate: &Gate) -> Option<Self> {
        let Some(erased) = gate.erased else { return Some(self.clone()) };
        if self.refuses() {
            return Some(self.impersonal());
        }
        (self.counts_from() > erased && self.how != How::Import).then(|| self.clone())
    }

    /// The proof without anything that says who it was. Words that somebody of the company typed go as well: a name may be
    /// in them.
    #[must_use]
    pub fn impersonal(&self) -> Self {
        let wording = self.wording.clone().filter(|_| self.how != How::Api);
        Self { note: None, ip: None, user_agent: None, wording, ..self.clone() }
    }

    /// Whether it keeps messages back.
    const fn refuses(&self) -> bool {
        matches!(self.said, Said::Wish { wish: Wish::No, .. } | Said::Suppressed(_))
    }

    fn counts_from(&self) -> Timestamp {
        self.as_of.unwrap_or(self.at)
    }

    /// Takes it down in the gate of its address. Of a file that was taken back the gate is told what is left, see
    /// [`Self::newest_import`].
    pub fn tell(&self, gate: &mut Gate) {
        let at = self.counts_from();
        match &self.said {
            Said::Wish { topic, wish: Wish::Yes | Wish::Confirmed } if self.how == How::Import => {
                gate.import(topic, at);
            }
            Said::Wish { topic, wish } => gate.say(topic, *wish, at),
            Said::TakenBack { .. } => {}
            Said::Suppressed(why) => gate.suppress(*why, at),
            Said::Lifted => gate.lift(at),
        }
    }
}
