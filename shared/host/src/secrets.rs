//! Secrets: references in documents and variables, values only in memory.

use crate::aws;
use crate::environment::{ConfigError, Environment};
use serde::Deserialize;
use sluice_domain::customer::{HashKey, HashKeys};
use sluice_domain::link::LinkKeys;
use sluice_domain::pii::Pii;
use sluice_domain::policy::SecretRef;
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How long a value is trusted, in milliseconds: a rotation is seen within this.
const FRESH_MS: i64 = 60_000;

/// A value as it was read, and when; `None` is "there is no such secret".
type Cached = (Option<Pii<String>>, Timestamp);

/// Reads secrets.
pub struct SecretStore {
    client: aws_sdk_secretsmanager::Client,
    env: Environment,
    cache: Mutex<BTreeMap<String, Cached>>,
}

/// The secret could not be asked for; says nothing about its value.
#[derive(Debug, thiserror::Error)]
#[error("secret {0} cannot be read now")]
pub struct SecretError(String);

impl SecretStore {
    /// Nothing is read yet.
    pub fn new(env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { client: aws::secrets_manager(env)?, env: env.clone(), cache: Mutex::default() })
    }

    /// The value of a reference; `None` if there is no such secret, which makes its source refuse everything.
    pub async fn resolve(&self, reference: &SecretRef) -> Result<Option<Pii<String>>, SecretError> {
        if let Some(name) = reference.variable() {
            return Ok(self.env.optional(name).map(|value| Pii::new(value.to_owned())));
        }
        match self.id_of(reference) {
            Some(id) => self.fetch(&id).await,
            None => Ok(None),
        }
    }

    /// Reads a secret anew the next time: somebody who should know it does not.
    pub fn forget(&self, reference: &SecretRef) {
        if let Some(id) = self.id_of(reference) {
            self.cache.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
    }

    fn id_of(&self, reference: &SecretRef) -> Option<String> {
        let name = reference.0.strip_prefix("secret:")?;
        let prefix = self.env.optional("SLUICE_SECRET_PREFIX").unwrap_or("sluice/sources");
        Some(format!("{prefix}/{name}"))
    }

    /// A secret by name or ARN.
    pub async fn fetch(&self, id: &str) -> Result<Option<Pii<String>>, SecretError> {
        let now = self.env.clock.now();
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some((value, read)) = cached
            && now.since(read).abs() < FRESH_MS
        {
            return Ok(value);
        }
        let value = match self.client.get_secret_value().secret_id(id).send().await {
            Ok(answer) => answer.secret_string.map(Pii::new),
            // One that is to be deleted is there no more: `InvalidRequestException` says so.
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_resource_not_found_exception() || e.is_invalid_request_exception()
                }) =>
            {
                None
            }
            Err(_) => return Err(SecretError(id.to_owned())),
        };
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), (value.clone(), now));
        Ok(value)
    }

    /// The keys that addresses are hashed with, from the secret that `SLUICE_HASH_KEY_SECRET` names:
    /// `{"version": "2", "current": "…", "old": {"1": "…"}}`. Whatever was current once stays among the old ones, or what
    /// people refused under it is forgotten. `previous_version` and `previous` are one more old key.
    pub async fn hash_keys(&self) -> Result<HashKeys, SecretError> {
        #[derive(Deserialize)]
        struct Stored {
            version: String,
            current: String,
            #[serde(default)]
            old: BTreeMap<String, String>,
            previous_version: Option<String>,
            previous: Option<String>,
        }
        let id = self.env.optional("SLUICE_HASH_KEY_SECRET").unwrap_or_default();
        let unreadable = || SecretError(id.to_owned());
        let value = self.fetch(id).await?.ok_or_else(unreadable)?;
        let stored: Stored = serde_json::from_str(value.reveal()).map_err(|_| unreadable())?;
        let current = HashKeys::new(HashKey::new(stored.version, stored.current.as_bytes()));
        let old = stored.previous_version.zip(stored.previous).into_iter().chain(stored.old);
        Ok(old.fold(current, |keys, (version, key)| keys.with_old(HashKey::new(version, key.as_bytes()))))
    }

    /// The keys of links in messages, from the secret that `SLUICE_LINK_KEY_SECRET` names:
    /// `{"version": "2", "current": "…", "old": {"1": "…"}}`. Whatever was current once stays among the old ones, or the
    /// links of mails that are out stop working.
    pub async fn link_keys(&self) -> Result<LinkKeys, SecretError> {
        #[derive(Deserialize)]
        struct Stored {
            version: String,
            current: String,
            #[serde(default)]
            old: BTreeMap<String, String>,
        }
        let id = self.env.optional("SLUICE_LINK_KEY_SECRET").unwrap_or_default();
        let unreadable = || SecretError(id.to_owned());
        let value = self.fetch(id).await?.ok_or_else(unreadable)?;
        let stored: Stored = serde_json::from_str(value.reveal()).map_err(|_| unreadable())?;
        let keys = LinkKeys::new(&stored.version, stored.current.as_bytes()).ok_or_else(unreadable)?;
        Ok(stored.old.iter().fold(keys, |keys, (version, secret)| keys.with_old(version, secret.as_bytes())))
    }
}
