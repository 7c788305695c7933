//! Every key of the table, one constructor and one parser each. Append only: a retired prefix stays reserved.
//!
//! | item | pk | sk | read by |
//! |---|---|---|---|
//! | lead | `ld_…` | `l` | its id |
//! | envelope too large for the lead | `ld_…` | `e#<fingerprint>` | its lead |
//! | mark a sender made on a lead | `ld_…` | `m#<kind>` | enrich-lead, the lead's view |
//! | post that names nobody: the lead it became | `post#<hash of it>` | `p` | capture-lead, when it comes again at once |
//! | contact | `ld_…` | `c#<hash of its key>` | its lead |
//! | address | `ad#<key version>.<hash>` | `a` | a lead's identities |
//! | blocking key | `bk#<key version>.<hash>` | `b` | a lead's description, where settings turn matching on |
//! | customer | `cu_…` | `c` | its id |
//! | entry: an event, and its receipt | `cu_…` | `e#<id of the event>` | advance-journey, before it decides, and of the order that an event changes; the timeline, all of a person's |
//! | state: what behaviour made of a record | `cu_…` | `s` | advance-journey with the record; the customer's view, previews |
//! | run: a record's way through a journey | `cu_…` | `r#<journey>` | advance-journey, those the person is in or an event may begin; all of a record |
//! | message to a customer | `cu_…` | `m#<time and cause, as in its id>` | send-message; the customer's list, newest first |
//! | key of a call that asked for a message | `cu_…` | `k#<hash of the key>` | the call again |
//! | key of a call that wrote down what a person wants | `cu_…` | `w#<hash of the key>` | the call again |
//! | gate | `gate#<channel>#<key version>.<hash>` | `g` | whoever sends to an address or hears from it |
//! | proof of what was said of an address | `consent#<channel>#<key version>.<hash>` | `<ms>#<id>` | a person's consents and export, oldest first |
//! | pace of a channel | `pace#<channel>` | `p` | send-message, once a batch |
//! | team | `team#<name>` | `t` | route-lead, and acts that free capacity |
//! | turns between teams | `team#round#<names>` | `t` | route-lead, where a rule asks |
//! | notice: a message to a rep | `rep#<name>` | `m#<ms>#<lead>#<kind><n>#<channel>` | send-message; a rep's list, newest first |
//! | notice of a journey: to a rep, or to another system; of an event, to another system | `rep#<name>`, `rep#journey/<name>`, `rep#webhook/<name>` | `m#<ms>#<customer>#<hash of journey, step and rep>#<channel>` | as above |
//! | notice that a campaign was stopped | `rep#<name>` | `m#<ms>#<campaign>#<broadcast>#<channel>` | as above |
//! | notice of an alert | `rep#<name>` | `m#<ms>#<alert>#alert#<channel>` | as above |
//! | a rep's absences | `leave#<rep>` | `a` | route-lead, when they are not those it has; the rep |
//! | count of changes of absences | `leave` | `n` | route-lead with the teams |
//! | owner of a company | `co#<domain>` | `o` | route-lead with the teams, where a rule asks; a rebalance |
//! | receiver of webhooks | `ep_…` | `h` | send-message before each webhook; the list of receivers |
//! | due | `due#<shard>` | `<ms>#<id>` | fire-timers, oldest first |
//! | first contacts of a day | `speed#<year>-<month>` | `<day>#<source>#<team>#<rep>` | speed to lead, month by month |
//! | counters of results of a day | `counted#<year>-<month>#<part>` | `<cell>#<day>` | reports and alerts, month by month, by what cells begin with |
//! | what an alert told last | `alarm#<alert>` | `a` | fire-timers, when it looks at the alert |
//! | policy document | `policy#<sha>` | `<chunk>` | functions, once per version |
//! | manifest | `manifest` | `<version>` | functions, every few seconds, newest first |
//! | broadcast: one time that a campaign goes out | `campaign#<name>` | `b#<number>` | run-campaign; send-message, where its messages may not go out; the campaign's page, newest first |
//! | how far a part of its audience is gone through | `campaign#<name>` | `s#<number>#<part>` | run-campaign, once a page |
//! | tally: what a part of it counted, and whether its messages may be claimed | `tally#<name>#<number>#<shard>` | `t` | send-message before each claim; the campaign's page |
//! | what waits while it is paused | `parked#<name>#<number>#<shard>` | `<epoch>#<id>` | run-campaign, when it goes on |
//! | token | `token` | `<sha>` | serve-console, each request; the list of tokens |
//! | key of a call that made a token | `token-key` | `<hash of the key>` | the call again |
//! | entry of the audit | `audit` | `<ms>#<id>` | the audit, newest first |
//! | import batch | `import` | `<batch>` | serve-console; the list of batches |
//! | rows of a batch that came in together | `import#<batch>` | `<first row>-<last row>` | taking the batch back, in the file's order |
//!
//! The sparse index `open` (`ix`, `ia`) holds leads that have not ended: `waiting#<shard>`, `escalated#<shard>` and
//! `queued#<shard>`, oldest first; and messages whose outcome is unknown: `unknown#<shard>`.

