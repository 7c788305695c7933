//! DynamoDB: the wire protocol and a meter in front of the embedded store.

use crate::{Service, failure};
use bytes::Bytes;
use dynoxide::actions::batch_get_item::BatchGetItemRequest;
use dynoxide::actions::batch_write_item::BatchWriteItemRequest;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::get_item::GetItemRequest;
use dynoxide::actions::list_tables::ListTablesRequest;
use dynoxide::actions::put_item::PutItemRequest;
use dynoxide::actions::query::QueryRequest;
use dynoxide::actions::scan::ScanRequest;
use dynoxide::actions::transact_get_items::TransactGetItemsRequest;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::actions::update_item::UpdateItemRequest;
use dynoxide::actions::update_table::UpdateTableRequest;
use dynoxide::types::ConsumedCapacity;
use dynoxide::{Database, Result};
use futures::future::{BoxFuture, FutureExt};
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use dynoxide::DynoxideError;

/// The prefix of `X-Amz-Target`.
const TARGET: &str = "DynamoDB_20120810.";
/// How long the store may be busy with others before its file is not written anew.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a log is left to others before it is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a log is tried, which takes the patience or a little more.
const TRIES: u32 = 100;
/// The detail asked of the store for every request, so that the meter can tell a table from its indexes.
const DETAIL: &str = "INDEXES";

/// Consumed capacity units: those of the table itself and of each index by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Units {
    /// Units of the table itself.
    pub table: f64,
    /// Units of each secondary index.
    pub indexes: BTreeMap<String, f64>,
}

impl Units {
    /// The table and all its indexes.
    pub fn total(&self) -> f64 {
        self.table + self.indexes.values().sum::<f64>()
    }

    fn add(&mut self, consumed: &ConsumedCapacity) {
        let global = consumed.global_secondary_indexes.iter().flatten();
        let local = consumed.local_secondary_indexes.iter().flatten();
        let mut indexed = 0.0;
        for (name, detail) in global.chain(local) {
            *self.indexes.entry(name.clone()).or_default() += detail.capacity_units;
            indexed += detail.capacity_units;
        }
        self.table += consumed.table.as_ref().map_or(consumed.capacity_units - indexed, |t| t.capacity_units);
    }
}

/// What one operation did since the meter was last emptied.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OperationMeter {
    /// Calls, refused ones included.
    pub calls: u64,
    /// Calls answered with an error. Their units are not known: DynamoDB charges a failed condition, but says so nowhere.
    pub refused: u64,
    /// Read units.
    pub read: Units,
    /// Write units.
    pub write: Units,
    /// Time spent in the store, waiting for its lock included.
    pub time: Duration,
}

/// Calls, units and time by operation (`PutItem`, `Query`, ...).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Meter {
    /// By operation.
    pub operations: BTreeMap<String, OperationMeter>,
}

impl Meter {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.operations.values().map(|operation| operation.calls).sum()
    }

    /// All write units, indexes included.
    pub fn write_units(&self) -> f64 {
        self.operations.values().map(|operation| operation.write.total()).sum()
    }

    /// All read units, indexes included.
    pub fn read_units(&self) -> f64 {
        self.operations.values().map(|operation| operation.read.total()).sum()
    }
}

/// Runs one metered operation: asks the store for the units in detail, notes them, and leaves in the answer only what
/// the caller asked for.
macro_rules! metered {
    ($used:ident, $request:expr, $call:expr) => {{
        let mut request = $request;
        let asked = request.return_consumed_capacity.take();
        // A value that DynamoDB does not know must reach the store's own check.
        let known = asked.as_deref().is_none_or(|mode| matches!(mode, "NONE" | "TOTAL" | "INDEXES"));
        request.return_consumed_capacity = if known { Some(DETAIL.to_owned()) } else { asked.clone() };
        let mut answer = $call(request)?;
        answer.consumed_capacity.each(&mut |consumed| $used.push(consumed.clone()));
        match asked.as_deref() {
            Some("INDEXES") => {}
            Some("TOTAL") => answer.consumed_capacity.each(&mut |consumed| {
                consumed.table = None;
                consumed.global_secondary_indexes = None;
                consumed.local_secondary_indexes = None;
            }),
            _ => answer.consumed_capacity = None,
        }
        write(&answer)
    }};
}

