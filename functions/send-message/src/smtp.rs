//! Mail by a mail server of one's own (RFC 5321).
//!
//! What a server says before it has the content is definite: nothing was taken. From the content's first byte on a lost
//! connection is an unknown outcome, since nobody can tell how much of it arrived.

use crate::channel::Handover;
use crate::mime::Mail;
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, response::Response};
use sluice_domain::pii::Pii;
use sluice_domain::policy::{SmtpServer, SmtpTls};
use sluice_domain::time::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long everything may take that comes before the content.
pub(crate) const BEFORE: Duration = Duration::from_secs(5);
/// How long the content and the answer to it may take.
pub(crate) const CONTENT: Duration = Duration::from_secs(8);
/// How long a connection is kept for the next mail, in milliseconds.
const IDLE_MS: i64 = 20_000;
/// Connections kept.
const KEPT: usize = 10;

/// A server with the secrets it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) server: SmtpServer,
    pub(crate) user: Option<(Pii<String>, Pii<String>)>,
}

/// Hands mails to servers, and keeps connections for the next.
#[derive(Default)]
pub(crate) struct Smtp {
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    login: Login,
    connection: AsyncSmtpConnection,
    since: Timestamp,
}

/// What the server said no to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// That we send.
    Sender,
    /// Whom it is to.
    Recipient,
    /// What it says.
    Content,
}

/// Why nothing was taken.
enum Refusal {
    /// The server said no to this mail.
    Definite(Step, Error),
    /// There was no way to ask it.
    NoWay(String),
}

impl Smtp {
    /// Hands a mail over, once: nothing is tried again that the server may have taken.
    pub(crate) async fn send(&self, login: &Login, mail: &Mail<'_>, now: Timestamp) -> Handover {
        let bytes = match mail.write() {
            Ok(bytes) => bytes,
            Err(unfit) => return Handover::Refused(unfit.to_string()),
        };
        let ready = match tokio::time::timeout(BEFORE, self.ready(login, mail, now)).await {
            Ok(ready) => ready,
            Err(_) => Err(Refusal::NoWay("the mail server took too long".to_owned())),
        };
        let mut connection = match ready {
            Ok(connection) => connection,
            Err(Refusal::Definite(step, error)) => return refused(step, &error),
            Err(Refusal::NoWay(why)) => return Handover::NotNow { why, after: None },
        };
        match tokio::time::timeout(CONTENT, connection.message(&bytes)).await {
            Ok(Ok(_)) => {
                self.keep(Idle { login: login.clone(), connection, since: now });
                Handover::Sent(mail.message_id())
            }
            Ok(Err(error)) if error.status().is_some() => refused(Step::Content, &error),
            Ok(Err(_)) | Err(_) => Handover::Unknown("no answer".to_owned()),
        }
    }

    /// A connection that waits for the content of this mail.
    async fn ready(
        &self,
        login: &Login,
        mail: &Mail<'_>,
        now: Timestamp,
    ) -> Result<AsyncSmtpConnection, Refusal> {
        let address = |text: &str| {
            text.parse::<Address>().map_err(|_| Refusal::NoWay("an address cannot be written".to_owned()))
        };
        let (from, to) = (address(mail.from.email.as_sent())?, address(mail.to.email.as_sent())?);
        if let Some(mut connection) = self.take(login, now) {
            // The server may have left since: then a new one is asked.
            match announce(&mut connection, &from, &to).await {
                Ok(()) => return Ok(connection),
                Err((step, error)) if error.status().is_some_and(|code| u16::from(code) != LEAVING) => {
                    return Err(Refusal::Definite(step, error));
                }
                Err(_) => {}
            }
        }
        let mut connection = connect(login, mail.from.email.domain()).await?;
        match announce(&mut connection, &from, &to).await {
            Ok(()) => Ok(connection),
            Err((step, error)) if error.status().is_some() => Err(Refusal::Definite(step, error)),
            Err(_) => Err(Refusal::NoWay("the mail server went away".to_owned())),
        }
    }

    fn take(&self, login: &Login, now: Timestamp) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| now.since(idle.since) < IDLE_MS);
        let at = idle.iter().position(|idle| idle.login == *login)?;
        Some(idle.swap_remove(at).connection)
    }

    fn keep(&self, connection: Idle) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}

