//! What a notice says.

use serde_json::{Map, Value};
use sluice_domain::clock::reminding;
use sluice_domain::customer::Whole;
use sluice_domain::lead::{self, Lead, Progress};
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_wire::queue::{AlarmMessage, Halt, NoticeKind, NoticeMessage};
use std::borrow::Cow;

/// What a journey tells of a customer.
pub(crate) struct Told {
    pub(crate) customer: String,
    pub(crate) journey: String,
    pub(crate) step: String,
    pub(crate) text: Option<String>,
    pub(crate) is_task: bool,
    /// By when the task is to be done, RFC 3339.
    pub(crate) due: Option<String>,
    /// Facts that another system is told.
    pub(crate) facts: Map<String, Value>,
}

/// A notice, ready to be put into any channel.
pub(crate) struct Notice {
    /// Id of the message, the same for every attempt.
    pub(crate) id: String,
    /// Event name in webhooks.
    pub(crate) event: Cow<'static, str>,
    /// When what it tells happened; part of its key, so the same for every attempt.
    pub(crate) at: Timestamp,
    /// The lead, if it is about one.
    pub(crate) lead: Option<String>,
    /// What a journey tells, if one does.
    pub(crate) told: Option<Told>,
    /// What another system is told of an event, if it is told of one.
    pub(crate) heard: Option<Value>,
    /// The campaign that was stopped, if it is about one, and by what.
    pub(crate) halt: Option<(String, String)>,
    /// What an alert found, if it is of one: the alert and the sentence.
    pub(crate) alarm: Option<(String, String)>,
    /// Form or source.
    pub(crate) source: String,
    /// Where to look at the lead.
    pub(crate) link: String,
    /// Name of the person, if they gave one.
    pub(crate) name: Option<String>,
    /// E-mail of the person.
    pub(crate) email: Option<String>,
    /// Phone of the person.
    pub(crate) phone: Option<String>,
    /// Company of the person.
    pub(crate) company: Option<String>,
    /// What a person should look at.
    pub(crate) flags: Vec<&'static str>,
    /// The customer was known before this lead.
    pub(crate) came_back: bool,
    /// Not to be told, only listed: it comes of an import that was to tell nobody, and not of what a person did.
    pub(crate) is_quiet: bool,
    /// What a reminder says of the window.
    pub(crate) window: Option<String>,
    /// Why it is overtaken, if it is.
    pub(crate) reason_not_to_send: Option<&'static str>,
}

impl Notice {
    pub(crate) fn new(message: &NoticeMessage, lead: &Lead, policies: &PolicySet, public_url: &str) -> Self {
        let reading = policies.reading(&lead.origin);
        let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
        let Progress { state, assignment, past, .. } = &lead.progress;
        let theirs = assignment.as_ref().filter(|a| a.n == message.n && a.rep == message.rep);
        let stands = match message.kind {
            NoticeKind::Assigned => theirs.is_some(),
            NoticeKind::Escalated => {
                let last = past.last().map_or(0, |past| past.assignment.n);
                *state == lead::LeadState::Escalated && (message.n == 0 || message.n == last)
            }
            NoticeKind::Reminder(_) => theirs.is_some() && lead.progress.is_awaited(),
        };
        // What was overtaken keeps its place in the list.
        let before = past.iter().find(|past| past.assignment.n == message.n);
        let at = match message.kind {
            NoticeKind::Assigned => theirs.or(before.map(|past| &past.assignment)).map(|a| a.at),
            NoticeKind::Escalated => before.map(|past| past.until),
            NoticeKind::Reminder(mark) => Some(mark.at),
        };
        let at = at.unwrap_or(lead.received);
        let clock = lead.progress.clock.as_ref().filter(|_| stands);
        let window = match (message.kind, clock) {
            (NoticeKind::Reminder(mark), Some(clock)) => Some(reminding(clock, mark)),
            _ => None,
        };
        Self {
            id: format!("{}_{}_{}_{}", lead.id, message.kind.label(), message.n, message.rep),
            event: match message.kind {
                NoticeKind::Assigned => "lead.assigned",
                NoticeKind::Escalated => "lead.escalated",
                NoticeKind::Reminder(_) => "lead.reminder",
            }
            .into(),
            at,
            lead: Some(lead.id.to_string()),
            told: None,
            heard: None,
            halt: None,
            alarm: None,
            source: lead.origin.name.clone(),
            link: format!("{public_url}/api/leads/{}", lead.id),
            name: facts.display_name(),
            email: facts.email.as_ref().map(|email| email.as_sent().to_owned()),
            phone: facts.phone.as_ref().map(|phone| phone.e164().to_owned()),
            company: facts.standard.get("company").map(|company| company.reveal().clone()),
            flags: facts.flags.iter().map(|flag| flag.name()).collect(),
            came_back: lead.progress.receipt.as_ref().is_some_and(|receipt| !receipt.new_customer),
            is_quiet: lead.progress.is_quiet(),
            window,
            reason_not_to_send: (!stands).then_some("overtaken: the lead has moved on"),
        }
    }

    /// Whether it is about somebody who was known before and sent a lead without a name.
    pub(crate) fn names_nobody(&self) -> bool {
        self.came_back && self.name.is_none() && self.reason_not_to_send.is_none()
    }