use sluice_domain::customer::AddressHash;
use sluice_domain::id::{AuditId, CustomerId, EventId, LeadId, MessageId, ProofId};
use sluice_domain::insight::{Cell, Day};
use sluice_domain::lead::{LeadState, MarkKind};
use sluice_domain::message::Channel;
use sluice_domain::speed::Group;
use sluice_domain::time::Timestamp;

/// Name of the sparse index.
pub const OPEN_INDEX: &str = "open";
/// Partitions of the sparse index per state: each takes 1,000 writes a second.
pub const OPEN_SHARDS: u8 = 4;
/// Partitions of due entries.
pub const DUE_SHARDS: u8 = 16;

/// Sort key of a lead.
pub const LEAD: &str = "l";
/// Sort key of a post that names nobody.
pub const POST: &str = "p";
/// Sort key of an address.
pub const ADDRESS: &str = "a";
/// Sort key of a blocking key.
pub const BLOCK: &str = "b";
/// Sort key of a customer.
pub const CUSTOMER: &str = "c";
/// Sort key of a team.
pub const TEAM: &str = "t";
/// Sort key of a rep's absences.
pub const LEAVE: &str = "a";
/// Partition of the count of changes of absences.
pub const LEAVES: &str = "leave";
/// Sort key of the count of changes of absences.
pub const COUNT: &str = "n";
/// Sort key of a company's owner.
pub const COMPANY: &str = "o";
/// Sort key of a receiver of webhooks.
pub const ENDPOINT: &str = "h";
/// Partition of the tokens; the sort key is the hash of each.
pub const TOKENS: &str = "token";
/// Partition of the keys of calls that made tokens; the sort key is the hash of each.
pub const TOKEN_KEYS: &str = "token-key";
/// Partition of the audit.
pub const AUDIT: &str = "audit";
/// Partition of the manifests.
pub const MANIFEST: &str = "manifest";

/// Partition of an address.
pub fn address(hash: &AddressHash) -> String {
    format!("ad#{}", hash.as_str())
}

/// Sort key of an envelope stored apart. It names the content: of two posts under one id the lead keeps its own, and
/// what is fetched later stands beside what was announced.
pub fn envelope(fingerprint: &str) -> String {
    format!("e#{fingerprint}")
}

/// Partition of a post that names nobody, by what it is known again by.
pub fn post(hash: &str) -> String {
    format!("post#{hash}")
}

/// The hash in the partition of such a post.
pub fn parse_post(pk: &str) -> Option<&str> {
    pk.strip_prefix("post#")
}

/// Sort key of what a sender said of a lead.
pub fn mark(kind: MarkKind) -> String {
    format!("m#{}", kind.name())
}

/// The kind in a mark's sort key.
pub fn parse_mark(sk: &str) -> Option<MarkKind> {
    sk.strip_prefix("m#").and_then(MarkKind::parse)
}

/// The hash in an address's partition key.
pub fn parse_address(pk: &str) -> Option<AddressHash> {
    pk.strip_prefix("ad#").map(AddressHash::from_text)
}

