//! `sluice demo`: a company's day, played.

mod progress;

use super::output::{Failure, note, pretty, say};
use super::policies::{publish, read_folder};
use super::remote::local_token;
use super::{DemoArgs, StackArgs};
use crate::demo::{Door, Player, Script, Secrets, Stage, Summary};
use progress::Progress;
use serde_json::json;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use std::time::Duration;

/// A Wednesday, two minutes before it begins: the time for the documents to be known everywhere.
const EVE: &str = "2026-12-01T23:58:00Z";
/// How often the clock that is shown moves, in seconds of the person who looks on.
const TICK: f64 = 0.2;

pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let script = Script::read(&args.samples.join("day"))?;
    let stage = match args.url {
        None => Some(own(&args).await?),
        Some(_) => None,
    };
    let (door, secrets, outside) = match (&stage, &args.url) {
        (Some(stage), _) => (stage.door.clone(), stage.secrets.clone(), Some(stage.outside.clone())),
        (None, url) => {
            let token = args
                .token
                .clone()
                .filter(|token| !token.is_empty())
                .or_else(|| local_token(url.as_deref()))
                .ok_or("no token: give --token or SLUICE_TOKEN")?;
            let secrets = Secrets(Environment::of_process().vars);
            (Door::new(url.as_deref().unwrap_or_default(), token), secrets, None)
        }
    };
    let mut player = Player::new(door, secrets, outside).await?;
    let missing = player.missing(&script).await?;
    if !missing.is_empty() {
        let publish =
            format!("sluice apply {} --url {}", args.samples.join("policies").display(), player.door().url());
        return Err(format!("the stack has no {}; `{publish}` publishes them", missing.join(", no ")).into());
    }
    if !player.is_movable() && !args.json {
        note("This stack goes by its own clock: what waits for time is left to wait.");
    }
    let summary = play(&mut player, &script, &args).await?;
    let links = summary.links(player.door().url());
    if args.json {
        let mut whole = summary.to_json();
        whole["links"] = json!(links);
        say(&pretty(&whole));
    } else {
        say(&summary.page());
        if let Some(stage) = &stage {
            look_on(&args, stage, &links).await;
        } else {
            commands(&links, &format!(" --url {}", player.door().url()));
        }
    }
    if let Some(stage) = stage {
        stage.stack.stop().await;
    }
    match summary.ledger["adds_up"].as_bool() {
        Some(true) => Ok(()),
        _ => Err("the ledger does not add up".into()),
    }
}

/// A stack of its own with the company's documents.
async fn own(args: &DemoArgs) -> Result<Stage, Failure> {
    let policies = read_folder(&args.samples.join("policies"))?;
    if let Some(data) = args.data.as_ref().filter(|data| data.exists()) {
        return Err(format!("{} is there already: name a new folder", data.display()).into());
    }
    let eve = Timestamp::parse(EVE).ok_or("no time")?;
    let stage = Stage::start(&policies, eve, args.data.clone(), 0).await?;
    let here = StackArgs {
        url: Some(stage.door.url().to_owned()),
        token: Some(stage.door.token().to_owned()),
        json: args.json,
    };
    publish(&policies, false, &here).await?;
    Ok(stage)
}

/// The whole day, and what came of it.
async fn play(player: &mut Player, script: &Script, args: &DemoArgs) -> Result<Summary, String> {
    let mut progress = Progress::new(args.json);
    let mut at = 0;
    for line in &script.lines {
        pass(player, &mut at, line.at, args, &progress).await?;
        let told = player.play(line).await?;
        progress.told(&told);
    }
    // Where time does not go on, nothing more comes.
    if player.is_movable() {
        pass(player, &mut at, Script::END, args, &progress).await?;
    }
    progress.end();
    Summary::gather(player.door(), script, player.began()).await
}

/// Lets a part of the day pass, on the stack and here.
async fn pass(
    player: &Player,
    at: &mut i64,
    to: i64,
    args: &DemoArgs,
    progress: &Progress,
) -> Result<(), String> {
    // Rounding down is what is meant.
    let step = if args.fast { i64::MAX } else { ((args.speed * TICK * 1_000.0) as i64).max(1) };
    while *at < to {
        let next = to.min(at.saturating_add(step));
        let wait = async {
            if !args.fast {
                let seconds = (next - *at) as f64 / 1_000.0 / args.speed;
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            }
        };
        let (moved, ()) = tokio::join!(player.until(next), wait);
        moved?;
        *at = next;
        progress.at(next);
    }
    Ok(())
}

/// What to look at, and until when.
async fn look_on(args: &DemoArgs, stage: &Stage, links: &std::collections::BTreeMap<&'static str, String>) {
    if args.stay {
        commands(links, &format!(" --url {} --token {}", stage.door.url(), stage.door.token()));
        say("The stack stays until Ctrl-C.");
        // If there is no telling when to end, it ends.
        let _ = tokio::signal::ctrl_c().await;
        return;
    }
    match &args.data {
        Some(data) => say(&format!("Look on: sluice dev --data {}", data.display())),
        None => say(
            "Look on: sluice demo --fast --stay keeps the stack running, with all mails and explanations.",
        ),
    }
}

fn commands(links: &std::collections::BTreeMap<&'static str, String>, stack: &str) {
    say("Look on");
    for (what, link) in links {
        match *what {
            "mail" => say(&format!("  {link}")),
            what => say(&format!("  sluice explain {what} {link}{stack}")),
        }
    }
}
