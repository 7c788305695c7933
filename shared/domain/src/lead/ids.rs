//! Ids that other systems give a person, as a submission carries them.

use super::Origin;
use super::facts::Said;
use crate::customer::{Identity, IdentityKind};
use crate::pii::Pii;
use crate::policy::Reading;
use std::collections::BTreeMap;

/// Kinds that are taken as given, best evidence first.
const GIVEN: [IdentityKind; 4] =
    [IdentityKind::External, IdentityKind::WechatUnion, IdentityKind::WechatOpen, IdentityKind::AdUser];

/// Longest id taken for one, in bytes.
const MAX_ID: usize = 200;

/// The ids in a submission. One under its plain name (`external_id`) belongs to the form or source; one that the field
/// map names with a namespace (`external_id.crm: [contact_id]`) belongs to that, whoever sends it.
pub(super) fn given(
    origin: &Origin,
    said: &Said<'_>,
    reading: &Reading,
    standard: &BTreeMap<&'static str, Pii<String>>,
) -> Vec<Identity> {
    let mut all = Vec::new();
    for kind in GIVEN {
        let namespace = if kind.has_namespace() { origin.name.as_str() } else { "" };
        if let Some(id) = standard.get(kind.name()).filter(|id| names_somebody(id.reveal())) {
            all.push(Identity::within(kind, namespace, id.reveal().clone()));
        }
        for (name, namespace) in reading.fields.keys().filter_map(|key| Some((key, namespace_of(key, kind)?)))
        {
            if let Some(id) = said.find(name, &reading.fields).filter(|id| names_somebody(id)) {
                all.push(Identity::within(kind, namespace, id.to_owned()));
            }
        }
    }
    all
}

/// The namespace a field map's name gives ids of a kind: `crm` of `external_id.crm`.
pub fn namespace_of(name: &str, kind: IdentityKind) -> Option<&str> {
    name.strip_prefix(kind.name())?.strip_prefix('.').filter(|_| kind.has_namespace())
}

/// A WeChat number as it is compared: in lower case, without blanks. 6 to 20 letters, digits, dashes and underscores,
/// as the app allows; older ones may be 5 long or begin with a digit.
pub fn wechat_number(text: &str) -> Option<String> {
    let number: String = text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    ((5..=20).contains(&number.len()) && number.chars().all(good) && names_somebody(&number))
        .then_some(number)
}

/// Whether a text names somebody. What programs write for "nobody" would join all of them.
pub fn names_somebody(text: &str) -> bool {
    let nobody = [
        "0",
        "-",
        "-1",
        "null",
        "nil",
        "none",
        "nan",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "anonymous",
        "test",
        "false",
        "[object object]",
        "00000000-0000-0000-0000-000000000000",
    ];
    let lower = text.trim().to_lowercase();
    !lower.is_empty() && lower.len() <= MAX_ID && !lower.contains("{{") && !nobody.contains(&lower.as_str())
}