/// Partition of a blocking key.
pub fn block(hash: &AddressHash) -> String {
    format!("bk#{}", hash.as_str())
}

/// The hash in a blocking key's partition.
pub fn parse_block(pk: &str) -> Option<AddressHash> {
    pk.strip_prefix("bk#").map(AddressHash::from_text)
}

/// Partition of a team.
pub fn team(name: &str) -> String {
    format!("team#{name}")
}

/// The name in a team's partition key.
pub fn parse_team(pk: &str) -> Option<&str> {
    pk.strip_prefix("team#")
}

/// Partition of what a rep was told.
pub fn rep(name: &str) -> String {
    format!("rep#{name}")
}

/// The name in the partition of what a rep was told.
pub fn parse_rep(pk: &str) -> Option<&str> {
    pk.strip_prefix("rep#")
}

/// Partition of a rep's absences.
pub fn leave(rep: &str) -> String {
    format!("leave#{rep}")
}

/// The rep in the partition of their absences.
pub fn parse_leave(pk: &str) -> Option<&str> {
    pk.strip_prefix("leave#")
}

/// Partition of a company by its domain.
pub fn company(domain: &str) -> String {
    format!("co#{domain}")
}

/// The domain in a company's partition.
pub fn parse_company(pk: &str) -> Option<&str> {
    pk.strip_prefix("co#")
}

/// Sort key of a notice: a message to a rep.
pub fn notice(at: Timestamp, lead: &LeadId, kind: &str, n: u32, channel: &str) -> String {
    format!("m#{}#{lead}#{kind}{n}#{channel}", millis(at))
}

/// Behind every notice of a rep.
pub const AFTER_NOTICES: &str = "m$";

/// Sort key of a notice that a journey gives of a customer; `id` is that of what is told.
pub fn told(at: Timestamp, customer: &CustomerId, id: &str, channel: &str) -> String {
    format!("m#{}#{customer}#{}#{channel}", millis(at), told_as(id))
}

/// The part of such a key that tells the notices of one customer and instant apart: a hash of the id, cut.
pub fn told_as(id: &str) -> String {
    let hash = EventId::derived(&["told", id]);
    hash.as_str().get(3..19).unwrap_or_default().to_owned()
}

/// Sort key of a notice that a campaign was stopped.
pub fn halted(at: Timestamp, campaign: &str, broadcast: u32, channel: &str) -> String {
    format!("m#{}#{campaign}#{broadcast}#{channel}", millis(at))
}

/// The customer in the sort key of such a notice.
pub fn parse_told(sk: &str) -> Option<CustomerId> {
    sk.split('#').nth(2).and_then(CustomerId::parse)
}

/// Sort key of a notice of an alert.
pub fn alerted(at: Timestamp, alert: &str, channel: &str) -> String {
    format!("m#{}#{alert}#alert#{channel}", millis(at))
}

/// The lead in a notice's sort key.
pub fn parse_notice_lead(sk: &str) -> Option<LeadId> {
    sk.split('#').nth(2).and_then(LeadId::parse)
}

/// Of a notice's sort key the lead, what it says and the number of the assignment.
pub fn parse_notice(sk: &str) -> Option<(LeadId, &str, u32)> {
    let mut parts = sk.strip_prefix("m#")?.split('#').skip(1);
    let (lead, said) = (LeadId::parse(parts.next()?)?, parts.next()?);
    let kind = said.trim_end_matches(|c: char| c.is_ascii_digit());
    Some((lead, kind, said.get(kind.len()..)?.parse().ok()?))
}

/// Where the notices of one thing begin, whatever the channel: what is before it in a list is about something else.
pub fn notices_of_one(sk: &str) -> &str {
    sk.rfind('#').and_then(|at| sk.get(..=at)).unwrap_or(sk)
}

/// Sort key of a record's state.
pub const STATE: &str = "s";

/// Prefix of the sort keys of a record's runs.
pub const RUNS: &str = "r#";

/// Sort key of a run.
pub fn run(journey: &str) -> String {
    format!("{RUNS}{journey}")
}

