//! What a journey does, one thing at a time.

use super::super::{Exited, Input, Outcome, Run, Told, What, needs};
use super::{World, at, customer, event};
use crate::id::CustomerId;
use crate::policy::journey::Change;
use serde_json::{Value, json};

fn send(template: &str) -> Value {
    json!({"send": {"template": template, "topic": "product"}})
}

fn welcome() -> Value {
    json!({
        "trigger": {"event": "lead_captured"},
        "exit": {"event": "order_completed"},
        "goal": {"event": "order_completed", "within": "10d"},
        "steps": [
            send("welcome"),
            {"wait_for": {"event": "email_clicked", "within": "3d", "else": "nudge"}},
            {"notify": "owner"},
            {"end": {}},
            {"nudge": {"send": {"template": "nudge", "topic": "product"}}}
        ]
    })
}

#[test]
fn who_clicks_is_announced_and_who_does_not_is_reminded() {
    let mut clicks = World::new(welcome());
    clicks.event("Lead Captured", 0);
    clicks.event("email_clicked", 30);
    assert_eq!(clicks.told(), "1.1.send.welcome 1.3.notify.owner completed");

    let mut waits = World::new(welcome());
    waits.event("lead_captured", 0);
    waits.until(3 * 1_440);
    assert_eq!(waits.told(), "1.1.send.welcome 1.3.nudge completed");
    assert_eq!(waits.run().ended.as_ref().unwrap().at, at(3 * 1_440));
}

#[test]
fn an_order_names_the_step_and_is_the_same_however_often_it_is_decided() {
    let mut world = World::new(welcome());
    world.now = 7;
    let capture = event("lead_captured", "a", 5);
    let (first, again) =
        (world.decided(&Input::Event(&capture), false), world.decided(&Input::Event(&capture), false));
    assert_eq!(first.2, again.2);
    let orders: Vec<_> = first
        .2
        .iter()
        .filter_map(|effect| match &effect.what {
            What::Send { order, event } => Some((order, event)),
            _ => None,
        })
        .collect();
    let [(order, by)] = orders.as_slice() else { panic!("{orders:?}") };
    assert_eq!((order.cause.name.as_str(), order.cause.part.as_str()), ("j", "1.1.send.welcome"));
    assert_eq!((order.at, by.as_ref()), (at(5), Some(&capture.id)));
}

#[test]
fn only_what_happened_after_a_step_began_counts_for_it() {
    let mut world = World::new(welcome());
    world.event("lead_captured", 10);
    world.event("email_clicked", 9);
    assert_eq!(world.last(), "Happened before what is known already: it changes nothing now.");
    assert!(world.run().is_active());
    // Happened in time, and came when time had run out but nothing had been done about it.
    world.now = 4 * 1_440;
    world.input(&Input::Event(&event("email_clicked", "late", 11)));
    assert_eq!(world.told(), "1.1.send.welcome 1.3.notify.owner completed");
}

#[test]
fn what_happens_after_time_ran_out_counts_for_what_follows() {
    let journey = json!({
        "trigger": {"event": "go"},
        "steps": [
            {"wait_for": {"event": "a", "within": "10m"}},
            send("one"),
            {"wait_for": {"event": "a", "within": "10m", "else": "out"}},
            send("two"),
            {"out": "end"}
        ]
    });
    let mut world = World::new(journey);
    world.event("go", 0);
    // The event is there before the due entry is.
    world.event("a", 12);
    assert_eq!(world.told(), "1.2.send.one 1.4.send.two completed");
}

#[test]
fn the_goal_ends_it_and_counts_afterwards_too() {
    let mut world = World::new(welcome());
    world.event("lead_captured", 0);
    world.event("order_completed", 60);
    assert_eq!(world.run().ended.as_ref().unwrap().outcome, Outcome::Goal);
    assert_eq!(world.run().goal, Some(at(60)));

    let mut later = World::new(welcome());
    later.event("lead_captured", 0);
    later.until(4 * 1_440);
    later.event("order_completed", 5 * 1_440);
    assert_eq!(later.run().ended.as_ref().unwrap().outcome, Outcome::Completed);
    assert_eq!(later.run().goal, Some(at(5 * 1_440)));
    assert_eq!(later.effects.iter().filter(|effect| effect.what == What::Told(Told::Goal)).count(), 1);

    // Past its window it is only a way out.
    let mut journey = welcome();
    journey["goal"]["within"] = "1h".into();
    let mut out = World::new(journey);
    out.event("lead_captured", 0);
    out.event("order_completed", 61);
    assert_eq!(out.run().ended.as_ref().unwrap().outcome, Outcome::Exited(Exited::Event));
    assert_eq!(out.run().goal, None);
}

