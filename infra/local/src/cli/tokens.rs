//! `sluice token`: tokens of the API, made and shown once, listed, revoked.

use super::StackArgs;
use super::output::{Failure, note, pretty, say};
use super::tools::words;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Create a token; it is shown once.
    Create(CreateArgs),
    /// Every token: whom it is for, until when, and whether it is revoked.
    List {
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Take a token back, by the id that `list` shows.
    Revoke {
        id: String,
        #[command(flatten)]
        stack: StackArgs,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// admin, marketer, manager or rep.
    #[arg(long)]
    role: String,
    /// The rep it is for; a manager's own name, to see whoever is below.
    #[arg(long)]
    rep: Option<String>,
    /// A team that a manager has; more than once for several.
    #[arg(long = "team")]
    teams: Vec<String>,
    /// From when on it is worth nothing: a time, or a length such as 90d.
    #[arg(long)]
    expires: Option<String>,
    /// What it is for, to know it again by.
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    stack: StackArgs,
}

impl TokenCommand {
    /// Which stack it talks to.
    pub(super) const fn stack(&self) -> &StackArgs {
        match self {
            Self::Create(args) => &args.stack,
            Self::List { stack } | Self::Revoke { stack, .. } => stack,
        }
    }
}

pub(super) async fn run(command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(args) => create(&args).await,
        TokenCommand::List { stack } => list(&stack).await,
        TokenCommand::Revoke { id, stack } => revoke(&id, &stack).await,
    }
}

/// Which option is missing or too much for a token of this role.
fn unfit(role: &str, has_rep: bool, has_teams: bool) -> Option<&'static str> {
    match role {
        "rep" if !has_rep => Some("a token of role rep is for a rep: say for whom with `--rep NAME`"),
        "manager" if !has_rep && !has_teams => Some(
            "a token of role manager is for whoever is below somebody: say of whom with `--rep NAME`, the manager's own \
             name, with `--team NAME`, or both",
        ),
        "admin" | "marketer" | "rep" if has_teams => Some("`--team` is only for a token of role manager"),
        _ => None,
    }
}

async fn create(args: &CreateArgs) -> Result<(), Failure> {
    if let Some(why) = unfit(&args.role, args.rep.is_some(), !args.teams.is_empty()) {
        return Err(why.into());
    }
    let asked = json!({
        "role": args.role, "rep": args.rep, "teams": args.teams, "expires": args.expires, "note": args.note,
    });
    let answer = args.stack.call("POST", "/api/tokens", Some(&asked)).await?;
    if args.stack.json {
        say(&pretty(&answer));
    } else {
        say(&words(&answer["token"]));
        note(&format!("Keep it: it is shown this once. Its id is {}.", words(&answer["id"])));
    }
    Ok(())
}

async fn list(stack: &StackArgs) -> Result<(), Failure> {
    let mut tokens: Vec<Value> = Vec::new();
    let mut path = "/api/tokens".to_owned();
    loop {
        let page = stack.call("GET", &path, None).await?;
        tokens.extend(page["tokens"].as_array().into_iter().flatten().cloned());
        match page["cursor"].as_str() {
            Some(next) => path = format!("/api/tokens?cursor={next}"),
            None => break,
        }
    }
    if stack.json {
        say(&pretty(&json!({ "tokens": tokens })));
        return Ok(());
    }
    for token in &tokens {
        let text = |name: &str| token[name].as_str().unwrap_or_default();
        let teams: Vec<&str> =
            token["teams"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let whose = [text("rep").to_owned(), teams.join(", "), text("note").to_owned()];
        let whose: Vec<String> = whose.into_iter().filter(|part| !part.is_empty()).collect();
        let until = token["expires"].as_str().map(|at| format!(", until {at}")).unwrap_or_default();
        say(&format!("{}  {:<8}  {}{until}  {}", text("id"), text("role"), text("state"), whose.join("; ")));
    }
    if tokens.is_empty() {
        note("No tokens but the stack's own. `sluice token create` makes one.");
    }
    Ok(())
}

async fn revoke(id: &str, stack: &StackArgs) -> Result<(), Failure> {
    let answer = stack.insist("DELETE", &format!("/api/tokens/{id}"), &Value::Null).await?;
    say(&if stack.json { pretty(&answer) } else { format!("{id} is refused from now on.") });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_role_needs_is_asked_for_by_its_options() {
        for (role, has_rep, has_teams, words) in [
            ("rep", false, false, &["`--rep NAME`"][..]),
            ("manager", false, false, &["`--rep NAME`", "`--team NAME`"][..]),
            ("marketer", false, true, &["`--team`"][..]),
            ("rep", true, true, &["`--team`"][..]),
        ] {
            let said = unfit(role, has_rep, has_teams).unwrap_or_default();
            assert!(words.iter().all(|word| said.contains(word)), "{role}: {said}");
        }
        for (role, has_rep, has_teams) in [
            ("admin", false, false),
            ("rep", true, false),
            ("manager", false, true),
            ("manager", true, false),
            ("king", false, false),
        ] {
            assert_eq!(unfit(role, has_rep, has_teams), None, "{role}");
        }
    }
}
