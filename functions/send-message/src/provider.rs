//! Messages by a provider with an HTTP interface: SMS, chat, and e-mail where somebody wants it so.

use crate::Sender;
use crate::channel::Handover;
use crate::content::Content;
use crate::mime::{Mail, Mailbox, phrase};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sluice_domain::id::MessageId;
use sluice_domain::identity::Email;
use sluice_domain::message::{Channel, Destination, Handed};
use sluice_domain::pii::Pii;
use sluice_domain::policy::{BodyEncoding, ChannelPolicy, ProviderCall, SecretRef};
use sluice_domain::time::Timestamp;
use sluice_host::fetch::{FetchError, Fetched, fetch_public};
use sluice_wire::kept::KeptCall;
use sluice_wire::standard_webhooks;
use std::time::Duration;

/// How long a provider may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

impl Sender {
    /// Hands a mail over.
    pub(crate) async fn mail(
        &self,
        id: &MessageId,
        policy: &ChannelPolicy,
        to: &Destination,
        content: &Content,
        now: Timestamp,
    ) -> Handed {
        let Content { rendered: content, unsubscribe, .. } = content;
        let Ok(to) = Email::of_any_domain(to.value.reveal()) else {
            return Handed::Refused("the address cannot be written to".to_owned());
        };
        let written = policy.from.as_deref().and_then(mailbox);
        let (name, from) = written.map_or((None, self.from.clone()), |(name, from)| (name, from));
        let reply_to =
            content.reply_to.clone().or_else(|| mailbox(policy.reply_to.as_deref()?).map(|(_, to)| to));
        let mail = Mail {
            id: id.as_str(),
            from: Mailbox { name: content.from_name.as_deref().or(name.as_deref()), email: &from },
            to: Mailbox { name: None, email: &to },
            reply_to: reply_to.as_ref().map(|email| Mailbox { name: None, email }),
            subject: &content.subject,
            text: &content.text,
            html: content.html.as_deref(),
            unsubscribe: unsubscribe.as_deref(),
            at: now,
        };
        handed(self.carry(&mail, Some(policy), now).await)
    }

    /// Makes the call that the channel's document describes, or has it kept: without a word of who calls, so that a secret
    /// that is missing here holds nothing back.
    pub(crate) async fn call_provider(
        &self,
        id: &MessageId,
        policy: &ChannelPolicy,
        to: &Destination,
        content: &Content,
        now: Timestamp,
    ) -> Handed {
        let Some(call) = &policy.webhook else {
            return Handed::Refused("the channel has no webhook".to_owned());
        };
        let Content { rendered: content, unsubscribe, .. } = content;
        let is_mail = policy.name == Channel::Email;
        let written = policy.from.as_deref().filter(|_| is_mail).and_then(mailbox);
        let from_name = content.from_name.clone().or(written.and_then(|(name, _)| name));
        let from_name = from_name.map(|name| phrase(&name)).unwrap_or_default();
        let ours = is_mail.then(|| self.from.as_sent());
        let reply_to = content.reply_to.as_ref().map(Email::as_sent).or(policy.reply_to.as_deref());
        let subject = phrase(&content.subject);
        let values = [
            ("to", Some(to.value.reveal().as_str())),
            ("text", Some(content.text.as_str())),
            ("html", content.html.as_deref()),
            ("subject", Some(subject.as_str())),
            ("from", policy.from.as_deref().or(ours).or(Some(""))),
            ("from_name", Some(from_name.as_str())),
            ("reply_to", reply_to),
            ("unsubscribe", unsubscribe.as_deref().filter(|_| is_mail)),
            ("id", Some(id.as_str())),
        ];
        let (kind, body) = write_body(call, &values);
        if let Some(at) = &self.kept_at {
            let kept = KeptCall {
                channel: policy.name,
                message: id.clone(),
                from: policy.from.clone().unwrap_or_default(),
                to: to.value.clone(),
                text: content.text.clone().into(),
                url: call.url.clone(),
                content_type: kind.to_owned(),
                body: body.into(),
            };
            return self.keep_call(at, &kept).await;
        }
        let mut headers = vec![("content-type".to_owned(), kind.to_owned())];
        for (name, value) in &call.headers {
            headers.extend(fill(value, &values).map(|value| (name.to_lowercase(), value)));
        }
        match self.credentials(call, id, &body, now).await {
            Ok(more) => headers.extend(more),
            Err(handed) => return handed,
        }
        match fetch_public(&self.env, "POST", &call.url, &headers, body.into_bytes(), LIMIT).await {
            Ok(answer) => match answer.status {
                200..=299 => answered(call, &answer),
                // Who we are, what we may and have paid for, where the provider is, or that it comes too early, is nothing
                // about the message: it waits until that is mended.
                status @ (401..=404 | 408 | 425 | 429) => {
                    if status == 401 {
                        self.forget_secrets(call);
                    }
                    Handed::NotNow(format!("status {status}"), answer.retry_after)
                }
                status @ 400..=499 => Handed::Refused(format!("status {status}")),
                // It may have taken the message before it failed.
                status => Handed::Unknown(format!("status {status}")),
            },
            Err(error @ FetchError::Forbidden(_)) => Handed::Refused(error.to_string()),
            Err(error @ FetchError::Unknown) => Handed::Unknown(error.to_string()),
            // A secret or a URL of which no request can be made is mended as well.
            Err(error @ (FetchError::NotSent(_) | FetchError::Unreachable(_))) => {
                Handed::NotNow(error.to_string(), None)
            }
        }
    }

