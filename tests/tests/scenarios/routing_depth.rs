//! Who gets a lead when there is more to it than a team: hours, leave, languages, territories, companies, queues.

use crate::routing::owner;
use serde_json::{Value, json};
use sluice_tests::stack::{Running, Setup};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The clock begins on Monday, 2 March 2026, at 9:00 UTC.
pub(crate) fn stack(documents: &str) -> Setup {
    let forms = "kind: form\nname: contact\n---\nkind: settings\nname: default\nescalate_to: [boss]\n---\n\
                 kind: rep\nname: boss\nemail: boss@reps.example\n---\n";
    Setup::policies(format!("{forms}{documents}"))
}

/// A rep with a mailbox and more lines.
pub(crate) fn rep(name: &str, more: &str) -> String {
    format!("kind: rep\nname: {name}\nemail: {name}@reps.example\n{more}---\n")
}

pub(crate) fn rules(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("  - {{ {line} }}\n")).collect();
    format!("kind: routing\nname: default\nrules:\n{lines}")
}

async fn lead(run: &Running, name: &str, fields: &[(&str, &str)]) -> String {
    let email = format!("{name}@person.example");
    let mut all = vec![("email", email.as_str())];
    all.extend(fields.iter().copied().filter(|(name, _)| *name != "email"));
    if let Some((_, other)) = fields.iter().find(|(name, _)| *name == "email") {
        all[0].1 = other;
    }
    run.lead(&all).await
}

pub(crate) async fn why(run: &Running, lead: &str) -> String {
    let view = run.show(lead).await;
    assert_eq!(view["reproduced"], true, "{view:#}");
    view["why"].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

/// Time passes, minute by minute as far as the timers are concerned.
pub(crate) async fn pass(run: &Running, by: Duration) {
    run.pass(by).await;
    run.fire_timers().await;
    run.pass(Duration::from_secs(125)).await;
    run.settle().await;
}

async fn counted(run: &Running, leads: &[String]) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for lead in leads {
        *count.entry(owner(run, lead).await).or_default() += 1;
    }
    count
}

#[tokio::test]
async fn who_is_off_hours_is_passed_over_until_their_day_begins() {
    let run = stack(&format!(
        "{}{}{}{}",
        rep("berta", ""),
        rep("nora", "hours: { zone: America/New_York, mon-fri: \"09:00-17:00\" }\n"),
        "kind: team\nname: sdr\nmembers: [{ rep: berta }, { rep: nora }]\n\
         hours: { zone: Europe/Berlin, mon-fri: \"09:00-17:00\", calendar: local }\n---\n\
         kind: calendar\nname: local\ndays: [{ date: 2026-03-03, name: Local day }]\n---\n",
        rules(&["name: all, assign: { team: sdr }"]),
    ))
    .start()
    .await;
    // Ten in Berlin, four in New York.
    let mut leads = Vec::new();
    for at in 0..3 {
        leads.push(lead(&run, &format!("morning{at}"), &[]).await);
    }
    assert_eq!(counted(&run, &leads).await, BTreeMap::from([("berta".to_owned(), 3)]));
    let said = why(&run, &leads[0]).await;
    assert!(
        said.contains("nora: passed over, outside working hours until 2026-03-02T14:00:00.000Z"),
        "{said}"
    );
    // Both at work: nobody catches up.
    run.pass(HOUR * 5 + HOUR / 2).await;
    let both = [lead(&run, "noon1", &[]).await, lead(&run, "noon2", &[]).await];
    assert_eq!(counted(&run, &both).await.len(), 2);
    // Midnight in Berlin: nobody. The lead is escalated, the boss is told, and nine o'clock of New York comes first,
    // since Tuesday is a holiday in Berlin.
    run.pass(HOUR * 8).await;
    let night = lead(&run, "night", &[]).await;
    let view = run.show(&night).await;
    assert_eq!(view["state"], "escalated", "{view:#}");
    let said = why(&run, &night).await;
    assert!(
        said.contains("berta: passed over, outside working hours until 2026-03-04T08:00:00.000Z"),
        "{said}"
    );
    assert!(run.mails().iter().any(|(to, _)| to[0].starts_with("boss@")));
    pass(&run, HOUR * 13).await;
    let noon = lead(&run, "holiday", &[]).await;
    let said = why(&run, &noon).await;
    assert!(said.contains("berta: passed over, on holiday until 2026-03-04T08:00:00.000Z"), "{said}");
    pass(&run, HOUR * 2 + HOUR / 2).await;
    assert_eq!(owner(&run, &noon).await, "nora");
    assert_eq!(owner(&run, &night).await, "nora");
    run.finish().await;
}

