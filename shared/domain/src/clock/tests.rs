//! What a clock does at its points, and to whom a lead goes.

mod shortened;

use super::*;
use crate::calendar::{Absence, Leave, Moment};
use crate::customer::Ownership;
use crate::import::Imported;
use crate::lead::{Act, Envelope, Lead, Origin, Work};
use crate::policy::{Document, PolicySet};
use crate::routing::{Asked, members};
use crate::team::{self, TeamState};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn policies(response: &Value) -> PolicySet {
    let hours = json!({"zone": "Europe/Berlin", "mon-fri": "09:00-17:00"});
    let mut documents: Vec<Value> =
        ["ann", "bob", "cal", "boss"].map(|name| json!({"kind": "rep", "name": name})).into_iter().collect();
    documents[1]["hours"] = json!({"zone": "America/New_York", "daily": "00:00-24:00"});
    documents.push(json!({"kind": "team", "name": "sdr", "hours": hours, "response": response,
        "members": [{"rep": "ann", "capacity": 3}, {"rep": "bob", "capacity": 3}, {"rep": "cal", "capacity": 3}]}));
    documents.push(json!({"kind": "team", "name": "last", "members": [{"rep": "ann"}, {"rep": "boss"}]}));
    PolicySet::build(7, documents.into_iter().map(|document| Document::from_json(document).unwrap())).unwrap()
}

/// A lead of a team on its way, with the team's books.
struct Desk {
    policies: Arc<PolicySet>,
    leave: BTreeMap<String, Leave>,
    teams: BTreeMap<String, TeamState>,
    lead: Lead,
    owner: Option<Ownership>,
    needs: BTreeMap<String, Asked>,
}

impl Desk {
    /// The lead went to `rep` at `since`.
    fn new(response: &Value, rep: &str, since: &str) -> Self {
        let since = at(since);
        let lead = Lead {
            id: LeadId::derived(&["one"]),
            origin: Origin { kind: "form".to_owned(), name: "web".to_owned() },
            external_id: None,
            received: since,
            envelope: Envelope::default(),
            needs_enrichment: false,
            manifest: 7,
            progress: Progress::default(),
            version: 1,
        };
        let mut desk = Self {
            policies: Arc::new(policies(response)),
            leave: BTreeMap::new(),
            teams: ["sdr", "last"].map(|name| (name.to_owned(), TeamState::default())).into(),
            lead,
            owner: None,
            needs: BTreeMap::new(),
        };
        let others = |other: &str| (other != rep).then_some(team::PassedOver::Excluded);
        let people = members(&desk.policies, "sdr", &desk.leave, &desk.teams, since);
        let state = desk.teams.get_mut("sdr").unwrap();
        team::grant(state, &people, &desk.lead.id, since, &others);
        let assignment =
            Assignment { rep: rep.to_owned(), team: Some("sdr".to_owned()), at: since, n: 1, share: true };
        desk.lead.progress.state = LeadState::Assigned;
        desk.lead.progress.assignment = Some(assignment);
        let schedule = desk.schedule(rep, Some("sdr"));
        desk.lead.progress.start_clock(&desk.policies, Some("sdr"), &schedule);
        desk
    }

    fn schedule(&self, rep: &str, team: Option<&str>) -> Schedule {
        self.policies.schedule(rep, team, self.leave.get(rep))
    }

    /// The tick that is outstanding comes at `now`, or at its time.
    fn tick(&mut self, now: Option<&str>) -> Option<What> {
        let tick = self.lead.progress.tick(&self.lead.id)?;
        let now = now.map_or(tick.at, at);
        self.fire(&tick, now)
    }

    fn fire(&mut self, tick: &Tick, now: Timestamp) -> Option<What> {
        let floor = Floor {
            policies: &self.policies,
            leave: &self.leave,
            owner: self.owner.as_ref(),
            needs: &self.needs,
        };
        let asked = asked_for(&self.lead, self.owner.as_ref(), &self.policies, now);
        let mut teams = self.teams.clone();
        teams.retain(|name, _| asked.teams.contains(name));
        let change = fire(&self.lead, tick, floor, &mut teams, now)?;
        self.teams.extend(teams);
        self.lead.progress = change.after;
        if matches!(change.what, What::Reminded(_) | What::Taken(_)) {
            assert!(self.reproduced(), "{:#?}", self.lead.progress);
        }
        Some(change.what)
    }

