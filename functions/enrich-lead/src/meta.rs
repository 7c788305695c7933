//! Meta: one call of the Graph API.

use crate::{Answer, Enricher, Told, complete, nothing_more};
use sluice_domain::lead::Lead;
use sluice_domain::pii::Pii;
use sluice_domain::policy::{FieldMap, Source as Document};
use sluice_wire::sources::meta::{self, GraphError, GraphLead};

impl Enricher {
    pub(crate) async fn ask_meta(&self, lead: &Lead, source: &Document) -> Result<Answer, String> {
        let external_id = lead.external_id.as_deref().unwrap_or_default();
        let url = format!("{}{}", self.graph, meta::graph_path(external_id));
        let mut refusal = None;
        for token in self.tokens(source, "page_token").await? {
            match self.ask_graph(&url, &token, &source.fields).await? {
                Ok(GraphLead { fields, attribution, created_at, test, .. }) => {
                    return Ok(complete(lead, Told { fields, attribution, created_at, test }));
                }
                Err(why @ GraphError::Token(_)) => refusal = Some(why),
                Err(why) => {
                    refusal = Some(why);
                    break;
                }
            }
        }
        let Some(refusal) = refusal else {
            return Ok(Answer::Later("the source has no page_token".to_owned()));
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

    async fn ask_graph(
        &self,
        url: &str,
        token: &Pii<String>,
        map: &FieldMap,
    ) -> Result<Result<GraphLead, GraphError>, String> {
        let answer = self.get(url, token, &[]).await?;
        Ok(match answer.status {
            200 => meta::read_graph(&answer.body, map),
            status => Err(GraphError::classify(status, &answer.body)),
        })
    }
}
