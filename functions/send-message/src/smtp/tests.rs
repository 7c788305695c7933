//! A mail server that does as the test says, and what becomes of a mail with it.

use super::*;
use crate::mime::Mailbox;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use sluice_domain::identity::Email;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// What the server does when it is told something, by the first word of it; `.` is the end of the content.
#[derive(Clone, Copy, Debug)]
enum Does {
    Says(&'static str),
    Leaves,
    Sleeps,
}

use Does::{Leaves, Says, Sleeps};

/// A server; ends with this value.
struct Sink {
    port: u16,
    taken: Arc<Mutex<Taken>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Taken {
    connections: usize,
    said: Vec<String>,
    contents: Vec<String>,
}

#[derive(Clone)]
struct Script {
    does: BTreeMap<&'static str, Does>,
    acceptor: Option<TlsAcceptor>,
    wrapped: bool,
}

impl Sink {
    async fn start(does: &[(&'static str, Does)]) -> Self {
        Self::with(Script { does: does.iter().copied().collect(), acceptor: None, wrapped: false }).await
    }

    async fn with(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(Mutex::new(Taken::default()));
        let seen = taken.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, script.clone(), seen.clone()));
            }
        });
        Self { port, taken, task }
    }

    fn server(&self, tls: SmtpTls) -> Login {
        let server = SmtpServer {
            host: "localhost".to_owned(),
            port: Some(self.port),
            tls,
            user: None,
            password: None,
        };
        Login { server, user: None }
    }

    fn said(&self) -> Vec<String> {
        self.taken.lock().unwrap().said.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, script: Script, taken: Arc<Mutex<Taken>>) -> Option<()> {
    match script.acceptor.clone() {
        Some(acceptor) if script.wrapped => {
            talk(BufReader::new(acceptor.accept(stream).await.ok()?), &script, &taken).await;
        }
        Some(acceptor) => {
            let plain = talk(BufReader::new(stream), &script, &taken).await?;
            let stream = acceptor.accept(plain.into_inner()).await.ok()?;
            talk_on(BufReader::new(stream), &script, &taken).await;
        }
        None => drop(talk(BufReader::new(stream), &script, &taken).await),
    }
    Some(())
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufReader<S>,
    script: &Script,
    taken: &Mutex<Taken>,
) -> Option<BufReader<S>> {
    match script.does.get("hello") {
        Some(Says(reply)) => stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?,
        Some(_) => return None,
        None => stream.write_all(b"220 sink ESMTP\r\n").await.ok()?,
    }
    talk_on(stream, script, taken).await
}

/// Answers what it is told; gives the stream back where TLS is to begin.
async fn talk_on<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufReader<S>,
    script: &Script,
    taken: &Mutex<Taken>,
) -> Option<BufReader<S>> {
    let mut content: Option<String> = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let verb = match &mut content {
            Some(_) if line == ".\r\n" => {
                taken.lock().unwrap().contents.push(content.take().unwrap());
                ".".to_owned()
            }
            Some(content) => {
                content.push_str(line.strip_prefix('.').unwrap_or(&line));
                continue;
            }
            None => {
                taken.lock().unwrap().said.push(line.trim_end().to_owned());
                line.split([' ', '\r']).next().unwrap().to_uppercase()
            }
        };
        let usual = match verb.as_str() {
            "EHLO" => "250-sink\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN",
            "DATA" => "354 go ahead",
            "STARTTLS" => "220 go ahead",
            "AUTH" => "235 2.7.0 welcome",
            "QUIT" => "221 bye",
            _ => "250 2.0.0 ok",
        };
        let does = script.does.get(verb.as_str()).copied().unwrap_or(Says(usual));
        match does {
            Says(reply) => stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?,
            Leaves => return None,
            Sleeps => std::future::pending().await,
        }
        let goes_on = matches!(does, Says(reply) if reply.starts_with(['2', '3']));
        match verb.as_str() {
            "DATA" if goes_on => content = Some(String::new()),
            "STARTTLS" if goes_on => return Some(stream),
            "QUIT" => return None,
            _ => {}
        }
    }
}

