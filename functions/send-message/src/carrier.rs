//! Which way a mail goes: by SES, or by the mail server that the channel's document names.

use crate::Sender;
use crate::channel::{Handover, Ses};
use crate::mime::Mail;
use crate::smtp::{Login, Smtp};
use sluice_domain::policy::{ChannelPolicy, SecretRef, SmtpServer, SmtpTls, Via};
use sluice_domain::time::Timestamp;
use sluice_host::environment::{ConfigError, Environment};

/// The variable that sends all mail one way, whatever the documents say: `ses`, or `HOST:PORT` of a mail server. On one
/// machine it is always set, so that policies that were copied there write to nobody.
const VIA: &str = "SLUICE_MAIL_VIA";

/// The ways there are.
pub(crate) struct Carrier {
    ses: Ses,
    smtp: Smtp,
    always: Option<Way>,
}

enum Way {
    Ses,
    Smtp(SmtpServer),
}

impl Carrier {
    pub(crate) fn new(env: &Environment) -> Result<Self, ConfigError> {
        let always = match env.optional(VIA) {
            None => None,
            Some("ses") => Some(Way::Ses),
            Some(address) => Some(Way::Smtp(server(address, env).ok_or_else(|| ConfigError {
                variable: VIA.to_owned(),
                problem: "is neither `ses` nor HOST:PORT".to_owned(),
            })?)),
        };
        Ok(Self { ses: Ses::new(env)?, smtp: Smtp::default(), always })
    }

    /// Whether all mail goes one way, whatever the documents say: not by a provider's webhook either.
    pub(crate) const fn goes_one_way(&self) -> bool {
        self.always.is_some()
    }
}

/// A server by its address: TLS from the first byte at 465, none on this machine, STARTTLS elsewhere. Its user and
/// password are variables, if they are there.
fn server(address: &str, env: &Environment) -> Option<SmtpServer> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().ok().filter(|_| !host.is_empty())?;
    let login = |name: &str| env.optional(name).map(|_| SecretRef(format!("env:{name}")));
    let mut server = SmtpServer {
        host: host.to_owned(),
        port: Some(port),
        tls: if port == 465 { SmtpTls::Tls } else { SmtpTls::Starttls },
        user: login("SMTP_USER"),
        password: login("SMTP_PASSWORD"),
    };
    if server.is_on_this_machine() && port != 465 {
        server.tls = SmtpTls::None;
    }
    Some(server)
}

impl Sender {
    /// Hands a mail over by the way that holds for e-mail.
    pub(crate) async fn carry(
        &self,
        mail: &Mail<'_>,
        policy: Option<&ChannelPolicy>,
        now: Timestamp,
    ) -> Handover {
        let named =
            || policy.filter(|policy| policy.via == Via::Smtp).and_then(|policy| policy.smtp.as_ref());
        let server = match &self.mail.always {
            Some(Way::Ses) => None,
            Some(Way::Smtp(server)) => Some(server),
            None => named(),
        };
        let Some(server) = server else { return self.mail.ses.send(mail).await };
        match self.login(server).await {
            Ok(login) => self.mail.smtp.send(&login, mail, now).await,
            Err(why) => Handover::NotNow { why, after: None },
        }
    }

    async fn login(&self, server: &SmtpServer) -> Result<Login, String> {
        let (Some(user), Some(password)) = (&server.user, &server.password) else {
            return Ok(Login { server: server.clone(), user: None });
        };
        let missing = || "a secret of the mail server is missing".to_owned();
        let read = async |reference| {
            let read = self.secrets.resolve(reference).await;
            read.map_err(|error| error.to_string())?.ok_or_else(missing)
        };
        Ok(Login { server: server.clone(), user: Some((read(user).await?, read(password).await?)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_host::lambda::{StdoutMetrics, SystemClock, SystemRandom, https_client};
    use std::sync::Arc;

    fn read(address: &str) -> Option<(String, u16, SmtpTls)> {
        let env = Environment {
            vars: [("SMTP_USER".to_owned(), "ann".to_owned())].into(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            http: https_client(),
            web: https_client(),
            metrics: Arc::new(StdoutMetrics),
        };
        let server = server(address, &env)?;
        assert_eq!((server.user, server.password), (Some(SecretRef("env:SMTP_USER".to_owned())), None));
        Some((server.host, server.port.unwrap(), server.tls))
    }

    #[test]
    fn what_leaves_the_machine_is_protected() {
        let host = |text: &str| text.to_owned();
        assert_eq!(read("localhost:1025"), Some((host("localhost"), 1025, SmtpTls::None)));
        assert_eq!(read("[::1]:25"), Some((host("::1"), 25, SmtpTls::None)));
        assert_eq!(read("mail.example.com:587"), Some((host("mail.example.com"), 587, SmtpTls::Starttls)));
        assert_eq!(read("mail.example.com:465"), Some((host("mail.example.com"), 465, SmtpTls::Tls)));
        for wrong in ["mail.example.com", ":25", "mail.example.com:smtp", "mail.example.com:99999", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
