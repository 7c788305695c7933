//! Tokens: made and shown once, listed, revoked.

use crate::acts::ATTEMPTS;
use crate::{Call, Console, auth, unavailable};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_domain::access::{Change, Note, Role};
use sluice_domain::policy::Period;
use sluice_domain::time::Timestamp;
use sluice_store::{Token, TokenMade, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::idempotency;
use sluice_wire::problem::Problem;

/// Tokens of one page.
const PAGE: i32 = 100;
/// The longest note, in characters.
const NOTE: usize = 200;

/// A token as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    role: String,
    #[serde(default)]
    rep: Option<String>,
    #[serde(default)]
    teams: Vec<String>,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    expires: Option<String>,
}

impl Console {
    /// `{"role": "manager", "rep": "li.wei", "teams": […], "expires": "90d", "note": …}`: a rep's token names the
    /// rep, a manager's the rep that the manager is, teams, or both. With an `Idempotency-Key` the same call makes one
    /// token; its text is shown with the first answer alone.
    pub(crate) async fn create_token(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let key = idempotency::key(&call.request)?.map(auth::hash);
        let asked: Asked = call.read()?;
        let fingerprint = auth::hash(&call.json()?.to_string());
        if let Some(key) = &key
            && let Some(made) = self.store.token_made(key).await.map_err(unavailable)?
        {
            return Err(made_before(&made, &fingerprint));
        }
        let (now, policies) = (self.env.clock.now(), self.current().await?);
        let role = Role::parse(&asked.role).ok_or_else(|| {
            Problem::new(422, "role-unknown", "A role is admin, marketer, manager or rep.").about("role")
        })?;
        if asked.rep.as_ref().is_some_and(|rep| !policies.reps.contains_key(rep)) {
            return Err(Problem::new(422, "rep-unknown", "There is no rep of this name.").about("rep"));
        }
        if asked.teams.iter().any(|team| !policies.teams.contains_key(team)) {
            return Err(Problem::new(422, "team-unknown", "There is no team of this name.").about("teams"));
        }
        match role {
            Role::Rep if asked.rep.is_none() => {
                return Err(
                    Problem::new(422, "rep-missing", "A token of role rep names its rep.").about("rep")
                );
            }
            Role::Manager if asked.rep.is_none() && asked.teams.is_empty() => {
                let detail = "A token of role manager names the rep that the manager is, or `teams`.";
                return Err(Problem::new(422, "team-missing", detail).about("teams"));
            }
            Role::Rep | Role::Admin | Role::Marketer if !asked.teams.is_empty() => {
                let detail = "Only a token of role manager names teams.";
                return Err(Problem::new(422, "teams-out-of-place", detail).about("teams"));
            }
            _ => {}
        }
        let time = |text: &str| match Period::parse(text) {
            Ok(length) => Some(now.plus_millis(length.millis())),
            Err(_) => Timestamp::parse(text),
        };
        let expires = match asked.expires.as_deref().map(time) {
            None => None,
            Some(Some(at)) if at > now => Some(at),
            Some(_) => {
                let detail = "`expires` is a time to come, written like 2027-03-01T09:00:00Z, or a length such as 90d.";
                return Err(Problem::new(422, "time-unreadable", detail).about("expires"));
            }
        };
        let mut random = [0; 32];
        self.env.random.fill(&mut random);
        let text = format!("slt_{}", URL_SAFE_NO_PAD.encode(random));
        let token = Token {
            sha: auth::hash(&text),
            version: 0,
            role,
            rep: asked.rep,
            teams: asked.teams,
            note: asked.note.map(|note| note.chars().take(NOTE).collect()),
            at: now,
            expires,
            revoked: None,
        };
        let note = note(call, &token, None, Some(role), now);
        self.make_token(&token, &note, key.map(|hash| (hash, fingerprint))).await?;
        let mut shown = view(&token, now);
        shown["token"] = text.into();
        Ok(HttpResponse::json(201, &shown))
    }

