//! Under which names fields are found: in other languages, under those that a document uses, and in bodies of older kinds.

use super::reading::{JSON, lead, lead_of, note, pairs};
use super::*;
use serde_json::{Value, json};
use sluice_domain::lead::Origin;
use sluice_domain::policy::PolicySet;

const FORM: &str = "application/x-www-form-urlencoded";

fn mapped(kind: &str, fields: &[(&str, &str)]) -> Document {
    let fields = fields.iter().map(|(field, name)| ((*field).to_owned(), vec![(*name).to_owned()]));
    Document { fields: fields.collect(), ..document(kind) }
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn answers_of_jotform(answers: &Value) -> String {
    form(&[("rawRequest", &answers.to_string()), ("submissionID", "1"), ("formID", "7")])
}

#[test]
fn a_signature_as_large_as_a_picture_costs_no_other_answer() {
    let picture = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(4_000));
    let answers = json!({"q1_email": "ada@person.example", "q2_sign": picture, "q3_note": "call me"});
    let boundary = "--b\r\nContent-Disposition: form-data; name=";
    let multipart = format!(
        "{boundary}\"submissionID\"\r\n\r\n1\r\n{boundary}\"rawRequest\"\r\n\r\n{answers}\r\n--b--\r\n"
    );
    for (content_type, body) in
        [("multipart/form-data; boundary=b", multipart), (FORM, answers_of_jotform(&answers))]
    {
        let read = lead("jotform", content_type, body.clone());
        let cut = &picture[..crate::body::MAX_VALUE];
        assert_eq!(pairs(&read), [("email", "ada@person.example"), ("sign", cut), ("note", "call me")]);
        assert_eq!(
            (read.flags.as_slice(), read.external_id.as_deref()),
            (&[BodyFlag::ValueCut][..], Some("1"))
        );
        assert_eq!(read.raw.as_deref(), Some(body.as_bytes()));
    }
    let whole = lead("jotform", FORM, answers_of_jotform(&json!({"q1_email": "ada@person.example"})));
    assert_eq!((whole.flags, whole.raw), (vec![], None));
    let broken = lead("jotform", FORM, form(&[("submissionID", "1"), ("rawRequest", "{\"q1_email\": ")]));
    assert_eq!(pairs(&broken), [("rawRequest", "{\"q1_email\": ")]);
    assert_eq!((broken.flags.as_slice(), broken.raw.is_some()), (&[BodyFlag::NotFields][..], true));
}

