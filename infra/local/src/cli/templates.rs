//! `sluice template preview`: a message as it would be sent.

use super::output::{Failure, note, pretty, say};
use super::policies::documents_in;
use super::{PreviewArgs, StackArgs};
use serde_json::{Map, Value, json};
use sluice_domain::identity::LanguageTag;
use sluice_domain::policy::PolicySet;
use sluice_domain::template::{Context, preview as rendered};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a browser may do with a file that is a mail: show it.
const ONLY_SHOWN: &str = "<meta http-equiv=\"Content-Security-Policy\" \
    content=\"default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'\">";

/// The longest value of a field that is shown, in characters.
const SHOWN: usize = 60;

pub(crate) async fn preview(args: &PreviewArgs) -> Result<(), Failure> {
    let data: Map<String, Value> = match &args.data {
        Some(text) => {
            serde_json::from_str(text).map_err(|error| format!("--data is no JSON object: {error}"))?
        }
        None => Map::new(),
    };
    let shown = match &args.dir {
        Some(dir) => in_folder(dir, args, data)?,
        None => published(args, data).await?,
    };
    let text = |name: &str| shown[name].as_str().unwrap_or_default();
    if args.stack.json {
        say(&pretty(&shown));
    } else if args.html {
        say(shown["html"].as_str().ok_or("this template has no HTML; --text shows its text")?);
    } else if args.text {
        say(text("text"));
    } else {
        show(&shown);
    }
    if args.open {
        let html = shown["html"].as_str().ok_or("this template has no HTML; --text shows its text")?;
        open(&for_the_browser(html)?);
    }
    Ok(())
}

/// The mail as a file that only its owner can read, under a name that nobody can have taken before. It stays: the browser may read
/// it after this command has ended.
fn for_the_browser(html: &str) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", std::env::temp_dir().display());
    let mut file = tempfile::Builder::new().prefix("sluice-").suffix(".html").tempfile().map_err(failed)?;
    file.write_all(format!("{ONLY_SHOWN}{html}").as_bytes()).map_err(failed)?;
    let (_, path) = file.keep().map_err(|error| failed(error.error))?;
    Ok(path)
}

async fn published(args: &PreviewArgs, data: Map<String, Value>) -> Result<Value, Failure> {
    let body = json!({"customer": args.customer, "language": args.language, "data": data});
    let stack: &StackArgs = &args.stack;
    stack.call("POST", &format!("/api/templates/{}/preview", args.name), Some(&body)).await
}

/// Without a stack: the documents of a folder and a made-up customer.
fn in_folder(dir: &Path, args: &PreviewArgs, data: Map<String, Value>) -> Result<Value, String> {
    let policies = PolicySet::build(0, documents_in(dir)?).map_err(|error| error.to_string())?;
    let language = match args.language.as_deref().map(LanguageTag::parse) {
        Some(None) => return Err("a language is a tag such as `de`, `pt-BR` or `zh-Hant`".to_owned()),
        tag => tag.flatten(),
    };
    let mut context = Context::sample(&policies.settings.company);
    if !data.is_empty() {
        context = context.with("data", Value::Object(data));
    }
    let shown = rendered(&policies, &args.name, language, context).map_err(|failure| failure.to_string())?;
    serde_json::to_value(&shown).map_err(|error| error.to_string())
}

fn language(shown: &Value) -> &str {
    shown["language"].as_str().unwrap_or("own")
}

fn show(shown: &Value) {
    let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
    say(&format!("{} ({}, {})", text("template"), text("channel"), language(shown)));
    for (title, name) in [("Subject", "subject"), ("From", "from_name"), ("Answers to", "reply_to")] {
        if !text(name).is_empty() {
            say(&format!("{title}: {}", text(name)));
        }
    }
    let sms = &shown["sms"];
    if let (Some(segments), Some(encoding)) = (sms["segments"].as_u64(), sms["encoding"].as_str()) {
        say(&format!("Sent as {segments} text messages: {} units of {encoding}", sms["units"]));
    }
    say(&format!("\n{}\n", text("text")));
    for row in shown["used"].as_array().into_iter().flatten() {
        let value = match &row["value"] {
            Value::Null => String::new(),
            Value::String(value) => value.chars().take(SHOWN).collect(),
            other => other.to_string().chars().take(SHOWN).collect(),
        };
        let (field, from) =
            (row["field"].as_str().unwrap_or_default(), row["from"].as_str().unwrap_or_default());
        say(&format!("  {field:<28} {from:<9} {value}"));
    }
    for url in shown["links"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say(&format!("  leads to {url}"));
    }
    for problem in shown["problems"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say(&format!("  look at: {problem}"));
    }
}

/// In whatever shows web pages here.
fn open(file: &PathBuf) {
    let (program, before): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("cmd", &["/C", "start", ""]),
        _ => ("xdg-open", &[]),
    };
    let started =
        Command::new(program).args(before).arg(file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match started {
        Ok(_) => note(&format!("{} is shown by your browser.", file.display())),
        Err(_) => note(&format!("{} has the mail; open it with a browser.", file.display())),
    }
}
