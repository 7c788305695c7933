//! From an HTTP request to what the ledger keeps of a lead.

use crate::body::{self, BodyFlag, MAX_VALUE, Submission};
use crate::http::HttpRequest;
use crate::problem::Problem;
use crate::sources::SourceLead;
use crate::ticked::{is_ticked, is_yes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sluice_domain::lead::names::is_written;
use sluice_domain::lead::{ATTRIBUTION, ConsentProof, Envelope, FileNote, is_nearly};
use sluice_domain::policy::Form;
use std::collections::BTreeMap;

/// Bytes of one envelope at most; DynamoDB takes items of 400 KB.
pub const MAX_STORED: usize = 256 * 1024;

/// Longest header or other note kept as attribution, in bytes.
const MAX_HEADER: usize = 512;
/// Of a page's address, how much is looked through for campaign parameters, in bytes.
const MAX_REFERER: usize = 8 * 1024;
/// Longest wording that somebody agreed to, in bytes: a note whose name ends in [`WORDING`].
pub const MAX_WORDING: usize = 8 * 1024;
/// How the name of such a note ends, as in `consent_text`.
const WORDING: &str = "_text";
/// Of a robot's submission: fields looked at, bytes kept of a name or value, and bytes of the whole, which keep the lead's item
/// within one write unit.
const ROBOT_FIELDS: usize = 32;
const ROBOT_TEXT: usize = 64;
const ROBOT_STORED: usize = 480;

/// Whether the field that people cannot see was filled in.
pub fn is_spam(form: &Form, submission: &Submission) -> bool {
    let is_trap = is_called(form.honeypot.as_deref(), form, &submission.fields);
    submission.fields.iter().any(|(name, value)| is_trap(name) && !value.trim().is_empty())
}

/// Which names are the one that the form has for a field of its own: those written so, with brackets or dots; where there is
/// none, those that are nearly so, as the names of `fields` are compared.
fn is_called<'a>(
    own: Option<&'a str>,
    form: &'a Form,
    fields: &[(String, String)],
) -> impl Fn(&str) -> bool + use<'a> {
    let is_there = own.is_some_and(|own| fields.iter().any(|(name, _)| is_written(name, own)));
    move |name| {
        own.is_some_and(|own| is_written(name, own) || !is_there && is_nearly(name, own, &form.fields))
    }
}

/// What the ledger keeps of a form's submission.
pub fn from_form(form: &Form, request: &HttpRequest, submission: Submission) -> Result<Envelope, Problem> {
    said(form, request, submission, is_ticked)
}

/// The same of a row of a file: nobody ticked a box there, so only a word that says yes is a wish.
pub(crate) fn from_row(form: &Form, fields: Vec<(String, String)>) -> Result<Envelope, Problem> {
    said(form, &HttpRequest::default(), Submission { fields, ..Submission::default() }, is_yes)
}

fn said(
    form: &Form,
    request: &HttpRequest,
    submission: Submission,
    is_consent: impl Fn(&str) -> bool,
) -> Result<Envelope, Problem> {
    let box_name = form.consent.as_ref().map(|consent| consent.field.as_str());
    let is_box = is_called(box_name, form, &submission.fields);
    let consent = form.consent.as_ref().map(|consent| ConsentProof {
        topic: consent.topic.clone(),
        // A box that is not ticked sends nothing, so many forms have a hidden field of the same name that says no.
        given: submission.fields.iter().any(|(name, value)| is_box(name) && is_consent(value)),
        version: consent.version.clone(),
    });
    let is_trap = is_called(form.honeypot.as_deref(), form, &submission.fields);
    let mut envelope = Envelope {
        fields: submission.fields.into_iter().filter(|(name, _)| !is_trap(name)).collect(),
        files: notes(submission.files),
        attribution: of_request(request),
        unreadable: submission.flags.iter().map(|flag| flag.name().to_owned()).collect(),
        raw: submission.raw.map(|raw| STANDARD.encode(raw)),
        consent,
    };
    cut_raw(&mut envelope);
    if !fits(&envelope) {
        return Err(Problem::new(
            413,
            "lead-too-large",
            "The fields of one lead may take 256 KB. Send less text.",
        ));
    }
    Ok(envelope)
}