    /// Whether everything decided comes out the same when it is decided again from what is stored.
    fn reproduced(&self) -> bool {
        let progress = serde_json::to_value(&self.lead.progress).unwrap();
        let progress: Progress = serde_json::from_value(progress).unwrap();
        assert!(manifests(&progress).iter().all(|version| *version == 7));
        reproduced(&progress, &BTreeMap::from([(7, self.policies.clone())]))
    }

    fn rep(&self) -> &str {
        self.lead.progress.assignment.as_ref().map_or("nobody", |assignment| assignment.rep.as_str())
    }

    fn due(&self) -> String {
        self.lead
            .progress
            .running()
            .map(|(_, mark)| format!("{} {}", mark.point, mark.at))
            .unwrap_or_default()
    }

    fn open(&self, team: &str, rep: &str) -> u32 {
        self.teams[team].members.get(rep).map_or(0, |place| place.open)
    }
}

fn plain() -> Value {
    json!({"within": "1h", "remind": ["50%", "80%"], "limit": 2, "catch_all": {"rep": "boss"}})
}

const MONDAY: &str = "2026-03-23T10:00:00+01:00";

#[test]
fn the_owner_is_reminded_at_each_point_and_then_somebody_else_gets_the_lead() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    assert_eq!(desk.due(), "50% 2026-03-23T09:30:00.000Z");
    assert!(matches!(desk.tick(None), Some(What::Reminded(mark)) if mark.point.value() == 50));
    assert_eq!(desk.due(), "80% 2026-03-23T09:48:00.000Z");
    assert!(matches!(desk.tick(None), Some(What::Reminded(mark)) if mark.point.value() == 80));
    assert_eq!(desk.due(), "100% 2026-03-23T10:00:00.000Z");
    assert_eq!(desk.tick(None), Some(What::Taken(To::Member)));
    let progress = &desk.lead.progress;
    assert_eq!(progress.assignment.as_ref().map(|a| (a.n, a.at)), Some((2, at("2026-03-23T10:00:00Z"))));
    assert_eq!(progress.silent().collect::<Vec<_>>(), ["ann"]);
    assert_eq!((desk.open("sdr", "ann"), desk.open("sdr", desk.rep())), (0, 1));
    assert!(desk.teams["sdr"].grants.is_empty());
    // The window starts afresh, in the hours of whoever has it now.
    assert_eq!(desk.due(), "50% 2026-03-23T10:30:00.000Z");
}

#[test]
fn a_lead_goes_round_the_team_and_then_to_the_catch_all_without_a_clock() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    let mut went = Vec::new();
    while let Some(what) = desk.tick(None) {
        if let What::Taken(to) = what {
            went.push((to, desk.rep().to_owned()));
        }
    }
    let reps: Vec<&str> = went.iter().map(|(_, rep)| rep.as_str()).collect();
    assert_eq!(reps, ["bob", "cal", "boss"], "nobody twice");
    assert_eq!(went.last().map(|(to, _)| *to), Some(To::CatchAll));
    assert_eq!((desk.due(), desk.lead.progress.reassignments()), (String::new(), 2));
    assert_eq!(["ann", "bob", "cal"].map(|rep| desk.open("sdr", rep)), [0, 0, 0]);
    let words = explain(&desk.lead.progress).join("\n");
    for part in [
        "ann is passed over for this lead from now on",
        "ann: passed over, let this lead's time run out",
        "Assigned to cal (reassignment 2)",
        "Assigned to boss, the catch-all: no clock runs",
    ] {
        assert!(words.contains(part), "{part} in\n{words}");
    }
}

