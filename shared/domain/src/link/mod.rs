//! Links that lead back to us from a message: the open pixel, tracked links, the preference page, a confirmation.
//!
//! A token says what it is for, with which key it was made, and names the message and what else its purpose needs; the
//! rest is a keyed hash. Nothing personal is in it, it is good for one purpose only, and it does not expire: a person
//! may say no by a mail of years ago, whether or not the message, or anything about the person, is still there.
//!
//! `<purpose><key version>.<body>.<tag>`: the purpose is the letter of its route, body and tag are URL-safe base 64, the
//! tag is the first 16 bytes of HMAC-SHA256 over everything before it.

#[cfg(test)]
mod tests;

use crate::customer::AddressHash;
use crate::id::MessageId;
use crate::message::Channel;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use std::collections::BTreeMap;
use std::fmt;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A picture whose loading says that the message was opened.
    Open,
    /// A link of the message, by way of us.
    Click,
    /// What its recipient wants to get.
    Preferences,
    /// The answer to "did you really ask for this?"
    Confirm,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Open, Self::Click, Self::Preferences, Self::Confirm];

    /// The first segment of its route, and the first letter of its tokens.
    pub const fn letter(self) -> char {
        match self {
            Self::Open => 'o',
            Self::Click => 'c',
            Self::Preferences => 'u',
            Self::Confirm => 'k',
        }
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// This message was opened.
    Open(MessageId),
    /// The link of this message with this number was followed.
    Click(MessageId, u16),
    /// The recipient's wishes.
    Preferences(Subject),
    /// The recipient's yes.
    Confirm(Subject),
}

/// Whose wishes about what: all that it takes to write them down, even if nothing else is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The message whose link it is.
    pub message: MessageId,
    /// The channel it came over.
    pub channel: Channel,
    /// The address it came to.
    pub address: AddressHash,
    /// What it was about.
    pub topic: String,
    /// It came with a trial: what is chosen by it is nobody's wish, whatever is left of the message.
    pub is_trial: bool,
}

impl Link {
    /// What it is for.
    pub const fn purpose(&self) -> Purpose {
        match self {
            Self::Open(_) => Purpose::Open,
            Self::Click(..) => Purpose::Click,
            Self::Preferences(_) => Purpose::Preferences,
            Self::Confirm(_) => Purpose::Confirm,
        }
    }

    fn body(&self) -> Vec<u8> {
        let (Self::Open(message)
        | Self::Click(message, _)
        | Self::Preferences(Subject { message, .. })
        | Self::Confirm(Subject { message, .. })) = self;
        let mut body = message.to_bytes().to_vec();
        match self {
            Self::Open(_) => {}
            Self::Click(_, number) => body.extend(number.to_be_bytes()),
            Self::Preferences(subject) | Self::Confirm(subject) => {
                body.push(subject.first_byte());
                body.extend(subject.topic.bytes());
                // Names of topics have letters, digits and a few signs.
                body.push(0);
                body.extend(subject.address.as_str().bytes());
            }
        }
        body
    }

    fn read(purpose: Purpose, body: &[u8]) -> Option<Self> {
        let (message, rest) = body.split_first_chunk()?;
        let message = MessageId::from_bytes(message)?;
        match purpose {
            Purpose::Open => rest.is_empty().then_some(Self::Open(message)),
            Purpose::Click => Some(Self::Click(message, u16::from_be_bytes(rest.try_into().ok()?))),
            Purpose::Preferences => Subject::read(message, rest).map(Self::Preferences),
            Purpose::Confirm => Subject::read(message, rest).map(Self::Confirm),
        }
    }
}

impl Subject {
    fn read(message: MessageId, rest: &[u8]) -> Option<Self> {
        let (first, rest) = rest.split_first()?;
        let letter = first.to_ascii_lowercase();
        let channel = Channel::ALL.into_iter().find(|one| channel_byte(*one) == letter)?;
        let (topic, address) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
        let address = AddressHash::from_text(address);
        Some(Self { message, channel, address, topic: topic.to_owned(), is_trial: letter != *first })
    }

    /// The letter of the channel, a capital one in a trial.
    fn first_byte(&self) -> u8 {
        let letter = channel_byte(self.channel);
        if self.is_trial { letter.to_ascii_uppercase() } else { letter }
    }
}

