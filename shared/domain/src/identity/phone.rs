//! Phone numbers in E.164.

use super::Country;
use crate::pii::Pii;
use rlibphonenumber::{PhoneNumber, PhoneNumberFormat, Region};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A phone number that the numbering plan of its country knows. An extension is not part of it: keep the text as
/// typed beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone {
    e164: Pii<String>,
    country: Option<Country>,
}

/// Why a text is no phone number. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Nothing but blanks.
    #[error("the phone number is empty")]
    Empty,
    /// More than 250 characters.
    #[error("the phone number is too long")]
    TooLong,
    /// A national number, and no country to read it in.
    #[error("the phone number needs its country code, such as +49")]
    CountryUnknown,
    /// Holds no phone number at all.
    #[error("this is not a phone number")]
    Syntax,
    /// Readable, but no number of that country: too short, too long or in a range nobody was given.
    #[error("no such phone number exists in its country")]
    Invalid,
}

impl Phone {
    /// Reads a number as people type it (`(201) 555-0123`, `0049 …`, `tel:+1-…`, `1-800-FLOWERS`, full-width and
    /// Arabic-Indic digits). One without a country code is read as dialled in `default_country`. Of several in one text
    /// (`030 901820 / 0171 1234567`) the first counts.
    pub fn parse(text: &str, default_country: Option<Country>) -> Result<Self, PhoneError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PhoneError::Empty);
        }
        if text.chars().take(MAX_CHARS + 1).count() > MAX_CHARS {
            return Err(PhoneError::TooLong);
        }
        if let Some(first) = first_of_two(text, default_country) {
            return Ok(first);
        }
        one(text, default_country).or_else(|error| {
            let several = pieces(text).find_map(|piece| one(piece, default_country).ok());
            several.ok_or(error)
        })
    }

    /// The number as `+` and at most 15 digits: what one dials, and the key under which it is found again.
    pub fn e164(&self) -> &str {
        self.e164.reveal()
    }

    /// The country of the numbering plan; `None` for numbers of no country (`+800`).
    pub fn country(&self) -> Option<Country> {
        self.country
    }
}

impl Serialize for Phone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.e164())
    }
}

impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?, None).map_err(de::Error::custom)
    }
}

/// Reads one number.
fn one(text: &str, default_country: Option<Country>) -> Result<Phone, PhoneError> {
    let region = default_country.and_then(|country| Region::from_code(country.code()).ok());
    // Most of the world dials 00 before a country code, and where they do not nothing begins so.
    let abroad = || ascii_digits(text).strip_prefix("00").map(|rest| format!("+{rest}"));
    match (region, abroad()) {
        (None, Some(abroad)) => dialled(&abroad, None),
        (Some(_), Some(abroad)) => match dialled(text, region) {
            Err(PhoneError::Invalid) => dialled(&abroad, region).map_err(|_| PhoneError::Invalid),
            read => read,
        },
        (_, None) => dialled(text, region),
    }
}

fn dialled(text: &str, region: Option<Region>) -> Result<Phone, PhoneError> {
    let number = PhoneNumber::parse(text, region).map_err(|error| {
        use rlibphonenumber::ParseError;
        match error {
            ParseError::InvalidCountryCode if region.is_none() => PhoneError::CountryUnknown,
            ParseError::NotANumber(_) => PhoneError::Syntax,
            _ => PhoneError::Invalid,
        }
    })?;
    if !number.is_valid() {
        return Err(PhoneError::Invalid);
    }
    let country = number.get_region_code().and_then(|region| Country::parse(&region.to_string()));
    Ok(Phone { e164: Pii::new(number.format_as(PhoneNumberFormat::E164).into_owned()), country })
}

/// The first of two numbers that the parser would take for one: where numbers may be long, both together are one that exists.
/// What follows a number in a few digits is its extension.
fn first_of_two(text: &str, default_country: Option<Country>) -> Option<Phone> {
    let mut each = alternatives(text);
    let (first, second) = (each.next()?, each.next()?);
    let are_two = digits(first) >= FEWEST_DIGITS && digits(second) > LONGEST_EXTENSION;
    if are_two { one(first, default_country).ok() } else { None }
}

/// What stands on either side of a stroke or an "or", which are no more than blanks to the parser.
fn alternatives(text: &str) -> impl Iterator<Item = &str> {
    let separated = text.split(['/', '／']);
    separated.flat_map(|piece| piece.split(" or ")).flat_map(|piece| piece.split(" oder "))
}

/// What may be a number each where somebody wrote several, with digits enough for one.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let pieces = alternatives(text).flat_map(|piece| piece.split([',', ';', '|', '、', '，', '；', '\n']));
    pieces.filter(move |piece| piece.len() < text.len() && digits(piece) >= FEWEST_DIGITS)
}

fn digits(text: &str) -> usize {
    ascii_digits(text).bytes().filter(u8::is_ascii_digit).count()
}

/// The text with its decimal digits as those of ASCII: full-width, Arabic-Indic and other digits are typed where those are
/// what is on the keyboard.
pub fn ascii_digits(text: &str) -> String {
    let ascii = |c: char| {
        let zero = ZEROS.into_iter().find(|zero| (*zero..=*zero + 9).contains(&u32::from(c)))?;
        char::from_digit(u32::from(c) - zero, 10)
    };
    text.chars().map(|c| ascii(c).unwrap_or(c)).collect()
}

