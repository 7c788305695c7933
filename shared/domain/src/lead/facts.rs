//! What a submission says, read once: standard fields found under the names the form uses, parsed, flagged.

use super::names::{self, Usual, plain};
use super::{Envelope, Origin, ids};
use crate::customer::{Identity, IdentityKind};
use crate::identity::{CompanyDomain, Country, Email, Language, Phone};
use crate::live::Qualification;
use crate::pii::Pii;
use crate::policy::{FieldMap, Reading, Settings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Something about a lead that a person should look at. It never stops the lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// An e-mail address was given and cannot be one.
    EmailInvalid,
    /// A phone number was given and cannot be one.
    PhoneInvalid,
    /// A country was given and is none that we know: the form's is taken for it.
    CountryUnknown,
    /// The e-mail address is on the junk list: it identifies nobody.
    EmailJunk,
    /// The phone number is on the junk list.
    PhoneJunk,
    /// No identity of any kind: nobody to recognise.
    NoIdentity,
    /// No field at all.
    Empty,
    /// Part of the body could not be read; the raw bytes are kept.
    Unreadable,
    /// The sender says that it is its own test, not a person.
    Test,
}

impl Flag {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmailInvalid => "email_invalid",
            Self::PhoneInvalid => "phone_invalid",
            Self::CountryUnknown => "country_unknown",
            Self::EmailJunk => "email_junk",
            Self::PhoneJunk => "phone_junk",
            Self::NoIdentity => "no_identity",
            Self::Empty => "empty",
            Self::Unreadable => "unreadable",
            Self::Test => "test",
        }
    }
}

/// A submission, read.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The e-mail address, if usable.
    pub email: Option<Email>,
    /// The phone number, if usable.
    pub phone: Option<Phone>,
    /// The country the person named, else that of the phone number, else the form's.
    pub country: Option<Country>,
    /// The language the person named, else the one the browser asked for.
    pub language: Option<Language>,
    /// The company's domain, by the e-mail address, else by the website.
    pub company_domain: Option<CompanyDomain>,
    /// Standard fields by their standard name: `first_name`, `company`, …
    pub standard: BTreeMap<&'static str, Pii<String>>,
    /// Identities, best first. Junk is left out.
    pub identities: Vec<Identity>,
    /// What a person should look at.
    pub flags: Vec<Flag>,
    /// What conditions see as `lead`.
    pub view: Value,
}

/// The standard names. What fields with these meanings are usually called is in [`names`].
const STANDARD: [&str; 20] = [
    "email",
    "phone",
    "first_name",
    "last_name",
    "full_name",
    "company",
    "country",
    "postal_code",
    "language",
    "website",
    "street",
    "city",
    "region",
    "birth_date",
    "time_zone",
    "external_id",
    "wechat_unionid",
    "wechat_openid",
    "wechat_id",
    "ad_user_id",
];

