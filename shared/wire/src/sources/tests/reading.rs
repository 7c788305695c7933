//! What is read of bodies that are not quite what their sender documents.

use super::*;

fn post(content_type: &str, body: impl Into<Bytes>) -> HttpRequest {
    HttpRequest {
        method: "POST".into(),
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: body.into(),
        ..HttpRequest::default()
    }
}

/// The one lead of a body.
fn lead(kind: &str, content_type: &str, body: impl Into<Bytes>) -> SourceLead {
    lead_of(&document(kind), content_type, body)
}

fn lead_of(document: &Document, content_type: &str, body: impl Into<Bytes>) -> SourceLead {
    let (mut leads, _) = read(find(&document.sender).unwrap(), document, &post(content_type, body));
    assert_eq!(leads.len(), 1);
    leads.remove(0)
}

const JSON: &str = "application/json";

fn pairs(lead: &SourceLead) -> Vec<(&str, &str)> {
    lead.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn note<'a>(lead: &'a SourceLead, name: &str) -> Option<&'a str> {
    lead.attribution.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn what_a_contact_form_posts_is_kept_whatever_it_is() {
    for (content_type, body) in [
        ("text/plain", "{name} wrote: call me"),
        ("text/plain; charset=UTF-8", "{\"email\": \"a@b.example\", \"text\": \"he said \"no\"\"}"),
        ("text/plain", "[your-name] a=b"),
        ("text/plain", "[\"a list\"]"),
        (JSON, "{\"email\": \"a@b.example\", \"text\": \"he said \"no\"\"}"),
        (JSON, "Hello"),
        (JSON, "null"),
        ("text/html", "<p>Hello</p>"),
        ("multipart/form-data", "Hello"),
    ] {
        let kept = lead("contact_form_7", content_type, body);
        assert_eq!((kept.fields.len(), kept.flags.as_slice()), (0, [BodyFlag::NotFields].as_slice()), "{body}");
        assert_eq!(kept.raw.as_deref(), Some(body.as_bytes()), "{content_type}");
    }
    for content_type in ["text/plain", JSON] {
        let whole = lead("contact_form_7", content_type, r#" {"your-email": "a@b.example", "n": NaN} "#);
        assert_eq!(pairs(&whole), [("email", "a@b.example")]);
        assert_eq!(whole.flags, [BodyFlag::RepairedJson]);
    }
}

#[test]
fn a_file_of_a_contact_form_is_described_and_its_content_left_out() {
    let content = "QUJD".repeat(20_000);
    let body = serde_json::json!({
        "your-email": "a@b.example",
        "cv": {"filename": "cv.pdf", "content": content},
        "more": [{"filename": "a.txt", "content": "QQ=="}, {"filename": "b.txt", "content": "QUI="}],
        "choice": ["x", "y"],
    });
    let read = lead("contact_form_7", JSON, body.to_string());
    assert_eq!(pairs(&read), [("email", "a@b.example"), ("choice", "x"), ("choice", "y")]);
    let files: Vec<_> =
        read.files.iter().map(|file| (file.field.as_str(), file.file_name.as_str(), file.size)).collect();
    assert_eq!(files, [("cv", "cv.pdf", 60_000), ("more", "a.txt", 1), ("more", "b.txt", 2)]);
    assert_eq!((read.flags, read.raw), (vec![], None));
}

#[test]
fn webhooks_are_read_in_their_encoding_and_what_is_none_of_it_is_flagged() {
    let (gbk, ..) = encoding_rs::GBK.encode(r#"{"id":"7","name":"张伟","telphone":"13800138000"}"#);
    let stated = lead("feiyu", "application/json; charset=GBK", gbk.to_vec());
    assert!(pairs(&stated).contains(&("full_name", "张伟")), "{:?}", pairs(&stated));
    assert_eq!((stated.flags, stated.raw), (vec![], None));
    let unstated = lead("feiyu", JSON, gbk.to_vec());
    assert_eq!((unstated.flags, unstated.raw.as_deref()), (vec![BodyFlag::BadEncoding], Some(&*gbk)));

    let typeform = |text: &[u8]| {
        let body = [
            br#"{"form_response":{"token":"t","answers":[{"type":"text","text":""#.as_slice(),
            text,
            br#"","field":{"id":"1","ref":"q"}}]}}"#,
        ];
        (body.concat(), lead("typeform", JSON, body.concat()))
    };
    for (text, flag) in
        [(b"\\ud83d".as_slice(), BodyFlag::RepairedJson), (b"J\xf6rg".as_slice(), BodyFlag::BadEncoding)]
    {
        let (body, read) = typeform(text);
        assert_eq!((read.flags, read.raw.as_deref()), (vec![flag], Some(body.as_slice())));
    }
    let (body, cut) = typeform(&vec![b'a'; 40_000]);
    assert_eq!((cut.flags, cut.raw.as_deref()), (vec![BodyFlag::ValueCut], Some(body.as_slice())));
    assert_eq!(typeform(b"fine").1.raw, None);
}

#[test]
fn of_a_batch_the_lead_is_flagged_that_was_mended_and_none_keeps_what_others_said() {
    for kind in ["json", "feiyu"] {
        let body = b"[{\"email\":\"a@b.example\"},{\"email\":\"b@b.example\",\"city\":\"K\xf6ln\"},{\"x\":NaN}]";
        let (leads, _) = read(find(kind).unwrap(), &document(kind), &post(JSON, body.as_slice()));
        let flags: Vec<_> = leads.iter().map(|lead| lead.flags.clone()).collect();
        assert_eq!(flags, [vec![], vec![BodyFlag::BadEncoding], vec![BodyFlag::RepairedJson]], "{kind}");
        assert!(leads.iter().all(|lead| lead.raw.is_none()));
        let one = lead(kind, JSON, b"[{\"city\":\"K\xf6ln\"}]".as_slice());
        assert!(one.raw.is_some());
    }
}

#[test]
fn what_google_sends_is_kept_without_its_key() {
    let body = b"{\"google_key\":\"open sesame\",\"lead_id\":\"1\",\"user_column_data\":[{\"column_id\":\"\",\
        \"column_name\":\"Full Name\",\"string_value\":\"J\xf6rg\"},{\"column_id\":\"\",\"string_value\":\"x\"}]}";
    let read = lead("google", JSON, body.as_slice());
    assert_eq!(pairs(&read), [("full_name", "J\u{fffd}rg")]);
    let raw = String::from_utf8_lossy(read.raw.as_deref().unwrap()).into_owned();
    assert!(raw.contains("\"google_key\":\"***********\"") && !raw.contains("sesame"), "{raw}");
}

#[test]
fn an_event_is_read_however_it_says_what_somebody_filled_in() {
    let told = |kind: &str, content: &str| {
        let body = format!(r#"{{"event":"lead.new","create_time":1,"content":{content}}}"#);
        lead(kind, JSON, body)
    };
    for kind in ["tiktok", "douyin"] {
        assert_eq!(pairs(&told(kind, r#""Ada called""#)), [("content", "Ada called")]);
        let list = r#"{"lead_id":"1","form_id":"f","field_data":[{"name":"Email","values":["a@b.example"]},
            {"name":"phone_number","value":"+4930901820"},{"name":"Which?","values":["x","y"]}]}"#;
        let read = told(kind, list);
        let expected = [("email", "a@b.example"), ("phone", "+4930901820"), ("Which?", "x"), ("Which?", "y")];
        assert_eq!(pairs(&read), expected);
        assert_eq!(note(&read, "form_id"), Some("f"));
        let nested = r#"{"email":"first@b.example","answers":{"Email":"second@b.example","Phone Number":"+4930901820",
            "deep":{"list":[1,{"a":2}]}}}"#;
        let expected = [
            ("email", "first@b.example"),
            ("answers.Email", "second@b.example"),
            ("phone", "+4930901820"),
            ("answers.deep.list", "1"),
            ("answers.deep.list.a", "2"),
        ];
        assert_eq!(pairs(&told(kind, nested)), expected);
    }
    let mapped = Document {
        fields: [("email".to_owned(), vec!["answers.Email".to_owned()])].into(),
        ..document("tiktok")
    };
    let body = r#"{"event":"lead.new","content":{"answers":{"Email":"a@b.example"}}}"#;
    assert_eq!(pairs(&lead_of(&mapped, JSON, body)), [("answers.Email", "a@b.example")]);
}

#[test]
fn feiyu_may_post_a_form_and_names_times_of_beijing() {
    let form = "id=7&name=%E5%BC%A0%E4%BC%9F&telphone=13800138000&create_time=2026-01-05+17%3A30%3A00";
    let read = lead("feiyu", "application/x-www-form-urlencoded", form);
    assert_eq!(read.external_id.as_deref(), Some("7"));
    assert_eq!(pairs(&read), [("full_name", "张伟"), ("phone", "+8613800138000")]);
    assert_eq!(read.created_at, Timestamp::parse("2026-01-05T09:30:00Z"));
    let json = lead("feiyu", JSON, r#"{"id":"7","create_time":"2026-01-05 17:30:00"}"#);
    assert_eq!(json.created_at, read.created_at);
}
