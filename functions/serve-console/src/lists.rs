//! Lists of leads. One word means one thing to everybody: `open` is what nobody has finished, whoever asks; who asks says
//! whose leads are looked at.
//!
//! Leads that are on their way are in the sparse index. What somebody works on is in none, which would be written with every
//! lead once more: it is found rep by rep, by what the reps were told that they have. How much one call reads is bounded, so a
//! page may be short, even empty, and its cursor goes on.

use crate::leads::row;
use crate::{Call, Console, no_such_cursor, unavailable};
use serde_json::{Value, json};
use sluice_domain::access::Role;
use sluice_domain::id::LeadId;
use sluice_domain::lead::{Lead, LeadState};
use sluice_domain::live::Lacking;
use sluice_domain::time::Timestamp;
use sluice_store::{OpenLead, Told, ToldPlace};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use sluice_wire::queue::NoticeKind;
use std::collections::{BTreeMap, BTreeSet};

/// Leads of one page.
const PAGE: usize = 50;
/// Messages read to fill a page of a rep's leads.
const MESSAGES: i32 = 100;
/// After this many milliseconds a list says what it has found so far, and where it goes on.
const LONG_ENOUGH: i64 = 8_000;
/// Assignments looked at by one call.
const LOOKED_AT: usize = 1_000;
/// Notices looked at together, and as how many assignments they count at least.
const AT_ONCE: i32 = 100;
const AT_LEAST: usize = 10;

/// Which leads a list is to have.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    call: &'a Call,
    /// Whose list it is: of leads whose customer is theirs, or that they work on.
    owner: Option<&'a str>,
    state: Option<LeadState>,
    part: Part,
    since: Option<Timestamp>,
    /// Only those whose people lack some of the three.
    missing: Option<&'a Lacking>,
}

/// What a list goes through.
#[derive(Clone, Copy)]
enum Part {
    /// All of them.
    All,
    /// Leads that have come to no end yet.
    OnTheirWay,
    /// Leads that somebody has and has not finished with.
    InWork,
}

impl Wanted<'_> {
    /// Whether the lead by itself may be one of these. Most of a rep's old leads are not, and their people need not be read.
    fn may_have(&self, lead: &Lead) -> bool {
        let is_of_part = match self.part {
            Part::All => true,
            Part::OnTheirWay => !lead.progress.state.is_end(),
            Part::InWork => lead.progress.is_worked_on(),
        };
        is_of_part
            && self.state.is_none_or(|state| lead.progress.state == state)
            && self.call.query("source").is_none_or(|source| source == lead.origin.name)
            && self.since.is_none_or(|since| lead.received >= since)
    }

    fn has(&self, lead: &Lead, row: &Value) -> bool {
        self.call.sight.has_lead(lead, row["owner"].as_str())
            && self.owner.is_none_or(|owner| is_of(lead, row, owner))
            && self
                .call
                .query("team")
                .is_none_or(|team| row["assignment"]["team"] == team || row["queue"] == team)
    }
}

/// Whether a lead belongs in a rep's list: its customer is theirs, or it is theirs to work on, whoever has its customer now.
fn is_of(lead: &Lead, row: &Value, rep: &str) -> bool {
    row["owner"] == rep || lead.progress.is_worked_on() && row["assignment"]["rep"] == rep
}

/// A page as far as it has been filled.
#[derive(Default)]
struct Page {
    leads: Vec<Value>,
    cursor: Option<String>,
}

impl Page {
    fn answer(self) -> HttpResponse {
        HttpResponse::json(200, &json!({"leads": self.leads, "cursor": self.cursor}))
    }

    fn room(&self) -> usize {
        PAGE.saturating_sub(self.leads.len())
    }
}