#[test]
fn without_a_catch_all_it_is_for_a_person() {
    for response in [
        json!({"within": "1h", "limit": 1}),
        json!({"within": "1h", "then": "escalate"}),
        json!({"within": "1h", "limit": 1, "catch_all": {"team": "last"}}),
    ] {
        let mut desk = Desk::new(&response, "ann", MONDAY);
        let mut last = None;
        while let Some(what) = desk.tick(None) {
            last = Some(what);
        }
        let progress = &desk.lead.progress;
        if response["catch_all"].is_object() {
            // Ann has had it in vain, in whatever team.
            assert_eq!((last, desk.rep()), (Some(What::Taken(To::CatchAll)), "boss"));
            continue;
        }
        assert_eq!((last, desk.rep()), (Some(What::Taken(To::Nobody)), "nobody"));
        assert!(progress.waits_for_a_person() && progress.state == LeadState::Escalated);
        assert_eq!(progress.next_n(), 2 + progress.reassignments());
        assert_eq!(["ann", "bob", "cal"].map(|rep| desk.open("sdr", rep)), [0, 0, 0]);
    }
}

#[test]
fn who_is_full_or_alone_in_the_team_is_no_reason_to_wait() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    for rep in ["bob", "cal"] {
        desk.teams.get_mut("sdr").unwrap().members.get_mut(rep).unwrap().open = 3;
    }
    assert_eq!(desk.tick(Some("2026-03-23T11:00:00Z")), Some(What::Taken(To::CatchAll)));
    assert_eq!(desk.lead.progress.reassignments(), 0);
}

#[test]
fn only_reminding_takes_nothing_away() {
    let mut desk =
        Desk::new(&json!({"within": "1h", "remind": ["50%"], "then": "remind_only"}), "ann", MONDAY);
    assert!(matches!(desk.tick(None), Some(What::Reminded(_))));
    assert_eq!((desk.due(), desk.rep()), (String::new(), "ann"));
}

fn reminding_only() -> Value {
    json!({"within": "1h", "remind": ["50%"], "then": "remind_only"})
}

#[test]
fn who_is_only_reminded_and_away_with_no_end_known_is_reminded_when_they_are_back() {
    let mut desk = Desk::new(&reminding_only(), "ann", "2026-03-26T10:00:00+01:00");
    desk.leave.insert("ann".to_owned(), from("2026-03-01T00:00:00Z"));
    assert_eq!(desk.due(), "50% 2026-03-26T09:30:00.000Z");
    // Thursday; then Friday at nine, and after the weekend, in which the clocks go forward, Monday at nine.
    for looked_at in ["2026-03-27T08:00:00.000Z", "2026-03-30T07:00:00.000Z"] {
        assert_eq!((desk.tick(None), desk.rep()), (Some(What::Away), "ann"));
        assert_eq!(desk.due(), format!("50% {looked_at}"));
        let words = explain(&desk.lead.progress).join("\n");
        let line = format!(
            "ann is away with no end known: whether they are back is looked at again at {looked_at}."
        );
        assert!(words.contains(&line), "{words}");
    }
    // Now the end is known, and the clock needs to look no more: half an hour after she has begun to work again.
    let to = Some(Moment::Day("2026-03-30".parse().unwrap()));
    let since = Moment::At(at("2026-03-01T00:00:00Z"));
    desk.leave.insert("ann".to_owned(), Leave(vec![Absence { from: since, to }]));
    assert_eq!(desk.tick(None), Some(What::Rearmed));
    assert_eq!(
        (desk.due().as_str(), desk.lead.progress.clock.as_ref().unwrap().away),
        ("50% 2026-03-31T07:30:00.000Z", false)
    );
    assert!(matches!(desk.tick(None), Some(What::Reminded(_))));
    assert_eq!((desk.due(), desk.rep()), (String::new(), "ann"), "once, and nobody takes it from her");
    assert!(desk.lead.progress.is_awaited(), "what the reminder says holds");
}