/// Reads a submission with the form's or source's field map and the settings' junk list.
pub fn read(origin: &Origin, envelope: &Envelope, reading: &Reading, settings: &Settings) -> Facts {
    let mut standard = BTreeMap::new();
    let said = Said::of(envelope);
    for name in STANDARD {
        if let Some(value) = said.find(name, &reading.fields) {
            standard.insert(name, Pii::new(value.to_owned()));
        }
    }
    let mut flags = Vec::new();
    // Of several the first that can be one: a placeholder in one field does not hide the answer in another.
    let every = |name: &str| said.every(name, &reading.fields);
    let email = every("email").into_iter().find_map(|value| Some((value, Email::parse(value).ok()?)));
    let email = email.map(|(value, email)| {
        standard.insert("email", Pii::new(value.to_owned()));
        email
    });
    if email.is_none() && standard.contains_key("email") {
        flags.push(Flag::EmailInvalid);
    }
    let default_country = reading.default_country;
    let named = standard.get("country").and_then(|value: &Pii<String>| Country::parse(value.reveal()));
    if named.is_none() && standard.contains_key("country") {
        flags.push(Flag::CountryUnknown);
    }
    let parse = |value| Phone::parse(value, named.or(default_country)).ok();
    let phone = every("phone").into_iter().find_map(|value| Some((value, parse(value)?)));
    let phone = phone.map(|(value, phone)| {
        standard.insert("phone", Pii::new(value.to_owned()));
        phone
    });
    if phone.is_none() && standard.contains_key("phone") {
        flags.push(Flag::PhoneInvalid);
    }
    let text = |name: &str| standard.get(name).map(|value: &Pii<String>| value.reveal().as_str());

    // A number with its own country code says more than the form does.
    let country = named.or(phone.as_ref().and_then(Phone::country)).or(default_country);
    let asked_for = envelope.attribution.get("accept_language").map(String::as_str);
    let language = [text("language"), asked_for].into_iter().flatten().find_map(Language::parse);
    let company_domain = email
        .as_ref()
        .and_then(CompanyDomain::of_email)
        .or_else(|| text("website").and_then(CompanyDomain::of_website));

    let mut identities = ids::given(origin, &said, reading, &standard);
    if let Some(email) = &email {
        if settings.junk.is_junk_email(email) {
            flags.push(Flag::EmailJunk);
        } else {
            identities.push(Identity::new(IdentityKind::Email, email.match_key()));
        }
    }
    if let Some(phone) = &phone {
        if settings.junk.is_junk_phone(phone) {
            flags.push(Flag::PhoneJunk);
        } else {
            identities.push(Identity::new(IdentityKind::Phone, phone.e164().to_owned()));
        }
    }
    if let Some(number) = text("wechat_id").and_then(ids::wechat_number) {
        identities.push(Identity::new(IdentityKind::WechatId, number));
    }
    if said.0.is_empty() && envelope.files.is_empty() && envelope.raw.is_none() {
        flags.push(Flag::Empty);
    } else if identities.is_empty() {
        flags.push(Flag::NoIdentity);
    }
    if !envelope.unreadable.is_empty() {
        flags.push(Flag::Unreadable);
    }
    if envelope.attribution.get("test").is_some_and(|word| word == "true") {
        flags.push(Flag::Test);
    }

    let mut facts = Facts {
        email,
        phone,
        country,
        language,
        company_domain,
        standard,
        identities,
        flags,
        view: Value::Null,
    };
    facts.view = view(origin, envelope, &facts);
    facts
}

impl Facts {
    /// Whether there is nobody behind it to be recognised: it has no field, or is the sender's own test.
    pub fn is_nobody(&self) -> bool {
        self.flags.contains(&Flag::Empty) || self.flags.contains(&Flag::Test)
    }

    /// How to address the person, or nothing.
    pub fn display_name(&self) -> Option<String> {
        let part = |name: &str| self.standard.get(name).map(|value| value.reveal().trim().to_owned());
        let joined =
            [part("first_name"), part("last_name")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        part("full_name")
            .filter(|name| !name.is_empty())
            .or_else(|| Some(joined).filter(|name| !name.is_empty()))
    }
}

/// Parameters that say where a lead came from, wherever they are found: fields, the page's address, the referrer's.
pub const ATTRIBUTION: [&str; 14] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "utm_id",
    "gclid",
    "gbraid",
    "wbraid",
    "fbclid",
    "msclkid",
    "ttclid",
    "li_fat_id",
    "twclid",
];

/// Where the lead came from: what capture noted, and what hidden fields of the form say.
pub fn attribution(envelope: &Envelope) -> BTreeMap<String, String> {
    let mut all = envelope.attribution.clone();
    for (name, value) in envelope
        .fields
        .iter()
        .filter(|(name, value)| ATTRIBUTION.contains(&name.as_str()) && !value.is_empty())
    {
        all.entry(name.clone()).or_insert_with(|| value.clone());
    }
    all
}

/// The standard field that a submitted name is read as. Of several names for one field the first with a value counts.
pub fn standard_field(submitted: &str, map: &FieldMap) -> Option<&'static str> {
    let usual = names::usual(submitted).map(|usual| usual.field);
    let submitted = plain(submitted);
    STANDARD.into_iter().find(|name| match map.get(*name) {
        Some(names) => names.iter().any(|name| plain(name) == submitted),
        None => usual == Some(*name),
    })
}

