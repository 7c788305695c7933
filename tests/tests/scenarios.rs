//! What Sluice does, in the words of those who use it: whole stacks, real HTTP, the real SDKs.
//!
//! One binary with a file for each subject. Every scenario ends with the checks of `sluice_tests::stack::Running::finish`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests: what is not there stops the test, what is skipped is said"
)]

#[path = "scenarios/access.rs"]
mod access;
#[path = "scenarios/access_masks.rs"]
mod access_masks;
#[path = "scenarios/access_moves.rs"]
mod access_moves;
#[path = "scenarios/access_people.rs"]
mod access_people;
#[path = "scenarios/access_publishing.rs"]
mod access_publishing;
#[path = "scenarios/audit.rs"]
mod audit;
#[path = "scenarios/campaigns.rs"]
mod campaigns;
#[path = "scenarios/campaigns_command.rs"]
mod campaigns_command;
#[path = "scenarios/campaigns_people.rs"]
mod campaigns_people;
#[path = "scenarios/campaigns_timing.rs"]
mod campaigns_timing;
#[path = "scenarios/capture.rs"]
mod capture;
#[path = "scenarios/capture_linkedin.rs"]
mod capture_linkedin;
#[path = "scenarios/capture_meta.rs"]
mod capture_meta;
#[path = "scenarios/clock.rs"]
mod clock;
#[path = "scenarios/command.rs"]
mod command;
#[path = "scenarios/command_start.rs"]
mod command_start;
#[path = "scenarios/companies.rs"]
mod companies;
#[path = "scenarios/company_day.rs"]
mod company_day;
#[path = "scenarios/consents.rs"]
mod consents;
#[path = "scenarios/costs.rs"]
mod costs;
#[path = "scenarios/data_folder.rs"]
mod data_folder;
#[path = "scenarios/doors.rs"]
mod doors;
#[path = "scenarios/doors_command.rs"]
mod doors_command;
#[path = "scenarios/doors_contract.rs"]
mod doors_contract;
#[path = "scenarios/engagement.rs"]
mod engagement;
#[path = "scenarios/erasure.rs"]
mod erasure;
#[path = "scenarios/erasure_dead_letters.rs"]
mod erasure_dead_letters;
#[path = "scenarios/feedback.rs"]
mod feedback;
#[path = "scenarios/feedback_sns.rs"]
mod feedback_sns;
#[path = "scenarios/fixtures.rs"]
mod fixtures;
#[path = "scenarios/folder.rs"]
mod folder;
#[path = "scenarios/identity.rs"]
mod identity;
#[path = "scenarios/identity_kinds.rs"]
mod identity_kinds;
#[path = "scenarios/import.rs"]
mod import;
#[path = "scenarios/import_rows.rs"]
mod import_rows;
#[path = "scenarios/joined_by_hand.rs"]
mod joined_by_hand;
#[path = "scenarios/journeys.rs"]
mod journeys;
#[path = "scenarios/journeys_running.rs"]
mod journeys_running;
#[path = "scenarios/keyed.rs"]
mod keyed;
#[path = "scenarios/laptop.rs"]
mod laptop;
#[path = "scenarios/lead_page.rs"]
mod lead_page;
#[path = "scenarios/ledger.rs"]
mod ledger;
#[path = "scenarios/lists.rs"]
mod lists;
#[path = "scenarios/mail.rs"]
mod mail;
#[path = "scenarios/matching.rs"]
mod matching;
#[path = "scenarios/messages.rs"]
mod messages;
#[path = "scenarios/messages_again.rs"]
mod messages_again;
#[path = "scenarios/messages_held_back.rs"]
mod messages_held_back;
#[path = "scenarios/messages_limits.rs"]
mod messages_limits;
#[path = "scenarios/missing.rs"]
mod missing;
#[path = "scenarios/normalisation.rs"]
mod normalisation;
#[path = "scenarios/own_events.rs"]
mod own_events;
#[path = "scenarios/pages.rs"]
mod pages;
#[path = "scenarios/preferences.rs"]
mod preferences;
#[path = "scenarios/preferences_people.rs"]
mod preferences_people;
#[path = "scenarios/privacy.rs"]
mod privacy;
#[path = "scenarios/providers.rs"]
mod providers;
#[path = "scenarios/publishing_limits.rs"]
mod publishing_limits;
#[path = "scenarios/races.rs"]
mod races;
#[path = "scenarios/receipts.rs"]
mod receipts;
#[path = "scenarios/results.rs"]
mod results;
#[path = "scenarios/results_campaigns.rs"]
mod results_campaigns;
#[path = "scenarios/rights.rs"]
mod rights;
#[path = "scenarios/routing.rs"]
mod routing;
#[path = "scenarios/routing_depth.rs"]
mod routing_depth;
#[path = "scenarios/routing_waits.rs"]
mod routing_waits;
#[path = "scenarios/sdks.rs"]
mod sdks;
#[path = "scenarios/senders.rs"]
mod senders;
#[path = "scenarios/senders_proof.rs"]
mod senders_proof;
#[path = "scenarios/shops.rs"]
mod shops;
#[path = "scenarios/teams_gone.rs"]
mod teams_gone;
#[path = "scenarios/templates.rs"]
mod templates;
#[path = "scenarios/timeline.rs"]
mod timeline;
#[path = "scenarios/timers.rs"]
mod timers;
#[path = "scenarios/told.rs"]
mod told;
#[path = "scenarios/told_room.rs"]
mod told_room;
#[path = "scenarios/tracking.rs"]
mod tracking;
#[path = "scenarios/trials.rs"]
mod trials;
#[path = "scenarios/webhooks.rs"]
mod webhooks;
#[path = "scenarios/webhooks_journeys.rs"]
mod webhooks_journeys;
#[path = "scenarios/webhooks_out.rs"]
mod webhooks_out;
#[path = "scenarios/work.rs"]
mod work;