#[test]
fn what_was_missed_of_a_window_is_one_reminder_that_says_so() {
    let response = json!({"within": "1h", "remind": ["50%", "80%"], "then": "remind_only"});
    let said = |desk: &Desk| {
        let clock = desk.lead.progress.clock.as_ref().unwrap();
        reminding(clock, clock.reminded.last().unwrap().mark)
    };
    let mut desk = Desk::new(&response, "ann", MONDAY);
    desk.leave.insert("ann".to_owned(), from("2026-03-01T00:00:00Z"));
    assert_eq!(desk.tick(None), Some(What::Away));
    // Back in the afternoon, which nobody had known in the morning.
    let back = Some(Moment::At(at("2026-03-23T13:00:00Z")));
    let since = Moment::At(at("2026-03-01T00:00:00Z"));
    desk.leave.insert("ann".to_owned(), Leave(vec![Absence { from: since, to: back }]));
    assert!(matches!(desk.tick(None), Some(What::Reminded(mark)) if mark.point.value() == 80));
    assert_eq!((desk.due(), desk.lead.progress.clock.as_ref().unwrap().reminded.len()), (String::new(), 1));
    assert_eq!(
        said(&desk),
        "The 1h for a first contact were over at 2026-03-24T08:00:00.000Z: nobody was in touch."
    );
    // So is a tick that comes two days late.
    let mut desk = Desk::new(&reminding_only(), "ann", MONDAY);
    assert!(matches!(desk.tick(Some("2026-03-25T09:00:00Z")), Some(What::Reminded(_))));
    let mut desk = Desk::new(&reminding_only(), "ann", MONDAY);
    assert!(matches!(desk.tick(None), Some(What::Reminded(_))));
    let words = "50% of the 1h for a first contact were over at 2026-03-23T09:30:00.000Z: 30m of your working time are left.";
    assert_eq!(said(&desk), words);
}

#[test]
fn a_clock_that_only_reminds_does_not_look_where_nothing_is_left_to_remind_of() {
    let mut desk = Desk::new(&reminding_only(), "ann", MONDAY);
    desk.leave.insert("ann".to_owned(), from("2026-03-01T00:00:00Z"));
    let none = policies(&json!({"within": "1h", "then": "remind_only"}));
    desk.policies = Arc::new(none);
    assert_eq!((desk.tick(None), desk.due()), (Some(What::Stopped), String::new()));
}

#[test]
fn nights_weekends_and_holidays_do_not_count() {
    // Friday 16:30 in Berlin, the last weekend of March: the clocks go forward on Sunday.
    let desk = Desk::new(&plain(), "ann", "2026-03-27T16:30:00+01:00");
    assert_eq!(desk.due(), "50% 2026-03-27T16:00:00.000Z", "the last instant of Friday");
    let mut desk = Desk::new(&json!({"within": "2h"}), "ann", "2026-03-27T16:30:00+01:00");
    assert_eq!(
        desk.due(),
        "100% 2026-03-30T08:30:00.000Z",
        "half an hour on Friday, the rest from 9:00 CEST"
    );
    assert_eq!(desk.tick(None), Some(What::Taken(To::Member)));
    // Somebody who works day and night loses the hour that the clocks skip, not an hour of the window.
    let desk = Desk::new(&json!({"within": "2h"}), "bob", "2026-03-08T01:30:00-05:00");
    assert_eq!(desk.due(), "100% 2026-03-08T08:30:00.000Z");
}

#[test]
fn an_absence_written_down_later_moves_the_point() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    let first = desk.lead.progress.tick(&desk.lead.id).unwrap();
    let day = Moment::Day("2026-03-23".parse().unwrap());
    desk.leave.insert("ann".to_owned(), Leave(vec![Absence { from: day, to: Some(day) }]));
    assert_eq!(desk.tick(None), Some(What::Rearmed));
    assert_eq!(desk.due(), "50% 2026-03-24T08:30:00.000Z");
    assert_eq!(desk.fire(&first, at("2026-03-24T09:00:00Z")), None, "the entry of before is nobody's");
    // Back on Tuesday after all.
    desk.leave.clear();
    assert!(matches!(desk.tick(None), Some(What::Taken(To::Member))), "the window is over by now");
}

fn from(day: &str) -> Leave {
    Leave(vec![Absence { from: Moment::At(at(day)), to: None }])
}