/// The journey in a run's sort key.
pub fn parse_run(sk: &str) -> Option<&str> {
    sk.strip_prefix(RUNS)
}

/// Prefix of the sort keys of a customer's entries.
pub const ENTRIES: &str = "e#";

/// Sort key of an entry. It names the event and no time: the same event is one entry, whenever it says that it happened.
pub fn entry(id: &EventId) -> String {
    format!("{ENTRIES}{id}")
}

/// The event in an entry's sort key.
pub fn parse_entry(sk: &str) -> Option<EventId> {
    sk.strip_prefix(ENTRIES).and_then(EventId::parse)
}

/// Whether a sort key of a customer's partition is of what behaviour made: an entry, the state or a run.
pub fn is_of_behaviour(sort_key: &str) -> bool {
    sort_key == STATE || sort_key.starts_with(RUNS) || sort_key.starts_with(ENTRIES)
}

/// Prefix of the sort keys of a customer's messages.
pub const MESSAGES: &str = "m#";

/// Sort key of a message to a customer.
pub fn message(id: &MessageId) -> String {
    format!("{MESSAGES}{}", id.own_part())
}

/// The message of a customer's partition by its sort key.
pub fn parse_message(pk: &str, sk: &str) -> Option<MessageId> {
    MessageId::from_parts(&CustomerId::parse(pk)?, sk.strip_prefix(MESSAGES)?)
}

/// Sort key of the key of a call that asked for a message.
pub fn asked(hash: &str) -> String {
    format!("k#{hash}")
}

/// The hash in such a sort key.
pub fn parse_asked(sk: &str) -> Option<&str> {
    sk.strip_prefix("k#")
}

/// Sort key of the key of a call that wrote down what a person wants.
pub fn word(hash: &str) -> String {
    format!("w#{hash}")
}

/// The hash in such a sort key.
pub fn parse_word(sk: &str) -> Option<&str> {
    sk.strip_prefix("w#")
}

/// Sort key of a gate.
pub const GATE: &str = "g";

/// Partition of the gate of an address on a channel.
pub fn gate(channel: Channel, address: &AddressHash) -> String {
    format!("gate#{}#{}", channel.name(), address.as_str())
}

/// The channel and the address in a gate's partition.
pub fn parse_gate(pk: &str) -> Option<(Channel, AddressHash)> {
    let (channel, hash) = pk.strip_prefix("gate#")?.split_once('#')?;
    Some((Channel::parse(channel)?, AddressHash::from_text(hash)))
}

/// Partition of what was said about an address on a channel.
pub fn consent(channel: Channel, address: &AddressHash) -> String {
    format!("consent#{}#{}", channel.name(), address.as_str())
}

/// The channel and the address in the partition of what was said.
pub fn parse_consent(pk: &str) -> Option<(Channel, AddressHash)> {
    let (channel, hash) = pk.strip_prefix("consent#")?.split_once('#')?;
    Some((Channel::parse(channel)?, AddressHash::from_text(hash)))
}

/// Sort key of one thing that was said.
pub fn proof(at: Timestamp, id: &ProofId) -> String {
    format!("{}#{id}", millis(at))
}

/// The time and the id in its sort key.
pub fn parse_proof(sk: &str) -> Option<(Timestamp, ProofId)> {
    let (at, id) = sk.split_once('#')?;
    Some((Timestamp(at.parse().ok()?), ProofId::parse(id)?))
}

/// Sort key of a channel's pace.
pub const PACE: &str = "p";

/// Partition of a channel's pace.
pub fn pace(channel: Channel) -> String {
    format!("pace#{}", channel.name())
}

/// The channel in the partition of its pace.
pub fn parse_pace(pk: &str) -> Option<Channel> {
    pk.strip_prefix("pace#").and_then(Channel::parse)
}

/// Index partition of a message whose outcome is unknown.
pub fn unknown(id: &MessageId) -> String {
    unknown_shard(id.as_str().bytes().last().unwrap_or(0) % OPEN_SHARDS)
}

/// Index partition of such messages by its number.
pub fn unknown_shard(shard: u8) -> String {
    format!("unknown#{shard}")
}

