//! `sluice package`: what AWS gets of a clone. Zips of the functions and the template that names them.

use super::dev::{TEMPLATE, local_template};
use super::output::{Failure, note, say};
use super::{Architecture, PackageArgs};
use serde_json::json;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// What builds for Lambda's own C library, whatever this machine has.
const TOOL: &str = "cargo-lambda";

impl Architecture {
    /// The option of cargo-lambda.
    const fn option(self) -> &'static str {
        match self {
            Self::Arm64 => "--arm64",
            Self::X86_64 => "--x86-64",
        }
    }

    /// What cargo-lambda compiles for.
    const fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86_64 => "x86_64-unknown-linux-gnu",
        }
    }

    /// The template's word, which is Lambda's.
    const fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }
}

pub(crate) async fn run(args: PackageArgs) -> Result<(), Failure> {
    if std::fs::read_to_string("infra/template.yaml").ok().as_deref() != Some(TEMPLATE) {
        return Err("run this in the root of the clone that this command was built from".into());
    }
    if !quiet(Command::new("cargo").args(["lambda", "--version"])).await {
        return Err(format!("{TOOL} is missing: pip install {TOOL} ziglang").into());
    }
    let names: Vec<String> = local_template()?.functions.into_iter().map(|function| function.name).collect();
    let commit = commit().await;
    let jobs = args.jobs.unwrap_or_else(jobs);
    let mut packages = Vec::new();
    for architecture in args.arch.each() {
        let folder = args.out.join(architecture.name());
        let mut zips = Vec::new();
        for names in together(&names, *architecture).await? {
            note(&format!("{}: {} ...", architecture.name(), names.join(", ")));
            let started = now();
            build(&names, *architecture, &folder, jobs, commit.as_deref()).await?;
            let seconds = now().since(started) / 1000;
            note(&format!("{}: {} built in {seconds} s", architecture.name(), names.len()));
            for name in &names {
                let path = folder.join(name).join("bootstrap.zip");
                let bytes =
                    std::fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.len();
                if !args.json {
                    say(&format!("{}  {} kB", path.display(), bytes.div_ceil(1000)));
                }
                zips.push(json!({"function": name, "zip": path, "bytes": bytes}));
            }
        }
        let template = packaged(TEMPLATE, &names, *architecture)?;
        let path = folder.join("template.yaml");
        std::fs::write(&path, template).map_err(|error| format!("{}: {error}", path.display()))?;
        packages.push(json!({"architecture": architecture.name(), "template": path, "zips": zips}));
    }
    if args.json {
        say(&json!({ "packages": packages }).to_string());
        return Ok(());
    }
    say("");
    for architecture in args.arch.each() {
        let template = args.out.join(architecture.name()).join("template.yaml");
        say(&format!(
            "sam deploy --template-file {} --stack-name sluice --resolve-s3 --capabilities CAPABILITY_IAM \
             --parameter-overrides MailFrom=sales@example.com",
            template.display()
        ));
    }
    Ok(())
}

/// How many compilers run at one time unless told: each that links a function takes up to 3 GB.
fn jobs() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    u16::try_from(cores.min(4)).unwrap_or(1)
}

/// Which features each package of a build has.
type Features = BTreeMap<String, BTreeSet<String>>;

/// The functions in lists of what one call of Cargo may build. Cargo unifies features over all that it builds at once, so a
/// list has those only that agree on each package they share: every zip is what it would be if it were built alone.
async fn together(names: &[String], architecture: Architecture) -> Result<Vec<Vec<String>>, String> {
    let mut features = Vec::with_capacity(names.len());
    for name in names {
        features.push((name.clone(), features_of(name, architecture).await?));
    }
    Ok(agreeing(features))
}

/// What Cargo would build one function of.
async fn features_of(name: &str, architecture: Architecture) -> Result<Features, String> {
    let tree = Command::new("cargo")
        .args(["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}|{f}"])
        .args(["--package", name, "--target", architecture.target()])
        .stdin(Stdio::null())
        .output();
    let tree = tree.await.map_err(|error| format!("cargo: {error}"))?;
    if !tree.status.success() {
        return Err(format!("cargo tree of {name}: {}", String::from_utf8_lossy(&tree.stderr).trim()));
    }
    let mut features = Features::new();
    for line in String::from_utf8_lossy(&tree.stdout).lines() {
        let line = line.strip_suffix(" (*)").unwrap_or(line); // it was listed before
        if let Some((package, of_it)) = line.split_once('|') {
            features.entry(package.to_owned()).or_default().insert(of_it.to_owned());
        }
    }
    Ok(features)
}

/// Each function joins the first list that it agrees with.
fn agreeing(functions: Vec<(String, Features)>) -> Vec<Vec<String>> {
    let mut lists: Vec<(Vec<String>, Features)> = Vec::new();
    for (name, features) in functions {
        let agrees = |others: &Features| {
            features.iter().all(|(package, of_it)| others.get(package).is_none_or(|other| other == of_it))
        };
        match lists.iter_mut().find(|(_, others)| agrees(others)) {
            Some((names, others)) => {
                names.push(name);
                others.extend(features);
            }
            None => lists.push((vec![name], features)),
        }
    }
    lists.into_iter().map(|(names, _)| names).collect()
}

