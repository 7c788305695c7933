//! `POST /api/templates/{name}/preview`: a message as it would be sent. Writes nothing.

use crate::{Call, Console};
use serde::Deserialize;
use serde_json::{Map, Value};
use sluice_domain::identity::LanguageTag;
use sluice_domain::template::{Context, Failure, Given, Reason, context, preview};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;

/// What a browser may do with a mail: show it. Nothing in it runs, or sends what is typed anywhere.
const ONLY_SHOWN: &str = "sandbox; default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'";

/// A preview as it is asked for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    /// For this customer; absent is a made-up one.
    customer: Option<String>,
    /// In this language; absent is the customer's.
    language: Option<String>,
    /// What whoever sends it would give.
    data: Map<String, Value>,
    event: Map<String, Value>,
    lead: Map<String, Value>,
}

impl Console {
    /// `{"customer": "cu_…", "language": "zh", "data": {…}}`, all of it optional. `Accept: text/html` asks for the mail itself,
    /// as a page.
    pub(crate) async fn preview_template(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked: Asked = call.read()?;
        let language = match asked.language.as_deref().map(LanguageTag::parse) {
            Some(None) => {
                let said = "A language is a tag such as `de`, `pt-BR` or `zh-Hant`.";
                return Err(Problem::new(422, "no-such-language", said).about("language"));
            }
            tag => tag.flatten(),
        };
        let policies = self.current().await?;
        let known_of = match &asked.customer {
            None => Context::sample(&policies.settings.company),
            Some(id) => {
                let (root, known) =
                    self.find_person(call, id).await.map_err(|problem| problem.about("customer"))?;
                let known = call.sight.people(&known);
                let whole = known.customers.get(&root).map(|record| known.whole(record));
                // What is hidden is taken out before the caller's own values come in: what they gave may be read back, whether
                // it is right or not.
                call.sight.without_hidden(context(whole.as_ref(), &policies, Given::default()))
            }
        };
        let given = [("data", asked.data), ("event", asked.event), ("lead", asked.lead)];
        let given = given.into_iter().filter(|(_, values)| !values.is_empty());
        let context =
            given.fold(known_of, |context, (root, values)| context.with(root, Value::Object(values)));
        let shown =
            preview(&policies, call.part(0), language, context).map_err(|failure| refused(&failure))?;
        if !call.request.takes_html() {
            return Ok(HttpResponse::json(200, &serde_json::to_value(&shown).unwrap_or_default()));
        }
        let page = HttpResponse::empty(200).with_header("content-security-policy", ONLY_SHOWN);
        Ok(match shown.html {
            Some(html) => page.with_body("text/html; charset=utf-8", html),
            None => page.with_body("text/plain; charset=utf-8", shown.text),
        })
    }
}

/// There is no message: which template is missing, or what at which line and column keeps it from being sent.
pub(crate) fn refused(failure: &Failure) -> Problem {
    match failure.reason {
        Reason::NoTemplate => {
            Problem::new(404, "no-such-template", format!("{}.", sentence(&failure.message)))
        }
        _ => Problem::new(422, "template-fails", failure.to_string()),
    }
}

/// The path names a template that there is not.
pub(crate) fn no_such_template(name: &str) -> Problem {
    Problem::new(404, "no-such-template", format!("There is no template `{name}`."))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
