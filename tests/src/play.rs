//! Plays a plan: the event, what gets in between, and what follows until the world has come to rest.

use crate::canaries;
use crate::checks::check;
use crate::connector::{Resumed, Struck};
use crate::events::{failed, queue_event};
use crate::faults::OUTAGE;
use crate::ground::{Print, print};
use crate::invocation::{Ran, Role};
use crate::plans::Plan;
use crate::scenarios::{Event, MEANWHILE, Post, Prepared};
use crate::settle::{A_DAY, Settling};
use crate::world::{Lives, Name, Still, World};
use bytes::Bytes;
use serde_json::Value;
use sluice_host::function::InvokeError;
use sluice_services::sqs::ReceivedMessage;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Report {
    /// Broken invariants.
    pub broken: Vec<String>,
    /// What there was to strike, and what struck.
    pub struck: Struck,
}

/// The answer of an invocation that came to its end.
type Answer = Result<Bytes, InvokeError>;

/// A lead that was accepted, with what its sender had sent.
pub(crate) type Accepted = (String, Vec<(String, String)>);

/// How long a function may run, in milliseconds: a duplicate that stands longer is dead.
const LATEST: i64 = 15_000;
/// Within this, in milliseconds, everything settles: longer than any back-off after a single fault.
pub(crate) const LIMIT: i64 = 3_600_000;
/// How often a sender asks again.
const TRIES: u32 = 6;

/// A plan as it is played in a world.
pub struct Play<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) plan: &'a Plan,
    pub(crate) world: &'a mut World,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) broken: Vec<String>,
    /// Records of the event that its first invocation handed back.
    pub(crate) handed_back: BTreeSet<String>,
    /// What the duplicate asked for once it went on.
    pub(crate) resumed: Vec<Resumed>,
    /// What people asked for meanwhile and were told is done: places in the list.
    granted: BTreeSet<usize>,
    asking: Option<Asking>,
    settling: Option<Settling>,
}

/// Where a play stands between two invocations.
#[derive(Clone)]
pub struct Standing {
    world: Still,
    accepted: Vec<Accepted>,
    broken: Vec<String>,
    granted: BTreeSet<usize>,
    asking: Option<Asking>,
    settling: Option<Settling>,
    made: usize,
}

impl Standing {
    /// Where nothing was played yet.
    pub fn of(world: &World) -> Self {
        Self {
            world: world.still(),
            accepted: Vec::new(),
            broken: Vec::new(),
            granted: BTreeSet::new(),
            asking: None,
            settling: None,
            made: 0,
        }
    }
}

/// A sender that tries again until there is a 2xx, or a 409 that tells it that the first attempt was accepted. Of what
/// people do each repeat must be told that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asking {
    tries: u32,
    last: u64,
    is_busy: bool,
    is_done: bool,
}

/// Plays a plan to its end. Its instances live on and remember.
pub async fn run(prepared: &Prepared, plan: &Plan, world: &mut World, begin: &Standing) -> Report {
    whole(Play::begin(prepared, plan, world, begin)).await
}

/// The same, looking around at each call of the invocation under test.
pub async fn look_at(prepared: &Prepared, plan: &Plan, world: &mut World, begin: &Standing) -> Report {
    let play = Play::begin(prepared, plan, world, begin);
    play.world.wire.look_at_the_event();
    whole(play).await
}

async fn whole(mut play: Play<'_>) -> Report {
    let prepared = play.prepared;
    play.world.live(Lives::On);
    let mut report = match play.whole().await {
        Ok(()) => play.finish().await,
        Err(stuck) => {
            play.broken.push(stuck);
            Report { struck: play.world.wire.cease(), broken: play.broken }
        }
    };
    canaries::check(&prepared.canaries, &mut report.broken);
    report
}

/// What the SDK draws its pauses between attempts from: of two records of one batch it is then always the same that goes on
/// first. It is the same up to a second fault, whichever that is.
fn pauses(plan: &Plan, made: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (Plan { second: None, ..plan.clone() }, made).hash(&mut hasher);
    hasher.finish()
}

impl<'a> Play<'a> {
    /// From where the scenario begins, or another play of it stood. Instances live for one event only.
    pub fn begin(prepared: &'a Prepared, plan: &'a Plan, world: &'a mut World, standing: &Standing) -> Self {
        let Standing { accepted, broken, granted, asking, settling, .. } = standing.clone();
        world.go_to(&standing.world);
        world.live(Lives::Once);
        fastrand::seed(pauses(plan, standing.made));
        // What was logged before is somebody else's.
        drop(canaries::heard());
        let (handed_back, resumed) = (BTreeSet::new(), Vec::new());
        Self { prepared, plan, world, accepted, broken, handed_back, resumed, granted, asking, settling }
    }

