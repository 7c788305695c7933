//! What senders call the fields that have a name of ours.

use sluice_domain::identity::{Email, Phone};
use sluice_domain::lead::names::{Usual, Whose, is_same, usual, whose};
use sluice_domain::policy::FieldMap;

/// Our name for a field that platforms call so; what an author called a question it keeps.
pub(super) fn ours(name: &str) -> Option<&'static str> {
    of_platforms(name).map(|usual| usual.field)
}

fn of_platforms(name: &str) -> Option<Usual> {
    let is_plain = |c: char| c.is_alphanumeric() || c.is_whitespace() || matches!(c, '_' | '-');
    usual(name).filter(|usual| usual.of_platforms && name.chars().all(is_plain))
}

/// Puts fields that get one name of ours in the order in which their own are believed, among the places that they have: of
/// `WORK_EMAIL` and `EMAIL` the second comes first. What the document uses is its business.
pub(super) fn best_first<T: Clone>(fields: &mut [(&str, T)], map: &FieldMap) {
    let told = |name: &str| of_platforms(name).filter(|usual| called(name, map) == usual.field);
    let told: Vec<Option<Usual>> = fields.iter().map(|(name, _)| told(name)).collect();
    let mut standard: Vec<&'static str> = told.iter().flatten().map(|usual| usual.field).collect();
    standard.sort_unstable();
    standard.dedup();
    for field in standard {
        let is_one = |at: &usize| told[*at].is_some_and(|usual| usual.field == field);
        let places: Vec<usize> = (0..told.len()).filter(is_one).collect();
        let mut best = places.clone();
        best.sort_by_key(|at| told[*at].map(|usual| usual.rank));
        let best: Vec<_> = best.into_iter().map(|at| fields[at].clone()).collect();
        for (place, one) in places.into_iter().zip(best) {
            fields[place] = one;
        }
    }
}

/// What to call a field: our name for it, unless the document uses the sender's.
pub(super) fn called(name: &str, map: &FieldMap) -> String {
    known(ours(name).unwrap_or(name), name, map)
}

/// The same where it is known to be `standard`. What the name says is somebody else's keeps it: a sender knows that an answer
/// is an address, and not whose.
pub(super) fn known(standard: &str, name: &str, map: &FieldMap) -> String {
    let is_elsewhere = map.get(standard).is_some_and(|named| !named.iter().any(|one| one == standard));
    let is_kept = is_elsewhere || is_used(name, map) || whose(name) == Whose::Anothers;
    if is_kept { name.trim() } else { standard.trim() }.to_owned()
}

/// Whether the document finds a field under this name of the sender's.
pub(super) fn is_used(name: &str, map: &FieldMap) -> bool {
    map.values().flatten().any(|used| is_same(used, name))
}

/// Fields that are called as their author pleased, in any language: the address is called so, and where no field says that it
/// is one, or a number, the first value that is one counts. Numbers are known by their `+`. A field that says what it is,
/// and is wrong or empty, is for a person to look at: what else looks alike may be somebody else's.
pub(super) fn by_look(fields: &mut [(String, String)], map: &FieldMap) {
    let is_address = |value: &str| Email::parse(value).is_ok();
    for (standard, is_one) in [("email", &is_address as &dyn Fn(&str) -> bool), ("phone", &is_number)] {
        if map.contains_key(standard) {
            continue;
        }
        let rank = |name: &str| usual(name).filter(|usual| usual.field == standard).map(|usual| usual.rank);
        let named =
            fields.iter().enumerate().filter_map(|(at, (name, value))| Some((rank(name)?, at, value)));
        let found = match named.clone().next() {
            // A number that is called one needs no other name: without `+` it is read by the person's country.
            Some(_) if standard == "phone" => None,
            Some(_) => {
                named.filter(|(.., value)| is_one(value)).min_by_key(|(rank, ..)| *rank).map(|(_, at, _)| at)
            }
            None => {
                let looks = |wanted: Whose| {
                    fields.iter().position(|(name, value)| is_one(value) && whose(name) == wanted)
                };
                looks(Whose::Theirs).or_else(|| looks(Whose::Maybe))
            }
        };
        rename(fields, found, standard, map);
    }
}

/// Whether it is a whole number of a telephone, with its country, maybe with an extension.
fn is_number(value: &str) -> bool {
    let value = value.trim().to_lowercase();
    let is_of_number = |c: char| {
        c.is_numeric() || c.is_whitespace() || "+-(). /".contains(c) || ('\u{2010}'..='\u{2015}').contains(&c)
    };
    let end = value.find(|c| !is_of_number(c)).unwrap_or(value.len());
    let (number, rest) = value.split_at(end);
    let extension =
        ["extension", "ext.", "ext", "x", "#"].into_iter().find_map(|word| rest.strip_prefix(word));
    let is_extension =
        |digits: &str| !digits.is_empty() && digits.len() < 7 && digits.chars().all(char::is_numeric);
    let is_whole = rest.is_empty() || extension.is_some_and(|digits| is_extension(digits.trim()));
    number.starts_with('+') && is_whole && Phone::parse(&value, None).is_ok()
}

