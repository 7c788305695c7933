//! What is read of bodies that are not quite what their sender documents.

use super::*;
use serde_json::{Value, json};

fn post(content_type: &str, body: impl Into<Bytes>) -> HttpRequest {
    HttpRequest {
        method: "POST".into(),
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: body.into(),
        ..HttpRequest::default()
    }
}

/// The one lead of a body.
pub(super) fn lead(kind: &str, content_type: &str, body: impl Into<Bytes>) -> SourceLead {
    lead_of(&document(kind), content_type, body)
}

pub(super) fn lead_of(document: &Document, content_type: &str, body: impl Into<Bytes>) -> SourceLead {
    let (mut leads, _) = read(find(&document.sender).unwrap(), document, &post(content_type, body));
    assert_eq!(leads.len(), 1);
    leads.remove(0)
}

pub(super) const JSON: &str = "application/json";

pub(super) fn pairs(lead: &SourceLead) -> Vec<(&str, &str)> {
    lead.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

pub(super) fn note<'a>(lead: &'a SourceLead, name: &str) -> Option<&'a str> {
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
        assert_eq!(
            (kept.fields.len(), kept.flags.as_slice()),
            (0, [BodyFlag::NotFields].as_slice()),
            "{body}"
        );
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
    let body = json!({
        "your-email": "a@b.example",
        "cv": {"filename": "cv.pdf", "content": content},
        "more": [{"filename": "a.txt", "content": "QQ=="}, {"filename": "b.txt", "content": "QUI="}],
        "choice": ["x", "y"],
    });
    let read = lead("contact_form_7", JSON, body.to_string());
    assert_eq!(pairs(&read), [("choice", "x"), ("choice", "y"), ("email", "a@b.example")]);
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
        let body = b"[{\"email\":\"a@b.example\"},{\"email\":\"b@b.example\",\"city\":\"K\xf6ln\"},{\"city\":\"K\xf6ln\"}]";
        let (leads, _) = read(find(kind).unwrap(), &document(kind), &post(JSON, body.as_slice()));
        let flags: Vec<_> = leads.iter().map(|lead| lead.flags.clone()).collect();
        assert_eq!(flags, [vec![], vec![BodyFlag::BadEncoding], vec![BodyFlag::BadEncoding]], "{kind}");
        let (mended, _) = read(find(kind).unwrap(), &document(kind), &post(JSON, r#"[{"x":1},{"x":NaN}]"#));
        assert_eq!(
            (mended[0].flags.len(), mended[1].flags.as_slice()),
            (0, [BodyFlag::RepairedJson].as_slice())
        );
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
        let unanswered = r#"{"answers":[{"name":"Email","value":"a@b.example"},{"name":"Budget","value":null},
            {"name":"Company","type":"TEXT"},{"name":"City","values":null,"value":"Ulm"},"by phone"]}"#;
        let expected = [("email", "a@b.example"), ("city", "Ulm"), ("answers", "by phone")];
        assert_eq!(pairs(&told(kind, unanswered)), expected, "one question without an answer costs no other");
        assert_eq!(pairs(&told(kind, r#"{"answers":[{"name":"Email","value":null}]}"#)), []);
        let people = r#"{"people":[{"name":"Bo","age":7},{"name":"Cy"}]}"#;
        let expected = [("people.name", "Bo"), ("people.age", "7"), ("people.name", "Cy")];
        assert_eq!(pairs(&told(kind, people)), expected, "what has no values is no list of questions");
    }
    let mapped = Document {
        fields: [("email".to_owned(), vec!["answers.Email".to_owned()])].into(),
        ..document("tiktok")
    };
    let body = r#"{"event":"lead.new","content":{"answers":{"Email":"a@b.example"}}}"#;
    assert_eq!(pairs(&lead_of(&mapped, JSON, body)), [("answers.Email", "a@b.example")]);
}

/// Every lead of a body of TikTok's.
fn tiktok(body: &str) -> Vec<SourceLead> {
    read(find("tiktok").unwrap(), &document("tiktok"), &post(JSON, body.to_owned())).0
}

#[test]
fn a_lead_of_tiktok_is_one_also_where_no_event_says_so() {
    let entry = r#"{"object":"LEAD","entry":[{"lead_id":"77","changes":[{"field":"email","value":"te@x.example"}]}]}"#;
    let entries = r#"{"object":"LEAD","create_time":1767605400,"entry":[
        {"lead_id":"77","changes":[{"field":"email","value":"te@x.example"}]},
        {"changes":[{"field":"leadgen","value":{"lead_id":78,"Email":"to@x.example"}}]},
        {"lead_id":"77","changes":[{"field":"email","value":"te@x.example"}]},
        {"lead_id":"77","changes":[{"field":"phone_number","value":"+4930901820"}]}]}"#;
    let data = r#"{"client_key":"k","lead_id":"79","page_id":"5","lead_data":{"email":"tu@x.example","city":"Ulm"}}"#;
    let list = r#"{"lead":{"id":{"lead_id":"80"}},"field_list":[{"field_name":"email","field_value":"ta@x.example"}]}"#;
    let pairs_alone = r#"[{"field_list":[{"field":"lead_id","value":"81"},{"field":"phone_number","value":"+4930901820"}]}]"#;
    for (body, expected) in [
        (entry, &[("77", "email", "te@x.example")][..]),
        (entries, &[("77", "email", "te@x.example"), ("78", "email", "to@x.example")]),
        (data, &[("79", "email", "tu@x.example")]),
        (list, &[("80", "email", "ta@x.example")]),
        (pairs_alone, &[("81", "phone", "+4930901820")]),
        (r#"{"event":"lead.new","lead_id":"82","email":"ti@x.example"}"#, &[("82", "email", "ti@x.example")]),
        (r#"{"lead_id":"83","email":"ty@x.example","content":""}"#, &[("83", "email", "ty@x.example")]),
    ] {
        let leads = tiktok(body);
        let ids: Vec<_> = leads.iter().map(|lead| lead.external_id.as_deref().unwrap()).collect();
        assert_eq!(ids, expected.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), "{body}");
        for (lead, (_, name, value)) in leads.iter().zip(expected) {
            assert!(pairs(lead).contains(&(*name, *value)), "{body} {:?}", pairs(lead));
        }
    }
    let leads = tiktok(entries);
    assert_eq!(leads[0].created_at, Some(Timestamp::from_seconds(1_767_605_400)));
    assert_eq!(
        pairs(&leads[0]),
        [("email", "te@x.example"), ("phone", "+4930901820")],
        "of all entries of its id"
    );
    assert_eq!(note(&leads[0], "object"), Some("LEAD"));
    assert_eq!(note(&tiktok(data)[0], "page_id"), Some("5"));
}

