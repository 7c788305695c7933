//! Addresses and numbers as people type them into forms: what the lead says of each, and whom it leads to.

use crate::folder::{folders, text};
use futures::future::join_all;
use serde_json::{Value, json};
use sluice_tests::stack::{Running, Setup};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Posts at the same time.
const AT_ONCE: usize = 50;
/// The region of those who name none.
const NOWHERE: &str = "ZZ";

/// A form that names no country, and a team in whose queue everybody waits.
const POLICIES: &str = "
kind: form
name: in-zz
---
kind: rep
name: ann
email: ann@reps.example
---
kind: team
name: desk
members: [{ rep: ann }]
---
kind: routing
name: default
rules:
  - { name: everybody, assign: { queue: desk } }
---
kind: settings
name: default
escalate_to: [ann]
";

/// What somebody types into a field of a form.
struct Typed {
    field: &'static str,
    value: String,
    /// The form's default country.
    region: String,
    /// The country that the person names.
    country: Option<String>,
    /// What is meant; none where it is unusable.
    meant: Option<String>,
    /// The same, written as from abroad.
    abroad: Option<String>,
}

impl Typed {
    fn email(row: &Value) -> Self {
        let meant = format!("{}@{}", text(&row["local"]), text(&row["ascii_domain"]));
        Self {
            field: "email",
            value: text(&row["input"]),
            region: NOWHERE.to_owned(),
            country: None,
            meant: (row["valid"] == true).then_some(meant),
            abroad: None,
        }
    }

    /// The row's number as it is dialled in its country: by the form's, and by that of somebody who names it to a form that
    /// does not.
    fn phones(row: &Value) -> Vec<Self> {
        let region = text(&row["region"]);
        let typed = |region: &str, country: Option<&str>| Self {
            field: "phone",
            value: row["input"].as_str().map_or_else(|| text(&row["national"]), str::to_owned),
            region: region.to_owned(),
            country: country.map(str::to_owned),
            meant: row["e164"].as_str().map(str::to_owned),
            abroad: row["international"].as_str().map(str::to_owned),
        };
        let mut both = vec![typed(&region, None)];
        if row["input"].is_string() && region != NOWHERE {
            both.push(typed(NOWHERE, Some(&region)));
        }
        both
    }

    fn form(&self) -> String {
        format!("in-{}", self.region.to_lowercase())
    }

    /// Checks what the lead says of it.
    fn check(&self, lead: &Value) {
        let value = &self.value;
        assert_eq!(lead[self.field].as_str(), self.meant.as_deref(), "{value}: {lead:#}");
        let is_unusable = self.meant.is_none() && !value.is_empty();
        let flag = json!(format!("{}_invalid", self.field));
        assert_eq!(lead["flags"].as_array().unwrap().contains(&flag), is_unusable, "{value}: {lead:#}");
        // Usable or not, it is kept as it was typed.
        let kept = lead["fields"].as_array().unwrap().contains(&json!([self.field, value]));
        assert!(kept || value.is_empty(), "{value}: {lead:#}");
    }
}

/// A stack with a form for each region.
async fn stack(regions: BTreeSet<&str>) -> Running {
    let mut policies = POLICIES.to_owned();
    for region in regions.into_iter().filter(|region| *region != NOWHERE) {
        let name = region.to_lowercase();
        write!(policies, "---\nkind: form\nname: in-{name}\ndefault_country: \"{region}\"\n").unwrap();
    }
    Setup::policies(policies).start().await
}

/// The leads that come of it, in the same order.
async fn leads(run: &Running, typed: &[Typed]) -> Vec<Value> {
    let mut leads = Vec::new();
    for (at, some) in typed.chunks(AT_ONCE).enumerate() {
        let posts = some.iter().enumerate().map(|(n, typed)| async move {
            // What is empty twice is told apart.
            let row = (at * AT_ONCE + n).to_string();
            let mut fields = vec![(typed.field, typed.value.as_str()), ("row", row.as_str())];
            fields.extend(typed.country.as_deref().map(|country| ("country", country)));
            run.post(&typed.form(), &fields).await.lead_id()
        });
        let ids = join_all(posts).await;
        run.settle().await;
        leads.extend(join_all(ids.iter().map(|id| run.show(id))).await);
    }
    leads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_address_is_read_as_mail_is_delivered_to_it_and_leads_to_its_person() {
    for folder in folders("email_normalisation") {
        let rows: Vec<Value> =
            folder.cases.iter().flat_map(|case| folder.json(case).as_array().unwrap().clone()).collect();
        let typed: Vec<Typed> = rows.iter().map(Typed::email).collect();
        let run = stack(BTreeSet::new()).await;
        let leads = leads(&run, &typed).await;
        let mut found = 0;
        for ((row, typed), lead) in rows.iter().zip(&typed).zip(&leads) {
            typed.check(lead);
            if typed.meant.is_none() {
                continue;
            }
            // Whoever writes the same address otherwise is the same person; whoever only might be it is not.
            let (status, person) = run.lookup(json!({"email": row["match_key"]})).await;
            assert_eq!((status, &person["id"]), (200, &lead["customer"]), "{row:#}");
            found += 1;
            if let Some(weak) = row["weak_key"].as_str() {
                assert_eq!(run.lookup(json!({"email": weak})).await.0, 404, "{row:#}");
            }
        }
        assert!(found >= 8, "{found} of {}", folder.path.display());
        run.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_number_is_read_as_its_country_dials_it_and_leads_to_one_person_however_it_is_written() {
    for folder in folders("phone_normalisation") {
        let rows: Vec<Value> =
            folder.cases.iter().flat_map(|case| folder.json(case).as_array().unwrap().clone()).collect();
        let typed: Vec<Typed> = rows.iter().flat_map(Typed::phones).collect();
        let run = stack(typed.iter().map(|typed| typed.region.as_str()).collect()).await;
        let mut people: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let leads = leads(&run, &typed).await;
        for (typed, lead) in typed.iter().zip(&leads) {
            typed.check(lead);
            // What people type to get past a form is a number and nobody's.
            let is_junk = lead["flags"].as_array().unwrap().contains(&json!("phone_junk"));
            let Some(number) = typed.meant.as_deref().filter(|_| !is_junk) else { continue };
            people.entry(number).or_default().insert(text(&lead["customer"]));
            let Some(abroad) = &typed.abroad else { continue };
            let asked = json!({"form": typed.form(), "body": json!({"phone": abroad}).to_string()});
            let (status, tried) = run.api("POST", "/api/leads/try", Some(asked)).await;
            assert_eq!((status, &tried["customer"]), (200, &lead["customer"]), "{abroad}: {tried:#}");
            let phones = tried["identities"].as_array().unwrap().iter().filter(|one| one["kind"] == "phone");
            assert_eq!(phones.map(|one| &one["value"]).collect::<Vec<_>>(), [number], "{abroad}: {tried:#}");
        }
        let several: Vec<_> = people.iter().filter(|(_, people)| people.len() != 1).collect();
        assert!(several.is_empty(), "{several:#?}");
        assert!(people.len() >= 15, "{} of {}", people.len(), folder.path.display());
        run.finish().await;
    }
}
