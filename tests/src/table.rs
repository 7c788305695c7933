//! The table of a world, and its items as they are: what was written is read again, the rest is known.

use crate::wire::{Call, text};
use serde_json::{Value, json};
use sluice_services::dynamodb::DynamoDb;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The table's name.
pub const TABLE: &str = "sluice";

/// Partition and sort key.
pub type Key = (String, String);
/// Items by key.
pub type Items = BTreeMap<Key, Arc<Value>>;
/// Items that are not as they were at the beginning; none is "not there".
pub type Changes = BTreeMap<Key, Option<Arc<Value>>>;

/// A table and what is in it.
pub struct Table {
    store: DynamoDb,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Where it began.
    base: Arc<Items>,
    /// Where it stands, but for what is stale.
    items: Items,
    /// Hashes of the items that are not as in the base; none is "not there".
    differs: BTreeMap<Key, Option<u64>>,
    /// Written since it was read.
    stale: BTreeSet<Key>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        let store = DynamoDb::memory().unwrap();
        store.run("CreateTable", definition().to_string().as_bytes()).unwrap();
        Self { store, known: Mutex::default() }
    }

    /// A table that begins with these items.
    pub fn of(items: &Arc<Items>) -> Self {
        let table = Self::new();
        let puts = items.values().map(|item| json!({ "PutRequest": { "Item": &**item } }));
        table.write(puts.collect());
        *table.known() = Known { base: items.clone(), items: Items::clone(items), ..Known::default() };
        table
    }

    /// The store behind it.
    pub const fn store(&self) -> &DynamoDb {
        &self.store
    }

    /// Notes what a call that was carried out may have written.
    pub fn note(&self, call: &Call) {
        self.known().stale.extend(written(call));
    }

    /// All items, by key.
    pub fn items(&self) -> Items {
        self.fresh().items.clone()
    }

    /// Whether an item under one of these beginnings of keys is meant.
    pub fn has(&self, begins: &str, is_meant: impl Fn(&Value) -> bool) -> bool {
        let known = self.fresh();
        let from = known.items.range((begins.to_owned(), String::new())..);
        from.take_while(|((pk, _), _)| pk.starts_with(begins)).any(|(_, item)| is_meant(item))
    }

    /// Hashes what is not as it was at the beginning.
    pub fn print_into(&self, mut state: &mut dyn Hasher) {
        let state = &mut state;
        self.fresh().differs.hash(state);
    }

    /// What is not as it was at the beginning.
    pub fn changes(&self) -> Changes {
        let known = self.fresh();
        known.differs.keys().map(|key| (key.clone(), known.items.get(key).cloned())).collect()
    }

    /// Puts it to where only this is not as it was at the beginning.
    pub fn go_to(&self, changes: &Changes) {
        let mut known = self.fresh();
        let mut wanted = changes.clone();
        for key in known.differs.keys().filter(|key| !changes.contains_key(*key)) {
            wanted.insert(key.clone(), known.base.get(key).cloned());
        }
        wanted.retain(|key, item| known.items.get(key) != item.as_ref());
        let requests = wanted.iter().map(|(key, item)| match item {
            Some(item) => json!({ "PutRequest": { "Item": &**item } }),
            None => json!({ "DeleteRequest": { "Key": attributes(key) } }),
        });
        self.write(requests.collect());
        for (key, item) in wanted {
            known.set(&key, item);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is stale.
    fn fresh(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known();
        let stale = Vec::from_iter(std::mem::take(&mut known.stale));
        for keys in stale.chunks(100) {
            let asked = Vec::from_iter(keys.iter().map(attributes));
            let request = json!({ "RequestItems": { TABLE: { "Keys": asked, "ConsistentRead": true } } });
            let mut answer = self.run("BatchGetItem", &request);
            assert_eq!(answer["UnprocessedKeys"].as_object().map_or(0, serde_json::Map::len), 0);
            let found = answer["Responses"][TABLE].as_array_mut().map(std::mem::take).unwrap_or_default();
            let mut found = Items::from_iter(found.into_iter().map(|item| (key(&item), Arc::new(item))));
            for key in keys {
                known.set(key, found.remove(key));
            }
        }
        known
    }

    fn write(&self, requests: Vec<Value>) {
        for some in requests.chunks(25) {
            self.run("BatchWriteItem", &json!({ "RequestItems": { TABLE: some } }));
        }
    }

    fn run(&self, operation: &str, body: &Value) -> Value {
        let answer = self.store.run(operation, body.to_string().as_bytes()).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }
}

/// The keys that a call may write.
pub fn written(call: &Call) -> Vec<Key> {
    let operation = call.operation.as_str();
    if !operation.contains("Write") && !matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem") {
        return Vec::new();
    }
    let body = call.json();
    let some = |list: &Value, parts: [[&str; 2]; 3]| {
        let actions = list.as_array().into_iter().flatten();
        let items = actions.flat_map(|action| parts.map(|[part, of]| key(&action[part][of])));
        items.filter(|(pk, _)| !pk.is_empty()).collect()
    };
    match operation {
        "PutItem" => vec![key(&body["Item"])],
        "BatchWriteItem" => {
            some(&body["RequestItems"][TABLE], [["PutRequest", "Item"], ["DeleteRequest", "Key"], ["", ""]])
        }
        "TransactWriteItems" => {
            some(&body["TransactItems"], [["Put", "Item"], ["Update", "Key"], ["Delete", "Key"]])
        }
        _ => vec![key(&body["Key"])],
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Known {
    fn set(&mut self, key: &Key, item: Option<Arc<Value>>) {
        if self.base.get(key) == item.as_ref() {
            self.differs.remove(key);
        } else {
            self.differs.insert(key.clone(), item.as_deref().map(hash_of));
        }
        match item {
            Some(item) => self.items.insert(key.clone(), item),
            None => self.items.remove(key),
        };
    }
}

/// A hash of a JSON value; the order of its members does not count.
pub fn hash_of(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash_into(value, &mut hasher);
    hasher.finish()
}

fn hash_into(value: &Value, state: &mut DefaultHasher) {
    match value {
        Value::Null => 0_u8.hash(state),
        Value::Bool(value) => (1_u8, value).hash(state),
        Value::Number(value) => (2_u8, value.to_string()).hash(state),
        Value::String(value) => (3_u8, value).hash(state),
        Value::Array(values) => {
            (4_u8, values.len()).hash(state);
            values.iter().for_each(|value| hash_into(value, state));
        }
        Value::Object(values) => {
            (5_u8, values.len()).hash(state);
            // Members are sorted by their names.
            for (name, value) in values {
                name.hash(state);
                hash_into(value, state);
            }
        }
    }
}

/// The key of an item.
pub fn key(item: &Value) -> Key {
    (text(item, "pk").to_owned(), text(item, "sk").to_owned())
}

fn attributes((pk, sk): &Key) -> Value {
    json!({ "pk": { "S": pk }, "sk": { "S": sk } })
}

fn definition() -> Value {
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let attributes = ["pk", "sk", "ix", "ia"].map(attribute);
    let keys = |hash: &str, range: &str| {
        json!([
            { "AttributeName": hash, "KeyType": "HASH" },
            { "AttributeName": range, "KeyType": "RANGE" },
        ])
    };
    json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": keys("pk", "sk"),
        "GlobalSecondaryIndexes": [{
            "IndexName": "open", "Projection": { "ProjectionType": "KEYS_ONLY" }, "KeySchema": keys("ix", "ia"),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(pk: &str, text: &str) -> Value {
        json!({ "pk": { "S": pk }, "sk": { "S": "s" }, "t": { "S": text } })
    }

    fn put(table: &Table, pk: &str, text: &str) {
        table.run("PutItem", &json!({ "TableName": TABLE, "Item": item(pk, text) }));
        table.known().stale.insert((pk.to_owned(), "s".to_owned()));
    }

    fn print(table: &Table) -> u64 {
        let mut hasher = DefaultHasher::new();
        table.print_into(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_table_knows_what_was_written_and_goes_back() {
        let base = Arc::new(Items::from([(("a".into(), "s".into()), Arc::new(item("a", "one")))]));
        let table = Table::of(&base);
        let before = print(&table);
        put(&table, "a", "two");
        put(&table, "b", "new");
        assert_ne!(print(&table), before);
        assert_eq!(table.items().len(), 2);
        assert!(table.has("b", |item| text(item, "t") == "new"));
        put(&table, "a", "one");
        let body = json!({ "TableName": TABLE, "Key": attributes(&("b".into(), "s".into())) });
        table.run("DeleteItem", &body);
        table.known().stale.insert(("b".into(), "s".into()));
        assert_eq!(print(&table), before, "the same again is the same");
        put(&table, "c", "more");
        let changes = table.changes();
        table.go_to(&Changes::new());
        assert_eq!((table.items(), print(&table)), (Items::clone(&base), before));
        assert_eq!(table.run("Scan", &json!({ "TableName": TABLE }))["Count"], 1);
        table.go_to(&changes);
        assert_eq!(table.changes(), changes);
        assert_eq!(table.run("Scan", &json!({ "TableName": TABLE }))["Count"], 2);
    }
}