impl Console {
    /// `state`, `owner`, `team`, `source`, `since`, `missing` narrow the list. What is out of reach is left out, and a rep who
    /// is, is not there.
    ///
    /// - `state=open` is what nobody has finished: leads on their way (waiting, escalated, queued), oldest first, then those that
    ///   somebody works on (assigned, neither closed nor disqualified), rep by rep in the order of their names, of each the
    ///   newest assignment first. With an `owner` it is what that rep works on.
    /// - Other states that are no end come from the index, oldest first; ends from the ledger, in no order.
    /// - `state=mine` is another word for `owner=me`, without a state.
    /// - Without `state` a rep's list is what the rep was given or told that nobody could take, newest first, open or not;
    ///   without an `owner` it is what is open, and with `missing` of that what somebody works on.
    ///
    /// **What it costs**, in read units. Leads on their way: 6 for the index, 1 for each lead and 1 for its person. What
    /// somebody works on: 5 for a hundred notices, 1 for each lead that they name, finished ones among them, and 1 for the
    /// person of one that is not; 1 for each team, where it is of everybody. A page of 50 leads among 100 assignments costs
    /// about 160; of what somebody works on a call reads at most some 2,600. States that are ends read the whole ledger, a unit for each line and those
    /// beside it.
    pub(crate) async fn list_leads(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let query = |name: &str| call.query(name);
        let (is_open, is_mine) = (query("state").as_deref() == Some("open"), is_mine(call));
        let state = match query("state").as_deref() {
            None | Some("open") => None,
            Some("mine") if is_mine => None,
            Some(name) => Some(LeadState::parse(name).ok_or_else(|| {
                let states = LeadState::ALL.map(LeadState::name).join(", ");
                let detail = format!(
                    "A state is open, mine (another word for `owner=me`, beside no other owner) or one of {states}."
                );
                Problem::new(422, "state-unknown", detail).about("state")
            })?),
        };
        let since = call.time("since")?;
        let me = || {
            let detail = "This token has no rep who could be meant. Say whose leads: `owner=NAME`.";
            call.who.rep.clone().ok_or_else(|| Problem::new(422, "rep-missing", detail).about("owner"))
        };
        let owner = match query("owner") {
            _ if is_mine => Some(me()?),
            Some(owner) if owner == "me" => Some(me()?),
            Some(owner) => Some(owner),
            // Without a word a rep's list is the rep's own; what nobody has is for all of them.
            None if matches!(state, Some(LeadState::Escalated | LeadState::Queued)) => None,
            None => (call.who.role == Role::Rep).then(me).transpose()?,
        };
        owner.iter().try_for_each(|owner| call.reach_rep(owner))?;
        let (missing, cursor) = (call.missing()?, query("cursor"));
        let (missing, cursor) = (missing.as_ref(), cursor.as_deref());
        let wanted = Wanted { call, owner: None, state, part: Part::All, since, missing };
        let began = self.env.clock.now();
        let is_in_work = state.is_none() && (missing.is_some() && !is_open || is_open && owner.is_some());
        let page = match (owner, state) {
            (owner, None) if is_in_work => {
                let reps = match owner {
                    Some(owner) => BTreeSet::from([owner]),
                    None => self.reps(call).await?,
                };
                self.in_work(&wanted, reps, cursor, Page::default(), began).await?
            }
            (Some(owner), _) => self.own(&Wanted { owner: Some(&owner), ..wanted }, &owner, cursor).await?,
            (None, Some(state)) if state.is_end() => self.ended(&wanted, state, cursor, began).await?,
            (None, Some(state)) => self.on_their_way(&wanted, &[state], cursor, began).await?,
            (None, None) => self.open(&wanted, cursor, began).await?,
        };
        Ok(page.answer())
    }

    /// What is open of everybody within reach.
    async fn open(
        &self,
        wanted: &Wanted<'_>,
        cursor: Option<&str>,
        began: Timestamp,
    ) -> Result<Page, Problem> {
        // The two kinds of cursors differ, so each says itself in which part of the list it is.
        if let Some(cursor) = cursor.filter(|cursor| read_place(cursor).is_none()) {
            return self
                .in_work(wanted, self.reps(wanted.call).await?, Some(cursor), Page::default(), began)
                .await;
        }
        let on_their_way = Wanted { part: Part::OnTheirWay, ..*wanted };
        let page = self.on_their_way(&on_their_way, &LeadState::IN_FLIGHT, cursor, began).await?;
        match page.cursor {
            Some(_) => Ok(page),
            None => self.in_work(wanted, self.reps(wanted.call).await?, None, page, began).await,
        }
    }

