//! Absences that become shorter than they were.

use super::*;

#[test]
fn an_absence_that_is_shorter_now_wakes_a_clock_that_slept_through_it() {
    let set = |desk: &mut Desk| {
        let schedule = desk.schedule("ann", Some("sdr"));
        let after = set_anew(&desk.lead, &desk.policies, &schedule);
        after.map(|after| desk.lead.progress = after).is_some()
    };
    let until = |day: &str| {
        let moment = |day: &str| Moment::Day(day.parse().unwrap());
        Leave(vec![Absence { from: moment("2026-03-23"), to: Some(moment(day)) }])
    };
    let mut desk = Desk::new(&plain(), "ann", MONDAY);
    assert!(!set(&mut desk), "nothing is other than when it started");
    // A year is mistyped.
    desk.leave.insert("ann".to_owned(), until("2027-03-23"));
    assert!(!set(&mut desk), "what comes later is seen when the entry fires");
    assert_eq!(desk.tick(None), Some(What::Rearmed));
    assert_eq!(desk.due(), "50% 2027-03-24T08:30:00.000Z");
    let asleep = desk.lead.progress.tick(&desk.lead.id).unwrap();
    desk.leave.insert("ann".to_owned(), until("2026-03-23"));
    assert!(set(&mut desk));
    assert_eq!(desk.due(), "50% 2026-03-24T08:30:00.000Z");
    assert!(!set(&mut desk), "twice is once");
    assert_eq!(desk.fire(&asleep, at("2027-03-24T08:30:00Z")), None, "the entry of before is nobody's");
    // Of no end known there is one now; before there is, the daily look stays.
    let mut desk = Desk::new(&reminding_only(), "ann", MONDAY);
    desk.leave.insert("ann".to_owned(), from("2026-03-01T00:00:00Z"));
    assert_eq!(desk.tick(None), Some(What::Away));
    assert!(!set(&mut desk));
    desk.leave.insert("ann".to_owned(), until("2026-03-25"));
    assert!(set(&mut desk));
    assert_eq!(
        (desk.due().as_str(), desk.lead.progress.clock.as_ref().unwrap().away),
        ("50% 2026-03-26T08:30:00.000Z", false)
    );
    // A clock that has stopped stays so.
    desk.lead.progress.stop_clock();
    desk.leave.clear();
    assert!(!set(&mut desk));
}
