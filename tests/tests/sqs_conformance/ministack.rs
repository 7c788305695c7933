//! Starts ministack (PyPI, MIT) in a virtual environment of the workspace's target folder.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// The pinned version is in this file.
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ministack/requirements.txt");

/// A running ministack; ends with this value.
pub(crate) struct Ministack {
    /// Where it listens.
    pub(crate) port: u16,
    _process: Child,
}

/// Installs it if needed, starts it and waits until it answers; else says why not.
pub(crate) async fn start() -> Result<Ministack, String> {
    let python = installed().await?;
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(text)?.port();
    let mut process = Command::new(python)
        .args(["-m", "ministack"])
        .env("GATEWAY_PORT", port.to_string())
        .env("BIND_HOST", "127.0.0.1")
        .env("SERVICES", "sqs")
        .env("LOG_LEVEL", "ERROR")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(text)?;
    for _ in 0..300 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(Ministack { port, _process: process });
        }
        if let Ok(Some(status)) = process.try_wait() {
            return Err(format!("it ended at once: {status}"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("it did not listen within 30 seconds".to_owned())
}

/// The Python of the virtual environment with the pinned version.
async fn installed() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/ministack-venv");
    let (python, marker) = (folder.join("bin/python"), folder.join("installed.txt"));
    let wanted = std::fs::read_to_string(REQUIREMENTS).map_err(text)?;
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).await?;
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS];
    run(Command::new(&python).args(pip)).await?;
    std::fs::write(&marker, wanted).map_err(text)?;
    Ok(python)
}

async fn run(command: &mut Command) -> Result<(), String> {
    let done = command.stdin(Stdio::null()).output().await.map_err(text)?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(said.lines().last().unwrap_or("python3 failed without a word").to_owned())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
