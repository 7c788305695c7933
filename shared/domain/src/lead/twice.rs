//! Two posts of a form that are one: somebody pressed the button twice.
//!
//! Whoever says who they are is recognised by that, and says the same again as a lead of its own (`repeat`). A post that names nobody
//! is known again only by all of it: what was said, from which address, by which browser, coming from where.

use super::{Envelope, Facts, Origin};
use crate::id::short_hash;

/// For how long after a post the same one again is the same lead, in milliseconds. Longer than somebody takes to press a button
/// twice, shorter than the next one at the same machine takes to fill in a form.
pub const TWICE_MS: i64 = 10_000;

/// What every browser says of itself first. Programs that post for others say something else; behind one of these are many people.
const BROWSER: &str = "Mozilla/";

/// What a post is known again by that names nobody: the same for posts that are alike in everything. `None` is a post that names
/// somebody, or that no browser sent from an address of its own.
pub fn pressed(origin: &Origin, envelope: &Envelope, facts: &Facts) -> Option<String> {
    let is_browsers = envelope.attribution.get("user_agent").is_some_and(|name| name.starts_with(BROWSER));
    if !facts.identities.is_empty() || !is_browsers || !envelope.attribution.contains_key("ip") {
        return None;
    }
    let all = serde_json::to_string(envelope).ok()?;
    Some(short_hash(&["pressed", &origin.kind, &origin.name, &all]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::{FileNote, read};
    use crate::policy::{Reading, Settings};

    fn post(fields: &[(&str, &str)], ip: &str, browser: &str) -> Envelope {
        let attribution =
            [("ip", ip), ("user_agent", browser)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        Envelope {
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            attribution: attribution.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            ..Envelope::default()
        }
    }

    fn known_by(form: &str, envelope: &Envelope) -> Option<String> {
        let origin = Origin { kind: "form".to_owned(), name: form.to_owned() };
        let facts = read(&origin, envelope, &Reading::default(), &Settings::default());
        pressed(&origin, envelope, &facts)
    }

    #[test]
    fn a_post_that_names_nobody_is_known_again_by_all_of_it() {
        let ask = [("message", "call me")];
        let one = post(&ask, "198.51.100.7", "Mozilla/5.0 (X11)");
        let known = known_by("contact", &one);
        assert!(known.is_some());
        assert_eq!(known, known_by("contact", &one.clone()));
        let file = FileNote { field: "cv".to_owned(), name: "cv.pdf".to_owned(), size: 7 };
        for other in [
            post(&ask, "198.51.100.8", "Mozilla/5.0 (X11)"),
            post(&ask, "198.51.100.7", "Mozilla/5.0 (Macintosh)"),
            post(&[("message", "call me!")], "198.51.100.7", "Mozilla/5.0 (X11)"),
            Envelope { files: vec![file], ..one.clone() },
        ] {
            assert!(known_by("contact", &other).is_some_and(|other| Some(other) != known), "{other:?}");
        }
        assert_ne!(known_by("callback", &one), known);
    }

    #[test]
    fn a_post_of_somebody_or_of_a_program_is_none_of_these() {
        let (ip, browser) = ("198.51.100.7", "Mozilla/5.0 (X11)");
        for (envelope, why) in [
            (post(&[("email", "ada@person.example")], ip, browser), "names somebody"),
            (post(&[("message", "call me")], ip, "axios/1.7"), "a program posts for many"),
            (post(&[("message", "call me")], ip, ""), "no browser"),
            (post(&[("message", "call me")], "", browser), "no address"),
        ] {
            assert_eq!(known_by("contact", &envelope), None, "{why}");
        }
    }
}