    async fn credentials(
        &self,
        call: &ProviderCall,
        id: &MessageId,
        body: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, Handed> {
        let mut headers = Vec::new();
        if let Some(reference) = &call.bearer {
            let secret = self.secret(reference).await?;
            headers.push(("authorization".to_owned(), format!("Bearer {}", secret.reveal().trim())));
        }
        if let Some(reference) = &call.basic {
            let secret = self.secret(reference).await?;
            headers.push((
                "authorization".to_owned(),
                format!("Basic {}", STANDARD.encode(secret.reveal().trim())),
            ));
        }
        if !call.secrets.is_empty() {
            let keys = self.signing_keys(&call.secrets).await.map_err(handed)?;
            headers.extend(standard_webhooks::headers(&keys, id.as_str(), now, body.as_bytes()));
        }
        Ok(headers)
    }

    /// They may have been changed since they were read.
    fn forget_secrets(&self, call: &ProviderCall) {
        let references = call.bearer.iter().chain(&call.basic).chain(&call.secrets);
        references.for_each(|reference| self.secrets.forget(reference));
    }

    async fn secret(&self, reference: &SecretRef) -> Result<Pii<String>, Handed> {
        match self.secrets.resolve(reference).await {
            Ok(Some(secret)) => Ok(secret),
            Ok(None) => Err(Handed::NotNow("a secret is missing".to_owned(), None)),
            Err(error) => Err(Handed::NotNow(error.to_string(), None)),
        }
    }
}

pub(crate) fn handed(handover: Handover) -> Handed {
    match handover {
        Handover::Sent(id) => Handed::Sent(id),
        Handover::NotNow { why, after } => Handed::NotNow(why, after),
        Handover::Refused(why) => Handed::Refused(why),
        Handover::NoMailbox(why) => Handed::NoMailbox(why),
        Handover::Unknown(why) => Handed::Unknown(why),
    }
}

/// `Name <a@b.example>` or `a@b.example`.
fn mailbox(text: &str) -> Option<(Option<String>, Email)> {
    let (name, address) = match text.split_once('<') {
        Some((name, rest)) => (Some(name.trim().trim_matches('"')), rest.strip_suffix('>')?),
        None => (None, text),
    };
    let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
    Some((name, Email::of_any_domain(address).ok()?))
}

/// Puts values in the places of their names, each once: a value that looks like a place stays as it is. None if the message
/// does not have one of them: a mail without HTML, or one that nobody can refuse.
fn fill(pattern: &str, values: &[(&str, Option<&str>)]) -> Option<String> {
    let mut filled = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        match values.iter().find(|(known, _)| *known == name.trim()) {
            Some((_, value)) => filled.push_str((*value)?),
            None => filled.push_str(&format!("{{{{{name}}}}}")),
        }
        rest = behind;
    }
    filled.push_str(rest);
    Some(filled)
}

/// The field that says a button may be pressed (RFC 8058): without the header that it belongs to it says nothing true.
const BUTTON: &str = "list-unsubscribe-post";

