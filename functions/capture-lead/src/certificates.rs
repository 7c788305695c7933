//! The certificates that senders sign with: fetched once from where a request says, and kept.

use crate::unavailable;
use sluice_host::environment::Environment;
use sluice_host::fetch::fetch;
use sluice_wire::problem::Problem;
use sluice_wire::sns::Certificate;
use sluice_wire::sources::{Delivery, Refusal, Source};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long its server may take: SNS itself waits 15 seconds for our answer.
const LIMIT: Duration = Duration::from_secs(4);
/// Certificates kept; a sender has one at a time in each region.
const MOST: usize = 16;

/// Certificates by address. What an address holds does not change: its name is that of the certificate.
#[derive(Default)]
pub(crate) struct Certificates(Mutex<BTreeMap<String, Arc<Certificate>>>);

impl Certificates {
    /// The certificate that proves a request, if it names one. Only a source that says so has anything fetched.
    pub(crate) async fn of(
        &self,
        source: &dyn Source,
        delivery: &Delivery<'_>,
        env: &Environment,
    ) -> Result<Option<Arc<Certificate>>, Problem> {
        let Some(url) = source.certificate(delivery)? else { return Ok(None) };
        if let Some(known) = self.kept().get(&url) {
            return Ok(Some(known.clone()));
        }
        let answer = fetch(env, "GET", &url, &[], Vec::new(), LIMIT).await.map_err(|error| {
            tracing::warn!(source = %delivery.document.name, %error, "certificate not fetched");
            unavailable()
        })?;
        let certificate = match answer.status {
            200 => Certificate::parse(&answer.body).map_err(|_| Refusal::Address)?,
            // There is none at this address, so nothing that names it was signed with it.
            400..=499 if answer.status != 429 => return Err(Refusal::Address.into()),
            status => {
                tracing::warn!(source = %delivery.document.name, status, "certificate not fetched");
                return Err(unavailable());
            }
        };
        let certificate = Arc::new(certificate);
        let mut kept = self.kept();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(url, certificate.clone());
        Ok(Some(certificate))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Certificate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
