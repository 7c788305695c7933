//! Opens and clicks.

use crate::{ATTEMPTS, Engagement, Fault};
use serde_json::json;
use sluice_domain::event::Happened;
use sluice_domain::id::MessageId;
use sluice_domain::link::{Link, Purpose};
use sluice_domain::message::{CauseKind, Counted, Deed, Message, Visit};
use sluice_domain::template::in_ascii;
use sluice_host::metrics::Metrics;
use sluice_store::{StoreError, Written};
use sluice_wire::http::{HttpRequest, HttpResponse};
use sluice_wire::queue::Click;

/// A transparent picture of one pixel (GIF89a).
const PIXEL: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\
\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";

impl Engagement {
    /// The picture, whatever the token is: a broken picture would only spoil the mail.
    pub(crate) async fn open(&self, token: &str, request: &HttpRequest) -> HttpResponse {
        match self.link(Purpose::Open, token).await {
            Ok(Link::Open(id)) => {
                let counted = match self.store.message(&id).await {
                    Ok(Some(message)) => self.count(message, Deed::Open, request).await,
                    Ok(None) => Ok(()),
                    Err(error) => Err(error),
                };
                if let Err(error) = counted {
                    tracing::warn!(message = %id, %error, "an opening was not counted");
                }
            }
            Err(Fault::Unavailable(why)) => tracing::warn!(%why, "an opening was not counted"),
            _ => {}
        }
        private(HttpResponse::empty(200).with_body("image/gif", PIXEL))
    }

    /// On to where the link leads: to what was stored with the message and nowhere else, so that nobody can make our
    /// address lead where they want. A person is led on even if the click cannot be counted.
    pub(crate) async fn click(&self, token: &str, request: &HttpRequest) -> Result<HttpResponse, Fault> {
        let Link::Click(id, number) = self.link(Purpose::Click, token).await? else {
            return Err(Fault::NoLink);
        };
        let message = self.store.message(&id).await?.ok_or(Fault::NoLink)?;
        let url =
            message.links.get(usize::from(number)).and_then(|url| location(url)).ok_or(Fault::NoLink)?;
        if let Err(error) = self.count(message, Deed::Click(number), request).await {
            tracing::warn!(message = %id, %error, "a click was not counted");
        }
        Ok(private(HttpResponse::empty(302).with_header("location", url)))
    }

    /// Counts a visit, unless such visits are not to be counted: what was switched off stays off for mails that are
    /// out already.
    async fn count(&self, message: Message, deed: Deed, request: &HttpRequest) -> Result<(), StoreError> {
        // Whoever tests is not the customer as whom they read.
        if message.order.cause.kind == CauseKind::Test {
            return Ok(());
        }
        let now = self.now();
        let policies = self.policies.current(now).await?;
        let messaging = &policies.settings.messaging;
        let is_counted = match deed {
            Deed::Open => messaging.track_opens,
            Deed::Click(_) => messaging.track_clicks,
        };
        if !is_counted {
            return Ok(());
        }
        let mut nonce = [0; 4];
        self.env.random.fill(&mut nonce);
        let visit = Visit {
            deed,
            at: now,
            nonce: u32::from_be_bytes(nonce),
            is_head: request.method == "HEAD",
            is_prefetch: is_prefetch(request),
            agent: request.header("user-agent"),
        };
        let id = message.id();
        let mut next = Some(message);
        let mut written = None;
        for _ in 0..ATTEMPTS {
            let Some(mut message) = next.take() else { return Ok(()) };
            let counted = message.trail.count(&visit, message.claimed);
            if counted == Counted::Already {
                // By ourselves: the answer of that write was lost.
                return match written {
                    Some((counted, message)) => self.told(counted, &message, &visit).await,
                    None => Ok(()),
                };
            }
            if self.store.put_message(&message).await? == Written::Done {
                return self.told(counted, &message, &visit).await;
            }
            written = Some((counted, message));
            next = self.message_again(&id).await?;
        }
        Err(StoreError::Unavailable("too much contention".to_owned()))
    }

