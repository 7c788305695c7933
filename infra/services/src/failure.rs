//! Failures of the table's store itself, for which DynamoDB has no name: a disk that is full, a file that cannot be written.

use dynoxide::DynoxideError;

/// Logs an error that is none of DynamoDB's own; whoever called hears no more than that there was one.
pub(crate) fn log(operation: &str, error: &DynoxideError) {
    if error.status_code() == 500 {
        tracing::error!(operation, cause = cause(error), "the table's store failed");
    }
}

/// What the store says, without what items hold: whoever reads JSON quotes what they cannot read.
fn cause(error: &DynoxideError) -> String {
    let text = error.to_string();
    match text.contains("JSON") || text.contains(" at line ") {
        true => "what is stored cannot be read as JSON".to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::DynamoDb;
    use rusqlite::Connection;
    use serde_json::json;
    use std::fmt::{Debug, Write};
    use std::sync::{Arc, Mutex};
    use tracing::field::Field;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// Keeps what is logged, a line each.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Lines {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("sluice_services")
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut line = event.metadata().level().to_string();
            event.record(&mut |field: &Field, value: &dyn Debug| {
                write!(line, " {}={value:?}", field.name()).unwrap();
            });
            self.0.lock().unwrap().push(line);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn what_the_store_itself_fails_of_is_logged_with_its_cause_and_a_refusal_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.sqlite");
        let store = DynamoDb::open(&path).unwrap();
        let run =
            |operation: &str, body: serde_json::Value| store.run(operation, body.to_string().as_bytes());
        let table = json!({
            "TableName": "leads", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        });
        run("CreateTable", table).unwrap();
        let put = |name: &str| json!({ "TableName": name, "Item": { "pk": { "S": "merula" } } });
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), || {
            run("PutItem", put("none")).unwrap_err();
            assert!(lines.0.lock().unwrap().is_empty());
            Connection::open(&path).unwrap().execute_batch("DROP TABLE leads").unwrap();
            run("PutItem", put("leads")).unwrap_err();
        });
        let lines = lines.0.lock().unwrap();
        let is_told = |line: &String| line.starts_with("ERROR") && line.contains("no such table");
        assert!(lines.len() == 1 && lines.iter().all(is_told), "{lines:?}");
        assert!(!lines[0].contains("merula"), "{lines:?}");
    }

    #[test]
    fn what_an_item_holds_is_in_no_cause() {
        for quoting in
            ["Bad item JSON in storage: invalid type: merula", "invalid type: merula at line 1 column 2"]
        {
            assert!(!cause(&DynoxideError::InternalServerError(quoting.to_owned())).contains("merula"));
        }
        let full = DynoxideError::InternalServerError("backend: database or disk is full".to_owned());
        assert_eq!(cause(&full), "backend: database or disk is full");
    }
}
