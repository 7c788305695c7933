//! The folder of a stack's data: for nobody else on this machine to read.

use sluice_host::function::StartError;
use std::fmt::Display;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// The table's file in the folder.
pub(super) const TABLE: &str = "table.sqlite";
/// The queues' file.
pub(super) const QUEUES: &str = "queues.sqlite";
/// The secrets' file.
pub(super) const SECRETS: &str = "secrets.json";
/// How SQLite, and what stands on it, says that a file is not as it was written.
const DAMAGED: [&str; 4] =
    ["not a database", "not a valid SQLite database", "not a valid database", "disk image is malformed"];
/// What its owner may do with the folder: everything.
const OWNER: u32 = 0o700;
/// What others might do with it.
const OTHERS: u32 = 0o077;

/// Makes the folder for its owner only. One that is there already is closed to others if it holds nothing but a stack's
/// data. Whether others are kept out.
pub fn make_private(folder: &Path) -> io::Result<bool> {
    DirBuilder::new().recursive(true).mode(OWNER).create(folder)?;
    if fs::metadata(folder)?.permissions().mode() & OTHERS == 0 {
        return Ok(true);
    }
    // A folder of other things, of somebody else or of a disk without permissions stays as it is.
    Ok(is_of_a_stack(folder)? && fs::set_permissions(folder, Permissions::from_mode(OWNER)).is_ok())
}

/// What is said of a file of the folder that is damaged, if that is what the error says.
pub(super) fn damaged(folder: Option<&Path>, file: &str, error: &dyn Display) -> Option<StartError> {
    let (folder, error) = (folder?, error.to_string());
    DAMAGED.iter().any(|words| error.contains(words)).then(|| {
        StartError(format!(
            "{} is damaged and cannot be read. Put back a copy of the whole folder {}, or delete the folder to start afresh.",
            folder.join(file).display(),
            folder.display()
        ))
    })
}

/// What is said of a folder whose table holds something, and whose secrets are gone.
pub(super) fn without_secrets(folder: &Path) -> StartError {
    StartError(format!(
        "{} is missing, and there is data that was written with it: with new secrets nobody would be recognised any more. \
         Put back a copy of it, or delete the folder {} to start afresh.",
        folder.join(SECRETS).display(),
        folder.display()
    ))
}

/// Whether nothing but what a stack keeps lies in the folder.
fn is_of_a_stack(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(true) = name.to_str().map(is_kept) else { return Ok(false) };
    }
    Ok(true)
}

/// Whether a stack keeps something under this name. SQLite adds to the names of its files.
fn is_kept(name: &str) -> bool {
    matches!(name, "mail" | SECRETS | "secrets.new" | "dev.json" | "sluice.log")
        || name.starts_with(QUEUES)
        || name.starts_with(TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(folder: &Path) -> u32 {
        fs::metadata(folder).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_is_made_for_its_owner_only() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("new/data");
        assert!(make_private(&folder).unwrap());
        assert_eq!((mode(&place.path().join("new")), mode(&folder)), (OWNER, OWNER));
        assert!(make_private(&folder).unwrap(), "once more");
    }

    #[test]
    fn a_folder_of_before_is_closed_and_one_with_other_things_in_it_is_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("table.sqlite-wal"), "").unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        assert!(make_private(&folder).unwrap());
        assert_eq!(mode(&folder), OWNER);
        fs::write(folder.join("thesis.txt"), "").unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        assert!(!make_private(&folder).unwrap());
        assert_eq!(mode(&folder), 0o755);
    }
}
