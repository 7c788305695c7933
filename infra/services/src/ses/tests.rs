//! Mails that are taken, refused, kept and removed.

use super::*;
use serde_json::Value;

fn now() -> Now {
    Arc::new(|| 1_795_283_353_000)
}

async fn send(ses: &Ses, body: Value) -> (u16, Value) {
    let request = http::Request::post("/v2/email/outbound-emails").body(Bytes::from(body.to_string()));
    let answer = ses.call(request.unwrap()).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

fn simple() -> Value {
    json!({
        "FromEmailAddress": "News <news@shop.example>",
        "Destination": { "ToAddresses": ["peter@example.com"], "BccAddresses": ["audit@shop.example"] },
        "ReplyToAddresses": ["help@shop.example"],
        "Content": { "Simple": {
            "Subject": { "Data": "Ihr Angebot – März" },
            "Body": { "Text": { "Data": "Hallo" }, "Html": { "Data": "<p>Hallo</p>" } },
            "Headers": [{ "Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click" }],
        } },
    })
}

#[tokio::test]
async fn a_simple_mail_becomes_a_message_with_both_bodies_and_no_blind_copy() {
    let ses = Ses::memory(now());
    let (status, answer) = send(&ses, simple()).await;
    assert_eq!(status, 200, "{answer}");
    let listed = ses.list();
    assert_eq!(listed[0].id, answer["MessageId"]);
    assert_eq!(listed[0].to, ["peter@example.com", "audit@shop.example"]);
    assert_eq!(listed[0].subject, "Ihr Angebot – März");
    let content = String::from_utf8(ses.read(&listed[0].id).unwrap().to_vec()).unwrap();
    for part in [
        "From: \"News\" <news@shop.example>\r\n",
        "To: <peter@example.com>\r\n",
        "Reply-To: <help@shop.example>\r\n",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        "Date: Sat, 21 Nov 2026 17:49:13 +0000\r\n",
        "multipart/alternative",
        "Subject: =?utf-8?",
        "<p>Hallo</p>",
    ] {
        assert!(content.contains(part), "{part} in {content}");
    }
    assert!(!content.contains("audit@"), "{content}");
}

#[tokio::test]
async fn a_raw_mail_is_kept_byte_for_byte() {
    let raw = b"From: a@example.com\r\nSubject: one\r\n two\r\n\r\nhello";
    let ses = Ses::memory(now());
    let body = json!({ "Destination": { "ToAddresses": ["b@example.com"] },
                       "Content": { "Raw": { "Data": STANDARD.encode(raw) } } });
    let (status, answer) = send(&ses, body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(ses.list()[0].subject, "one two");
    assert_eq!(ses.read(&ses.list()[0].id).unwrap().as_ref(), raw);
}

#[tokio::test]
async fn a_bad_request_is_refused_in_the_services_error_format() {
    let ses = Ses::memory(now());
    let mut nobody = simple();
    nobody["Destination"] = json!({});
    let mut injected = simple();
    injected["Content"]["Simple"]["Headers"][0]["Value"] = json!("x\r\nBcc: all@example.com");
    let mut two = simple();
    two["Content"]["Raw"] = json!({ "Data": "" });
    for body in [nobody, injected, two, json!([])] {
        let request = http::Request::post("/v2/email/outbound-emails").body(Bytes::from(body.to_string()));
        let answer = ses.call(request.unwrap()).await;
        assert_eq!(answer.status().as_u16(), 400, "{body}");
        assert_eq!(answer.headers()["x-amzn-errortype"], "BadRequestException");
    }
    assert!(ses.list().is_empty());
}

#[tokio::test]
async fn no_template_is_known_and_each_is_answered_as_ses_documents() {
    let ses = Ses::memory(now());
    let mut template = simple();
    template["Content"] = json!({ "Template": { "TemplateName": "welcome" } });
    let (status, answer) = send(&ses, template).await;
    assert_eq!((status, &answer["message"]), (404, &json!("Template welcome does not exist")));
    let bulk = json!({ "DefaultContent": { "Template": { "TemplateName": "welcome" } },
                       "BulkEmailEntries": [{}, {}] });
    let request = http::Request::post("/v2/email/outbound-bulk-emails").body(Bytes::from(bulk.to_string()));
    let answer = ses.call(request.unwrap()).await;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer["BulkEmailEntryResults"].as_array().unwrap().len(), 2);
    assert_eq!(answer["BulkEmailEntryResults"][1]["Status"], "TEMPLATE_NOT_FOUND");
    assert!(ses.list().is_empty());
}

#[tokio::test]
async fn mails_in_a_folder_are_there_after_a_restart_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let ses = Ses::open(folder.path(), now()).unwrap();
    let (_, first) = send(&ses, simple()).await;
    let (_, second) = send(&ses, simple()).await;
    let of_sms = Mail { channel: Some("sms".to_owned()), ..Mail::default() };
    let third = ses.keep(of_sms, b"{}".to_vec()).unwrap();
    drop(ses);
    let again = Ses::open(folder.path(), now()).unwrap();
    let mails = again.list();
    let ids: Vec<_> = mails.iter().map(|mail| mail.id.as_str()).collect();
    assert_eq!(ids, [&third, second["MessageId"].as_str().unwrap(), first["MessageId"].as_str().unwrap()]);
    assert_eq!(mails[0].path, Some(folder.path().join(format!("{third}.json"))));
    assert_eq!(again.read(&third).unwrap().as_ref(), b"{}");
    assert!(again.read(ids[1]).unwrap().starts_with(b"From: "));
}

