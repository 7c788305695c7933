//! What behaviour makes of people, in whatever order it comes.

use super::*;
use crate::customer::{Customer, Fact, Whole};
use crate::id::CustomerId;
use crate::pii::Pii;
use crate::policy::{Document, PolicySet};
use proptest::prelude::*;
use serde_json::{Value, json};

/// 2026-11-21T11:20:00Z, a Saturday.
const NOW: Timestamp = Timestamp(1_795_260_000_000);
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

pub(crate) fn policies(documents: &[Value]) -> PolicySet {
    let documents: Vec<Document> =
        documents.iter().map(|document| Document::from_json(document.clone()).unwrap()).collect();
    assert_eq!(crate::policy::check(&documents), []);
    PolicySet::build(1, documents).unwrap()
}

pub(crate) fn shop() -> PolicySet {
    policies(&[
        json!({"kind": "settings", "name": "default",
            "rfm": {"currency": "EUR", "tiers": [
                {"name": "vip", "money": 1000, "frequency": 3, "recency": "180d"},
                {"name": "regular", "frequency": 2},
            ]},
            "churn": {"warning": 2, "high": 4, "least": 4}}),
        json!({"kind": "lifecycle", "name": "default",
        "stages": ["potential", "new", "active", "loyal", "churned"],
        "moves": [
            {"to": "new", "from": ["potential"], "on": "order_completed"},
            {"to": "active", "from": ["new", "churned"], "on": "Order Completed"},
            {"to": "loyal", "from": ["active"], "when": "rfm.tier == 'vip'"},
            {"to": "active", "from": ["loyal"], "when": "rfm.tier != 'vip'"},
            {"to": "churned", "from": ["new", "active", "loyal"], "when": "silent_for('order_completed', '365d')"},
            {"to": "potential", "on": "account_closed", "where": "event.properties.final == true"},
        ]}),
        json!({"kind": "scoring", "name": "default",
            "fit": {
                "rules": [
                    {"name": "large", "when": "customer.employees >= 200", "points": 30},
                    {"name": "german", "when": "customer.country == 'DE'", "points": 10},
                    {"name": "free mail", "when": "domain(customer.email) == 'gmail.example'", "points": -20},
                ],
                "grades": [{"name": "A", "from": 30}, {"name": "B", "from": 10}]},
            "interest": {"half_life": "14d",
                "rules": [
                    {"name": "pricing", "on": "page_viewed", "where": "event.properties.path == '/pricing'", "points": 10},
                    {"name": "order", "on": "order_completed", "points": 20},
                ],
                "grades": [{"name": "warm", "from": 15}, {"name": "hot", "from": 40}]}}),
        json!({"kind": "segment", "name": "active-customers", "when": "count_in('order_completed', '90d') >= 1"}),
        json!({"kind": "segment", "name": "at-risk", "when": "stage != 'potential' && silent_for('60d')"}),
        json!({"kind": "segment", "name": "vip", "when": "rfm.tier == 'vip' || 'vip' in tags"}),
        json!({"kind": "segment", "name": "vip-at-risk", "when": "'vip' in segments && 'at-risk' in segments"}),
        json!({"kind": "segment", "name": "hot", "when": "score.interest >= 25 && score.fit_grade == 'A'"}),
        json!({"kind": "segment", "name": "unsettled", "when": "customer.leads > 0 && size(qualification.missing) > 0"}),
    ])
}

pub(crate) fn event(id: u32, name: &str, at: Timestamp, properties: Value) -> Event {
    let Value::Object(properties) = properties else { panic!("properties are an object") };
    let kind = match name {
        "page_viewed" => EventKind::Page,
        "tag_added" | "tag_removed" | "stage_set" | "points_given" | "lead_qualified" => EventKind::Own,
        _ => EventKind::Track,
    };
    Event {
        id: EventId::derived(&["test", &id.to_string()]),
        kind,
        name: name.to_owned(),
        source: "shop".to_owned(),
        at,
        received: at,
        properties: Pii::new(properties),
        traits: Pii::default(),
        context: Pii::default(),
    }
}

