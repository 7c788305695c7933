//! What a sender says of a lead after it announced it, or before.

/// Written down beside the lead, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    /// The person took it back: what is still to be fetched must not be.
    Withdrawn,
    /// The meeting it was about is off.
    Canceled,
}

impl MarkKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Withdrawn, Self::Canceled];

    /// The word used in the table and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::Canceled => "canceled",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
