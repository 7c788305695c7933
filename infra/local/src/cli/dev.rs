//! `sluice dev`: the whole system on this machine.

use super::output::{Failure, note, say};
use super::remote::SESSION_FILE;
use super::{DevArgs, FunctionsKind, StackArgs, policies};
use crate::host::clock::StackClock;
use crate::host::data::make_private;
use crate::host::spec::{StackSpec, named};
use crate::host::stack::{Functions, MAIL_VIA, NoMetrics, Options, Stack};
use crate::template::Template;
use serde_json::json;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::Build;
use sluice_host::{log, web};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The template this command was built with.
pub const TEMPLATE: &str = include_str!("../../../template.yaml");

/// Every function, by the name the template gives it.
pub fn embedded_functions() -> BTreeMap<String, Build> {
    let all: [(&str, Build); 12] = [
        ("advance-journey", advance_journey::build),
        ("capture-lead", capture_lead::build),
        ("enrich-lead", enrich_lead::build),
        ("erase-customer", erase_customer::build),
        ("route-lead", route_lead::build),
        ("run-campaign", run_campaign::build),
        ("send-message", send_message::build),
        ("record-feedback", record_feedback::build),
        ("fire-timers", fire_timers::build),
        ("record-engagement", record_engagement::build),
        ("track-event", track_event::build),
        ("serve-console", serve_console::build),
    ];
    all.into_iter().map(|(name, build)| (name.to_owned(), build)).collect()
}

/// The template with what one machine needs for its parameters.
pub fn local_template() -> Result<Template, String> {
    let mut template = Template::parse(TEMPLATE, "infra/template.yaml").map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    template.set("MailFrom", "sluice@localhost.example").map_err(|error| error.to_string())?;
    Ok(template)
}

pub(crate) async fn run(args: DevArgs) -> Result<(), Failure> {
    let data = args.data.clone().unwrap_or_else(|| PathBuf::from(".sluice"));
    start_log(&data)?;
    let clock = match &args.now {
        Some(text) => {
            let at = Timestamp::parse(text).ok_or("--now takes a time like 2027-03-01T09:00:00Z")?;
            StackClock::starting_at(at)
        }
        None => StackClock::real(),
    };
    let functions = match args.functions {
        FunctionsKind::InProcess => Functions::InProcess(embedded_functions()),
        FunctionsKind::Binaries => Functions::Binaries(binaries(args.binaries.clone())?),
    };
    let template = local_template()?;
    // Forms and sources may name secrets as variables of this process; what AWS or we use ourselves stays out.
    let process = Environment::of_process();
    let vars = process
        .vars
        .into_iter()
        .filter(|(name, _)| !name.starts_with("AWS_") && !name.starts_with("SLUICE_"))
        .chain(process_urls())
        .chain([(MAIL_VIA.to_owned(), args.smtp.clone().unwrap_or_else(|| "ses".to_owned()))])
        // Receivers that are being written run beside the stack.
        .chain([(web::ALLOW.to_owned(), "loopback".to_owned())])
        .collect();
    let options = Options {
        data: Some(data.clone()),
        port: args.port.unwrap_or(8787),
        functions,
        clock,
        metrics: Arc::new(NoMetrics),
        keeps_calls: !args.call_providers,
        vars,
        wrap_client: None,
    };
    let stack = Stack::start(options, |addresses| StackSpec::from_template(&template, addresses))
        .await
        .map_err(|error| match error.to_string() {
            text if text.contains("is locked") => format!(
                "{} is in use by another `sluice dev`: stop that, or name another folder by --data",
                data.display()
            ),
            text => text,
        })?;
    let token = stack
        .secrets
        .value(&named("AdminTokenSecret"))
        .ok_or("the stack has no admin token; the template lost AdminTokenSecret")?;
    leave_session(&data, &stack, &token)?;
    let url = stack.addresses.url.clone();
    tracing::info!(url, "started");
    let here = StackArgs { url: Some(url.clone()), token: Some(token.clone()), json: false };
    let published = first_policies(&args, &here).await;
    if let (Err(why), Some(named)) = (&published, &args.policies) {
        stack.stop().await;
        let named = named.display();
        return Err(why.clone().told(|why| format!("no policies were published from {named}: {why}")));
    }
    if args.json {
        if let Err(why) = &published {
            note(&format!("No policies yet: {why}"));
        }
        say(&json!({
            "url": url,
            "token": token,
            "data": data.display().to_string(),
            "endpoints": {
                "dynamodb": stack.addresses.dynamodb,
                "sqs": stack.addresses.sqs,
                "ses": stack.addresses.ses,
                "secrets_manager": stack.addresses.secrets_manager,
            },
        })
        .to_string());
    } else {
        let others = match args.data {
            None => String::new(),
            Some(_) => format!(" --url {url} --token {token}"),
        };
        let form = first_form(&here).await;
        welcome(&args, &url, &token, &data, &published);
        let others = Some(others.as_str()).filter(|_| std::io::stdout().is_terminal());
        first_steps(&url, &token, form.as_deref(), others).iter().for_each(|line| say(line));
    }
    wait_for_the_end().await;
    note("Stopping: calls that have begun may end.");
    stack.stop().await;
    Ok(())
}

