//! What `samples/` shows has to work: every policy loads, every lead is read, nothing lies about unused.

use super::{SourceText, load};
use std::path::{Path, PathBuf};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples")
}

#[test]
fn todo() {}