#[test]
fn jotforms_questions_are_found_by_the_names_that_it_sends_and_those_it_shows() {
    let answers = json!({
        "q1_wer": {"first": "Ada", "last": "Lovelace"}, "q4_wo": "ada@person.example",
        "q5_ruf": {"country": "+49", "area": "030", "phone": "901820"},
    });
    let read = |fields: &[(&str, &str)]| {
        let lead = lead_of(&mapped("jotform", fields), FORM, answers_of_jotform(&answers));
        lead.fields.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(read(&[]), ["first_name", "last_name", "email", "phone"]);
    for name in ["q4_wo", "wo"] {
        assert!(read(&[("email", name)]).contains(&name.to_owned()), "{name}");
    }
    assert!(read(&[("phone", "q5_ruf")]).contains(&"q5_ruf".to_owned()));
    assert!(read(&[("first_name", "q1_wer.first")]).contains(&"q1_wer.first".to_owned()));
    assert!(read(&[("email", "wo")]).contains(&"phone".to_owned()));
}

#[test]
fn a_field_is_found_by_whichever_of_its_senders_names_the_document_uses() {
    let title = "Where do we write to?";
    let typeform = json!({"form_response": {
        "token": "t",
        "definition": {"fields": [{"id": "a1", "ref": "r1", "title": title}]},
        "answers": [{"type": "email", "email": "ada@person.example", "field": {"id": "a1", "ref": "r1"}}],
    }});
    let tally = json!({"data": {"submissionId": "s", "fields": [
        {"key": "question_1", "label": title, "type": "INPUT_EMAIL", "value": "ada@person.example"},
        {"key": "question_2", "label": "Skills", "type": "MATRIX", "value": {"r1": ["c1"]},
            "rows": [{"id": "r1", "text": "Rust"}], "columns": [{"id": "c1", "text": "some"}]},
    ]}});
    let elementor = form(&[
        ("fields[field_1][type]", "email"),
        ("fields[field_1][title]", title),
        ("fields[field_1][value]", "ada@person.example"),
    ]);
    for (kind, content_type, body, names) in [
        ("typeform", JSON, typeform.to_string(), &[title, "r1", "a1"][..]),
        ("tally", JSON, tally.to_string(), &[title, "question_1"]),
        ("elementor", FORM, elementor, &[title, "field_1"]),
    ] {
        for &name in names {
            let read = lead_of(&mapped(kind, &[("email", name)]), content_type, body.clone());
            assert_eq!(named(&read, "ada@person.example"), [name], "{kind}");
        }
        assert_eq!(named(&lead(kind, content_type, body), "ada@person.example"), ["email"], "{kind}");
    }
    let in_part = lead_of(&mapped("tally", &[("need", "question_2.Rust")]), JSON, tally.to_string());
    assert_eq!(named(&in_part, "some"), ["question_2.Rust"]);
}

#[test]
fn jotforms_numbers_in_parts_are_dialled_from_anywhere() {
    for (country, area, number) in [
        ("49", "30", "+49 30 901820"),
        ("+49", "30", "+49 30 901820"),
        ("0049", "30", "0049 30 901820"),
        ("", "030", "030 901820"),
        ("DE", "030", "DE 030 901820"),
    ] {
        let answers = json!({"q1_p": {"country": country, "area": area, "phone": "901820"}});
        let read = lead("jotform", FORM, answers_of_jotform(&answers));
        assert!(pairs(&read).contains(&("phone", number)), "{:?}", pairs(&read));
    }
}

#[test]
fn questions_of_google_forms_are_in_any_language() {
    let body = json!({"namedValues": {
        "Ihr Name": ["Grete"], "Wie erreichen wir Sie?": ["grete@person.example"], "Rückruf unter": ["+49 30 901820"],
    }});
    let read = lead("json", JSON, body.to_string());
    let mut found = pairs(&read);
    found.sort_unstable();
    assert_eq!(found, [("Ihr Name", "Grete"), ("email", "grete@person.example"), ("phone", "+49 30 901820")]);
    let program = lead("json", JSON, r#"{"owner":{"mail":"rep@shop.example"},"text":"hello"}"#);
    assert_eq!(
        pairs(&program),
        [("owner.mail", "rep@shop.example"), ("text", "hello")],
        "nothing is guessed"
    );
}

#[test]
fn fields_of_gravity_forms_are_in_any_language_and_script() {
    let named = lead(
        "gravity_forms",
        JSON,
        r#"{"nafn":"Anna","netfang":"anna@person.example","simi":"+3545885522"}"#,
    );
    let mut found = pairs(&named);
    found.sort_unstable();
    assert_eq!(found, [("email", "anna@person.example"), ("nafn", "Anna"), ("phone", "+3545885522")]);
    let egypt = Document {
        default_country: sluice_domain::identity::Country::parse("EG"),
        ..document("gravity_forms")
    };
    let numbered = lead_of(&egypt, JSON, r#"{"form_id":"3","id":"9","2":"٠١٠٠ ١٢٣ ٤٥٦٧","4":"x"}"#);
    assert!(pairs(&numbered).contains(&("phone", "٠١٠٠ ١٢٣ ٤٥٦٧")), "{:?}", pairs(&numbered));
}

#[test]
fn numbers_of_the_mainland_are_known_under_any_name_and_in_groups() {
    for (fields, body, name, number) in [
        (&[][..], r#"{"手机号":"138 0013 8000"}"#, "phone", "+86138 0013 8000"),
        (&[("phone", "dianhua")], r#"{"dianhua":"13800138000"}"#, "dianhua", "+8613800138000"),
        (&[], r#"{"telphone":"１３８００１３８０００"}"#, "phone", "+86１３８００１３８０００"),
        (&[], r#"{"telphone":"86-138-0013-8000"}"#, "phone", "+86-138-0013-8000"),
        (&[], r#"{"telphone":"010 8765 4321"}"#, "phone", "010 8765 4321"),
        (&[], r#"{"telphone":"+1 415 555 2671"}"#, "phone", "+1 415 555 2671"),
    ] {
        assert_eq!(pairs(&lead_of(&mapped("feiyu", fields), JSON, body)), [(name, number)], "{body}");
    }
    let german =
        Document { default_country: sluice_domain::identity::Country::parse("DE"), ..document("feiyu") };
    assert_eq!(pairs(&lead_of(&german, JSON, r#"{"tel":"15112345678"}"#)), [("phone", "15112345678")]);
}

#[test]
fn numbers_of_the_mainland_need_no_country_unless_one_is_named() {
    let phone = |document: &Document, body: &str| {
        let lead = lead_of(document, JSON, body.to_owned());
        let origin = Origin { kind: document.sender.clone(), name: document.name.clone() };
        let mut policies = PolicySet::default();
        policies.sources.insert(document.name.clone(), document.clone());
        let envelope = crate::capture::from_source(&lead);
        let facts =
            sluice_domain::lead::read(&origin, &envelope, &policies.reading(&origin), &policies.settings);
        facts.phone.map(|phone| phone.e164().to_owned())
    };
    for (kind, body, expected) in [
        ("feiyu", r#"{"telphone":"010-87654321"}"#, "+861087654321"),
        ("feiyu", r#"{"telphone":"400-810-8888"}"#, "+864008108888"),
        ("feiyu", r#"{"address":{"phone":"13900139222"}}"#, "+8613900139222"),
        ("feiyu", r#"{"address":"{\"phone\":\"010 8765 4321\"}"}"#, "+861087654321"),
        ("feiyu", r#"{"data":{"id":"7","telphone":"13900139222"}}"#, "+8613900139222"),
        ("feiyu", r#"{"data":[{"id":"7","tel":"13900139222"}]}"#, "+8613900139222"),
        ("feiyu", r#"{"telphone":"4155552671","country":"US"}"#, "+14155552671"),
        ("feiyu", r#"{"telphone":"14155552671","country":"US"}"#, "+14155552671"),
        ("douyin", r#"{"event":"clue","content":{"phone":"13900139222"}}"#, "+8613900139222"),
        ("douyin", r#"{"event":"clue","content":{"user":{"phone":"010-87654321"}}}"#, "+861087654321"),
        ("douyin", r#"{"event":"clue","content":{"phone":"+1 415 555 2671"}}"#, "+14155552671"),
    ] {
        assert_eq!(phone(&document(kind), body).as_deref(), Some(expected), "{kind} {body}");
        let german =
            Document { default_country: sluice_domain::identity::Country::parse("DE"), ..document(kind) };
        let is_told = body.contains("\"country\"") || body.contains("+1");
        assert_eq!(phone(&german, body).as_deref() == Some(expected), is_told, "{kind} {body}");
    }
    let tiktok = r#"{"event":"lead.new","content":{"phone":"13900139222"}}"#;
    assert_eq!(phone(&document("tiktok"), tiktok), None, "of nowhere in particular");
    let parts = lead("feiyu", JSON, r#"{"address":{"phone":"13900139222","wechat":"ada_w","city":"北京"}}"#);
    let expected = [("phone", "+8613900139222"), ("wechat_id", "ada_w"), ("address.city", "北京")];
    assert_eq!(pairs(&parts), expected);
    let inner = lead("feiyu", JSON, r#"{"data":{"id":"7","name":"李雷"}}"#);
    assert_eq!((inner.external_id.as_deref(), pairs(&inner)), (Some("7"), vec![("full_name", "李雷")]));
    let beside = lead("feiyu", JSON, r#"{"id":"7","data":{"name":"李雷"}}"#);
    assert_eq!(pairs(&beside), [("data.name", "李雷")], "one of several members");
}

#[test]
fn an_older_script_of_hubspot_posts_a_form() {
    let context = json!({
        "hutk": "aa11", "ipAddress": "203.0.113.7", "pageUrl": "https://shop.example/?utm_source=q",
        "pageName": "Shop", "sfdcCampaignId": "7010",
    });
    let body =
        form(&[("email", "ada@person.example"), ("firstname", "Ada"), ("hs_context", &context.to_string())]);
    let read = lead("hubspot", FORM, body.clone());
    assert_eq!(pairs(&read), [("email", "ada@person.example"), ("first_name", "Ada")]);
    assert_eq!(lead("hubspot", "Application/X-WWW-Form-Urlencoded", body).fields, read.fields);
    for (name, value) in [
        ("hubspot_cookie", "aa11"),
        ("ip", "203.0.113.7"),
        ("page_url", "https://shop.example/?utm_source=q"),
        ("utm_source", "q"),
        ("page_name", "Shop"),
        ("salesforce_campaign", "7010"),
    ] {
        assert_eq!(note(&read, name), Some(value), "{name}");
    }
    let broken = lead("hubspot", FORM, form(&[("email", "a@b.example"), ("hs_context", "{")]));
    assert_eq!(pairs(&broken), [("email", "a@b.example"), ("hs_context", "{")]);
    let newer =
        json!({"fields": [{"name": "email", "value": "a@b.example"}], "context": {"sfdcCampaignId": "7011"}});
    assert_eq!(note(&lead("hubspot", JSON, newer.to_string()), "salesforce_campaign"), Some("7011"));
    let secrets = Secrets::default();
    let request = HttpRequest { method: "POST".into(), body: "{".into(), ..HttpRequest::default() };
    let (document, now) = (document("hubspot"), Timestamp(0));
    let delivery =
        Delivery { request: &request, document: &document, secrets: &secrets, certificate: None, now };
    assert_eq!(hubspot::Hubspot.leads(&delivery).unwrap_err().status, 400);
    assert_eq!(hubspot::form("/submissions/v3/integration/submit/1/a"), Some("1/a"));
    assert_eq!(hubspot::form("/submissions/v3/integration/secure/submit/1/a"), Some("1/a"));
    assert_eq!(hubspot::form("/submissions/v3/other/1/a"), None);
}

#[test]
fn a_contact_forms_files_may_be_larger_than_its_words() {
    let content = "QUJD".repeat(400_000);
    let body =
        json!({"your-email": "a@b.example", "cv": {"filename": "cv.pdf", "content": content}, "n": "x"});
    let read = lead("contact_form_7", JSON, body.to_string());
    assert_eq!((pairs(&read).len(), read.files[0].size), (2, 1_200_000));
    assert_eq!((read.flags, read.raw), (vec![], None));
    let mended = lead("contact_form_7", JSON, body.to_string().replace("\"x\"", "NaN"));
    assert_eq!(mended.flags, [BodyFlag::RepairedJson]);
    let raw = String::from_utf8_lossy(mended.raw.as_deref().unwrap()).into_owned();
    assert!(raw.len() < 200 && raw.contains("a@b.example") && raw.contains("cv.pdf"), "{raw}");
    let broken = lead("contact_form_7", JSON, format!("{body}!"));
    assert_eq!(
        (broken.flags.as_slice(), broken.raw.unwrap().len() < 200),
        (&[BodyFlag::NotFields][..], true)
    );
    let files: Vec<Value> =
        (0..1_100).map(|at| json!({"filename": format!("{at}{}", "n".repeat(300)), "content": ""})).collect();
    let many = lead("contact_form_7", JSON, json!({"your-email": "a@b.example", "cv": files}).to_string());
    assert_eq!((many.files.len(), many.files[0].file_name.len()), (crate::body::MAX_FIELDS, 200));
    assert!(many.flags.contains(&BodyFlag::TooManyFields));
}

#[test]
fn webhooks_of_webflows_dashboard_are_believed_by_the_key_in_their_address() {
    let document = Document { auth: Auth::UrlKey, ..document("webflow") };
    let secrets = Secrets::default().with("url_key", "k");
    let said = |query: &str, headers: Vec<(String, String)>| {
        let query = query.to_owned();
        let request = HttpRequest { method: "POST".into(), query, headers, ..HttpRequest::default() };
        let now = Timestamp(0);
        let delivery =
            Delivery { request: &request, document: &document, secrets: &secrets, certificate: None, now };
        believe(&webflow::Webflow, &delivery)
    };
    let bearer = |token: &str| vec![("authorization".to_owned(), token.to_owned())];
    assert_eq!(said("key=k", vec![]), Ok(()));
    assert_eq!(said("key=other", vec![]), Err(Refusal::KeyWrong));
    assert_eq!(said("", vec![]), Err(Refusal::KeyMissing));
    for (token, expected) in [
        ("Bearer k", Ok(())),
        ("bearer  k ", Ok(())),
        ("Bearer other", Err(Refusal::KeyWrong)),
        ("Bearer ", Err(Refusal::KeyMissing)),
        ("Basic k", Err(Refusal::KeyMissing)),
    ] {
        for query in ["", "key="] {
            assert_eq!(said(query, bearer(token)), expected, "{query} {token}");
        }
    }
    assert_eq!(said("key=other", bearer("Bearer k")), Err(Refusal::KeyWrong), "one proof at a time");
}

/// The standard names and the senders' own in what a lead of that sender says, by value.
fn named<'a>(lead: &'a SourceLead, value: &str) -> Vec<&'a str> {
    pairs(lead).into_iter().filter(|(_, said)| *said == value).map(|(name, _)| name).collect()
}

#[test]
fn what_is_somebody_elses_is_not_taken_for_the_persons() {
    let answer = |kind: &str, id: &str, value: &str| json!({"type": kind, kind: value, "field": {"id": id}});
    let typeform = json!({"form_response": {
        "token": "t",
        "definition": {"fields": [
            {"id": "1", "title": "Your colleague's email"}, {"id": "2", "title": "Your email"},
            {"id": "3", "title": "Emergency contact"}, {"id": "4", "title": "Your phone number"},
        ]},
        "answers": [
            answer("email", "1", "bo@person.example"), answer("email", "2", "ada@person.example"),
            answer("phone_number", "3", "+49301"), answer("phone_number", "4", "+49302"),
        ],
    }});
    let field = |kind: &str, label: &str, value: &str| json!({"type": kind, "label": label, "value": value});
    let tally = json!({"data": {"submissionId": "s", "fields": [
        field("INPUT_EMAIL", "Your colleague's email", "bo@person.example"),
        field("INPUT_EMAIL", "Your email", "ada@person.example"),
        field("INPUT_PHONE_NUMBER", "Emergency contact", "+49301"),
        field("INPUT_PHONE_NUMBER", "Your phone number", "+49302"),
    ]}});
    let elementor: Vec<(String, &str)> = [
        ("a", "email", "Your colleague's email", "bo@person.example"),
        ("b", "email", "Your email", "ada@person.example"),
        ("c", "tel", "Emergency contact", "+49301"),
        ("d", "tel", "Your phone number", "+49302"),
    ]
    .into_iter()
    .flat_map(|(id, kind, title, value)| {
        [("type", kind), ("title", title), ("value", value)]
            .map(|(part, said)| (format!("fields[{id}][{part}]"), said))
    })
    .collect();
    let elementor = form_urlencoded::Serializer::new(String::new()).extend_pairs(elementor).finish();
    for (kind, content_type, body) in [
        ("typeform", JSON, typeform.to_string()),
        ("tally", JSON, tally.to_string()),
        ("elementor", FORM, elementor),
    ] {
        let read = lead(kind, content_type, body);
        for (value, name) in [
            ("bo@person.example", "Your colleague's email"),
            ("ada@person.example", "email"),
            ("+49301", "Emergency contact"),
            ("+49302", "phone"),
        ] {
            assert_eq!(named(&read, value), [name], "{kind}");
        }
    }
}

#[test]
fn ids_of_an_event_are_fields_where_they_say_who_it_is_or_the_document_uses_them() {
    let body = r#"{"event":"lead.new","from_user_id":"u1","content":{"lead_id":"1","form_id":"f","open_id":"o",
        "wechat_id":"ada_w","external_id":"e1","crm_id":"c1"}}"#;
    let mapped_to =
        |kind: &str, field: &str, name: &str| lead_of(&mapped(kind, &[(field, name)]), JSON, body);
    for kind in ["tiktok", "douyin"] {
        let read = lead(kind, JSON, body);
        assert_eq!(pairs(&read), [("wechat_id", "ada_w"), ("external_id", "e1")], "{kind}");
        let noted = ["lead_id", "form_id", "open_id", "crm_id"].map(|name| note(&read, name));
        assert_eq!(noted, [None, Some("f"), Some("o"), Some("c1")], "{kind}");
        let by_crm = mapped_to(kind, "external_id.crm", "crm_id");
        assert_eq!((named(&by_crm, "c1"), note(&by_crm, "crm_id")), (vec!["crm_id"], None), "{kind}");
        assert_eq!(named(&mapped_to(kind, "external_id", "lead_id"), "1"), ["lead_id"], "{kind}");
    }
    let by_user = mapped_to("douyin", "external_id", "from_user_id");
    assert_eq!((named(&by_user, "u1"), note(&by_user, "from_user_id")), (vec!["from_user_id"], None));
}

#[test]
fn jotforms_contact_for_an_emergency_is_not_the_person() {
    let answers = json!({
        "q7_friendsName": {"first": "Bo", "last": "Berg"},
        "q8_emergencyContact": {"full": "+49 30 901821"},
        "q9_faxNumber": {"country": "49", "area": "30", "phone": "901822"},
        "q10_name": {"first": "Ada", "last": "Lovelace"},
        "q11_phoneNumber": {"full": "+49 30 901820"},
    });
    let read = lead("jotform", FORM, answers_of_jotform(&answers));
    for (value, name) in [
        ("Bo", "friendsName.first"),
        ("+49 30 901821", "emergencyContact"),
        ("+49 30 901822", "faxNumber"),
        ("Ada", "first_name"),
        ("+49 30 901820", "phone"),
    ] {
        assert_eq!(named(&read, value), [name]);
    }
    let alone =
        lead("jotform", FORM, answers_of_jotform(&json!({"q8_emergencyContact": {"full": "+49 30 901821"}})));
    assert_eq!(pairs(&alone), [("emergencyContact", "+49 30 901821")], "nor where there is no other number");
}

#[test]
fn dates_postcodes_and_amounts_of_gravity_forms_are_not_numbers_of_telephones() {
    let german = Document {
        default_country: sluice_domain::identity::Country::parse("DE"),
        ..document("gravity_forms")
    };
    let read = |inputs: &Value| lead_of(&german, JSON, inputs.to_string());
    for other in [
        "2026-01-05",
        "05/01/2026",
        "5.1.2026",
        "2026/01/05",
        "40210",
        "300000",
        "300.000",
        "300 000",
        "1 200 000",
        "300000.00",
        "٤٠٢١٠",
        "４０２１０",
    ] {
        let found = read(&json!({"form_id": "3", "id": "9", "4": other, "5": "030 901820"}));
        assert_eq!(named(&found, other), ["4"], "{other}");
        assert_eq!(named(&found, "030 901820"), ["phone"], "{other}");
    }
    for number in ["030901820", "(030) 90 18 20", "0171/2345678", "030-901820", "0171.2345678", "0301-90-18"]
    {
        assert_eq!(
            named(&read(&json!({"form_id": "3", "id": "9", "4": number})), number),
            ["phone"],
            "{number}"
        );
    }
    // With its country it is one whatever stands before it.
    let both =
        read(&json!({"form_id": "3", "id": "9", "4": "12345678", "5": "+49 30 901820", "6": "030 901821"}));
    assert_eq!(named(&both, "+49 30 901820"), ["phone"]);
    assert_eq!((named(&both, "12345678"), named(&both, "030 901821")), (vec!["4"], vec!["6"]));
}

#[test]
fn a_field_of_elementor_without_a_label_is_called_by_its_id() {
    let body = form(&[
        ("No Label name", "Ada"),
        ("No Label email", "ada@person.example"),
        ("No Label field_3", "0171 2345678"),
        ("No Label date", "1 May 2026"),
        ("No Label url", "https://ada.example"),
        ("Remote IP", "203.0.113.7"),
        ("form_id", "e1"),
    ]);
    let read = lead("elementor", FORM, body.clone());
    let expected = [
        ("name", "Ada"),
        ("email", "ada@person.example"),
        ("field_3", "0171 2345678"),
        ("date", "1 May 2026"),
        ("url", "https://ada.example"),
    ];
    assert_eq!(pairs(&read), expected);
    assert_eq!(note(&read, "date"), None, "it was filled in");
    for (field, name) in [("phone", "No Label field_3"), ("phone", "No label field 3")] {
        let read = lead_of(&mapped("elementor", &[(field, name)]), FORM, body.clone());
        assert_eq!(named(&read, "0171 2345678"), ["No Label field_3"], "as the document has it");
    }
    let by_id = lead_of(&mapped("elementor", &[("phone", "field_3")]), FORM, body);
    assert_eq!(named(&by_id, "0171 2345678"), ["field_3"]);
}

#[test]
fn what_jotform_sends_is_kept_without_the_key_of_our_address() {
    let address = "https://hooks.shop.example/hooks/jotform?key=open%20sesame";
    let broken = "{\"q1_email\": ";
    let long = json!({"q1_email": "ada@person.example", "q2_note": "n".repeat(40_000)}).to_string();
    for answers in [broken, &long] {
        let parts = [("webhookURL", address), ("submissionID", "1"), ("rawRequest", answers)];
        let multipart: String = parts
            .iter()
            .map(|(name, value)| {
                format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            })
            .collect();
        for (content_type, body) in
            [("multipart/form-data; boundary=b", multipart + "--b--\r\n"), (FORM, form(&parts))]
        {
            let request = HttpRequest {
                method: "POST".into(),
                query: "key=open%20sesame".into(),
                headers: vec![("content-type".to_owned(), content_type.to_owned())],
                body: body.into(),
                ..HttpRequest::default()
            };
            let (leads, _) = read(&jotform::Jotform, &document("jotform"), &request);
            let raw = String::from_utf8_lossy(leads[0].raw.as_deref().unwrap()).into_owned();
            assert!(raw.contains("webhookURL") && !raw.contains("sesame"), "{raw:.300}");
            assert!(leads[0].fields.iter().all(|(_, value)| !value.contains("sesame")));
        }
    }
}