#[test]
fn a_condition_to_leave_is_noticed_when_something_changes_or_its_time_comes() {
    let journey = json!({
        "trigger": {"event": "go"}, "exit": {"when": "'out' in tags || score.now >= 1796085000"},
        "steps": [{"wait": "1d"}, send("late")]
    });
    let mut world = World::new(journey.clone());
    world.event("go", 0);
    world.seen.tags.insert("out".to_owned());
    world.input(&Input::Changed);
    assert_eq!(world.told(), "exited");

    let mut timed = World::new(journey);
    timed.seen.edge = Some(at(30));
    timed.event("go", 0);
    assert_eq!(timed.run().due.as_ref().unwrap().at, at(30));
    timed.until(30);
    assert_eq!(timed.told(), "exited");
}

#[test]
fn how_often_somebody_enters_is_as_the_document_says() {
    let with = |again: Value| {
        World::new(
            json!({"trigger": {"event": "go"}, "entry": {"again": again}, "steps": [{"wait": "10m"}, send("a")]}),
        )
    };
    let mut never = with(json!("never"));
    let mut after = with(json!("after_exit"));
    let mut always = with(json!("always"));
    let mut twice = with(json!({"at_most": 2, "per": "1h"}));
    for world in [&mut never, &mut after, &mut always, &mut twice] {
        for minute in [0, 5, 20, 40, 70] {
            world.until(minute);
            world.event("go", minute);
        }
        world.until(100);
    }
    assert_eq!(never.told(), "1.2.send.a completed");
    assert_eq!(after.told(), "1.2.send.a 2.2.send.a 3.2.send.a 4.2.send.a completed");
    // The one at 5 started over.
    assert_eq!(always.told(), "2.2.send.a 3.2.send.a 4.2.send.a 5.2.send.a completed");
    assert_eq!(twice.told(), "1.2.send.a 2.2.send.a 3.2.send.a completed");
    assert_eq!(twice.run().past, [at(20)]);
}

#[test]
fn those_held_out_get_nothing_and_their_goal_is_counted() {
    let mut journey = welcome();
    journey["hold_out"] = "50%".into();
    let (mut held, mut free) = (0, 0);
    for n in 0..200 {
        let mut world = World::new(journey.clone());
        world.customer = CustomerId::derived(&[&n.to_string()]);
        world.event("lead_captured", 0);
        world.event("order_completed", 10);
        assert_eq!(world.run().goal, Some(at(10)));
        match &world.run().ended.as_ref().unwrap().outcome {
            Outcome::HeldOut => {
                held += 1;
                assert_eq!(world.told(), "held_out");
            }
            _ => free += 1,
        }
    }
    assert!((70..=130).contains(&held) && held + free == 200, "{held} of 200");
}

#[test]
fn a_split_gives_each_their_own_way_and_as_many_as_it_says() {
    let journey = json!({
        "trigger": {"event": "go"}, "entry": {"again": "after_exit"},
        "steps": [{"split": {"a": 3, "b": 1}}, {"a": send("a")}, {"end": {}}, {"b": send("b")}]
    });
    let mut to_a = 0;
    for n in 0..400 {
        let mut world = World::new(journey.clone());
        world.customer = CustomerId::derived(&[&n.to_string()]);
        world.event("go", 0);
        world.event("go", 1);
        let told = world.told();
        let is_a = told == "1.2.a 2.2.a completed";
        assert!(is_a || told == "1.2.b 2.2.b completed", "{told}");
        to_a += i32::from(is_a);
    }
    assert!((260..=340).contains(&to_a), "{to_a} of 400");
}

