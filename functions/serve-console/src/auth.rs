//! Who calls: `Authorization: Bearer`, looked up by the hash of the token.

use crate::routes::Right;
use crate::{Console, unavailable};
use ring::digest;
use sluice_store::Role;
use sluice_wire::http::HttpRequest;
use sluice_wire::problem::Problem;

/// Whom a call is made for.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) role: Role,
    pub(crate) rep: Option<String>,
}

impl Principal {
    pub(crate) fn may(&self, right: Right) -> bool {
        match self.role {
            Role::Admin => true,
            Role::Manager => !matches!(right, Right::WritePolicies | Right::Import | Right::Admin),
            Role::Marketer => {
                matches!(
                    right,
                    Right::Any | Right::Send | Right::ReadPolicies | Right::WritePolicies | Right::Import
                )
            }
            Role::Rep => matches!(right, Right::Any | Right::Leads),
        }
    }

    /// The rep this call is limited to, if it is.
    pub(crate) fn only(&self) -> Option<&str> {
        match self.role {
            Role::Rep => Some(self.rep.as_deref().unwrap_or_default()),
            _ => None,
        }
    }

    /// Who did it, for the record.
    pub(crate) fn name(&self) -> String {
        match (&self.rep, self.role) {
            (Some(rep), _) => rep.clone(),
            (None, Role::Admin) => "admin".to_owned(),
            (None, Role::Manager) => "manager".to_owned(),
            (None, Role::Marketer) => "marketer".to_owned(),
            (None, Role::Rep) => "rep".to_owned(),
        }
    }
}

/// SHA-256 of a token, in hex: what is stored of it.
pub(crate) fn hash(token: &str) -> String {
    digest::digest(&digest::SHA256, token.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Console {
    pub(crate) async fn authenticate(&self, request: &HttpRequest) -> Result<Principal, Problem> {
        let token = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")))
            .map(str::trim)
            .filter(|token| !token.is_empty())
            .ok_or_else(|| {
                Problem::new(
                    401,
                    "token-missing",
                    "Send `Authorization: Bearer <token>`. `sluice token create` makes one.",
                )
            })?;
        let sha = hash(token);
        let first = self.secrets.fetch(&self.admin_token_secret).await.map_err(|error| {
            tracing::warn!(%error, "admin token not read");
            Problem::new(503, "unavailable", "Tokens cannot be checked just now. Try again.").retry_after(2)
        })?;
        // Comparing hashes takes the same time wherever the tokens differ.
        if first.is_some_and(|first| hash(first.reveal()) == sha) {
            return Ok(Principal { role: Role::Admin, rep: None });
        }
        match self.store.token(&sha).await.map_err(unavailable)? {
            Some(token) => Ok(Principal { role: token.role, rep: token.rep }),
            None => Err(Problem::new(401, "token-unknown", "This token is not known here.")),
        }
    }
}
