//! Who calls: `Authorization: Bearer`, looked up by the hash of the token.

use crate::{Console, unavailable};
use ring::digest;
use sluice_domain::access::{Doer, Role};
use sluice_wire::http::HttpRequest;
use sluice_wire::problem::Problem;

/// Whom a call is made for.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) role: Role,
    pub(crate) rep: Option<String>,
    /// The teams that a manager's token names.
    pub(crate) teams: Vec<String>,
    /// The token's id.
    pub(crate) token: String,
}

/// What the token is called that the stack made for itself.
const FIRST: &str = "first";

impl Principal {
    /// Who did it, for the record. What somebody wrote or asked for is shown to them, so one who is no rep is told from others of
    /// that role by the token; whoever sees everything need not be.
    pub(crate) fn name(&self) -> String {
        match (&self.rep, self.role) {
            (Some(rep), _) => rep.clone(),
            (None, Role::Admin) => self.role.name().to_owned(),
            (None, role) => format!("{} {}", role.name(), self.token),
        }
    }

    /// The same for the audit, which has role and token besides.
    pub(crate) fn doer(&self) -> Doer {
        let name = self.rep.clone().unwrap_or_else(|| self.role.name().to_owned());
        Doer { name, role: Some(self.role), token: Some(self.token.clone()) }
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
            .and_then(|value| value.trim().split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
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
            return Ok(Principal {
                role: Role::Admin,
                rep: None,
                teams: Vec::new(),
                token: FIRST.to_owned(),
            });
        }
        let token = self.store.token(&sha).await.map_err(unavailable)?;
        let refused = |name, detail: &str| Problem::new(401, name, detail);
        let token = token.ok_or_else(|| refused("token-unknown", "This token is not known here."))?;
        if token.revoked.is_some() {
            return Err(refused("token-revoked", "This token was revoked. Ask an admin for another."));
        }
        if token.expires.is_some_and(|expires| expires <= self.env.clock.now()) {
            return Err(refused("token-expired", "This token has expired. Ask an admin for another."));
        }
        Ok(Principal { token: token.id(), role: token.role, rep: token.rep, teams: token.teams })
    }
}
