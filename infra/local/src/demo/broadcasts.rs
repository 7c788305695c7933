//! What came of the campaigns of a day, as their own counters say.

use super::{Door, words};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One time that a campaign went out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CampaignRow {
    /// The campaign.
    pub campaign: String,
    /// Which time.
    pub broadcast: u64,
    /// Where it stands.
    pub state: String,
    /// People of the audience, those held out among them.
    pub people: i64,
    /// Messages that went out.
    pub sent: i64,
    /// Of these, opened by a person.
    pub opened: i64,
    /// Of these, a link was followed.
    pub clicked: i64,
    /// Of these, made somebody want no more.
    pub unsubscribed: i64,
    /// Go out later.
    pub later: i64,
    /// Did not go out, by reason.
    pub left_out: BTreeMap<String, i64>,
    /// Get nothing, to compare with.
    pub held_out: i64,
    /// Its variants, in the order of the document.
    pub variants: Vec<VariantRow>,
    /// The variant for everybody who was not in the test.
    pub winner: Option<String>,
    /// Why a guard rail stopped it.
    pub stopped: Option<String>,
    /// When it goes out again, RFC 3339.
    pub next: Option<String>,
}

/// One of several messages.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VariantRow {
    /// What it is called.
    pub variant: String,
    /// Went out.
    pub sent: i64,
    /// Of these, opened by a person.
    pub opened: i64,
    /// Of these, a link was followed.
    pub clicked: i64,
}

impl CampaignRow {
    /// Every broadcast that somebody asked for since `start`; of one that has not begun, that it is to come.
    pub(super) async fn gather(door: &Door, start: &str) -> Result<Vec<Self>, String> {
        let listed = door.api("GET", "/api/campaigns", None).await?;
        let mut rows = Vec::new();
        let campaigns = listed["campaigns"].as_array().into_iter().flatten();
        for campaign in campaigns.filter(|campaign| campaign["state"] != "draft") {
            let path = format!("/api/campaigns/{}", words::text(campaign, "/name"));
            let shown = door.api("GET", &path, None).await?;
            let next = campaign["next"].as_str();
            let broadcasts = shown["broadcasts"].as_array().into_iter().flatten();
            let asked = broadcasts.filter(|one| words::text(one, "/asked").as_str() >= start);
            let (begun, to_come): (Vec<&Value>, Vec<&Value>) = asked.partition(|one| !one["began"].is_null());
            if begun.is_empty() {
                rows.extend(to_come.first().map(|one| Self::of(one, next)));
            }
            rows.extend(begun.into_iter().map(|one| Self::of(one, next)));
        }
        Ok(rows)
    }

    fn of(one: &Value, next: Option<&str>) -> Self {
        let n = |name: &str| one["counts"][name].as_i64().unwrap_or(0);
        let skipped = one["skipped"].as_object().into_iter().flatten();
        let left_out = skipped.filter(|(why, _)| *why != "held_out");
        let variants = one["variants"].as_array().into_iter().flatten().map(|variant| VariantRow {
            variant: words::text(variant, "/variant"),
            sent: variant["sent"].as_i64().unwrap_or(0),
            opened: variant["opened"].as_i64().unwrap_or(0),
            clicked: variant["clicked"].as_i64().unwrap_or(0),
        });
        Self {
            campaign: words::text(one, "/campaign"),
            broadcast: one["broadcast"].as_u64().unwrap_or(0),
            state: words::text(one, "/state"),
            people: n("planned"),
            sent: n("sent"),
            opened: n("opened"),
            clicked: n("clicked"),
            unsubscribed: n("unsubscribed"),
            later: n("waiting"),
            left_out: left_out.map(|(why, n)| (why.replace('_', " "), n.as_i64().unwrap_or(0))).collect(),
            held_out: n("held_out"),
            variants: variants.collect(),
            winner: one["winner"]["variant"].as_str().map(str::to_owned),
            stopped: one["stopped"]["why"].as_str().map(str::to_owned),
            next: next.map(str::to_owned),
        }
    }
}