    /// The reps within reach; of everybody also those whom no document names any more, and who have open leads of a team.
    async fn reps(&self, call: &Call) -> Result<BTreeSet<String>, Problem> {
        let policies = self.current().await?;
        let mut reps = call.sight.reach.reps(&policies);
        if call.sight.reach.is_everybody() {
            let teams = policies.teams.keys().cloned().collect();
            let wanted = sluice_store::Wanted { teams, ..sluice_store::Wanted::default() };
            let desk = self.store.desk(&wanted).await.map_err(unavailable)?;
            let places = desk.teams.into_values().flat_map(|team| team.state.members);
            reps.extend(places.filter(|(_, place)| place.open > 0).map(|(rep, _)| rep));
        }
        Ok(reps)
    }

    /// Of these leads those that are wanted, as rows, in their order.
    async fn rows(&self, wanted: &Wanted<'_>, ids: &[LeadId]) -> Result<Vec<(Lead, Value)>, Problem> {
        let mut leads = self.store.leads(ids).await.map_err(unavailable)?;
        leads.retain(|_, lead| wanted.may_have(lead));
        let people = leads.values().filter_map(|lead| lead.progress.customer.clone()).collect();
        let people = self.store.people(people).await.map_err(unavailable)?;
        let mut rows = Vec::new();
        for lead in ids.iter().filter_map(|id| leads.remove(id)) {
            let root = lead.progress.customer.as_ref().map(|id| people.root(id));
            let row = row(&lead, root.clone().map(|root| (root, &people)));
            if wanted.has(&lead, &row) {
                rows.push((lead, root, row));
            }
        }
        if let Some(missing) = wanted.missing {
            let settled = self.settled(&people, rows.iter().filter_map(|(_, root, _)| root.clone())).await?;
            rows.retain_mut(|(_, root, row)| {
                let settled = root.as_ref().and_then(|root| settled.get(root));
                let Some(settled) = settled.filter(|settled| missing.has(settled)) else { return false };
                row["missing"] = settled.missing_words().into();
                true
            });
        }
        Ok(rows.into_iter().map(|(lead, _, row)| (lead, row)).collect())
    }

    /// A page of a rep's own leads, each once, however often the rep was told of it: where they were given it last, or if they
    /// never were, where they heard that nobody could take it.
    async fn own(&self, wanted: &Wanted<'_>, rep: &str, cursor: Option<&str>) -> Result<Page, Problem> {
        let place = cursor.map(ToldPlace::parse).transpose().map_err(unavailable)?;
        if place.as_ref().is_some_and(|place| place.rep != rep) {
            return Err(no_such_cursor());
        }
        let before = place.and_then(|place| place.before);
        let kinds = [NoticeKind::Assigned, NoticeKind::Escalated].map(NoticeKind::name);
        let told = self.store.told_of(rep, &kinds, before.as_deref(), MESSAGES).await;
        let told = told.map_err(unavailable)?;
        let rows = self.rows(wanted, &leads_of(&told.items)).await?;
        let mut rows: BTreeMap<LeadId, (Lead, Value)> =
            rows.into_iter().map(|(lead, row)| (lead.id.clone(), (lead, row))).collect();
        let mut page = Page::default();
        for told in &told.items {
            if rows.get(&told.lead).is_some_and(|(lead, _)| is_listed_by(told, lead, rep)) {
                page.leads.extend(rows.remove(&told.lead).map(|(_, row)| row));
            }
        }
        let next = told.next.map(|before| ToldPlace { rep: rep.to_owned(), before: Some(before) });
        page.cursor = next.map(|place| place.cursor()).transpose().map_err(unavailable)?;
        Ok(page)
    }

    /// Leads that a rep was told of, newest first, page by page.
    pub(crate) async fn told(
        &self,
        rep: &str,
        cursor: Option<&str>,
    ) -> Result<(Vec<LeadId>, Option<String>), Problem> {
        let page = self.store.notices_to(rep, cursor, MESSAGES).await.map_err(unavailable)?;
        let mut seen = BTreeSet::new();
        let ids =
            page.items.into_iter().filter_map(|message| message.lead).filter(|id| seen.insert(id.clone()));
        Ok((ids.collect(), page.next))
    }

