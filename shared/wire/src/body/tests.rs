//! Bodies as browsers and scripts send them.

use super::*;
use flate2::{Compression, write::GzEncoder};
use futures::FutureExt;
use proptest::prelude::*;
use std::io::Write;

fn request(content_type: &str, body: impl Into<Bytes>) -> HttpRequest {
    let headers = match content_type {
        "" => Vec::new(),
        _ => vec![("content-type".to_owned(), content_type.to_owned())],
    };
    HttpRequest { method: "POST".into(), headers, body: body.into(), ..HttpRequest::default() }
}

fn read(content_type: &str, body: impl Into<Bytes>) -> Result<Submission, Problem> {
    now(&request(content_type, body))
}

/// The whole body is at hand, so reading it never waits.
fn now(request: &HttpRequest) -> Result<Submission, Problem> {
    parse(request).now_or_never().unwrap()
}

fn pairs(submission: &Submission) -> Vec<(&str, &str)> {
    submission.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[test]
fn a_form_keeps_order_repeats_and_empty_values() {
    let form = read(FORM, "name=Ana+Mar%C3%ADa&topic=a&topic=b&note=&agree&x=1%2B1%3D2&bad=100%&&").unwrap();
    let expected = [
        ("name", "Ana María"),
        ("topic", "a"),
        ("topic", "b"),
        ("note", ""),
        ("agree", ""),
        ("x", "1+1=2"),
        ("bad", "100%"),
    ];
    assert_eq!(pairs(&form), expected);
    assert_eq!((form.flags, form.raw), (vec![], None));
}

#[test]
fn php_brackets_and_nested_json_give_the_same_names() {
    let form = read(FORM, "a%5Bb%5D%5Bc%5D=1&tags[]=x&tags[]=y&[odd]=z").unwrap();
    assert_eq!(pairs(&form), [("a.b.c", "1"), ("tags", "x"), ("tags", "y"), ("[odd]", "z")]);
    let json = read(JSON, r#"{"a":{"b":{"c":1}},"tags":["x","y"],"[odd]":"z"}"#).unwrap();
    assert_eq!(pairs(&json), pairs(&form));
}

#[test]
fn other_encodings_are_read_and_foreign_bytes_are_flagged_with_the_body_kept() {
    let latin =
        read("application/x-www-form-urlencoded; charset=ISO-8859-1", "name=Zo%EB&city=K%F6ln").unwrap();
    assert_eq!(pairs(&latin), [("name", "Zoë"), ("city", "Köln")]);
    assert_eq!(latin.flags, []);
    let chinese = read("application/x-www-form-urlencoded; Charset=\"gbk\"", "name=%C0%EE").unwrap();
    assert_eq!(pairs(&chinese), [("name", "李")]);

    let wrong = read(FORM, "name=Zo%EB").unwrap();
    assert_eq!(pairs(&wrong), [("name", "Zo\u{fffd}")]);
    assert_eq!(wrong.flags, [BodyFlag::BadEncoding]);
    assert_eq!(wrong.raw.as_deref(), Some(b"name=Zo%EB".as_slice()));
    let marked = read(FORM, "a=%EF%BB%BFb&c=%FF%FEd").unwrap();
    assert_eq!(pairs(&marked), [("a", "\u{feff}b"), ("c", "\u{fffd}\u{fffd}d")]);
    let unknown = read("application/x-www-form-urlencoded; charset=klingon", "name=Zo%C3%AB").unwrap();
    assert_eq!(
        (pairs(&unknown), unknown.flags.as_slice()),
        (vec![("name", "Zoë")], [BodyFlag::UnknownCharset].as_slice())
    );
}

#[test]
fn json_values_are_text_exactly_as_written() {
    let json = r#"{"phone":15550000000,"id":123456789012345678901234567890,"sum":12.50,"tiny":-1.0E+2,"yes":true,
        "gone":null,"text":"a \"1\" \\ \u00e9","twice":1,"twice":2,"empty":{},"rows":[{"n":1},{"n":2}]}"#;
    let read = read(JSON, json).unwrap();
    let expected = [
        ("phone", "15550000000"),
        ("id", "123456789012345678901234567890"),
        ("sum", "12.50"),
        ("tiny", "-1.0E+2"),
        ("yes", "true"),
        ("text", "a \"1\" \\ é"),
        ("twice", "1"),
        ("twice", "2"),
        ("rows.n", "1"),
        ("rows.n", "2"),
    ];
    assert_eq!(pairs(&read), expected);
    assert_eq!(read.flags, []);
}

#[test]
fn json_that_is_nearly_json_is_repaired_and_flagged() {
    let json = r#"{"a":NaN,"b":[Infinity,-Infinity,3],"c":"NaN \\\" Infinity","d":"x\ud800y\ud83d\ude00","e":"\udc00"}"#;
    let read = read("application/json; charset=utf-8", json).unwrap();
    let expected = [("b", "3"), ("c", "NaN \\\" Infinity"), ("d", "x\u{fffd}y😀"), ("e", "\u{fffd}")];
    assert_eq!(pairs(&read), expected);
    assert_eq!(read.flags, [BodyFlag::RepairedJson]);
    assert_eq!(read.raw.unwrap(), json);
}

#[test]
fn json_without_names_is_refused_whatever_it_is_sent_as() {
    let bottomless = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in ["[]", "[1,2]", "[{\"email\":\"a=b\"}]", "null", "NaN", "\"text\"", "17", "true", &bottomless]
    {
        for content_type in [JSON, FORM, "text/plain", ""] {
            // A bare word may be a form's name.
            let is_name = match content_type {
                JSON => false,
                FORM => !body.starts_with('['),
                _ => body == "NaN",
            };
            if is_name {
                continue;
            }
            let problem = read(content_type, body.to_owned()).unwrap_err();
            assert_eq!((problem.status, problem.name), (422, "body-not-fields"), "{content_type} {body:.20}");
        }
        assert_eq!(now(&zipped(body.as_bytes(), "gzip")).unwrap_err().status, 422, "{body:.20}");
    }
    // An object without a value is a form that nobody filled in.
    for body in ["{}", "{\"a\":null}", "{\"a\":[],\"b\":{}}", " \n"] {
        assert!(read(JSON, body).unwrap() == Submission::default(), "{body}");
    }
    assert_eq!(pairs(&read(FORM, "\"a=b\"").unwrap()), [("\"a", "b\"")]);
    for name in ["2026", "true", "null", "-1.5", "\"text\"", "NaN"] {
        assert_eq!(pairs(&read(FORM, name).unwrap()), [(name, "")], "a name without a value");
    }
}

#[test]
fn json_that_is_too_deep_is_kept_raw() {
    let deep = |levels| format!("{{\"top\":1,\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(read(JSON, deep(16)).unwrap().flags, []);
    let flagged = read(JSON, deep(17)).unwrap();
    assert_eq!(
        (pairs(&flagged), flagged.flags.as_slice()),
        (vec![("top", "1")], [BodyFlag::NestedTooDeep].as_slice())
    );
    let bottomless = read(JSON, deep(100_000)).unwrap();
    assert_eq!(
        (bottomless.flags.as_slice(), bottomless.raw.is_some()),
        ([BodyFlag::NestedTooDeep].as_slice(), true)
    );
}

#[test]
fn broken_json_is_refused_with_the_place() {
    let problem = read(JSON, "{\"a\": 1,\n \"b\": 01}").unwrap_err();
    assert_eq!((problem.status, problem.name), (400, "malformed-body"));
    assert!(problem.detail.contains("line 2"), "{}", problem.detail);
    for body in ["{", "{\"a\"", "{\"a\":}", "{\"a\":1}x", "{\"a\":\"\\", "{\"a\":\"\\é", "nonsense"] {
        assert_eq!(read(JSON, body).unwrap_err().status, 400, "{body}");
    }
}

const MULTIPART: &str = "multipart/form-data; boundary=\"line\"";

fn part(headers: &str, content: &str) -> String {
    format!("--line\r\n{headers}\r\n\r\n{content}\r\n")
}

#[test]
fn multipart_gives_fields_and_notes_of_files() {
    let body = [
        part("Content-Disposition: form-data; name=\"name\"", "Zoë"),
        part("Content-Disposition: form-data; name=\"tags[]\"", "a"),
        part("Content-Disposition: form-data; name=\"tags[]\"", "b\r\n--lin"),
        part("Content-Disposition: form-data; name=\"cv\"; filename=\"my cv.pdf\"\r\nContent-Type: application/pdf", "12345"),
        part("Content-Disposition: form-data; name=\"photo\"; filename=\"\"\r\nContent-Type: application/octet-stream", ""),
        "--line--\r\n".to_owned(),
    ]
    .concat();
    let form = read(MULTIPART, body.clone()).unwrap();
    assert_eq!(pairs(&form), [("name", "Zoë"), ("tags", "a"), ("tags", "b\r\n--lin")]);
    assert_eq!(form.flags, []);
    let note = FileNote {
        field: "cv".into(),
        file_name: "my cv.pdf".into(),
        content_type: Some("application/pdf".into()),
        size: 5,
    };
    assert!(form.files == [note]);
    assert!(read("", body.clone()).unwrap() == form, "the boundary is found without a content type");
    assert!(read("multipart/form-data", body).unwrap() == form, "and where the content type leaves it out");
}

#[test]
fn a_multipart_part_may_state_its_own_encoding() {
    let mut body = part(
        "Content-Disposition: form-data; name=\"n\"\r\nContent-Type: text/plain; charset=iso-8859-1",
        "@",
    )
    .into_bytes();
    let at = body.iter().position(|b| *b == b'@').unwrap();
    body[at] = 0xEB;
    body.extend_from_slice(b"--line--\r\n");
    assert_eq!(pairs(&read(MULTIPART, body).unwrap()), [("n", "ë")]);
}

#[test]
fn a_part_that_is_written_as_mails_are_is_what_it_stands_for() {
    let coded = |name: &str, coding: &str, value: &str| {
        let head = format!("Content-Disposition: form-data; {name}\r\nContent-Transfer-Encoding: {coding}");
        part(&head, value)
    };
    let body = [
        coded("name=\"n\"", "base64", "Wm\r\n/Dqw=="),
        coded("name=\"o\"", "BASE64 ", "no base 64!"),
        coded("name=\"p\"", "8bit", "Wm/Dqw=="),
        coded("name=\"cv\"; filename=\"cv.pdf\"", "base64", "MTIz\r\nNDU=\r\n"),
        "--line--\r\n".to_owned(),
    ];
    let form = read(MULTIPART, body.concat()).unwrap();
    assert_eq!(pairs(&form), [("n", "Zo\u{eb}"), ("o", "no base 64!"), ("p", "Wm/Dqw==")]);
    assert_eq!((form.files[0].size, form.flags), (5, vec![]));
}

#[test]
fn a_form_may_say_its_encoding_in_a_field() {
    let form = read(FORM, "name=Zo%EB&_charset_=windows-1252&city=K%F6ln").unwrap();
    assert_eq!(pairs(&form), [("name", "Zoë"), ("_charset_", "windows-1252"), ("city", "Köln")]);
    assert_eq!((form.flags, form.raw), (vec![], None));
    let stated =
        read("application/x-www-form-urlencoded; charset=utf-8", "n=%C3%AB&_charset_=latin1").unwrap();
    assert_eq!(pairs(&stated)[0], ("n", "ë"), "what is stated counts more");
    assert_eq!(pairs(&read(FORM, "n=%C3%AB&_charset_=").unwrap())[0], ("n", "ë"), "no browser filled it in");

    let mut body = part("Content-Disposition: form-data; name=\"n\"", "@").into_bytes();
    let at = body.iter().position(|b| *b == b'@').unwrap();
    body[at] = 0xEB;
    let rest = [
        part("Content-Disposition: form-data; name=\"_charset_\"", "iso-8859-1"),
        part("Content-Disposition: form-data; name=\"o\"\r\nContent-Type: text/plain; charset=utf-8", "ë"),
        "--line--\r\n".to_owned(),
    ];
    body.extend_from_slice(rest.concat().as_bytes());
    let multipart = read(MULTIPART, body).unwrap();
    assert_eq!(pairs(&multipart), [("n", "ë"), ("_charset_", "iso-8859-1"), ("o", "ë")]);
}

#[test]
fn a_file_is_one_however_its_name_is_written() {
    for (name, expected) in [
        ("filename*=UTF-8''caf%C3%A9+1.pdf", "café+1.pdf"),
        ("filename*=iso-8859-1'en'caf%E9.pdf", "café.pdf"),
        ("filename*=UTF-8''x.pdf; filename=\"y.pdf\"", "y.pdf"),
        ("filename=\"y.pdf\"; filename*=UTF-8''x.pdf", "y.pdf"),
        ("filename*=plain.pdf", "plain.pdf"),
        ("filename=\"a%22b%0D%0A.pdf\"", "a\"b\r\n.pdf"),
        ("filename=\"say \\\"hi\\\".pdf\"", "say \"hi\".pdf"),
        ("filename=\"a;b=100%25.pdf\"", "a;b=100%25.pdf"),
        ("filename=\"C:\\\"", "C:\\"),
        ("FileName = x.pdf ; y=z", "x.pdf"),
    ] {
        let head = format!("Content-Disposition: form-data; name=\"cv\"; {name}");
        let form = read(MULTIPART, format!("{}--line--\r\n", part(&head, "12345"))).unwrap();
        assert_eq!(form.fields, [], "{name}");
        assert_eq!((form.files[0].file_name.as_str(), form.files[0].size), (expected, 5));
    }
}

#[test]
fn a_name_in_a_multipart_form_is_read_as_browsers_and_programs_write_it() {
    for (written, name) in [
        ("name=\"a%22b\"", "a\"b"),
        ("name=\"a%0D%0Ab\"", "a\r\nb"),
        ("name=\"100%25 %0a\"", "100%25 %0a"),
        ("name=\"a\\\"b\"", "a\"b"),
        ("name=\"a\\\"", "a\\"),
        ("name=\"your filename\"", "your filename"),
        ("name=\"x; filename=y\"", "x; filename=y"),
        ("name=\"never closed", "never closed"),
        ("x; Name = spaced ; y=", "spaced"),
        ("filename; name=tags[]", "tags"),
        ("x=y", ""),
    ] {
        let head = format!("Content-Disposition: form-data; {written}");
        let form = read(MULTIPART, format!("{}--line--\r\n", part(&head, "1"))).unwrap();
        assert_eq!((pairs(&form), form.files.len()), (vec![(name, "1")], 0), "{written}");
    }
}

#[test]
fn names_in_a_multipart_form_are_in_its_encoding() {
    // An `@` stands for a byte that is no UTF-8.
    let form = |parts: &[&str]| {
        let body = parts.concat() + "--line--\r\n";
        let bytes: Vec<u8> = body.bytes().map(|byte| if byte == b'@' { 0xEB } else { byte }).collect();
        read(MULTIPART, bytes).unwrap()
    };
    let file = part("Content-Disposition: form-data; name=\"c@\"; filename=\"Zo@.pdf\"", "12345");
    let text = part("Content-Disposition: form-data; name=\"n@\"", "Zoe");
    let charset = part("Content-Disposition: form-data; name=\"_charset_\"", "windows-1252");
    let called = |form: &Submission| (form.files[0].field.clone(), form.files[0].file_name.clone());

    let told = form(&[&file, &text, &charset]);
    assert_eq!(pairs(&told), [("në", "Zoe"), ("_charset_", "windows-1252")]);
    assert_eq!(called(&told), ("cë".to_owned(), "Zoë.pdf".to_owned()));
    assert_eq!((told.flags, told.raw), (vec![], None));

    let untold = form(&[&file, &text]);
    assert_eq!(pairs(&untold), [("n\u{fffd}", "Zoe")], "and the file is none of its fields");
    assert_eq!(called(&untold), ("c\u{fffd}".to_owned(), "Zo\u{fffd}.pdf".to_owned()));
    assert_eq!((untold.files[0].size, untold.flags), (5, vec![BodyFlag::BadEncoding]));
    let raw = untold.raw.unwrap();
    assert!(raw.contains(&0xEB) && !raw.windows(5).any(|bytes| bytes == b"12345"));
    assert_eq!(pairs(&read("multipart/form-data", raw).unwrap()), [("n\u{fffd}", "Zoe")], "as it came");
}

#[test]
fn a_form_with_files_may_be_larger_and_what_is_kept_of_it_is_small() {
    let file = "Content-Disposition: form-data; name=\"cv\"; filename=\"cv.pdf\"";
    let with = |text: &str, size: usize| {
        let text = part("Content-Disposition: form-data; name=\"n\"; x=y", text);
        format!("{text}{}--line--\r\n", part(file, &"x".repeat(size)))
    };
    let large = read(MULTIPART, with("Zoë", 3 * MAX_BODY)).unwrap();
    assert_eq!((pairs(&large), large.files[0].size), (vec![("n", "Zoë")], 3 * MAX_BODY as u64));
    assert_eq!((large.flags, large.raw), (vec![], None));
    let problem = read(MULTIPART, with("Zoë", MAX_WITH_FILES)).unwrap_err();
    assert_eq!((problem.status, problem.name), (413, "body-too-large"));
    let mut zipped = zipped(with("Zoë", 2 * MAX_BODY).as_bytes(), "gzip");
    zipped.headers.push(("content-type".into(), MULTIPART.into()));
    zipped.headers.remove(0);
    assert_eq!(now(&zipped).unwrap_err().status, 413, "once it is inflated, 1 MB");

    let mut bad = with("@", 100_000).into_bytes();
    let at = bad.iter().position(|b| *b == b'@').unwrap();
    bad[at] = 0xEB;
    let flagged = read(MULTIPART, bad).unwrap();
    assert_eq!(flagged.flags, [BodyFlag::BadEncoding]);
    let raw = flagged.raw.unwrap();
    assert!(raw.len() < 200 && raw.contains(&0xEB), "the text as it came, and no file");
    let again = read("multipart/form-data", raw).unwrap();
    assert_eq!(again.flags, [BodyFlag::BadEncoding], "which can be read again");
}

#[test]
fn a_form_that_a_browser_sends_again_is_the_same_under_another_boundary() {
    let posted = |boundary: &str, value: &str| {
        let body = part("Content-Disposition: form-data; name=\"n\"", value) + "--line--\r\n";
        let content_type = format!("multipart/form-data; boundary={boundary}");
        read(&content_type, body.replace("--line", &format!("--{boundary}"))).unwrap()
    };
    let long = "é".repeat(MAX_VALUE);
    let first = posted("----WebKitFormBoundaryA", &long);
    assert_eq!(first.flags, [BodyFlag::ValueCut]);
    assert!(first == posted("----WebKitFormBoundaryB", &long));
    assert!(first != posted("----WebKitFormBoundaryB", &format!("{long}!")), "another text is another form");
}

#[test]
fn a_form_of_too_many_parts_is_kept_whole_but_for_its_files() {
    let file = part("Content-Disposition: form-data; name=\"cv\"; filename=\"cv.pdf\"", "12345");
    let text = |value: &str| part("Content-Disposition: form-data; name=\"n\"", value);
    let body = format!("{file}{}{}{file}--line--\r\n", text("a").repeat(MAX_FIELDS), text("the last"));
    let form = read(MULTIPART, body).unwrap();
    assert_eq!((form.fields.len(), form.files.len()), (MAX_FIELDS - 1, 1));
    assert_eq!(form.flags, [BodyFlag::TooManyFields]);
    let raw = String::from_utf8(form.raw.unwrap().to_vec()).unwrap();
    assert!(raw.contains("the last") && !raw.contains("12345"));
}

#[test]
fn multipart_that_ends_early_or_has_no_boundary_is_refused() {
    let whole = part("Content-Disposition: form-data; name=\"name\"", "Zoë");
    for body in [whole.as_str(), &whole[..whole.len() - 5], "--line", "garbage"] {
        let problem = read(MULTIPART, body.to_owned()).unwrap_err();
        assert_eq!((problem.status, problem.name), (400, "malformed-body"), "{body}");
    }
    assert_eq!(read("multipart/form-data", "garbage").unwrap_err().status, 400);
}

#[test]
fn what_a_body_is_does_not_depend_on_a_right_content_type() {
    let expected = [("email", "mia@example.org")];
    for (content_type, body) in [
        ("", "email=mia%40example.org"),
        ("", " {\"email\": \"mia@example.org\"}"),
        ("text/plain;charset=UTF-8", "{\"email\":\"mia@example.org\"}"),
        ("text/plain", "\u{feff}{\"email\":\"mia@example.org\"}"),
        ("text/plain", "email=mia@example.org"),
        (FORM, "{\"email\":\"mia@example.org\"}"),
        ("Application/JSON", "{\"email\":\"mia@example.org\"}"),
        ("application/vnd.form+json", "{\"email\":\"mia@example.org\"}"),
    ] {
        assert_eq!(pairs(&read(content_type, body).unwrap()), expected, "{content_type} {body}");
    }
    let prose = read("text/plain", "Please call me.\nMia").unwrap();
    assert_eq!((prose.fields.len(), prose.flags.as_slice()), (0, [BodyFlag::NotFields].as_slice()));
    assert!(prose.raw.is_some());
    for body in ["{name} wrote", "{\"a\": \"b", "[a] b=c", "{\"a\": 01}"] {
        for content_type in ["text/plain", "", "application/octet-stream"] {
            let kept = read(content_type, body).unwrap();
            assert_eq!(
                (kept.fields.len(), kept.flags.as_slice()),
                (0, [BodyFlag::NotFields].as_slice()),
                "{body}"
            );
            assert_eq!(kept.raw.as_deref(), Some(body.as_bytes()));
        }
    }
    let nearly = read("text/plain", "\u{feff}{\"a\": \"b\\ud800\"}").unwrap();
    assert_eq!(
        (pairs(&nearly), nearly.flags.clone()),
        (vec![("a", "b\u{fffd}")], vec![BodyFlag::RepairedJson])
    );
    let problem = read("application/xml", "<a/>").unwrap_err();
    assert_eq!((problem.status, problem.name), (415, "unsupported-media-type"));
}

#[test]
fn a_form_in_plain_text_has_a_field_on_each_line() {
    let body = "name=Ada L\r\nemail=ada+x@person.example\r\ntags[]=a\r\ntags[]=b\r\nshare=100%25 = all\r\nempty=\r\n\
                message=First line,\r\n\r\nhttps://x.example/?a=b\r\nand the last\r\n";
    let expected = [
        ("name", "Ada L"),
        ("email", "ada+x@person.example"),
        ("tags", "a"),
        ("tags", "b"),
        ("share", "100%25 = all"),
        ("empty", ""),
        ("message", "First line,\n\nhttps://x.example/?a=b\nand the last"),
    ];
    let form = read("text/plain", body).unwrap();
    assert_eq!(pairs(&form), expected);
    assert_eq!((form.flags, form.raw), (vec![], None));
    let long = format!("name=Ada\nemail=ada@person.example\nmessage=One\n{}", "and one more\n".repeat(20));
    assert_eq!(pairs(&read("text/plain; charset=utf-8", long).unwrap())[1], ("email", "ada@person.example"));
    let latin = read("text/plain", b"_charset_=windows-1252\r\nname=Zo\xeb\r\n".as_slice()).unwrap();
    assert_eq!(pairs(&latin), [("_charset_", "windows-1252"), ("name", "Zo\u{eb}")]);
    // One line is what it was; what is no form is for a person to read.
    let one = read("text/plain", "email=ada%40person.example&n=1\r\n").unwrap();
    assert_eq!(pairs(&one), [("email", "ada@person.example"), ("n", "1")]);
    for prose in
        ["Dear all,\nemail=ada@person.example", "a=b\nis what I read\nand no more", "=b\nc=d", "a=b\n{c}"]
    {
        let kept = read("text/plain", prose).unwrap();
        assert_eq!(
            (kept.fields.len(), kept.flags.as_slice()),
            (0, [BodyFlag::NotFields].as_slice()),
            "{prose}"
        );
        assert_eq!(kept.raw.as_deref(), Some(prose.as_bytes()));
    }
    assert_eq!(read("", body).unwrap().flags, [BodyFlag::NotFields], "of plain text alone it is known");
}

#[test]
fn an_empty_body_has_no_fields() {
    for content_type in ["", FORM, JSON, MULTIPART, "multipart/form-data", "text/plain", "application/xml"] {
        assert!(read(content_type, "").unwrap() == Submission::default(), "{content_type}");
    }
    assert!(read(JSON, " \n").unwrap() == Submission::default());
}

fn zipped(body: &[u8], coding: &str) -> HttpRequest {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    let mut request = request(JSON, encoder.finish().unwrap());
    request.headers.push(("content-encoding".into(), coding.into()));
    request
}

#[test]
fn gzip_is_undone_within_the_limit() {
    assert_eq!(pairs(&now(&zipped(b"{\"a\":\"b\"}", "gzip")).unwrap()), [("a", "b")]);
    let bomb = now(&zipped(&vec![b' '; MAX_BODY + 1], "gzip")).unwrap_err();
    assert_eq!((bomb.status, bomb.name), (413, "body-too-large"));
    assert!(now(&zipped(&vec![b' '; MAX_BODY], "GZIP")).is_ok());
    assert_eq!(now(&zipped(b"{}", "br")).unwrap_err().status, 415);
    let mut torn = zipped(b"{\"a\":\"b\"}", "gzip");
    torn.body = torn.body.slice(..torn.body.len() - 4);
    assert_eq!(now(&torn).unwrap_err().status, 400);
}

#[test]
fn too_much_of_anything_is_cut_and_flagged_or_refused() {
    assert_eq!(read(FORM, vec![b'a'; MAX_BODY + 1]).unwrap_err().status, 413);
    assert!(read(FORM, vec![b'a'; MAX_BODY]).is_ok());

    let long = format!("{}=1&v={}", "n".repeat(MAX_NAME + 1), "é".repeat(MAX_VALUE));
    let cut = read(FORM, long.clone()).unwrap();
    assert_eq!((cut.fields[0].0.len(), cut.fields[1].1.len()), (MAX_NAME, MAX_VALUE));
    assert_eq!(cut.flags, [BodyFlag::NameCut, BodyFlag::ValueCut]);
    assert_eq!(cut.raw.unwrap(), long);

    let many = read(FORM, "a=1&".repeat(MAX_FIELDS + 1)).unwrap();
    assert_eq!(
        (many.fields.len(), many.flags.as_slice()),
        (MAX_FIELDS, [BodyFlag::TooManyFields].as_slice())
    );
    let many = read(JSON, format!("{{\"a\":[{}1]}}", "1,".repeat(MAX_FIELDS))).unwrap();
    assert_eq!(
        (many.fields.len(), many.flags.as_slice()),
        (MAX_FIELDS, [BodyFlag::TooManyFields].as_slice())
    );
}

#[test]
fn an_address_behind_all_the_fields_that_are_taken_is_taken_as_well() {
    let field =
        |name: &str, value: &str| part(&format!("Content-Disposition: form-data; name=\"{name}\""), value);
    let multipart =
        [field("a", "1").repeat(MAX_FIELDS), field("b", "2"), field("email", "ada@person.example")].concat();
    let members = "\"a\":1,".repeat(MAX_FIELDS);
    for (content_type, body) in [
        (FORM, format!("{}b=2&email=ada@person.example", "a=1&".repeat(MAX_FIELDS))),
        (JSON, format!("{{{members}\"b\":2,\"email\":\"ada@person.example\"}}")),
        (MULTIPART, multipart + "--line--\r\n"),
    ] {
        let form = read(content_type, body).unwrap();
        assert_eq!((form.fields.len(), form.value("b")), (MAX_FIELDS + 1, None), "{content_type}");
        assert_eq!(form.value("email"), Some("ada@person.example"));
        assert_eq!(form.flags, [BodyFlag::TooManyFields]);
    }
    let endless = read(FORM, "email=a&".repeat(MAX_FIELDS + MAX_LATE + 1)).unwrap();
    assert_eq!((endless.fields.len(), endless.flags), (MAX_FIELDS + MAX_LATE, vec![BodyFlag::TooManyFields]));
}

#[test]
fn what_was_sent_is_never_printed() {
    let form = read(FORM, "email=mia%40example.org&x=Zo%EB").unwrap();
    let printed = format!("{form:?}");
    assert!(!printed.contains("mia") && printed.contains("BadEncoding"), "{printed}");
}

const TYPES: [&str; 6] =
    ["", FORM, JSON, MULTIPART, "text/plain", "application/x-www-form-urlencoded; charset=gbk"];

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for content_type in TYPES {
            let _ = read(content_type, body.clone());
        }
        let mut packed = request(JSON, body);
        packed.headers.push(("content-encoding".into(), "gzip".into()));
        let _ = now(&packed);
    }

    #[test]
    fn text_that_looks_like_each_type_is_read_or_refused(
        body in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", "\"", "\\", "\\u", "d800", "\\ud83d\\ude00", ":", ",", "NaN", "-Infinity", "null", "1.5", "é",
            "=", "&", "%", "%C3", "+", "a", "--line", "\r\n", "--", "Content-Disposition: form-data; name=\"a\"",
        ]), 0..40),
    ) {
        let body = body.concat();
        for content_type in TYPES {
            if let Ok(read) = read(content_type, body.clone()) {
                prop_assert_eq!(read.flags.is_empty(), read.raw.is_none());
            }
        }
    }

    #[test]
    fn a_form_that_was_encoded_is_read_as_it_was(
        fields in prop::collection::vec(("[a-z_]{1,8}", any::<String>()), 0..12),
    ) {
        let form: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let read = read(FORM, form).unwrap();
        prop_assert_eq!(pairs(&read), fields);
    }

    #[test]
    fn json_texts_are_read_as_they_were(
        fields in prop::collection::vec(("[a-z_]{1,8}", any::<String>()), 0..12),
    ) {
        let members: Vec<_> = fields.iter().map(|(n, v)| format!("\"{n}\":{}", serde_json::json!(v))).collect();
        let read = read(JSON, format!("{{{}}}", members.join(","))).unwrap();
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        prop_assert_eq!(pairs(&read), fields);
    }
}
