//! What a submission says: country, language, company; and how long it waited.

use super::*;
use crate::identity::Country;
use crate::policy::{Reading, Settings};
use serde_json::{Value, json};

fn view(fields: &[(&str, &str)], default_country: &str) -> Value {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let attribution = BTreeMap::from([("accept_language".to_owned(), "fr-CH, en;q=0.7".to_owned())]);
    let envelope = Envelope { fields, attribution, ..Envelope::default() };
    let origin = Origin { kind: "form".to_owned(), name: "contact".to_owned() };
    let reading = Reading { default_country: Country::parse(default_country), ..Reading::default() };
    read(&origin, &envelope, &reading, &Settings::default()).view
}

#[test]
fn the_country_is_the_one_named_else_the_phones_else_the_forms() {
    for (fields, default, country) in [
        (&[("country", "Österreich"), ("phone", "+49 171 1234567")][..], "US", "AT"),
        (&[("country", "Atlantis"), ("phone", "+49 171 1234567")], "US", "DE"),
        (&[("phone", "+44 20 7031 3000")], "US", "GB"),
        (&[("phone", "(650) 253-0000")], "US", "US"),
        (&[("email", "mia@acme.com")], "US", "US"),
        (&[("email", "mia@acme.com")], "", ""),
    ] {
        assert_eq!(view(fields, default)["country"], country, "{fields:?}");
    }
}

#[test]
fn the_language_is_the_one_named_else_the_browsers() {
    assert_eq!(view(&[("locale", "de_AT")], "")["language"], "de");
    assert_eq!(view(&[("Language", "中文")], "")["language"], "zh");
    assert_eq!(view(&[("language", "?")], "")["language"], "fr");
}

#[test]
fn the_company_is_that_of_the_mailbox_else_of_the_website() {
    for (fields, domain) in [
        (&[("email", "mia@eu.acme.co.uk"), ("website", "other.example")][..], "acme.co.uk"),
        (&[("email", "mia@gmail.com"), ("website", "https://www.acme.co.uk/")], "acme.co.uk"),
        (&[("email", "mia@qq.com"), ("website", "facebook.com/mia")], ""),
        (&[("email", "mia at acme")], ""),
    ] {
        assert_eq!(view(fields, "")["company_domain"], domain, "{fields:?}");
    }
}

#[test]
fn of_each_kind_of_wait_the_first_stays_however_often_a_lead_waits() {
    let receipt = |at: i64, tried: &str, out: Value| -> Receipt {
        let receipt = json!({"at": at, "m": 1, "saw": {}, "tried": [tried], "out": out});
        serde_json::from_value(receipt).unwrap()
    };
    let mut progress = Progress::default();
    for at in 0..12 {
        let next = match at {
            0 => receipt(at, "yes", json!({"queued": {"team": "desk"}})),
            _ if at % 2 == 0 => receipt(at, "waits", json!("escalated")),
            _ => receipt(at, "nobody", json!("escalated")),
        };
        progress.waited(&next);
        progress.receipt = Some(next);
    }
    progress.receipt = None;
    assert_eq!(progress.waits.len(), MAX_WAITED);
    assert_eq!(progress.waits[0].queue.as_deref(), Some("desk"));
    assert!(progress.waits.iter().any(|waited| waited.for_hours));
    assert!(progress.was_escalated());
    let stored: Progress = serde_json::from_value(serde_json::to_value(&progress).unwrap()).unwrap();
    assert_eq!(stored, progress);
}

#[test]
fn a_key_is_known_by_the_act_or_by_the_call_that_changed_nothing() {
    let pair = |key: &str, asked: &str| (key.to_owned(), asked.to_owned());
    let act = Act {
        what: "accept".to_owned(),
        by: "ann".to_owned(),
        at: Timestamp(1),
        reason: None,
        key: Some(pair("a", "accept")),
        asked: None,
    };
    let mut progress = Progress { acts: vec![act], ..Progress::default() };
    progress.keep_key(pair("b", "close"));
    for (key, asked) in [("a", Some("accept")), ("b", Some("close")), ("c", None)] {
        assert_eq!(progress.asked_under(key), asked, "{key}");
    }
    let text = serde_json::to_string(&progress).unwrap();
    assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
    for n in 0..MAX_KEYS {
        progress.keep_key(pair(&n.to_string(), "close"));
    }
    assert_eq!((progress.keys.len(), progress.asked_under("b")), (MAX_KEYS, None), "the newest");
    assert_eq!(progress.asked_under("0"), Some("close"));
    assert_eq!(progress.asked_under("a"), Some("accept"), "an act is never forgotten");
}
