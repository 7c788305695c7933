//! SNS as far as a receiver meets it: messages signed with a key made for these tests, the certificate that goes with it,
//! and the server that hands the certificate out and takes confirmations.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};
use sluice_services::Service;
use std::sync::{Arc, Mutex, PoisonError};

/// The certificate of the key.
pub const CERTIFICATE: &str = include_str!("../fixtures/ses_events_sns/cert.pem");
/// The key. It signs nothing but the messages of these tests.
const KEY: &str = include_str!("sns_key.pem");
/// The host of a region.
pub const HOST: &str = "sns.eu-central-1.amazonaws.com";
/// A topic.
pub const TOPIC: &str = "arn:aws:sns:eu-central-1:210987654321:mail-events";

/// A notification of [`TOPIC`] with this id, as SNS posts it (signature version 2).
pub fn notification(id: &str, message: &str) -> String {
    signed(json!({ "Type": "Notification", "MessageId": id, "TopicArn": TOPIC, "Message": message }))
}

/// The request to confirm a subscription to [`TOPIC`].
pub fn confirmation(id: &str) -> String {
    signed(json!({
        "Type": "SubscriptionConfirmation", "MessageId": id, "TopicArn": TOPIC, "Token": "token",
        "Message": "You have chosen to subscribe to the topic.",
        "SubscribeURL": format!("https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=token"),
    }))
}

/// The message with its time, its signature and where the certificate is.
pub fn signed(mut message: Value) -> String {
    message["Timestamp"] = "2026-03-02T08:59:59.000Z".into();
    message["SignatureVersion"] = "2".into();
    message["SigningCertURL"] = format!("https://{HOST}/SimpleNotificationService-tests.pem").into();
    let names: &[&str] = match message["Type"] == "Notification" {
        true => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        false => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let lines = names.iter().filter_map(|name| Some(format!("{name}\n{}\n", message[*name].as_str()?)));
    message["Signature"] = sign(&lines.collect::<String>()).into();
    message.to_string()
}

fn sign(text: &str) -> String {
    let der: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let key = KeyPair::from_pkcs8(&STANDARD.decode(der).expect("base 64")).expect("a key");
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).expect("a signature");
    STANDARD.encode(signature)
}

/// SNS's own server.
#[derive(Clone, Default)]
pub struct Sns {
    asked: Arc<Mutex<Vec<String>>>,
    certificate: Option<Arc<str>>,
}

impl Sns {
    /// One that hands out this certificate.
    pub fn with(certificate: &str) -> Self {
        Self { certificate: Some(certificate.into()), ..Self::default() }
    }

    /// What it was asked so far: path and query.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Service for Sns {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let body = match target.contains(".pem") {
            true => self.certificate.as_deref().unwrap_or(CERTIFICATE),
            false => "<ConfirmSubscriptionResponse/>",
        };
        let answer = http::Response::new(Bytes::from(body.to_owned()));
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(target);
        std::future::ready(answer).boxed()
    }
}
