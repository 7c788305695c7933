//! What SES v2 is sent.

use super::{Refusal, refuse};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        refuse(format!("the body cannot be read: line {} column {}", error.line(), error.column()))
    })
}

#[derive(Deserialize)]
pub(super) struct SendEmail {
    #[serde(rename = "FromEmailAddress")]
    pub(super) from: Option<String>,
    #[serde(rename = "Destination", default)]
    pub(super) destination: Destination,
    #[serde(rename = "ReplyToAddresses", default)]
    pub(super) reply_to: Vec<String>,
    #[serde(rename = "Content")]
    pub(super) content: Content,
    #[serde(rename = "EmailTags", default)]
    pub(super) tags: Vec<Tag>,
    #[serde(rename = "ConfigurationSetName")]
    pub(super) configuration_set: Option<String>,
}

impl SendEmail {
    /// What SES refuses whatever the content is.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.tags.len() > 50 || !self.tags.iter().all(|tag| is_tag(&tag.name) && is_tag(&tag.value)) {
            return Err(refuse("EmailTags: at most 50, of up to 256 ASCII letters, digits, _ and - each"));
        }
        if self.configuration_set.as_deref().is_some_and(|name| !is_tag(name) || name.len() > 64) {
            return Err(refuse("ConfigurationSetName: up to 64 ASCII letters, digits, _ and -"));
        }
        Ok(())
    }
}

fn is_tag(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=256).contains(&text.len()) && text.bytes().all(allowed)
}

#[derive(Default, Deserialize)]
pub(super) struct Destination {
    #[serde(rename = "ToAddresses", default)]
    pub(super) to: Vec<String>,
    #[serde(rename = "CcAddresses", default)]
    pub(super) cc: Vec<String>,
    #[serde(rename = "BccAddresses", default)]
    pub(super) bcc: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Content {
    pub(super) simple: Option<Simple>,
    pub(super) raw: Option<Part>,
    pub(super) template: Option<Template>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Template {
    template_name: Option<String>,
}

impl Template {
    /// No templates are kept here: ours are rendered before SES sees them.
    pub(super) fn unknown(&self) -> Refusal {
        let name = self.template_name.as_deref().unwrap_or("without a name");
        Refusal { status: 404, kind: "NotFoundException", message: format!("Template {name} does not exist") }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Simple {
    pub(super) subject: Part,
    pub(super) body: Body,
    #[serde(default)]
    pub(super) headers: Vec<Header>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Body {
    pub(super) text: Option<Part>,
    pub(super) html: Option<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Part {
    pub(super) data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

impl Header {
    pub(super) fn is_allowed(&self) -> bool {
        let printable = |text: &str| text.bytes().all(|b| (b' '..=b'~').contains(&b));
        let name = |b: u8| (b'!'..=b'~').contains(&b) && b != b':';
        (1..=126).contains(&self.name.len())
            && self.name.bytes().all(name)
            && self.value.len() <= 995
            && printable(&self.value)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendBulkEmail {
    pub(super) default_content: BulkContent,
    #[serde(rename = "BulkEmailEntries")]
    pub(super) entries: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BulkContent {
    pub(super) template: Option<Template>,
}
