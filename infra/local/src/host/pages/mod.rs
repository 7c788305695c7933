//! Pages for the person at the machine, under `/_local/`: where things are, the mails that were taken with the messages of
//! other channels beside them, and the clock.
//!
//! A mail is somebody else's content. What is shown of it as a page of ours is escaped and under a policy that runs no
//! script but ours; its own HTML is only ever shown in a sandbox that runs none at all.

mod clock;
mod layout;
mod letter;
mod links;
mod list;
mod show;
mod unsubscribe;

use super::local::{Local, LocalAnswer, PageRequest};
use super::mover::Mover;
use axum::http::{Method, Response};
use bytes::Bytes;
use layout::{Page, json, problem, static_file};
use letter::Letter;
use serde_json::json;
use sluice_domain::id::CustomerId;
use sluice_services::ses::{Mail, Ses};
use std::borrow::Cow;

/// The pages of a stack.
pub struct Pages {
    ses: Ses,
    /// Where the stack answers: what is tried out from a page goes nowhere else.
    url: String,
    leaves: Leaves,
    mover: Option<Mover>,
}

/// What leaves this machine and is not taken here.
#[derive(Clone, Debug, Default)]
pub struct Leaves {
    /// The mail server that mails go out by.
    pub mail_by: Option<String>,
    /// SMS and chat, by their providers.
    pub calls: bool,
}

impl Pages {
    /// Pages over this mailbox, of the stack at `url`, whose clock `mover` moves.
    pub const fn new(ses: Ses, url: String, leaves: Leaves, mover: Option<Mover>) -> Self {
        Self { ses, url, leaves, mover }
    }
}

impl Local for Pages {
    fn page(&self, request: &PageRequest<'_>) -> LocalAnswer {
        if !request.is_of_this_machine() {
            return problem(
                403,
                "not-this-machine",
                "These pages are for this machine: open them as http://127.0.0.1 or http://localhost.",
            )
            .into();
        }
        if request.method != Method::GET && !request.is_of_these_pages() {
            return problem(403, "not-these-pages", "Only these pages themselves change something here.")
                .into();
        }
        let path: Vec<&str> =
            request.path.trim_start_matches("/_local").trim_matches('/').split('/').collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", [""]) => self.index().into(),
            ("GET", ["look.css"]) => static_file("text/css", include_str!("look.css")).into(),
            ("GET", ["live.js"]) => static_file("text/javascript", include_str!("live.js")).into(),
            ("GET", ["mail"]) => list::page(&self.ses.list(), request, &self.leaves).into(),
            ("GET", ["clock"]) => clock::show(self.mover.as_ref()).into(),
            ("POST", ["clock"]) => clock::put(self.mover.as_ref(), request),
            ("DELETE", ["mail"]) => self.delete(request.parameter("about").as_deref()).into(),
            ("POST", ["mail", "delete"]) => self.deleted(None).into(),
            ("GET", ["mail", id]) => self.letter(id, |letter| show::page(letter, request, &self.url)).into(),
            ("GET", ["mail", id, "html"]) => self.letter(id, |letter| show::html(letter, request)).into(),
            ("GET", ["mail", id, "raw"]) => self.letter(id, show::raw).into(),
            ("POST", ["mail", id, "unsubscribe"]) => self.unsubscribe(id),
            ("DELETE", ["mail", id]) => self.delete(Some(id)).into(),
            ("POST", ["mail", id, "delete"]) => self.deleted(Some(id)).into(),
            _ => problem(404, "no-such-page", "There is no such page.").into(),
        }
    }
}

impl Pages {
    fn index(&self) -> Response<Bytes> {
        let count = self.ses.list().len();
        Page::new("This stack").show(&format!(
            "<ul class=\"cards\"><li><a href=\"/_local/mail\"><b>Mail</b> {count} taken</a></li></ul>"
        ))
    }

    fn letter(&self, id: &str, show: impl FnOnce(&Letter) -> Response<Bytes>) -> Response<Bytes> {
        match self.ses.find(id) {
            Some((mail, content)) => show(&Letter::read(mail, content)),
            None => no_such_mail(),
        }
    }

    /// One mail, all about a thing with this id, or all.
    fn forget(&self, id: Option<&str>) -> std::io::Result<usize> {
        self.ses.forget(|mail| id.is_none_or(|id| mail.id == id || is_about(mail, id)))
    }

    fn delete(&self, id: Option<&str>) -> Response<Bytes> {
        match self.forget(id) {
            Ok(count) => json(200, &json!({ "deleted": count })),
            Err(_) => problem(500, "not-deleted", "A file cannot be removed; try again."),
        }
    }

    /// For a button: back to the list.
    fn deleted(&self, id: Option<&str>) -> Response<Bytes> {
        match self.forget(id) {
            Ok(_) => layout::see("/_local/mail"),
            Err(_) => problem(500, "not-deleted", "A file cannot be removed; try again."),
        }
    }

    /// What a mail program does when its user presses "unsubscribe", and what came of it.
    fn unsubscribe(&self, id: &str) -> LocalAnswer {
        let Some((mail, content)) = self.ses.find(id) else {
            return no_such_mail().into();
        };
        let letter = Letter::read(mail, content);
        match unsubscribe::request(&letter.unsubscribe, &self.url) {
            Ok(request) => {
                let show = move |answer: Response<Bytes>| unsubscribe::result(&letter, &answer);
                LocalAnswer::Ask { request, show: Box::new(show) }
            }
            Err(why) => problem(409, "not-to-unsubscribe", why).into(),
        }
    }
}

fn no_such_mail() -> Response<Bytes> {
    problem(404, "no-such-mail", "There is no such mail: it was deleted, or never was.")
}

/// Whether a mail is about the lead, message or customer with this id: one of its tags names it. A message to a
/// customer has the customer's id in its own.
fn is_about(mail: &Mail, id: &str) -> bool {
    let of_customer = CustomerId::parse(id).and_then(|_| Some(format!("ms_{}", id.strip_prefix("cu_")?)));
    mail.tags.iter().any(|(_, value)| {
        let named =
            value.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '-']));
        named || of_customer.as_ref().is_some_and(|start| value.starts_with(start.as_str()))
    })
}

/// A moment as the pages show it.
fn time(at: i64) -> String {
    let text = sluice_domain::time::Timestamp(at).rfc3339();
    text.split('.').next().unwrap_or_default().replace('T', " ")
}

fn shown(text: &str) -> Cow<'_, str> {
    if text.is_empty() { Cow::Borrowed("(none)") } else { Cow::Owned(layout::escape(text)) }
}

#[cfg(test)]
mod tests;
