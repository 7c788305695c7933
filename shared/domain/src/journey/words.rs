//! Journeys and their steps in words, for pictures and for people who look on.

use crate::calendar::{DAY_NAMES, LocalHours, Spans};
use crate::message::Otherwise;
use crate::policy::journey::{Act, Addressee, Again, Change, Journey, Send, Sign, Trigger, Until};
use serde_json::Value;

/// What a step does, in a few words.
pub(super) fn title(act: &Act) -> String {
    match act {
        Act::Send(send) => format!("Send {}", send.template),
        Act::Wait(length) => format!("Wait {length}"),
        Act::WaitFor(wait) => format!("Wait for {}", wait.event),
        Act::UntilHours(Until::Team(team)) => format!("Wait for the hours of {team}"),
        Act::UntilHours(Until::Hours(_)) => "Wait for the hours".to_owned(),
        Act::Branch(_) => "Which holds first?".to_owned(),
        Act::Split(_) => "Split".to_owned(),
        Act::Set(facts) => format!("Set {}", facts.keys().cloned().collect::<Vec<_>>().join(", ")),
        Act::Tag(tag) => format!("Tag {}", tag.name),
        Act::Untag(tag) => format!("Take off the tag {tag}"),
        Act::Stage(stage) => format!("Stage {stage}"),
        Act::Score(_) => "Score".to_owned(),
        Act::Notify(notify) => format!("Tell {}", addressee(&notify.to)),
        Act::Task(task) => format!("Task for {}", addressee(&task.to)),
        Act::Webhook(_) => "Webhook".to_owned(),
        Act::Enrol(journey) => format!("Enrol in {journey}"),
        Act::Goto(label) => format!("Go to {label}"),
        Act::End(_) => "End".to_owned(),
    }
}

/// What else there is to say of a step, a line each.
pub(super) fn details(act: &Act) -> Vec<String> {
    match act {
        Act::Send(send) => sending(send),
        Act::WaitFor(wait) => {
            let when = wait.when.iter().map(|when| format!("with {when}"));
            when.chain([format!("at most {}", wait.within)]).collect()
        }
        Act::UntilHours(Until::Hours(hours)) => {
            let zone = hours.zone.as_ref().map_or("where the customer lives", |zone| zone.name());
            let mut lines = open(hours);
            lines.push(zone.to_owned());
            lines
        }
        Act::Set(facts) => facts.iter().map(|(fact, value)| format!("{fact} = {}", plain(value))).collect(),
        Act::Tag(tag) => tag.length.iter().map(|length| format!("for {length}")).collect(),
        Act::Score(points) => vec![format!("interest {:+}", points.interest)],
        Act::Notify(notify) => notify.text.iter().cloned().collect(),
        Act::Task(task) => {
            let within = task.within.iter().map(|length| format!("within {length}"));
            [task.title.clone()].into_iter().chain(within).collect()
        }
        Act::Webhook(webhook) => {
            let host = webhook.url.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
            vec![host.unwrap_or_default().to_owned()]
        }
        _ => Vec::new(),
    }
}

/// Hours, days that follow one another and have the same together.
fn open(hours: &LocalHours) -> Vec<String> {
    let mut lines: Vec<(usize, usize, &Spans)> = Vec::new();
    for (day, spans) in hours.days.iter().enumerate().filter(|(_, spans)| spans.iter().next().is_some()) {
        match lines.last_mut() {
            Some((_, last, same)) if *same == spans && *last + 1 == day => *last = day,
            _ => lines.push((day, day, spans)),
        }
    }
    let name = |day: usize| DAY_NAMES.get(day).copied().unwrap_or_default();
    let line = |(from, to, spans): (usize, usize, &Spans)| match from == to {
        true => format!("{} {spans}", name(from)),
        false => format!("{}-{} {spans}", name(from), name(to)),
    };
    lines.into_iter().map(line).collect()
}

fn sending(send: &Send) -> Vec<String> {
    let channel = send.channel.map(|channel| format!("{} ", channel.name())).unwrap_or_default();
    let mut lines = vec![format!("{channel}about {}", send.topic)];
    let choice = |what: &str, choice: Option<Otherwise>| {
        let word = match choice? {
            Otherwise::Skip => "skip",
            Otherwise::Defer => "defer",
            Otherwise::Replace => "replace",
            Otherwise::Exit => "exit",
        };
        Some(format!("{what}: {word}"))
    };
    lines.extend(choice("at a cap", send.at_cap));
    lines.extend(choice("in quiet hours", send.in_quiet_hours));
    lines.extend(
        send.replacement.iter().map(|other| format!("or {} by {}", other.template, other.channel.name())),
    );
    lines
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn addressee(to: &Addressee) -> String {
    match to {
        Addressee::Owner => "the owner".to_owned(),
        Addressee::Rep(name) => name.clone(),
        Addressee::Team(name) => format!("team {name}"),
    }
}

/// What makes people enter, a line each.
pub(super) fn triggers(journey: &Journey) -> Vec<String> {
    if journey.trigger.is_empty() {
        return vec!["Entered by enrol".to_owned()];
    }
    journey.trigger.iter().map(trigger).collect()
}

fn trigger(trigger: &Trigger) -> String {
    let when = trigger.when.as_ref().map(|when| format!(" with {when}")).unwrap_or_default();
    if let Some(form) = &trigger.form {
        return format!("A lead by {form}{when}");
    }
    if let Some(segment) = &trigger.segment {
        let verb = if trigger.change == Some(Change::Left) { "Leaves" } else { "Enters" };
        return format!("{verb} segment {segment}");
    }
    if let Some(stage) = &trigger.stage {
        return format!("Reaches stage {stage}");
    }
    if let Some(date) = &trigger.date {
        let days = match date.days.days() {
            0 => "On".to_owned(),
            _ => date.days.to_string(),
        };
        let yearly = if date.yearly { ", every year" } else { "" };
        return format!("{days} {} at {}{yearly}", date.fact, date.at);
    }
    format!("{}{when}", trigger.event.as_deref().unwrap_or_default())
}

/// What holds for the journey as a whole, a line each.
pub(super) fn rules(journey: &Journey) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(journey.entry.when.iter().map(|when| format!("Who: {when}")));
    lines.push(match journey.entry.again {
        Again::Never => "Once".to_owned(),
        Again::AfterExit => "Again whenever they are not in it".to_owned(),
        Again::Always => "Again each time, starting over".to_owned(),
        Again::Limited(limit) => format!("At most {} times per {}", limit.at_most, limit.per),
    });
    lines.extend(journey.hold_out.iter().map(|share| format!("{share} get nothing, to compare with")));
    lines.extend(journey.exit.iter().map(|exit| format!("Leaves: {}", sign(exit))));
    lines.extend(
        journey.goal.iter().map(|goal| format!("Goal: {} within {}", sign(&goal.sign()), goal.within)),
    );
    if journey.paused {
        lines.push("Paused".to_owned());
    }
    lines
}

fn sign(sign: &Sign) -> String {
    match (&sign.event, &sign.when) {
        (Some(event), Some(when)) => format!("{event} with {when}"),
        (event, when) => event.as_ref().or(when.as_ref()).cloned().unwrap_or_default(),
    }
}
