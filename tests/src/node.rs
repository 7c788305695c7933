//! Packages of Node's for programs of others, in a folder of the workspace's target folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;
use tokio::sync::Mutex;

/// Tests that use the same packages ask at the same time.
static INSTALLING: Mutex<()> = Mutex::const_new(());

/// A folder `target/<name>-node` in which the packages of `tests/<name>/package.json` are installed; else why there is none.
pub async fn packages(name: &str) -> Result<PathBuf, String> {
    let _alone = INSTALLING.lock().await;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tests.join("../target").join(format!("{name}-node"));
    let wanted = std::fs::read_to_string(tests.join(name).join("package.json")).map_err(text)?;
    let marker = folder.join("installed.txt");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder).map_err(text)?;
    std::fs::write(folder.join("package.json"), &wanted).map_err(text)?;
    let flags = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"];
    let done = Command::new("npm")
        .args(flags)
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(text)?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(said.lines().last().unwrap_or("npm failed without a word").to_owned());
    }
    std::fs::write(&marker, wanted).map_err(text)?;
    Ok(folder)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