pub(crate) fn customer(facts: &[(&str, &str)]) -> Customer {
    let mut customer = Customer::new(CustomerId::derived(&["one"]), NOW.plus_millis(-400 * DAY));
    for (name, value) in facts {
        let fact = Fact { value: (*value).to_owned().into(), at: NOW, said: None, tie: None };
        customer.facts.insert((*name).to_owned(), fact);
    }
    customer
}

/// One person with one record, as a function keeps it.
pub(crate) struct One {
    pub(crate) customer: Customer,
    pub(crate) live: Live,
    pub(crate) policies: PolicySet,
    pub(crate) next: Option<Timestamp>,
}

impl One {
    pub(crate) fn new(policies: PolicySet) -> Self {
        let live = Live::new(&policies.live);
        let customer = customer(&[("country", "DE"), ("employees", "250")]);
        Self { customer, live, policies, next: None }
    }

    /// An event happens now.
    pub(crate) fn does(&mut self, id: u32, name: &str, at: Timestamp, properties: Value) -> Vec<Happening> {
        let event = event(id, name, at, properties);
        let applied = self.live.apply(&event, &self.policies.live, at);
        let mut happenings = applied.happenings;
        happenings.extend(self.looks(applied.changed, at));
        happenings
    }

    pub(crate) fn looks(&mut self, changed: Changed, now: Timestamp) -> Vec<Happening> {
        let whole = Whole { root: &self.customer, halves: Vec::new() };
        let person = Person { whole, halves: Vec::new() };
        let look = look(&person, &mut self.live, &self.policies, changed, now);
        self.live.version += 1;
        self.live.arm(look.next, now);
        self.next = self.live.check;
        look.happenings
    }

    /// Time goes by; whatever is due is looked at when it is due. What happened, with when.
    pub(crate) fn waits(&mut self, until: Timestamp) -> Vec<(Timestamp, Happening)> {
        let mut all = Vec::new();
        while let Some(at) = self.live.check.filter(|at| *at <= until) {
            let token = self.live.waits_for().unwrap();
            assert!(self.live.woke(&token) && !self.live.woke(&token));
            all.extend(self.looks(Changed::time(), at).into_iter().map(|happening| (at, happening)));
        }
        all
    }

    fn stage(&self) -> &str {
        self.live.stage().stage().unwrap_or("potential")
    }
}

fn names(happenings: &[Happening]) -> Vec<String> {
    let text = |happening: &Happening| {
        let properties = happening.properties();
        let said = properties.as_object().unwrap().values().map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        format!("{} {}", happening.name(), said.collect::<Vec<_>>().join(" "))
    };
    happenings.iter().map(text).collect()
}

fn order(id: &str, total: u32) -> Value {
    json!({"order_id": id, "total": total, "currency": "EUR"})
}

#[test]
fn orders_move_a_customer_on_and_silence_moves_them_back() {
    let mut one = One::new(shop());
    let first = one.does(1, "Order Completed", NOW, order("a", 20));
    assert_eq!(
        names(&first),
        [
            "stage_changed potential new",
            "score_changed fit  A",
            "score_changed interest  warm",
            "segment_entered active-customers",
        ]
    );
    assert_eq!(one.stage(), "new");
    let second = one.does(2, "order_completed", NOW.plus_millis(DAY), order("b", 500));
    assert!(names(&second).contains(&"stage_changed new active".to_owned()), "{second:?}");
    assert!(names(&second).contains(&"tier_changed  regular".to_owned()), "{second:?}");
    let third = one.does(3, "order_completed", NOW.plus_millis(2 * DAY), order("c", 600));
    let third = names(&third);
    for wanted in ["tier_changed regular vip", "segment_entered vip", "stage_changed active loyal"] {
        assert!(third.contains(&wanted.to_owned()), "{third:?}");
    }
    // From here on time alone does it, each at its time.
    let later = one.waits(NOW.plus_millis(500 * DAY));
    let days = |at: Timestamp| (at.since(NOW) as f64 / DAY as f64).round() as i64 - 2;
    let told: Vec<String> = later
        .iter()
        .map(|(at, happening)| format!("{} {}", days(*at), names(std::slice::from_ref(happening))[0]))
        .collect();
    for wanted in [
        "60 segment_entered at-risk",
        "60 segment_entered vip-at-risk",
        "90 segment_left active-customers",
        "180 tier_changed vip regular",
        "180 stage_changed loyal active",
        "365 stage_changed active churned",
    ] {
        assert!(told.contains(&wanted.to_owned()), "{wanted}: {told:#?}");
    }
    assert_eq!(one.stage(), "churned");
    let back = one.does(4, "order_completed", NOW.plus_millis(500 * DAY), order("d", 10));
    let back = names(&back);
    assert!(back.contains(&"stage_changed churned active".to_owned()), "{back:?}");
    assert!(back.contains(&"segment_left at-risk".to_owned()), "{back:?}");
    let history: Vec<&str> = one.live.stage().history().iter().map(|(_, stage)| stage.as_str()).collect();
    assert_eq!(
        history,
        ["new", "active", "loyal", "active", "churned", "active", "loyal"],
        "and a vip again"
    );
}

