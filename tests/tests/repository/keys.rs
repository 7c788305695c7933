//! Keys: what a constructor writes its parser reads, and no two kinds of item can meet.

use sluice_domain::customer::AddressHash;
use sluice_domain::id::{AuditId, CustomerId, EndpointId, EventId, LeadId, MessageId, ProofId};
use sluice_domain::insight::Cell;
use sluice_domain::lead::{LeadState, MarkKind};
use sluice_domain::message::Channel;
use sluice_domain::speed::Group;
use sluice_domain::time::Timestamp;
use sluice_store::keys;
use std::collections::BTreeSet;

const TIMES: [i64; 4] = [0, 1, 1_795_260_000_000, 9_999_999_999_999];

#[test]
fn every_constructor_round_trips_with_its_parser() {
    let hash = AddressHash::from_text("2.MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_eq!(keys::parse_address(&keys::address(&hash)), Some(hash.clone()));
    assert_eq!(keys::parse_block(&keys::block(&hash)), Some(hash));
    for name in ["sdr", "a#b", "größte"] {
        assert_eq!(keys::parse_team(&keys::team(name)), Some(name));
        assert_eq!(keys::parse_rep(&keys::rep(name)), Some(name));
        assert_eq!(keys::parse_leave(&keys::leave(name)), Some(name));
        assert_eq!(keys::parse_alarm(&keys::alarm(name)), Some(name));
        assert_eq!(keys::parse_company(&keys::company(name)), Some(name));
    }
    let lead = LeadId::derived(&["form", "contact", "1"]);
    for at in TIMES.map(Timestamp) {
        let message = keys::notice(at, &lead, "assigned", 3, "email");
        assert_eq!(keys::parse_notice_lead(&message), Some(lead.clone()));
        assert_eq!(keys::parse_notice(&message), Some((lead.clone(), "assigned", 3)));
        let reminder = keys::notice(at, &lead, "reminder50.", 12, "webhook");
        assert_eq!(keys::parse_notice(&reminder), Some((lead.clone(), "reminder50.", 12)));
        let over_two = ["email", "webhook"].map(|channel| keys::notice(at, &lead, "assigned", 3, channel));
        assert_eq!(keys::notices_of_one(&over_two[0]), keys::notices_of_one(&over_two[1]));
        assert!(over_two.iter().all(|one| keys::notices_of_one(one) < one.as_str()));
        let proof = ProofId::derived(&["form", lead.as_str()]);
        assert_eq!(keys::parse_proof(&keys::proof(at, &proof)), Some((at, proof)));
        let audited = AuditId::derived(&["x"]);
        assert_eq!(keys::parse_audit(&keys::audit(at, &audited)), Some((at, audited)));
        assert_eq!(keys::parse_due_at(&keys::due_at(at, "id#with#signs")), Some((at, "id#with#signs")));
    }
    let customer = CustomerId::derived(&["x"]);
    for at in TIMES.map(Timestamp) {
        let id = MessageId::of(&customer, at, &["api", "welcome", "1"]);
        assert_eq!(keys::parse_message(customer.as_str(), &keys::message(&id)), Some(id));
    }
    for channel in Channel::ALL {
        let hash = AddressHash::from_text("2.MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw~app");
        assert_eq!(keys::parse_gate(&keys::gate(channel, &hash)), Some((channel, hash.clone())));
        assert_eq!(keys::parse_consent(&keys::consent(channel, &hash)), Some((channel, hash)));
        assert_eq!(keys::parse_pace(&keys::pace(channel)), Some(channel));
    }
    let event = EventId::derived(&["site", "1"]);
    assert_eq!(keys::parse_entry(&keys::entry(&event)), Some(event));
    assert_eq!(keys::parse_run(&keys::run("welcome")), Some("welcome"));
    let told = keys::told(Timestamp(1), &customer, "0123456789abcdef", "email");
    assert_eq!(keys::parse_told(&told), Some(customer.clone()));
    assert_eq!(keys::parse_notice(&told), None, "no lead's");
    assert_eq!(keys::parse_asked(&keys::asked("ab12")), Some("ab12"));
    assert_eq!(keys::parse_word(&keys::word("ab12")), Some("ab12"));
    for kind in MarkKind::ALL {
        assert_eq!(keys::parse_mark(&keys::mark(kind)), Some(kind));
    }
    assert_eq!(keys::parse_contact(&keys::contact("ab12")), Some("ab12"));
    assert_eq!(keys::parse_post(&keys::post("ab12")), Some("ab12"));
    for day in ["2026-02-28", "2027-12-01"] {
        let name = |text: &str| text.to_owned();
        let group = Group {
            day: day.parse().unwrap(),
            source: name("web-1"),
            team: String::new(),
            rep: name("li.wei"),
        };
        let (pk, sk) = keys::speed_of(&group);
        assert_eq!(keys::parse_speed(&pk, &sk), Some(group));
    }
    for day in ["2026-02-28", "2027-12-01"] {
        for text in [
            "source/web-1",
            "source/web-1#ad/google/spring 2027",
            "team/dach#rep/li.wei",
            "step/welcome/send.hello",
            "nothing",
        ] {
            let (day, cell) = (day.parse().unwrap(), Cell::parse(text).unwrap());
            let (pk, sk) = keys::counter(day, &cell, keys::counter_part(&customer));
            let begins = cell.keys().map(Cell::counting_for).collect::<Vec<_>>();
            assert!(begins.iter().all(|begin| begin.iter().any(|begin| sk.starts_with(begin))), "{begins:?}");
            assert_eq!(keys::parse_counter(&pk, &sk), Some((day, cell)));
        }
    }
    assert_eq!(keys::parse_campaign(&keys::campaign("spring-1")), Some("spring-1"));
    for n in [1, 1_234_567_890] {
        assert_eq!(keys::parse_broadcast(&keys::broadcast(n)), Some(n));
        assert_eq!(keys::parse_section(&keys::section(n, 7)), Some((n, 7)));
        assert_eq!(keys::parse_tally(&keys::tally("spring-1", n, 63)), Some(("spring-1", n, 63)));
        assert_eq!(keys::parse_parked(&keys::parked("spring-1", n, 0)), Some(("spring-1", n, 0)));
        assert_eq!(keys::parse_parked_at(&keys::parked_at(n, "a#b-1")), Some((n, "a#b-1")));
    }
    for version in [0, 1, 1_234_567_890] {
        assert_eq!(keys::parse_manifest(&keys::manifest(version)), Some(version));
    }
}

#[test]
fn a_key_of_one_kind_is_not_read_as_another() {
    assert_eq!(keys::parse_team(&keys::rep("ann")), None);
    assert_eq!(keys::parse_rep(&keys::team("ann")), None);
    assert_eq!(keys::parse_address(&keys::team("ann")), None);
    let id = |text: &str| CustomerId::derived(&[text]);
    let hash = AddressHash::from_text("1.x");
    let partitions = [
        LeadId::derived(&["x"]).to_string(),
        keys::address(&hash),
        keys::block(&hash),
        keys::customer(&id("x")).to_owned(),
        keys::team("x"),
        keys::rep("x"),
        keys::leave("x"),
        keys::company("x"),
        keys::due(1),
        keys::post("x"),
        keys::speed("2026-11"),
        keys::counters("2026-11", 3),
        keys::alarm("x"),
        keys::policy("x"),
        keys::MANIFEST.to_owned(),
        keys::TOKENS.to_owned(),
        keys::AUDIT.to_owned(),
        keys::gate(Channel::Email, &hash),
        keys::consent(Channel::Email, &hash),
        keys::pace(Channel::Email),
        EndpointId::derived(&["x"]).to_string(),
        keys::campaign("x"),
        keys::tally("x", 1, 0),
        keys::parked("x", 1, 0),
    ];
    let prefix = |pk: &String| pk.split(['#', '_']).next().unwrap_or_default().to_owned();
    let prefixes: BTreeSet<String> = partitions.iter().map(prefix).collect();
    assert_eq!(prefixes.len(), partitions.len(), "{prefixes:?}");
}

#[test]
fn times_sort_as_text_and_shards_stay_in_their_bounds() {
    let written: Vec<String> = TIMES.map(|at| keys::millis(Timestamp(at))).to_vec();
    assert!(written.is_sorted(), "{written:?}");
    assert!((0..15).map(keys::manifest).collect::<Vec<_>>().is_sorted());
    for n in 0..200 {
        let lead = LeadId::derived(&["form", &n.to_string()]);
        assert!(keys::shard_of(lead.as_str()) < keys::DUE_SHARDS);
        let open = keys::open(LeadState::Waiting, &lead);
        let shards: Vec<String> =
            (0..keys::OPEN_SHARDS).map(|shard| keys::open_shard(LeadState::Waiting, shard)).collect();
        assert!(shards.contains(&open), "{open}");
    }
}