    /// Stores a new token, once under the key of a call, if it has one. Nobody else can have drawn its bytes: if it is there, it is
    /// this one, and the answer was lost.
    async fn make_token(
        &self,
        token: &Token,
        note: &Note,
        key: Option<(String, String)>,
    ) -> Result<(), Problem> {
        let made = key.map(|(hash, fingerprint)| (hash, TokenMade { token: token.id(), fingerprint }));
        for _ in 0..ATTEMPTS {
            let written = match &made {
                None => self.store.put_token(token, note).await,
                Some((hash, made)) => self.store.make_token(token, note, hash, made).await,
            };
            if written.map_err(unavailable)? == Written::Done
                || self.store.token(&token.sha).await.map_err(unavailable)?.is_some()
            {
                return Ok(());
            }
            if let Some((hash, made)) = &made
                && let Some(before) = self.store.token_made(hash).await.map_err(unavailable)?
            {
                return Err(made_before(&before, &made.fingerprint));
            }
        }
        Err(Problem::new(409, "busy", "Others are making tokens. Try again.").retry_after(1))
    }

    /// Every token but the stack's own first one, page by page, also those that are worth nothing any more.
    pub(crate) async fn list_tokens(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let cursor = call.query("cursor");
        let page = self.store.tokens(cursor.as_deref(), PAGE).await.map_err(unavailable)?;
        let now = self.env.clock.now();
        let tokens: Vec<Value> = page.items.iter().map(|token| view(token, now)).collect();
        Ok(HttpResponse::json(200, &json!({ "tokens": tokens, "cursor": page.next })))
    }

    /// From the answer on the token is refused. Again and again with the same answer.
    pub(crate) async fn revoke_token(&self, call: &Call) -> Result<HttpResponse, Problem> {
        for _ in 0..ATTEMPTS {
            let token = self.store.token_by_id(call.part(0)).await.map_err(unavailable)?;
            let mut token =
                token.ok_or_else(|| Problem::new(404, "no-such-token", "There is no token with this id."))?;
            let now = self.env.clock.now();
            if token.revoked.is_none() {
                token.revoked = Some(now);
                let note = note(call, &token, Some(token.role), None, now);
                if self.store.put_token(&token, &note).await.map_err(unavailable)? == Written::Conflict {
                    continue;
                }
            }
            return Ok(HttpResponse::json(200, &view(&token, now)));
        }
        Err(Problem::new(409, "busy", "Others are changing this token. Try again.").retry_after(1))
    }
}

/// The key again: whoever has not got the token cannot get it any more, and is told how to get another.
fn made_before(made: &TokenMade, fingerprint: &str) -> Problem {
    if made.fingerprint != fingerprint {
        return idempotency::reused("another token");
    }
    let detail = format!(
        "This call made the token {}, whose text was shown once and is kept nowhere. If it did not arrive, revoke that \
         token and ask for another under a new Idempotency-Key.",
        made.token
    );
    Problem::new(409, "token-made", detail).about(idempotency::HEADER)
}

fn note(call: &Call, token: &Token, from: Option<Role>, to: Option<Role>, at: Timestamp) -> Note {
    let (rep, teams) = (token.rep.clone(), token.teams.clone());
    Note { at, who: call.who.doer(), change: Change::Token { token: token.id(), rep, teams, from, to } }
}

fn view(token: &Token, now: Timestamp) -> Value {
    let state = match (token.revoked, token.expires) {
        (Some(_), _) => "revoked",
        (None, Some(expires)) if expires <= now => "expired",
        _ => "active",
    };
    json!({
        "id": token.id(), "role": token.role, "rep": token.rep, "teams": token.teams, "note": token.note,
        "created": token.at.rfc3339(), "expires": token.expires.map(Timestamp::rfc3339),
        "revoked": token.revoked.map(Timestamp::rfc3339), "state": state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_again_is_told_which_token_it_made_and_another_call_is_not() {
        let made = TokenMade { token: "tk_0123456789abcdef".to_owned(), fingerprint: "f".to_owned() };
        let again = made_before(&made, "f");
        assert_eq!((again.status, again.name), (409, "token-made"));
        assert!(again.detail.contains(&made.token), "{}", again.detail);
        let other = made_before(&made, "g");
        assert_eq!((other.status, other.name), (409, "idempotency-key-reused"));
        assert!(!other.detail.contains(&made.token), "{}", other.detail);
    }
}