#[test]
fn a_late_event_takes_its_place_and_moves_nobody_back() {
    let policies = shop();
    let close = |id, at| event(id, "account_closed", at, json!({"final": true}));
    let buy = |id, at| event(id, "order_completed", at, order(&id.to_string(), 1));
    let mut live = Live::new(&policies.live);
    live.apply(&buy(1, NOW), &policies.live, NOW);
    live.apply(&close(2, NOW.plus_millis(-DAY)), &policies.live, NOW);
    assert_eq!(live.stage().stage(), Some("new"), "it was closed before the order");
    live.apply(&buy(3, NOW.plus_millis(-HOUR)), &policies.live, NOW);
    assert_eq!(live.stage().stage(), Some("active"), "the late order was the first of two");
    live.apply(
        &event(4, "account_closed", NOW.plus_millis(HOUR), json!({"final": false})),
        &policies.live,
        NOW,
    );
    assert_eq!(live.stage().stage(), Some("active"), "its `where` does not hold");
}

#[test]
fn a_late_order_among_many_views_still_counts_for_the_stage() {
    let policies =
        policies(&[json!({"kind": "lifecycle", "name": "default", "stages": ["cold", "warm", "bought"],
        "moves": [
            {"to": "warm", "from": ["cold"], "on": "page_viewed"},
            {"to": "bought", "from": ["warm"], "on": "order_completed"},
        ]})]);
    let mut live = Live::new(&policies.live);
    for i in 0..100 {
        let at = NOW.plus_millis(i64::from(i) * HOUR);
        live.apply(&event(i, "page_viewed", at, json!({})), &policies.live, at);
    }
    let late = NOW.plus_millis(50 * HOUR + 1);
    live.apply(&event(999, "order_completed", late, json!({})), &policies.live, NOW.plus_millis(200 * HOUR));
    assert_eq!(live.stage().stage(), Some("bought"));
    assert!(serde_json::to_string(&live).unwrap().len() < 1024);
}

#[test]
fn what_a_stage_was_stays_when_the_document_changes() {
    let mut one = One::new(shop());
    one.does(1, "order_completed", NOW, order("a", 20));
    one.policies =
        policies(&[json!({"kind": "lifecycle", "name": "default", "stages": ["potential", "new", "gone"],
        "moves": [{"to": "gone", "from": ["new"], "on": "account_closed"}]})]);
    assert_eq!(one.stage(), "new");
    one.does(2, "account_closed", NOW.plus_millis(DAY), json!({}));
    assert_eq!(one.stage(), "gone");
    assert_eq!(one.live.stage().history()[0], (NOW, "new".to_owned()));
}

