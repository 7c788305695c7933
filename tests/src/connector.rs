//! The connector that every call of every function goes through, and where the faults of a plan strike.

use crate::faults::{Around, Kind, Made, OUTAGE, Shot};
use crate::ground::{Ground, Print, print};
use crate::invocation::{Invocation, Role};
use crate::mutants::{Mutant, Rewritten};
use crate::records::as_newer;
use crate::table::{hash_of, written};
use crate::wire::{Call, Host};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use bytes::Bytes;
use serde_json::{Value, json};
use sluice_services::Service;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What came of the faults of a plan.
#[derive(Debug, Default)]
pub struct Struck {
    /// Calls of the invocation under test.
    pub own: Vec<Made>,
    /// Calls made after the first fault.
    pub made: Vec<Made>,
    /// Faults that struck.
    pub faults: u32,
    /// How everything stood when the invocation under test made its next request after the first fault, and how many
    /// calls were made before. Where that is alike, so is the rest of it.
    pub going_on: Option<(Print, usize)>,
}

/// A call of a duplicate that stood and went on.
#[derive(Clone, Copy, Debug)]
pub struct Resumed {
    /// See [`Made::request`].
    pub request: u64,
    /// See [`Around::answer`]; none if it did not come.
    pub answer: Option<u64>,
}

#[derive(Default)]
struct Aim {
    first: Option<Shot>,
    second: Option<Shot>,
    struck: Struck,
    /// The request that met the first fault.
    met: u64,
    /// Requests whose repeats meet the same fault, and how many of them.
    repeating: Vec<(u64, Kind, u32)>,
    /// Calls made since the first fault that are not in `made`.
    before: usize,
    /// Invocations that have begun.
    begun: u32,
    /// At which calls to look around.
    looks: Looks,
    /// What a duplicate that stood asks for, while it goes on.
    resumed: Option<Vec<Resumed>>,
}

/// At which calls to look around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Looks {
    /// At none.
    #[default]
    Nowhere,
    /// At every call after the first fault.
    Afterwards,
    /// At those of the invocation under test.
    AtTheEvent,
}

impl Aim {
    /// The calls that are looked around at, the one that is made just now at the end.
    const fn looked_at(&mut self) -> &mut Vec<Made> {
        match self.looks {
            Looks::AtTheEvent => &mut self.struck.own,
            Looks::Nowhere | Looks::Afterwards => &mut self.struck.made,
        }
    }

    /// The fault that is meant for the next call of this invocation, which is its `number`th.
    fn next(&self, invocation: &Invocation, number: u32) -> Option<Shot> {
        match self.struck.faults {
            0 => self.first.filter(|shot| invocation.role == Role::UnderTest && shot.at == number),
            1 => self.second.filter(|shot| shot.at as usize == self.before + self.struck.made.len() + 1),
            _ => None,
        }
    }
}

/// Carries every outgoing call of a world to its services, and strikes where the plan says.
#[derive(Clone)]
pub struct Wire {
    ground: Arc<Ground>,
    services: Arc<BTreeMap<Host, Arc<dyn Service>>>,
    aim: Arc<Mutex<Aim>>,
    poison: Arc<Mutex<Option<String>>>,
    is_newer: bool,
    mutant: Option<Mutant>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("mutant", &self.mutant).finish_non_exhaustive()
    }
}

impl Wire {
    /// A wire to these services. Where it is newer, what is stored is what newer code would store; a mutant makes every
    /// handler behave badly in one way.
    pub fn new(
        ground: Arc<Ground>,
        services: BTreeMap<Host, Arc<dyn Service>>,
        is_newer: bool,
        mutant: Option<Mutant>,
    ) -> Self {
        let (services, aim, poison) = (Arc::new(services), Arc::default(), Arc::default());
        Self { ground, services, aim, poison, is_newer, mutant }
    }

