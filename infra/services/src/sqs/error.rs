//! What the queue server refuses, under the names the SQS API has for it.

/// Why a request was refused: the errors of the SQS API reference and the common ones of the AWS JSON protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Two entries of a batch share an id.
    BatchEntryIdsNotDistinct,
    /// The bodies and attributes of a batch are too long together.
    BatchRequestTooLong,
    /// A batch without entries.
    EmptyBatchRequest,
    /// The queue URL is not one.
    InvalidAddress,
    /// An attribute that does not exist.
    InvalidAttributeName,
    /// A queue attribute with a value it cannot have.
    InvalidAttributeValue,
    /// A batch entry's id is too long or has other characters than letters, digits, hyphen and underscore.
    InvalidBatchEntryId,
    /// The body has characters that SQS does not carry.
    InvalidMessageContents,
    /// The message is not in flight.
    MessageNotInflight,
    /// The queue was purged less than 60 seconds ago.
    PurgeQueueInProgress,
    /// A queue of that name was deleted less than 60 seconds ago.
    QueueDeletedRecently,
    /// No such queue.
    QueueDoesNotExist,
    /// A queue of that name exists with other attributes.
    QueueNameExists,
    /// Not a receipt handle of this queue.
    ReceiptHandleIsInvalid,
    /// No such queue or task, in the actions that take an ARN.
    ResourceNotFound,
    /// More than ten entries in a batch.
    TooManyEntriesInBatchRequest,
    /// Something SQS does not do in this state, or that this server does not do.
    UnsupportedOperation,
    /// A parameter with a value it cannot have.
    InvalidParameterValue,
    /// A parameter that must be there is not.
    MissingParameter,
    /// The body is not the JSON of this action.
    Serialization,
    /// No such action.
    UnknownOperation,
}

impl Code {
    /// The shape named in `__type`, and the code of the older query protocol, which SDKs read from the header
    /// `x-amzn-query-error` (Smithy's `awsQueryCompatible` trait).
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::BatchEntryIdsNotDistinct => (
                "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            ),
            Self::BatchRequestTooLong => {
                ("com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong")
            }
            Self::EmptyBatchRequest => {
                ("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest")
            }
            Self::InvalidAddress => ("com.amazonaws.sqs#InvalidAddress", "InvalidAddress"),
            Self::InvalidAttributeName => ("com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName"),
            Self::InvalidAttributeValue => {
                ("com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue")
            }
            Self::InvalidBatchEntryId => {
                ("com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId")
            }
            Self::InvalidMessageContents => {
                ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents")
            }
            Self::MessageNotInflight => {
                ("com.amazonaws.sqs#MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight")
            }
            Self::PurgeQueueInProgress => {
                ("com.amazonaws.sqs#PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress")
            }
            Self::QueueDeletedRecently => {
                ("com.amazonaws.sqs#QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently")
            }
            Self::QueueDoesNotExist => {
                ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
            }
            Self::QueueNameExists => ("com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists"),
            Self::ReceiptHandleIsInvalid => {
                ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid")
            }
            Self::ResourceNotFound => {
                ("com.amazonaws.sqs#ResourceNotFoundException", "ResourceNotFoundException")
            }
            Self::TooManyEntriesInBatchRequest => (
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            Self::UnsupportedOperation => {
                ("com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation")
            }
            Self::InvalidParameterValue => {
                ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue")
            }
            Self::MissingParameter => {
                ("com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter")
            }
            Self::Serialization => ("com.amazon.coral.service#SerializationException", "MalformedInput"),
            Self::UnknownOperation => ("com.amazon.coral.service#UnknownOperationException", "InvalidAction"),
        }
    }
}

/// A queue operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum SqsError {
    /// SQS would refuse it as well. Repeating it does not help.
    #[error("{}: {message}", code.names().1)]
    Refused {
        /// Which rule.
        code: Code,
        /// What is wrong, for a person; quotes parameters, never a message body.
        message: String,
    },
    /// The database failed.
    #[error("queue storage: {0}")]
    Storage(#[from] rusqlite::Error),
    /// What is stored cannot be read back.
    #[error("queue storage: {0}")]
    Corrupt(&'static str),
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
}

impl SqsError {
    /// A refusal.
    pub(super) fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// A parameter has a value it cannot have.
    pub(super) fn parameter(
        name: &str,
        value: impl std::fmt::Display,
        reason: impl std::fmt::Display,
    ) -> Self {
        Self::refused(
            Code::InvalidParameterValue,
            format!("Value {value} for parameter {name} is invalid. Reason: {reason}."),
        )
    }

    /// A parameter is missing.
    pub(super) fn missing(name: &str) -> Self {
        Self::refused(Code::MissingParameter, format!("The request must contain the parameter {name}."))
    }

    /// No such queue.
    pub(super) fn no_queue() -> Self {
        Self::refused(Code::QueueDoesNotExist, "The specified queue does not exist.")
    }

    /// The refusal's code, if it is one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Storage(_) | Self::Corrupt(_) | Self::Random(_) => None,
        }
    }
}