#[test]
fn an_orders_newest_word_counts_and_refunds_are_taken_off() {
    let policies = shop();
    let mut live = Live::new(&policies.live);
    let mut n = 0;
    let mut say = |live: &mut Live, name: &str, hours: i64, properties: Value| {
        n += 1;
        live.apply(&event(n, name, NOW.plus_millis(hours * HOUR), properties), &policies.live, NOW);
        let bought = live.orders().bought();
        (bought.orders, bought.money)
    };
    assert_eq!(say(&mut live, "Order Completed", 0, order("a", 100)), (1, 10_000));
    assert_eq!(say(&mut live, "order_updated", 2, order("a", 80)), (1, 8_000));
    assert_eq!(say(&mut live, "order_updated", 1, order("a", 90)), (1, 8_000), "it is older");
    assert_eq!(say(&mut live, "order_refunded", 3, order("a", 30)), (1, 5_000));
    assert_eq!(
        say(&mut live, "order_refunded", 4, order("b", 25)),
        (1, 5_000),
        "of an order that is still to come"
    );
    assert_eq!(say(&mut live, "order_completed", 3, json!({"order_id": "b", "total": "75.50"})), (2, 10_050));
    assert_eq!(say(&mut live, "order_refunded", 5, json!({"order_id": "a"})), (1, 5_050), "as a whole");
    let dollars = json!({"order_id": 7, "total": 999, "currency": "USD"});
    assert_eq!(say(&mut live, "order_completed", 6, dollars), (2, 5_050), "money is in euros");
    for i in 0..40u32 {
        say(&mut live, "order_completed", i64::from(i) + 10, order(&format!("n{i}"), 10));
    }
    assert_eq!(say(&mut live, "order_cancelled", 60, order("n39", 10)), (41, 44_050));
    assert!(serde_json::to_string(live.orders()).unwrap().len() < 1500);
}

#[test]
fn the_three_things_are_asked_for_until_all_are_settled() {
    let mut one = One::new(shop());
    one.customer.leads = 1;
    one.looks(Changed::everything(), NOW);
    assert!(one.live.segments().any(|(name, _)| name == "unsettled"));
    let said = one.does(1, "lead_qualified", NOW, json!({"need": "new roof", "grade": "A"}));
    assert_eq!(names(&said), ["qualification_changed [\"quantified\"]"]);
    let said =
        one.does(2, "lead_qualified", NOW.plus_millis(1), json!({"amount": 5000, "date": "2027-02-30"}));
    assert_eq!(names(&said), ["qualification_changed [\"quantified\"]"], "there is no such day");
    let said = one.does(3, "lead_qualified", NOW.plus_millis(2), json!({"date": "2027-02-28"}));
    assert_eq!(names(&said), ["qualification_changed []", "segment_left unsettled"]);
    let late = one.does(4, "lead_qualified", NOW.plus_millis(-1), json!({"grade": "D"}));
    assert_eq!(late, [], "what was said before is no news");
    assert_eq!(one.live.qualification().shown()["grade"], "A");
}

#[test]
fn tags_end_by_themselves_and_only_our_own_events_give_them() {
    let mut one = One::new(shop());
    one.looks(Changed::everything(), NOW);
    let until = NOW.plus_millis(3 * DAY);
    let given = one.does(1, "tag_added", NOW, json!({"tag": "vip", "until": until.millis()}));
    assert_eq!(names(&given), ["tagged vip", "segment_entered vip"]);
    let again = one.does(2, "tag_added", NOW.plus_millis(1), json!({"tag": "vip", "until": until.millis()}));
    assert_eq!(again, []);
    let ended = one.waits(NOW.plus_millis(10 * DAY));
    let told: Vec<_> = ended.iter().map(|(at, happening)| (at.since(until), happening.name())).collect();
    assert_eq!(told, [(0, "tag_expired"), (0, "segment_left")]);
    let mut stranger = event(3, "tag_added", NOW, json!({"tag": "vip"}));
    stranger.kind = EventKind::Track;
    assert_eq!(Deed::of(&stranger), None);
}