/// Whether a submitted name is nearly this one of a form's own, a box or a field that people cannot see: it is but for case,
/// blanks and punctuation, and stands for nothing else. To a form that calls such a field `e-mail`, `email` is the address; and
/// to one that calls it `1.3`, `13` is another.
pub fn is_nearly(submitted: &str, own: &str, map: &FieldMap) -> bool {
    names::is_same(submitted, own)
        && own.chars().any(char::is_alphabetic)
        && standard_field(submitted, map).is_none()
}

/// The fields of a submission that say anything. Made once a lead: it is looked through for every name that every field
/// may have.
pub(super) struct Said<'a>(Vec<Answer<'a>>);

/// One of them.
struct Answer<'a> {
    name: &'a str,
    value: &'a str,
    /// The name as names are compared.
    plain: String,
    /// What a field of that name usually is.
    usual: Option<Usual>,
    /// The same of its last part: of `contact.city`.
    part: Option<Part<'a>>,
}

struct Part<'a> {
    within: &'a str,
    usual: Usual,
}

impl<'a> Said<'a> {
    pub(super) fn of(envelope: &'a Envelope) -> Self {
        let trimmed = envelope.fields.iter().map(|(name, value)| (name, value.trim()));
        let said = trimmed.filter(|(_, value)| !value.is_empty());
        Self(said.map(|(name, value)| Answer::of(name, value)).collect())
    }

    /// The value of a standard field: under the names that the form maps to it, best first, else under its usual ones.
    pub(super) fn find(&self, name: &str, map: &FieldMap) -> Option<&'a str> {
        self.every(name, map).first().copied()
    }

    /// Every value that may be meant, best first.
    fn every(&self, name: &str, map: &FieldMap) -> Vec<&'a str> {
        let Some(mapped) = map.get(name) else { return self.usual(name) };
        let of_plain = |wanted: &str| {
            let wanted = plain(wanted);
            self.0.iter().filter(move |answer| answer.plain == wanted)
        };
        // As written first: to a form whose fields are called `1.3` and `13` these are two.
        let exact =
            mapped.iter().flat_map(|wanted| self.0.iter().filter(move |answer| answer.name == wanted));
        exact.chain(mapped.iter().flat_map(|wanted| of_plain(wanted))).map(|answer| answer.value).collect()
    }

    /// The values of fields that are usually this one; where there is none, of those whose last part says so.
    fn usual(&self, name: &str) -> Vec<&'a str> {
        let mut found: Vec<(usize, &'a str)> = self
            .0
            .iter()
            .filter_map(|answer| Some((answer.usual.filter(|usual| usual.field == name)?.rank, answer.value)))
            .collect();
        if found.is_empty() {
            let unnamed = self.0.iter().filter(|answer| answer.usual.is_none());
            let parts = unnamed.filter_map(|answer| Some((answer.part.as_ref()?, answer.value)));
            let meant =
                parts.filter(|(part, _)| part.usual.field == name && self.is_of_somebody(part.within));
            found = meant.map(|(part, value)| (part.usual.rank, value)).collect();
        }
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// Whether what is within this is about the person: an address or a number is in the same place, or further out.
    fn is_of_somebody(&self, within: &str) -> bool {
        let reaches = |part: &Part<'_>| {
            let rest = within.strip_prefix(part.within);
            matches!(part.usual.field, "email" | "phone")
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !names::is_somebody_else(within)
            && self.0.iter().filter_map(|answer| answer.part.as_ref()).any(reaches)
    }
}

impl<'a> Answer<'a> {
    fn of(name: &'a str, value: &'a str) -> Self {
        let part = names::last_part(name);
        let part = part.and_then(|(within, last)| Some(Part { within, usual: names::usual(last)? }));
        Self { name, value, plain: plain(name), usual: names::usual(name), part }
    }
}