#[test]
fn whom_a_body_of_tiktok_names_is_never_lost_and_what_names_nobody_is_no_lead() {
    for body in [
        r#"{"answers":{"phone_number":"+4930901820"}}"#,
        r#"{"content":"{\"reach me\":\"te@x.example\"}"}"#,
        r#"{"entry":[{"x":"1"}],"email":"te@x.example"}"#,
        r#"{"wechat_id":"ada_w"}"#,
        r#"{"object":"LEAD","entry":[{"changes":[{"field":"full_name","value":"Ada"}]}]}"#,
    ] {
        let leads = tiktok(body);
        assert_eq!((leads.len(), leads[0].external_id.as_ref().map(String::len)), (1, Some(64)), "{body}");
    }
    for body in [
        "{}",
        "[]",
        "[1]",
        "null",
        "\"text\"",
        r#"{"object":"LEAD"}"#,
        r#"{"object":"LEAD","entry":[]}"#,
        r#"{"create_time":1,"client_key":"k","video":"v"}"#,
        r#"{"email":"","lead_id":" "}"#,
        r#"{"event":"video.publish.completed","email":"te@x.example","content":"{}"}"#,
    ] {
        assert_eq!(tiktok(body), [], "{body}");
    }
    let listed = Document { events: vec!["form.sent".to_owned()], ..document("tiktok") };
    let unnamed = post(JSON, r#"{"lead_id":"77","email":"te@x.example"}"#);
    assert_eq!(read(find("tiktok").unwrap(), &listed, &unnamed).0, [], "the document says which are leads");
}

#[test]
fn douyins_challenge_is_sent_back_as_it_came() {
    for (content, expected) in [
        (r#"{"challenge":12345}"#, Some(r#"{"challenge":12345}"#)),
        (r#"{"challenge":"12345"}"#, Some(r#"{"challenge":"12345"}"#)),
        (r#""{\"challenge\":12345}""#, Some(r#"{"challenge":12345}"#)),
        (r#""{\"challenge\":\"007\"}""#, Some(r#"{"challenge":"007"}"#)),
        (r#"{"challenge":9007199254740993,"x":NaN}"#, Some(r#"{"challenge":9007199254740993}"#)),
        (r#"{"challenge":null}"#, None),
        (r#"{"challenge":{}}"#, None),
        (r#""no object""#, None),
        ("[1]", None),
    ] {
        let body = format!(r#"{{"event":"verify_webhook","client_key":"","content":{content}}}"#);
        let answer = find("douyin").unwrap().challenge(&post(JSON, body), &Secrets::default());
        let said = answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
        assert_eq!(said.as_deref(), expected, "{content}");
    }
}

#[test]
fn a_time_in_milliseconds_is_one_and_what_is_out_of_all_time_is_none() {
    let at = |kind: &str, time: &str| {
        let body = match kind {
            "feiyu" => format!(r#"{{"id":"7","create_time":{time}}}"#),
            "hubspot" => format!(r#"{{"fields":[],"submittedAt":{time}}}"#),
            _ => format!(
                r#"{{"event":"lead.new","create_time":{time},"content":{{"name":"Ada","msg_time":{time}}}}}"#
            ),
        };
        lead(kind, JSON, body).created_at
    };
    for kind in ["tiktok", "douyin", "feiyu", "hubspot"] {
        assert_eq!(at(kind, "1767605400123"), Some(Timestamp(1_767_605_400_123)), "{kind}");
        for none in ["1767605400000000", "\"9223372036854775807\"", "\"\"", "null"] {
            assert_eq!(at(kind, none), None, "{kind} {none}");
        }
    }
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

#[test]
fn a_meeting_by_phone_has_the_number_to_call_and_the_time_zone() {
    let booking = |more: &str| {
        let body = format!(
            r#"{{"event":"invitee.created","payload":{{"uri":"i","email":"a@b.example","timezone":"Europe/Berlin",{more}}}}}"#
        );
        lead("calendly", JSON, body)
    };
    let called =
        booking(r#""scheduled_event":{"location":{"type":"outbound_call","location":"+49 30 901820"}}"#);
    let expected = [("email", "a@b.example"), ("time_zone", "Europe/Berlin"), ("phone", "+49 30 901820")];
    assert_eq!(pairs(&called), expected);
    assert_eq!(note(&called, "timezone"), None, "it is said once");
    // The host's own number, and one that was said before.
    for (more, phones) in [
        (r#""scheduled_event":{"location":{"type":"inbound_call","location":"+49 30 901820"}}"#, 0),
        (
            r#""text_reminder_number":"+4930901820","scheduled_event":{"location":{"type":"outbound_call","location":"+4930901820"}}"#,
            1,
        ),
        (r#""scheduled_event":{"location":{"type":"outbound_call","location":null}}"#, 0),
    ] {
        let said = booking(more);
        assert_eq!(pairs(&said).iter().filter(|(name, _)| *name == "phone").count(), phones, "{more}");
    }
}

#[test]
fn every_part_of_an_answer_of_jotform_is_kept() {
    let answers = json!({
        "q1_name": {"prefix": "Dr.", "first": "Ada", "middle": "K.", "last": "Lovelace", "suffix": ""},
        "q2_home": {"addr_line1": "Main St 1", "addr_line2": "Flat 2", "city": "Köln", "postal": "50667"},
        "q3_phone": {"country": "49", "area": "30", "phone": "901820", "extension": "7"},
        "q4_mobile": {"full": "+49 30 901821", "kind": "office"},
    });
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("rawRequest", &answers.to_string())
        .append_pair("submissionID", "1")
        .finish();
    let read = lead("jotform", "application/x-www-form-urlencoded", body);
    for pair in [
        ("name.prefix", "Dr."),
        ("first_name", "Ada"),
        ("name.middle", "K."),
        ("last_name", "Lovelace"),
        ("street", "Main St 1"),
        ("home.addr_line2", "Flat 2"),
        ("postal_code", "50667"),
        ("phone", "+49 30 901820"),
        ("phone.extension", "7"),
        ("mobile.kind", "office"),
    ] {
        assert_eq!(
            pairs(&read).iter().filter(|found| **found == pair).count(),
            1,
            "{pair:?} {:?}",
            pairs(&read)
        );
    }
    assert!(pairs(&read).iter().all(|(name, _)| !name.ends_with("suffix") && *name != "name.first"));
}

#[test]
fn questions_of_typeform_within_others_have_their_titles_and_what_it_worked_out_is_kept() {
    let body = json!({"form_response": {
        "token": "t",
        "definition": {"fields": [
            {"id": "c", "type": "contact_info", "title": "Kontakt", "properties": {"fields": [
                {"id": "c1", "title": "Vorname", "subfield_key": "first_name"},
                {"id": "c2", "title": "Nachname"},
                {"id": "c3", "title": "Firma"},
            ]}},
            {"id": "g", "type": "group", "title": "Group", "properties": {"fields": [
                {"id": "g1", "title": "Inner", "properties": {"fields": [{"id": "g2", "title": "Which plan?"}]}},
            ]}},
        ]},
        "answers": [
            {"type": "text", "text": "Ada", "field": {"id": "c1", "ref": "r1"}},
            {"type": "text", "text": "Lovelace", "field": {"id": "c2", "ref": "r2", "subfield_key": "last_name"}},
            {"type": "text", "text": "Analytical", "field": {"id": "c3", "ref": "r3"}},
            {"type": "choice", "choice": {"label": "L"}, "field": {"id": "g2", "ref": "r4"}},
            {"type": "text", "text": "x", "field": {"id": "gone", "ref": "r5"}},
        ],
        "variables": [
            {"key": "score", "type": "number", "number": 4},
            {"key": "price", "type": "number", "number": 9.50},
            {"key": "name", "type": "text", "text": "gold"},
        ],
        "outcome": {"id": "o1", "title": "You are a builder"},
    }});
    let read = lead("typeform", JSON, body.to_string());
    let expected = [
        ("first_name", "Ada"),
        ("last_name", "Lovelace"),
        ("Firma", "Analytical"),
        ("Which plan?", "L"),
        ("r5", "x"),
        ("variables.price", "9.5"),
        ("variables.name", "gold"),
    ];
    assert_eq!(pairs(&read), expected);
    let notes = ["score", "outcome", "outcome_id"].map(|name| note(&read, name));
    assert_eq!(notes, [Some("4"), Some("You are a builder"), Some("o1")]);
}

#[test]
fn what_somebody_agreed_to_is_kept_whole_and_only_what_was_ticked_is_named() {
    let long = format!("I agree. {}", "é".repeat(600));
    let submitted = |options: Value| {
        let body =
            json!({"fields": [{"name": "email", "value": "a@b.example"}], "legalConsentOptions": options});
        lead("hubspot", JSON, body.to_string())
    };
    let boxes = |second: bool| {
        json!([
            {"subscriptionTypeId": 999, "value": true, "text": long},
            {"subscriptionTypeId": 777, "value": second, "text": "And by phone."},
        ])
    };
    let consent = json!({"consentToProcess": true, "text": "Store my data.", "communications": boxes(false)});
    let read = submitted(json!({"consent": consent}));
    let proof = read.consent.clone().unwrap();
    assert_eq!((proof.given, proof.version.as_str()), (true, "999"));
    let kept = crate::capture::from_source(&read);
    assert_eq!(kept.attribution["consent_text"], long);
    assert_eq!(kept.attribution["consent_to_process_text"], "Store my data.");
    assert_eq!((kept.unreadable, kept.raw), (vec![], None));

    let both = submitted(json!({"consent": {"communications": boxes(true)}}));
    assert_eq!(both.consent.as_ref().unwrap().version, "999,777");
    assert_eq!(note(&both, "consent_text"), Some(format!("{long}\nAnd by phone.").as_str()));
    let none = json!([{"subscriptionTypeId": 777, "value": false, "text": "By phone."}]);
    let refused = submitted(json!({"consent": {"communications": none}})).consent.unwrap();
    assert_eq!((refused.given, refused.version.as_str()), (false, "777"));

    let interest = json!({"value": true, "subscriptionTypeId": 999, "legalBasis": "LEAD", "text": long});
    let interest = submitted(json!({"legitimateInterest": interest}));
    assert_eq!(
        (note(&interest, "legal_basis"), note(&interest, "legal_basis_type")),
        (Some("LEAD"), Some("999"))
    );
    assert_eq!(note(&interest, "legal_basis_text"), Some(long.as_str()));
    assert_eq!(interest.consent, None, "it is not consent");

    let endless = submitted(json!({"consent": {"text": "é".repeat(10_000)}}));
    assert_eq!((endless.flags.as_slice(), endless.raw.is_some()), ([BodyFlag::ValueCut].as_slice(), true));
    assert_eq!(note(&endless, "consent_text").map(str::len), Some(crate::capture::MAX_WORDING));
}

#[test]
fn what_elementor_adds_is_no_field_in_any_language() {
    let read = |pairs: &[(&str, &str)]| {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        lead("elementor", "application/x-www-form-urlencoded", body)
    };
    let spanish = |time: &'static str| {
        read(&[
            ("Nombre", "Eva"),
            ("Correo", "eva@b.example"),
            ("Página", "https://eva.example"),
            ("Cita", "12 de mayo de 2026"),
            ("Fecha", "5 de mayo de 2026"),
            ("Hora", time),
            ("URL de la página", "https://our.example/?utm_source=q"),
            ("Agente de usuario", "Mozilla/5.0 (X11)"),
            ("IP remota", "203.0.113.7"),
            ("Funciona con", "Elementor"),
            ("form_id", "e1"),
            ("form_name", "Ask"),
        ])
    };
    let one = spanish("9:30 am");
    let expected = [
        ("Nombre", "Eva"),
        ("email", "eva@b.example"),
        ("Página", "https://eva.example"),
        ("Cita", "12 de mayo de 2026"),
    ];
    assert_eq!(pairs(&one), expected);
    assert_eq!(one.fields, spanish("09:31").fields, "a double click says the same");
    for (name, value) in
        [("time", "9:30 am"), ("ip", "203.0.113.7"), ("utm_source", "q"), ("user_agent", "Mozilla/5.0 (X11)")]
    {
        assert_eq!(note(&one, name), Some(value));
    }
    let chinese = read(&[
        ("姓名", "伟"),
        ("日期", "2026年5月5日"),
        ("时间", "上午9:30"),
        ("IP", "203.0.113.7"),
        ("form_id", "e"),
    ]);
    assert_eq!(pairs(&chinese), [("姓名", "伟")]);
    // Ids are not sent in this mode, so who calls a field like one filled it in.
    let called_so = [
        ("date", "1 May 2026"),
        ("time", "10:00"),
        ("credit", "500 EUR"),
        ("Credit", "a loan"),
        ("page_url", "https://eva.example"),
        ("user_agent", "Eva"),
        ("remote_ip", "203.0.113.8"),
    ];
    let added = [
        ("Date", "5 May 2026"),
        ("Time", "9:30 am"),
        ("Page URL", "https://our.example/?utm_source=q"),
        ("User Agent", "Mozilla/5.0 (X11)"),
        ("Remote IP", "203.0.113.7"),
        ("Powered by", "Elementor"),
        ("form_id", "e"),
    ];
    let both = read(&[called_so.as_slice(), added.as_slice()].concat());
    assert_eq!(pairs(&both), called_so);
    for (name, value) in
        [("date", "5 May 2026"), ("time", "9:30 am"), ("utm_source", "q"), ("ip", "203.0.113.7")]
    {
        assert_eq!(note(&both, name), Some(value));
    }
    let credit = read(&[("Nombre", "Eva"), ("Credit", "Elementor"), ("form_id", "e")]);
    assert_eq!(pairs(&credit), [("Nombre", "Eva")]);
    let advanced = read(&[
        ("fields[date][title]", "No Label date"),
        ("fields[date][value]", "1 May 2026"),
        ("meta[date][value]", "5 May 2026"),
        ("meta[remote_ip][value]", "203.0.113.7"),
        ("meta[credit][value]", "Elementor"),
    ]);
    assert_eq!(pairs(&advanced), [("date", "1 May 2026")]);
    assert_eq!((note(&advanced, "date"), note(&advanced, "ip")), (Some("5 May 2026"), Some("203.0.113.7")));
    // Nothing says that these are not what somebody filled in.
    let own = [("Nombre", "Eva"), ("Fecha", "5 de mayo de 2026"), ("Hora", "9:30"), ("form_id", "e")];
    assert_eq!(pairs(&read(&own)), own[..3]);
    let website = [("Website", "https://eva.example"), ("IP", "203.0.113.7"), ("form_id", "e")];
    assert_eq!(pairs(&read(&website)), [("website", "https://eva.example")]);
}

#[test]
fn a_submission_of_webflow_without_answers_is_in_the_ledger_and_whole_numbers_are_phones() {
    let submitted = |document: &Document, data: &str| {
        let body = format!(r#"{{"triggerType":"form_submission","payload":{{"id":"w1","data":{data}}}}}"#);
        lead_of(document, JSON, body)
    };
    let anywhere = document("webflow");
    let empty = submitted(&anywhere, "{}");
    assert_eq!((empty.external_id.as_deref(), empty.fields.len()), (Some("w1"), 0));
    let (none, _) = read(
        find("webflow").unwrap(),
        &anywhere,
        &post(JSON, r#"{"triggerType":"form_submission","payload":{"data":{}}}"#),
    );
    assert_eq!(none, []);

    let phone = |document: &Document, data: &str| submitted(document, data).fields[0].1.clone();
    let german =
        Document { default_country: sluice_domain::identity::Country::parse("DE"), ..document("webflow") };
    for (document, data, expected) in [
        (&anywhere, r#"{"Phone Number":14155552671}"#, "+14155552671"),
        (&anywhere, r#"{"Tel":4930901820}"#, "4930901820"),
        (&anywhere, r#"{"Mobile":493090182000}"#, "+493090182000"),
        (&anywhere, r#"{"Phone":"01712345678"}"#, "01712345678"),
        (&anywhere, r#"{"Order":14155552671}"#, "14155552671"),
        (&anywhere, r#"{"Phone":14155552671,"Country":"US"}"#, "14155552671"),
        (&german, r#"{"Phone":15112345678}"#, "15112345678"),
    ] {
        assert_eq!(phone(document, data), expected, "{data}");
    }
}

#[test]
fn files_of_tally_can_be_fetched_and_its_tables_are_told_in_words() {
    let body = json!({"eventType": "FORM_RESPONSE", "data": {"submissionId": "S", "fields": [
        {"key": "q1", "label": "CV", "type": "FILE_UPLOAD",
            "value": [{"name": "cv.pdf", "url": "https://t.example/cv", "size": 9}]},
        {"key": "q2", "label": "Skills", "type": "MATRIX",
            "value": {"r1": ["c2"], "r2": ["c1", "c2"], "r9": ["c9"]},
            "rows": [{"id": "r1", "text": "Rust"}, {"id": "r2", "text": "SQL"}],
            "columns": [{"id": "c1", "text": "some"}, {"id": "c2", "text": "much"}]},
    ]}});
    let read = lead("tally", JSON, body.to_string());
    let mut expected = [
        ("CV", "https://t.example/cv"),
        ("Skills.Rust", "much"),
        ("Skills.SQL", "some"),
        ("Skills.SQL", "much"),
        ("Skills.r9", "c9"),
    ];
    expected.sort_unstable();
    let mut found = pairs(&read);
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!((read.files[0].file_name.as_str(), read.files[0].size), ("cv.pdf", 9));
}
