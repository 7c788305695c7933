//! What of a customer messages are written to.

use crate::customer::IdentityKind;
use crate::message::Channel;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What of a customer a channel writes to, as documents name it: `phone`, `wechat_openid`, or the ids of one app alone,
/// `wechat_openid.official`. What a person refused under the id of another app holds for the channel all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressName {
    /// Its kind.
    pub kind: AddressKind,
    /// Who gave it, by the name of a form or source, or as their `fields` say; absent is whoever did.
    pub namespace: Option<String>,
}

impl AddressName {
    /// Those of a kind, whoever gave them.
    pub const fn any(kind: AddressKind) -> Self {
        Self { kind, namespace: None }
    }

    /// Whether it is what a customer's fact of this name holds.
    pub fn is_fact(&self, name: &str) -> bool {
        let (plain, namespace) = name.split_once('.').unwrap_or((name, ""));
        plain == self.kind.identity().name() && self.is_given_by(namespace)
    }

    /// Whether one of its kind is meant that was given within this namespace.
    pub fn is_given_by(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

impl fmt::Display for AddressName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.identity().name())?;
        match &self.namespace {
            Some(namespace) => write!(f, ".{namespace}"),
            None => Ok(()),
        }
    }
}

impl Serialize for AddressName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (name, namespace) = match text.split_once('.') {
            Some((name, namespace)) => (name, Some(namespace)),
            None => (text.as_str(), None),
        };
        let kind = AddressKind::ALL.into_iter().find(|kind| kind.identity().name() == name);
        let kind = kind.ok_or_else(|| D::Error::unknown_variant(name, &ADDRESSES))?;
        match namespace {
            Some(_) if !kind.identity().has_namespace() => {
                Err(D::Error::custom(format!("`{name}` is the same whoever gave it; write `{name}` alone")))
            }
            Some("") => {
                Err(D::Error::custom(format!("behind the dot stands who gave it, or write `{name}` alone")))
            }
            namespace => Ok(Self { kind, namespace: namespace.map(str::to_owned) }),
        }
    }
}

/// The names of [`AddressKind::ALL`].
const ADDRESSES: [&str; 3] = ["email", "phone", "wechat_openid"];

/// The kinds of address that channels write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressKind {
    /// The e-mail address.
    Email,
    /// The phone number.
    Phone,
    /// The openid in a WeChat app.
    WechatOpenid,
}

impl AddressKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Email, Self::Phone, Self::WechatOpenid];

    /// What a channel writes to if its document does not say.
    pub const fn usual(channel: Channel) -> Self {
        match channel {
            Channel::Email => Self::Email,
            Channel::Sms | Channel::Chat => Self::Phone,
        }
    }

    /// The identity it is.
    pub const fn identity(self) -> IdentityKind {
        match self {
            Self::Email => IdentityKind::Email,
            Self::Phone => IdentityKind::Phone,
            Self::WechatOpenid => IdentityKind::WechatOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_any_of_its_kind_or_what_one_app_gave() {
        assert_eq!(AddressKind::ALL.map(|kind| kind.identity().name()), ADDRESSES);
        let read = |text: &str| serde_json::from_value::<AddressName>(text.into());
        for text in ["email", "phone", "wechat_openid", "wechat_openid.official"] {
            let name = read(text).unwrap();
            assert_eq!(serde_json::to_value(&name).unwrap(), text);
            assert!(name.is_fact(text), "{text}");
            assert!(!name.is_fact("wechat_unionid"), "{text}");
        }
        let (any, one) = (read("wechat_openid").unwrap(), read("wechat_openid.official").unwrap());
        assert!(any.is_fact("wechat_openid.mini") && any.is_given_by("mini"));
        assert!(!one.is_fact("wechat_openid.mini") && !one.is_fact("wechat_openid"));
        for text in ["", "fax", "wechat_openid.", "phone.mini", "email."] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