/// What a submission says of 三定, by the names that the form's map gives `need`, `grade`, `amount` and `date`. Unlike standard fields
/// they have no usual names: a field called `date` may be any day. What cannot be taken in is left out.
pub fn settled(envelope: &Envelope, map: &FieldMap) -> Map<String, Value> {
    let mut settled = Map::new();
    let mapped = Qualification::PARTS.into_iter().filter(|part| map.contains_key(*part));
    for part in mapped {
        if let Some(value) = Said::of(envelope).find(part, map) {
            settled.insert(part.to_owned(), value.into());
        }
    }
    while let Some(part) = Qualification::unusable(&settled) {
        settled.remove(part);
    }
    settled
}

fn view(origin: &Origin, envelope: &Envelope, facts: &Facts) -> Value {
    let mut fields = Map::new();
    for (name, value) in &envelope.fields {
        // Space around a value is the keyboard's, and a number with it would be none.
        let value = Value::String(value.trim().to_owned());
        match fields.get_mut(name) {
            None => {
                fields.insert(name.clone(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    let mut lead = json!({
        "source": origin.name,
        "kind": origin.kind,
        "fields": fields,
        "attribution": attribution(envelope),
        "flags": facts.flags.iter().map(|flag| flag.name()).collect::<Vec<_>>(),
        "country": facts.country.map(|country| country.to_string()).unwrap_or_default(),
        "language": facts.language.map(|language| language.to_string()).unwrap_or_default(),
        "email_domain": facts.email.as_ref().map(|email| email.domain().to_owned()).unwrap_or_default(),
        "company_domain": facts.company_domain.as_ref().map(ToString::to_string).unwrap_or_default(),
    });
    if let Some(object) = lead.as_object_mut() {
        for (name, value) in
            facts.standard.iter().filter(|(name, _)| !matches!(**name, "country" | "language"))
        {
            object.insert((*name).to_owned(), Value::String(value.reveal().clone()));
        }
    }
    lead
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(fields: &[(&str, &str)]) -> Envelope {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Envelope { fields, ..Envelope::default() }
    }

    fn facts(envelope: &Envelope, fields: FieldMap) -> Facts {
        let origin = Origin { kind: "gravity_forms".to_owned(), name: "site".to_owned() };
        read(&origin, envelope, &Reading { fields, default_country: None }, &Settings::default())
    }

    #[test]
    fn a_field_named_exactly_as_the_map_says_is_meant_before_one_that_only_looks_like_it() {
        let envelope = envelope(&[("13", "thirteen@person.example"), ("1.3", "first@person.example")]);
        let map = |name: &str| FieldMap::from([("email".to_owned(), vec![name.to_owned()])]);
        let email = |name: &str| facts(&envelope, map(name)).email.unwrap().as_sent().to_owned();
        assert_eq!(email("1.3"), "first@person.example");
        assert_eq!(email("13"), "thirteen@person.example");
        assert_eq!(email("1 3"), "thirteen@person.example", "nearly is good enough where nothing is exact");
    }

    #[test]
    fn of_the_three_is_read_what_the_map_names_and_can_be_taken_in() {
        let envelope = envelope(&[
            ("project", " a new roof "),
            ("budget", "12500.50"),
            ("wanted by", "next spring"),
            ("grade", "A"),
        ]);
        let map: FieldMap = [("need", "project"), ("amount", "budget"), ("date", "wanted_by")]
            .map(|(part, name)| (part.to_owned(), vec![name.to_owned()]))
            .into();
        let read = Value::Object(settled(&envelope, &map));
        assert_eq!(read, json!({"need": "a new roof", "amount": "12500.50"}));
        assert!(settled(&envelope, &FieldMap::new()).is_empty(), "nothing is guessed");
    }

    #[test]
    fn the_first_address_and_number_that_can_be_one_are_taken() {
        let read = |fields: &[(&str, &str)]| facts(&envelope(fields), FieldMap::new());
        let ada = read(&[
            ("email", "xxxxx"),
            ("work_email", "ada@person.example"),
            ("phone", "n/a"),
            ("mobile", "+1 415 555 2671"),
        ]);
        assert_eq!(ada.email.unwrap().as_sent(), "ada@person.example");
        assert_eq!(ada.phone.unwrap().e164(), "+14155552671");
        assert_eq!((ada.flags, &ada.view["email"]), (vec![], &json!("ada@person.example")));
        let twice = read(&[("email", "bad"), ("email", "bo@person.example"), ("phone", "n/a")]);
        assert_eq!(twice.email.unwrap().as_sent(), "bo@person.example");
        assert_eq!(twice.flags, [Flag::PhoneInvalid]);
        assert!(read(&[("email", "bad"), ("mail", "worse")]).flags.contains(&Flag::EmailInvalid));
    }

    #[test]
    fn a_nested_name_counts_by_its_last_part_where_it_is_about_the_person() {
        let read = |fields: &[(&str, &str)]| facts(&envelope(fields), FieldMap::new());
        let rails = read(&[
            ("contact.name", "Ada"),
            ("contact.email", "ada@person.example"),
            ("contact.address.city", "London"),
            ("product.name", "Engine"),
        ]);
        assert_eq!(rails.email.unwrap().as_sent(), "ada@person.example");
        assert_eq!((&rails.view["full_name"], &rails.view["city"]), (&json!("Ada"), &json!("London")));
        let flat = read(&[("email", "bo@person.example"), ("friend.email", "ada@person.example")]);
        assert_eq!(flat.email.unwrap().as_sent(), "bo@person.example");
        let others = read(&[
            ("owner.email", "rep@shop.example"),
            ("lead.owner.phone", "+4930901820"),
            ("plan.name", "S"),
        ]);
        assert_eq!((others.email, others.phone, others.flags), (None, None, vec![Flag::NoIdentity]));
        assert!(others.view.get("full_name").is_none());
        let map = FieldMap::from([("email".to_owned(), vec!["mail".to_owned()])]);
        let mapped = facts(&envelope(&[("contact.email", "ada@person.example")]), map);
        assert_eq!(mapped.email, None, "the document says where it is");
    }

    #[test]
    fn a_form_in_any_language_has_its_standard_fields() {
        let read = |fields: &[(&str, &str)]| facts(&envelope(fields), FieldMap::new());
        let french = read(&[
            ("Prénom", "Zoë"),
            ("nom_de_famille", "Weil"),
            ("adresse_e-mail", "zoe@person.example"),
            ("numéro_de_téléphone", "+33 1 23 45 67 89"),
            ("Pays", "Pays-Bas"),
            ("code postal", "1011"),
        ]);
        assert_eq!(french.display_name().as_deref(), Some("Zoë Weil"));
        assert_eq!(french.email.unwrap().as_sent(), "zoe@person.example");
        assert_eq!((french.phone.unwrap().e164(), french.country), ("+33123456789", Country::parse("NL")));
        assert_eq!(french.view["postal_code"], "1011");
        let several = read(&[("Telefon", "n/a"), ("Handy", "+49 171 1234567")]);
        assert_eq!(several.phone.unwrap().e164(), "+491711234567");
    }

    #[test]
    fn a_country_that_is_none_is_flagged_and_conditions_see_values_without_the_space_around_them() {
        let read = |country: &str| {
            facts(&envelope(&[("country", country), ("employees", " 250 ")]), FieldMap::new())
        };
        assert!(read("Narnia").flags.contains(&Flag::CountryUnknown));
        for good in ["DE", "Germany", " "] {
            assert!(!read(good).flags.contains(&Flag::CountryUnknown), "{good}");
        }
        assert_eq!(read("DE").view["fields"]["employees"], "250");
    }

    #[test]
    fn a_test_of_the_senders_own_is_nobody() {
        let mut envelope = envelope(&[("email", "dummy@person.example")]);
        assert!(!facts(&envelope, FieldMap::new()).is_nobody());
        envelope.attribution.insert("test".to_owned(), "true".to_owned());
        let facts = facts(&envelope, FieldMap::new());
        assert!(facts.is_nobody() && facts.flags.contains(&Flag::Test));
    }
}