/// What the ledger keeps of a submission in which the field was filled in that people cannot see: that field first, and of the
/// others what there is room for. It is enough to know a person by, and no robot decides what it costs.
pub fn from_robot(form: &Form, request: &HttpRequest, submission: &Submission) -> Envelope {
    let is_trap = is_called(form.honeypot.as_deref(), form, &submission.fields);
    let attribution = request.source_ip.iter().map(|ip| ("ip".to_owned(), ip.clone())).collect();
    let mut envelope = Envelope { attribution, ..Envelope::default() };
    let (trap, others): (Vec<_>, Vec<_>) = submission.fields.iter().partition(|(name, _)| is_trap(name));
    for (name, value) in trap.into_iter().chain(others).take(ROBOT_FIELDS) {
        envelope.fields.push((cut_to(name, ROBOT_TEXT).to_owned(), cut_to(value, ROBOT_TEXT).to_owned()));
        if serde_json::to_vec(&envelope).map_or(usize::MAX, |bytes| bytes.len()) > ROBOT_STORED {
            envelope.fields.pop();
        }
    }
    envelope
}

/// What the ledger keeps of a lead that a source announced. Whatever is too large of it, the leads beside it are none the
/// worse for it, and no sender would know what to do about a refusal.
pub fn from_source(lead: &SourceLead) -> Envelope {
    let mut envelope = Envelope {
        fields: lead.fields.clone(),
        files: notes(lead.files.iter().cloned()),
        attribution: lead
            .attribution
            .iter()
            .map(|(name, value)| {
                let most = if name.ends_with(WORDING) { MAX_WORDING } else { MAX_HEADER };
                (name.clone(), cut_to(value, most).to_owned())
            })
            .collect(),
        unreadable: lead.flags.iter().map(|flag| flag.name().to_owned()).collect(),
        raw: lead.raw.as_ref().map(|raw| STANDARD.encode(raw)),
        consent: lead.consent.clone(),
    };
    if let Some(at) = lead.created_at {
        envelope.attribution.insert("created_at".to_owned(), at.rfc3339());
    }
    if lead.test {
        envelope.attribution.insert("test".to_owned(), "true".to_owned());
    }
    fit(&mut envelope);
    envelope
}

/// Cuts what is too large of a lead for the ledger, the longest values first, and says so.
pub fn fit(envelope: &mut Envelope) {
    cut_raw(envelope);
    let mut longest = MAX_VALUE;
    while !fits(envelope) && longest > 0 {
        longest /= 2;
        for (_, value) in &mut envelope.fields {
            value.truncate(value.floor_char_boundary(longest));
        }
        flag(envelope, BodyFlag::ValueCut.name());
    }
    // Names by the hundred can be too much as well.
    while !fits(envelope) {
        let (fields, files) = (envelope.fields.len(), envelope.files.len());
        match (fields, files) {
            (1.., _) => envelope.fields.truncate(fields / 2),
            (_, 1..) => envelope.files.truncate(files / 2),
            _ if envelope.attribution.pop_last().is_some() => {}
            _ => return,
        }
        flag(envelope, BodyFlag::TooManyFields.name());
    }
}

fn flag(envelope: &mut Envelope, flag: &str) {
    if !envelope.unreadable.iter().any(|one| one == flag) {
        envelope.unreadable.push(flag.to_owned());
    }
}

fn notes(files: impl IntoIterator<Item = body::FileNote>) -> Vec<FileNote> {
    let note = |file: body::FileNote| FileNote { field: file.field, name: file.file_name, size: file.size };
    files.into_iter().map(note).collect()
}

/// Parameters of the form's own address and of the page it was on, and who sent it.
fn of_request(request: &HttpRequest) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let page = request.header("referer").unwrap_or_default();
    let page_query =
        page.split_once('?').map(|(_, query)| whole_pairs(query.split('#').next().unwrap_or_default()));
    for query in [Some(request.query.as_str()), page_query].into_iter().flatten() {
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if ATTRIBUTION.contains(&name.as_ref()) && !value.is_empty() {
                all.entry(name.into_owned()).or_insert_with(|| cut(&value).to_owned());
            }
        }
    }
    let header = |name: &str| request.header(name).map(cut);
    let who = [
        ("referrer", Some(cut(page))),
        ("user_agent", header("user-agent")),
        ("accept_language", header("accept-language")),
    ];
    for (name, value) in who {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            all.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(ip) = &request.source_ip {
        all.insert("ip".to_owned(), ip.clone());
    }
    all
}