async fn send(smtp: &Smtp, login: &Login, at: i64) -> Handover {
    let (from, to) = (Email::parse("news@shop.example").unwrap(), Email::parse("peter@example.com").unwrap());
    let mail = Mail {
        id: "ms_1",
        from: Mailbox { name: Some("Shop"), email: &from },
        to: Mailbox { name: None, email: &to },
        reply_to: None,
        subject: "März",
        text: "Hallo\n.\n..zwei Punkte\n",
        html: None,
        unsubscribe: Some("https://shop.example/u/abc"),
        at: Timestamp(at),
    };
    smtp.send(login, &mail, Timestamp(at)).await
}

async fn once(does: &[(&'static str, Does)]) -> (Handover, Sink) {
    let sink = Sink::start(does).await;
    let handover = send(&Smtp::default(), &sink.server(SmtpTls::None), 0).await;
    (handover, sink)
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_built_under_the_id_it_was_given() {
    let (handover, sink) = once(&[]).await;
    assert_eq!(handover, Handover::Sent("ms_1@shop.example".to_owned()));
    let said = sink.said();
    assert_eq!(said[0], "EHLO shop.example");
    assert_eq!(said[1..4], ["MAIL FROM:<news@shop.example>", "RCPT TO:<peter@example.com>", "DATA"]);
    let content = sink.taken.lock().unwrap().contents[0].clone();
    for line in [
        "Message-ID: <ms_1@shop.example>\r\n",
        "List-Unsubscribe: <https://shop.example/u/abc>\r\n",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        "\r\nHallo\r\n.\r\n..zwei Punkte\r\n",
    ] {
        assert!(content.contains(line), "{line} in {content}");
    }
}

#[tokio::test]
async fn what_the_server_says_no_to_is_refused_with_5xx_and_comes_again_with_4xx() {
    for verb in ["RCPT", "DATA", "."] {
        let (handover, _) = once(&[(verb, Says("550 5.7.1 peter@example.com gets nothing of yours"))]).await;
        assert_eq!(handover, Handover::Refused("the mail server said 550 5.7.1".to_owned()), "{verb}");
    }
    for verb in ["MAIL", "RCPT", "DATA", "."] {
        let (handover, _) = once(&[(verb, Says("451 try later, peter@example.com"))]).await;
        let why = "the mail server said 451".to_owned();
        assert_eq!(handover, Handover::NotNow { why, after: None }, "{verb}");
    }
}

#[tokio::test]
async fn what_is_said_of_the_sender_or_the_account_is_not_the_mails_fault() {
    for (verb, says, codes) in [
        ("MAIL", "550 5.7.1 news@shop.example may not send", "550 5.7.1"),
        ("MAIL", "553 5.1.8 no such domain", "553 5.1.8"),
        ("MAIL", "554 you are not known", "554"),
        ("RCPT", "530 5.7.0 log in first", "530 5.7.0"),
        ("DATA", "535 5.7.8 who are you", "535 5.7.8"),
        ("RCPT", "550 5.4.5 as many as you may send today", "550 5.4.5"),
        (".", "552 5.4.5 as many as you may send today", "552 5.4.5"),
    ] {
        let (handover, _) = once(&[(verb, Says(says))]).await;
        let why = format!("the mail server said {codes}");
        assert_eq!(handover, Handover::NotNow { why, after: None }, "{verb} {says}");
    }
}

#[tokio::test]
async fn an_address_is_known_not_to_exist_by_what_is_said_of_the_recipient_alone() {
    for (verb, says, code) in [
        ("RCPT", "550 5.1.1 <peter@example.com> is nobody", "550 5.1.1"),
        ("RCPT", "550-5.1.1 <peter@example.com>\r\n550 5.1.1 is nobody", "550 5.1.1"),
        ("RCPT", "556 5.1.10 example.com takes no mail", "556 5.1.10"),
    ] {
        let (handover, _) = once(&[(verb, Says(says))]).await;
        assert_eq!(handover, Handover::NoMailbox(format!("the mail server said {code}")), "{says}");
    }
    for (verb, says) in [
        ("RCPT", "550 peter@example.com is nobody"),
        ("RCPT", "550 5.1.2 no such domain"),
        ("RCPT", "554 5.7.1 you are on a list"),
        ("DATA", "550 5.1.1 nobody is left"),
        (".", "550 5.1.1 nobody is left"),
    ] {
        let (handover, _) = once(&[(verb, Says(says))]).await;
        assert!(matches!(handover, Handover::Refused(_)), "{verb} {says}: {handover:?}");
    }
    let (handover, _) = once(&[("RCPT", Says("450 5.1.1 perhaps later"))]).await;
    assert!(matches!(handover, Handover::NotNow { .. }), "{handover:?}");
}

#[tokio::test]
async fn a_connection_lost_before_the_content_is_tried_again_and_after_it_nobody_knows() {
    for verb in ["hello", "EHLO", "MAIL", "RCPT", "DATA"] {
        let (handover, sink) = once(&[(verb, Leaves)]).await;
        assert!(matches!(handover, Handover::NotNow { .. }), "{verb}: {handover:?}");
        assert!(sink.taken.lock().unwrap().contents.is_empty());
    }
    let (handover, sink) = once(&[(".", Leaves)]).await;
    assert_eq!(handover, Handover::Unknown("no answer".to_owned()));
    assert_eq!(sink.taken.lock().unwrap().contents.len(), 1, "it was taken all the same");
    let (handover, _) = once(&[(".", Says("what?"))]).await;
    assert_eq!(handover, Handover::Unknown("no answer".to_owned()), "an answer that is none");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up() {
    for verb in ["EHLO", "RCPT", "DATA"] {
        let (handover, _) = once(&[(verb, Sleeps)]).await;
        assert!(matches!(handover, Handover::NotNow { .. }), "{verb}: {handover:?}");
    }
    let (handover, _) = once(&[(".", Sleeps)]).await;
    assert_eq!(handover, Handover::Unknown("no answer".to_owned()));
}

#[tokio::test]
async fn nobody_there_is_no_mail_lost() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut login = Sink::start(&[]).await.server(SmtpTls::None);
    login.server.port = Some(port);
    let handover = send(&Smtp::default(), &login, 0).await;
    let why = "no connection to the mail server".to_owned();
    assert_eq!(handover, Handover::NotNow { why, after: None });
}

#[tokio::test]
async fn one_connection_carries_several_mails_and_one_that_was_closed_is_opened_again() {
    let sink = Sink::start(&[]).await;
    let (smtp, login) = (Smtp::default(), sink.server(SmtpTls::None));
    for at in [0, 1_000, 2_000] {
        assert!(matches!(send(&smtp, &login, at).await, Handover::Sent(_)));
    }
    assert_eq!(sink.taken.lock().unwrap().connections, 1);
    assert!(matches!(send(&smtp, &login, 60_000).await, Handover::Sent(_)), "after a long pause");
    assert_eq!(sink.taken.lock().unwrap().connections, 2);

    // The kept connection is one of a server that is there no more.
    let (old, new) = (Sink::start(&[(".", Says("250 ok"))]).await, Sink::start(&[]).await);
    let mut login = old.server(SmtpTls::None);
    assert!(matches!(send(&smtp, &login, 60_000).await, Handover::Sent(_)));
    login.server.port = Some(new.port);
    assert!(matches!(send(&smtp, &login, 60_000).await, Handover::Sent(_)));
    assert_eq!(new.taken.lock().unwrap().connections, 1, "another server, another connection");
}

/// A server that takes one mail a connection and then leaves without a word, or with one.
#[tokio::test]
async fn a_server_that_left_between_two_mails_loses_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut contents = 0;
        for last_words in [&b""[..], b"421 4.3.2 too long idle\r\n", b""] {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 sink\r\n").await.unwrap();
            let mut line = String::new();
            while line != ".\r\n" {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
                let reply = match line.split([' ', '\r']).next().unwrap() {
                    "EHLO" | "MAIL" | "RCPT" => "250 ok\r\n",
                    "DATA" => "354 go\r\n",
                    "." => "250 taken\r\n",
                    _ => continue,
                };
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
            contents += 1;
            stream.write_all(last_words).await.unwrap();
        }
        contents
    });
    let server_at = SmtpServer {
        host: "127.0.0.1".into(),
        port: Some(port),
        tls: SmtpTls::None,
        user: None,
        password: None,
    };
    let (smtp, login) = (Smtp::default(), Login { server: server_at, user: None });
    for at in [0, 1, 2] {
        assert!(matches!(send(&smtp, &login, at).await, Handover::Sent(_)), "{at}");
        tokio::task::yield_now().await;
    }
    assert_eq!(server.await.unwrap(), 3);
}

#[tokio::test]
async fn a_login_is_made_and_a_wrong_one_is_the_configurations_fault_not_the_mails() {
    let sink = Sink::start(&[]).await;
    let mut login = sink.server(SmtpTls::None);
    login.user = Some((Pii::new("ann".to_owned()), Pii::new("secret".to_owned())));
    assert!(matches!(send(&Smtp::default(), &login, 0).await, Handover::Sent(_)));
    assert!(sink.said().contains(&"AUTH PLAIN AGFubgBzZWNyZXQ=".to_owned()), "{:?}", sink.said());
    assert!(!format!("{login:?}").contains("secret"));

    let sink = Sink::start(&[("AUTH", Says("535 5.7.8 ann is not known"))]).await;
    login.server.port = Some(sink.port);
    let why = "the mail server does not know the user: 535 5.7.8".to_owned();
    assert_eq!(send(&Smtp::default(), &login, 0).await, Handover::NotNow { why, after: None });
}

#[tokio::test]
async fn nothing_goes_to_another_machine_without_tls_or_to_a_server_without_starttls() {
    let mut login = Sink::start(&[]).await.server(SmtpTls::None);
    login.server.host = "192.0.2.1".to_owned();
    let why = "without TLS only to this machine".to_owned();
    assert_eq!(send(&Smtp::default(), &login, 0).await, Handover::NotNow { why, after: None });

    let sink = Sink::start(&[("EHLO", Says("250 sink"))]).await;
    let handover = send(&Smtp::default(), &sink.server(SmtpTls::Starttls), 0).await;
    let why = "no STARTTLS with the mail server".to_owned();
    assert_eq!(handover, Handover::NotNow { why, after: None });
    assert!(!sink.said().iter().any(|line| line.starts_with("MAIL")), "{:?}", sink.said());
}

/// Roots are read from the machine, which the variable `SSL_CERT_FILE` stands for: so this runs in a process of its own.
#[test]
fn with_tls_a_server_is_believed_by_its_certificate_and_no_other() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (trusted, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&trusted, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let CertifiedKey { cert: other, .. } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let untrusted = folder.path().join("other.pem");
    std::fs::write(&untrusted, other.pem()).unwrap();
    for (roots, expected) in [(&trusted, "trusted"), (&untrusted, "untrusted")] {
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "smtp::tests::with_tls", "--nocapture"])
            .env("SSL_CERT_FILE", roots)
            .env("TEST_CERT", &trusted)
            .env("TEST_KEY", &key)
            .env("TEST_EXPECTED", expected)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() && text.contains("1 passed"), "{expected}: {text}");
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the other half of this test says what to use")]
async fn with_tls() {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    // By itself it has no certificate: `with_tls_a_server_is_believed_by_its_certificate_and_no_other` runs it with one.
    let Ok(expected) = std::env::var("TEST_EXPECTED") else { return };
    let file = |name: &str| std::env::var(name).unwrap();
    let cert = CertificateDer::from_pem_file(file("TEST_CERT")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("TEST_KEY")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    for (tls, wrapped) in [(SmtpTls::Starttls, false), (SmtpTls::Tls, true)] {
        let script = Script { does: BTreeMap::new(), acceptor: Some(acceptor.clone()), wrapped };
        let sink = Sink::with(script).await;
        let handover = send(&Smtp::default(), &sink.server(tls), 0).await;
        let contents = sink.taken.lock().unwrap().contents.len();
        match expected.as_str() {
            "trusted" => {
                assert_eq!(handover, Handover::Sent("ms_1@shop.example".to_owned()), "{tls:?}");
                assert_eq!(contents, 1);
            }
            _ => {
                assert!(matches!(handover, Handover::NotNow { .. }), "{tls:?}: {handover:?}");
                assert_eq!(contents, 0);
            }
        }
    }
}
