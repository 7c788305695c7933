//! What somebody said is kept as it was said: each proof is written once, beside those before it, and nothing writes over it.

use crate::engagement::{BROWSER, MESSAGES, mail_to, message};
use crate::feedback::{queue as feedback_queue, told};
use crate::rights::consents;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::customer::{AddressHash, HashKey, HashKeys, Identity, IdentityKind};
use sluice_domain::gate::{How, Proof, Said};
use sluice_domain::id::LeadId;
use sluice_domain::message::Channel;
use sluice_services::sqs::OutgoingMessage;
use sluice_store::{Commit, Recorded, Store, Written};
use sluice_tests::stack::{POLICIES, Running, Setup};
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::BTreeMap;
use std::time::Duration;

const MAIL: &str = "ada@person.example";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

type Proofs = BTreeMap<(String, String), Value>;

fn proofs(run: &Running) -> Proofs {
    run.table().into_iter().filter(|((pk, _), _)| pk.starts_with("consent#")).collect()
}

/// What came to be of proofs: all from before are there, to the letter, and so many more.
fn grown(run: &Running, before: &mut Proofs, more: usize, by: &str) {
    let now = proofs(run);
    for (key, proof) in before.iter() {
        assert_eq!(now.get(key), Some(proof), "{by} changed {key:?}");
    }
    assert_eq!(now.len(), before.len() + more, "{by}: {now:#?}");
    *before = now;
}

async fn signs_up(run: &Running, note: &str) -> String {
    let lead = run.lead(&[("email", MAIL), ("newsletter", "on"), ("note", note)]).await;
    run.pass(Duration::from_secs(1)).await;
    lead
}

async fn staff(run: &Running, who: &str, what: &str, body: Value) {
    let (status, answer) = run.api("POST", &format!("/api/customers/{who}/{what}"), Some(body)).await;
    assert_eq!(status, 200, "{answer:#}");
    run.pass(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn what_was_said_before_stays_to_the_letter_whatever_is_said_after_and_however_often() {
    let run = Setup::policies(format!("{POLICIES}{MESSAGES}")).frozen().start().await;
    let mut before = Proofs::new();
    let first = signs_up(&run, "one").await;
    grown(&run, &mut before, 1, "a box that was ticked");
    let again = encode(&LeadMessage::Lead(LeadId::parse(&first).unwrap()));
    run.stack.sqs.send(&named("LeadQueue"), OutgoingMessage::new(again)).unwrap();
    run.settle().await;
    grown(&run, &mut before, 0, "the same once more");
    let other = POLICIES.replace("news about the product by e-mail.", "other words.");
    run.apply(&other.replace("\"2026-11\"", "\"2027-01\"")).await;
    signs_up(&run, "two").await;
    grown(&run, &mut before, 1, "the box with other words beside it");

    let who = run.show(&first).await["customer"].as_str().unwrap().to_owned();
    let body = json!({"customer": who, "template": "news", "topic": "product"});
    let (status, asked) = run.api("POST", "/api/messages", Some(body)).await;
    assert_eq!(status, 202, "{asked:#}");
    run.settle().await;
    assert_eq!(message(&run, asked["message_id"].as_str().unwrap()).await["state"], "sent");
    let path = mail_to(&run, MAIL).unsubscribe().unwrap();
    for (more, by) in [(1, "a mail program's button"), (0, "the same button")] {
        let no = b"List-Unsubscribe=One-Click";
        assert_eq!(run.send("POST", &path, &[FORM, BROWSER], no).await.status, 200);
        grown(&run, &mut before, more, by);
    }
    run.pass(Duration::from_secs(1)).await;
    let yes = json!({"channel": "email", "topic": "product", "wish": "yes", "note": "on the phone"});
    staff(&run, &who, "consents", yes).await;
    grown(&run, &mut before, 1, "staff");
    staff(&run, &who, "suppress", json!({"channel": "email", "reason": "her lawyer wrote"})).await;
    grown(&run, &mut before, 1, "a suppression");
    staff(&run, &who, "unsuppress", json!({"channel": "email", "reason": "a mistake"})).await;
    grown(&run, &mut before, 1, "a suppression that was lifted");
    for (more, by) in [(1, "a bounce"), (0, "the same bounce")] {
        let bounce = json!({"detail-type": "Email Event", "detail": told("Bounce", "mail-1", MAIL)});
        run.stack.sqs.send(&feedback_queue(), OutgoingMessage::new(bounce.to_string())).unwrap();
        run.settle().await;
        grown(&run, &mut before, more, by);
    }

    let said = consents(&run, &json!(who)).await;
    let wordings = |proof: &Value| (proof["how"].clone(), proof["wording"].clone());
    let mut all: Vec<(Value, Value)> = said["proofs"].as_array().unwrap().iter().map(wordings).collect();
    all.reverse();
    let wording = |words: &str| (json!("form"), json!(format!("Yes, send me {words}")));
    let without = |how: &str| (json!(how), Value::Null);
    assert_eq!(
        all,
        [
            // The bounce happened a minute before the scenario begins.
            without("provider"),
            wording("news about the product by e-mail."),
            wording("other words."),
            (json!("one_click"), json!("Send me messages about: Product news")),
            without("api"),
            without("api"),
            without("api"),
        ],
        "{said:#}"
    );
    run.finish().await;
}

/// The address as it is hashed now, and the store.
fn stored(run: &Running) -> (Vec<AddressHash>, Store) {
    let secret: Value =
        serde_json::from_str(&run.stack.secrets.value(&named("HashKeySecret")).unwrap()).unwrap();
    let key =
        HashKey::new(secret["version"].as_str().unwrap(), secret["current"].as_str().unwrap().as_bytes());
    let hashes = HashKeys::new(key).hashes(&Identity::new(IdentityKind::Email, MAIL.to_owned()));
    let mut env = run.sdk();
    env.vars.insert("SLUICE_TABLE".to_owned(), named("Table"));
    (hashes, sluice_host::aws::store(&env).unwrap())
}

#[tokio::test]
async fn a_proof_that_is_there_cannot_be_written_over_with_other_words() {
    let run = Setup::policies(format!("{POLICIES}{MESSAGES}")).frozen().start().await;
    signs_up(&run, "one").await;
    let (hashes, store) = stored(&run);
    let held = store.proofs(Channel::Email, &hashes[0], None, 10).await.unwrap().items.remove(0);
    assert!(matches!(&held.said, Said::Wish { topic, .. } if topic == "product") && held.how == How::Form);
    let before = run.table();
    let forged = Proof { wording: Some("Yes, everything, for ever.".to_owned()), ip: None, ..held };
    let commit = Commit::default().proof(Channel::Email, &hashes[0], forged.clone());
    assert_eq!(store.commit(commit).await.unwrap(), Written::Conflict);
    let recorded = store.record_wish(Channel::Email, &hashes, &forged).await.unwrap();
    assert_eq!(recorded, Recorded::Known);
    assert_eq!(run.table(), before);
    run.finish().await;
}