/// The pairs of a query that are read: of a longer one those that are whole within the limit, since half an id leads nowhere.
fn whole_pairs(query: &str) -> &str {
    let read = cut_to(query, MAX_REFERER);
    if read.len() == query.len() { read } else { read.rsplit_once('&').map_or("", |(pairs, _)| pairs) }
}

fn cut(text: &str) -> &str {
    cut_to(text, MAX_HEADER)
}

fn cut_to(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether it can be stored.
fn fits(envelope: &Envelope) -> bool {
    size(envelope) <= MAX_STORED
}

fn size(envelope: &Envelope) -> usize {
    serde_json::to_vec(envelope).map_or(usize::MAX, |bytes| bytes.len())
}

/// The raw body is the first to go, from its end on.
fn cut_raw(envelope: &mut Envelope) {
    if fits(envelope) {
        return;
    }
    let Some(mut raw) = envelope.raw.take() else { return };
    let room = MAX_STORED.saturating_sub(size(envelope) + RAW_NOTE);
    if room < LEAST_RAW {
        return envelope.unreadable.push("raw body left out: too large".to_owned());
    }
    // Base 64 can be read as far as there are four characters at a time.
    raw.truncate(room / 4 * 4);
    envelope.raw = Some(raw);
    envelope.unreadable.push("raw body cut: too large".to_owned());
}

/// Bytes for the name of the raw body and what is said of it.
const RAW_NOTE: usize = 128;
/// Bytes of base 64 that are worth keeping.
const LEAST_RAW: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_domain::policy::Consent;

    fn submission(fields: &[(&str, &str)]) -> Submission {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Submission { fields, ..Submission::default() }
    }

    #[test]
    fn a_box_is_ticked_if_any_of_its_values_is_no_word_for_no() {
        let consent: Consent = serde_json::from_value(serde_json::json!({
            "field": "news", "topic": "newsletter", "wording": "Write to me.", "version": "1",
        }))
        .unwrap();
        let form = Form { consent: Some(consent), ..Form::default() };
        let given = |values: &[&str]| {
            let fields: Vec<(&str, &str)> = values.iter().map(|value| ("news", *value)).collect();
            let envelope = from_form(&form, &HttpRequest::default(), submission(&fields)).unwrap();
            envelope.consent.unwrap().given
        };
        for ticked in [&["1"][..], &["0", "1"], &["on"], &["yes", ""], &["Ja"], &["newsletter-2026"], &["да"]]
        {
            assert!(given(ticked), "{ticked:?}");
        }
        for not in [
            &[][..],
            &[""],
            &["0"],
            &["0", "0"],
            &[" Nein "],
            &["n"],
            &["NON"],
            &["Нет"],
            &["否"],
            &["não"],
            &["off"],
            &["decline"],
            &["Opted out"],
            &["unsubscribed"],
            &["No, thanks"],
            &["n/a"],
            &["—"],
        ] {
            assert!(!given(not), "{not:?}");
        }
    }

    #[test]
    fn the_box_and_what_people_cannot_see_are_found_by_names_with_brackets() {
        let form = |field: &str, honeypot: &str| -> Form {
            serde_json::from_value(serde_json::json!({"honeypot": honeypot, "consent": {
                "field": field, "topic": "newsletter", "wording": "Write to me.", "version": "1",
            }}))
            .unwrap()
        };
        let posted = |body: &str| {
            let headers =
                [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())].into();
            let request = HttpRequest { headers, body: body.to_owned().into(), ..HttpRequest::default() };
            body::parse_now(&request).unwrap()
        };
        let given = |form: &Form, body: &str| {
            from_form(form, &HttpRequest::default(), posted(body)).unwrap().consent.unwrap().given
        };
        let nested = form("contact[newsletter]", "contact[url2]");
        assert!(given(&nested, "contact[newsletter]=1"));
        assert!(given(&form("newsletter[]", "hp"), "newsletter[]=on"));
        assert!(given(&form("newsletter", "hp"), "Newsletter=on"));
        assert!(!given(&form("e-mail", "hp"), "email=ada%40person.example"), "the address is no box");
        assert!(!given(&form("1.3", "hp"), "13=Lovelace"));
        assert!(!given(&form("news_1", "hp"), "news_1=0&news-1=on"), "as written first");

        assert!(
            is_spam(&nested, &posted("contact[url2]=http")) && !is_spam(&nested, &posted("contact[url2]="))
        );
        assert!(!is_spam(&form("news", "e-mail"), &posted("email=ada%40person.example")));
        let kept = from_form(&nested, &HttpRequest::default(), posted("a=b&contact[url2]=")).unwrap();
        assert_eq!(kept.fields, [("a".to_owned(), "b".to_owned())]);
        let robot = from_robot(&nested, &HttpRequest::default(), &posted("a=b&contact[url2]=http"));
        assert_eq!(robot.fields[0].0, "contact.url2", "what gave it away comes first");
    }

    #[test]
    fn a_click_is_known_by_its_whole_id_however_long_the_address_of_the_page_is() {
        let of = |page: String| {
            let headers = vec![("referer".to_owned(), page)];
            let request = HttpRequest { headers, ..HttpRequest::default() };
            from_form(&Form::default(), &request, submission(&[("a", "b")])).unwrap().attribution
        };
        let id = "x".repeat(100);
        let page =
            |before: usize| format!("https://shop.example/?filter={}&gclid={id}#top", "f".repeat(before));
        let long = of(page(450));
        assert_eq!(long["gclid"], id);
        assert_eq!(long["referrer"].len(), MAX_HEADER, "what is kept of the address is as short as ever");
        for endless in [MAX_REFERER - 50, 2 * MAX_REFERER] {
            assert_eq!(of(page(endless)).get("gclid"), None, "half an id is none");
        }
        assert_eq!(of(format!("{}&end={}", page(1).trim_end_matches("#top"), "f".repeat(9000)))["gclid"], id);
    }

    #[test]
    fn what_a_source_sends_too_much_of_is_cut_and_flagged() {
        let lead = |fields: Vec<(String, String)>, raw: Option<Vec<u8>>| {
            from_source(&SourceLead { fields, raw: raw.map(Into::into), ..SourceLead::default() })
        };
        let long = |at: usize| (format!("f{at}"), "é".repeat(MAX_VALUE / 2));
        let mut fields: Vec<(String, String)> = (0..10).map(long).collect();
        fields.push(("email".to_owned(), "ada@person.example".to_owned()));
        let cut = lead(fields, None);
        assert_eq!(
            (cut.fields.len(), cut.unreadable.as_slice()),
            (11, ["body_value_cut".to_owned()].as_slice())
        );
        assert!(cut.fields.iter().take(10).all(|(_, value)| value.len() == MAX_VALUE / 2));
        assert_eq!(cut.fields[10].1, "ada@person.example", "short ones are whole");
        assert!(size(&cut) <= MAX_STORED);

        let names = (0..500).map(|at| (format!("{at}{}", "漢".repeat(197)), "\u{1}".repeat(100))).collect();
        let names = lead(names, None);
        assert!(size(&names) <= MAX_STORED && names.unreadable.contains(&"body_too_many_fields".to_owned()));

        let raw = lead(vec![("a".to_owned(), "b".to_owned())], Some(vec![b'x'; 1_000_000]));
        assert_eq!(raw.unreadable, ["raw body cut: too large"]);
        assert!(
            STANDARD.decode(raw.raw.as_ref().unwrap()).unwrap().len() > 190_000 && size(&raw) <= MAX_STORED
        );
        let whole = lead(vec![("a".to_owned(), "b".to_owned())], Some(vec![b'x'; 100_000]));
        assert!(whole.unreadable.is_empty() && whole.raw.is_some());
    }
}