/// Partition of due entries.
pub fn due(shard: u8) -> String {
    format!("due#{shard}")
}

/// Sort key of a due entry.
pub fn due_at(at: Timestamp, id: &str) -> String {
    format!("{}#{id}", millis(at))
}

/// The time and the id in a due entry's sort key.
pub fn parse_due_at(sk: &str) -> Option<(Timestamp, &str)> {
    let (at, id) = sk.split_once('#')?;
    Some((Timestamp(at.parse().ok()?), id))
}

/// Prefix of the sort keys of a lead's contacts.
pub const CONTACTS: &str = "c#";

/// Sort key of a contact, by the hash of its idempotency key.
pub fn contact(hash: &str) -> String {
    format!("{CONTACTS}{hash}")
}

/// The hash in a contact's sort key.
pub fn parse_contact(sk: &str) -> Option<&str> {
    sk.strip_prefix(CONTACTS)
}

/// Partition of a month's first contacts; the year and month as in `2026-11`.
pub fn speed(month: &str) -> String {
    format!("speed#{month}")
}

/// Partition and sort key of a group of first contacts. Names hold no `#`.
pub fn speed_of(group: &Group) -> (String, String) {
    let Group { day, source, team, rep } = group;
    (speed(&day.strftime("%Y-%m").to_string()), format!("{:02}#{source}#{team}#{rep}", day.day()))
}

/// The group in its partition and sort key.
pub fn parse_speed(pk: &str, sk: &str) -> Option<Group> {
    let month = pk.strip_prefix("speed#")?;
    let mut parts = sk.split('#').map(str::to_owned);
    let day = format!("{month}-{}", parts.next()?).parse().ok()?;
    Some(Group { day, source: parts.next()?, team: parts.next()?, rep: parts.next()? })
}

/// Partitions of the counters of a month: each takes 1,000 writes a second, and of several writes of one counter at one instant
/// all but one are made again.
pub const COUNTER_PARTS: u8 = 16;

/// The part in which what is counted of a record's entries lies.
pub fn counter_part(home: &CustomerId) -> u8 {
    shard_of(home.as_str()) % COUNTER_PARTS
}

/// Partition of the counters of a month, as in `2026-11`, in one part.
pub fn counters(month: &str, part: u8) -> String {
    format!("counted#{month}#{part}")
}

/// Partition and sort key of the counters of a cell on a day.
pub fn counter(day: Day, cell: &Cell, part: u8) -> (String, String) {
    (counters(&day.strftime("%Y-%m").to_string(), part), format!("{cell}#{:02}", day.day()))
}

/// The day and the cell in their partition and sort key.
pub fn parse_counter(pk: &str, sk: &str) -> Option<(Day, Cell)> {
    let (month, _part) = pk.strip_prefix("counted#")?.split_once('#')?;
    let (cell, day) = sk.rsplit_once('#')?;
    Some((format!("{month}-{day}").parse().ok()?, Cell::parse(cell)?))
}

/// Sort key of what an alert told last.
pub const ALARM: &str = "a";

/// Partition of what an alert told last.
pub fn alarm(alert: &str) -> String {
    format!("alarm#{alert}")
}

/// The alert in the partition of what it told last.
pub fn parse_alarm(pk: &str) -> Option<&str> {
    pk.strip_prefix("alarm#")
}

/// Partition of a campaign.
pub fn campaign(name: &str) -> String {
    format!("campaign#{name}")
}

/// The name in a campaign's partition.
pub fn parse_campaign(pk: &str) -> Option<&str> {
    pk.strip_prefix("campaign#")
}

/// Prefix of the sort keys of a campaign's broadcasts.
pub const BROADCASTS: &str = "b#";

/// Sort key of a broadcast.
pub fn broadcast(n: u32) -> String {
    format!("{BROADCASTS}{n:010}")
}

/// The number in a broadcast's sort key.
pub fn parse_broadcast(sk: &str) -> Option<u32> {
    sk.strip_prefix(BROADCASTS)?.parse().ok()
}

/// Sort key of how far a part of a broadcast's audience is gone through.
pub fn section(broadcast: u32, part: u8) -> String {
    format!("s#{broadcast:010}#{part:02}")
}