#[test]
fn what_is_done_reads_the_same_from_its_event() {
    for deed in [
        Deed::Tag { tag: "vip".into(), until: Some(NOW) },
        Deed::Tag { tag: "vip".into(), until: None },
        Deed::Untag { tag: "vip".into() },
        Deed::Stage { stage: "new".into() },
        Deed::Points { points: -5, reason: "bounced".into() },
        Deed::Qualify { said: Pii::new(json!({"need": "x"}).as_object().unwrap().clone()) },
    ] {
        let (name, said) = deed.told();
        assert_eq!(Deed::of(&event(1, name, NOW, Value::Object(said))), Some(deed));
    }
}

#[test]
fn silence_is_measured_by_the_persons_own_habit() {
    let mut one = One::new(shop());
    for week in 0..6 {
        one.does(week, "page_viewed", NOW.plus_millis(i64::from(week) * 7 * DAY), json!({}));
    }
    let last = NOW.plus_millis(35 * DAY);
    assert_eq!(one.live.rhythm().median(4), Some(7 * DAY));
    let told: Vec<_> = one
        .waits(last.plus_millis(100 * DAY))
        .into_iter()
        .filter(|(_, happening)| happening.name() == "churn_changed")
        .map(|(at, happening)| (at.since(last) / DAY, names(&[happening])[0].clone()))
        .collect();
    assert_eq!(
        told,
        [(14, "churn_changed none warning".to_owned()), (28, "churn_changed warning high".to_owned())]
    );
    let back = one.does(99, "page_viewed", last.plus_millis(100 * DAY), json!({}));
    assert!(names(&back).contains(&"churn_changed high none".to_owned()));
}

#[test]
fn points_fade_below_a_grade_without_an_event() {
    let mut one = One::new(shop());
    one.looks(Changed::everything(), NOW);
    for i in 0..3 {
        one.does(i, "page_viewed", NOW, json!({"path": "/pricing"}));
    }
    one.does(9, "page_viewed", NOW, json!({"path": "/"}));
    assert_eq!(one.live.interest(NOW).lines().len(), 3);
    assert!(one.live.segments().any(|(name, _)| name == "hot"));
    let told = one.waits(NOW.plus_millis(40 * DAY));
    let days = |at: &Timestamp| at.since(NOW) as f64 / DAY as f64;
    let left = told.iter().find(|(_, happening)| happening.name() == "segment_left").unwrap();
    assert!((days(&left.0) - 14.0 * (30.0_f64 / 25.0).log2()).abs() < 0.01, "{told:?}");
    let cold = told.iter().find(|(_, happening)| happening.name() == "score_changed").unwrap();
    assert!((days(&cold.0) - 14.0).abs() < 0.01, "{told:?}");
}

#[test]
fn the_state_of_a_usual_customer_is_small() {
    let mut one = One::new(shop());
    for i in 0..30 {
        let at = NOW.plus_millis(i64::from(i) * 2 * DAY);
        one.does(i, "page_viewed", at, json!({"path": "/pricing"}));
        if i % 10 == 0 {
            one.does(1000 + i, "order_completed", at, order(&i.to_string(), 400));
        }
    }
    one.does(5000, "tag_added", NOW, json!({"tag": "newsletter"}));
    one.does(
        5001,
        "lead_qualified",
        NOW,
        json!({"need": "roof", "grade": "A", "amount": 5, "date": "2027-01-01"}),
    );
    let text = serde_json::to_string(&one.live).unwrap();
    let read: Live = serde_json::from_str(&text).unwrap();
    assert_eq!(Live { version: one.live.version, ..read }, one.live);
    assert!(text.len() <= 1100, "{} bytes: {text}", text.len());
}