    /// Names who it is about by what is known of the customer, as far as the lead itself does not.
    pub(crate) fn name_by(&mut self, whole: &Whole<'_>, policies: &PolicySet) {
        let facts = whole.facts(&policies.settings.survivorship);
        let fact = |name: &str| facts.get(name).map(|fact| fact.value.reveal().clone());
        let names: Vec<String> = [fact("first_name"), fact("last_name")].into_iter().flatten().collect();
        let name = || fact("full_name").or_else(|| (!names.is_empty()).then(|| names.join(" ")));
        self.name = self.name.take().or_else(name);
        self.company = self.company.take().or_else(|| fact("company"));
    }

    /// That a campaign was stopped.
    pub(crate) fn of_halt(halt: &Halt, public_url: &str) -> Self {
        Self {
            halt: Some((halt.campaign.clone(), halt.why.clone())),
            ..Self::bare(
                halt.id(),
                "campaign.stopped".into(),
                halt.at,
                format!("{public_url}/api/campaigns/{}", halt.campaign),
            )
        }
    }

    /// What an alert found.
    pub(crate) fn of_alarm(alarm: &AlarmMessage, public_url: &str) -> Self {
        Self {
            alarm: Some((alarm.alert.clone(), alarm.text.clone())),
            ..Self::bare(
                alarm.id(),
                "alert".into(),
                alarm.at,
                format!("{public_url}/api/policies/alert/{}", alarm.alert),
            )
        }
    }

    /// Of no lead and nobody.
    pub(crate) fn bare(id: String, event: Cow<'static, str>, at: Timestamp, link: String) -> Self {
        Self {
            id,
            event,
            at,
            link,
            lead: None,
            told: None,
            heard: None,
            halt: None,
            alarm: None,
            source: String::new(),
            name: None,
            email: None,
            phone: None,
            company: None,
            flags: Vec::new(),
            came_back: false,
            is_quiet: false,
            window: None,
            reason_not_to_send: None,
        }
    }

    /// One line for a mail's subject. Control characters are gone, so that nothing a person typed becomes a header.
    pub(crate) fn subject(&self) -> String {
        if let Some((alert, text)) = &self.alarm {
            return format!("{alert}: {text}").chars().take(120).collect();
        }
        if let Some((campaign, why)) = &self.halt {
            return format!("The campaign {campaign} was stopped: {why}");
        }
        let who = self.name.as_deref().or(self.company.as_deref()).unwrap_or("somebody");
        if let Some(told) = &self.told {
            let what = told.text.as_deref().unwrap_or(&told.journey);
            let line = format!("{}{what}: {who}", if told.is_task { "To do: " } else { "" });
            return line.chars().filter(|c| !c.is_control()).take(120).collect();
        }
        let what = match (self.event.as_ref(), self.came_back) {
            ("lead.escalated", _) => "Nobody can take this lead",
            ("lead.reminder", _) => "Still to be contacted",
            (_, true) => "Came back",
            _ => "New lead",
        };
        let line = format!("{what}: {who} ({})", self.source);
        line.chars().filter(|c| !c.is_control()).take(120).collect()
    }

    /// The text of a mail.
    pub(crate) fn text(&self) -> String {
        if let Some(told) = &self.told {
            return self.told_text(told);
        }
        if let Some((alert, text)) = &self.alarm {
            return format!("The alert {alert}: {text}.\n\nIts document: {}\n", self.link);
        }
        if let Some((campaign, why)) = &self.halt {
            let what = "Nothing more of it goes out until somebody resumes or cancels it.";
            return format!(
                "The campaign {campaign} was stopped: {why}.\n{what}\n\nThe campaign: {}\n",
                self.link
            );
        }
        let mut lines = vec![match self.event.as_ref() {
            "lead.escalated" => "A lead came that nobody can take just now.".to_owned(),
            "lead.reminder" => "A lead of yours waits for its first contact.".to_owned(),
            _ if self.came_back => "A customer of yours came back.".to_owned(),
            _ => "A new lead is yours.".to_owned(),
        }];
        lines.extend(self.window.clone());
        lines.push(String::new());
        lines.extend(self.person());
        lines.push(format!("Source: {}", self.source));
        if !self.flags.is_empty() {
            lines.push(format!("Please check: {}", self.flags.join(", ")));
        }
        lines.push(String::new());
        lines.push(format!("The lead: {}", self.link));
        lines.push(String::new());
        lines.join("\n")
    }

    fn told_text(&self, told: &Told) -> String {
        let mut lines: Vec<String> = told.text.iter().cloned().collect();
        lines.extend(told.due.as_ref().map(|due| format!("To be done by {due}.")));
        lines.push(String::new());
        lines.extend(self.person());
        lines.push(format!("Journey: {}", told.journey));
        lines.push(String::new());
        lines.push(format!("The customer: {}", self.link));
        lines.push(String::new());
        lines.join("\n")
    }

    /// Who it is about, a line for each thing known.
    fn person(&self) -> Vec<String> {
        let rows = [
            ("Name", &self.name),
            ("Company", &self.company),
            ("E-mail", &self.email),
            ("Phone", &self.phone),
        ];
        let shown = rows.into_iter().filter_map(|(label, value)| {
            let value: String = value.as_ref()?.chars().filter(|c| !c.is_control()).collect();
            Some(format!("{label}: {value}"))
        });
        shown.collect()
    }
}
