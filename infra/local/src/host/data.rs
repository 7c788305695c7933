//! The folder of a stack's data: for nobody else on this machine to read.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

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
    matches!(name, "mail" | "secrets.json" | "secrets.new" | "dev.json" | "sluice.log")
        || name.starts_with("queues.sqlite")
        || name.starts_with("table.sqlite")
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
