//! What a notice says.

use sluice_domain::lead::{self, Lead};
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_wire::queue::{NoticeKind, NoticeMessage};

/// A notice, ready to be put into any channel.
pub(crate) struct Notice {
    /// Id of the message, the same for every attempt.
    pub(crate) id: String,
    /// Event name in webhooks.
    pub(crate) event: &'static str,
    /// When what it tells happened; part of its key, so the same for every attempt.
    pub(crate) at: Timestamp,
    /// The lead.
    pub(crate) lead: String,
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
    /// Why it is overtaken, if it is.
    pub(crate) reason_not_to_send: Option<&'static str>,
}

impl Notice {
    pub(crate) fn new(message: &NoticeMessage, lead: &Lead, policies: &PolicySet, public_url: &str) -> Self {
        let reading = policies.reading(&lead.origin);
        let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
        let assignment = lead.progress.assignment.as_ref();
        let stands = match message.kind {
            NoticeKind::Assigned => assignment.is_some_and(|a| a.n == message.n && a.rep == message.rep),
            NoticeKind::Escalated => lead.progress.state == lead::LeadState::Escalated,
        };
        // An assignment that was overtaken keeps a place of its own in the list, by the time the lead came.
        let at = assignment.filter(|a| stands && a.n == message.n).map_or(lead.received, |a| a.at);
        Self {
            id: format!("{}_{}_{}_{}", lead.id, message.kind.name(), message.n, message.rep),
            event: match message.kind {
                NoticeKind::Assigned => "lead.assigned",
                NoticeKind::Escalated => "lead.escalated",
            },
            at,
            lead: lead.id.to_string(),
            source: lead.origin.name.clone(),
            link: format!("{public_url}/api/leads/{}", lead.id),
            name: facts.display_name(),
            email: facts.email.as_ref().map(|email| email.as_sent().to_owned()),
            phone: facts.phone.as_ref().map(|phone| phone.e164().to_owned()),
            company: facts.standard.get("company").map(|company| company.reveal().clone()),
            flags: facts.flags.iter().map(|flag| flag.name()).collect(),
            came_back: lead.progress.receipt.as_ref().is_some_and(|receipt| !receipt.new_customer),
            is_quiet: message.n <= 1 && lead.progress.import.as_ref().is_some_and(|import| import.quiet),
            reason_not_to_send: (!stands).then_some("overtaken: the lead has moved on"),
        }
    }

    /// One line for a mail's subject. Control characters are gone, so that nothing a person typed becomes a header.
    pub(crate) fn subject(&self) -> String {
        let who = self.name.as_deref().or(self.company.as_deref()).unwrap_or("somebody");
        let what = match (self.event, self.came_back) {
            ("lead.escalated", _) => "Nobody can take this lead",
            (_, true) => "Came back",
            _ => "New lead",
        };
        let line = format!("{what}: {who} ({})", self.source);
        line.chars().filter(|c| !c.is_control()).take(120).collect()
    }

    /// The text of a mail.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![match self.event {
            "lead.escalated" => "A lead came that nobody can take just now.".to_owned(),
            _ if self.came_back => "A customer of yours came back.".to_owned(),
            _ => "A new lead is yours.".to_owned(),
        }];
        lines.push(String::new());
        let rows = [
            ("Name", &self.name),
            ("Company", &self.company),
            ("E-mail", &self.email),
            ("Phone", &self.phone),
        ];
        for (label, value) in rows {
            if let Some(value) = value {
                let value: String = value.chars().filter(|c| !c.is_control()).collect();
                lines.push(format!("{label}: {value}"));
            }
        }
        lines.push(format!("Source: {}", self.source));
        if !self.flags.is_empty() {
            lines.push(format!("Please check: {}", self.flags.join(", ")));
        }
        lines.push(String::new());
        lines.push(format!("The lead: {}", self.link));
        lines.push(String::new());
        lines.join("\n")
    }
}