    /// From where another play stood once the same first fault had struck.
    pub fn resume(prepared: &'a Prepared, plan: &'a Plan, world: &'a mut World, standing: &Standing) -> Self {
        let play = Self::begin(prepared, plan, world, standing);
        play.world.wire.aim_second(plan.second, standing.made);
        play
    }

    /// Where it stands; what instances remember is no part of it.
    pub fn standing(&self) -> Standing {
        Standing {
            world: self.world.still(),
            accepted: self.accepted.clone(),
            broken: self.broken.clone(),
            granted: self.granted.clone(),
            asking: self.asking,
            settling: self.settling,
            made: self.world.wire.so_far().0,
        }
    }

    async fn whole(&mut self) -> Result<(), String> {
        self.event().await?;
        while self.step().await? {}
        Ok(())
    }

    /// The event, with everything that is to happen before the first invocation and its duplicate have ended.
    pub async fn event(&mut self) -> Result<(), String> {
        let (prepared, plan) = (self.prepared, self.plan);
        let beside = if plan.is_late() { self.late().await? } else { &prepared.beside };
        let (payload, messages) = self.arrive();
        for (queue, body) in beside.iter().filter(|(queue, _)| *queue != MEANWHILE) {
            self.world.send(queue, body);
        }
        let first = self.world.instance(prepared.function, 0).await;
        let other = match plan.duplicate {
            Some(_) => Some(self.world.instance(prepared.function, 1).await),
            None => None,
        };
        self.world.wire.aim(plan.first, plan.second);
        let mut standing = None;
        if let (Some(duplicate), Some(other)) = (plan.duplicate, &other) {
            let invocation = self.world.begin(other, &payload, Role::Other, duplicate.after);
            let mut work = other.function.invoke(payload.clone());
            self.world.visits.made += 1;
            match invocation.run(&mut work).await {
                Ran::Done(answer) => self.ended(&messages, &answer),
                Ran::Crashed => {}
                Ran::Paused => standing = Some((invocation, work)),
            }
        }

        let stop_after = plan.meanwhile.map_or(u32::MAX, |meanwhile| meanwhile.after);
        let invocation = self.world.begin(&first, &payload, Role::UnderTest, stop_after);
        let mut work = first.function.invoke(payload);
        self.world.visits.made += 1;
        let mut ran = invocation.run(&mut work).await;
        if let (Ran::Paused, Some(meanwhile)) = (&ran, plan.meanwhile) {
            self.meanwhile().await;
            if meanwhile.late {
                self.world.settle(LATEST).await?;
            }
            invocation.resume();
            ran = invocation.run(&mut work).await;
        }
        let answered = match ran {
            Ran::Done(answer) => {
                self.ended(&messages, &answer);
                Some(answer)
            }
            Ran::Crashed | Ran::Paused => {
                self.world.forget(prepared.function, 0);
                None
            }
        };
        drop(work);

        self.asking = Some(Asking::after(answered.as_ref()));
        let late = plan.duplicate.is_some_and(|duplicate| duplicate.late);
        if late {
            while self.ask_again().await {}
            self.world.settle(LATEST).await?;
        }
        self.meanwhile().await;
        if late && is_raced(self.prepared) {
            self.world.settle(LATEST).await?;
        }
        if let Some((invocation, mut work)) = standing {
            self.world.wire.note_resumed();
            invocation.resume();
            let ran = invocation.run(&mut work).await;
            self.resumed = self.world.wire.resumed();
            if let Ran::Done(answer) = ran {
                self.ended(&messages, &answer);
            }
        }
        Ok(())
    }

