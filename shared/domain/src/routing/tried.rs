//! How the rules that were tried are written down: a verdict, then how many more rules came to the same. A lead that goes
//! by the thousandth rule would otherwise pay for a thousand words with every write.

use super::Verdict;
use serde::de::Error;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serializer};

/// Rules of one document at most: a count beyond is no receipt of ours.
const MOST: usize = 1_000_000;

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    More(usize),
    One(Verdict),
}

pub(super) fn serialize<S: Serializer>(tried: &[Verdict], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(None)?;
    for same in tried.chunk_by(|one, next| one == next) {
        if let [verdict, more @ ..] = same {
            list.serialize_element(verdict)?;
            if !more.is_empty() {
                list.serialize_element(&more.len())?;
            }
        }
    }
    list.end()
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Verdict>, D::Error> {
    let mut tried = Vec::new();
    for entry in Vec::<Entry>::deserialize(deserializer)? {
        match (entry, tried.last().cloned()) {
            (Entry::One(verdict), _) => tried.push(verdict),
            (Entry::More(more), Some(verdict)) if more <= MOST => {
                tried.resize(tried.len() + more, verdict);
            }
            (Entry::More(_), _) => return Err(D::Error::custom("so many rules more of what?")),
        }
    }
    Ok(tried)
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, Receipt, Saw};
    use super::*;
    use crate::time::Timestamp;
    use serde_json::{Value, json};

    fn receipt(tried: Vec<Verdict>) -> Receipt {
        Receipt {
            at: Timestamp(1),
            manifest: 1,
            new_customer: false,
            found: Vec::new(),
            merges: Vec::new(),
            suggestions: Vec::new(),
            saw: Saw::default(),
            tried,
            outcome: Outcome::Escalated,
        }
    }

    fn written(tried: &[Verdict]) -> Value {
        let receipt = receipt(tried.to_vec());
        let json = serde_json::to_value(&receipt).unwrap();
        assert_eq!(serde_json::from_value::<Receipt>(json.clone()).unwrap(), receipt);
        json["tried"].clone()
    }

    #[test]
    fn equal_verdicts_in_a_row_are_counted() {
        let absent = || Verdict::Error("no field employees".to_owned());
        let mut many = vec![Verdict::NoMatch; 999];
        many.extend([absent(), absent(), Verdict::Nobody, Verdict::NoMatch, Verdict::Decided]);
        assert_eq!(
            written(&many),
            json!(["no", 998, {"error": "no field employees"}, 1, "nobody", "no", "yes"])
        );
        assert_eq!(written(&[]), json!([]));
    }

    #[test]
    fn a_receipt_that_has_every_verdict_is_read_as_well_and_one_that_makes_no_sense_is_not() {
        let mut json = serde_json::to_value(receipt(Vec::new())).unwrap();
        json["tried"] = json!(["no", "no", "yes"]);
        let read: Receipt = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(read.tried, [Verdict::NoMatch, Verdict::NoMatch, Verdict::Decided]);
        for nonsense in [json!([3, "no"]), json!(["no", 99_999_999])] {
            json["tried"] = nonsense;
            assert!(serde_json::from_value::<Receipt>(json.clone()).is_err());
        }
    }
}