#[tokio::test]
async fn a_team_says_what_becomes_of_leads_at_night() {
    let hours = "hours: { zone: UTC, mon-fri: \"12:00-17:00\" }";
    let run = stack(&format!(
        "{}{}{}{}{}",
        rep("ann", ""),
        rep("bo", "leave: [{ from: 2026-03-01, to: 2026-03-03 }]\n"),
        rep("cy", ""),
        format_args!(
            "kind: team\nname: waits\nmembers: [{{ rep: ann }}]\noff_hours: wait\n{hours}\n---\n\
             kind: team\nname: anyway\nmembers: [{{ rep: bo }}, {{ rep: ann }}]\noff_hours: anyway\n{hours}\n---\n\
             kind: team\nname: usual\nmembers: [{{ rep: ann }}]\n{hours}\n---\n"
        ),
        rules(&[
            "name: waits, when: 'lead.fields.to == \"waits\"', assign: { team: waits }",
            "name: anyway, when: 'lead.fields.to == \"anyway\"', assign: { team: anyway }",
            "name: usual, when: 'lead.fields.to == \"usual\"', assign: { team: usual }",
            "name: rest, assign: { rep: cy }",
        ]),
    ))
    .start()
    .await;
    let usual = lead(&run, "usual", &[("to", "usual")]).await;
    assert_eq!(owner(&run, &usual).await, "cy", "the next rule is tried");
    let anyway = lead(&run, "anyway", &[("to", "anyway")]).await;
    assert_eq!(owner(&run, &anyway).await, "ann", "hours do not count, leave does");
    let said = why(&run, &anyway).await;
    assert!(said.contains("bo: passed over, on leave until 2026-03-04T12:00:00.000Z"), "{said}");
    assert!(said.contains("until 2026-03-02T12:00:00.000Z, but nobody on duty can take it"), "{said}");
    let mails = run.mails().len();
    let waits = lead(&run, "waits", &[("to", "waits")]).await;
    assert_eq!(run.show(&waits).await["state"], "escalated");
    let said = why(&run, &waits).await;
    assert!(said.contains("Waits for the first who is back, at 2026-03-02T12:00:00.000Z."), "{said}");
    assert_eq!(run.mails().len(), mails, "nobody is disturbed");
    let measured = |name: &str| run.metrics.sum(name, ("State", "escalated"));
    assert_eq!((measured("WaitingForHours"), measured("Escalated")), (1.0, 0.0), "no alarm goes off");
    pass(&run, HOUR * 3).await;
    assert_eq!(owner(&run, &waits).await, "ann");
    run.finish().await;
}

