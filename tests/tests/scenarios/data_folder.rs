//! A data folder that is not as it was left: what is said of it names the file and what to do.

use crate::command::{Command, Sluice, binaries};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Starts `sluice dev` on this folder, which must fail; what it says.
async fn refused(folder: &Path) -> String {
    let mut process = tokio::process::Command::new(binaries().join("sluice"));
    process.args(["dev", "--port", "0", "--data"]).arg(folder).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), process.output()).await;
    let output = output.expect("it starts all the same").unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_lost_its_secrets_or_a_damaged_file_is_left_as_it_is_and_the_file_is_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("data");
    let sluice = Sluice::start(&Command::new(&folder)).await;
    assert_eq!(sluice.post("email=ada%40mill.example").await.unwrap().status, 202);
    let token = sluice.token.clone();
    sluice.kill();

    let (secrets, aside) = (folder.join("secrets.json"), place.path().join("aside"));
    std::fs::rename(&secrets, &aside).unwrap();
    let said = refused(&folder).await;
    assert!(said.contains(secrets.to_str().unwrap()) && said.contains("Put back a copy"), "{said}");
    assert!(!secrets.exists(), "none are made anew");
    std::fs::rename(&aside, &secrets).unwrap();
    let sluice = Sluice::start(&Command::new(&folder)).await;
    assert_eq!(sluice.token, token);
    sluice.kill();

    for name in ["table.sqlite", "queues.sqlite"] {
        let file = folder.join(name);
        let logs = ["-wal", "-shm"].map(|end| folder.join(format!("{name}{end}")));
        logs.iter().for_each(|log| drop(std::fs::remove_file(log)));
        let before = std::fs::read(&file).unwrap();
        std::fs::write(&file, "x".repeat(before.len().max(8_192))).unwrap();
        let said = refused(&folder).await;
        assert!(said.contains(file.to_str().unwrap()) && said.contains("is damaged"), "{said}");
        assert!(said.contains("start afresh") && !said.contains("encryption"), "{said}");
        std::fs::write(&file, before).unwrap();
    }
}