/// The broadcast and the part in such a sort key.
pub fn parse_section(sk: &str) -> Option<(u32, u8)> {
    let (broadcast, part) = sk.strip_prefix("s#")?.split_once('#')?;
    Some((broadcast.parse().ok()?, part.parse().ok()?))
}

/// Sort key of a tally.
pub const TALLY: &str = "t";

/// Partition of what a part of a broadcast counted. Names hold no `#`.
pub fn tally(campaign: &str, broadcast: u32, shard: u8) -> String {
    format!("tally#{campaign}#{broadcast}#{shard}")
}

/// The campaign, broadcast and part in a tally's partition.
pub fn parse_tally(pk: &str) -> Option<(&str, u32, u8)> {
    parse_shard(pk.strip_prefix("tally#")?)
}

/// Partition of what waits while a broadcast is paused.
pub fn parked(campaign: &str, broadcast: u32, shard: u8) -> String {
    format!("parked#{campaign}#{broadcast}#{shard}")
}

/// The campaign, broadcast and part in the partition of what waits.
pub fn parse_parked(pk: &str) -> Option<(&str, u32, u8)> {
    parse_shard(pk.strip_prefix("parked#")?)
}

/// Sort key of what waits since a broadcast was held back.
pub fn parked_at(epoch: u32, id: &str) -> String {
    format!("{epoch:010}#{id}")
}

/// The epoch and the id in such a sort key.
pub fn parse_parked_at(sk: &str) -> Option<(u32, &str)> {
    let (epoch, id) = sk.split_once('#')?;
    Some((epoch.parse().ok()?, id))
}

fn parse_shard(text: &str) -> Option<(&str, u32, u8)> {
    let mut parts = text.split('#');
    Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Partition of a policy document.
pub fn policy(sha: &str) -> String {
    format!("policy#{sha}")
}

/// Sort key of a manifest.
pub fn manifest(version: u64) -> String {
    format!("{version:010}")
}

/// The version in a manifest's sort key.
pub fn parse_manifest(sk: &str) -> Option<u64> {
    sk.parse().ok()
}

/// Sort key of an entry of the audit.
pub fn audit(at: Timestamp, id: &AuditId) -> String {
    format!("{}#{id}", millis(at))
}

/// The time and the id in an entry's sort key.
pub fn parse_audit(sk: &str) -> Option<(Timestamp, AuditId)> {
    let (at, id) = sk.split_once('#')?;
    Some((Timestamp(at.parse().ok()?), AuditId::parse(id)?))
}

/// Partition of the import batches.
pub const IMPORTS: &str = "import";

/// Partition of what came in with a batch.
pub fn import(batch: &str) -> String {
    format!("import#{batch}")
}

/// Sort key of rows that came in together.
pub fn rows(first: u64, last: u64) -> String {
    format!("{first:012}-{last:012}")
}

/// The first and the last row in such a sort key.
pub fn parse_rows(sk: &str) -> Option<(u64, u64)> {
    let (first, last) = sk.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Index partition of an open lead.
pub fn open(state: LeadState, lead: &LeadId) -> String {
    open_shard(state, lead.as_str().bytes().last().unwrap_or(0) % OPEN_SHARDS)
}

/// Index partition by its number.
pub fn open_shard(state: LeadState, shard: u8) -> String {
    format!("{}#{shard}", state.name())
}

/// The shard a thing falls into by its id.
pub fn shard_of(id: &str) -> u8 {
    (id.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
        % u32::from(DUE_SHARDS)) as u8
}

/// A time that sorts as text: one with more than 13 digits, which is beyond the year 2286, counts as the last of them.
pub fn millis(at: Timestamp) -> String {
    format!("{:013}", at.millis().clamp(0, 9_999_999_999_999))
}

/// The longest partition key that DynamoDB has, in bytes.
pub const MAX_PK: usize = 2_048;
/// The longest sort key, in bytes.
pub const MAX_SK: usize = 1_024;

/// A customer's partition is its id.
pub fn customer(id: &CustomerId) -> &str {
    id.as_str()
}