/// Builds the zips of functions.
async fn build(
    names: &[String],
    architecture: Architecture,
    folder: &Path,
    jobs: u16,
    commit: Option<&str>,
) -> Result<(), String> {
    // Cargo.toml's release profile is the one that counts: cargo-lambda's own would abort on a panic.
    let built = Command::new("cargo")
        .args([
            "lambda",
            "build",
            "--release",
            "--locked",
            "--disable-optimizations",
            "--output-format",
            "zip",
        ])
        .args([architecture.option(), "--jobs", &jobs.to_string(), "--lambda-dir"])
        .arg(folder)
        .args(names.iter().flat_map(|name| ["--package", name]))
        .envs(commit.map(|commit| ("SLUICE_COMMIT", commit))) // GET /api/health says it
        .stdin(Stdio::null())
        .status()
        .await;
    match built.map_err(|error| format!("cargo: {error}"))?.success() {
        true => Ok(()),
        false => Err(format!("not built: {}", names.join(", "))),
    }
}

/// The parameter that only whoever builds by hand needs.
const PARAMETER: &str = "  Architecture:
    Type: String
    Default: arm64
    AllowedValues: [arm64, x86_64]
    Description: What the functions were built for.
";

/// The template for a folder of zips: each CodeUri names the zip beside it, and what they were built for stands in it. As a
/// parameter it would not change with the zips: a stack keeps the values it has.
fn packaged(template: &str, functions: &[String], architecture: Architecture) -> Result<String, String> {
    let of_code = functions.iter().map(|name| {
        let zip = format!("{name}/bootstrap.zip");
        (format!("CodeUri: ../target/lambda/{zip}\n"), format!("CodeUri: {zip}\n"))
    });
    let of_architecture = (
        "Architectures: [!Ref Architecture]\n".to_owned(),
        format!("Architectures: [{}]\n", architecture.name()),
    );
    let changes = of_code.chain([of_architecture, (PARAMETER.to_owned(), String::new())]);
    changes.into_iter().try_fold(template.to_owned(), |text, (from, to)| match text.matches(&from).count() {
        1 => Ok(text.replacen(&from, &to, 1)),
        found => Err(format!("infra/template.yaml has {found} times instead of once:\n{from}")),
    })
}

/// What is checked out here, with a mark if that is not all; none outside of a repository.
async fn commit() -> Option<String> {
    let described =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output().await;
    let described = described.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&described.stdout).trim().to_owned()).filter(|commit| !commit.is_empty())
}

/// Whether a command can be run and ends well; what it says is of no interest.
async fn quiet(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().await.is_ok_and(|status| status.success())
}

fn now() -> Timestamp {
    Environment::of_process().clock.now()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{Architecture, Features, PARAMETER, TEMPLATE, agreeing, local_template, packaged};

    fn names() -> Vec<String> {
        local_template().unwrap().functions.into_iter().map(|function| function.name).collect()
    }

    #[test]
    fn the_packaged_template_differs_in_the_places_of_the_zips_and_the_architecture_only() {
        let text = packaged(TEMPLATE, &names(), Architecture::X86_64).unwrap();
        let rest = TEMPLATE.replacen(PARAMETER, "", 1);
        assert_eq!(text.lines().count(), rest.lines().count());
        let changed: Vec<&str> = text
            .lines()
            .zip(rest.lines())
            .filter(|(new, old)| new != old)
            .map(|(new, _)| new.trim())
            .collect();
        assert_eq!(changed[0], "Architectures: [x86_64]");
        let places: Vec<String> =
            names().iter().map(|name| format!("CodeUri: {name}/bootstrap.zip")).collect();
        assert_eq!(changed[1..], places);
    }

    #[test]
    fn functions_are_built_together_that_agree_on_the_features_of_what_they_share() {
        let function = |name: &str, features: &[(&str, &str)]| {
            let features: Features = features
                .iter()
                .map(|(package, of_it)| ((*package).to_owned(), [(*of_it).to_owned()].into()))
                .collect();
            (name.to_owned(), features)
        };
        let lists = agreeing(vec![
            function("capture", &[("tls", "ring"), ("wire", "")]),
            function("console", &[("tls", "ring"), ("wire", "yaml")]),
            function("send", &[("tls", "ring,logging"), ("mail", "")]),
            function("route", &[("tls", "ring"), ("mail", "smtp")]),
            function("timers", &[("tls", "ring"), ("mail", "")]), // would agree with the first alone
        ]);
        assert_eq!(lists, [&["capture", "route"][..], &["console", "timers"], &["send"]]);
    }

    #[test]
    fn a_template_that_names_other_zips_is_refused() {
        let other = TEMPLATE.replace("../target/lambda/route-lead/", "../elsewhere/route-lead/");
        let refused = packaged(&other, &names(), Architecture::Arm64).unwrap_err();
        assert!(refused.contains("route-lead"), "{refused}");
    }
}
