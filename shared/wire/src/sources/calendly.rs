//! Calendly's webhooks, version 2 (developer.calendly.com). A booking is a lead.
//!
//! Moving one sends two calls, `invitee.canceled` with `rescheduled` and `invitee.created` with `old_invitee`; the second
//! alone is the event here. A booking that is called off is marked on its lead.

use super::draft::Draft;
use super::{Delivery, Mark, Need, Refusal, Source, SourceLead, signature};
use crate::body::parse_json;
use crate::problem::Problem;
use sluice_domain::lead::MarkKind;

/// The source `calendly`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendly;

impl Source for Calendly {
    fn kind(&self) -> &'static str {
        "calendly"
    }

    fn setup(&self) -> &'static str {
        "Calendly's API: POST /webhook_subscriptions with this address as url, the events invitee.created and \
         invitee.canceled, and a signing_key."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "signing_key",
            what: "Signing key: a text of your choice, given as signing_key when the subscription is made.",
        }]
    }

    /// `Calendly-Webhook-Signature: t=<seconds>,v1=<hex>`, over the time, a dot and the body.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let header = delivery.request.header("calendly-webhook-signature");
        let secrets = delivery.secrets.all("signing_key");
        signature::timed(secrets, &delivery.request.body, header, "v1", delivery.now)
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let invitee = body.get("payload");
        if body.get("event").text() != Some("invitee.created") || invitee.members().is_empty() {
            return Ok(Vec::new());
        }
        let mut draft = Draft::json(delivery, &body);
        draft.id(invitee.get("uri").text());
        for (standard, name) in [
            ("email", "email"),
            ("full_name", "name"),
            ("first_name", "first_name"),
            ("last_name", "last_name"),
            ("phone", "text_reminder_number"),
            ("time_zone", "timezone"),
        ] {
            draft.known(standard, name, invitee.get(name));
        }
        let meeting = invitee.get("scheduled_event");
        let place = meeting.get("location");
        // Where the host is to call; `inbound_call` has the host's own number.
        if place.get("type").text() == Some("outbound_call") {
            let number = place.get("location");
            if number != invitee.get("text_reminder_number") {
                draft.known("phone", "location", number);
            }
        }
        for answer in invitee.get("questions_and_answers").items() {
            if let Some(question) = answer.get("question").text() {
                draft.field(question, answer.get("answer"));
            }
        }
        for (name, value) in invitee.get("tracking").members() {
            draft.note(name, value);
        }
        for (name, value) in [
            ("meeting", meeting.get("name")),
            ("meeting_start", meeting.get("start_time")),
            ("meeting_uri", invitee.get("event")),
            ("rescheduled_from", invitee.get("old_invitee")),
        ] {
            draft.note(name, value);
        }
        draft.at(body.get("created_at"));
        Ok(vec![draft.finish()])
    }

    fn marks(&self, delivery: &Delivery<'_>) -> Result<Vec<Mark>, Problem> {
        let body = parse_json(delivery.request)?;
        let invitee = body.get("payload");
        let is_off = body.get("event").text() == Some("invitee.canceled")
            && invitee.get("rescheduled").text() != Some("true");
        let lead = |uri: &str| Mark { external_id: uri.trim().to_owned(), kind: MarkKind::Canceled };
        Ok(invitee.get("uri").text().filter(|_| is_off).map(lead).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{document, read, refused_by_type};
    use super::*;
    use crate::http::HttpRequest;

    fn call(event: &str, invitee: &str) -> HttpRequest {
        let body = format!(r#"{{"event":"{event}","payload":{{"uri":"https://c.example/i/{invitee}"}}}}"#);
        HttpRequest { method: "POST".into(), body: body.into(), ..HttpRequest::default() }
    }

    #[test]
    fn moving_a_meeting_is_one_event_and_calling_it_off_is_a_mark() {
        let document = document("calendly");
        let moved = call("invitee.canceled", r#"1","rescheduled":true,"new_invitee":"https://c.example/i/2"#);
        assert_eq!(read(&Calendly, &document, &moved), (vec![], vec![]));
        let anew = call("invitee.created", r#"2","old_invitee":"https://c.example/i/1"#);
        let (leads, marks) = read(&Calendly, &document, &anew);
        assert_eq!((leads.len(), marks.len()), (1, 0));
        assert!(leads[0].attribution.contains(&("rescheduled_from".into(), "https://c.example/i/1".into())));
        let off = call("invitee.canceled", r#"2","rescheduled":false,"status":"canceled"#);
        let mark = Mark { external_id: "https://c.example/i/2".into(), kind: MarkKind::Canceled };
        assert_eq!(read(&Calendly, &document, &off), (vec![], vec![mark]));
        assert_eq!(
            read(&Calendly, &document, &call("routing_form_submission.created", "3")),
            (vec![], vec![])
        );
        refused_by_type(&Calendly);
    }
}
