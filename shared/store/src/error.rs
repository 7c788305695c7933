//! Errors of the store: try again, or a record that cannot be read.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// What can go wrong besides a condition that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not do it, or its answer was lost. Redelivery repairs both.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// A record is not what this version writes. A person has to look.
    #[error("record cannot be read: {0}")]
    Corrupt(String),
    /// A cursor that no page of this list ended with. The caller's mistake.
    #[error("cursor cannot be read")]
    Cursor,
}

impl<E: ProvideErrorMetadata, R> From<SdkError<E, R>> for StoreError {
    fn from(error: SdkError<E, R>) -> Self {
        let what = match &error {
            SdkError::ServiceError(service) => service.err().code().unwrap_or("unknown error").to_owned(),
            SdkError::TimeoutError(_) => "timeout".to_owned(),
            SdkError::DispatchFailure(_) => "no connection".to_owned(),
            SdkError::ResponseError(_) => "answer cannot be read".to_owned(),
            _ => "request cannot be built".to_owned(),
        };
        Self::Unavailable(what)
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        // Line and column only: the text may quote personal data.
        Self::Corrupt(format!("JSON at line {} column {}", error.line(), error.column()))
    }
}