    /// Leads that are on their way, oldest first, until a page is full, all were looked at, or it took long enough.
    async fn on_their_way(
        &self,
        wanted: &Wanted<'_>,
        states: &[LeadState],
        cursor: Option<&str>,
        began: Timestamp,
    ) -> Result<Page, Problem> {
        let mut after = cursor.map(|cursor| read_place(cursor).ok_or_else(no_such_cursor)).transpose()?;
        let mut page = Page::default();
        loop {
            let before = self.env.clock.now().plus_millis(1);
            let mut open = Vec::new();
            for state in states {
                let found = self.store.open_leads(*state, after.as_ref(), before, PAGE).await;
                open.extend(found.map_err(unavailable)?);
            }
            open.sort();
            // Behind the last that fits there may be others of the states that were read to their ends.
            let mut has_more = open.len() >= PAGE;
            // The states are read one after the other: a lead may have gone from one to the next meanwhile.
            let mut listed = BTreeSet::new();
            open.retain(|lead| listed.insert(lead.id.clone()));
            open.truncate(PAGE);
            let ids: Vec<LeadId> = open.iter().map(|lead| lead.id.clone()).collect();
            let mut rows = self.rows(wanted, &ids).await?;
            let room = page.room();
            if let Some((first, _)) = rows.get(room) {
                let end = open.iter().position(|lead| lead.id == first.id).unwrap_or(open.len());
                open.truncate(end);
                rows.truncate(room);
                has_more = true;
            }
            page.leads.extend(rows.into_iter().map(|(_, row)| row));
            after = open.pop().or(after);
            if !has_more || page.room() == 0 || self.is_long(began) {
                page.cursor = after.filter(|_| has_more).map(|last| place_of(&last));
                return Ok(page);
            }
        }
    }

    /// Leads that came to this end, as they lie in the ledger.
    async fn ended(
        &self,
        wanted: &Wanted<'_>,
        state: LeadState,
        cursor: Option<&str>,
        began: Timestamp,
    ) -> Result<Page, Problem> {
        let mut ids = Vec::new();
        let mut cursor = cursor.map(str::to_owned);
        loop {
            let page = self.store.scan_ledger(0, 1, cursor.as_deref()).await.map_err(unavailable)?;
            ids.extend(page.items.into_iter().filter(|line| line.state == state).map(|line| line.id));
            cursor = page.next;
            if cursor.is_none() || ids.len() >= PAGE || self.is_long(began) {
                let leads = self.rows(wanted, &ids).await?.into_iter().map(|(_, row)| row).collect();
                return Ok(Page { leads, cursor });
            }
        }
    }

    /// Goes on with leads that somebody works on: rep by rep in the order of their names, of each the newest assignment first. A
    /// lead is where its assignment stands, so once, whoever had it before and whoever its customer belongs to meanwhile.
    async fn in_work(
        &self,
        wanted: &Wanted<'_>,
        reps: BTreeSet<String>,
        cursor: Option<&str>,
        mut page: Page,
        began: Timestamp,
    ) -> Result<Page, Problem> {
        let wanted = Wanted { part: Part::InWork, ..*wanted };
        let from = cursor.map(ToldPlace::parse).transpose().map_err(unavailable)?;
        let mut place = match from {
            Some(place) if reps.contains(&place.rep) => Some(place),
            // Whoever it was is not within reach any more: on with whoever comes next.
            Some(place) => next_of(&reps, &place.rep),
            None => reps.first().map(|rep| first_of(rep)),
        };
        let mut looked_at = 0;
        while page.room() > 0 && looked_at < LOOKED_AT && (looked_at == 0 || !self.is_long(began)) {
            let Some(at) = place.take() else { break };
            let kinds = [NoticeKind::Assigned.name()];
            let told = self.store.told_of(&at.rep, &kinds, at.before.as_deref(), AT_ONCE).await;
            let told = told.map_err(unavailable)?;
            let rows = self.still_given(&wanted, &at.rep, &told.items).await?;
            let room = page.room();
            let cut =
                rows.get(room).is_some().then(|| rows.get(room - 1).map(|(told, _)| told.place.clone()));
            looked_at += told.items.len().max(AT_LEAST);
            page.leads.extend(rows.into_iter().take(room).map(|(_, row)| row));
            place = match cut.flatten().or(told.next) {
                Some(before) => Some(ToldPlace { before: Some(before), rep: at.rep }),
                None => next_of(&reps, &at.rep),
            };
        }
        page.cursor = place.map(|place| place.cursor()).transpose().map_err(unavailable)?;
        Ok(page)
    }

