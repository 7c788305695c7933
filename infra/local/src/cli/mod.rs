//! Commands: the stack on this machine, and the operator's tools for any stack.

mod dev;
mod output;
mod policies;
mod remote;
mod tools;

pub use dev::{TEMPLATE, embedded_functions, local_template};

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
    /// Check policy documents; errors say file, line and column.
    Validate {
        /// Folder of .yaml files.
        dir: PathBuf,
        /// Machine-readable output.
        #[arg(long)]
        json: bool,
    },
    /// Check policy documents and publish them as one version.
    Apply {
        /// Folder of .yaml files.
        dir: PathBuf,
        /// Remove published documents that the folder does not have.
        #[arg(long)]
        prune: bool,
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
    /// Accepted, ended by state, in flight, per source; fails if they do not add up.
    Ledger {
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
    /// API tokens.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create a token; it is shown once.
    Create {
        /// admin, marketer, manager or rep.
        #[arg(long)]
        role: String,
        /// The rep it is for.
        #[arg(long)]
        rep: Option<String>,
        #[command(flatten)]
        stack: StackArgs,
    },
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
    /// The first line on stdout, once ready, is a JSON object.
    #[arg(long)]
    json: bool,
}

/// Which stack to talk to.
#[derive(Clone, Debug, Args)]
struct StackArgs {
    /// The stack's URL.
    #[arg(long, default_value = "http://127.0.0.1:8787")]
    url: String,
    /// API token; without one, that of the local stack in ./.sluice.
    #[arg(long, env = "SLUICE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Machine-readable output.
    #[arg(long)]
    json: bool,
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return output::fail(&format!("no runtime: {error}")),
        };
        let done = runtime.block_on(async {
            match self.command.unwrap_or(Command::Dev(DevArgs::default())) {
                Command::Dev(args) => dev::run(args).await,
                Command::Validate { dir, json } => policies::validate(&dir, json),
                Command::Apply { dir, prune, stack } => policies::apply(&dir, prune, &stack).await,
                Command::Try { file, form, stack } => tools::try_lead(&file, &form, &stack).await,
                Command::Explain { kind, id, stack } => tools::explain(kind, &id, &stack).await,
                Command::Ledger { stack } => tools::ledger(&stack).await,
                Command::Unmerge { id, stack } => tools::unmerge(&id, &stack).await,
                Command::Rebalance { rep, does, to, team, stack } => {
                    tools::rebalance(&rep, does, to.as_deref(), team.as_deref(), &stack).await
                }
                Command::Token { command: TokenCommand::Create { role, rep, stack } } => {
                    tools::create_token(&role, rep.as_deref(), &stack).await
                }
            }
        });
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => output::fail(&message),
        }
    }
}
