//! Commands: the stack on this machine, and the operator's tools for any stack.

mod campaigns;
mod demo;
mod dev;
mod duplicates;
mod explain;
mod import;
mod insight;
mod journeys;
mod output;
mod package;
mod policies;
mod remote;
mod rights;
mod sources;
mod templates;
mod tokens;
mod tools;

pub use dev::{TEMPLATE, embedded_functions, local_template};
pub use policies::read_folder;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// Lead routing and marketing automation, on this machine or on AWS.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, arg_required_else_help = false)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system on this machine (the default).
    Dev(DevArgs),
    /// Play a company's day at speed and say what came of it: leads, owners, who waited, mails, orders.
    ///
    /// Without --url it starts a stack of its own with the documents of samples/policies and moves its clock through the day
    /// of samples/day, so that everything comes at its time: working hours, reminders, journeys that wait. On a running
    /// stack the same is posted at its doors, as if people did it. `sluice dev --now TIME` starts one whose clock the day
    /// moves, too; any other goes by its own clock, and what waits for time is left to wait. The secrets of its senders are
    /// read from the variables that the documents name; what cannot be proved without one is left out and named. The same
    /// day played again on the same date changes nothing.
    Demo(DemoArgs),
    /// Check policy documents; errors say file, line and column.
    Validate {
        /// Folder of .yaml files, or one of them.
        dir: PathBuf,
        /// Machine-readable output.
        #[arg(long)]
        json: bool,
    },
    /// Check policy documents and publish them as one version.
    Apply {
        /// Folder of .yaml files, or one of them.
        dir: PathBuf,
        /// Remove published documents that the folder does not have.
        #[arg(long)]
        prune: bool,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// What each source needs, and the address to paste into its sender's settings.
    Sources {
        /// Folder of .yaml files; without one, what the stack has published.
        dir: Option<PathBuf>,
        /// Every type there is instead of those configured.
        #[arg(long, conflicts_with = "dir")]
        all: bool,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// What would happen to this lead now, and why. Writes nothing.
    Try {
        /// The submission: .json, .txt (urlencoded) or .multipart.
        file: PathBuf,
        /// The form it is posted to.
        #[arg(long)]
        form: String,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Why something is as it is: rules tried, candidates and why not.
    Explain {
        /// What the id is of.
        kind: Explained,
        /// `ld_…` or `cu_…`; for a message, the lead's id and the rep as LEAD/REP.
        id: String,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// What journeys, sources, teams, reps, and whatever brought buyers came to.
    Insight(insight::InsightArgs),
    /// Accepted, ended by state, in flight, per source; fails if they do not add up.
    Ledger {
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Bring in leads from a CSV or NDJSON file, each row once however often it is run.
    Import(ImportArgs),
    /// Customers who are probably one person, looked for among all of them, and what speaks for it. Writes nothing without
    /// --join.
    Duplicates {
        /// Join those that are certain (a probability of 95 % or more).
        #[arg(long)]
        join: bool,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Two customers are one person: what a suggestion asks, answered with yes.
    Merge {
        /// `cu_…` of one.
        id: String,
        /// `cu_…` of the other.
        with: String,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Two customers are two people: what a suggestion asks, answered with no.
    KeepApart {
        /// `cu_…` of one.
        id: String,
        /// `cu_…` of the other.
        from: String,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Undo a merge and keep the two apart.
    Unmerge {
        /// `cu_…` of the customer that gave way.
        id: String,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Erase a person: everything about them, wherever it lies. Cannot be undone.
    Erase {
        /// `cu_…` of any record of the person.
        id: String,
        /// Do not wait until everything is gone.
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Write out everything that is kept about a person, as one JSON document.
    Export {
        /// `cu_…` of any record of the person.
        id: String,
        /// Where to; without it, stdout.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Where the open leads of somebody who leaves would go, and why. Writes nothing without --do.
    Rebalance {
        /// Who leaves.
        rep: String,
        /// Hand them over.
        #[arg(long = "do")]
        does: bool,
        /// Who gets those that are no lead of a team.
        #[arg(long, conflicts_with = "team")]
        to: Option<String>,
        /// Which team gets those that are no lead of a team.
        #[arg(long)]
        team: Option<String>,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Build the functions for AWS: zips and the template that deploys them.
    Package(PackageArgs),
    /// Messages to customers.
    Template {
        #[command(subcommand)]
        command: TemplateCommand,
    },
    /// Journeys: their pictures, and how they go for somebody.
    Journey {
        #[command(subcommand)]
        command: JourneyCommand,
    },
    /// Campaigns: where they stand, what one would come to, and handling them.
    Campaign {
        #[command(subcommand)]
        command: campaigns::CampaignCommand,
    },
    /// API tokens.
    Token {
        #[command(subcommand)]
        command: tokens::TokenCommand,
    },
}

/// Which day to play, where, and how fast.
#[derive(Debug, Args)]
struct DemoArgs {
    /// So many times faster than the day: 1440 is a day in a minute.
    #[arg(long, default_value_t = 1440.0, value_parser = speed)]
    speed: f64,
    /// As fast as it goes.
    #[arg(long, conflicts_with = "speed")]
    fast: bool,
    /// Folder of the company: its `policies`, and its `day`.
    #[arg(long, default_value = "samples")]
    samples: PathBuf,
    /// Play on this running stack instead of one of its own.
    #[arg(long)]
    url: Option<String>,
    /// API token of an admin of that stack; without one, that of the local stack in ./.sluice.
    #[arg(long, env = "SLUICE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Keep what the stack of its own holds in this new folder; `sluice dev --data DIR` shows it again.
    #[arg(long, conflicts_with = "url")]
    data: Option<PathBuf>,
    /// Keep the stack of its own running at the end, to look around in, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["url", "json"])]
    stay: bool,
    /// Machine-readable: the summary as one JSON object.
    #[arg(long)]
    json: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed >= 1.0 => Ok(speed),
        _ => Err("write a number of at least 1".to_owned()),
    }
}

/// What to bring in, or which batch to take back.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct ImportArgs {
    #[command(subcommand)]
    command: Option<ImportCommand>,
    /// The file; `-` is standard input.
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// The form whose leads the rows are: its field map reads the columns.
    #[arg(long, required = true)]
    form: Option<String>,
    /// Route the leads; without it they end as `imported`.
    #[arg(long)]
    route: bool,
    /// Tell the owners of routed leads.
    #[arg(long, requires = "route")]
    notify: bool,
    /// Say what would become of the rows. Writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Name of the batch; without one, it is made of the file's content and the form.
    #[arg(long)]
    batch: Option<String>,
    /// What the file is; without it, by the file's name.
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// The file's encoding (WHATWG label such as gbk, windows-1252); without it, by its content.
    #[arg(long)]
    encoding: Option<String>,
    /// What separates cells; without it, by the headers.
    #[arg(long)]
    delimiter: Option<char>,
    /// Where rows that cannot be imported go; without it, beside the file as FILE.errors.csv or .ndjson.
    #[arg(long)]
    errors: Option<PathBuf>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Take back what a batch brought; leads that people have worked on stay and are named.
    Revert {
        /// The batch, as the import named it.
        batch: String,
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Every batch there is.
    List {
        #[command(flatten)]
        stack: StackArgs,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    Csv,
    Ndjson,
}

#[derive(Debug, Subcommand)]
enum TemplateCommand {
    /// A message as it would be sent, with the fields it uses and what should be looked at. Sends nothing.
    Preview(PreviewArgs),
}

/// What to show, and for whom.
#[derive(Debug, Args)]
struct PreviewArgs {
    /// The template.
    name: String,
    /// `cu_…` of the customer it is for; without one, somebody made up.
    #[arg(long, conflicts_with = "dir")]
    customer: Option<String>,
    /// In this language; without it, the customer's.
    #[arg(long)]
    language: Option<String>,
    /// What whoever sends it gives, as a JSON object; read as data.… by the template.
    #[arg(long)]
    data: Option<String>,
    /// The documents of this folder instead of the published ones; needs no stack.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Only the HTML.
    #[arg(long, conflicts_with = "text")]
    html: bool,
    /// Only the text.
    #[arg(long)]
    text: bool,
    /// Show the HTML in the browser.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Subcommand)]
enum JourneyCommand {
    /// The picture of a journey, as SVG.
    Draw(JourneyDrawArgs),
    /// One person's way through a journey, step by step with times and reasons. Sends and writes nothing.
    Run(JourneyRunArgs),
}

/// What to draw.
#[derive(Debug, Args)]
struct JourneyDrawArgs {
    /// The journey.
    name: String,
    /// Where to; without it, stdout.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The documents of this folder instead of the published ones; needs no stack.
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    stack: StackArgs,
}

/// What to play, and with whom.
#[derive(Debug, Args)]
struct JourneyRunArgs {
    /// The journey.
    name: String,
    /// A JSON file (`profile`, `tags`, `stage`, `owner`, `events`), or `cu_…` of a running stack.
    #[arg(long)]
    customer: String,
    /// Until then: a time (RFC 3339), or how long after the beginning, such as 30d.
    #[arg(long)]
    until: String,
    /// From then on; without it, now.
    #[arg(long)]
    from: Option<String>,
    /// Something they do: NAME, or NAME@TIME, where the time may be how long after the beginning. Again and again.
    #[arg(long)]
    event: Vec<String>,
    /// The documents of this folder instead of the published ones; with a customer's file it needs no stack.
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Explained {
    Lead,
    Customer,
    Message,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FunctionsKind {
    #[default]
    InProcess,
    Binaries,
}

#[derive(Debug, Default, Args)]
struct DevArgs {
    /// Port of the HTTP API; 0 picks a free one.
    #[arg(long)]
    port: Option<u16>,
    /// Folder for data; survives restarts.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Policies published on the first run.
    #[arg(long)]
    policies: Option<PathBuf>,
    /// How the functions run: in this process, or as the binaries that would be deployed.
    #[arg(long, value_enum, default_value_t)]
    functions: FunctionsKind,
    /// Folder of the binaries; the one this command lies in if absent.
    #[arg(long)]
    binaries: Option<PathBuf>,
    /// Start the stack's clock at this time (RFC 3339).
    #[arg(long)]
    now: Option<String>,
    /// Send mail for real, by this mail server (HOST:PORT), instead of keeping it to be looked at. With SMTP_USER and
    /// SMTP_PASSWORD in the environment it logs in.
    #[arg(long, value_parser = mail_server)]
    smtp: Option<String>,
    /// Call the providers of SMS and chat for real, as the channels' documents say, instead of keeping what they would get to
    /// be looked at. What the documents call `secret:…` has to be there.
    #[arg(long)]
    call_providers: bool,
    /// The first line on stdout, once ready, is a JSON object.
    #[arg(long)]
    json: bool,
}

fn mail_server(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    match port.parse::<u16>() {
        Ok(port) if !host.is_empty() && port > 0 => Ok(text.to_owned()),
        _ => Err("write HOST:PORT, such as mail.example.com:587".to_owned()),
    }
}

#[derive(Debug, Args)]
struct PackageArgs {
    /// What the functions are built for.
    #[arg(long, value_enum, default_value_t)]
    arch: Architectures,
    /// Each architecture gets a folder in this one.
    #[arg(long, default_value = "target/package")]
    out: PathBuf,
    /// How many compilers run at one time; each takes up to 3 GB of memory. The processor's cores, at most 4, unless told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Machine-readable output.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Architectures {
    #[default]
    Arm64,
    #[value(name = "x86-64")]
    X86_64,
    Both,
}

/// A processor that Lambda has.
#[derive(Clone, Copy, Debug)]
enum Architecture {
    Arm64,
    X86_64,
}

impl Architectures {
    const fn each(self) -> &'static [Architecture] {
        match self {
            Self::Arm64 => &[Architecture::Arm64],
            Self::X86_64 => &[Architecture::X86_64],
            Self::Both => &[Architecture::Arm64, Architecture::X86_64],
        }
    }
}

/// Which stack to talk to.
#[derive(Clone, Debug, Args)]
struct StackArgs {
    /// The stack's URL; without one, that of the local stack in ./.sluice.
    #[arg(long)]
    url: Option<String>,
    /// API token; without one, that of the local stack in ./.sluice, for that stack only.
    #[arg(long, env = "SLUICE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Machine-readable output.
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Whether a program reads what it says.
    const fn is_json(&self) -> bool {
        match self {
            Self::Dev(args) => args.json,
            Self::Demo(args) => args.json,
            Self::Package(args) => args.json,
            Self::Validate { json, .. } => *json,
            Self::Insight(args) => args.stack.json,
            Self::Import(args) => match &args.command {
                Some(ImportCommand::Revert { stack, .. } | ImportCommand::List { stack }) => stack.json,
                None => args.stack.json,
            },
            Self::Template { command: TemplateCommand::Preview(args) } => args.stack.json,
            Self::Journey { command: JourneyCommand::Draw(args) } => args.stack.json,
            Self::Journey { command: JourneyCommand::Run(args) } => args.stack.json,
            Self::Campaign { command } => command.stack().json,
            Self::Token { command } => command.stack().json,
            Self::Apply { stack, .. }
            | Self::Sources { stack, .. }
            | Self::Try { stack, .. }
            | Self::Explain { stack, .. }
            | Self::Ledger { stack }
            | Self::Duplicates { stack, .. }
            | Self::Merge { stack, .. }
            | Self::KeepApart { stack, .. }
            | Self::Unmerge { stack, .. }
            | Self::Erase { stack, .. }
            | Self::Export { stack, .. }
            | Self::Rebalance { stack, .. } => stack.json,
        }
    }
}

/// The stack of a thread, in bytes.
const STACK: usize = 8 << 20;

impl Cli {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let command = self.command.unwrap_or(Command::Dev(DevArgs::default()));
        let is_json = command.is_json();
        // Functions run on these threads, and unoptimised the future of a call is large.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = match runtime.enable_all().thread_stack_size(STACK).build() {
            Ok(runtime) => runtime,
            Err(error) => return output::fail(&format!("no runtime: {error}").into(), is_json),
        };
        let done = runtime.block_on(async {
            match command {
                Command::Dev(args) => dev::run(args).await,
                Command::Demo(args) => demo::run(args).await,
                Command::Validate { dir, json } => policies::validate(&dir, json),
                Command::Apply { dir, prune, stack } => policies::apply(&dir, prune, &stack).await,
                Command::Sources { dir, all, stack } => sources::list(dir.as_deref(), all, &stack).await,
                Command::Try { file, form, stack } => tools::try_lead(&file, &form, &stack).await,
                Command::Explain { kind, id, stack } => explain::run(kind, &id, &stack).await,
                Command::Insight(args) => insight::run(&args).await,
                Command::Ledger { stack } => tools::ledger(&stack).await,
                Command::Import(args) => import::run(args).await,
                Command::Duplicates { join, stack } => duplicates::find(join, &stack).await,
                Command::Merge { id, with, stack } => tools::merge(&id, &with, &stack).await,
                Command::KeepApart { id, from, stack } => tools::keep_apart(&id, &from, &stack).await,
                Command::Unmerge { id, stack } => tools::unmerge(&id, &stack).await,
                Command::Erase { id, no_wait, stack } => rights::erase(&id, no_wait, &stack).await,
                Command::Export { id, out, stack } => rights::export(&id, out.as_deref(), &stack).await,
                Command::Rebalance { rep, does, to, team, stack } => {
                    tools::rebalance(&rep, does, to.as_deref(), team.as_deref(), &stack).await
                }
                Command::Package(args) => package::run(args).await,
                Command::Template { command: TemplateCommand::Preview(args) } => {
                    templates::preview(&args).await
                }
                Command::Journey { command: JourneyCommand::Draw(args) } => journeys::picture(&args).await,
                Command::Journey { command: JourneyCommand::Run(args) } => journeys::run(&args).await,
                Command::Campaign { command } => campaigns::run(command).await,
                Command::Token { command } => tokens::run(command).await,
            }
        });
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => output::fail(&failure, is_json),
        }
    }
}