    /// Of these assignments those that stand, as rows.
    async fn still_given<'t>(
        &self,
        wanted: &Wanted<'_>,
        rep: &str,
        told: &'t [Told],
    ) -> Result<Vec<(&'t Told, Value)>, Problem> {
        let rows = self.rows(wanted, &leads_of(told)).await?;
        let rows: BTreeMap<LeadId, Value> = rows.into_iter().map(|(lead, row)| (lead.id, row)).collect();
        let stands = |told: &'t Told| {
            let row = rows.get(&told.lead)?;
            let assignment = &row["assignment"];
            (assignment["rep"] == rep && assignment["n"] == told.n).then(|| (told, row.clone()))
        };
        Ok(told.iter().filter_map(stands).collect())
    }

    fn is_long(&self, began: Timestamp) -> bool {
        self.env.clock.now().since(began) > LONG_ENOUGH
    }
}

/// Whether the caller's own leads are asked for by `state=mine`, of nobody else besides.
fn is_mine(call: &Call) -> bool {
    let has_other = call.query("owner").is_some_and(|owner| owner != "me");
    call.query("state").as_deref() == Some("mine") && !has_other
}

/// The leads that somebody was told of, each once.
fn leads_of(told: &[Told]) -> Vec<LeadId> {
    told.iter().map(|told| told.lead.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether it is by this notice that the lead is in the rep's list.
fn is_listed_by(told: &Told, lead: &Lead, rep: &str) -> bool {
    let had = lead.progress.past.iter().map(|past| &past.assignment).chain(&lead.progress.assignment);
    let last = had.filter(|assignment| assignment.rep == rep).map(|assignment| assignment.n).max();
    let is_given = told.kind == NoticeKind::Assigned.name();
    last.map_or(!is_given, |last| is_given && told.n == last)
}

/// Where a list of leads that are on their way goes on.
fn place_of(last: &OpenLead) -> String {
    format!("{}.{}", last.since.millis(), last.id)
}

fn read_place(cursor: &str) -> Option<OpenLead> {
    let (since, id) = cursor.split_once('.')?;
    Some(OpenLead { since: Timestamp(since.parse().ok()?), id: LeadId::parse(id)? })
}

fn first_of(rep: &str) -> ToldPlace {
    ToldPlace { rep: rep.to_owned(), before: None }
}

/// The beginning of the next rep's, if there is one.
fn next_of(reps: &BTreeSet<String>, rep: &str) -> Option<ToldPlace> {
    reps.iter().find(|next| next.as_str() > rep).map(|next| first_of(next))
}

#[cfg(test)]
mod tests {
    use super::{OpenLead, ToldPlace, next_of, place_of, read_place};
    use sluice_domain::id::LeadId;
    use sluice_domain::time::Timestamp;
    use std::collections::BTreeSet;

    #[test]
    fn a_list_goes_on_with_the_next_rep_who_is_within_reach() {
        let reps: BTreeSet<String> = ["ann", "bo", "cy"].map(str::to_owned).into();
        let next = |rep: &str| next_of(&reps, rep).map(|place| (place.rep, place.before));
        assert_eq!(next("ann"), Some(("bo".to_owned(), None)));
        assert_eq!(next("bob"), Some(("cy".to_owned(), None)), "who is gone");
        assert_eq!(next("cy"), None);
    }

    #[test]
    fn a_place_is_read_from_the_cursor_that_names_it() {
        for before in [None, Some("m#0000000000001#ld_x#assigned1#".to_owned())] {
            let place = ToldPlace { rep: "li.wei".to_owned(), before };
            let cursor = place.cursor().unwrap();
            let read = ToldPlace::parse(&cursor).unwrap();
            assert_eq!(
                (read.rep, read.before.unwrap()),
                (place.rep, place.before.unwrap_or("m$".to_owned()))
            );
            assert_eq!(read_place(&cursor), None, "of the other part of the list");
        }
        for wrong in ["", "x", "WyJ4IiwieSJd"] {
            assert!(ToldPlace::parse(wrong).is_err(), "{wrong}");
        }
        let open = OpenLead { since: Timestamp(1_772_442_000_000), id: LeadId::derived(&["one"]) };
        let cursor = place_of(&open);
        assert_eq!(read_place(&cursor), Some(open));
        assert!(ToldPlace::parse(&cursor).is_err(), "of the other part of the list");
    }
}
