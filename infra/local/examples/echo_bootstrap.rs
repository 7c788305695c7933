//! A function that the tests of the Runtime API start as a binary: it gives its payload back, fails, hangs or crashes.

use bytes::Bytes;
use futures::future::BoxFuture;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, InvokeError, StartError};
use std::sync::Arc;

struct Echo;

impl Function for Echo {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            match payload.as_ref() {
                b"\"crash\"" => std::process::exit(3),
                b"\"hang\"" => std::future::pending().await,
                b"\"fail\"" => Err(InvokeError { kind: "Oops".to_owned(), message: "as asked".to_owned() }),
                _ => Ok(payload),
            }
        })
    }
}

fn build(environment: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        environment.required("ECHO")?;
        environment.metrics.emit(r#"{"started":1}"#);
        Ok(Arc::new(Echo) as Arc<dyn Function>)
    })
}

fn main() -> Result<(), StartError> {
    sluice_host::lambda::run(build)
}