#[test]
fn who_is_away_with_no_end_known_loses_the_lead_at_the_next_point() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    desk.leave.insert("ann".to_owned(), from("2026-03-23T09:10:00Z"));
    assert_eq!(
        desk.tick(None),
        Some(What::Taken(To::Member)),
        "instead of the reminder at half of the window"
    );
    assert_eq!((desk.rep() != "ann", desk.open("sdr", "ann")), (true, 0));
    assert!(!desk.due().is_empty(), "the next one has a window");
    let words = explain(&desk.lead.progress).join("\n");
    for part in [
        "ann is away with no end known (2026-03-23T09:30:00.000Z), so the window never ends: ann is passed over",
        "ann: passed over, on leave",
        "(reassignment 1)",
    ] {
        assert!(words.contains(part), "{part} in\n{words}");
    }
    let rest = |progress: &mut Progress, change: &dyn Fn(&mut Saw)| match &mut progress.past[0].end {
        PastEnd::Silent { saw, .. } => change(saw),
        PastEnd::Given => unreachable!("nobody gave it away"),
    };
    rest(&mut desk.lead.progress, &|saw| saw.gone = false);
    assert!(!desk.reproduced(), "ten minutes are no window");
}

#[test]
fn a_leave_without_end_that_begins_within_the_window_is_reached_as_if_it_did_not() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    // She is reminded at half, goes ten minutes later, and would have been reminded again eighteen minutes later.
    desk.leave.insert("ann".to_owned(), from("2026-03-23T09:40:00Z"));
    assert!(matches!(desk.tick(None), Some(What::Reminded(mark)) if mark.point.value() == 50));
    assert_eq!(desk.due(), "80% 2026-03-23T09:48:00.000Z");
    assert_eq!(desk.tick(None), Some(What::Taken(To::Member)));
    // Given by hand to somebody who is away: they have the window they would have if they were not.
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    desk.leave.insert("ann".to_owned(), from("2026-03-01T00:00:00Z"));
    let schedule = desk.schedule("ann", Some("sdr"));
    desk.lead.progress.start_clock(&desk.policies, Some("sdr"), &schedule);
    assert_eq!(desk.due(), "50% 2026-03-23T09:30:00.000Z");
}

#[test]
fn all_away_with_no_end_known_is_for_a_person() {
    let mut desk = Desk::new(&json!({"within": "1h"}), "ann", MONDAY);
    desk.leave = ["ann", "bob", "cal"].map(|rep| (rep.to_owned(), from("2026-03-01T00:00:00Z"))).into();
    assert_eq!((desk.tick(None), desk.rep()), (Some(What::Taken(To::Nobody)), "nobody"));
    assert!(desk.lead.progress.waits_for_a_person());
}

#[test]
fn a_rule_that_is_gone_stops_its_clocks() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    Arc::get_mut(&mut desk.policies).unwrap().teams.get_mut("sdr").unwrap().response = None;
    assert_eq!(desk.tick(None), Some(What::Stopped));
    assert_eq!((desk.due(), desk.rep()), (String::new(), "ann"));
}

#[test]
fn a_tick_that_comes_late_stands_for_the_last_point_and_one_that_comes_twice_for_nothing() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    let first = desk.lead.progress.tick(&desk.lead.id).unwrap();
    assert!(
        matches!(desk.tick(Some("2026-03-23T09:50:00Z")), Some(What::Reminded(mark)) if mark.point.value() == 80)
    );
    assert_eq!(desk.lead.progress.clock.as_ref().unwrap().reminded.len(), 1, "one reminder, not two");
    assert_eq!(desk.fire(&first, at("2026-03-23T09:50:00Z")), None);
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    assert_eq!(desk.tick(Some("2026-03-25T09:00:00Z")), Some(What::Taken(To::Member)), "two days late");
    // A machine whose clock is behind: the point's own time counts.
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    assert!(matches!(desk.tick(Some("2026-03-23T09:29:58Z")), Some(What::Reminded(_))));
}