    /// What is beside the event goes first, and time passes. Nothing is left that would be beside it. The schedule is
    /// late because nothing ran.
    async fn late(&mut self) -> Result<&'static [(&'static str, String)], String> {
        for (queue, body) in self.prepared.beside.iter().filter(|(queue, _)| *queue != MEANWHILE) {
            self.world.send(queue, body);
        }
        if !matches!(self.prepared.event, Event::Schedule) {
            self.world.settle(LIMIT).await?;
        }
        self.world.deliveries = 0;
        self.world.clock.advance(OUTAGE);
        Ok(&[])
    }

    /// The event as Lambda hands it over.
    fn arrive(&mut self) -> (Bytes, Vec<ReceivedMessage>) {
        match &self.prepared.event {
            Event::Queue { queue, bodies } => {
                for body in bodies {
                    self.world.send(queue, body);
                }
                let messages = self.world.receive(queue, bodies.len());
                (queue_event(&messages), messages)
            }
            Event::Http(post) => (post.payload.clone(), Vec::new()),
            Event::Schedule => (Bytes::from_static(b"{}"), Vec::new()),
        }
    }

    /// People ask for what the scenario has them ask for, each until that is granted. Not if it is about somebody whom
    /// nobody knows yet.
    async fn meanwhile(&mut self) {
        let acts = self.prepared.beside.iter().filter(|(queue, _)| *queue == MEANWHILE);
        for (at, (_, act)) in
            acts.enumerate().filter(|(at, _)| !self.granted.contains(at)).collect::<Vec<_>>()
        {
            for _ in 0..TRIES {
                let payload = Bytes::copy_from_slice(act.as_bytes());
                match status(self.world.invoke(Name::asked(act), payload).await.as_ref()) {
                    200 | 202 => {
                        self.granted.insert(at);
                        self.world.ground.observed().refused |= refuses(act.as_bytes());
                        break;
                    }
                    404 => break,
                    _ => {}
                }
            }
        }
    }

    fn ended(&mut self, messages: &[ReceivedMessage], answer: &Answer) {
        self.visited(Some(answer));
        match &self.prepared.event {
            Event::Queue { queue, .. } => {
                self.handed_back = failed(answer).unwrap_or_default();
                self.world.acknowledge(queue, messages, answer);
            }
            Event::Http(post) => accept(post, answer, &mut self.accepted),
            Event::Schedule => {}
        }
    }

    /// Goes on until one function has run; false once the world has come to rest. An error says what does not.
    pub async fn step(&mut self) -> Result<bool, String> {
        if self.ask_again().await {
            return Ok(true);
        }
        let mut settling = self.settling.unwrap_or_else(|| Settling::new(self.world, LIMIT));
        let more = settling.step(self.world).await;
        self.settling = Some(settling);
        more
    }

    /// Counts a request that was answered as it asked.
    fn visited(&mut self, answer: Option<&Answer>) {
        self.world.visits.answered += u32::from((200..400).contains(&status(answer)));
        if let Event::Http(post) = &self.prepared.event
            && matches!(status(answer), 200 | 202)
        {
            self.world.ground.observed().refused |= refuses(&post.payload);
        }
    }

    /// The sender asks again, if it does.
    async fn ask_again(&mut self) -> bool {
        let (Event::Http(post), Some(asking)) = (&self.prepared.event, self.asking) else { return false };
        let Some(post) = post.again.as_deref() else { return false };
        let is_told = (200..400).contains(&asking.last) || (asking.last == 409 && !asking.is_busy);
        if is_told || asking.tries == TRIES {
            let is_led = self.prepared.function == Name::Engage && (200..400).contains(&asking.last);
            let is_asked = matches!(self.prepared.function, Name::Console | Name::Engage | Name::Track);
            if is_asked && !asking.is_done && !is_led && !is_raced(self.prepared) {
                let last = asking.last;
                self.broken.push(format!("I14: what was asked for is answered with {last}, however often"));
            }
            self.asking = None;
            return false;
        }
        let before = self.world.clock.millis();
        let answer = self.world.invoke(self.prepared.function, post.payload.clone()).await;
        if self.world.clock.millis() - before >= OUTAGE {
            self.settling = Some(Settling::new(self.world, LIMIT + A_DAY));
        }
        self.world.visits.made += 1;
        self.visited(answer.as_ref());
        if let Some(answer) = &answer {
            accept(post, answer, &mut self.accepted);
        }
        self.asking = Some(Asking { tries: asking.tries + 1, ..Asking::after(answer.as_ref()) });
        true
    }

    /// No more faults; a second one may have struck at the very end, then its repairs are still to be played. Then looks
    /// at what is left. From here on instances live on.
    pub async fn finish(mut self) -> Report {
        let struck = self.world.wire.cease();
        self.world.live(Lives::On);
        let mut settled = self.settle().await;
        if is_raced(self.prepared) && settled.is_ok() {
            // Whoever was not there yet is now.
            self.meanwhile().await;
            settled = self.settle().await;
        }
        match settled {
            Ok(()) => check(&mut self).await,
            Err(stuck) => self.broken.push(stuck),
        }
        Report { broken: self.broken, struck }
    }

    /// The world comes to rest, which takes longer where something is due later than all that was tried until now.
    async fn settle(&mut self) -> Result<(), String> {
        self.world.settle(LIMIT).await?;
        if self.world.ground.table.has("due#", |_| true) { self.world.settle(A_DAY).await } else { Ok(()) }
    }

    /// How everything stands. What follows is the same wherever this is the same, if instances live only once.
    pub fn print(&self) -> Print {
        print(|mut state| {
            let state = &mut state;
            self.world.print_into(state);
            (&self.accepted, &self.broken, &self.granted, self.asking, self.settling).hash(state);
            self.plan.first.is_some().hash(state);
        })
    }
}

