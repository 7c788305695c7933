//! LinkedIn: the response and, where the questions did not come with it, its form.

use crate::{Answer, Enricher, Told, complete, nothing_more};
use sluice_domain::lead::{Lead, MarkKind};
use sluice_domain::pii::Pii;
use sluice_domain::policy::{FieldMap, Source as Document};
use sluice_host::fetch::Fetched;
use sluice_wire::sources::linkedin::{self, LinkedinError};

impl Enricher {
    pub(crate) async fn ask_linkedin(&self, lead: &Lead, source: &Document) -> Result<Answer, String> {
        let marks = self.store.marks(&lead.id).await.map_err(|error| error.to_string())?;
        if marks.iter().any(|mark| mark.kind == MarkKind::Withdrawn) {
            return Ok(nothing_more(lead, "withdrawn at LinkedIn before it was fetched"));
        }
        let id = lead.external_id.as_deref().unwrap_or_default();
        let mut answer = None;
        for token in self.tokens(source, "access_token").await? {
            let told = self.fetch_linkedin(id, &token, &source.fields).await?;
            let is_for_the_next = matches!(told, Err(LinkedinError::Token));
            answer = Some(told);
            if !is_for_the_next {
                break;
            }
        }
        let Some(answer) = answer else {
            return Ok(Answer::Later("the source has no access_token".to_owned()));
        };
        match answer {
            Ok(linkedin::Fetched { fields, attribution, created_at, test, .. }) => {
                Ok(complete(lead, Told { fields, attribution, created_at, test }))
            }
            Err(refusal @ (LinkedinError::Unavailable(_) | LinkedinError::Unreadable)) => {
                Err(refusal.to_string())
            }
            Err(LinkedinError::Unknown) if self.is_old(lead) => {
                Ok(nothing_more(lead, "LinkedIn no longer has this lead"))
            }
            Err(LinkedinError::Refused(status)) if self.is_old(lead) => {
                Ok(nothing_more(lead, &format!("LinkedIn refuses to tell this lead (status {status})")))
            }
            Err(refusal) => Ok(Answer::Later(refusal.to_string())),
        }
    }

    async fn fetch_linkedin(
        &self,
        id: &str,
        token: &Pii<String>,
        map: &FieldMap,
    ) -> Result<Result<linkedin::Fetched, LinkedinError>, String> {
        let response = self.linkedin(&linkedin::response_path(id), token).await?;
        if response.status != 200 {
            return Ok(Err(LinkedinError::classify(response.status)));
        }
        let told = linkedin::read(&response.body, None, map);
        let Ok(linkedin::Fetched { lacks_form: Some(form), .. }) = &told else { return Ok(told) };
        let form = self.linkedin(&linkedin::form_path(form), token).await?;
        Ok(match (form.status, LinkedinError::classify(form.status)) {
            (200, _) => linkedin::read(&response.body, Some(&form.body), map),
            // The form is gone or not ours to read: the answers are worth having without its questions.
            (_, LinkedinError::Unknown | LinkedinError::Permission | LinkedinError::Refused(_)) => told,
            (_, refusal) => Err(refusal),
        })
    }

    async fn linkedin(&self, path: &str, token: &Pii<String>) -> Result<Fetched, String> {
        let headers =
            [("linkedin-version", self.linkedin_version.as_str()), ("x-restli-protocol-version", "2.0.0")];
        self.get(&format!("{}{path}", self.linkedin), token, &headers).await
    }
}