/// Unless the document uses its name, which may be for something else.
fn rename(fields: &mut [(String, String)], at: Option<usize>, to: &str, map: &FieldMap) {
    if let Some((name, _)) = at.and_then(|at| fields.get_mut(at)).filter(|(name, _)| !is_used(name, map)) {
        to.clone_into(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_fields_get_our_name_and_questions_keep_theirs() {
        let called = |name: &str| called(name, &FieldMap::new());
        assert_eq!(called("phone_number"), "phone");
        assert_eq!(called("COMPANY_NAME"), "company");
        assert_eq!(called("First Name"), "first_name");
        assert_eq!(called(" e-mail "), "email");
        assert_eq!(called("Which Product?"), "Which Product?");
        assert_eq!(called("telefonnummer"), "telefonnummer", "read as one, and kept as it is called");
        assert_eq!(called("company.name"), "company.name");
    }

    #[test]
    fn a_name_that_the_document_uses_is_kept() {
        let map = |field: &str, name: &str| FieldMap::from([(field.to_owned(), vec![name.to_owned()])]);
        assert_eq!(called("phone_number", &map("phone", "phone_number")), "phone_number");
        assert_eq!(called("Phone Number", &map("phone", "phone_number")), "Phone Number", "nearly so");
        assert_eq!(
            called("user_email", &map("external_id", "user_email")),
            "user_email",
            "for something else"
        );
        assert_eq!(called("work_email", &map("email", "contact")), "work_email", "the address is elsewhere");
        assert_eq!(called("work_email", &map("email", "email")), "email");
        assert_eq!(called("work_email", &map("phone", "number")), "email");
    }

    #[test]
    fn of_fields_that_get_one_name_the_best_known_comes_first() {
        let ordered = |names: &[&'static str], map: &FieldMap| {
            let mut fields: Vec<(&str, usize)> = names.iter().copied().zip(0..).collect();
            best_first(&mut fields, map);
            fields.into_iter().map(|(name, at)| format!("{name} {at}")).collect::<Vec<_>>()
        };
        let none = FieldMap::new();
        assert_eq!(
            ordered(&["WORK_EMAIL", "CITY", "EMAIL", "WORK_PHONE", "Which?", "PHONE_NUMBER"], &none),
            ["EMAIL 2", "CITY 1", "WORK_EMAIL 0", "PHONE_NUMBER 5", "Which? 4", "WORK_PHONE 3"]
        );
        let several = ["work_email", "user_email", "email", "work_email", "email"];
        let best = ["email 2", "email 4", "work_email 0", "work_email 3", "user_email 1"];
        assert_eq!(ordered(&several, &none), best, "alike ones as they came");
        let used = FieldMap::from([("email".to_owned(), vec!["work_email".to_owned()])]);
        assert_eq!(ordered(&["work_email", "email"], &used), ["work_email 0", "email 1"]);
        assert_eq!(ordered(&["telefon", "tel"], &none), ["telefon 0", "tel 1"], "they keep their names");
    }

    #[test]
    fn addresses_and_numbers_are_known_by_their_look_where_no_name_says_so() {
        let looked = |fields: &[(&str, &str)], map: &FieldMap| {
            let mut fields: Vec<(String, String)> =
                fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            by_look(&mut fields, map);
            fields.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        let none = FieldMap::new();
        let fields = [("wer?", "Ada"), ("wo?", "ada@person.example"), ("wohin?", "+49 30 901820")];
        assert_eq!(looked(&fields, &none), ["wer?", "email", "phone"]);
        let named = [
            ("freundin", "bo@person.example"),
            ("E-Mail-Adresse", "ada@person.example"),
            ("Telefon", "901820"),
        ];
        assert_eq!(looked(&named, &none), ["freundin", "email", "Telefon"]);
        let mapped = FieldMap::from([("email".to_owned(), vec!["wo?".to_owned()])]);
        assert_eq!(looked(&fields, &mapped), ["wer?", "wo?", "phone"]);
        let used = FieldMap::from([("external_id.crm".to_owned(), vec!["wo?".to_owned()])]);
        assert_eq!(looked(&fields, &used), ["wer?", "wo?", "phone"]);
        assert_eq!(looked(&[("id", "+1"), ("sum", "+30")], &none), ["id", "sum"]);
        // One that was left blank is not replaced by somebody else's.
        let blank = [
            ("your-email", ""),
            ("your-tel", ""),
            ("wer?", "bo@person.example"),
            ("wohin?", "+49 30 901820"),
        ];
        assert_eq!(looked(&blank, &none), ["your-email", "your-tel", "wer?", "wohin?"]);
        let others = [
            ("Freundin", "bo@person.example"),
            ("Partner's phone", "+49 30 901821"),
            ("Факс", "+49 30 901822"),
        ];
        assert_eq!(looked(&others, &none), ["Freundin", "Partner's phone", "Факс"]);
        let roles = [("Pet owner's mailbox", "ada@person.example"), ("Agent's line", "+49 30 901820")];
        assert_eq!(looked(&roles, &none), ["email", "phone"], "nobody else is there");
        let both = [("Sender", "shop@person.example"), ("wo?", "ada@person.example")];
        assert_eq!(looked(&both, &none), ["Sender", "email"]);
        let ranked = [("Business email", "office@person.example"), ("email", "ada@person.example")];
        assert_eq!(looked(&ranked, &none), ["Business email", "email"]);
        for number in ["+1 415 555 2671 ext. 5", "+49\u{2011}30\u{2013}901820", "+1 (415) 555-2671 x12"] {
            assert_eq!(looked(&[("wohin?", number)], &none), ["phone"], "{number}");
        }
        assert_eq!(looked(&[("wohin?", "+49 30 901820 after six")], &none), ["wohin?"]);
    }
}
