//! How much is logged of what.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// The targets of our own code, as they begin.
pub const OURS: [&str; 13] = [
    "sluice",
    "capture_lead",
    "enrich_lead",
    "erase_customer",
    "route_lead",
    "send_message",
    "fire_timers",
    "record_engagement",
    "record_feedback",
    "track_event",
    "advance_journey",
    "run_campaign",
    "serve_console",
];

/// What says an error of every call that is repeated, since no HTTP client of ours has a connection to be closed for it.
const USELESS: &str = "aws_smithy_runtime::client::http::connection_poisoning";

/// Our own code up to `level`, all other code up to `info` at most: below that the Lambda runtime and the SDK write whole
/// events, requests and answers, with what people sent and with tokens.
pub fn targets(level: LevelFilter) -> Targets {
    let others = Targets::new().with_default(level.min(LevelFilter::INFO));
    let others = others.with_target(USELESS, LevelFilter::OFF);
    OURS.into_iter().fold(others, |targets, ours| targets.with_target(ours, level))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn however_much_is_asked_for_only_our_own_code_writes_more_than_usual() {
        let most = targets(LevelFilter::TRACE);
        for theirs in ["lambda_runtime::layers::api_response", "aws_smithy_runtime::client::orchestrator"] {
            assert!(most.would_enable(theirs, &Level::INFO) && !most.would_enable(theirs, &Level::DEBUG));
        }
        for ours in ["sluice_host::queue", "serve_console", "route_lead::batch"] {
            assert!(most.would_enable(ours, &Level::TRACE), "{ours}");
        }
        assert!(!most.would_enable(USELESS, &Level::ERROR), "no connection to be closed is no error");
        let least = targets(LevelFilter::WARN);
        for any in ["lambda_runtime", "sluice_host"] {
            assert!(least.would_enable(any, &Level::WARN) && !least.would_enable(any, &Level::INFO), "{any}");
        }
    }
}