/// The code of a server that closes the connection. (RFC 5321 section 3.8.)
const LEAVING: u16 = 421;

async fn connect(login: &Login, hello: &str) -> Result<AsyncSmtpConnection, Refusal> {
    let SmtpServer { host, tls, .. } = &login.server;
    let hello = ClientId::Domain(hello.to_owned());
    let wrapped = match tls {
        SmtpTls::Tls => Some(parameters(host)?),
        SmtpTls::Starttls => None,
        SmtpTls::None if login.server.is_on_this_machine() => None,
        SmtpTls::None => return Err(Refusal::NoWay("without TLS only to this machine".to_owned())),
    };
    let at = (host.as_str(), login.server.port());
    let connected = AsyncSmtpConnection::connect_tokio1(at, Some(BEFORE), &hello, wrapped, None).await;
    let mut connection = connected.map_err(|error| no_way("no connection to the mail server", &error))?;
    if *tls == SmtpTls::Starttls {
        let protected = connection.starttls(parameters(host)?, &hello).await;
        protected.map_err(|error| no_way("no STARTTLS with the mail server", &error))?;
    }
    if let Some((user, password)) = &login.user {
        let credentials = Credentials::new(user.reveal().clone(), password.reveal().clone());
        let known = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
        known.map_err(|error| no_way("the mail server does not know the user", &error))?;
    }
    Ok(connection)
}

fn parameters(host: &str) -> Result<TlsParameters, Refusal> {
    TlsParameters::new(host.to_owned()).map_err(|error| no_way("TLS cannot be used", &error))
}

/// Says from whom and to whom, and asks for leave to send the content.
async fn announce(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &Address,
) -> Result<(), (Step, Error)> {
    let at = |step: Step| move |error: Error| (step, error);
    let from = commands::Mail::new(Some(from.clone()), Vec::new());
    let _: Response = connection.command(from).await.map_err(at(Step::Sender))?;
    let to = commands::Rcpt::new(to.clone(), Vec::new());
    let _: Response = connection.command(to).await.map_err(at(Step::Recipient))?;
    let _: Response = connection.command(commands::Data).await.map_err(at(Step::Content))?;
    Ok(())
}

fn no_way(what: &str, error: &Error) -> Refusal {
    match error.status() {
        Some(_) => Refusal::NoWay(format!("{what}: {}", reply(error))),
        None => Refusal::NoWay(what.to_owned()),
    }
}

/// Codes of an address that does not exist, or whose domain takes no mail at all. (RFC 3463 section 3.2, RFC 7505.) Other codes
/// may be about the server, or about us.
const NO_MAILBOX: [&str; 2] = ["5.1.1", "5.1.10"];

/// Replies by which the server wants to know who we are first, or does not believe it. (RFC 4954 section 6.)
const WHO_WE_ARE: [&str; 2] = ["530", "535"];
/// The code of a server that takes no more just now, of anybody or of this account. (RFC 3463 section 3.5.)
const NO_MORE_NOW: &str = "5.4.5";

/// A definite no: for now with a 4xx, for good with a 5xx. What ails the sender or the account passes once it is mended, and
/// says nothing about the mail.
fn refused(step: Step, error: &Error) -> Handover {
    let reply = reply(error);
    let why = format!("the mail server said {reply}");
    let (code, enhanced) = reply.split_once(' ').unwrap_or((reply.as_str(), ""));
    let is_about_us = step == Step::Sender || WHO_WE_ARE.contains(&code) || enhanced == NO_MORE_NOW;
    match error.is_permanent() {
        true if is_about_us => Handover::NotNow { why, after: None },
        true if step == Step::Recipient && NO_MAILBOX.contains(&enhanced) => Handover::NoMailbox(why),
        true => Handover::Refused(why),
        false => Handover::NotNow { why, after: None },
    }
}

/// The codes of a reply, `550 5.1.1`, and none of its words: they may name people.
fn reply(error: &Error) -> String {
    let code = error.status().map(|code| code.to_string()).unwrap_or_default();
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let first = words.split_whitespace().next().unwrap_or_default();
    // RFC 3463: class, subject and detail.
    let is_enhanced = first.split('.').count() == 3
        && first
            .split('.')
            .all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    if is_enhanced { format!("{code} {first}") } else { code }
}

#[cfg(test)]
mod tests;
