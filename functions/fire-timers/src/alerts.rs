//! Alerts: each is looked at every few minutes, in turn, so that a minute reads little. Somebody is told once for as long as the
//! alert's days, whatever is repeated: the notice's id is the alarm's, which is stored first.

use crate::Timers;
use sluice_domain::insight::{Alarm, Costs, Day, Rings, Sums, day, judge, looked_at, read_for, rings};
use sluice_domain::policy::{Alert, PolicySet};
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Counted, StoreError, Written};
use sluice_wire::queue::{AlarmMessage, TellMessage, encode};

/// Each alert is looked at once within so many minutes.
const TURNS: i64 = 10;

impl Timers {
    /// Looks at the alerts whose turn this minute is.
    pub(crate) async fn alerts(&self, now: Timestamp) -> Result<(), StoreError> {
        let policies = self.policies.current(now).await?;
        let minute = now.seconds().div_euclid(60);
        let turn = |at: usize| i64::try_from(at).unwrap_or(0) % TURNS == minute.rem_euclid(TURNS);
        let mut told = Vec::new();
        for (_, alert) in policies.alerts.values().enumerate().filter(|(at, _)| turn(*at)) {
            told.extend(self.look_at(alert, &policies, now).await?);
        }
        let refused = self.outbox.enqueue(told, now).await;
        match refused.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("the notice queue refuses".to_owned())),
        }
    }

    async fn look_at(
        &self,
        alert: &Alert,
        policies: &PolicySet,
        now: Timestamp,
    ) -> Result<Vec<Outgoing>, StoreError> {
        let (from, to) = looked_at(alert, day(now));
        let sums = self.counted(alert, from, to).await?;
        let costs = Costs::between(policies.costs.values(), from, to);
        let wrong = judge(alert, &sums, &costs);
        let before = self.store.alarm(&alert.name).await?;
        match rings(alert, before.as_ref(), wrong, now) {
            Rings::No => Ok(Vec::new()),
            Rings::Still(alarm) => Ok(notices(alert, &alarm, policies)),
            Rings::Anew(alarm) => match self.store.put_alarm(&alert.name, &alarm).await? {
                Written::Done => Ok(notices(alert, &alarm, policies)),
                Written::Conflict => Ok(Vec::new()),
            },
        }
    }

    /// What is read for an alert: at most 31 days lie in two months.
    async fn counted(&self, alert: &Alert, from: Day, to: Day) -> Result<Sums, StoreError> {
        let mut all = Counted::default();
        let mut first = from;
        while first <= to {
            let last = first.last_of_month().min(to);
            let month = format!("{:04}-{:02}", first.year(), first.month());
            for begins in read_for(alert) {
                all.and(self.store.counted(&month, (first.day(), last.day()), &begins).await?);
            }
            let Ok(next) = last.tomorrow() else { break };
            first = next;
        }
        Ok(all.sums)
    }
}

/// One notice for each rep who is to be told.
fn notices(alert: &Alert, alarm: &Alarm, policies: &PolicySet) -> Vec<Outgoing> {
    let reps = if alert.tell.is_empty() { &policies.settings.escalate_to } else { &alert.tell };
    let notice = |rep: &String| {
        let (alert, text) = (alert.name.clone(), alarm.text.clone());
        let message = AlarmMessage { rep: rep.clone(), alert, at: alarm.at, text };
        Outgoing {
            queue: QueueName::Notice,
            id: message.id(),
            not_before: alarm.at,
            body: encode(&TellMessage::Alarm(message)),
        }
    };
    reps.iter().map(notice).collect()
}