/// The units of an answer: one table's, or those of each table a batch touched.
trait Consumed {
    fn each(&mut self, f: &mut dyn FnMut(&mut ConsumedCapacity));
}

impl Consumed for Option<ConsumedCapacity> {
    fn each(&mut self, f: &mut dyn FnMut(&mut ConsumedCapacity)) {
        self.iter_mut().for_each(f);
    }
}

impl Consumed for Option<Vec<ConsumedCapacity>> {
    fn each(&mut self, f: &mut dyn FnMut(&mut ConsumedCapacity)) {
        self.iter_mut().flatten().for_each(f);
    }
}

/// The table store as a service. Clones share one store and one meter.
#[derive(Clone)]
pub struct DynamoDb {
    database: Database,
    meter: Arc<Mutex<Meter>>,
    file: Option<PathBuf>,
}

impl DynamoDb {
    /// A store that lives and dies with the process.
    pub fn memory() -> Result<Self> {
        Ok(Self { database: Database::memory()?, meter: Arc::default(), file: None })
    }

    /// A store in a SQLite file. What was answered survives `kill -9`, not a power cut: the write-ahead log is the
    /// kernel's at every commit and synced at checkpoints only, as the queues' is, because a sync at every commit costs
    /// more than all the rest of a lead.
    pub fn open(path: &Path) -> Result<Self> {
        let database = Database::new(&path.to_string_lossy())?;
        // The one call that sets `synchronous = NORMAL`; its other settings are the defaults.
        database.disable_bulk_loading()?;
        let store = Self { database, meter: Arc::default(), file: Some(path.to_owned()) };
        store.order_segments(&store.database.list_tables(ListTablesRequest::default())?.table_names)?;
        Ok(store)
    }

    /// Has the items of each segment of a parallel scan lie together. The store orders them by the hash of their partition key and
    /// keeps nothing in that order, so that each page of a segment would read and sort the whole table: 23 milliseconds for 500 of
    /// 47,000 items, with this 2. A write takes 10 microseconds more. In memory, where tables are small, it is done without.
    fn order_segments(&self, tables: &[String]) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let failed = |error: rusqlite::Error| DynoxideError::InternalServerError(error.to_string());
        let connection = Connection::open(file).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        for table in tables {
            // A table's name holds letters, digits, `_`, `-` and `.` only.
            let index =
                format!("CREATE INDEX IF NOT EXISTS \"{table}::segments\" ON \"{table}\" (hash_prefix)");
            connection.execute_batch(&index).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the file anew, so that nothing is left in it of what was deleted: neither in free pages nor in its log. It takes
    /// the time of a copy, in which nobody else writes.
    pub fn compact(&self) -> rusqlite::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let connection = Connection::open(file)?;
        connection.busy_timeout(PATIENCE)?;
        // What a page has room for is zeroed, instead of what lay there.
        connection.execute_batch("PRAGMA secure_delete = ON; VACUUM;")?;
        empty_log(&connection)
    }

