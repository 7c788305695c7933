//! Alarms: what alerts told last, each an item of its own.

use crate::item::{document, get_document, get_number, key, number};
use crate::{Store, StoreError, Written, keys};
use sluice_domain::insight::Alarm;

impl Store {
    /// What an alert told last.
    pub async fn alarm(&self, alert: &str) -> Result<Option<Alarm>, StoreError> {
        // As documents are read, so that whoever looks needs no other right.
        let items = self.get_many(vec![key(keys::alarm(alert), keys::ALARM)]).await?;
        let Some(item) = items.first() else { return Ok(None) };
        let mut alarm: Alarm = get_document(item, "d")?;
        alarm.version = get_number(item, "v")?;
        Ok(Some(alarm))
    }

    /// What an alert tells now. A conflict is somebody who found the same.
    pub async fn put_alarm(&self, alert: &str, alarm: &Alarm) -> Result<Written, StoreError> {
        let mut item = key(keys::alarm(alert), keys::ALARM);
        item.insert("v".to_owned(), number(alarm.version + 1));
        item.insert("d".to_owned(), document(alarm)?);
        match alarm.version {
            0 => Ok(if self.put_once(item).await?.is_none() { Written::Done } else { Written::Conflict }),
            version => self.replace(item, version).await,
        }
    }
}
