//! What a cold start takes: a function's size, and the time from its start until it asks for its first call.

use crate::machine;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Starts of which the middle one counts.
const STARTS: usize = 11;
/// Longest wait for a start.
const LIMIT: Duration = Duration::from_secs(20);

/// Builds binaries as this one was built, one package at a time: Cargo unifies features over what is built together.
/// The folder they are in.
pub(crate) fn build(packages: &[&str]) -> Result<PathBuf, String> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = me.parent().map(Path::to_owned).ok_or("no folder of binaries")?;
    let profile = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let profile = if profile == "debug" { "dev".to_owned() } else { profile };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for package in packages {
        let status = std::process::Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--profile", &profile, "--package", package])
            .current_dir(&root)
            .status()
            .map_err(|error| format!("cargo: {error}"))?;
        if !status.success() {
            return Err(format!("{package} was not built"));
        }
    }
    Ok(folder)
}

/// Bytes of a binary without its symbols: up to the end of what is loaded, which is what `strip` leaves but for a few
/// hundred bytes. (ELF-64: program headers from `e_phoff`; `p_offset` and `p_filesz` of every `PT_LOAD`.)
pub(crate) fn loaded_size(path: &Path) -> Option<u64> {
    let bytes = std::fs::read(path).ok()?;
    let number = |at: usize, size: usize| {
        let slice = bytes.get(at..at + size)?;
        Some(slice.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let ends = (0..count).filter_map(|n| {
        let at = usize::try_from(table + n * size).ok()?;
        (number(at, 4)? == 1).then_some(number(at + 8, 8)? + number(at + 32, 8)?)
    });
    ends.max()
}

/// Milliseconds from the start of a function's process until it asks for its first call; the median of several starts.
pub(crate) async fn ready(binary: &Path, vars: &BTreeMap<String, String>) -> Result<f64, String> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(start(binary, vars).await?);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[STARTS / 2])
}

async fn start(binary: &Path, vars: &BTreeMap<String, String>) -> Result<f64, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", binary.display());
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.to_string();
    let mut command = Command::new(binary);
    command
        .env_clear()
        .envs(vars)
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let started = machine::now();
    let mut child = command.spawn().map_err(failed)?;
    let asked = async {
        let (mut stream, _) = listener.accept().await?;
        let mut request = Vec::new();
        while !request.windows(15).any(|window| window == b"invocation/next") {
            if stream.read_buf(&mut request).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(started.elapsed())
    };
    let took = tokio::time::timeout(LIMIT, asked).await;
    let _ = child.kill().await;
    let took = took.map_err(|_| format!("{}: does not ask for a call", binary.display()))?;
    took.map(|took| took.as_secs_f64() * 1e3).map_err(failed)
}

/// Milliseconds from the start of `sluice dev` with an empty folder until it says that it is ready, policies published.
pub(crate) async fn dev(binary: &Path) -> Result<f64, String> {
    let failed = |error: std::io::Error| format!("sluice dev: {error}");
    let mut times = Vec::new();
    for _ in 0..5 {
        let folder = tempfile::tempdir().map_err(failed)?;
        let mut command = Command::new(binary);
        command.args(["dev", "--json", "--port", "0", "--data"]).arg(folder.path());
        command.arg("--policies").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/policies"));
        command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let started = machine::now();
        let mut child = command.spawn().map_err(failed)?;
        let output = child.stdout.take().ok_or("sluice dev: no output")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
        let took = started.elapsed();
        let _ = child.kill().await;
        match line {
            Ok(Ok(Some(line))) if line.contains("\"url\"") => times.push(took.as_secs_f64() * 1e3),
            _ => return Err("sluice dev: did not say that it is ready".to_owned()),
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
