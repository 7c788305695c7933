//! What the value of a consent box says. Consent that was not given is worse than consent that is asked for once more, so what is
//! in doubt is none (Art. 4 (11) GDPR: an unambiguous indication).

use sluice_domain::lead::names::is_same;

/// Whether the box of a form with this value was ticked. What a page sends for it is of its author's choice (`on`, `1`,
/// `newsletter-2026`, the text beside it), so any value counts that is not blank and says neither no nor that nothing is known.
pub(crate) fn is_ticked(value: &str) -> bool {
    let is_said = value.chars().any(char::is_alphanumeric);
    let is_zero = value.chars().filter(|c| c.is_alphanumeric()).all(|c| c == '0');
    has_tick(value) || is_said && !is_zero && !is_one_of(value, NO) && !begins_with_no(value)
}

/// Whether this says yes in the column of a file, in which all sorts of things stand: dates, names of lists, states of another
/// program. Only what is known to say yes counts. Spreadsheets write a 1 as `1.0` too.
pub(crate) fn is_yes(value: &str) -> bool {
    let is_word = is_one_of(value, YES) && !value.contains(['?', '？']);
    has_tick(value) || is_word || ["1", "1.0"].contains(&value.trim())
}

/// Whether it is one of these words, but for case, blanks and punctuation.
fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| is_same(word, value))
}

/// Whether it is a tick and nothing else.
fn has_tick(value: &str) -> bool {
    let mut signs = value.trim().chars().filter(|c| *c != '\u{fe0f}');
    signs.next().is_some_and(|sign| TICKS.contains(&sign)) && signs.next().is_none()
}

/// Whether it is a sentence that begins with no: `No, thanks`, `I do not agree`. A word with a hyphen is another one:
/// `non-profit news`.
fn begins_with_no(value: &str) -> bool {
    let words: Vec<&str> = value.split_whitespace().collect();
    let opens = |count: usize| words.get(..count).map(|words| words.concat());
    words.len() > 1 && (1..=3).filter_map(opens).any(|opening| is_one_of(&opening, OPENINGS))
}

const TICKS: [char; 6] = ['✓', '✔', '☑', '✅', '√', '🗸'];

/// How sentences begin that say no, without blanks.
const OPENINGS: &[&str] = &[
    "no",
    "not",
    "never",
    "dont",
    "donot",
    "idont",
    "idonot",
    "idisagree",
    "idecline",
    "irefuse",
    "ireject",
    "iobject",
    "ioptout",
    "optout",
    "optmeout",
    "unsubscribe",
    "pleasedont",
    "pleasedonot",
    "nein",
    "nicht",
    "ichstimmenicht",
    "ichmöchtenicht",
    "ichwillnicht",
    "ichlehne",
    "ichbinnicht",
    "non",
    "jerefuse",
    "jeneveux",
    "jenaccepte",
    "jenesouhaite",
    "jenesuispas",
    "não",
    "nao",
    "nee",
    "nej",
    "nei",
    "nie",
    "eikiitos",
    "нет",
    "не",
    "ні",
    "όχι",
];

/// Words that say no, or that there is no answer.
const NO: &[&str] = &[
    "0",
    "f",
    "n",
    "false",
    "no",
    "none",
    "not",
    "never",
    "off",
    "null",
    "nil",
    "nan",
    "n/a",
    "undefined",
    "unknown",
    "unset",
    "empty",
    "blank",
    "missing",
    "pending",
    "unchecked",
    "unticked",
    "unselected",
    "not checked",
    "not ticked",
    "not given",
    "disagree",
    "disagreed",
    "decline",
    "declined",
    "deny",
    "denied",
    "refuse",
    "refused",
    "reject",
    "rejected",
    "revoked",
    "withdrawn",
    "withdrew",
    "objected",
    "cancelled",
    "canceled",
    "disabled",
    "disallow",
    "disallowed",
    "blocked",
    "opt-out",
    "opted out",
    "opting out",
    "unsubscribe",
    "unsubscribed",
    "no thanks",
    "no thank you",
    "nope",
    "nein",
    "nein danke",
    "abgelehnt",
    "abgemeldet",
    "widerrufen",
    "falsch",
    "non",
    "non merci",
    "refusé",
    "faux",
    "no gracias",
    "rechazado",
    "falso",
    "no grazie",
    "rifiutato",
    "não",
    "nao",
    "recusado",
    "nee",
    "nie",
    "ne",
    "nej",
    "nei",
    "ei",
    "nem",
    "nu",
    "hayır",
    "hayir",
    "нет",
    "ні",
    "не",
    "отказ",
    "όχι",
    "否",
    "不",
    "无",
    "不同意",
    "我不同意",
    "不需要",
    "同意しない",
    "同意しません",
    "동의하지 않음",
    "동의하지 않습니다",
    "不接受",
    "拒绝",
    "いいえ",
    "拒否",
    "아니요",
    "아니오",
    "لا",
];