#[test]
fn a_contact_closing_and_another_assignment_make_a_tick_stale() {
    let stale = |change: &dyn Fn(&mut Progress)| {
        let mut desk = Desk::new(&plain(), "ann", MONDAY);
        let tick = desk.lead.progress.tick(&desk.lead.id).unwrap();
        change(&mut desk.lead.progress);
        assert_eq!(desk.fire(&tick, at("2026-03-24T10:00:00Z")), None);
    };
    let contact = FirstContact {
        by: "ann".to_owned(),
        at: at(MONDAY),
        channel: "phone".to_owned(),
        rep: "ann".to_owned(),
        team: None,
        elapsed: 0,
        working: 0,
        within: None,
        noted: at(MONDAY),
    };
    stale(&|progress| progress.contact = Some(contact.clone()));
    stale(&|progress| progress.work = Work::Closed);
    stale(&Progress::stop_clock);
    stale(&|progress| progress.assignment.as_mut().unwrap().n = 2);
    // Once in touch, no clock starts again.
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    desk.lead.progress.contact = Some(contact);
    desk.lead.progress.start_clock(&desk.policies, Some("sdr"), &Schedule::always());
    assert_eq!(desk.lead.progress.clock, None);
}

#[test]
fn a_lead_follows_its_customer_to_somebody_who_has_not_had_it_in_vain() {
    let owner =
        |rep: &str| Ownership { rep: rep.to_owned(), team: Some("sdr".to_owned()), since: at(MONDAY) };
    for (rep, to) in [("cal", To::Owner), ("ann", To::Member)] {
        let mut desk = Desk::new(&plain(), "ann", MONDAY);
        desk.owner = Some(owner(rep));
        assert_eq!(desk.tick(Some("2026-03-23T10:00:00Z")), Some(What::Taken(to)));
        assert_eq!(desk.rep() == "cal", to == To::Owner);
        assert_eq!(desk.open("sdr", desk.rep()), 1);
        assert!(!desk.due().is_empty());
    }
}

#[test]
fn an_owner_on_leave_does_not_get_the_lead_that_follows_its_customer() {
    let absent = |to: Option<&str>| {
        Leave(vec![Absence {
            from: Moment::Day("2026-03-23".parse().unwrap()),
            to: to.map(|day| Moment::Day(day.parse().unwrap())),
        }])
    };
    for (leave, reason) in [(absent(Some("2026-03-24")), "on leave until"), (absent(None), "on leave.")] {
        for team in [Some("sdr"), None] {
            let mut desk = Desk::new(&plain(), "ann", MONDAY);
            let team = team.map(str::to_owned);
            desk.owner = Some(Ownership { rep: "cal".to_owned(), team, since: at(MONDAY) });
            desk.leave.insert("cal".to_owned(), leave.clone());
            let asked = asked_for(&desk.lead, desk.owner.as_ref(), &desk.policies, at(MONDAY));
            assert!(asked.reps.contains("cal"), "{:?}", asked.reps);
            assert_eq!(desk.tick(Some("2026-03-23T10:00:00Z")), Some(What::Taken(To::Member)));
            assert_eq!(desk.rep(), "bob");
            let words = explain(&desk.lead.progress).join("\n");
            assert!(words.contains(&format!("cal, who owns the customer by now, is {reason}")), "{words}");
        }
    }
    // Outside their hours they are still whose customer it is.
    let mut desk = Desk::new(&plain(), "bob", MONDAY);
    desk.owner = Some(Ownership { rep: "cal".to_owned(), team: None, since: at(MONDAY) });
    assert_eq!(desk.tick(Some("2026-03-23T23:00:00Z")), Some(What::Taken(To::Owner)));
}

#[test]
fn no_clock_runs_for_an_owner_who_was_not_told() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    let policies = policies(&plain());
    let schedule = policies.schedule("ann", Some("sdr"), None);
    desk.lead.progress.import = Some(Imported { batch: "spring".into(), row: 1, quiet: true });
    desk.lead.progress.start_clock(&policies, Some("sdr"), &schedule);
    assert!(desk.lead.progress.running().is_none(), "a quiet import");
    let by_hand = Act {
        what: "claim".to_owned(),
        by: "ann".to_owned(),
        at: at(MONDAY),
        reason: None,
        key: None,
        asked: None,
    };
    desk.lead.progress.acts.push(by_hand);
    desk.lead.progress.start_clock(&policies, Some("sdr"), &schedule);
    assert!(
        desk.lead.progress.running().is_some(),
        "given by somebody, its owner was told, though nobody had it before"
    );
}

