//! `sluice campaign`: where campaigns stand, what one would come to, and handling them.

mod preview;
mod show;

use super::StackArgs;
use super::output::{Failure, note, pretty, say};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum CampaignCommand {
    /// Every campaign with where it stands and when it goes out next.
    List {
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Where a campaign stands: how far it is, what was counted, its variants, why messages were left out.
    Show(ShowArgs),
    /// What a campaign would come to if it were scheduled now: how many people, some of them and what each would get, when
    /// it goes out and how long that takes at the provider's rate. Sends and writes nothing.
    Preview(NameArgs),
    /// Let a campaign go out, when and as its document says.
    Schedule(ScheduleArgs),
    /// Hold a campaign back: once this is answered nothing of it goes out until `resume`.
    Pause(NameArgs),
    /// Let a campaign go on that was paused, or stopped by a guard rail; rates are then counted anew.
    Resume(NameArgs),
    /// Take a campaign back for good: once this is answered nothing more of it goes out.
    Cancel(NameArgs),
    /// Send a campaign's message to somebody who tests, as one of its audience would get it. Counts nothing.
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// The campaign.
    name: String,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The campaign.
    name: String,
    /// Show it again every other second, until it is over or waits for somebody.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// The campaign.
    name: String,
    /// Asked for again with the same words it is the same broadcast, however often.
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// The campaign.
    name: String,
    /// Where it goes to: an e-mail address, or a number with + and country.
    #[arg(long)]
    to: String,
    /// `cu_…` of the customer whose message it is; without one, somebody of the audience.
    #[arg(long)]
    customer: Option<String>,
    /// Which variant; without it, the first.
    #[arg(long)]
    variant: Option<String>,
    /// In this language; without it, the customer's.
    #[arg(long)]
    language: Option<String>,
    #[command(flatten)]
    stack: StackArgs,
}

impl CampaignCommand {
    /// Which stack it talks to.
    pub(super) const fn stack(&self) -> &StackArgs {
        match self {
            Self::List { stack } => stack,
            Self::Show(args) => &args.stack,
            Self::Schedule(args) => &args.stack,
            Self::Preview(args) | Self::Pause(args) | Self::Resume(args) | Self::Cancel(args) => &args.stack,
            Self::Test(args) => &args.stack,
        }
    }
}

pub(super) async fn run(command: CampaignCommand) -> Result<(), Failure> {
    match command {
        CampaignCommand::List { stack } => list(&stack).await,
        CampaignCommand::Show(args) => show::run(&args.name, args.watch, &args.stack).await,
        CampaignCommand::Preview(NameArgs { name, stack }) => preview::run(&name, &stack).await,
        CampaignCommand::Schedule(args) => schedule(&args).await,
        CampaignCommand::Pause(args) => act(&args, "pause").await,
        CampaignCommand::Resume(args) => act(&args, "resume").await,
        CampaignCommand::Cancel(args) => act(&args, "cancel").await,
        CampaignCommand::Test(args) => test(&args).await,
    }
}

async fn list(stack: &StackArgs) -> Result<(), Failure> {
    let answer = stack.call("GET", "/api/campaigns", None).await?;
    if stack.json {
        say(&pretty(&answer));
        return Ok(());
    }
    let all: Vec<&Value> = answer["campaigns"].as_array().into_iter().flatten().collect();
    for campaign in &all {
        let text = |name: &str| campaign[name].as_str().unwrap_or_default();
        let next = campaign["next"].as_str().map(|at| format!("  next {}", show::instant(at)));
        let line = format!("{:<24}  {:<10}{}", text("name"), text("state"), next.unwrap_or_default());
        say(line.trim_end());
        if !text("description").is_empty() {
            say(&format!("  {}", text("description")));
        }
    }
    if all.is_empty() {
        note("No campaigns. A document with `kind: campaign` makes one; `sluice apply DIR` publishes it.");
    }
    Ok(())
}

async fn schedule(args: &ScheduleArgs) -> Result<(), Failure> {
    let ScheduleArgs { name, key, stack } = args;
    let path = format!("/api/campaigns/{name}/schedule");
    let answer = match key {
        Some(key) => stack.insist_once("POST", &path, key).await,
        None => stack.call("POST", &path, None).await,
    };
    let answer = named(answer, name, stack).await?;
    if stack.json {
        say(&pretty(&answer));
        return Ok(());
    }
    let at = show::instant(answer["at"].as_str().unwrap_or_default());
    let when = match answer["local_time"].as_str() {
        Some(local) => format!("at {} where each recipient lives, first at {at}", local.replace('T', " ")),
        None => format!("at {at}"),
    };
    say(&format!("{name} goes out {when} (broadcast {}).", answer["broadcast"]));
    say(&format!("`sluice campaign show {name}` says how far it is; `… pause {name}` holds it back."));
    Ok(())
}

async fn act(args: &NameArgs, what: &str) -> Result<(), Failure> {
    let NameArgs { name, stack } = args;
    let answer = stack.call("POST", &format!("/api/campaigns/{name}/{what}"), None).await;
    let answer = named(answer, name, stack).await?;
    if stack.json {
        say(&pretty(&answer));
    } else {
        show::print(&answer, stack).await;
    }
    Ok(())
}

async fn test(args: &TestArgs) -> Result<(), Failure> {
    let TestArgs { name, to, customer, variant, language, stack } = args;
    let customer = match customer {
        Some(customer) => customer.clone(),
        None => {
            let view = find(name, stack).await?;
            let audience = preview::audience(&view["document"]["audience"], stack).await?;
            let found = audience["sample"][0].as_str().map(str::to_owned);
            found.ok_or("nobody is in the audience; --customer cu_… says whose message it is")?
        }
    };
    let body = json!({ "customer": customer, "to": to, "variant": variant, "language": language });
    let answer = stack.call("POST", &format!("/api/campaigns/{name}/test-send"), Some(&body)).await;
    let answer = named(answer, name, stack).await?;
    if stack.json {
        say(&pretty(&answer));
    } else {
        say(&format!("On its way to {to}, as {customer} would get it."));
    }
    Ok(())
}

/// A campaign as the API shows it.
async fn find(name: &str, stack: &StackArgs) -> Result<Value, Failure> {
    let answer = stack.call("GET", &format!("/api/campaigns/{name}"), None).await;
    named(answer, name, stack).await
}

/// An answer about a campaign; if there is none of that name, which there are.
async fn named(answer: Result<Value, Failure>, name: &str, stack: &StackArgs) -> Result<Value, Failure> {
    let why = match answer {
        Err(why) if why.is_of_nothing() => why,
        other => return other,
    };
    let Ok(listed) = stack.call("GET", "/api/campaigns", None).await else { return Err(why) };
    let names = listed["campaigns"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
    let names: Vec<&str> = names.collect();
    Err(match names.as_slice() {
        names if names.contains(&name) => why,
        [] => why.told(|_| {
            format!("there is no campaign `{name}`, nor any other; `sluice apply DIR` publishes documents")
        }),
        names => why.told(|_| format!("there is no campaign `{name}`; there are {}", names.join(", "))),
    })
}
