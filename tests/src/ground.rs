//! What the functions of a world stand on: clock, randomness, table, queues, and what was seen on the way to them.

use crate::observe::Observed;
use crate::outside::{SeededRandom, VirtualClock};
use crate::table::Table;
use sluice_services::sqs::Sqs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Everything outside of the functions that a plan changes. The mailbox and the receivers of webhooks keep what they get
/// and answer all alike; what they got is observed.
pub struct Ground {
    /// The clock of everything.
    pub clock: Arc<VirtualClock>,
    /// The randomness of everything.
    pub random: Arc<SeededRandom>,
    /// The table.
    pub table: Arc<Table>,
    /// The queues.
    pub queues: Sqs,
    /// The queues' names, those of dead letters included.
    pub names: Vec<String>,
    observed: Mutex<Observed>,
}

impl Ground {
    /// Where nothing was seen yet.
    pub fn new(
        clock: Arc<VirtualClock>,
        random: SeededRandom,
        table: Arc<Table>,
        queues: Sqs,
        names: Vec<String>,
    ) -> Arc<Self> {
        Arc::new(Self { clock, random: Arc::new(random), table, queues, names, observed: Mutex::default() })
    }

    /// What was seen so far.
    pub fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes how it stands. Whatever a function asks is answered by this alone.
    pub fn print_into(&self, mut state: &mut dyn Hasher) {
        let state = &mut state;
        (self.clock.millis(), self.random.state()).hash(state);
        self.table.print_into(state);
        self.observed().hash(state);
        for name in &self.names {
            self.queues.contents(name).unwrap().hash(state);
        }
    }
}

/// How a world stands, told from every other by 128 bits.
pub type Print = (u64, u64);

/// Hashes twice at once, differently.
struct Twice(DefaultHasher, DefaultHasher);

impl Hasher for Twice {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// The fingerprint of what `hash` hashes.
pub fn print(hash: impl FnOnce(&mut dyn Hasher)) -> Print {
    let mut both = Twice(DefaultHasher::new(), DefaultHasher::new());
    "other".hash(&mut both.1);
    hash(&mut both);
    (both.0.finish(), both.1.finish())
}