impl Asking {
    fn after(answer: Option<&Answer>) -> Self {
        Self {
            tries: 0,
            // Whoever is told that there is more to do asks again.
            last: if is_to_go_on(answer) { 0 } else { status(answer) },
            is_busy: is_refused_as(answer, "busy"),
            is_done: is_done(answer),
        }
    }
}

/// Remembers a lead that was accepted, with what its sender had sent.
pub(crate) fn accept(post: &Post, answer: &Answer, accepted: &mut Vec<Accepted>) {
    let Ok(answer) = answer else { return };
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
    if let (Some(200..=299), Some(lead)) = (answer["statusCode"].as_u64(), body["lead_id"].as_str()) {
        accepted.push((lead.to_owned(), post.fields.clone()));
    }
}

/// The status of an answer, that of a batch done as a whole being 200; 0 for none.
pub(crate) fn status(answer: Option<&Answer>) -> u64 {
    let answer = answer.and_then(|answer| answer.as_ref().ok());
    let answer: Option<Value> = answer.and_then(|answer| serde_json::from_slice(answer).ok());
    let Some(answer) = answer else { return 0 };
    match answer["batchItemFailures"].as_array() {
        Some(failed) if failed.is_empty() => 200,
        _ => answer["statusCode"].as_u64().unwrap_or(0),
    }
}

/// Whether a part was done, and the caller goes on from there.
fn is_to_go_on(answer: Option<&Answer>) -> bool {
    let answer = answer.and_then(|answer| answer.as_ref().ok());
    let answer: Option<Value> = answer.and_then(|answer| serde_json::from_slice(answer).ok());
    let body = answer.and_then(|answer| serde_json::from_str::<Value>(answer["body"].as_str()?).ok());
    body.is_some_and(|body| body["cursor"].is_string())
}

/// Whether it is done: customers that are apart already are no longer merged, and a token is shown once.
pub(crate) fn is_done(answer: Option<&Answer>) -> bool {
    let is_done_before = ["not-merged", "token-made"].iter().any(|problem| is_refused_as(answer, problem));
    matches!(status(answer), 200..=202) || is_done_before
}

/// Whether people ask for something beside the event.
pub(crate) fn is_raced(prepared: &Prepared) -> bool {
    prepared.beside.iter().any(|(queue, _)| *queue == MEANWHILE)
}

/// Whether somebody who asks for this is not to get anything from then on, of what a scenario has for them: a no, an address that is
/// not to be written to, an erasure, a campaign that is held back.
fn refuses(act: &[u8]) -> bool {
    let event: Value = serde_json::from_slice(act).unwrap_or_default();
    let method = event["requestContext"]["http"]["method"].as_str().unwrap_or_default();
    let path = event["rawPath"].as_str().unwrap_or_default();
    let says_no = || event["body"].as_str().is_some_and(|body| body.contains(r#""wish":"no""#));
    match path.rsplit('/').next() {
        Some("consents") => says_no(),
        Some("suppress" | "pause" | "cancel") => true,
        _ => match method {
            "DELETE" => path.starts_with("/api/customers/"),
            "POST" => path.starts_with("/u/"),
            _ => false,
        },
    }
}

fn is_refused_as(answer: Option<&Answer>, problem: &str) -> bool {
    let text = answer.and_then(|answer| answer.as_ref().ok()).map(|answer| String::from_utf8_lossy(answer));
    let name = format!("urn:sluice:problem:{problem}");
    status(answer) == 409 && text.is_some_and(|text| text.contains(&name))
}
