//! Who may do what, whose people they see, and what of them: rights by role, the team below a manager, masks.

mod audit;
mod guarded;
mod hidden;
mod mask;
mod reach;
#[cfg(test)]
mod tests;

pub use audit::{Change, Changed, Doer, Note, PolicyChange, owner_changes, taken_from};
pub use guarded::{Guarded, changed, guarded};
pub use hidden::Hidden;
pub use mask::Mask;
pub use reach::Reach;

use serde::{Deserialize, Serialize};

/// As whom a token calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Policies and messages; sees everybody, but for what a mask hides.
    Marketer,
    /// The leads and customers of the team below.
    Manager,
    /// The rep's own leads and customers.
    Rep,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Marketer, Self::Manager, Self::Rep];

    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Marketer => "marketer",
            Self::Manager => "manager",
            Self::Rep => "rep",
        }
    }

    /// The role with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether a token of this role gets past the door of a route that asks for this.
    pub const fn may(self, right: Right) -> bool {
        match right {
            Right::Any | Right::ReadPeople => true,
            Right::WorkLeads => matches!(self, Self::Admin | Self::Manager | Self::Rep),
            Right::Manage => matches!(self, Self::Admin | Self::Manager),
            Right::Send | Right::ReadPolicies => matches!(self, Self::Admin | Self::Manager | Self::Marketer),
            Right::WritePolicies | Right::Import | Right::RunCampaigns => {
                matches!(self, Self::Admin | Self::Marketer)
            }
            Right::Admin => matches!(self, Self::Admin),
        }
    }
}

/// What a route asks of a token. Whose people the call may be about is [`Reach`]'s to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Any token.
    Any,
    /// Reading leads and customers.
    ReadPeople,
    /// Working on leads, and writing down what their people want.
    WorkLeads,
    /// Changing who owns what; joining, erasing and exporting people.
    Manage,
    /// Sending messages to customers, and saying what became of them.
    Send,
    /// Scheduling, holding back and cancelling campaigns: they go to everybody's customers.
    RunCampaigns,
    /// Reading policies and trying them, how journeys and campaigns go, and what the company as a whole came to.
    ReadPolicies,
    /// Publishing policies.
    WritePolicies,
    /// Bringing in leads from files, and taking them back.
    Import,
    /// Tokens, the audit, who sees what.
    Admin,
}

impl Right {
    /// The word used in descriptions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::ReadPeople => "read_people",
            Self::WorkLeads => "work_leads",
            Self::Manage => "manage",
            Self::Send => "send",
            Self::RunCampaigns => "run_campaigns",
            Self::ReadPolicies => "read_policies",
            Self::WritePolicies => "write_policies",
            Self::Import => "import",
            Self::Admin => "admin",
        }
    }
}
