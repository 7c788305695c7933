//! Tracking libraries: Segment's, RudderStack's and PostHog's, which call us once their host is changed. What they send is
//! read in [`crate::track`]; here is what their documents may say.

use super::{Delivery, Need, Source, SourceLead};
use crate::problem::Problem;

/// A family of tracking libraries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracker {
    kind: &'static str,
    setup: &'static str,
    needs: &'static [Need],
}

/// Libraries made for Segment.
pub(super) const SEGMENT: Tracker = Tracker {
    kind: "segment",
    setup: "The library's host: this address in `host` of the libraries for servers, without https:// and with /v1 at its \
            end in `apiHost` of the integration Segment.io in a page.",
    needs: &[Need {
        name: "write_key",
        what: "The key that the library is given as writeKey. A long random text of your own; in a page everybody reads it.",
    }],
};

/// Libraries made for RudderStack.
pub(super) const RUDDERSTACK: Tracker = Tracker {
    kind: "rudderstack",
    setup: "The library's data plane: this address in `dataPlaneUrl`.",
    needs: &[Need {
        name: "write_key",
        what: "The key that the library is given as write key. A long random text of your own; in a page everybody reads it.",
    }],
};

/// Libraries made for PostHog.
pub(super) const POSTHOG: Tracker = Tracker {
    kind: "posthog",
    setup: "The library's host: this address in `host`, or `api_host` in a page.",
    needs: &[Need {
        name: "api_key",
        what: "The key that the library is given as project API key. A long random text of your own; in a page everybody \
               reads it.",
    }],
};

impl Source for Tracker {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn setup(&self) -> &'static str {
        self.setup
    }

    fn needs(&self) -> &'static [Need] {
        self.needs
    }

    fn settings(&self) -> &'static [&'static str] {
        &["trusted", "origins"]
    }

    fn is_tracker(&self) -> bool {
        true
    }

    fn leads(&self, _delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        Ok(Vec::new())
    }
}