/// Where the ten digits of a script begin: Arabic-Indic (two), Devanagari, Bengali, Gurmukhi, Gujarati, Tamil, Telugu, Kannada,
/// Malayalam, Thai, Lao, Myanmar, Khmer, full-width.
const ZEROS: [u32; 15] = [
    0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0x1040, 0x17e0,
    0xff10,
];

/// A piece with fewer is an extension, a house or a year.
const FEWEST_DIGITS: usize = 7;

/// What is dialled behind a number has no more digits: of a second number there are more.
const LONGEST_EXTENSION: usize = 4;

/// The parser's cost grows with the square of its input; its own limit on what it will look at is the same.
const MAX_CHARS: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, country: &str) -> Result<String, PhoneError> {
        Phone::parse(text, Country::parse(country)).map(|phone| phone.e164().to_owned())
    }

    #[test]
    fn numbers_are_read_as_people_type_them() {
        for (country, text, e164) in [
            ("US", "(650) 253-0000", "+16502530000"),
            ("US", "+44 20 7031 3000", "+442070313000"),
            ("GB", "+44 (0)20 7031 3000", "+442070313000"),
            ("DE", "0171 1234567", "+491711234567"),
            ("DE", "0044 20 7031 3000", "+442070313000"),
            ("", "0044 20 7031 3000", "+442070313000"),
            ("", "٠٠٤٩ ٣٠ ٩٠١٨٢٠", "+4930901820"),
            ("US", "0049 30 901820", "+4930901820"),
            ("US", "００４９ 30 901820", "+4930901820"),
            ("US", "650-253-0000 / 650-253-0001", "+16502530000"),
            ("US", "n/a, (650) 253-0000", "+16502530000"),
            ("", "030 901820; +49 30 901821", "+4930901821"),
            ("DE", "030/901820", "+4930901820"),
            ("DE", "030 901820 / 901821", "+4930901820"),
            ("DE", "030 901820／030 901821", "+4930901820"),
            ("DE", "030 901820 or 901821", "+4930901820"),
            ("DE", "030 901820/12", "+493090182012"),
            ("DE", "+49 (0)4131/123456", "+494131123456"),
            ("DE", "0049 33203/12345", "+493320312345"),
            ("AT", "01 512345/512346", "+431512345"),
            ("DE", "0171 1234567 oder 030 901820", "+491711234567"),
            ("US", "12 or +44 20 7031 3000", "+442070313000"),
            ("IT", "02 3661 8300", "+390236618300"),
            ("AR", "011 15-2345-6789", "+5491123456789"),
            ("US", "６５０２５３００００", "+16502530000"),
            ("US", "٦٥٠٢٥٣٠٠٠٠", "+16502530000"),
            ("US", "tel:+1-650-253-0000", "+16502530000"),
            ("US", "650-253-0000 ext. 12", "+16502530000"),
            ("CN", "138 0013 8000", "+8613800138000"),
        ] {
            assert_eq!(read(text, country).as_deref(), Ok(e164), "{country} {text}");
        }
        assert_eq!(Phone::parse("+442070313000", None).unwrap().country(), Country::parse("GB"));
        assert_eq!(Phone::parse("+80012345678", None).unwrap().country(), None);
    }

    #[test]
    fn what_nobody_can_dial_is_refused_with_a_reason() {
        for (country, text, reason) in [
            ("US", " ", PhoneError::Empty),
            ("US", "call me", PhoneError::Syntax),
            ("US", "0000000000", PhoneError::Invalid),
            ("US", "12", PhoneError::Invalid),
            ("US", "0012", PhoneError::Invalid),
            ("US", "12/2024", PhoneError::Invalid),
            ("", "650 253 0000", PhoneError::CountryUnknown),
            ("", "+999 123456", PhoneError::CountryUnknown),
        ] {
            assert_eq!(read(text, country), Err(reason), "{country} {text}");
        }
        assert_eq!(read(&"6".repeat(251), "US"), Err(PhoneError::TooLong));
    }

    #[test]
    fn a_number_is_stored_as_text_and_never_printed() {
        let phone = Phone::parse("650 253 0000", Country::parse("US")).unwrap();
        let stored = serde_json::to_string(&phone).unwrap();
        assert_eq!(stored, "\"+16502530000\"");
        assert_eq!(serde_json::from_str::<Phone>(&stored).unwrap(), phone);
        assert!(!format!("{phone:?}").contains("253"), "{phone:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_reading_again_changes_nothing(
            text in prop_oneof![any::<String>(), "[+0-9() .x-]{0,24}", "0?0?[+0-9/,; -]{0,40}"],
            country in prop_oneof![Just("US"), Just("DE"), Just("IT"), Just("AR"), Just("CI"), Just("")],
        ) {
            if let Ok(phone) = Phone::parse(&text, Country::parse(country)) {
                prop_assert_eq!(Phone::parse(phone.e164(), None), Ok(phone));
            }
        }
    }
}