    /// A visit is on the trail: policies are told of a person's, each a thing of its own. A click waits until no other can show
    /// any more that a program made it.
    async fn told(&self, counted: Counted, message: &Message, visit: &Visit<'_>) -> Result<(), StoreError> {
        self.measure(counted, visit.deed);
        match (counted, visit.deed) {
            (Counted::Machine(_) | Counted::Already, _) => Ok(()),
            (Counted::Person, Deed::Open) => {
                self.tell(self.opened(message, visit).into_iter().collect()).await
            }
            (Counted::Person, Deed::Click(link)) => {
                let Visit { at, nonce, .. } = *visit;
                self.tell_later(Click { message: message.id(), link, at, nonce }).await
            }
        }
    }

    fn opened(&self, message: &Message, visit: &Visit<'_>) -> Option<Happened> {
        let more = if message.trail.is_first_opening() { json!({"first": true}) } else { json!({}) };
        self.teller().message(message, "message_opened", &visit.nonce.to_string(), visit.at, more)
    }

    async fn message_again(&self, id: &MessageId) -> Result<Option<Message>, StoreError> {
        self.store.message(id).await
    }

    fn measure(&self, counted: Counted, deed: Deed) {
        let metrics = Metrics::new();
        let metrics = match (counted, deed) {
            (Counted::Already, _) => return,
            (Counted::Machine(sign), _) => metrics.by("Sign", sign.name()).count("MachineVisits", 1),
            (Counted::Person, Deed::Open) => metrics.count("Opened", 1),
            (Counted::Person, Deed::Click(_)) => metrics.count("Clicked", 1),
        };
        metrics.emit(&self.env, self.now());
    }
}

/// An address as it may stand in a `Location`, if it is a web address: what a text names may have letters that no header holds.
fn location(url: &str) -> Option<String> {
    let starts =
        |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let is_web = starts("https://") || starts("http://");
    let is_whole = url.chars().all(|c| c.is_ascii_graphic() || !c.is_ascii());
    (is_web && is_whole).then(|| in_ascii(url))
}

/// Whether a request says that it is made before anybody wants what it asks for. `Sec-Purpose` is the Fetch standard's;
/// Chrome's link prefetch says `Purpose`, Safari's preview `X-Purpose`, Firefox said `X-Moz`.
fn is_prefetch(request: &HttpRequest) -> bool {
    let says = |name: &str, word: &str| {
        request.header(name).is_some_and(|value| value.trim().to_ascii_lowercase().starts_with(word))
    };
    says("sec-purpose", "prefetch")
        || ["purpose", "x-purpose", "x-moz"]
            .iter()
            .any(|name| ["prefetch", "preview", "prerender"].iter().any(|word| says(name, word)))
}

/// Asked again each time, so that each time counts, and not passed on to where the link leads.
fn private(answer: HttpResponse) -> HttpResponse {
    answer
        .with_header("cache-control", "no-store, max-age=0")
        .with_header("referrer-policy", "no-referrer")
        .with_header("x-robots-tag", "noindex")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_that_fit_into_a_header_are_led_to() {
        for url in ["https://shop.example/a?b=%20#c", "HTTP://shop.example"] {
            assert_eq!(location(url).as_deref(), Some(url));
        }
        for url in [
            "javascript:alert(1)",
            "//evil.example",
            "/here",
            "https://a b",
            "https://a\r\nset-cookie: x",
            "",
        ] {
            assert_eq!(location(url), None, "{url}");
        }
        assert_eq!(
            location("https://shop.example/größe").as_deref(),
            Some("https://shop.example/gr%C3%B6%C3%9Fe")
        );
    }

    #[test]
    fn what_asks_in_advance_is_known_by_its_headers() {
        let with = |name: &str, value: &str| HttpRequest {
            headers: vec![(name.to_owned(), value.to_owned())],
            ..HttpRequest::default()
        };
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-purpose", "preview"),
            ("x-moz", "Prefetch"),
        ] {
            assert!(is_prefetch(&with(name, value)), "{name}: {value}");
        }
        assert!(!is_prefetch(&with("sec-fetch-dest", "document")));
        assert!(!is_prefetch(&HttpRequest::default()));
    }

    #[test]
    fn the_pixel_is_a_whole_gif_of_one_by_one() {
        assert_eq!(
            (&PIXEL[..6], &PIXEL[6..10], PIXEL.len()),
            (b"GIF89a".as_ref(), [1, 0, 1, 0].as_ref(), 42)
        );
        assert_eq!(PIXEL.last(), Some(&b';'));
    }
}
