//! What fields are usually called, in English and in other languages: one list for forms, sources and files.

use std::collections::HashMap;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

/// A standard field that a name usually stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// Its standard name: `email`, `phone`, `job_title`, …
    pub field: &'static str,
    /// How far back in the list the name is: of several the first is believed.
    pub rank: usize,
    /// Whether platforms call a field of their own so. Sources tell such a one under its standard name.
    pub of_platforms: bool,
}

/// What a field of this name usually is; case, accents, blanks and punctuation do not count.
pub fn usual(name: &str) -> Option<Usual> {
    NAMES.get(folded(name).as_str()).copied()
}

/// The last part of a name such as `contact.email`, and what it is within.
pub fn last_part(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|(within, last)| !within.is_empty() && !last.is_empty())
}

/// Whether what is within an object of this name is about somebody else than the person who submits: `owner.email` is our
/// colleague's, and so are `leadOwner.email` and `friends.email`. Of several words the last says what it is: a
/// `product_inquiry` is none of these.
pub fn is_somebody_else(path: &str) -> bool {
    path.split('.').any(|part| {
        let words = words(part);
        let last = words.iter().rev().find(|word| word.chars().any(char::is_alphabetic));
        std::iter::once(&folded(part))
            .chain(last)
            .any(|name| [&THIRD[..], &ROLES, &THINGS].into_iter().any(|names| is_one_of(name, names)))
    })
}

/// Whose address or number a field is by the words of its name, of one that is called as its author pleased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The person's who submits, as far as the name tells.
    Theirs,
    /// Of somebody who may well be the one who submits: `Pet owner's e-mail`.
    Maybe,
    /// Of somebody else: `Friend's e-mail`. So is a machine that takes letters: `Fax`.
    Anothers,
}

/// Whose address or number a field of this name is.
pub fn whose(name: &str) -> Whose {
    let words = words(name);
    let has = |names: &[&str]| words.iter().any(|word| is_one_of(word, names));
    let is_within = |names: &[&str]| names.iter().any(|one| name.contains(one));
    if has(&THIRD) || has(&MACHINES) || is_within(&UNSPACED) || is_one_of(&folded(name), &THIRD) {
        Whose::Anothers
    } else if has(&ROLES) {
        Whose::Maybe
    } else {
        Whose::Theirs
    }
}

/// Whether a word is one of these, be it numbered or many.
fn is_one_of(word: &str, names: &[&str]) -> bool {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    names.contains(&word) || word.strip_suffix('s').is_some_and(|one| names.contains(&one))
}

/// The words of a name: `lead_owner`, `Lead owner` and `leadOwner` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || was_small && c.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.push(c);
        }
        was_small = c.is_lowercase();
    }
    words.iter().map(|word| folded(word)).collect()
}

/// Whether two names are one, but for case, blanks and punctuation.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || !plain(one).is_empty() && plain(one) == plain(other)
}

/// `a[b][c]` as `a.b.c` and `a[]` as `a`: the way PHP senders nest, told in the way JSON senders are read.
pub fn dotted(name: &str) -> String {
    let Some((root, rest)) =
        name.split_once('[').filter(|(root, rest)| !root.is_empty() && rest.ends_with(']'))
    else {
        return name.to_owned();
    };
    let mut path = root.to_owned();
    for part in rest.trim_end_matches(']').split("][").filter(|part| !part.is_empty()) {
        path.push('.');
        path.push_str(part);
    }
    path
}

/// Whether two names are written alike, brackets or dots.
pub fn is_written(one: &str, other: &str) -> bool {
    one == other || dotted(one) == dotted(other)
}

/// A field's name as names are compared: letters and digits in lower case.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The same without accents: taken apart, they are no letters.
fn folded(name: &str) -> String {
    name.nfd().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Other people than the one who submits, as names are compared.
const THIRD: [&str; 32] = [
    "amica",
    "amico",
    "ami",
    "amie",
    "amigo",
    "amiga",
    "assignee",
    "colleague",
    "emergency",
    "emergencia",
    "freund",
    "freunde",
    "freundes",
    "freundin",
    "friend",
    "kollege",
    "kollegin",
    "notfall",
    "notfallkontakt",
    "partenaire",
    "partner",
    "partnerin",
    "referral",
    "referred",
    "referredby",
    "referrer",
    "spouse",
    "urgence",
    "vriend",
    "vriendin",
    "друг",
    "друга",
];

/// The same in scripts without blanks.
const UNSPACED: [&str; 7] = ["朋友", "紧急", "緊急", "传真", "傳真", "ファックス", "팩스"];

/// What has a number and is no telephone.
const MACHINES: [&str; 7] = ["fax", "faks", "faxnummer", "telecopie", "telefax", "telefaks", "факс"];

/// Those who play a part in a sale, and may be the one who submits or not.
const ROLES: [&str; 20] = [
    "adviser",
    "advisor",
    "agent",
    "author",
    "broker",
    "consultant",
    "dealer",
    "employee",
    "guardian",
    "manager",
    "owner",
    "parent",
    "recipient",
    "recruiter",
    "rep",
    "representative",
    "salesrep",
    "seller",
    "sender",
    "staff",
];

/// Objects in which other people and things are, as their names are compared.
const THINGS: [&str; 20] = [
    "account",
    "assignedto",
    "campaign",
    "company",
    "createdby",
    "event",
    "host",
    "item",
    "modifiedby",
    "organisation",
    "organization",
    "organizer",
    "page",
    "plan",
    "product",
    "shop",
    "site",
    "store",
    "updatedby",
    "venue",
];

const TABLE: &str = include_str!("names.txt");

static NAMES: LazyLock<HashMap<String, Usual>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for (field, of_platforms, rank, name) in rows() {
        names.entry(folded(name)).or_insert(Usual { field, rank, of_platforms });
    }
    names
});