fn channel_byte(channel: Channel) -> u8 {
    channel.name().as_bytes().first().copied().unwrap_or_default()
}

/// Bytes of the keyed hash that a token carries.
const TAG: usize = 16;
/// Longer than any token, in bytes.
const LONGEST: usize = 600;
/// Longest version of a key, in characters.
const LONGEST_VERSION: usize = 16;

/// The keys of links: tokens are made with the current one and believed with every one there ever was.
#[derive(Clone)]
pub struct LinkKeys {
    current: String,
    keys: BTreeMap<String, hmac::Key>,
}

impl LinkKeys {
    /// Keys of which this one is current. None if the version is not 1 to 16 letters and digits.
    pub fn new(version: &str, secret: &[u8]) -> Option<Self> {
        let is_version = (1..=LONGEST_VERSION).contains(&version.len())
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let keys = BTreeMap::from([(version.to_owned(), key(secret))]);
        is_version.then(|| Self { current: version.to_owned(), keys })
    }

    /// With a key that tokens were made with before. One of the current key's version is left out.
    #[must_use]
    pub fn with_old(mut self, version: &str, secret: &[u8]) -> Self {
        self.keys.entry(version.to_owned()).or_insert_with(|| key(secret));
        self
    }

    /// The token that says this.
    pub fn mint(&self, link: &Link) -> String {
        let head =
            format!("{}{}.{}", link.purpose().letter(), self.current, URL_SAFE_NO_PAD.encode(link.body()));
        // The current key is among the keys since they were made.
        let tag = self.keys.get(&self.current).map(|key| tag(key, &head)).unwrap_or_default();
        format!("{head}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// What a token says. None if it is not ours, was made for another purpose, or was changed.
    pub fn read(&self, purpose: Purpose, token: &str) -> Option<Link> {
        if token.len() > LONGEST {
            return None;
        }
        let (head, given) = token.rsplit_once('.')?;
        let (version, body) = head.strip_prefix(purpose.letter())?.split_once('.')?;
        let key = self.keys.get(version)?;
        let given = URL_SAFE_NO_PAD.decode(given).ok().filter(|tag| tag.len() == TAG)?;
        // Comparing the hashes of both is comparing them, in constant time.
        let of_ours = hmac::sign(key, &tag(key, head));
        hmac::verify(key, &given, of_ours.as_ref()).ok()?;
        Link::read(purpose, &URL_SAFE_NO_PAD.decode(body).ok()?)
    }
}

fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

fn tag(key: &hmac::Key, head: &str) -> [u8; TAG] {
    let mut tag = [0; TAG];
    tag.copy_from_slice(&hmac::sign(key, head.as_bytes()).as_ref()[..TAG]);
    tag
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkKeys(current {}, {} in all)", self.current, self.keys.len())
    }
}

/// The addresses that one message carries.
#[derive(Clone, Debug)]
pub struct Links<'a> {
    keys: &'a LinkKeys,
    url: &'a str,
    subject: Subject,
}

impl<'a> Links<'a> {
    /// Of a message to this subject; `url` is where the stack answers.
    pub fn new(keys: &'a LinkKeys, url: &'a str, subject: Subject) -> Self {
        Self { keys, url: url.trim_end_matches('/'), subject }
    }

    /// The open pixel.
    pub fn open(&self) -> String {
        self.to(&Link::Open(self.subject.message.clone()))
    }

    /// The link with this number, by way of us. None for more links than a message may count.
    pub fn click(&self, number: usize) -> Option<String> {
        let number = u16::try_from(number).ok()?;
        Some(self.to(&Link::Click(self.subject.message.clone(), number)))
    }

    /// The preference page; a mail program's button posts to it (RFC 8058).
    pub fn preferences(&self) -> String {
        self.to(&Link::Preferences(self.subject.clone()))
    }

    /// Where a yes is confirmed.
    pub fn confirm(&self) -> String {
        self.to(&Link::Confirm(self.subject.clone()))
    }

    fn to(&self, link: &Link) -> String {
        format!("{}/{}/{}", self.url, link.purpose().letter(), self.keys.mint(link))
    }
}
