//! Events beside a publication: what is decided by the policies of before counts by the new ones all the same.

use super::kept::{DAY, Kept, id};
use crate::advance::{Incoming, Wake};
use crate::policy::{Document, PolicySet, SEEN_MS};
use crate::time::Timestamp;
use serde_json::json;

/// Policies that count how often a video is watched, published now.
fn watching(now: Timestamp) -> PolicySet {
    let segment =
        json!({"kind": "segment", "name": "viewers", "when": "count_in('video_watched', '3d') >= 4"});
    let mut set = PolicySet::build(2, [Document::from_json(segment).unwrap()]).unwrap();
    set.counts_since = Some(now);
    set
}

fn counted(kept: &Kept) -> u64 {
    let live = &kept.states[&id("ada")].live;
    live.seen("video_watched").map_or(0, |seen| seen.count(3 * DAY, kept.now))
}

fn is_in(kept: &Kept) -> bool {
    kept.states[&id("ada")].live.segments().count() == 1
}

#[test]
fn an_event_that_was_decided_by_the_policies_of_before_is_counted_by_the_look_at_everybody() {
    let mut kept = Kept::new(&[], ["ada"]);
    let before = std::mem::replace(&mut kept.policies, watching(kept.now));
    kept.happens("ada", "video_watched", json!({"n": 1}));
    assert_eq!(counted(&kept), 1);

    // Another function has not heard of them: nobody asks for it there.
    let after = std::mem::replace(&mut kept.policies, before);
    assert!(kept.happens("ada", "video_watched", json!({"n": 2})).is_idle());
    kept.policies = after;
    kept.happens("ada", "video_watched", json!({"n": 3}));
    assert_eq!(counted(&kept), 3, "each event counts all anew as long as some may lack");
    assert!(!is_in(&kept) && !kept.states[&id("ada")].live.is_counted_by(&kept.policies.live));

    let after = std::mem::take(&mut kept.policies);
    assert!(kept.happens("ada", "video_watched", json!({"n": 4})).is_idle());
    kept.policies = after;
    assert_eq!(counted(&kept), 3);
    kept.now = kept.now.plus_millis(SEEN_MS);
    kept.take(Incoming::Due(Wake::pass(id("ada"), 2)));
    assert_eq!(counted(&kept), 4);
    assert!(is_in(&kept), "whoever watched it four times");
    assert!(kept.states[&id("ada")].live.is_counted_by(&kept.policies.live), "from here on it is sure");
}

#[test]
fn a_state_that_is_made_beside_a_publication_is_counted_once_more() {
    let mut kept = Kept::new(&[], ["ada"]);
    kept.policies = watching(kept.now);
    kept.now = kept.now.plus_millis(SEEN_MS - 1);
    kept.happens("ada", "video_watched", json!({}));
    assert!(!kept.states[&id("ada")].live.is_counted_by(&kept.policies.live));
    kept.now = kept.now.plus_millis(1);
    kept.happens("ada", "video_watched", json!({}));
    assert!(kept.states[&id("ada")].live.is_counted_by(&kept.policies.live));
    assert_eq!(counted(&kept), 2);
}

#[test]
fn a_publication_is_seen_by_all_once_nobody_has_older_policies_at_hand() {
    let at = Timestamp(100 * DAY);
    let set = watching(at);
    let seen = [-SEEN_MS, 1 - SEEN_MS, 0, SEEN_MS - 1, SEEN_MS].map(|ms| set.is_seen(at.plus_millis(ms)));
    assert_eq!(seen, [true, false, false, false, true]);
    assert!(PolicySet::default().is_seen(at), "where nothing was ever counted otherwise nobody does");
}
