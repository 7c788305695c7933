//! Calls of tracking libraries: Segment's HTTP API, which RudderStack's libraries call as well, and what PostHog's call.
//! One call brings one event or a batch of them; each is read by itself, so a bad one harms no other.

mod answer;
mod bundle;
mod call;
mod item;
mod posthog;
mod segment;
mod text;

#[cfg(test)]
mod tests;

pub use answer::{answer, content};
pub use bundle::{Bundle, MAX_BUNDLE_BYTES, MAX_BUNDLE_EVENTS, bundle};
pub use call::{Call, Taken, key_of_headers, read};
pub(crate) use item::happened_at;
pub use item::{Dropped, Why};
pub use text::GARBLED;

use sluice_domain::event::EventKind;

/// Largest event in bytes, as it was sent. (Segment, "HTTP API source", limits: 32 KB.)
pub const MAX_EVENT: usize = 32 * 1024;
/// Largest batch of Segment's API in bytes. (The same: 500 KB.)
pub const MAX_BATCH: usize = 500 * 1024;
/// Most events of a batch. (The same.)
pub const MAX_EVENTS: usize = 2500;

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One event of this kind.
    One(EventKind),
    /// Events that each say their kind.
    Batch,
    /// Events of PostHog's: one, a list or a batch, told apart by what is sent.
    Posthog,
    /// PostHog's remote configuration.
    Flags,
}

impl Route {
    /// What is at this path; names are matched as they are, and PostHog's with or without a slash at the end.
    pub fn of(path: &str) -> Option<Self> {
        if let Some(name) = path.strip_prefix("/v1/") {
            return Self::of_segment(name);
        }
        match path.strip_suffix('/').unwrap_or(path) {
            "/beacon/v1/batch" => Some(Self::Batch), // RudderStack's, from a page that is left
            "/batch" | "/capture" | "/e" | "/i/v0/e" => Some(Self::Posthog),
            "/decide" | "/flags" => Some(Self::Flags),
            _ => None,
        }
    }

    /// Segment's names, and the short ones that pages use.
    fn of_segment(name: &str) -> Option<Self> {
        Some(match name {
            "track" | "t" => Self::One(EventKind::Track),
            "identify" | "i" => Self::One(EventKind::Identify),
            "page" | "p" => Self::One(EventKind::Page),
            "screen" | "s" => Self::One(EventKind::Screen),
            "group" | "g" => Self::One(EventKind::Group),
            "alias" | "a" => Self::One(EventKind::Alias),
            "batch" | "b" => Self::Batch,
            _ => return None,
        })
    }

    /// The types of source whose libraries call it.
    pub const fn sources(self) -> &'static [&'static str] {
        match self {
            Self::One(_) | Self::Batch => &["segment", "rudderstack"],
            Self::Posthog | Self::Flags => &["posthog"],
        }
    }
}
