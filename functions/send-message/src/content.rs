//! What a message says: its template, rendered for the customer, with the links that lead back to us.

use sluice_domain::customer::Whole;
use sluice_domain::identity::LanguageTag;
use sluice_domain::link::Links;
use sluice_domain::message::{CauseKind, Message};
use sluice_domain::policy::{AddressKind, PolicySet};
use sluice_domain::template::{
    self, Given, Library, Rendered, context, context_of_address, rewrite_links, with_open_pixel,
};

/// A message as it goes out.
pub(crate) struct Content {
    /// What it says.
    pub(crate) rendered: Rendered,
    /// Where its links lead in the end, by their number.
    pub(crate) links: Vec<String>,
    /// Where the mail program's button posts to (RFC 8058); a message that the person asked for has none.
    pub(crate) unsubscribe: Option<String>,
}

/// Renders it, or says what is wrong with the template or missing of the customer; never a value.
pub(crate) fn render(
    library: &Library,
    message: &Message,
    whole: &Whole<'_>,
    policies: &PolicySet,
    links: &Links<'_>,
) -> Result<Content, String> {
    let order = &message.order;
    let asks_for_consent = order.cause.kind == CauseKind::Confirmation;
    let is_trial = order.cause.kind == CauseKind::Test;
    let own = template::Links {
        unsubscribe: Some(links.preferences()),
        preferences: Some(links.preferences()),
        // A trial may be of a template that asks; its link confirms nothing.
        confirm: (asks_for_consent || is_trial).then(|| links.confirm()),
    };
    let event = message.data.get("event").filter(|_| order.cause.kind == CauseKind::Journey);
    let event = event.cloned().unwrap_or_default();
    let given = Given { links: own, event, data: message.data.clone().into(), ..Given::default() };
    let context = match (&message.to, asks_for_consent) {
        // Somebody named the customer and typed this address: whether it is theirs is what the message asks.
        (Some(to), true) => {
            let kind = policies.channel(order.channel).map(|channel| channel.address_kind());
            let kind = kind.unwrap_or(AddressKind::usual(order.channel));
            context_of_address(whole, (kind.identity().name(), to.reveal()), policies, given)
        }
        _ => context(Some(whole), policies, given),
    };
    let language = order.language.map(|language| LanguageTag::of(language, None));
    let rendered = library.render(policies, &order.template, language, &context);
    let mut rendered = rendered.map_err(|failure| failure.to_string())?;
    let leads_to = message.numbered(&rendered.links);
    let topic = policies.topic(&order.topic);
    let tracking = policies.settings.messaging.tracking(&topic, order.channel, asks_for_consent);
    if tracking.clicks {
        rewrite_links(&mut rendered, |_, url| {
            let number = leads_to.iter().position(|known| known == url);
            number.and_then(|number| links.click(number)).unwrap_or_else(|| url.to_owned())
        });
    }
    if tracking.opens {
        rendered.html = rendered.html.map(|html| with_open_pixel(&html, &links.open()));
    }
    Ok(Content { rendered, links: leads_to, unsubscribe: (!topic.service).then(|| links.preferences()) })
}