#[tokio::test]
async fn a_mail_is_listed_with_its_sender_tags_and_the_subject_as_people_read_it() {
    let ses = Ses::memory(now());
    let raw = b"From: News <news@shop.example>\r\nTo: Ann <ann@example.com>, bo@example.com\r\n\
                Subject: =?utf-8?B?TcOkcno=?=\r\n\r\nhello";
    let body = json!({ "Content": { "Raw": { "Data": STANDARD.encode(raw) } },
                       "EmailTags": [{ "Name": "message", "Value": "ms_1" }],
                       "ConfigurationSetName": "marketing" });
    let (status, answer) = send(&ses, body).await;
    assert_eq!(status, 200, "{answer}");
    let mail = &ses.list()[0];
    assert_eq!((mail.from.as_str(), mail.subject.as_str()), ("news@shop.example", "März"));
    assert_eq!(mail.to, ["ann@example.com", "bo@example.com"]);
    assert_eq!(mail.tags, [("message".to_owned(), "ms_1".to_owned())]);
    assert_eq!(mail.configuration_set.as_deref(), Some("marketing"));
}

#[tokio::test]
async fn tags_and_names_that_ses_does_not_take_are_refused() {
    let ses = Ses::memory(now());
    for (field, value) in [
        ("EmailTags", json!([{ "Name": "message", "Value": "a.b" }])),
        ("EmailTags", json!([{ "Name": "", "Value": "a" }])),
        ("EmailTags", json!([{ "Name": "a", "Value": "x".repeat(257) }])),
        ("ConfigurationSetName", json!("two words")),
    ] {
        let mut body = simple();
        body[field] = value;
        assert_eq!(send(&ses, body).await.0, 400, "{field}");
    }
    assert!(ses.list().is_empty());
}

#[tokio::test]
async fn mails_are_forgotten_with_their_files_and_stay_so_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let ses = Ses::open(folder.path(), now()).unwrap();
    for tag in ["ld_1_assigned", "ld_2_assigned", "ld_1_reminder"] {
        let mut body = simple();
        body["EmailTags"] = json!([{ "Name": "message", "Value": tag }]);
        assert_eq!(send(&ses, body).await.0, 200);
    }
    let about = |mail: &Mail| mail.tags.iter().any(|(_, value)| value.starts_with("ld_1_"));
    assert_eq!(ses.forget(about).unwrap(), 2);
    assert_eq!(ses.forget(about).unwrap(), 0);
    assert_eq!(send(&ses, simple()).await.0, 200, "the index goes on");
    drop(ses);
    let again = Ses::open(folder.path(), now()).unwrap();
    let left: Vec<_> = again.list().into_iter().map(|mail| mail.tags).collect();
    assert_eq!(left, [vec![], vec![("message".to_owned(), "ld_2_assigned".to_owned())]]);
    let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_eq!(texts.len(), 3, "two mails and the index");
    assert!(!texts.iter().any(|text| text.contains("ld_1_")));
}

#[tokio::test]
async fn mails_of_a_folder_that_was_moved_are_read_and_forgotten_there() {
    let place = tempfile::tempdir().unwrap();
    let (before, after) = (place.path().join("before"), place.path().join("after"));
    let ses = Ses::open(&before, now()).unwrap();
    assert_eq!(send(&ses, simple()).await.0, 200);
    drop(ses);
    std::fs::rename(&before, &after).unwrap();
    let moved = Ses::open(&after, now()).unwrap();
    let id = moved.list()[0].id.clone();
    assert!(moved.read(&id).is_some_and(|content| !content.is_empty()));
    assert_eq!(moved.forget(|_| true).unwrap(), 1);
    let left: Vec<_> = std::fs::read_dir(&after).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["index.jsonl"]);
}

#[tokio::test]
async fn a_file_without_its_line_is_deleted_when_the_folder_is_opened_and_files_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let ses = Ses::open(folder.path(), now()).unwrap();
    for _ in 0..2 {
        assert_eq!(send(&ses, simple()).await.0, 200);
    }
    let mut files: Vec<_> = ses.list().into_iter().map(|mail| mail.file_name()).collect();
    drop(ses);
    // Killed before a line was written, or in the middle of it.
    let unlisted = format!("{}.json", message_id(7).unwrap());
    std::fs::write(folder.path().join(unlisted), "merula").unwrap();
    let index = folder.path().join("index.jsonl");
    let lines = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, &lines[..lines.len() - 20]).unwrap();
    std::fs::write(folder.path().join("letter.eml"), "").unwrap();
    let again = Ses::open(folder.path(), now()).unwrap();
    assert_eq!(again.list().len(), 1);
    let there = std::fs::read_dir(folder.path()).unwrap();
    let mut there: Vec<_> = there.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    // The newest comes first in a list.
    files.remove(0);
    files.extend(["index.jsonl", "letter.eml"].map(str::to_owned));
    files.sort();
    assert_eq!(there, files);
}

#[tokio::test]
async fn the_next_calls_are_answered_with_the_errors_that_were_asked_for() {
    let ses = Ses::memory(now());
    let busy = Refusal { status: 429, kind: "TooManyRequestsException", message: "slow down".into() };
    ses.refuse_next([busy]);
    assert_eq!(send(&ses, simple()).await, (429, json!({ "message": "slow down" })));
    assert_eq!(send(&ses, simple()).await.0, 200);
}