#[test]
fn a_branch_sees_what_the_steps_before_it_changed() {
    let journey = json!({
        "trigger": {"event": "go"},
        "steps": [
            {"tag": "new"},
            {"branch": [{"when": "'new' in tags", "then": "yes"}, {"else": "no"}]},
            {"no": "end"},
            {"yes": send("yes")}
        ]
    });
    let mut world = World::new(journey.clone());
    world.event("go", 0);
    assert_eq!(world.told(), "1.1.tag.new 1.3.yes completed");

    // If it stops before it looked, a due entry goes on.
    let mut cut = World::new(journey);
    let go = event("go", "1", 0);
    let (seen, run, effects, _) = cut.decided(&Input::Event(&go), true);
    (cut.seen, cut.run) = (seen, run);
    cut.effects.extend(effects);
    assert_eq!(cut.told(), "1.1.tag.new");
    cut.until(0);
    assert_eq!(cut.told(), "1.1.tag.new 1.3.yes completed");
}

#[test]
fn during_a_pause_nobody_enters_nobody_moves_and_nobody_is_ejected() {
    let mut paused = welcome();
    paused["paused"] = true.into();
    let mut world = World::new(welcome());
    world.event("lead_captured", 0);
    world.publish(paused.clone());
    world.until(4 * 1_440);
    assert_eq!(world.told(), "1.1.send.welcome");
    assert!(world.run().is_active() && world.run().dues < 20, "{:?}", world.run());
    world.publish(welcome());
    world.input(&Input::Publish);
    assert_eq!(world.told(), "1.1.send.welcome 1.3.nudge completed");

    let mut closed = World::new(paused);
    closed.event("lead_captured", 0);
    assert_eq!((closed.run.as_ref(), closed.last()), (None, "The journey is paused: nobody enters."));
}

#[test]
fn people_in_flight_finish_their_version_unless_the_author_says_otherwise() {
    let shorter = |on_publish: Value| {
        json!({
            "trigger": {"event": "lead_captured"}, "on_publish": on_publish,
            "steps": [
                send("welcome"),
                {"wait_for": {"event": "email_clicked", "within": "1d", "else": "bye"}},
                {"end": {}},
                {"bye": send("bye")}
            ]
        })
    };
    let published = |on_publish: Value| {
        let mut world = World::new(welcome());
        world.event("lead_captured", 0);
        world.publish(shorter(on_publish));
        assert_eq!(needs(world.run.as_ref(), Some(world.flow())), Some(1));
        world.now = 10;
        world.input(&Input::Publish);
        world
    };
    let mut finish = published(json!("finish"));
    finish.until(5 * 1_440);
    assert_eq!(finish.told(), "1.1.send.welcome 1.3.nudge completed");

    assert_eq!(published(json!("exit")).told(), "1.1.send.welcome exited");

    // The step of the same name goes on with the time of the new version, from when it began.
    let mut same = published(json!({"migrate": {}}));
    assert_eq!(same.run().due.as_ref().unwrap().at, at(1_440));
    same.until(1_440);
    assert_eq!(same.told(), "1.1.send.welcome 1.3.bye completed");

    let moved = published(json!({"migrate": {"wait_for.email_clicked": "bye"}}));
    assert_eq!(moved.told(), "1.1.send.welcome 1.3.bye completed");

    // A step that the new version does not have.
    let mut world = World::new(
        json!({"trigger": {"event": "lead_captured"}, "steps": [{"old": {"wait": "1h"}}, send("a")]}),
    );
    world.event("lead_captured", 0);
    world.publish(shorter(json!({"migrate": {}})));
    world.until(60);
    assert_eq!(world.told(), "1.2.send.a completed");
}

#[test]
fn a_journey_that_is_removed_is_left() {
    let mut world = World::new(welcome());
    world.event("lead_captured", 0);
    world.policies.journeys.clear();
    world.input(&Input::Publish);
    assert_eq!(world.run().ended.as_ref().unwrap().outcome, Outcome::Exited(Exited::Removed));
    let ended = world.effects.iter().filter(|effect| effect.what == What::Told(Told::Ended));
    assert_eq!(ended.map(|effect| effect.part.as_str()).collect::<Vec<_>>(), ["1.journey_ended"]);
}

#[test]
fn a_message_that_may_not_go_out_can_end_it() {
    let mut world = World::new(welcome());
    world.event("lead_captured", 0);
    world.input(&Input::Stopped { part: "2.1.send.welcome", at: at(0) });
    assert!(world.run().is_active(), "another run's message");
    world.input(&Input::Stopped { part: "1.1.send.welcome", at: at(0) });
    assert_eq!(world.run().ended.as_ref().unwrap().outcome, Outcome::Exited(Exited::Message));
}

