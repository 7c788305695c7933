//! Sluice's table: keys, records, load, commit. The only crate that links aws-sdk-dynamodb.
//!
//! Every write carries its condition. A condition that does not hold is an answer ([`Written::Conflict`]), not an
//! error; errors are only "try again" and "a record cannot be read".

mod alarm;
mod audit;
mod campaign;
mod commit;
mod contact;
mod counted;
mod desk;
mod due;
mod endpoint;
mod entry;
mod erasure;
mod error;
mod gate;
mod import;
mod item;
mod keyed;
pub mod keys;
mod lead;
mod look;
mod lookalike;
mod mark;
mod message;
mod notice;
mod pace;
mod people;
mod person;
mod policy;
mod post;
mod proof;
mod scan;
mod speed;
mod state;
mod team;
mod token;
mod word;

pub use campaign::Parked;
pub use commit::{Commit, Writes};
pub use contact::Contact;
pub use counted::{Counted, Counting};
pub use desk::{CompanyRecord, Desk, LeaveRecord, Wanted};
pub use due::{DueEnd, DueEntry, DuePage};
pub use endpoint::Endpoint;
pub use entry::History;
pub use erasure::driven_again;
pub use error::StoreError;
pub use gate::GateRecord;
pub use import::{Batch, BatchState, Chunk};
pub use lead::{Accepted, LeadLine, OpenLead, Page, Standing};
pub use look::looks;
pub use lookalike::Lookalikes;
pub use mark::Mark;
pub use message::Asked;
pub use notice::{Claim, NoticeRecord, Told, ToldPlace};
pub use pace::Slot;
pub use person::WantedPerson;
pub use policy::{MAX_MANIFEST, Manifest, ManifestEntry, Policies};
pub use proof::Recorded;
pub use team::TeamRecord;
pub use token::{Token, TokenMade};
pub use word::Word;

use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;
use desk::Absences;
use std::sync::{Arc, Mutex};

/// The table.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
    absences: Arc<Mutex<Absences>>,
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It is stored.
    Done,
    /// Somebody was faster, or another transaction was on one of its items just then; nothing was written. Load again and decide again.
    Conflict,
}

impl Store {
    /// The table called `table`, by calls that are made as `config` says: at `endpoint`, else where AWS has it.
    pub fn open(config: &SdkConfig, endpoint: Option<&str>, table: impl Into<String>) -> Self {
        let mut config = aws_sdk_dynamodb::config::Builder::from(config);
        config.set_endpoint_url(endpoint.map(str::to_owned));
        let client = Client::from_conf(config.build());
        Self { client, table: table.into(), absences: Arc::default() }
    }
}
