//! `sluice import` of files that are not quite right: what cannot be read is said of the row that it is about.

use crate::import::{HEADERS, answer, file, people, sluice, text};
use serde_json::json;
use sluice_tests::stack::Setup;
use std::fmt::Write;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_that_is_never_closed_makes_a_row_to_mend_of_what_follows_it() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let whole = people(400);
    let torn = whole.replace("Mill 300,\n", "Mill 300,\"oops\n");
    let leads = file(folder.path(), "people.csv", &torn);
    let arguments = ["import", text(&leads), "--form", "contact"];
    let tried = answer(&run, &[&arguments[..], &["--dry-run"]].concat()).await;
    assert_eq!(tried["to_mend"][0]["row"], 301, "{tried:#}");
    let done = answer(&run, &arguments).await;
    assert_eq!((&done["new"], &done["refused"]), (&json!(300), &json!(1)), "{done:#}");
    let aside = std::fs::read_to_string(done["errors"].as_str().unwrap()).unwrap();
    assert!(aside.contains("Ada 300") && aside.contains("never closed"), "{aside}");
    assert!(!aside.contains("Ada 301"), "only the row itself: {aside}");
    let said = sluice(&run, &arguments).await;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let batch = done["batch"].as_str().unwrap();
    assert!(said.contains(&format!("--batch {batch}")) && said.contains("row 301, line 302"), "{said}");
    // Mended as it says, the rows after it come in, and none comes in twice.
    let leads = file(folder.path(), "people.csv", torn.replace("\"oops\n", "\"oops\"\n"));
    let done = answer(&run, &["import", text(&leads), "--form", "contact", "--batch", batch]).await;
    assert_eq!(
        (&done["new"], &done["known"], &done["refused"]),
        (&json!(100), &json!(300), &json!(0)),
        "{done:#}"
    );
    assert_eq!(run.live_customers().len(), 400);
    let list = sluice(&run, &["import", "list"]).await;
    let (said, noted) = (String::from_utf8_lossy(&list.stdout), String::from_utf8_lossy(&list.stderr));
    assert!(said.contains(&format!("{batch}  open for more rows  form contact")), "{list:?}");
    assert!(noted.contains("`sluice ledger --json`"), "{list:?}");
    // Of headers nothing can be imported.
    let leads = file(folder.path(), "headers.csv", HEADERS.replace("note", "\"note"));
    let said = sluice(&run, &["import", text(&leads), "--form", "contact"]).await;
    assert!(!said.status.success(), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stderr).contains("never closed"), "{said:?}");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_too_long_to_be_sent_is_put_aside_and_the_others_come_in() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut rows = people(20);
    writeln!(rows, "Big,big@file.example,,,{}", "x".repeat(1_200_000)).unwrap();
    // What is sent of such a sign is six times as long.
    for at in 0..45 {
        writeln!(rows, "Odd {at},odd{at}@file.example,,,{}", "\u{1}".repeat(5_000)).unwrap();
    }
    let leads = file(folder.path(), "people.csv", rows);
    for arguments in [&["--dry-run"][..], &[]] {
        let import = ["import", text(&leads), "--form", "contact"];
        let done = answer(&run, &[&import[..], arguments].concat()).await;
        assert_eq!((&done["new"], &done["refused"]), (&json!(65), &json!(1)), "{done:#}");
    }
    let aside = std::fs::read_to_string(folder.path().join("people.errors.csv")).unwrap();
    assert!(aside.contains("21,The row is longer than 500 kB.,Big,"), "{}", &aside[..200]);
    // A row that does not end fails the same way each time: the command is not to be run again.
    let endless = format!("{}Un,\"{}\n", people(5), "ending\n".repeat(1_300_000));
    let leads = file(folder.path(), "endless.csv", endless);
    let said = sluice(&run, &["import", text(&leads), "--form", "contact"]).await;
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && words.contains("after 5 rows: row 6"), "{words}");
    assert!(!words.contains("Run the same command again"), "{words}");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_of_submission_that_are_not_read_are_counted_and_the_leads_have_none() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let rows = "email,created_at\na@file.example,2024-01-05 10:00\nb@file.example,05/01/2024\n\
        c@file.example,yesterday\nd@file.example,2199-01-05\ne@file.example,\n";
    let leads = file(folder.path(), "rows.csv", rows);
    let arguments = ["import", text(&leads), "--form", "contact"];
    let tried = answer(&run, &[&arguments[..], &["--dry-run"]].concat()).await;
    assert_eq!(tried["times_unread"], json!({"rows": 3, "first": {"row": 2, "line": 3}}), "{tried:#}");
    // Told of each time, also of rows that were there before.
    for _ in 0..2 {
        let said = sluice(&run, &arguments).await;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("not read in 3 rows, first in row 2, line 3"), "{said}");
    }
    for (email, at) in [("a", json!("2024-01-05T10:00:00.000Z")), ("b", json!(null)), ("d", json!(null))] {
        let (_, person) = run.lookup(json!({"email": format!("{email}@file.example")})).await;
        let lead = run.show(person["leads"][0]["id"].as_str().unwrap()).await;
        assert_eq!(lead["attribution"]["created_at"], at, "{lead:#}");
    }
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_to_mend_is_named_with_its_line_and_in_words_that_people_use() {
    let run = Setup::default().start().await;
    let folder = tempfile::tempdir().unwrap();
    let dry = async |name: &str, rows: &str| {
        let leads = file(folder.path(), name, rows);
        let said = sluice(&run, &["import", text(&leads), "--form", "contact", "--dry-run"]).await;
        assert!(said.status.success(), "{said:?}");
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    let rows = "email,note,note\n\na@file.example,\"two\nlines\",x\n\nb@file.example\n";
    let said = dry("rows.csv", rows).await;
    assert!(said.contains("row 2, line 6: There are 1 cells under 3 headers."), "{said}");
    assert!(said.contains("More than one column is called note"), "{said}");
    let long = format!("{{\"email\":\"a@file.example\",\"note\":\"{}\"}}", "x".repeat(40_000));
    let rows = format!("{{\"email\":\"a@file.example\"}}\n\n[1]\n{long}\n{{\"email\":,}}\n{{\"email\":\n");
    let said = dry("rows.ndjson", &rows).await;
    for words in [
        "row 2, line 3: The line is JSON, but no object",
        "row 3, line 4: A value in it is longer than 32 kB.",
        "row 4, line 5: The line is not a JSON object: it goes wrong at its character 10.",
        "row 5, line 6: The line ends before its JSON object does.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Also where the rows come in.
    let twice = file(folder.path(), "twice.csv", "email,note,note\na@file.example,,second\n");
    let done = answer(&run, &["import", text(&twice), "--form", "contact"]).await;
    assert_eq!((&done["named_twice"], &done["new"]), (&json!(["note"]), &json!(1)), "{done:#}");
    run.finish().await;
}