/// The content type and the body.
fn write_body(call: &ProviderCall, values: &[(&str, Option<&str>)]) -> (&'static str, String) {
    let has_button = values.iter().any(|(name, value)| *name == "unsubscribe" && value.is_some());
    let is_said = |name: &str| has_button || !name.to_ascii_lowercase().ends_with(BUTTON);
    let fields = call.body.iter().filter(|(name, _)| is_said(name));
    let fields = fields.filter_map(|(name, pattern)| Some((name.as_str(), fill(pattern, values)?)));
    match call.encoding {
        BodyEncoding::Form => {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            ("application/x-www-form-urlencoded", body)
        }
        BodyEncoding::Json => {
            let mut body = Map::new();
            for (name, value) in fields {
                nest(&mut body, name, value);
            }
            ("application/json", Value::Object(body).to_string())
        }
    }
}

/// `a.b` is `b` within `a`.
fn nest(into: &mut Map<String, Value>, name: &str, value: String) {
    match name.split_once('.') {
        None => drop(into.insert(name.to_owned(), Value::String(value))),
        Some((outer, inner)) => {
            let entry = into.entry(outer.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(object) = entry {
                nest(object, inner, value);
            }
        }
    }
}

/// What an answer of success says became of the message, by where its document looks.
fn answered(call: &ProviderCall, answer: &Fetched) -> Handed {
    let status = answer.status;
    let read = read_answer(&answer.body);
    let id = read.as_ref().and_then(|read| answer_id(call, read));
    let Some(success) = &call.success else {
        return match id {
            None if call.answer_id.is_some() => Handed::Unknown(format!("status {status} without an id")),
            id => Handed::Sent(id.unwrap_or_default()),
        };
    };
    let Some(read) = read else {
        return Handed::Unknown(format!("status {status}, an answer that cannot be read"));
    };
    let value = word(standing(&read, &success.at));
    let is_among = |values: &[String]| value.as_ref().is_some_and(|value| values.contains(value));
    if is_among(&success.is) {
        return Handed::Sent(id.unwrap_or_default());
    }
    let why = format!("status {status}, {} {}", success.at, in_short(value.as_deref()));
    match is_among(&success.later) {
        true => Handed::NotNow(why, answer.retry_after),
        false => Handed::Refused(why),
    }
}

/// A body as JSON; one that is empty says nothing.
fn read_answer(body: &[u8]) -> Option<Value> {
    if body.trim_ascii().is_empty() {
        return Some(Value::Null);
    }
    serde_json::from_slice(body).ok()
}

/// What stands at a path into an answer.
fn standing<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    answer.pointer(&format!("/{}", path.replace('.', "/")))
}

/// A value as documents write it, nothing if nothing stands there; none of what is no single value.
fn word(value: Option<&Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Bool(is)) => Some(is.to_string()),
        Some(Value::Array(_) | Value::Object(_)) => None,
    }
}

/// A code as it is, and no words: they may name people.
fn in_short(value: Option<&str>) -> &str {
    let is_of_a_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match value {
        Some("") => "is missing",
        Some(code) if code.len() <= CODE && code.chars().all(is_of_a_code) => code,
        _ => "is something else",
    }
}

/// The longest code of a refusal.
const CODE: usize = 40;

