//! A lead's clocks in words.

use super::{Clock, Mark, Past, PastEnd, To};
use crate::lead::{Assignment, Progress};
use crate::policy::{Point, length};

/// What the clocks of a lead did, one sentence a line, oldest first. Empty for a lead that never had one.
pub fn explain(progress: &Progress) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reassignments = 0;
    for (at, past) in progress.past.iter().enumerate() {
        lines.extend(past.clock.iter().map(|clock| ran(clock, &past.assignment)));
        let next = progress.past.get(at + 1).map(|next| &next.assignment).or(progress.assignment.as_ref());
        ended(past, next, &mut reassignments, &mut lines);
    }
    if let (Some(clock), Some(assignment)) = (&progress.clock, &progress.assignment) {
        lines.push(ran(clock, assignment));
        let waits = progress.contact.is_none() && progress.work.is_open();
        lines.extend(match clock.next {
            Some(Mark { at, .. }) if clock.away => Some(format!(
                "{} is away with no end known: whether they are back is looked at again at {at}.",
                assignment.rep
            )),
            Some(Mark { point: Point::END, at }) => Some(format!("The window ends at {at}.")),
            Some(Mark { point, at }) => Some(format!("Next: a reminder at {point}, {at}.")),
            None => waits.then(|| "No point of it is to come: the clock has stopped.".to_owned()),
        });
    }
    if let Some(contact) = &progress.contact {
        let within = match contact.within {
            Some(true) => ", within the window",
            Some(false) => ", after the window",
            None => "",
        };
        lines.push(format!(
            "First contact by {} ({}) at {}: {} after the lead came, {} of it working time{within}. No clock runs \
             any more.",
            contact.by,
            contact.channel,
            contact.at,
            length(contact.elapsed),
            length(contact.working)
        ));
    }
    lines
}

/// What a reminder says of the window: how much of it is left, or that it is over, where it comes late.
pub fn reminding(clock: &Clock, mark: Mark) -> String {
    let reminder = clock.reminded.iter().find(|one| one.mark == mark);
    let passed = reminder.and_then(|one| one.saw).map(|(_, passed)| passed);
    if passed.is_some_and(|passed| passed >= clock.within.millis()) {
        return format!(
            "The {} for a first contact were over at {}: nobody was in touch.",
            clock.within, mark.at
        );
    }
    format!(
        "{} of the {} for a first contact were over at {}: {} of your working time are left.",
        mark.point,
        clock.within,
        mark.at,
        length(clock.within.millis() - clock.within.until(mark.point)),
    )
}

fn ran(clock: &Clock, assignment: &Assignment) -> String {
    let reminded: Vec<String> =
        clock.reminded.iter().map(|one| format!("{} ({})", one.mark.point, one.mark.at)).collect();
    let reminded = match reminded.is_empty() {
        true => String::new(),
        false => format!("; reminded at {}", reminded.join(", ")),
    };
    format!(
        "Response clock of team {}: {} of {}'s working time from {}{reminded}.",
        clock.team, clock.within, assignment.rep, clock.started
    )
}

fn ended(past: &Past, next: Option<&Assignment>, reassignments: &mut u32, lines: &mut Vec<String>) {
    let rep = &past.assignment.rep;
    let PastEnd::Silent { saw, to, .. } = &past.end else {
        lines.push(format!("{rep} had it until {}, when it was given to somebody else by hand.", past.until));
        return;
    };
    let why = match saw.gone {
        false => format!("No contact by {rep} within the window ({})", past.until),
        true => format!("{rep} is away with no end known ({}), so the window never ends", past.until),
    };
    lines.push(format!("{why}: {rep} is passed over for this lead from now on."));
    if let Some((owner, _)) = &saw.owner {
        let reason = match (saw.owner_away, saw.has_room) {
            (Some(off_duty), _) => Some(off_duty.to_string()),
            (None, Some(false)) => Some("full".to_owned()),
            (None, _) => None,
        };
        lines.extend(reason.map(|reason| format!("{owner}, who owns the customer by now, is {reason}.")));
    }
    for (team, seen) in &saw.asked {
        lines.push(format!("The next of team {team}:"));
        lines.extend(seen.words());
    }
    let next = next.map_or("nobody", |next| next.rep.as_str());
    if matches!(to, To::Member | To::Owner) {
        *reassignments += 1;
    }
    lines.push(match to {
        To::Member => format!("Assigned to {next} (reassignment {reassignments})."),
        To::Owner => {
            format!("Assigned to {next}, who owns the customer by now (reassignment {reassignments}).")
        }
        To::CatchAll => format!("Assigned to {next}, the catch-all: no clock runs."),
        To::Nobody => "Nobody else to give it to: escalated, and left to a person.".to_owned(),
    });
}