#[tokio::test]
async fn a_rep_sets_their_own_leave_and_is_passed_over_at_once() {
    let run = stack(&format!(
        "{}{}{}{}",
        rep("ann", "hours: { zone: Asia/Shanghai, daily: \"00:00-24:00\" }\n"),
        rep("bo", ""),
        "kind: team\nname: sdr\nmembers: [{ rep: ann }, { rep: bo }]\n---\n",
        rules(&[
            "name: keep, when: 'customer.owner != \"\"', assign: { owner: customer }",
            "name: named, when: 'has(lead.fields.ann)', assign: { rep: ann }",
            "name: all, assign: { team: sdr }",
        ]),
    ))
    .start()
    .await;
    let (ann, bo) = (run.new_token("rep", Some("ann")).await, run.new_token("rep", Some("bo")).await);
    let hers = lead(&run, "hers", &[("ann", "yes")]).await;
    assert_eq!(owner(&run, &hers).await, "ann");
    let path = "/api/reps/ann/leave";
    let (status, view) = run.api_as(Some(&ann), "GET", path, None).await;
    assert_eq!(
        (status, &view["leave"], &view["at_work"], &view["zone"]),
        (200, &json!([]), &json!(true), &json!("Asia/Shanghai"))
    );
    let away = json!({"leave": [{"from": "2026-03-02", "to": "2026-03-04"}]});
    assert_eq!(run.api_as(Some(&bo), "PUT", path, Some(away.clone())).await.0, 404, "nobody else's");
    let (status, view) = run.api_as(Some(&ann), "PUT", path, Some(away.clone())).await;
    assert_eq!((status, &view["leave"]), (200, &away["leave"]), "{view:#}");
    assert_eq!(
        (&view["at_work"], &view["back"]),
        (&json!(false), &json!("2026-03-04T16:00:00.000Z")),
        "midnight there"
    );
    run.settle().await;
    let leads = [lead(&run, "l1", &[]).await, lead(&run, "l2", &[]).await];
    assert_eq!(counted(&run, &leads).await, BTreeMap::from([("bo".to_owned(), 2)]));
    assert!(why(&run, &leads[0]).await.contains("ann: passed over, on leave until 2026-03-04T16:00:00.000Z"));
    // Hers goes to somebody else too, by each kind of rule.
    let again = lead(&run, "hers", &[("ann", "yes"), ("more", "1")]).await;
    assert_eq!(owner(&run, &again).await, "bo");
    let said = why(&run, &again).await;
    assert!(
        said.contains("the owner ann is on leave until") && said.contains("but ann is on leave until"),
        "{said}"
    );
    // A manager takes it back; the leads in between are not made up for.
    let written = run.table();
    let (status, _) = run.api_as(Some(&ann), "PUT", path, Some(away)).await;
    assert_eq!((status, run.table() == written), (200, true), "the same once more writes nothing");
    let (status, _) = run.api("PUT", path, Some(json!({"leave": []}))).await;
    assert_eq!(status, 200);
    run.settle().await;
    let mut leads = Vec::new();
    for at in 0..4 {
        leads.push(lead(&run, &format!("back{at}"), &[]).await);
    }
    assert_eq!(counted(&run, &leads).await, BTreeMap::from([("ann".to_owned(), 2), ("bo".to_owned(), 2)]));
    for (body, said) in [
        (json!({}), "Say when"),
        (json!({"leave": [{"from": "tomorrow"}]}), "no date"),
        (json!({"leave": [{"from": "2026-03-04", "to": "2026-03-02"}]}), "before it begins"),
        (json!({"leave": [{"to": "2026-03-02"}]}), "from"),
    ] {
        let (status, problem) = run.api_as(Some(&ann), "PUT", path, Some(body)).await;
        assert_eq!(status, 422, "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem:#}");
    }
    assert_eq!(run.api("GET", "/api/reps/nobody/leave", None).await.0, 404);
    run.finish().await;
}

#[tokio::test]
async fn a_lead_goes_to_who_speaks_its_language_and_has_the_skills() {
    let run = stack(&format!(
        "{}{}{}{}",
        rep("greta", "languages: [German, en]\n"),
        rep("tom", "languages: [en]\nskills: [enterprise]\n"),
        "kind: team\nname: sdr\nmembers: [{ rep: greta }, { rep: tom }]\nneed: { language: lead.language }\n---\n",
        rules(&[
            "name: large, when: lead.fields.employees >= 200, assign: { team: sdr, need: { skills: [enterprise] } }",
            "name: all, assign: { team: sdr }",
        ]),
    ))
    .start()
    .await;
    for (name, language, employees, expected) in [
        ("de", "de-AT", "", "greta"),
        ("large", "en", "500", "tom"),
        ("large-de", "Deutsch", "500", "greta"),
        ("de2", "de", "20", "greta"),
    ] {
        let lead = lead(&run, name, &[("language", language), ("employees", employees)]).await;
        assert_eq!(owner(&run, &lead).await, expected, "{name}: {}", why(&run, &lead).await);
    }
    let french = lead(&run, "fr", &[("language", "fr")]).await;
    assert_eq!(run.show(&french).await["state"], "escalated");
    let said = why(&run, &french).await;
    assert!(said.contains("greta: passed over, does not speak the language"), "{said}");
    let large = lead(&run, "large-de2", &[("language", "de"), ("employees", "900")]).await;
    let said = why(&run, &large).await;
    assert!(said.contains("greta: passed over, lacks a skill"), "{said}");
    assert!(said.contains("tom: passed over, does not speak the language"), "{said}");
    let unknown = lead(&run, "unknown", &[]).await;
    assert_eq!(owner(&run, &unknown).await, "tom", "a language that is not known is not asked for");
    run.finish().await;
}