/// The provider's id of the message, where the document says it is.
fn answer_id(call: &ProviderCall, answer: &Value) -> Option<String> {
    match standing(answer, call.answer_id.as_ref()?)? {
        Value::String(id) if !id.is_empty() => Some(id.chars().take(200).collect()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_domain::policy::Success;

    fn call(encoding: BodyEncoding, body: &[(&str, &str)]) -> ProviderCall {
        ProviderCall {
            url: "https://api.example.net".to_owned(),
            encoding,
            body: body.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            headers: Default::default(),
            bearer: None,
            basic: None,
            secrets: Vec::new(),
            answer_id: Some("messages.0.id".to_owned()),
            success: None,
        }
    }

    fn ok(body: &str) -> Fetched {
        Fetched { status: 200, retry_after: Some(7), body: body.as_bytes().to_vec().into() }
    }

    #[test]
    fn a_body_is_written_as_the_document_says_whatever_the_text_is() {
        let text = "50 % off & {{ to }} \"now\"";
        let values = [("to", Some("+491701234567")), ("text", Some(text))];
        let form = call(BodyEncoding::Form, &[("To", "{{ to }}"), ("Body", "{{text}}")]);
        let (kind, body) = write_body(&form, &values);
        assert_eq!(kind, "application/x-www-form-urlencoded");
        assert_eq!(body, "Body=50+%25+off+%26+%7B%7B+to+%7D%7D+%22now%22&To=%2B491701234567");
        let json =
            call(BodyEncoding::Json, &[("to", "{{ to }}"), ("text.body", "{{ text }}"), ("type", "text")]);
        let (kind, body) = write_body(&json, &values);
        assert_eq!(kind, "application/json");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["text"]["body"], text);
        assert_eq!((body["to"].as_str(), body["type"].as_str()), (values[0].1, Some("text")));
        assert_eq!(fill("{{ other }} {{", &values).unwrap(), "{{ other }} {{");
    }

    #[test]
    fn a_field_of_what_a_message_does_not_have_is_left_out() {
        let fields = [
            ("html", "{{ html }}"),
            ("headers.List-Unsubscribe", "<{{ unsubscribe }}>"),
            ("headers.list-unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("a", "b"),
        ];
        let call = call(BodyEncoding::Json, &fields);
        let without = [("html", None), ("unsubscribe", None)];
        assert_eq!(write_body(&call, &without).1, r#"{"a":"b"}"#);
        let with = [("html", Some("<p>Hi</p>")), ("unsubscribe", Some("https://a.example/u/1"))];
        let body: Value = serde_json::from_str(&write_body(&call, &with).1).unwrap();
        assert_eq!(body["headers"]["List-Unsubscribe"], "<https://a.example/u/1>");
        assert_eq!(body["headers"]["list-unsubscribe-Post"], "List-Unsubscribe=One-Click");
        assert_eq!(body["html"], "<p>Hi</p>");
    }

    #[test]
    fn the_providers_id_is_found_where_the_document_says_and_without_it_nobody_knows() {
        let mut call = call(BodyEncoding::Json, &[]);
        let sent = |id: &str| Handed::Sent(id.to_owned());
        assert_eq!(answered(&call, &ok(r#"{"messages":[{"id":"wamid.1"}]}"#)), sent("wamid.1"));
        assert_eq!(answered(&call, &ok(r#"{"messages":[{"id":17}]}"#)), sent("17"));
        for body in ["ok", "", r#"{"error":"no"}"#, r#"{"messages":[{"id":""}]}"#] {
            let unknown = Handed::Unknown("status 200 without an id".to_owned());
            assert_eq!(answered(&call, &ok(body)), unknown, "{body}");
        }
        call.answer_id = None;
        assert_eq!(answered(&call, &ok("ok")), sent(""), "its document asks for none");
    }

    #[test]
    fn a_no_within_an_answer_of_success_is_a_no() {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let mut call = call(BodyEncoding::Json, &[]);
        // WeChat's.
        call.answer_id = Some("msgid".to_owned());
        let success = Success { at: "errcode".to_owned(), is: values(&["0", ""]), later: values(&["45009"]) };
        call.success = Some(success);
        let refused = |why: &str| Handed::Refused(why.to_owned());
        for (body, expected) in [
            (r#"{"errcode":0,"msgid":17}"#, Handed::Sent("17".to_owned())),
            (r#"{"msgid":17}"#, Handed::Sent("17".to_owned())),
            (r#"{"errcode":0}"#, Handed::Sent(String::new())),
            ("", Handed::Sent(String::new())),
            (r#"{"errcode":45015,"errmsg":"out of time"}"#, refused("status 200, errcode 45015")),
            (r#"{"errcode":"Ada Park's"}"#, refused("status 200, errcode is something else")),
            (r#"{"errcode":[0]}"#, refused("status 200, errcode is something else")),
            (r#"{"errcode":45009}"#, Handed::NotNow("status 200, errcode 45009".to_owned(), Some(7))),
            ("<html>", Handed::Unknown("status 200, an answer that cannot be read".to_owned())),
        ] {
            assert_eq!(answered(&call, &ok(body)), expected, "{body}");
        }
        // Vonage's.
        let at = "messages.0.status".to_owned();
        call.success = Some(Success { at, is: values(&["0"]), later: Vec::new() });
        let body = r#"{"messages":[{"status":"4","error-text":"Invalid credentials"}]}"#;
        assert_eq!(answered(&call, &ok(body)), refused("status 200, messages.0.status 4"));
        assert_eq!(answered(&call, &ok("{}")), refused("status 200, messages.0.status is missing"));
    }
}
