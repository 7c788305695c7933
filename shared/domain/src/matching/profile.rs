//! A description of a person, normalised once for comparing. Never for showing or sending.

use crate::pii::Pii;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// First name.
    Given,
    /// Last name.
    Family,
    /// Whether first and last name stand in the same order.
    NameOrder,
    /// Date of birth.
    BirthDate,
    /// E-mail address.
    Email,
    /// Phone number.
    Phone,
    /// Street, without the number.
    Street,
    /// House number.
    HouseNumber,
    /// Second line of the address.
    AddressLine2,
    /// City or suburb.
    City,
    /// State or province.
    Region,
    /// Postal code.
    PostalCode,
    /// Company.
    Company,
}

/// How many fields there are.
pub(super) const FIELDS: usize = 13;

impl Field {
    /// Every field, in the order of their numbers.
    pub const ALL: [Self; FIELDS] = [
        Self::Given,
        Self::Family,
        Self::NameOrder,
        Self::BirthDate,
        Self::Email,
        Self::Phone,
        Self::Street,
        Self::HouseNumber,
        Self::AddressLine2,
        Self::City,
        Self::Region,
        Self::PostalCode,
        Self::Company,
    ];

    /// In words, for reasons.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Given => "first name",
            Self::Family => "last name",
            Self::NameOrder => "order of the names",
            Self::BirthDate => "date of birth",
            Self::Email => "e-mail",
            Self::Phone => "phone",
            Self::Street => "street",
            Self::HouseNumber => "house number",
            Self::AddressLine2 => "second address line",
            Self::City => "city",
            Self::Region => "region",
            Self::PostalCode => "postal code",
            Self::Company => "company",
        }
    }

    pub(super) const fn at(self) -> usize {
        self as usize
    }
}

/// A person as described by one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    values: [Option<Pii<String>>; FIELDS],
}

impl Profile {
    /// The description with a field added. Blank text is no value, and a value given before stays if this one is blank.
    pub fn with(mut self, field: Field, text: &str) -> Self {
        self.set(field, text);
        self
    }

    /// A description from fields by the names that leads and customers have for them.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let mut profile = Self::default();
        for (field, name) in [
            (Field::Given, "first_name"),
            (Field::Family, "last_name"),
            (Field::BirthDate, "birth_date"),
            (Field::Email, "email"),
            (Field::Phone, "phone"),
            (Field::City, "city"),
            (Field::Region, "region"),
            (Field::PostalCode, "postal_code"),
            (Field::Company, "company"),
        ] {
            profile.set(field, get(name).unwrap_or_default());
        }
        if let Some(street) = get("street") {
            let is_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
            let (number, street): (Vec<&str>, Vec<&str>) =
                street.split([' ', ',']).filter(|word| !word.is_empty()).partition(is_number);
            profile.set(Field::Street, &street.join(" "));
            profile.set(Field::HouseNumber, &number.join(" "));
        }
        if profile.get(Field::Given).is_none()
            && profile.get(Field::Family).is_none()
            && let Some(name) = get("full_name")
        {
            let (given, family) = split_name(name);
            profile.set(Field::Given, &given);
            profile.set(Field::Family, &family);
        }
        profile
    }

    /// The normalised value.
    pub fn get(&self, field: Field) -> Option<&str> {
        self.values[field.at()].as_ref().map(|value| value.reveal().as_str())
    }

    fn set(&mut self, field: Field, text: &str) {
        let value = match field {
            Field::BirthDate => birth_date(text).unwrap_or_default(),
            Field::Phone => text.chars().filter(char::is_ascii_digit).collect(),
            Field::Email => text.trim().to_lowercase(),
            Field::Street => street(text),
            Field::Company => company(text),
            _ => plain(text),
        };
        if !value.is_empty() && value.len() <= MAX_BYTES {
            self.values[field.at()] = Some(Pii::new(value));
        }
    }
}

/// A longer value describes nobody, and comparing costs the product of the lengths.
const MAX_BYTES: usize = 120;

/// Lower case, without accents, blanks and punctuation.
fn plain(text: &str) -> String {
    text.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
        .collect::<String>()
        .replace('ß', "ss")
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| c.is_whitespace() || ",.;/()&-".contains(c))
        .map(plain)
        .filter(|word| !word.is_empty())
}

/// A street with the usual short forms written out.
fn street(text: &str) -> String {
    words(text)
        .map(|word| match word.as_str() {
            "st" | "str" => "street".to_owned(),
            "rd" => "road".to_owned(),
            "ave" | "av" => "avenue".to_owned(),
            "dr" => "drive".to_owned(),
            "pl" => "place".to_owned(),
            "ln" => "lane".to_owned(),
            "ct" => "court".to_owned(),
            "cres" => "crescent".to_owned(),
            _ => match word.strip_suffix("str") {
                Some(stem) if stem.len() > 3 => format!("{stem}strasse"),
                _ => word,
            },
        })
        .collect()
}

