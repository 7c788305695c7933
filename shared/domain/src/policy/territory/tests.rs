//! Territories: the most specific wins, held against a reader that goes through all entries.

use super::*;
use crate::lead::{Envelope, Origin, read};
use crate::policy::{Reading, Settings};
use proptest::prelude::*;
use serde_json::json;

fn territory(name: &str, areas: serde_json::Value) -> Territory {
    serde_json::from_value(json!({"name": name, "areas": areas})).unwrap()
}

fn facts(country: &str, region: &str, code: &str) -> Facts {
    let fields = [("country", country), ("region", region), ("zip", code)];
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let origin = Origin { kind: "form".to_owned(), name: "contact".to_owned() };
    read(&origin, &Envelope { fields, ..Envelope::default() }, &Reading::default(), &Settings::default())
}

#[test]
fn the_most_specific_entry_says_where_a_lead_is() {
    let all = [
        territory("germany", json!([{"country": "DE"}])),
        territory("bavaria", json!([{"country": "DE", "postal": ["80-87, 90000-97999"]}])),
        territory("munich", json!([{"country": "DE", "postal": ["80331", "80000-81929"]}])),
        territory(
            "lake",
            json!([{"country": "DE", "postal": ["88"]}, {"country": "AT", "regions": ["Vorarlberg"]}]),
        ),
        territory("vienna", json!([{"country": "AT", "postal": ["10-12"]}])),
        territory("zurich", json!([{"country": "CH", "postal": ["8000-8099"]}])),
        territory("andorra", json!([{"country": "AD", "postal": ["AD500"]}])),
        territory("soho", json!([{"country": "GB", "postal": ["W1D, W1F"]}])),
    ];
    assert!(clashes(&all.iter().collect::<Vec<_>>()).is_empty());
    let map = Map::build(&all);
    for (country, region, code, expected) in [
        ("DE", "", "80331", Some("munich")),
        ("DE", "", "81929", Some("munich")),
        ("DE", "", "82031", Some("bavaria")),
        ("DE", "", "95444", Some("bavaria")),
        ("DE", "Bayern", "99999", Some("germany")),
        ("DE", "", "", Some("germany")),
        ("de", "", "D-88131", Some("lake")),
        ("DE", "", "DE 80331", Some("munich")),
        ("DE", "", "d80331", Some("munich")),
        ("DE", "", "A-80331", Some("germany")),
        ("DE", "", "D", Some("germany")),
        ("AT", "", "A-1010", Some("vienna")),
        ("AT", "Vorarlberg", "A-6900", Some("lake")),
        ("CH", "", "CH-8001", Some("zurich")),
        ("AD", "", "AD500", Some("andorra")),
        ("DE", "", "88 131", Some("lake")),
        ("AT", "vorarlberg ", "6900", Some("lake")),
        ("AT", "Tirol", "6020", None),
        ("GB", "", "w1d 3qe", Some("soho")),
        ("", "", "80331", None),
    ] {
        assert_eq!(map.of(&facts(country, region, code)), expected, "{country} {region} {code}");
    }
}

#[test]
fn what_is_claimed_twice_is_found_with_its_place() {
    let all = [
        territory("a", json!([{"country": "DE"}, {"country": "DE", "postal": ["80", "10000-19999"]}])),
        territory("b", json!([{"country": "DE", "postal": ["8", "80"]}])),
        territory("c", json!([{"country": "DE"}, {"country": "DE", "postal": ["15000-25000"]}])),
        territory("d", json!([{"country": "AT", "regions": ["Tirol", "tirol"]}])),
    ];
    let found: Vec<_> = clashes(&all.iter().collect::<Vec<_>>())
        .into_iter()
        .map(|clash| (clash.at.0, clash.first, clash.what))
        .collect();
    let expected = [
        (2, 0, "all of DE".to_owned()),
        (3, 3, "tirol in AT".to_owned()),
        (1, 0, "80 in DE".to_owned()),
        (2, 0, "10000-19999 and 15000-25000 in DE".to_owned()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn codes_that_are_none_are_refused() {
    for text in ["8*", "80-8", "87-80", "80331-", "12345678901", "a_b"] {
        assert!(serde_json::from_value::<Codes>(json!(text)).is_err(), "{text}");
    }
}

proptest! {
    /// Nested ranges of several lengths, ten thousand codes among them at most.
    #[test]
    fn a_code_is_found_as_if_all_entries_were_read(
        seeds in prop::collection::vec((0u32..10_000, 0u32..3_000, 2usize..5), 0..40), code in 0u32..100_000,
    ) {
        let mut all: Vec<Territory> = Vec::new();
        for (n, (low, width, length)) in seeds.into_iter().enumerate() {
            let most = 10u32.pow(u32::try_from(length).unwrap()) - 1;
            let (low, high) = (low.min(most), (low + width).min(most));
            let text = format!("{low:0length$}-{high:0length$}");
            let next = territory(&format!("t{n}"), json!([{"country": "DE", "postal": [text]}]));
            all.push(next);
            if !clashes(&all.iter().collect::<Vec<_>>()).is_empty() {
                all.pop();
            }
        }
        let code = format!("{code:05}");
        let ranges = all.iter().flat_map(|territory| {
            territory.areas.iter().flat_map(|area| &area.postal).flat_map(|codes| &codes.0).map(move |range| (territory, range))
        });
        let holds = ranges.filter(|(_, range)| {
            let beginning = &code[..range.low.len()];
            range.low.as_str() <= beginning && beginning <= range.high.as_str()
        });
        let width = |range: &CodeRange| range.high.parse::<u32>().unwrap() - range.low.parse::<u32>().unwrap();
        let expected = holds.min_by_key(|(_, range)| (std::cmp::Reverse(range.low.len()), width(range)));
        let map = Map::build(&all);
        let facts = facts("DE", "", &code);
        prop_assert_eq!(map.of(&facts), expected.map(|(territory, _)| territory.name.as_str()));
    }
}
