//! Meta: one call of the Graph API.

use crate::{Answer, Enricher, complete, nothing_more};
use sluice_domain::lead::Lead;
use sluice_domain::policy::Source as Document;
use sluice_wire::sources::meta::{self, GraphError};

impl Enricher {
    pub(crate) async fn ask_meta(&self, lead: &Lead, source: &Document) -> Result<Answer, String> {
        let Some(token) = self.token(source, "page_token").await? else {
            return Ok(Answer::Later("the source has no page_token".to_owned()));
        };
        let external_id = lead.external_id.as_deref().unwrap_or_default();
        let url = format!("{}{}", self.graph, meta::graph_path(external_id));
        let answer = self.get(&url, &token, &[]).await?;
        let refusal = match answer.status {
            200 => match meta::read_graph(&answer.body) {
                Ok(graph) => return Ok(complete(lead, graph.fields, graph.attribution, graph.test)),
                Err(error) => error,
            },
            status => GraphError::classify(status, &answer.body),
        };
        match refusal {
            GraphError::Unavailable(_) | GraphError::Unreadable => Err(refusal.to_string()),
            GraphError::Unknown if self.is_old(lead) => {
                Ok(nothing_more(lead, "Meta no longer has this lead"))
            }
            GraphError::Refused(code) if self.is_old(lead) => {
                Ok(nothing_more(lead, &format!("Meta refuses to tell this lead (code {code})")))
            }
            _ => Ok(Answer::Later(refusal.to_string())),
        }
    }
}