#[tokio::test]
async fn territories_are_seen_by_rules() {
    let codes: Vec<String> = (80_000..90_000).map(|code| code.to_string()).collect();
    let run = stack(&format!(
        "{}{}kind: territory\nname: bavaria\nareas:\n  - country: DE\n    postal:\n      - {}\n---\n\
         kind: territory\nname: germany\nareas: [{{ country: DE }}, {{ country: AT, regions: [Tirol] }}]\n---\n{}",
        rep("alois", ""),
        rep("hanna", ""),
        codes.join(", "),
        rules(&[
            "name: south, when: lead.territory == \"bavaria\", assign: { rep: alois }",
            "name: north, when: lead.territory == \"germany\", assign: { rep: hanna }",
        ]),
    ))
    .start()
    .await;
    for (name, country, region, code, expected) in [
        ("a", "DE", "", "80331", "alois"),
        ("b", "DE", "", "20095", "hanna"),
        ("c", "Austria", "tirol", "6020", "hanna"),
    ] {
        let lead = lead(&run, name, &[("country", country), ("region", region), ("zip", code)]).await;
        assert_eq!(owner(&run, &lead).await, expected);
    }
    let other = lead(&run, "d", &[("country", "FR"), ("zip", "80331")]).await;
    assert_eq!(run.show(&other).await["state"], "escalated");
    run.finish().await;
}

#[tokio::test]
async fn a_company_stays_with_who_has_its_first_lead() {
    let run = stack(&format!(
        "{}{}kind: team\nname: sdr\nmembers: [{{ rep: ann }}, {{ rep: bo }}]\n---\n{}",
        rep("ann", ""),
        rep("bo", ""),
        rules(&["name: company, assign: { owner: company }", "name: all, assign: { team: sdr }"]),
    ))
    .start()
    .await;
    let first = lead(&run, "x", &[("email", "one@acme.example")]).await;
    let owns = owner(&run, &first).await;
    assert!(why(&run, &first).await.contains("the company has no owner"));
    for at in 0..3 {
        let next = lead(&run, "x", &[("email", &format!("p{at}@mail.acme.example"))]).await;
        assert_eq!(owner(&run, &next).await, owns);
        assert!(why(&run, &next).await.contains(&format!("the owner {owns} keeps the company")));
    }
    let elsewhere = lead(&run, "x", &[("email", "one@other.example")]).await;
    assert_ne!(owner(&run, &elsewhere).await, owns);
    // Two of one company at the same moment find one owner.
    let (a, b) = tokio::join!(
        lead(&run, "x", &[("email", "a@third.example")]),
        lead(&run, "x", &[("email", "b@third.example")])
    );
    assert_eq!(owner(&run, &a).await, owner(&run, &b).await);
    run.finish().await;
}

#[tokio::test]
async fn teams_take_turns_or_the_first_that_has_somebody() {
    let run = stack(&format!(
        "{}{}{}kind: team\nname: a\nmembers: [{{ rep: ann }}]\n---\nkind: team\nname: b\nmembers: [{{ rep: bo, capacity: 2 }}]\n---\n\
         kind: team\nname: c\nmembers: [{{ rep: cy, capacity: 1 }}]\n---\n{}",
        rep("ann", ""),
        rep("bo", ""),
        rep("cy", ""),
        rules(&[
            "name: round, when: 'lead.fields.by == \"round\"', assign: { teams: [a, b], by: round }",
            "name: first, assign: { teams: [c, a], by: first }",
        ]),
    ))
    .start()
    .await;
    let mut leads = Vec::new();
    for at in 0..6 {
        leads.push(lead(&run, &format!("round{at}"), &[("by", "round")]).await);
    }
    // Two and two; then the second team is full.
    assert_eq!(
        counted(&run, &leads[..4]).await,
        BTreeMap::from([("ann".to_owned(), 2), ("bo".to_owned(), 2)])
    );
    assert_eq!(counted(&run, &leads[4..]).await, BTreeMap::from([("ann".to_owned(), 2)]));
    let said = why(&run, &leads[5]).await;
    assert!(
        said.contains("Team b: nobody can take it.") && said.contains("b, bo: passed over, full"),
        "{said}"
    );
    let first = [lead(&run, "f1", &[]).await, lead(&run, "f2", &[]).await];
    assert_eq!(
        (owner(&run, &first[0]).await, owner(&run, &first[1]).await),
        ("cy".to_owned(), "ann".to_owned())
    );
    run.finish().await;
}