    /// From now on every function panics that is about to write an item whose key names `id`; none puts an end to it.
    pub fn poison(&self, id: Option<String>) {
        *self.poison.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    fn is_poison(&self, call: &Call) -> bool {
        let poison = self.poison.lock().unwrap_or_else(PoisonError::into_inner);
        let names = |id: &String| written(call).iter().any(|(pk, sk)| pk.contains(id) || sk.contains(id));
        call.host == Host::Table && poison.as_ref().is_some_and(names)
    }

    /// Puts the faults of a plan in place. One that strikes no call has struck already.
    pub fn aim(&self, first: Option<Shot>, second: Option<Shot>) {
        let faults = u32::from(first.is_some_and(|shot| shot.at == 0));
        let struck = Struck { faults, ..Struck::default() };
        let mut aim = self.lock();
        *aim = Aim { first, second, struck, looks: aim.looks, ..Aim::default() };
    }

    /// Puts the second fault of a plan in place once the first has struck and `before` calls have been made since.
    pub fn aim_second(&self, second: Option<Shot>, before: usize) {
        let struck = Struck { faults: 1, ..Struck::default() };
        *self.lock() = Aim { second, struck, before, ..Aim::default() };
    }

    /// Looks around at every call after the first fault.
    pub fn look_around(&self) {
        self.lock().looks = Looks::Afterwards;
    }

    /// Looks around at the calls of the invocation under test.
    pub fn look_at_the_event(&self) {
        self.lock().looks = Looks::AtTheEvent;
    }

    /// No more faults. Answers with what there was to strike, and how many struck.
    pub fn cease(&self) -> Struck {
        std::mem::take(&mut *self.lock()).struck
    }

    /// Calls made since the first fault, and how many faults struck.
    pub fn so_far(&self) -> (usize, u32) {
        let aim = self.lock();
        (aim.before + aim.struck.made.len(), aim.struck.faults)
    }

    /// The calls made since the first fault, from the one after `from` calls on.
    pub fn made_since(&self, from: usize) -> Vec<Made> {
        let aim = self.lock();
        aim.struck.made[from - aim.before..].to_vec()
    }

    /// See [`Struck::going_on`].
    pub fn going_on(&self) -> Option<(Print, usize)> {
        self.lock().struck.going_on
    }

    /// A duplicate that stood goes on: what it asks for is noted from here on.
    pub fn note_resumed(&self) {
        self.lock().resumed = Some(Vec::new());
    }

    /// What it asked for until it ended.
    pub fn resumed(&self) -> Vec<Resumed> {
        self.lock().resumed.take().unwrap_or_default()
    }

    /// An invocation begins: a clock may be off from the start.
    pub fn begin(&self, invocation: &Invocation) {
        let mut aim = self.lock();
        aim.begun += 1;
        let shot = aim.next(invocation, 1);
        if let Some(off) = shot.map(|shot| shot.kind.off()).filter(|off| *off != 0) {
            invocation.process.clock.put_off(off);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Aim> {
        self.aim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that strikes this call, if one does.
    fn strike(&self, invocation: &Invocation, number: u32, call: &Call) -> Option<Kind> {
        let request = call.fingerprint();
        let mut aim = self.lock();
        let again = aim.repeating.iter().position(|(met, _, left)| *met == request && *left > 0);
        let made = Made {
            host: call.host,
            operation: call.operation.clone(),
            reads_index: call.reads_index(),
            is_met: again.is_some(),
            of: aim.begun,
            request,
            shape: call.shape(),
            around: None,
        };
        if invocation.role == Role::UnderTest {
            aim.struck.own.push(made.clone());
            if aim.struck.faults == 1 && aim.struck.going_on.is_none() && aim.met != request {
                let before = aim.struck.made.len();
                aim.struck.going_on = Some((self.standing(&aim, invocation), before));
            }
        }
        let next = aim.next(invocation, number);
        if aim.struck.faults > 0 {
            aim.struck.made.push(made.clone());
        }
        if let Some(again) = again {
            aim.repeating[again].2 -= 1;
            return Some(aim.repeating[again].1);
        }
        let kind = next.map(|shot| shot.kind).filter(|kind| kind.can_strike(&made))?;
        if aim.struck.faults == 0 {
            aim.met = request;
        }
        aim.struck.faults += 1;
        if kind.times() > 1 {
            aim.repeating.push((request, kind, kind.times() - 1));
        }
        Some(kind)
    }

    fn standing(&self, aim: &Aim, invocation: &Invocation) -> Print {
        print(|mut state| {
            let state = &mut state;
            self.ground.print_into(state);
            invocation.process.print_into(state);
            for (_, kind, left) in &aim.repeating {
                (kind, left).hash(state);
            }
        })
    }

    async fn execute(&self, call: &Call) -> http::Response<Bytes> {
        let newer = self.is_newer.then(|| as_newer(call));
        let call = newer.as_ref().unwrap_or(call);
        let Some(service) = self.services.get(&call.host) else { return Call::answer(404, "{}") };
        let answer = call.without_chance(service.call(call.request()).await);
        if call.host == Host::Table {
            self.ground.table.note(call);
        }
        self.ground.observed().see(call, &answer);
        answer
    }

    /// The answer to a call; none if it is lost.
    async fn answer(&self, call: Call) -> Option<http::Response<Bytes>> {
        let Some(invocation) = Invocation::current().filter(|invocation| invocation.role != Role::Start)
        else {
            return Some(self.execute(&call).await);
        };
        let number = invocation.point().await;
        if self.is_poison(&call) {
            panic_quietly();
        }
        let mut call = call;
        if let Some(mutant) = self.mutant {
            match mutant.rewrite(&call) {
                Rewritten::Call(rewritten) => call = *rewritten,
                Rewritten::Answer(answer) => return Some(answer),
                Rewritten::CheckFirst { check, write, held } => {
                    let found = self.execute(&check).await;
                    if let Some(answer) = held(&found) {
                        return Some(answer);
                    }
                    invocation.point().await;
                    call = *write;
                }
            }
        }
        let looks_around = {
            let aim = self.lock();
            match aim.looks {
                Looks::Nowhere => false,
                Looks::Afterwards => aim.struck.faults > 0,
                Looks::AtTheEvent => invocation.role == Role::UnderTest,
            }
        };
        let before = looks_around.then(|| print(|state| self.ground.print_into(state)));
        let Some(kind) = self.strike(&invocation, number, &call) else {
            let Some(before) = before else { return Some(self.noted(&invocation, &call).await) };
            let place = self.lock().looked_at().len();
            let answer = self.undisturbed(&call).await;
            let after = print(|state| self.ground.print_into(state));
            let around = Around { before, after, answer: hash_of_answer(&answer) };
            if let Some(made) = self.lock().looked_at().get_mut(place - 1) {
                made.around = Some(around);
            }
            return Some(answer);
        };
        match kind {
            Kind::Late => Some(self.undisturbed(&call).await),
            Kind::CrashBefore => invocation.die().await,
            Kind::CrashAfter => {
                self.execute(&call).await;
                invocation.die().await
            }
            Kind::Outage => {
                self.ground.clock.advance(OUTAGE);
                invocation.die().await
            }
            Kind::Panic => {
                invocation.process.hear("panic");
                panic_quietly()
            }
            Kind::Ahead | Kind::Behind => {
                invocation.process.clock.put_off(kind.off());
                Some(self.undisturbed(&call).await)
            }
            Kind::LostReply | Kind::LostReplies => {
                self.execute(&call).await;
                if self.mutant.is_some_and(|mutant| mutant.repeats(&call)) {
                    return Some(self.execute(&call).await);
                }
                None
            }
            Kind::Throttle | Kind::Throttles => Some(call.throttled()),
            Kind::Down => Some(call.failed()),
            Kind::ErrorAfter => {
                self.execute(&call).await;
                Some(call.failed())
            }
            Kind::Conflict => Some(call.conflicted()),
            Kind::StaleIndex => Some(Call::answer(200, r#"{"Items":[],"Count":0,"ScannedCount":0}"#)),
            Kind::Partial => Some(match call.first_half() {
                Some(half) => call.without_rest(&self.execute(&half).await),
                None => call.unprocessed(),
            }),
        }
    }

    /// Noted if a duplicate that stood makes it.
    async fn noted(&self, invocation: &Invocation, call: &Call) -> http::Response<Bytes> {
        let mut place = None;
        if let Some(resumed) = self.lock().resumed.as_mut().filter(|_| invocation.role == Role::Other) {
            place = Some(resumed.len());
            resumed.push(Resumed { request: call.fingerprint(), answer: None });
        }
        let answer = self.undisturbed(call).await;
        if let Some(place) = place
            && let Some(resumed) = self.lock().resumed.as_mut().and_then(|resumed| resumed.get_mut(place))
        {
            resumed.answer = Some(hash_of_answer(&answer));
        }
        answer
    }

    async fn undisturbed(&self, call: &Call) -> http::Response<Bytes> {
        let answer = self.execute(call).await;
        if let Some(after) = self.mutant.and_then(|mutant| mutant.afterwards(call, &answer)) {
            self.execute(&after).await;
        }
        answer
    }
}

fn hash_of_answer(answer: &http::Response<Bytes>) -> u64 {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    hash_of(&json!([answer.status().as_u16(), body]))
}

/// As a panic does, but without its message on the screen.
fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("as planned"))
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = match Call::read(request) {
            Ok(call) => call,
            Err(error) => return HttpConnectorFuture::ready(Err(error)),
        };
        let wire = self.clone();
        HttpConnectorFuture::new(async move {
            let request = call.fingerprint();
            let answer = wire.answer(call).await;
            // Only of the invocation under test it is ever asked what it heard.
            let under_test = |invocation: &Arc<Invocation>| invocation.role == Role::UnderTest;
            if let Some(invocation) = Invocation::current().filter(under_test) {
                invocation.process.hear_answer(request, answer.as_ref());
            }
            match answer {
                Some(answer) => Call::hand_back(answer),
                None => Err(ConnectorError::timeout("the answer was lost".into())),
            }
        })
    }
}
