//! `POST /api/tokens`: a token, shown once.

use crate::{Call, Console, auth, unavailable};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sluice_store::{Role, Token};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;

impl Console {
    pub(crate) async fn create_token(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let body = call.json()?;
        let role = body["role"].as_str().and_then(Role::parse).ok_or_else(|| {
            Problem::new(422, "role-unknown", "A role is admin, marketer, manager or rep.").about("role")
        })?;
        let rep = body["rep"].as_str().map(str::to_owned);
        if let Some(rep) = &rep
            && !self.current().await?.reps.contains_key(rep)
        {
            return Err(Problem::new(422, "rep-unknown", "There is no rep of this name.").about("rep"));
        }
        if role == Role::Rep && rep.is_none() {
            return Err(Problem::new(422, "rep-missing", "A token of role rep names its rep.").about("rep"));
        }
        let mut random = [0; 32];
        self.env.random.fill(&mut random);
        let token = format!("slt_{}", URL_SAFE_NO_PAD.encode(random));
        let stored = Token { role, rep: rep.clone(), at: self.env.clock.now() };
        self.store.put_token(&auth::hash(&token), &stored).await.map_err(unavailable)?;
        Ok(HttpResponse::json(201, &json!({"token": token, "role": role, "rep": rep})))
    }
}