#[tokio::test]
async fn a_team_that_had_its_turn_has_had_it_wherever_the_lead_goes_afterwards() {
    let run = stack(&format!(
        "{}{}{}kind: team\nname: a\nmembers: [{{ rep: ann }}]\n---\nkind: team\nname: b\nmembers: [{{ rep: bo }}]\n---\n\
         kind: team\nname: last\nmembers: [{{ rep: cy }}]\n---\n{}",
        rep("ann", ""),
        rep("bo", ""),
        rep("cy", ""),
        rules(&["name: round, assign: { teams: [a, b], by: round }"]),
    ))
    .start()
    .await;
    let first = lead(&run, "t0", &[]).await;
    assert_eq!(owner(&run, &first).await, "ann");
    let path = format!("/api/leads/{first}/reassign");
    let (status, _) = run.api("POST", &path, Some(json!({"team": "last", "reason": "it missed it"}))).await;
    assert_eq!(status, 200);
    run.settle().await;
    pass(&run, Duration::from_secs(20)).await;
    let mut owners = Vec::new();
    for at in 1..5 {
        let next = lead(&run, &format!("t{at}"), &[]).await;
        owners.push(owner(&run, &next).await);
    }
    assert_eq!(owners, ["bo", "ann", "bo", "ann"]);
    run.finish().await;
}

#[tokio::test]
async fn a_queue_is_claimed_from_by_one_member_of_the_team() {
    let run = stack(&format!(
        "{}{}{}kind: team\nname: sdr\nmembers: [{{ rep: ann, capacity: 1 }}, {{ rep: bo, capacity: 1 }}]\n---\n{}",
        rep("ann", ""),
        rep("bo", ""),
        rep("stranger", ""),
        rules(&["name: all, assign: { queue: sdr }"]),
    ))
    .start()
    .await;
    let (first, second) = (lead(&run, "q1", &[]).await, lead(&run, "q2", &[]).await);
    let view = run.show(&first).await;
    assert_eq!(
        (&view["state"], &view["queue"], &view["owner"]),
        (&json!("queued"), &json!("sdr"), &Value::Null)
    );
    assert_eq!(run.ledger().await["in_flight"]["queued"], 2);
    let mut tokens = BTreeMap::new();
    for rep in ["ann", "bo", "stranger"] {
        tokens.insert(rep, run.new_token("rep", Some(rep)).await);
    }
    let (_, listed) = run.api_as(Some(&tokens["ann"]), "GET", "/api/leads?state=queued", None).await;
    assert_eq!(listed["leads"].as_array().map(Vec::len), Some(2), "{listed:#}");
    let (_, listed) = run.api_as(Some(&tokens["stranger"]), "GET", "/api/leads?state=queued", None).await;
    assert_eq!(listed["leads"], json!([]));
    let path = |lead: &str| format!("/api/leads/{lead}/claim");
    let claim = |rep: &'static str, lead: String| {
        let (run, token) = (&run, tokens[rep].clone());
        async move { run.api_as(Some(&token), "POST", &path(&lead), Some(json!({}))).await }
    };
    assert_eq!(claim("stranger", first.clone()).await.0, 404);
    let (ann, bo) = tokio::join!(claim("ann", first.clone()), claim("bo", first.clone()));
    let mut statuses = [ann.0, bo.0];
    statuses.sort_unstable();
    assert!(statuses[0] == 200 && matches!(statuses[1], 404 | 409), "{statuses:?}");
    let (winner, loser) = if ann.0 == 200 { ("ann", "bo") } else { ("bo", "ann") };
    assert_eq!(owner(&run, &first).await, winner);
    assert_eq!(run.show(&first).await["assignment"]["team"], "sdr");
    assert_eq!(claim(winner, first.clone()).await.0, 200, "again is fine");
    let (status, problem) = claim(winner, second.clone()).await;
    assert_eq!((status, problem["type"].as_str()), (409, Some("urn:sluice:problem:no-room")), "{problem:#}");
    assert_eq!(claim(loser, second.clone()).await.0, 200);
    run.settle().await;
    run.finish().await;
}

