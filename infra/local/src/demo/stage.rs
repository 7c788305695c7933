//! A stack for one day: its own data, a clock that is moved by hand, and nobody else's servers.

use super::outside::Outside;
use super::{Door, Secrets};
use crate::cli::{embedded_functions, local_template};
use crate::host::clock::StackClock;
use crate::host::spec::{StackSpec, named};
use crate::host::stack::{Functions, MAIL_VIA, NoMetrics, Options, Stack};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sluice_domain::time::Timestamp;
use sluice_services::Service;
use sluice_services::connector::connector;
use sluice_wire::policy::SourceText;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Of each secret: long enough, and in the form that webhooks need.
const SECRET: &[u8; 32] = b"nobody is to use this elsewhere.";
/// Whose servers the samples call.
const HOSTS: [&str; 2] = ["graph.facebook.com", "hooks.example.net"];

/// A stack that is up. Dropping it ends it.
pub struct Stage {
    /// The stack.
    pub stack: Stack,
    /// Its door.
    pub door: Door,
    /// What stands for the secrets that the documents name.
    pub secrets: Secrets,
    /// The servers that it calls.
    pub outside: Outside,
}

impl Stage {
    /// Starts one whose clock stands at `start`; data goes to `data`, or is forgotten.
    pub async fn start(
        policies: &[SourceText],
        start: Timestamp,
        data: Option<PathBuf>,
        port: u16,
    ) -> Result<Self, String> {
        let secrets = Secrets(secrets(policies));
        let outside = Outside::default();
        let routes: Vec<(String, Arc<dyn Service>)> = HOSTS
            .iter()
            .map(|host| ((*host).to_owned(), Arc::new(outside.clone()) as Arc<dyn Service>))
            .collect();
        let mut vars = secrets.0.clone();
        vars.insert(MAIL_VIA.to_owned(), "ses".to_owned());
        let options = Options {
            data,
            port,
            functions: Functions::InProcess(embedded_functions()),
            clock: StackClock::frozen(start),
            metrics: Arc::new(NoMetrics),
            keeps_calls: true,
            vars,
            wrap_client: Some(Arc::new(move |_, client| connector(routes.clone(), Some(client)))),
        };
        let template = local_template()?;
        let stack = Stack::start(options, |addresses| StackSpec::from_template(&template, addresses))
            .await
            .map_err(|error| error.to_string())?;
        let token = stack.secrets.value(&named("AdminTokenSecret")).ok_or("the stack has no admin token")?;
        let door = Door::new(&stack.addresses.url, token);
        Ok(Self { stack, door, secrets, outside })
    }
}

/// A value for each `env:NAME` of the documents.
fn secrets(policies: &[SourceText]) -> BTreeMap<String, String> {
    let value = format!("whsec_{}", STANDARD.encode(SECRET));
    let mut found = BTreeMap::new();
    for (_, rest) in
        policies.iter().flat_map(|file| file.text.match_indices("env:").map(|(at, _)| file.text.split_at(at)))
    {
        let name: String = rest
            .chars()
            .skip("env:".len())
            .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
            .collect();
        if !name.is_empty() {
            found.insert(name, value.clone());
        }
    }
    found
}
