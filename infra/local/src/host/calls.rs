//! What providers of SMS and chat would be called with, kept beside the mails.

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;
use serde_json::{Value, json};
use sluice_services::Service;
use sluice_services::ses::{Mail, Ses};
use sluice_wire::kept::KeptCall;

/// Characters of a text that the list of messages shows.
const BEGINNING: usize = 80;

/// Keeps calls. Clones keep them at one place.
#[derive(Clone)]
pub struct Calls(Ses);

impl Calls {
    /// Beside these mails.
    pub const fn beside(mails: Ses) -> Self {
        Self(mails)
    }

    fn answer(&self, body: &[u8]) -> (StatusCode, Value) {
        let call: KeptCall = match serde_json::from_slice(body) {
            Ok(call) => call,
            // Never the error itself, which may quote what it stumbled over.
            Err(_) => {
                return (StatusCode::BAD_REQUEST, json!({ "message": "this is no call of a provider" }));
            }
        };
        let beginning = call.text.reveal().lines().next().unwrap_or_default();
        let message = Mail {
            channel: Some(call.channel.name().to_owned()),
            from: call.from.clone(),
            to: vec![call.to.reveal().clone()],
            subject: beginning.chars().take(BEGINNING).collect(),
            // As the mails have it: what is asked about or erased is found by it.
            tags: vec![("message".to_owned(), call.message.to_string())],
            ..Mail::default()
        };
        match self.0.keep(message, body.to_vec()) {
            Ok(id) => (StatusCode::OK, json!({ "id": id })),
            Err(error) => {
                tracing::error!(%error, "a provider's call cannot be written");
                (StatusCode::INTERNAL_SERVER_ERROR, json!({ "message": "cannot keep the call" }))
            }
        }
    }
}

impl Service for Calls {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let (status, body) = self.answer(request.body());
        let mut answer = http::Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() = status;
        std::future::ready(answer).boxed()
    }
}