#[tokio::test]
async fn a_bad_lead_is_credited_once_and_its_owner_gets_another() {
    let run = stack(&format!(
        "{}{}kind: team\nname: sdr\nmembers: [{{ rep: ann }}, {{ rep: bo }}]\n---\n{}",
        rep("ann", ""),
        rep("bo", ""),
        rules(&[
            "name: named, when: 'has(lead.fields.ann)', assign: { rep: ann }",
            "name: all, assign: { team: sdr }",
        ]),
    ))
    .start()
    .await;
    let mut leads = Vec::new();
    for at in 0..4 {
        leads.push(lead(&run, &format!("c{at}"), &[]).await);
    }
    let (bad, rep) = (leads[0].clone(), owner(&run, &leads[0]).await);
    let path = format!("/api/leads/{bad}/credit");
    let (status, problem) = run.api("POST", &path, Some(json!({}))).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("reason")));
    let token = run.new_token("rep", Some(&rep)).await;
    assert_eq!(run.api_as(Some(&token), "POST", &path, Some(json!({"reason": "spam"}))).await.0, 403);
    let (status, view) = run.api("POST", &path, Some(json!({"reason": "wrong number"}))).await;
    assert_eq!((status, view["work"].as_str()), (200, Some("disqualified")), "{view:#}");
    let written = run.table();
    assert_eq!(run.api("POST", &path, Some(json!({"reason": "wrong number"}))).await.0, 200);
    run.settle().await;
    assert!(run.table() == written, "once a lead");
    let mut next = Vec::new();
    for at in 4..9 {
        next.push(lead(&run, &format!("c{at}"), &[]).await);
    }
    assert_eq!(counted(&run, &next).await[&rep], 3, "three of five");
    let named = lead(&run, "named", &[("ann", "1")]).await;
    let (status, problem) =
        run.api("POST", &format!("/api/leads/{named}/credit"), Some(json!({"reason": "x"}))).await;
    assert_eq!(status, 409, "{problem:#}");
    run.finish().await;
}