/// A company without its legal form.
fn company(text: &str) -> String {
    const FORMS: [&str; 24] = [
        "gmbh",
        "ag",
        "kg",
        "mbh",
        "ug",
        "ohg",
        "ev",
        "inc",
        "incorporated",
        "llc",
        "ltd",
        "limited",
        "corp",
        "corporation",
        "co",
        "company",
        "plc",
        "sa",
        "sas",
        "sarl",
        "srl",
        "bv",
        "oy",
        "ab",
    ];
    let all: Vec<String> = words(text).collect();
    let bare: String = all.iter().filter(|word| !FORMS.contains(&word.as_str())).cloned().collect();
    let bare = if bare.is_empty() { all.concat() } else { bare };
    ["股份有限公司", "有限责任公司", "有限公司", "公司"]
        .iter()
        .find_map(|form| bare.strip_suffix(form).filter(|stem| !stem.is_empty()))
        .unwrap_or(&bare)
        .to_owned()
}

/// First and last name. Of Chinese, Japanese and Korean names the first character is the family's.
fn split_name(name: &str) -> (String, String) {
    let name = name.trim();
    let is_cjk = |c: char| ('\u{3400}'..='\u{9fff}').contains(&c) || ('\u{ac00}'..='\u{d7a3}').contains(&c);
    if name.chars().count() <= 4 && name.chars().all(is_cjk) {
        let mut rest = name.chars();
        let family = rest.next().map(String::from).unwrap_or_default();
        return (rest.collect(), family);
    }
    if let Some((family, given)) = name.split_once(',') {
        return (given.trim().to_owned(), family.trim().to_owned());
    }
    match name.split_once(char::is_whitespace) {
        Some((given, family)) => (given.to_owned(), family.trim().to_owned()),
        None => (name.to_owned(), String::new()),
    }
}

/// `YYYYMMDD`, from what people and programs write. Where day and month could be either, a dot says day first.
fn birth_date(text: &str) -> Option<String> {
    let text = text.trim().split(['T', ' ']).next()?;
    let parts: Vec<&str> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let (year, month, day) = match parts.as_slice() {
        [all] if all.len() == 8 => (all.get(..4)?, all.get(4..6)?, all.get(6..)?),
        [year, month, day] if year.len() == 4 => (*year, *month, *day),
        [one, two, year] if year.len() == 4 => {
            let is_day_first = text.contains('.') || one.parse::<u8>().is_ok_and(|n| n > 12);
            if is_day_first { (*year, *two, *one) } else { (*year, *one, *two) }
        }
        _ => return None,
    };
    let good = month.len() <= 2 && day.len() <= 2;
    good.then(|| format!("{year}{month:0>2}{day:0>2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(field: Field, text: &str) -> String {
        Profile::default().with(field, text).get(field).unwrap_or_default().to_owned()
    }

    #[test]
    fn values_are_compared_without_what_does_not_count() {
        for (field, text, expected) in [
            (Field::Family, "O'Neill-Müller ", "oneillmuller"),
            (Field::Street, "Haupt Str.", "hauptstreet"),
            (Field::Street, "Hauptstr.", "hauptstrasse"),
            (Field::Company, "Müller & Söhne GmbH & Co. KG", "mullersohne"),
            (Field::Company, "北京云帆科技有限公司", "北京云帆科技"),
            (Field::Phone, "+49 (171) 123", "49171123"),
            (Field::BirthDate, "1990-04-03", "19900403"),
            (Field::BirthDate, "19900403", "19900403"),
            (Field::BirthDate, "3.4.1990", "19900403"),
            (Field::BirthDate, "04/03/1990", "19900403"),
            (Field::BirthDate, "30/04/1990", "19900430"),
            (Field::BirthDate, "next week", ""),
        ] {
            assert_eq!(value(field, text), expected, "{text}");
        }
        assert_eq!(value(Field::City, &"x".repeat(200)), "");
    }

    #[test]
    fn a_lead_is_described_by_its_standard_fields() {
        for (name, given, family) in [
            ("Mia von Berg", "mia", "vonberg"),
            ("Berg, Mia", "mia", "berg"),
            ("王小明", "小明", "王"),
            ("Mia", "mia", ""),
        ] {
            let profile = Profile::read(|field| match field {
                "full_name" => Some(name),
                "street" => Some("Lange Gasse 12 a"),
                _ => None,
            });
            assert_eq!(profile.get(Field::Given).unwrap_or_default(), given);
            assert_eq!(profile.get(Field::Family).unwrap_or_default(), family);
            assert_eq!(profile.get(Field::HouseNumber), Some("12"));
            assert!(!format!("{profile:?}").contains("mia"));
        }
    }
}
