//! Python programs of others, in virtual environments of the workspace's target folder.

use crate::needs::{said, text};
use std::path::{Path, PathBuf};
use tokio::process::Command;
use tokio::sync::Mutex;

/// Tests of one program ask at the same time.
static INSTALLING: Mutex<()> = Mutex::const_new(());

/// The interpreter of an environment `target/<name>-venv` with the packages of `tests/<name>/requirements.txt`,
/// installed if they are not; else why there is none.
pub async fn environment(name: &str) -> Result<PathBuf, String> {
    let _alone = INSTALLING.lock().await;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let requirements = tests.join(name).join("requirements.txt");
    let folder = tests.join("../target").join(format!("{name}-venv"));
    let (python, marker) = (folder.join("bin/python"), folder.join("installed.txt"));
    let wanted = std::fs::read_to_string(&requirements).map_err(text)?;
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    said(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).await?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    said(Command::new(&python).args(pip).arg(&requirements)).await?;
    std::fs::write(&marker, wanted).map_err(text)?;
    Ok(python)
}