#[tokio::test]
async fn a_leavers_open_leads_are_shown_and_then_handed_over() {
    let run = stack(&format!(
        "{}{}{}kind: team\nname: sdr\nmembers: [{{ rep: ann }}, {{ rep: bo }}, {{ rep: cy, capacity: 1 }}]\n---\n{}",
        rep("ann", ""),
        rep("bo", ""),
        rep("cy", ""),
        rules(&[
            "name: named, when: 'has(lead.fields.ann)', assign: { rep: ann }",
            "name: all, assign: { team: sdr }",
        ]),
    ))
    .start()
    .await;
    let mut hers = Vec::new();
    for at in 0..9 {
        let lead = lead(&run, &format!("r{at}"), &[]).await;
        if owner(&run, &lead).await == "ann" {
            hers.push(lead);
        }
    }
    let closed = hers.pop().unwrap();
    run.api("POST", &format!("/api/leads/{closed}/close"), Some(json!({}))).await;
    let direct = lead(&run, "direct", &[("ann", "1")]).await;
    run.settle().await;
    let written = run.table();
    let path = "/api/reps/ann/rebalance";
    let (status, preview) = run.api("POST", path, Some(json!({}))).await;
    assert_eq!((status, &preview["done"]), (200, &json!(false)), "{preview:#}");
    let shown: BTreeMap<&str, &Value> =
        preview["leads"].as_array().unwrap().iter().map(|row| (row["lead"].as_str().unwrap(), row)).collect();
    assert_eq!(shown.len(), hers.len() + 1);
    assert!(
        hers.iter().all(|lead| ["bo", "cy"].contains(&shown[lead.as_str()]["to"].as_str().unwrap())),
        "{preview:#}"
    );
    assert!(shown[hers[0].as_str()]["why"].to_string().contains("ann: passed over, excluded"), "{preview:#}");
    assert_eq!(shown[direct.as_str()]["to"], Value::Null);
    assert!(run.table() == written, "a preview writes nothing");

    let (status, done) = run.api("POST", path, Some(json!({"do": true, "rep": "cy"}))).await;
    assert_eq!(status, 200);
    run.settle().await;
    for row in done["leads"].as_array().unwrap() {
        let view = run.show(row["lead"].as_str().unwrap()).await;
        assert_eq!(view["owner"], row["to"], "{row:#}");
        assert!(
            view["why"].to_string().contains("rebalance by admin at")
                && view["why"].to_string().contains("ann leaves")
        );
        // Whom a team is asked for is a decision like any other; to whoever was named, nobody was compared.
        let compared = hers.contains(&row["lead"].as_str().unwrap().to_owned());
        for said in [&view["why"], &row["why"]] {
            assert_eq!(
                said.to_string().contains("ann: passed over, excluded for this lead"),
                compared,
                "{said:#}"
            );
        }
        assert_eq!(view["reproduced"], true, "{view:#}");
    }
    assert_eq!(done["leads"].as_array().unwrap().len(), hers.len() + 1, "{done:#}");
    assert_eq!(owner(&run, &direct).await, "cy");
    assert_eq!(owner(&run, &closed).await, "ann", "what is closed stays");
    let written = run.table();
    let (_, again) = run.api("POST", path, Some(json!({"do": true, "rep": "cy"}))).await;
    run.settle().await;
    assert_eq!(again["leads"], json!([]), "done again, there is nothing left");
    assert!(run.table() == written);
    assert_eq!(run.api("POST", "/api/reps/nobody/rebalance", Some(json!({}))).await.0, 404);
    assert_eq!(run.api("POST", path, Some(json!({"team": "none"}))).await.0, 422);
    run.finish().await;
}

#[tokio::test]
async fn a_rep_never_holds_more_than_their_own_capacity_over_all_teams() {
    let run = stack(&format!(
        "{}{}kind: team\nname: a\nmembers: [{{ rep: ann }}, {{ rep: bo, weight: 1 }}]\n---\n\
         kind: team\nname: b\nmembers: [{{ rep: ann }}]\n---\n{}",
        rep("ann", "capacity: 3\n"),
        rep("bo", ""),
        rules(&[
            "name: b, when: 'lead.fields.to == \"b\"', assign: { team: b }",
            "name: a, when: 'lead.fields.to == \"a\"', assign: { team: a }",
        ]),
    ))
    .start()
    .await;
    let names: Vec<String> = (0..12).map(|at| format!("cap{at}")).collect();
    let posts = names.iter().enumerate().map(|(at, name)| {
        let to = if at % 2 == 0 { "a" } else { "b" };
        let run = &run;
        async move { lead(run, name, &[("to", to)]).await }
    });
    let leads = futures::future::join_all(posts).await;
    let mut held = Vec::new();
    for lead in &leads {
        let view = run.show(lead).await;
        if view["owner"] == "ann" {
            held.push(lead.clone());
        } else if view["state"] == "escalated" {
            assert!(why(&run, lead).await.contains("ann: passed over, full (3 of 3 open over all teams)"));
        }
    }
    assert_eq!(held.len(), 3);
    let (status, _) = run.api("POST", &format!("/api/leads/{}/close", held[0]), Some(json!({}))).await;
    assert_eq!(status, 200);
    run.settle().await;
    let mut now = 0;
    for lead in &leads {
        let view = run.show(lead).await;
        now += usize::from(view["owner"] == "ann" && view["work"] == "open");
    }
    assert_eq!(now, 3, "the place that came free is taken by one that waits");
    run.finish().await;
}