/// Where the APIs are from which answers are fetched, for tests of the whole command.
fn process_urls() -> Vec<(String, String)> {
    let mut vars = Environment::of_process().vars;
    let urls = ["SLUICE_GRAPH_URL", "SLUICE_LINKEDIN_URL"].into_iter();
    urls.filter_map(|name| Some((name.to_owned(), vars.remove(name)?))).collect()
}

/// What is logged goes to the data folder; the terminal is for the person.
fn start_log(data: &Path) -> Result<(), String> {
    if !make_private(data).map_err(|error| format!("{}: {error}", data.display()))? {
        note(&format!(
            "Others on this machine may read {}, where people's data will be: `chmod 700` it, or name a folder of its own.",
            data.display()
        ));
    }
    let path = data.join("sluice.log");
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
    let level = Environment::of_process().optional("SLUICE_LOG").and_then(|level| level.parse().ok());
    let lines = tracing_subscriber::fmt::layer().json().with_writer(std::sync::Mutex::new(file));
    let filter = log::targets(level.unwrap_or(LevelFilter::INFO));
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| error.to_string())
}

fn binaries(folder: Option<PathBuf>) -> Result<PathBuf, String> {
    let own = || std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    let folder = folder.or_else(own).ok_or("where are the binaries? --binaries DIR")?;
    for name in embedded_functions().keys() {
        if !folder.join(name).is_file() {
            let build = "cargo build --workspace builds them";
            return Err(format!(
                "{}: no binary {name}; {build}, --binaries says where they are",
                folder.display()
            ));
        }
    }
    Ok(folder)
}

/// The other commands find the local stack by this file. It holds the admin token, so only its owner may read it.
fn leave_session(data: &Path, stack: &Stack, token: &str) -> Result<(), String> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = data.join(SESSION_FILE);
    let text = json!({"url": stack.addresses.url, "token": token}).to_string();
    let _ = std::fs::remove_file(&path);
    let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Publishes the sample policies if nothing was published yet. Says how many documents.
async fn first_policies(args: &DevArgs, stack: &StackArgs) -> Result<Option<usize>, Failure> {
    let known = stack.call("GET", "/api/policies", None).await?;
    if known["version"].as_u64() != Some(0) {
        return Ok(None);
    }
    let dir = args.policies.clone().unwrap_or_else(|| PathBuf::from("samples/policies"));
    let files = policies::read_folder(&dir)?;
    let answer = policies::publish(&files, false, stack).await?;
    Ok(answer["changed"].as_array().map(Vec::len))
}

/// The first form that there is to post to, by name.
async fn first_form(stack: &StackArgs) -> Option<String> {
    let listed = stack.call("GET", "/api/policies", None).await.ok()?;
    let mut documents = listed["documents"].as_array()?.iter();
    let form = documents.find(|document| document["kind"] == "form")?;
    form["name"].as_str().map(str::to_owned)
}

fn welcome(args: &DevArgs, url: &str, token: &str, data: &Path, published: &Result<Option<usize>, Failure>) {
    say(&format!("Sluice is running on {url}   (data in {}, stop with Ctrl-C)", data.display()));
    match published {
        Ok(Some(n)) => say(&format!("Published {n} policies.")),
        Ok(None) => {}
        Err(why) => {
            say(&format!(
                "No policies yet, so there is no form to post to: {why}\nPublish some with `sluice apply DIR`, or start with \
                 `--policies DIR`; samples/policies of the project is a small company."
            ));
        }
    }
    say("");
    say(&format!("Admin token   {token}"));
    let kept = format!("{url}/_local/mail");
    say(&format!(
        "Mail sent     {}",
        args.smtp.as_ref().map_or(kept.clone(), |by| format!("for real, by {by}"))
    ));
    say(&format!(
        "SMS and chat  {}",
        if args.call_providers { "for real, by their providers" } else { &kept }
    ));
    say("");
}

/// What to type first: a lead, and whose it is. Nothing where there is no form to post to.
fn first_steps(url: &str, token: &str, form: Option<&str>, others: Option<&str>) -> Vec<String> {
    let Some(form) = form else { return Vec::new() };
    let mut steps = vec![
        "Post a lead:".to_owned(),
        format!(
            "  curl -s {url}/f/{form} -d first_name=Ada -d email=ada@example.com -d country=DE -d employees=250"
        ),
        "See its owner and why:".to_owned(),
        format!("  curl -s {url}/api/leads/LEAD_ID -H 'authorization: Bearer {token}'"),
    ];
    steps
        .extend(others.map(|others| {
            format!("  or, in another terminal: cargo run -q -- explain lead LEAD_ID{others}")
        }));
    steps
}

async fn wait_for_the_end() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

#[cfg(test)]
mod tests {
    use super::first_steps;

    #[test]
    fn what_to_type_first_is_a_form_that_there_is() {
        let steps = first_steps("http://here", "slt_1", Some("demo"), Some(" --url http://here"));
        assert!(steps[1].contains("http://here/f/demo -d"), "{steps:?}");
        assert!(steps.iter().any(|line| line.ends_with("explain lead LEAD_ID --url http://here")));
        assert_eq!(first_steps("http://here", "slt_1", Some("demo"), None).len(), 4);
        assert_eq!(first_steps("http://here", "slt_1", None, Some("")), Vec::<String>::new());
    }
}