/// Words that say yes.
const YES: &[&str] = &[
    "t",
    "x",
    "y",
    "true",
    "yes",
    "yes please",
    "on",
    "ok",
    "okay",
    "ticked",
    "checked",
    "selected",
    "agree",
    "agreed",
    "i agree",
    "accept",
    "accepted",
    "i accept",
    "allow",
    "allowed",
    "approved",
    "confirmed",
    "consent",
    "consented",
    "given",
    "granted",
    "opt-in",
    "opted in",
    "subscribe",
    "subscribed",
    "j",
    "ja",
    "wahr",
    "zugestimmt",
    "angemeldet",
    "oui",
    "vrai",
    "accepté",
    "sí",
    "si",
    "verdadero",
    "aceptado",
    "sì",
    "vero",
    "sim",
    "verdadeiro",
    "aceito",
    "tak",
    "prawda",
    "ano",
    "áno",
    "da",
    "igen",
    "kyllä",
    "joo",
    "jah",
    "evet",
    "да",
    "так",
    "ναι",
    "是",
    "同意",
    "接受",
    "はい",
    "同意する",
    "예",
    "네",
    "동의",
    "نعم",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_and_a_blank_are_no_consent_however_they_are_written() {
        for not in [
            "decline",
            "Denied",
            "REFUSED",
            "reject",
            "rejected",
            "opt-out",
            "OptOut",
            "opted out",
            "Opted-Out",
            "unsubscribed",
            "unsubscribe",
            "no thanks",
            "No, thanks!",
            "no-thanks",
            "N/A",
            "n.a.",
            "na",
            "unknown",
            "nil",
            "-",
            "--",
            "—",
            " ",
            "?",
            "0.0",
            "[ ]",
            "\u{2610}",
            "NaN",
            "(none)",
            "No, please do not call me",
            "I do not agree",
            "I disagree",
            "I decline",
            "I opt out",
            "Unsubscribe me",
            "Please don't contact me",
            "Ich lehne ab",
            "Je ne souhaite pas",
            "Nie zgadzam się",
            "Не согласен",
            "Ei kiitos",
            "同意しない",
            "我不同意",
            "Don't contact me",
            "Ich möchte nicht",
            "Non, merci",
            "nao",
            "na\u{303}o",
        ] {
            assert!(!is_ticked(not) && !is_yes(not), "{not:?}");
        }
        for ticked in
            ["10", "on", "Non-profit news", "Yes, and no spam", "Na klar", "✔", "☑\u{fe0f}", "x", "Nordic"]
        {
            assert!(is_ticked(ticked), "{ticked:?}");
        }
    }

    #[test]
    fn of_a_file_only_what_says_yes_is_consent() {
        for yes in [
            "yes",
            " Y ",
            "TRUE",
            "1",
            "1.0",
            "on",
            "X",
            "Ticked",
            "checked",
            "agreed",
            "accepted",
            "subscribed",
            "opt-in",
            "Opted In",
            "optin",
            "granted",
            "Ja",
            "oui",
            "Sí",
            "да",
            "是",
            "はい",
            "✓",
        ] {
            assert!(is_yes(yes) && is_ticked(yes), "{yes:?}");
        }
        for other in [
            "2026-01-05",
            "newsletter-2026",
            "maybe",
            "-1",
            "1?",
            "yes?",
            "2",
            "bounced",
            "see CRM",
            "",
            "10",
            "cleaned",
        ] {
            assert!(!is_yes(other), "{other:?}");
        }
    }

    #[test]
    fn no_word_says_both() {
        let both: Vec<&&str> = YES.iter().filter(|word| is_one_of(word, NO)).collect();
        assert_eq!(both, Vec::<&&str>::new());
    }
}