    /// What was done since the start or the last [`DynamoDb::take_meter`].
    pub fn meter(&self) -> Meter {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was done since the last call, and starts again at nothing.
    pub fn take_meter(&self) -> Meter {
        std::mem::take(&mut *self.meter.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Deletes items past their time to live, as DynamoDB does some time within two days. Returns how many.
    pub fn sweep_ttl(&self) -> Result<usize> {
        self.database.sweep_ttl()
    }

    /// Runs one operation on its JSON body and gives the JSON answer; for set-up code that has no SDK client at hand.
    pub fn run(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>> {
        let mut used = Vec::new();
        let started = clock();
        let answer = self.dispatch(operation, body, &mut used);
        let time = started.elapsed();
        if let Err(error) = &answer {
            failure::log(operation, error);
        }
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = meter.operations.entry(operation.to_owned()).or_default();
        entry.calls += 1;
        entry.refused += u64::from(answer.is_err());
        entry.time += time;
        let writes =
            operation.contains("Write") || matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem");
        let units = if writes { &mut entry.write } else { &mut entry.read };
        used.iter().for_each(|consumed| units.add(consumed));
        answer
    }

    fn dispatch(&self, operation: &str, body: &[u8], used: &mut Vec<ConsumedCapacity>) -> Result<Vec<u8>> {
        let db = &self.database;
        match operation {
            "PutItem" => metered!(used, read::<PutItemRequest>(body)?, |r| db.put_item(r)),
            "UpdateItem" => metered!(used, read::<UpdateItemRequest>(body)?, |r| db.update_item(r)),
            "DeleteItem" => metered!(used, read::<DeleteItemRequest>(body)?, |r| db.delete_item(r)),
            "BatchWriteItem" => {
                metered!(used, read::<BatchWriteItemRequest>(body)?, |r| db.batch_write_item(r))
            }
            "TransactWriteItems" => {
                let mut request: TransactWriteItemsRequest = read(body)?;
                // The store keeps the tokens of the last ten minutes in a list that it walks at every call: 63
                // microseconds a transaction become 473 at 15,000 tokens. Nothing here needs them, since each
                // transaction carries its own condition.
                request.client_request_token = None;
                metered!(used, request, |r| db.transact_write_items(r))
            }
            "GetItem" => metered!(used, read::<GetItemRequest>(body)?, |r| db.get_item(r)),
            "Query" => metered!(used, read::<QueryRequest>(body)?, |r| db.query(r)),
            "Scan" => metered!(used, read::<ScanRequest>(body)?, |r| db.scan(r)),
            "BatchGetItem" => metered!(used, read::<BatchGetItemRequest>(body)?, |r| db.batch_get_item(r)),
            "TransactGetItems" => {
                metered!(used, read::<TransactGetItemsRequest>(body)?, |r| db.transact_get_items(r))
            }
            "CreateTable" => {
                let request: CreateTableRequest = read(body)?;
                refuse_stream(request.stream_specification.as_ref().is_some_and(|s| s.stream_enabled))?;
                let tables = [request.table_name.clone()];
                let created = db.create_table(request)?;
                self.order_segments(&tables)?;
                write(&created)
            }
            "UpdateTable" => {
                let request: UpdateTableRequest = read(body)?;
                refuse_stream(request.stream_specification.as_ref().is_some_and(|s| s.stream_enabled))?;
                write(&db.update_table(request)?)
            }
            "DeleteTable" => write(&db.delete_table(read(body)?)?),
            "DescribeTable" => write(&db.describe_table(read(body)?)?),
            "ListTables" => write(&db.list_tables(read(body)?)?),
            "UpdateTimeToLive" => write(&db.update_time_to_live(read(body)?)?),
            "DescribeTimeToLive" => write(&db.describe_time_to_live(read(body)?)?),
            _ => Err(DynoxideError::ValidationException(format!(
                "{operation} is not supported by the embedded store"
            ))),
        }
    }
}

impl Service for DynamoDb {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
        let Some(operation) = target.and_then(|target| target.strip_prefix(TARGET)).map(str::to_owned) else {
            let body = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
            return std::future::ready(answer(400, body.into())).boxed();
        };
        let store = self.clone();
        // On the caller's thread: a call takes 45 microseconds in memory and 310 with its sync to disk, and handing it to a
        // blocking thread and back adds 60 to either. Under 16 callers on two cores it was 25 % slower with the hand-over.
        async move {
            match store.run(&operation, request.body()) {
                Ok(body) => answer(200, body),
                Err(error) => {
                    tracing::debug!(
                        operation,
                        status = error.status_code(),
                        kind = error.error_type(),
                        "refused"
                    );
                    answer(error.status_code(), error.to_json().into_bytes())
                }
            }
        }
        .boxed()
    }
}

/// Empties the log of a file that others use too. SQLite waits for those who read it and not for whoever else writes it back to
/// the file, so it is asked again.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PAUSE)?;
    for _ in 0..TRIES {
        let is_used =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))?;
        if !is_used {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    Err(rusqlite::Error::SqliteFailure(busy, Some("its log is in use".to_owned())))
}

fn refuse_stream(enabled: bool) -> Result<()> {
    if enabled {
        // A write to a table with a stream costs O(n) in the embedded store, and nothing here reads one.
        return Err(DynoxideError::ValidationException(
            "StreamSpecification: streams are not supported by the embedded store".to_owned(),
        ));
    }
    Ok(())
}

/// Reads a request. The store's own readers mark the class of an error at the start of its message.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        match text.strip_prefix("VALIDATION_REQUEST:").or_else(|| text.strip_prefix("VALIDATION:")) {
            Some(message) => DynoxideError::ValidationException(message.to_owned()),
            None if text.starts_with("missing field") || text.contains("Supplied AttributeValue") => {
                DynoxideError::ValidationException(text.to_owned())
            }
            None => DynoxideError::SerializationException(
                text.strip_prefix("SERIALIZATION:").unwrap_or(text).to_owned(),
            ),
        }
    })
}

