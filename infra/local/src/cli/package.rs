//! `sluice package`: what AWS gets of a clone. Zips of the functions and the template that names them.

use super::dev::{TEMPLATE, local_template};
use super::output::{note, say};
use super::{Architecture, PackageArgs};
use serde_json::json;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use std::path::{Path, PathBuf};
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

    /// The template's word, which is Lambda's.
    const fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }
}

pub(crate) async fn run(args: PackageArgs) -> Result<(), String> {
    if std::fs::read_to_string("infra/template.yaml").ok().as_deref() != Some(TEMPLATE) {
        return Err("run this in the root of the clone that this command was built from".to_owned());
    }
    if !quiet(Command::new("cargo").args(["lambda", "--version"])).await {
        return Err(format!("{TOOL} is missing: pip install {TOOL} ziglang"));
    }
    let names: Vec<String> = local_template()?.functions.into_iter().map(|function| function.name).collect();
    let commit = commit().await;
    let mut packages = Vec::new();
    for architecture in args.arch.each() {
        let folder = args.out.join(architecture.name());
        let mut zips = Vec::new();
        for name in &names {
            let zip = build(name, *architecture, &folder, commit.as_deref()).await?;
            if !args.json {
                say(&format!("{}  {} kB  {} s", zip.path.display(), zip.bytes.div_ceil(1000), zip.seconds));
            }
            zips.push(json!({"function": name, "zip": zip.path, "bytes": zip.bytes, "seconds": zip.seconds}));
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

/// What was built.
struct Zip {
    path: PathBuf,
    bytes: u64,
    /// How long it took.
    seconds: i64,
}

/// Builds one function's zip. By itself, because Cargo unifies features over what is built together.
async fn build(
    name: &str,
    architecture: Architecture,
    folder: &Path,
    commit: Option<&str>,
) -> Result<Zip, String> {
    note(&format!("{} {name} ...", architecture.name()));
    let started = now();
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
        .args([architecture.option(), "--package", name, "--lambda-dir"])
        .arg(folder)
        .envs(commit.map(|commit| ("SLUICE_COMMIT", commit))) // GET /api/health says it
        .stdin(Stdio::null())
        .status()
        .await;
    if !built.map_err(|error| format!("cargo: {error}"))?.success() {
        return Err(format!("{name} was not built"));
    }
    let path = folder.join(name).join("bootstrap.zip");
    let bytes = std::fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.len();
    Ok(Zip { path, bytes, seconds: now().since(started) / 1000 })
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

    use super::{Architecture, PARAMETER, TEMPLATE, local_template, packaged};

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
    fn a_template_that_names_other_zips_is_refused() {
        let other = TEMPLATE.replace("../target/lambda/route-lead/", "../elsewhere/route-lead/");
        let refused = packaged(&other, &names(), Architecture::Arm64).unwrap_err();
        assert!(refused.contains("route-lead"), "{refused}");
    }
}