#[test]
fn a_decision_that_does_not_follow_from_what_it_saw_is_noticed() {
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    while desk.tick(None).is_some() {}
    let stored = desk.lead.progress.clone();
    let mut tampered = |change: &dyn Fn(&mut Progress)| {
        desk.lead.progress = stored.clone();
        change(&mut desk.lead.progress);
        assert!(!desk.reproduced(), "{:#?}", desk.lead.progress);
    };
    let saw = |past: &mut Past, change: &dyn Fn(&mut Saw)| match &mut past.end {
        PastEnd::Silent { saw, .. } => change(saw),
        PastEnd::Given => unreachable!("nobody gave it away"),
    };
    tampered(&|progress| progress.past[1].assignment.rep = "ann".to_owned());
    tampered(&|progress| saw(&mut progress.past[0], &|saw| saw.passed = Some(59 * 60_000)));
    tampered(&|progress| saw(&mut progress.past[0], &|saw| saw.asked.clear()));
    tampered(&|progress| saw(&mut progress.past[0], &|saw| saw.owner = Some(("cal".to_owned(), None))));
    tampered(&|progress| progress.past[0].clock.as_mut().unwrap().reminded[0].saw = Some((7, 60_000)));
    tampered(&|progress| {
        progress.past[0].clock.as_mut().unwrap().reminded[1].mark.point = Point::percent(70)
    });
    tampered(&|progress| progress.assignment.as_mut().unwrap().rep = "bob".to_owned());
    // Decided before decisions kept what they saw: nothing is claimed about it.
    desk.lead.progress = stored.clone();
    saw(&mut desk.lead.progress.past[0], &|saw| *saw = Saw::default());
    assert!(desk.reproduced());
    let old: Reminder = serde_json::from_value(json!([50, 1_774_254_600_000_i64])).unwrap();
    assert_eq!((old.mark.point.value(), old.saw), (50, None));
}

proptest! {
    /// Whatever the documents say and whenever ticks come, a lead is taken at most `limit` times, from nobody twice, and
    /// the books agree with who has it.
    #[test]
    fn a_lead_comes_to_rest(
        within in 1u32..600,
        remind in prop::collection::btree_set(1u8..100, 0..4),
        limit in 1u32..5,
        catch_all in 0..3,
        lateness in prop::collection::vec(0i64..20_000_000, 30),
        first in prop::sample::select(vec!["ann", "bob", "cal"]),
    ) {
        let mut response = json!({"within": format!("{within}m"), "limit": limit});
        response["remind"] = remind.iter().map(|point| format!("{point}%")).collect();
        match catch_all {
            0 => {}
            1 => response["catch_all"] = json!({"rep": "boss"}),
            _ => response["catch_all"] = json!({"team": "last"}),
        }
        let mut desk = Desk::new(&response, first, MONDAY);
        let mut reminded = std::collections::BTreeSet::new();
        let mut ticks = lateness.into_iter();
        while let Some(tick) = desk.lead.progress.tick(&desk.lead.id) {
            let late = ticks.next().unwrap();
            let what = desk.fire(&tick, tick.at.plus_millis(late)).unwrap();
            if let What::Reminded(mark) = what {
                prop_assert!(reminded.insert((tick.n, mark.point)), "{mark:?} twice");
            }
            prop_assert_eq!(desk.fire(&tick, tick.at.plus_millis(late)), None);
        }
        let progress = &desk.lead.progress;
        prop_assert!(progress.reassignments() <= limit);
        let mut silent: Vec<&str> = progress.silent().collect();
        prop_assert!(!silent.contains(&desk.rep()));
        silent.sort_unstable();
        prop_assert!(silent.windows(2).all(|pair| pair[0] != pair[1]), "{silent:?}");
        for (team, state) in &desk.teams {
            let holds = |rep: &str| {
                let mine = progress.assignment.as_ref().is_some_and(|a| a.rep == rep && a.team.as_ref() == Some(team));
                u32::from(mine)
            };
            prop_assert!(state.grants.is_empty());
            for (rep, place) in &state.members {
                prop_assert_eq!(place.open, holds(rep), "{} of {}", rep, team);
            }
        }
        let stored: Progress = serde_json::from_value(serde_json::to_value(progress).unwrap()).unwrap();
        prop_assert_eq!(&stored, progress);
    }
}