fn write<T: Serialize>(answer: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

fn answer(status: u16, body: Vec<u8>) -> http::Response<Bytes> {
    let mut answer = http::Response::new(Bytes::from(body));
    *answer.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let kind = http::HeaderValue::from_static("application/x-amz-json-1.0");
    answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    answer
}

#[allow(clippy::disallowed_methods, reason = "measures how long the store takes; decides nothing")]
fn clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn store() -> DynamoDb {
        let store = DynamoDb::memory().unwrap();
        create(&store);
        store
    }

    fn create(store: &DynamoDb) {
        run(store, "CreateTable", table()).unwrap();
    }

    fn table() -> Value {
        json!({
            "TableName": "leads", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                { "AttributeName": "pk", "AttributeType": "S" }, { "AttributeName": "open", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by-open", "Projection": { "ProjectionType": "KEYS_ONLY" },
                "KeySchema": [{ "AttributeName": "open", "KeyType": "HASH" }] }],
        })
    }

    fn run(store: &DynamoDb, operation: &str, body: Value) -> Result<Value> {
        store.run(operation, body.to_string().as_bytes()).map(|body| serde_json::from_slice(&body).unwrap())
    }

    fn put(key: &str, open: bool) -> Value {
        let mut item = json!({ "pk": { "S": key }, "text": { "S": "x".repeat(1500) } });
        if open {
            item["open"] = json!({ "S": "yes" });
        }
        json!({ "TableName": "leads", "Item": item })
    }

    #[test]
    fn units_are_counted_by_table_and_index_though_the_caller_asked_for_none() {
        let store = store();
        let plain = run(&store, "PutItem", put("a", false)).unwrap();
        assert_eq!(plain, json!({}));
        run(&store, "PutItem", put("b", true)).unwrap();
        run(&store, "GetItem", json!({ "TableName": "leads", "Key": { "pk": { "S": "a" } } })).unwrap();
        let meter = store.take_meter();
        let puts = &meter.operations["PutItem"];
        assert_eq!((puts.calls, puts.refused), (2, 0));
        assert_eq!((puts.write.table, puts.write.indexes["by-open"]), (4.0, 1.0));
        assert_eq!((meter.write_units(), meter.read_units()), (5.0, 0.5));
        assert!(puts.time > Duration::ZERO);
        assert_eq!(store.meter(), Meter::default());
    }

    #[test]
    fn a_caller_who_asks_gets_the_units_in_the_detail_asked_for() {
        let store = store();
        let asked = |mode: &str, key: &str| {
            let mut request = put(key, true);
            request["ReturnConsumedCapacity"] = json!(mode);
            run(&store, "PutItem", request)
        };
        let total = asked("TOTAL", "a").unwrap();
        assert_eq!(total, json!({ "ConsumedCapacity": { "TableName": "leads", "CapacityUnits": 3.0 } }));
        let indexes = asked("INDEXES", "b").unwrap();
        assert_eq!(indexes["ConsumedCapacity"]["GlobalSecondaryIndexes"]["by-open"]["CapacityUnits"], 1.0);
        assert_eq!(asked("NONE", "c").unwrap(), json!({}));
        assert!(matches!(asked("SOME", "d"), Err(DynoxideError::ValidationException(_))));
    }

    #[test]
    fn a_transaction_runs_again_under_the_token_of_the_first_and_its_condition_decides() {
        let store = store();
        let mut action = put("a", false);
        action["ConditionExpression"] = json!("attribute_not_exists(pk)");
        let request = json!({ "ClientRequestToken": "one", "TransactItems": [{ "Put": action }] });
        run(&store, "TransactWriteItems", request.clone()).unwrap();
        let second = run(&store, "TransactWriteItems", request).unwrap_err();
        let body: Value = serde_json::from_str(&second.to_json()).unwrap();
        assert_eq!(body["CancellationReasons"][0]["Code"], "ConditionalCheckFailed");
        assert_eq!(store.meter().operations["TransactWriteItems"].write.table, 4.0);
    }

    #[test]
    fn streams_and_unknown_operations_are_refused() {
        let store = DynamoDb::memory().unwrap();
        let mut with_stream = table();
        with_stream["StreamSpecification"] = json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" });
        assert!(run(&store, "CreateTable", with_stream).is_err());
        assert!(run(&store, "ExecuteStatement", json!({ "Statement": "SELECT * FROM leads" })).is_err());
    }

    #[tokio::test]
    async fn the_wire_answers_in_the_json_protocol() {
        let call = |target: &str, body: Value| {
            let request = http::Request::post("/").header("x-amz-target", target);
            store().call(request.body(Bytes::from(body.to_string())).unwrap())
        };
        let listed = call("DynamoDB_20120810.ListTables", json!({})).await;
        assert_eq!(
            (listed.status().as_u16(), listed.body().as_ref()),
            (200, br#"{"TableNames":["leads"]}"#.as_ref())
        );
        let missing = call("DynamoDB_20120810.DescribeTable", json!({ "TableName": "none" })).await;
        let error: Value = serde_json::from_slice(missing.body()).unwrap();
        assert_eq!(missing.status().as_u16(), 400);
        assert!(error["__type"].as_str().unwrap().ends_with("#ResourceNotFoundException"), "{error}");
        assert_eq!(call("Something.Else", json!({})).await.status().as_u16(), 400);
    }

    #[test]
    fn a_page_of_a_segment_does_not_sort_the_whole_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.sqlite");
        let store = DynamoDb::open(&path).unwrap();
        create(&store);
        // A connection of its own each time: only one that reads the file anew sees what others changed in its schema.
        let way = || {
            let file = Connection::open(&path).unwrap();
            let page = "EXPLAIN QUERY PLAN SELECT pk, sk, item_json FROM leads WHERE (hash_prefix, pk, sk) > (?1, ?2, ?3) \
                        AND substr(hash_prefix, 1, 3) >= ?4 AND substr(hash_prefix, 1, 3) <= ?5 \
                        ORDER BY hash_prefix ASC, pk ASC, sk ASC LIMIT 500";
            let mut steps = file.prepare(page).unwrap();
            let steps =
                steps.query_map(["a", "b", "c", "d", "e"], |row| row.get::<_, String>("detail")).unwrap();
            steps.map(|step| step.unwrap()).collect::<Vec<_>>().join("; ")
        };
        assert!(way().contains("USING INDEX leads::segments (hash_prefix>?)"), "{}", way());
        // A file of before is given it when it is opened.
        Connection::open(&path).unwrap().execute_batch("DROP INDEX \"leads::segments\"").unwrap();
        assert!(way().contains("SCAN leads"), "{}", way());
        drop((store, DynamoDb::open(&path).unwrap()));
        assert!(way().contains("USING INDEX"), "{}", way());
    }

    #[test]
    fn segments_share_a_table_among_them_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let store = DynamoDb::open(&folder.path().join("table.sqlite")).unwrap();
        create(&store);
        for n in 0..60 {
            run(&store, "PutItem", put(&format!("item {n}"), false)).unwrap();
        }
        let mut found = Vec::new();
        for segment in 0..4 {
            let mut request =
                json!({ "TableName": "leads", "Segment": segment, "TotalSegments": 4, "Limit": 4 });
            loop {
                let page = run(&store, "Scan", request.clone()).unwrap();
                let items = page["Items"].as_array().unwrap();
                assert!(items.len() <= 4);
                found.extend(items.iter().map(|item| item["pk"]["S"].as_str().unwrap().to_owned()));
                if page["LastEvaluatedKey"].is_null() {
                    break;
                }
                request["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
            }
        }
        found.sort();
        let mut all: Vec<String> = (0..60).map(|n| format!("item {n}")).collect();
        all.sort();
        assert_eq!(found, all);
    }

    #[test]
    fn a_log_that_another_is_writing_back_is_emptied_after_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.sqlite");
        let store = DynamoDb::open(&path).unwrap();
        create(&store);
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let held = reader.query_row("SELECT count(*) FROM leads", [], |row| row.get::<_, i64>(0));
        assert_eq!(held.unwrap(), 0);
        run(&store, "PutItem", put("a", false)).unwrap();
        let write_back = |connection: &Connection, how: &str| {
            let order = format!("PRAGMA wal_checkpoint({how})");
            connection.query_row(&order, [], |row| row.get::<_, bool>(0)).unwrap()
        };
        let file = Connection::open(&path).unwrap();
        std::thread::scope(|scope| {
            // It waits for the reader, and keeps everybody else from the log meanwhile.
            scope.spawn(|| {
                let other = Connection::open(&path).unwrap();
                other.busy_timeout(PATIENCE).unwrap();
                while write_back(&other, "FULL") {}
            });
            while !write_back(&file, "PASSIVE") {
                std::thread::sleep(Duration::from_millis(1));
            }
            scope.spawn(move || {
                std::thread::sleep(PAUSE * 2);
                drop(reader);
            });
            empty_log(&file).unwrap();
        });
        assert_eq!(std::fs::metadata(path.with_extension("sqlite-wal")).unwrap().len(), 0);
    }

    #[test]
    fn a_file_keeps_what_was_answered_even_if_the_store_is_never_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.sqlite");
        let store = DynamoDb::open(&path).unwrap();
        create(&store);
        run(&store, "PutItem", put("a", false)).unwrap();
        // A copy of the files while the store is open is what a killed process leaves behind.
        let copy = folder.path().join("copy.sqlite");
        std::fs::copy(&path, &copy).unwrap();
        let log = |path: &Path| path.with_extension("sqlite-wal");
        std::fs::copy(log(&path), log(&copy)).unwrap();
        let again = DynamoDb::open(&copy).unwrap();
        let got =
            run(&again, "GetItem", json!({ "TableName": "leads", "Key": { "pk": { "S": "a" } } })).unwrap();
        assert_eq!(got["Item"]["pk"]["S"], "a");
    }
}