#[test]
fn a_record_without_a_state_enters_old_segments_in_silence_and_new_ones_as_they_say() {
    let mut shop = shop();
    shop.live.segments_since(|_| 1);
    let mut one = One::new(shop);
    one.live = Live::default();
    one.customer.leads = 1;
    assert_eq!(
        names(&one.looks(Changed::everything(), NOW)),
        ["score_changed fit  A"],
        "it was in the segment before anybody looked"
    );
    assert!(one.live.segments().any(|(name, _)| name == "unsettled"));
    for (trigger, told) in [(false, 0), (true, 1)] {
        let document = json!({"kind": "segment", "name": "german", "when": "customer.country == 'DE'", "trigger": trigger});
        let mut published = policies(&[document]);
        published.live.version = 7;
        published.live.segments_since(|_| 7);
        let mut again = One { live: one.live.clone(), policies: published, ..One::new(policies(&[])) };
        // Any event is looked at with what is new.
        let happened = again.does(1, "page_viewed", NOW, json!({}));
        let entered = happened.iter().filter(|happening| happening.name() == "segment_entered").count();
        assert_eq!(entered, told, "{trigger}");
        assert!(again.live.segments().any(|(name, _)| name == "german"));
        assert!(!first_look_is_due(&again.live, &again.policies.live));
    }
}

#[test]
fn a_segment_is_not_entered_on_the_way_to_a_stage_that_it_does_not_ask_for() {
    let mut one = One::new(policies(&[
        json!({"kind": "lifecycle", "name": "default", "stages": ["new", "churned"],
            "moves": [{"to": "churned", "from": ["new"], "when": "silent_for('x', '20d')"}]}),
        json!({"kind": "segment", "name": "a-quiet", "when": "stage == 'new' && silent_for('10d')"}),
        json!({"kind": "segment", "name": "z-quiet", "when": "silent_for('10d')"}),
        json!({"kind": "segment", "name": "b-only", "when": "'z-quiet' in segments && !('c-too' in segments)"}),
        json!({"kind": "segment", "name": "c-too", "when": "'z-quiet' in segments"}),
    ]));
    let told = names(&one.looks(Changed::everything(), NOW));
    assert_eq!(told, ["stage_changed new churned", "segment_entered z-quiet", "segment_entered c-too"]);
}

#[test]
fn points_that_were_given_outlast_a_recount() {
    let shop = shop();
    let mut live = Live::new(&shop.live);
    let points = Deed::Points { points: 7, reason: "journey welcome".to_owned() };
    live.do_now(&points, Instant::look(NOW), &shop.live, NOW);
    let counted = recount(&live, Live::default(), &shop.live);
    assert!((counted.interest(NOW).value(NOW) - 7.0).abs() < 0.01);
}

#[test]
fn halves_are_read_as_one_person() {
    let shop = shop();
    let (mut root, mut half) = (Live::new(&shop.live), Live::new(&shop.live));
    half.apply(&event(1, "order_completed", NOW.plus_millis(-DAY), order("a", 600)), &shop.live, NOW);
    half.apply(&event(2, "tag_added", NOW, json!({"tag": "x"})), &shop.live, NOW);
    root.apply(&event(3, "order_completed", NOW, order("b", 600)), &shop.live, NOW);
    let customer = customer(&[]);
    let person = Person { whole: Whole { root: &customer, halves: Vec::new() }, halves: vec![&half] };
    let view = View::of(&person, &root, &shop, NOW);
    assert_eq!((view.stage(), view.tier(), view.bought().money), ("active", "regular", 120_000));
    assert!(view.live().tags().holds("x", NOW));
    let asks =
        crate::condition::Condition::compile("count_in('order_completed', '90d') >= 1 && rfm.frequency == 2");
    assert_eq!(view.holds(&asks.unwrap(), None), Ok(true));
}

fn any_event() -> impl Strategy<Value = (String, i64, Value)> {
    let at = (0..60i64).prop_map(|hours| hours * 5 * HOUR);
    let what = prop_oneof![
        3 => Just(("page_viewed".to_owned(), json!({"path": "/pricing"}))),
        2 => (0..4u8, 1..500u32).prop_map(|(id, total)| ("order_completed".to_owned(), order(&id.to_string(), total))),
        1 => (0..4u8, 1..500u32).prop_map(|(id, total)| ("order_updated".to_owned(), order(&id.to_string(), total))),
        1 => (0..4u8, 1..50u32).prop_map(|(id, total)| ("order_refunded".to_owned(), order(&id.to_string(), total))),
        1 => Just(("account_closed".to_owned(), json!({"final": true}))),
        1 => "[ab]".prop_map(|tag| ("tag_added".to_owned(), json!({"tag": tag}))),
        1 => "[ab]".prop_map(|tag| ("tag_removed".to_owned(), json!({"tag": tag}))),
        1 => "[ABC]".prop_map(|grade| ("lead_qualified".to_owned(), json!({"grade": grade}))),
        1 => (-9..9i32).prop_map(|points| ("points_given".to_owned(), json!({"points": points, "reason": "by hand"}))),
    ];
    (what, at).prop_map(|((name, properties), at)| (name, at, properties))
}