#[test]
fn of_two_runs_of_one_person_the_later_one_gives_way() {
    let other = CustomerId::derived(&["the same"]);
    let with = |entered| {
        let mut world = World::new(welcome());
        world.event("lead_captured", 10);
        world.input(&Input::Merge { with: &other, entered: at(entered) });
        world.told()
    };
    assert_eq!(with(9), "1.1.send.welcome merged");
    assert_eq!(with(11), "1.1.send.welcome");
    // Entered at one instant, the two still agree on who stays.
    let stays = with(10) == "1.1.send.welcome";
    assert_eq!(stays, customer() < other);
}

#[test]
fn who_is_in_it_with_another_record_does_not_enter() {
    let mut world = World::new(welcome());
    world.event("lead_captured", 0);
    let half: Run = world.run.take().unwrap();
    let given = super::super::Given {
        customer: &customer(),
        current: Some(world.flow()),
        pinned: None,
        others: &[&half],
        sees: &world.seen,
        now: at(5),
    };
    let again = event("lead_captured", "b", 5);
    let decision = super::super::advance(None, &Input::Event(&again), &given);
    assert_eq!((decision.run, decision.why), (None, vec![super::super::Reason::InElsewhere]));
}

#[test]
fn segments_stages_forms_and_other_journeys_make_people_enter() {
    let journey = json!({
        "trigger": [
            {"segment": "vips"}, {"segment": "sleepers", "change": "left"},
            {"stage": "active"}, {"form": "contact"}
        ],
        "entry": {"again": "after_exit"}, "steps": [send("a")]
    });
    let mut world = World::new(journey);
    let segment = |name, change| Input::Segment { name, change, at: at(0) };
    let stage = |to| Input::Stage { to, at: at(0) };
    let mut lead = event("lead_captured", "x", 0);
    let mut entered = 0;
    let mut enters = |world: &mut World, input: &Input<'_>, yes: bool| {
        world.input(input);
        entered += u32::from(yes);
        assert_eq!(world.run.as_ref().map_or(0, |run| run.n), entered, "{input:?}");
    };
    enters(&mut world, &segment("vips", Change::Left), false);
    enters(&mut world, &segment("vips", Change::Entered), true);
    enters(&mut world, &segment("sleepers", Change::Entered), false);
    enters(&mut world, &segment("sleepers", Change::Left), true);
    enters(&mut world, &stage("lost"), false);
    enters(&mut world, &stage("active"), true);
    enters(&mut world, &Input::Event(&lead.clone()), false);
    lead.properties = json!({"form": "contact"}).as_object().unwrap().clone().into();
    enters(&mut world, &Input::Event(&lead), true);
    enters(&mut world, &Input::Enrol { at: at(0) }, true);
}

#[test]
fn a_condition_without_an_answer_counts_as_not_holding_and_is_shown() {
    let mut world = World::new(json!({
        "trigger": {"event": "go"}, "entry": {"when": "customer.age > 3"}, "steps": [send("a")]
    }));
    world.event("go", 0);
    assert_eq!(world.run, None);
    assert_eq!(
        world.why,
        [
            "The condition of entry gave no answer and counts as not holding: no field age.",
            "The condition for entering does not hold."
        ]
    );
}

#[test]
fn hours_are_waited_for_where_the_customer_lives() {
    let mut world = World::new(json!({
        "trigger": {"event": "go"}, "steps": [{"until_hours": {"mon-fri": "09:00-17:00"}}, send("a")]
    }));
    world.seen.zone = Some("Asia/Shanghai");
    // Tuesday 00:30 UTC is 08:30 there.
    world.event("go", 30);
    assert_eq!(world.run().due.as_ref().unwrap().at, at(60));
    // The due entry comes in the night: it waits for the morning.
    world.now = 12 * 60;
    let token = world.run().due.as_ref().unwrap().token.clone();
    world.input(&Input::Due(&token));
    assert_eq!(world.run().due.as_ref().unwrap().at, at(25 * 60));
    world.until(25 * 60);
    assert_eq!(world.told(), "1.2.send.a completed");
}

#[test]
fn a_loop_ends() {
    let mut world = World::new(json!({
        "trigger": {"event": "go"}, "steps": [{"again": {"wait": "1h"}}, {"goto": "again"}]
    }));
    world.event("go", 0);
    world.until(1_000 * 60);
    assert_eq!(world.told(), "failed");
}
