//! Journeys at the command line: drawn, and played through by one person.

use crate::command::{Command, Sluice, binaries};
use serde_json::{Value, json};

fn samples(path: &str) -> String {
    format!("{}/../samples/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// A command that needs no stack.
fn alone(arguments: &[&str]) -> (bool, String, String) {
    let mut process = std::process::Command::new(binaries().join("sluice"));
    let output = process.arg("journey").args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_journey_of_a_folder_is_drawn_and_played() {
    let (dir, ada) = (samples("policies"), samples("customers/ada.json"));
    let (good, svg, said) = alone(&["draw", "welcome", "--dir", &dir]);
    assert!(good && svg.starts_with("<svg ") && svg.contains("Send nudge"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("welcome.svg");
    let (good, ..) = alone(&["draw", "welcome", "--dir", &dir, "--out", file.to_str().unwrap()]);
    assert!(good);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), svg.trim_end());

    let run =
        ["run", "welcome", "--dir", &dir, "--customer", &ada, "--from", "2026-12-01T08:00:00Z", "--until"];
    let (good, shown, said) = alone(&[&run[..], &["10d"]].concat());
    assert!(good, "{said}");
    assert!(shown.contains("2026-12-01 08:00:00  > send.welcome: Send welcome (about service"), "{shown}");
    assert!(shown.contains("2026-12-04 08:00:00  > nudge: Send nudge"), "{shown}");
    let (_, bought, _) = alone(&[&run[..], &["10d", "--event", "Order Completed@1d"]].concat());
    assert!(
        bought.contains("2026-12-02 08:00:00    Reached the goal.") && !bought.contains("> nudge"),
        "{bought}"
    );
    let (_, machine, _) = alone(&[&run[..], &["10d", "--json"]].concat());
    let machine: Value = serde_json::from_str(&machine).unwrap();
    assert_eq!(machine["lines"][0]["at"], "2026-12-01T08:00:00.000Z");

    for wrong in [
        &["draw", "nowhere", "--dir", &dir][..],
        &["run", "nowhere", "--dir", &dir, "--customer", &ada, "--until", "1d"],
        &["run", "welcome", "--dir", &dir, "--customer", &ada, "--until", "soon"],
        &["run", "welcome", "--dir", &dir, "--customer", "nobody.json", "--until", "1d"],
        &["run", "welcome", "--dir", &dir, "--customer", &ada, "--until", "1d", "--event", "x@soon"],
    ] {
        let (good, _, said) = alone(wrong);
        assert!(!good && !said.is_empty(), "{wrong:?}");
    }
}

#[test]
fn what_is_mistyped_of_a_play_is_said() {
    let (dir, ada) = (samples("policies"), samples("customers/ada.json"));
    let run = ["run", "welcome", "--dir", &dir, "--customer", &ada, "--until"];
    let (good, _, said) = alone(&[&run[..], &["30x"]].concat());
    assert!(!good && said.contains("`30x`") && said.contains("30d"), "{said}");

    // A journey waits for one of these, a score counts the other.
    let heard = ["--event", "Page Viewed@1d", "--event", "schedule_published@2d"];
    let (good, _, said) = alone(&[&run[..], &["10d"], &heard].concat());
    assert!(good && !said.contains("asks for `"), "{said}");
    let (good, _, said) = alone(&[&run[..], &["10d", "--event", "page_vewed@1d"]].concat());
    assert!(good && said.contains("asks for `page_vewed`") && said.contains("page_viewed"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("eve.json");
    for (text, is_good) in [
        (json!({ "profil": { "email": "eve@person.example" } }), false),
        (json!({ "profile": { "email": "eve@person.example" }, "events": [] }), true),
        // As the API shows somebody.
        (json!({ "created": "2026-12-01T08:00:00.000Z", "profile": {}, "leads": [] }), true),
    ] {
        std::fs::write(&file, text.to_string()).unwrap();
        let run = ["run", "welcome", "--dir", &dir, "--customer", file.to_str().unwrap(), "--until", "1d"];
        let (good, _, said) = alone(&run);
        assert_eq!(good, is_good, "{text}: {said}");
        assert!(good || said.contains("`profil`") && said.contains("profile, owner, tags"), "{said}");
    }
}

const JOURNEY: &str = "\
kind: journey
name: hello
trigger: { event: lead_captured }
steps:
  - notify: owner
  - wait: 1d
  - task: Call them
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journey_of_a_stack_is_played_by_one_of_its_customers() {
    let data = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(data.path())).await;
    let files = json!({"files": [{"file": "j.yaml", "text": JOURNEY}]});
    sluice.api("POST", "/api/policies/apply", Some(files)).await;
    let lead = sluice.post("email=ada@person.example&country=DE").await.unwrap().json();
    let view = sluice.ended(lead["lead_id"].as_str().unwrap()).await;
    let customer = view["customer"].as_str().unwrap();
    let output = sluice.tool(&["journey", "run", "hello", "--customer", customer, "--until", "2d", "--json"]);
    let played: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let steps: Vec<&str> =
        played["lines"].as_array().into_iter().flatten().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!(steps, ["notify.owner", "wait.1d", "task.owner"]);
    assert!(sluice.tool(&["journey", "draw", "hello"]).status.success());
    assert!(!sluice.tool(&["journey", "draw", "none"]).status.success());
}
