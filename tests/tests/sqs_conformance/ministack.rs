//! Starts ministack (PyPI, MIT) in a virtual environment of the workspace's target folder.

use sluice_tests::python;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// A running ministack; ends with this value.
pub(crate) struct Ministack {
    /// Where it listens.
    pub(crate) port: u16,
    _process: Child,
}

/// Installs it if needed, starts it and waits until it answers; else says why not.
pub(crate) async fn start() -> Result<Ministack, String> {
    let python = python::environment("ministack").await?;
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

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