/// Every name of the list: its field, whether platforms use it, and its place.
fn rows() -> impl Iterator<Item = (&'static str, bool, usize, &'static str)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let fields = lines.filter_map(|line| line.split_once(':'));
    fields.flat_map(|(field, names)| {
        let (theirs, others) = names.split_once('|').unwrap_or((names, ""));
        let listed = |names: &'static str| names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let all = listed(theirs).map(|name| (name, true)).chain(listed(others).map(|name| (name, false)));
        all.enumerate().map(move |(rank, (name, of_platforms))| (field, of_platforms, rank, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_somebody_else_is_known_however_its_name_is_written() {
        for path in
            ["owner", "lead_owner", "leadOwner", "Account Manager", "friends", "updated_by", "data.rep2"]
        {
            assert!(is_somebody_else(path), "{path}");
        }
        let others = ["contact", "lead", "customer", "data.person", "user", "ownership_x", "bestower"];
        let of_the_person =
            ["product_inquiry", "event_registration", "company_contact", "site_visitor", "accountHolder"];
        for path in others.into_iter().chain(of_the_person).chain(["eventData.contact", "dealer_application"])
        {
            assert!(!is_somebody_else(path), "{path}");
        }
    }

    #[test]
    fn whose_address_it_is_stands_in_the_words_of_its_name() {
        for (whose_it_is, names) in [
            (
                Whose::Theirs,
                &["Company email", "Where can we reach you?", "Fairfax phone", "Amiens office", "邮箱"][..],
            ),
            (
                Whose::Maybe,
                &["Sender email", "Pet owner's email", "Best e-mail for our sales rep to reach you"],
            ),
            (
                Whose::Anothers,
                &[
                    "Friend's email",
                    "E-Mail des Freundes",
                    "Referred by",
                    "referredBy",
                    "Partner e-mail",
                    "Emergency contact",
                    "Факс",
                    "Télécopie",
                    "Fax 2",
                    "朋友的邮箱",
                    "传真号码",
                ],
            ),
        ] {
            for name in names {
                assert_eq!(whose(name), whose_it_is, "{name}");
            }
        }
    }

    #[test]
    fn the_names_of_forms_in_many_languages_are_known() {
        for (name, field) in [
            ("E-Mail", "email"),
            ("user_email", "email"),
            ("work_phone", "phone"),
            ("vollständiger_name", "full_name"),
            ("vollsta\u{308}ndiger_name", "full_name"),
            ("e-mail-adresse", "email"),
            ("telefonnummer", "phone"),
            ("numéro_de_téléphone", "phone"),
            ("NUMERO DE TELEPHONE", "phone"),
            ("nom_de_famille", "last_name"),
            ("correo_electrónico", "email"),
            ("número_de_telefone", "phone"),
            ("nome_e_cognome", "full_name"),
            ("volledige_naam", "full_name"),
            ("imię_i_nazwisko", "full_name"),
            ("telefon_numarası", "phone"),
            ("адрес_электронной_почты", "email"),
            ("номер_телефона", "phone"),
            ("手机号", "phone"),
            ("邮箱", "email"),
            ("メールアドレス", "email"),
            ("電話番号", "phone"),
            ("이메일", "email"),
            ("전화번호", "phone"),
            ("البريد_الإلكتروني", "email"),
            ("رقم_الهاتف", "phone"),
            ("Straße", "street"),
        ] {
            assert_eq!(usual(name).map(|usual| usual.field), Some(field), "{name}");
        }
        for name in ["", "?", "message", "budget", "Which product?", "owner.email"] {
            assert_eq!(usual(name), None, "{name}");
        }
    }

    #[test]
    fn no_name_stands_twice_and_only_platforms_names_are_theirs() {
        let mut seen = HashMap::new();
        for (field, _, _, name) in rows() {
            let before = seen.insert(folded(name), field);
            assert_eq!(before, None, "{name} of {field}");
        }
        assert!(usual("phone_number").is_some_and(|usual| usual.of_platforms));
        assert!(usual("tel").is_some_and(|usual| !usual.of_platforms));
    }

    #[test]
    fn a_name_with_brackets_is_the_same_with_dots() {
        for (one, other) in [("a[b][c]", "a.b.c"), ("a[b]", "a[b]"), ("a[]", "a"), ("a[b][]", "a.b")] {
            assert!(is_written(one, other), "{one} {other}");
        }
        for (one, other) in [("a[b]", "ab"), ("A", "a"), ("[a]", "a"), ("a[b", "a.b")] {
            assert!(!is_written(one, other), "{one} {other}");
        }
    }

    #[test]
    fn who_a_part_is_about_is_known_by_what_it_is_within() {
        assert_eq!(last_part("contact.email"), Some(("contact", "email")));
        assert_eq!(last_part("a.b.email"), Some(("a.b", "email")));
        for none in ["email", ".email", "email."] {
            assert_eq!(last_part(none), None, "{none}");
        }
        assert!(
            is_somebody_else("owner") && is_somebody_else("lead.Sales_Rep") && is_somebody_else("friend2")
        );
        assert!(!is_somebody_else("contact") && !is_somebody_else("registration_form"));
    }
}
