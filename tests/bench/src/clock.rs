//! Response clocks: how late a point is acted upon, and how many points are when many are due at once.

use crate::load::{self, Pace, Plan};
use crate::machine;
use crate::people::Mix;
use crate::report::{Section, progress, spread};
use crate::rig::Rig;
use std::time::Duration;

/// Leads a second whose clocks start, and whose points therefore come due at that rate.
const RATE: u64 = 50;
/// The window of both teams, and where in it their members are reminded: five minutes after a lead has its owner.
const RESPONSE: &str = "{ within: 10m, remind: [\"50%\"], limit: 1 }";
const POINT: Duration = Duration::from_secs(300);
/// Before the first point is due the timers have handed it to its queue.
const AHEAD: Duration = Duration::from_secs(10);

/// Measures both.
pub(crate) async fn clocks(rig: &Rig, seconds: u64) -> Result<Section, String> {
    let mut section =
        Section::new("RESPONSE CLOCKS  (a point: due entry, timers, queue, decision, commit, notice)");
    rig.publish_with(0, Some(RESPONSE)).await?;

    progress("points that come due");
    let started = machine::now();
    start_clocks(rig, seconds, 70).await?;
    let _ = rig.fired();
    rig.stack.advance(POINT.saturating_sub(AHEAD + started.elapsed()));
    rig.fire_timers().await?;
    // The last point is due when the clocks have been running as long as it took to start them.
    tokio::time::sleep(AHEAD + Duration::from_secs(seconds + 1)).await;
    rig.drain().await;
    let late = rig.fired();
    section.row(
        format!("lateness at {RATE} points/s"),
        spread(&late),
        format!("p50 / p99 of {} reminders; a queue's delay is in whole seconds", late.len()),
    );

    for (what, run, after) in [("reminders", 71, POINT), ("reassignments", 72, 2 * POINT)] {
        progress(what);
        start_clocks(rig, seconds, run).await?;
        let (_, _) = (rig.fired(), rig.stack.dynamodb.take_meter());
        rig.stack.advance(after + Duration::from_secs(1));
        let started = machine::now();
        rig.fire_timers().await?;
        rig.drain().await;
        let elapsed = started.elapsed().as_secs_f64();
        let (fired, meter) = (rig.fired().len().max(1) as f64, rig.stack.dynamodb.take_meter());
        section.row(
            what,
            format!("{:.0} points/s", fired / elapsed),
            format!(
                "{fired} due at once; {:.1} W {:.1} R each, notice and the timers' reading included",
                meter.write_units() / fired,
                meter.read_units() / fired
            ),
        );
    }
    rig.publish(0).await?;
    Ok(section)
}

async fn start_clocks(rig: &Rig, seconds: u64, run: u64) -> Result<(), String> {
    let pace = Pace::Open { rate: RATE };
    load::run(&Plan { address: rig.address.clone(), pace, seconds, run, mix: Mix::New }).await?;
    if rig.drain().await { Ok(()) } else { Err("the queues do not run empty".to_owned()) }
}
