//! What a message says: its template, rendered for the customer.

use sluice_domain::customer::Whole;
use sluice_domain::identity::LanguageTag;
use sluice_domain::message::Message;
use sluice_domain::policy::PolicySet;
use sluice_domain::template::{Given, Library, Rendered, context};

/// Renders it, or says what is wrong with the template or missing of the customer; never a value.
pub(crate) fn render(
    library: &Library,
    message: &Message,
    whole: &Whole<'_>,
    policies: &PolicySet,
) -> Result<Rendered, String> {
    let given = Given { data: message.data.clone().into(), ..Given::default() };
    let context = context(Some(whole), policies, given);
    let language = message.order.language.map(|language| LanguageTag::of(language, None));
    let rendered = library.render(policies, &message.order.template, language, &context);
    rendered.map_err(|failure| failure.to_string())
}
