//! Receipt handles: which receive of which message, in a form that nobody can make up.

use super::error::SqsError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// The key that tells our handles from inventions; kept in the database, so that handles outlive a restart.
pub(super) struct Key(hmac::Key);

impl Key {
    /// From the 32 bytes in the database.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

/// One receive of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    /// The queue's row.
    pub(super) queue: i64,
    /// The message's row. SQLite gives a freed row to a new message, hence `message`.
    pub(super) row: i64,
    /// The message's receive count at this receive.
    pub(super) receive: i64,
    /// The message's id.
    pub(super) message: [u8; 16],
}

const SEALED: usize = 8 + 8 + 8 + 16;
const MARK: usize = 8;

impl Receipt {
    /// The handle as text.
    pub(super) fn handle(&self, key: &Key) -> String {
        let mut bytes = Vec::with_capacity(SEALED + MARK);
        for number in [self.queue, self.row, self.receive] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.message);
        let mark = hmac::sign(&key.0, &bytes);
        bytes.extend(&mark.as_ref()[..MARK]);
        STANDARD.encode(bytes)
    }

    /// Reads a handle; `None` for anything this server did not make.
    pub(super) fn read(handle: &str, key: &Key) -> Option<Self> {
        let bytes = STANDARD.decode(handle).ok()?;
        let (sealed, mark) = bytes.split_at_checked(SEALED)?;
        if hmac::sign(&key.0, sealed).as_ref()[..MARK] != *mark {
            return None;
        }
        let number = |at: usize| Some(i64::from_be_bytes(sealed.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            queue: number(0)?,
            row: number(8)?,
            receive: number(16)?,
            message: sealed.get(24..SEALED)?.try_into().ok()?,
        })
    }
}

/// Random bytes, for keys and ids.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SqsError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(SqsError::Random)?;
    Ok(bytes)
}

/// A random message id (UUID version 4).
pub(super) fn message_id() -> Result<uuid::Uuid, SqsError> {
    Ok(uuid::Builder::from_random_bytes(random()?).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_and_a_changed_or_foreign_one_does_not() {
        let (ours, other) = (Key::new(&[1; 32]), Key::new(&[2; 32]));
        let receipt = Receipt { queue: 1, row: 2, receive: 3, message: [4; 16] };
        let handle = receipt.handle(&ours);
        assert_eq!(Receipt::read(&handle, &ours), Some(receipt));
        assert_eq!(Receipt::read(&handle, &other), None);
        assert_eq!(Receipt::read(&handle[4..], &ours), None);
        assert_eq!(Receipt::read("", &ours), None);
        let mut changed = STANDARD.decode(&handle).unwrap();
        changed[15] ^= 1;
        assert_eq!(Receipt::read(&STANDARD.encode(changed), &ours), None);
    }
}
