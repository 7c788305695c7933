//! Folders of cases: requests as they go over the wire, and an index that says what has to come of each.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
const COLLECTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/payloads");

/// A folder of cases.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) cases: Vec<Value>,
}

impl Folder {
    pub(crate) fn read(path: PathBuf) -> Self {
        let index = std::fs::read_to_string(path.join("index.json")).expect("an index");
        let index: Value = serde_json::from_str(&index).expect("JSON");
        let cases = index["cases"].as_array().cloned().expect("cases");
        let folder = Self { path, cases };
        let named = folder.cases.iter().flat_map(|case| [text(&case["file"]), text(&case["cert"])]);
        let listed: BTreeSet<String> = named.filter(|name| !name.is_empty()).collect();
        let there = std::fs::read_dir(&folder.path).unwrap().map(|entry| entry.unwrap().file_name());
        let there = there.map(|name| name.into_string().unwrap());
        let there: BTreeSet<String> =
            there.filter(|name| !matches!(name.as_str(), "README.md" | "index.json")).collect();
        assert_eq!(listed, there, "every fixture of {} is listed", folder.path.display());
        folder
    }

    pub(crate) fn bytes(&self, case: &Value) -> Vec<u8> {
        std::fs::read(self.path.join(text(&case["file"]))).expect("the fixture")
    }

    pub(crate) fn json(&self, case: &Value) -> Value {
        serde_json::from_slice(&self.bytes(case)).expect("JSON")
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Value> {
        self.cases.iter().find(|case| case["id"] == id)
    }
}

/// The folders of that name: ours, and the collection's.
pub(crate) fn folders(name: &str) -> Vec<Folder> {
    let mut folders = vec![Folder::read(Path::new(OWN).join(name))];
    let more = Path::new(COLLECTION).join(name);
    if more.is_dir() {
        folders.push(Folder::read(more));
    } else {
        println!("skipped: the collection of {name} is not there");
    }
    folders
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}