fn counted(events: &[Event], policy: &LivePolicy, now: Timestamp) -> Live {
    let mut counted = Live::default();
    for event in events {
        counted.apply(event, policy, now);
    }
    counted
}

fn applied(events: &[Event], policy: &LivePolicy) -> Live {
    let mut live = Live::new(policy);
    for event in events {
        live.apply(event, policy, NOW.plus_millis(13 * DAY));
    }
    live
}

proptest! {
    #[test]
    fn whatever_order_events_come_in_the_state_is_the_same(
        (sorted, shuffled) in proptest::collection::vec(any_event(), 0..14).prop_flat_map(|all| {
            let events: Vec<Event> = all.into_iter().enumerate()
                .map(|(i, (name, at, said))| event(i as u32, &name, NOW.plus_millis(at), said)).collect();
            let mut sorted = events.clone();
            sorted.sort_by(|a, b| a.order().cmp(&b.order()));
            (Just(sorted), Just(events).prop_shuffle())
        }),
    ) {
        let policies = shop();
        let live = applied(&shuffled, &policies.live);
        prop_assert_eq!(&live, &applied(&sorted, &policies.live));
        // Stored and read in between it is the same too.
        let text = serde_json::to_string(&live).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Live>(&text).unwrap(), &live);
        // Two records that are read as one are as one record that has it all.
        let (left, right) = shuffled.split_at(shuffled.len() / 2);
        let now = NOW.plus_millis(13 * DAY);
        let mut both = applied(left, &policies.live);
        both.merge(&applied(right, &policies.live), &policies.live, now);
        prop_assert_eq!(&both, &live);
        // Counted anew from its entries a record is as it was.
        prop_assert_eq!(&recount(&live, counted(&shuffled, &policies.live, now), &policies.live), &live);
    }

    #[test]
    fn a_look_at_nothing_new_finds_nothing(
        all in proptest::collection::vec(any_event(), 0..20),
    ) {
        let mut one = One::new(shop());
        let mut at = NOW;
        for (i, (name, hours, said)) in all.into_iter().enumerate() {
            at = at.plus_millis(hours);
            one.waits(at);
            one.does(i as u32, &name, at, said);
            // The index has missed nobody: a look at everything finds no more.
            prop_assert_eq!(one.looks(Changed::everything(), at), []);
        }
    }
}

#[test]
fn a_count_that_is_new_is_counted_from_the_entries() {
    let before = shop();
    let entries: Vec<Event> =
        (0..5).map(|i| event(i, "video_watched", NOW.plus_millis(-i64::from(i) * DAY), json!({}))).collect();
    let mut live = applied(&entries, &before.live);
    live.apply(&event(9, "tag_added", NOW, json!({"tag": "x"})), &before.live, NOW);
    let after = policies(&[
        json!({"kind": "segment", "name": "viewers", "when": "count_in('video_watched', '3d') >= 3"}),
    ]);
    let asks = &after.live.segments["viewers"].condition;
    assert!(after.live.answers(asks) && !before.live.answers(asks));
    assert!(live.is_counted_by(&before.live) && !live.is_counted_by(&after.live));
    let counted = recount(&live, counted(&entries, &after.live, NOW), &after.live);
    assert!(counted.is_counted_by(&after.live));
    assert_eq!(counted.seen("video_watched").unwrap().count(3 * DAY, NOW), 3);
    assert!(counted.tags().holds("x", NOW));
}
