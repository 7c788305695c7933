//! Policy documents: list, show, check, publish.

use crate::{Call, Console, unavailable};
use ring::digest;
use serde_json::{Value, json};
use sluice_domain::access::{Change, Note, PolicyChange, Role, changed};
use sluice_domain::policy::{BEHAVIOUR, Document, Finding, SEEN_MS, doubts, left, left_behind, too_large};
use sluice_domain::team::TeamState;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{MAX_MANIFEST, Manifest, ManifestEntry, StoreError, Wanted, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::policy::{Files, PolicyError, SourceText, parse};
use sluice_wire::problem::Problem;
use sluice_wire::queue::{EventMessage, LeadMessage, Pass, encode};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a call with documents at most: Lambda takes 6 MB with what it is wrapped in.
const MAX_CALL: usize = 4_500_000;

/// Versions that a repeat tells of once more.
const RECENT: u64 = 8;

/// What a publication comes to, before anything of it is written.
struct Draft {
    /// What is published in place of the version before; none if that says the same.
    next: Option<Manifest>,
    /// Texts that are not kept yet, by their hashes.
    texts: Vec<(String, String)>,
    /// What is probably not meant, each as mistakes are said.
    warnings: Vec<Value>,
}

impl Console {
    pub(crate) async fn list_policies(&self) -> Result<HttpResponse, Problem> {
        let manifest = self.store.manifest().await.map_err(unavailable)?;
        let documents: Vec<Value> = manifest
            .documents
            .iter()
            .map(|entry| json!({"kind": entry.kind, "name": entry.name, "sha": entry.sha}))
            .collect();
        let body = json!({
            "version": manifest.version, "published": manifest.at.rfc3339(), "documents": documents,
        });
        Ok(tagged(HttpResponse::json(200, &body), manifest.version))
    }

    pub(crate) async fn show_policy(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let manifest = self.store.manifest().await.map_err(unavailable)?;
        let entry =
            manifest.documents.iter().find(|entry| entry.kind == call.part(0) && entry.name == call.part(1));
        let text = match entry {
            Some(entry) => self.store.policy_text(&entry.sha).await.map_err(unavailable)?,
            None => None,
        };
        let text = text.ok_or_else(|| {
            Problem::new(404, "no-such-policy", "There is no document of this kind and name.")
        })?;
        Ok(tagged(HttpResponse::empty(200).with_body("application/json", text), manifest.version))
    }

    /// `{"files": [{"file": …, "text": …}]}`, or one document or stream of documents as the body itself: checked beside what is published,
    /// as `apply` does it without `prune`. Whether whoever asks may publish them is another question.
    pub(crate) async fn validate(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let sources = sources(call)?;
        let files = parse(&sources).map_err(|errors| refused(&errors))?;
        let before = self.store.manifest().await.map_err(unavailable)?;
        let old = self.store.documents(&before).await.map_err(unavailable)?;
        let all = beside(&files, &old, false);
        let Draft { warnings, .. } = self.draft(call, &files, &before, &old, &all).await?;
        let paths: Vec<String> = files.documents.iter().map(Document::path).collect();
        Ok(HttpResponse::json(200, &json!({"valid": true, "documents": paths, "warnings": warnings})))
    }

    /// As `validate`, then published as one version. Documents that are not named stay; with `?prune=true` they go. The answer warns, of
    /// what stays only of what it was not warned of before, and of what is left behind.
    pub(crate) async fn apply(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let sources = sources(call)?;
        // What they name may be published already.
        let files = parse(&sources).map_err(|errors| refused(&errors))?;
        let prune = call.request.query_value("prune").as_deref() == Some("true");
        self.publish(call, &files, prune).await
    }

    pub(crate) async fn put_policy(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let sources = sources(call)?;
        let files = parse(&sources).map_err(|errors| refused(&errors))?;
        let (kind, name) = (call.part(0), call.part(1));
        let detail = format!("The body must be the one document {kind}/{name}.");
        let wrong = Problem::new(422, "wrong-document", detail);
        match files.documents.as_slice() {
            [one] if one.kind() != kind => Err(wrong.about("kind")),
            [one] if one.name() != name => Err(wrong.about("name")),
            [_] => self.publish(call, &files, false).await,
            _ => Err(wrong),
        }
    }

    async fn publish(&self, call: &Call, files: &Files<'_>, prune: bool) -> Result<HttpResponse, Problem> {
        for _ in 0..8 {
            let before = self.store.manifest().await.map_err(unavailable)?;
            let is_there = match call.path.as_slice() {
                [kind, name] => before.documents.iter().any(|old| old.kind == *kind && old.name == *name),
                _ => !before.documents.is_empty(),
            };
            let holds = call.may_replace(before.version, is_there);
            // The answer to a call that was carried out may have been lost: as it is repeated its tag is of a version shortly before.
            let mut recent = (1..=RECENT).filter_map(|back| before.version.checked_sub(back));
            if !holds && !recent.any(|version| call.may_replace(version, is_there)) {
                return Err(version_changed(call, before.version));
            }
            let is_admin = call.who.role == Role::Admin;
            let old = match self.store.documents(&before).await {
                // What an admin puts in their place need not be read.
                Err(StoreError::Corrupt(_)) if prune && is_admin => Vec::new(),
                read => read.map_err(unavailable)?,
            };
            let all = beside(files, &old, prune);
            if !holds && entries(&all, &before).0 != before.documents {
                return Err(version_changed(call, before.version));
            }
            if let Some((document, what)) = changed(&old, &all).filter(|_| !is_admin) {
                let detail = format!("Only an admin changes {what}: {document}.");
                return Err(Problem::new(403, "not-allowed", detail));
            }
            let Draft { next, texts, warnings } = self.draft(call, files, &before, &old, &all).await?;
            let Some(manifest) = next else {
                // Published before, by a call that may have died before anything was told of it. Others may have published since.
                let is_new = |document: &&Document| is_recent(&before.documents, document, before.version);
                let recent: Vec<&Document> = all.iter().filter(is_new).collect();
                let is_removal = before.documents.iter().all(|entry| entry.since < before.version);
                let now = self.env.clock.now();
                self.tell_published(before.version, &recent, is_removal, now).await?;
                let body = json!({"version": before.version, "changed": [], "warnings": warnings});
                return Ok(tagged(HttpResponse::json(200, &body), before.version));
            };
            for (sha, text) in &texts {
                self.store.put_policy_text(sha, text).await.map_err(unavailable)?;
            }
            // As of now: many texts take their time, and nobody goes by the version meanwhile.
            let Manifest { left, documents, .. } = manifest;
            let manifest = Manifest { left, ..before.next(self.env.clock.now(), documents) };
            let note = note(call, &before, &manifest);
            if self.store.publish(&manifest, &note).await.map_err(unavailable)? == Written::Conflict {
                continue;
            }
            let version = manifest.version + 1;
            let published: Vec<String> = manifest
                .documents
                .iter()
                .filter(|entry| !before.documents.contains(entry))
                .map(|entry| format!("{}/{}", entry.kind, entry.name))
                .collect();
            let is_gone = |old: &&ManifestEntry| {
                !manifest.documents.iter().any(|new| new.kind == old.kind && new.name == old.name)
            };
            let mut removed = before.documents.iter().filter(is_gone);
            let removes = removed.any(|old| BEHAVIOUR.contains(&old.kind.as_str()));
            let latest: Vec<&Document> =
                all.iter().filter(|document| published.contains(&document.path())).collect();
            // From when it is there: writing it down may have taken its time.
            self.tell_published(version, &latest, removes, self.env.clock.now()).await?;
            let body = json!({"version": version, "changed": published, "warnings": warnings});
            return Ok(tagged(HttpResponse::json(200, &body), version));
        }
        Err(Problem::new(409, "busy", "Others are publishing. Try again.").retry_after(1))
    }

    /// Checks what there is to be, which is `all` documents in place of the `old` ones, and says what its publication comes to.
    async fn draft(
        &self,
        call: &Call,
        files: &Files<'_>,
        before: &Manifest,
        old: &[Document],
        all: &[Document],
    ) -> Result<Draft, Problem> {
        check_sizes(all)?;
        check_together(files, all)?;
        let (entries, texts) = entries(all, before);
        if entries == before.documents {
            let warnings = warnings(files, (all, &before.gone_topics), (old, &before.gone_topics));
            return Ok(Draft { next: None, texts, warnings });
        }
        let states = self.states_beside(before, all).await?;
        let now = self.env.clock.now();
        let is_seen = now.since(before.at) > SEEN_MS;
        let left = left(&before.left, old, all, &states, is_seen);
        let next = Manifest { left, ..before.next(now, entries) };
        check_list(&next, &note(call, before, &next))?;
        let mut warnings = warnings(files, (all, &next.gone_topics), (old, &before.gone_topics));
        // Who has how many open leads is told whoever reaches everybody, as all do who publish.
        if call.sight.reach.is_everybody() {
            // Of what is no more there is no place, and no file.
            let behind = left_behind(old, all, &states).into_iter();
            warnings.extend(behind.map(|message| json!({ "message": message })));
        }
        Ok(Draft { next: Some(next), texts, warnings })
    }

    /// The teams that there are, are to be, or were left by somebody with open leads, but for those whose record cannot be read: it
    /// keeps nobody from publishing.
    async fn states_beside(
        &self,
        before: &Manifest,
        all: &[Document],
    ) -> Result<BTreeMap<String, TeamState>, Problem> {
        let was = before.documents.iter().filter(|entry| entry.kind == "team").map(|entry| &entry.name);
        let is = all.iter().filter_map(|document| match document {
            Document::Team(team) => Some(&team.name),
            _ => None,
        });
        let teams: BTreeSet<String> = was.chain(is).chain(before.left.keys()).cloned().collect();
        match self.states(teams.clone()).await {
            Err(StoreError::Corrupt(_)) => {}
            read => return read.map_err(unavailable),
        }
        let mut states = BTreeMap::new();
        for team in teams {
            match self.states(BTreeSet::from([team])).await {
                Err(StoreError::Corrupt(_)) => {}
                read => states.extend(read.map_err(unavailable)?),
            }
        }
        Ok(states)
    }

    async fn states(&self, teams: BTreeSet<String>) -> Result<BTreeMap<String, TeamState>, StoreError> {
        let desk = self.store.desk(&Wanted { teams, ..Wanted::default() }).await?;
        Ok(desk.teams.into_iter().map(|(name, record)| (name, record.state)).collect())
    }

    /// Whatever waits for a publication: leads, and customers if it says anew what behaviour makes of them. Told again under the
    /// same ids.
    async fn tell_published(
        &self,
        version: u64,
        published: &[&Document],
        looks_at_all: bool,
        now: Timestamp,
    ) -> Result<(), Problem> {
        // Somebody may be available under the new policies. Sooner, the lead would be tried under the old ones.
        let body = encode(&LeadMessage::Wake("policies".to_owned()));
        let id = format!("wake-policies-{version}");
        let not_before = now.plus_millis(SEEN_MS);
        let mut sent = vec![Outgoing { queue: QueueName::Lead, id, body, not_before }];
        // What these reps plan may be others' absences than before.
        let reps = published.iter().filter_map(|document| match document {
            Document::Rep(rep) => Some(&rep.name),
            _ => None,
        });
        sent.extend(reps.map(|rep| Outgoing {
            queue: QueueName::Lead,
            id: format!("leave-{version}-{rep}"),
            body: encode(&LeadMessage::Leave(rep.clone())),
            not_before,
        }));
        // What a campaign asks of people's behaviour has to be counted; what it names is.
        let asks = |document: &&Document| match document {
            Document::Campaign(campaign) => campaign.audience.query.is_some(),
            other => BEHAVIOUR.contains(&other.kind()),
        };
        if looks_at_all || published.iter().any(asks) {
            sent.extend(Pass::all(version).into_iter().map(|pass| Outgoing {
                queue: QueueName::Event,
                id: pass.id(),
                body: encode(&EventMessage::Pass(pass)),
                not_before,
            }));
        }
        self.outbox.hand_over(sent, now).await.map_err(unavailable)
    }
}

/// What there is to be once these files are published. What is in them comes first: so findings are about them by their place.
fn beside(files: &Files<'_>, old: &[Document], prune: bool) -> Vec<Document> {
    let new: BTreeSet<String> = files.documents.iter().map(Document::path).collect();
    let stays = |document: &&Document| !prune && !new.contains(&document.path());
    files.documents.iter().chain(old.iter().filter(stays)).cloned().collect()
}

/// The list of documents that are published in place of `before`, and the texts of those that are not kept yet, by their hashes.
fn entries(all: &[Document], before: &Manifest) -> (Vec<ManifestEntry>, Vec<(String, String)>) {
    let (mut entries, mut texts) = (Vec::with_capacity(all.len()), Vec::new());
    for document in all {
        let text = document.to_json().to_string();
        let sha: String = digest::digest(&digest::SHA256, text.as_bytes())
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let is_kept = before.documents.iter().any(|entry| entry.sha == sha);
        if !is_kept {
            texts.push((sha.clone(), text));
        }
        let (kind, name) = (document.kind().to_owned(), document.name().to_owned());
        let is_same = |old: &&ManifestEntry| old.kind == kind && old.name == name && old.sha == sha;
        let since = before.documents.iter().find(is_same).map_or(before.version + 1, |old| old.since);
        entries.push(ManifestEntry { kind, name, sha, since });
    }
    entries.sort();
    (entries, texts)
}

/// With the version that `If-Match` takes: of all documents together, as they are published.
fn tagged(answer: HttpResponse, version: u64) -> HttpResponse {
    answer.with_header("etag", format!("\"{version}\""))
}

/// Whether a document is as it is since this version, or since one shortly before it.
fn is_recent(entries: &[ManifestEntry], document: &Document, version: u64) -> bool {
    let is_it = |entry: &&ManifestEntry| entry.kind == document.kind() && entry.name == document.name();
    entries.iter().find(is_it).is_some_and(|entry| entry.since + RECENT > version)
}

/// What the audit says: every document that is not as before.
fn note(call: &Call, before: &Manifest, after: &Manifest) -> Note {
    let of = |manifest: &Manifest| -> BTreeMap<String, String> {
        let path = |entry: &ManifestEntry| (format!("{}/{}", entry.kind, entry.name), entry.sha.clone());
        manifest.documents.iter().map(path).collect()
    };
    let (before, now) = (of(before), of(after));
    let paths: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let changes = paths.into_iter().map(|path| PolicyChange {
        document: path.clone(),
        from: before.get(path).cloned(),
        to: now.get(path).cloned(),
    });
    let documents = changes.filter(|change| change.from != change.to).collect();
    let change = Change::Policy { version: after.version + 1, documents };
    Note { at: after.at, who: call.who.doer(), change }
}

/// Whether documents are no more than is kept.
fn check_sizes(documents: &[Document]) -> Result<(), Problem> {
    let Some(finding) = too_large(documents).into_iter().next() else { return Ok(()) };
    let path = documents.get(finding.document).map(Document::path).unwrap_or_default();
    Err(larger(format!("{path}: {}.", finding.message)).about(path))
}

/// Whether the list of documents and what changes fit into the items that they are.
fn check_list(manifest: &Manifest, note: &Note) -> Result<(), Problem> {
    let bytes = manifest.bytes(note).map_err(unavailable)?;
    if bytes <= MAX_MANIFEST {
        return Ok(());
    }
    Err(larger(format!(
        "The list of the {} documents, or of those that change, has {bytes} bytes, and at most {MAX_MANIFEST} are kept. Publish fewer, or \
         fewer at a time.",
        manifest.documents.len()
    )))
}

/// What `If-Match` asks for does not hold.
fn version_changed(call: &Call, version: u64) -> Problem {
    let is_any = call.request.header("if-match").is_some_and(|tags| tags.contains('*'));
    let detail = match is_any {
        true => format!("Version {version} of the policies has no such document."),
        false => format!("The policies are at version {version} now. Read them again."),
    };
    Problem::new(409, "version-changed", detail)
}

fn larger(detail: String) -> Problem {
    Problem::new(413, "policies-too-large", detail)
}

fn sources(call: &Call) -> Result<Vec<SourceText>, Problem> {
    let bytes = call.request.body.len();
    if bytes > MAX_CALL {
        let detail = format!(
            "The call has {bytes} bytes, and at most {MAX_CALL} are read. Publish the documents in several calls."
        );
        return Err(larger(detail));
    }
    let text = std::str::from_utf8(&call.request.body)
        .map_err(|_| Problem::new(400, "not-text", "Policy documents are UTF-8 text."))?;
    if let Ok(Value::Object(body)) = serde_json::from_str::<Value>(text)
        && let Some(Value::Array(files)) = body.get("files")
    {
        let file = |file: &Value| SourceText {
            file: file["file"].as_str().unwrap_or("document").to_owned(),
            text: file["text"].as_str().unwrap_or_default().to_owned(),
        };
        return Ok(files.iter().map(file).collect());
    }
    Ok(vec![SourceText { file: "document".to_owned(), text: text.to_owned() }])
}

/// Checks what is to be published: the documents of these files, and behind them those that stay.
fn check_together(files: &Files<'_>, all: &[Document]) -> Result<(), Problem> {
    let (own, others): (Vec<Finding>, Vec<Finding>) =
        sluice_wire::policy::check(all).into_iter().partition(|one| one.document < files.documents.len());
    if own.is_empty() && others.is_empty() {
        return Ok(());
    }
    let own = files.placed(own);
    let mut lines: Vec<String> = own.iter().map(ToString::to_string).collect();
    let mut errors: Vec<Value> = own.iter().map(|error| json!(error)).collect();
    for finding in others {
        let (document, message) = of_published(all, &finding);
        lines.push(format!("{document}, published before: {message}"));
        errors.push(json!({"file": document, "message": message}));
    }
    Err(invalid(&lines, errors))
}

/// A finding about a document that stays, which has no line here: the document, and what was found at which place.
fn of_published(all: &[Document], finding: &Finding) -> (String, String) {
    let document = all.get(finding.document).map(Document::path).unwrap_or_default();
    (document, format!("{}: {}", finding.path.join("."), finding.words()))
}

/// Documents with the topics that are gone besides.
type Published<'a> = (&'a [Document], &'a BTreeSet<String>);

/// What is probably not meant: in these files, and in documents that stay what was not found `before`.
fn warnings(files: &Files<'_>, (all, gone): Published<'_>, (old, gone_before): Published<'_>) -> Vec<Value> {
    let (own, others): (Vec<Finding>, Vec<Finding>) =
        doubts(all, gone).into_iter().partition(|one| one.document < files.documents.len());
    let mut found: Vec<Value> = files.placed(own).iter().map(|one| json!(one)).collect();
    if !others.is_empty() {
        let before: BTreeSet<_> =
            doubts(old, gone_before).iter().map(|finding| of_published(old, finding)).collect();
        let new = others.iter().map(|finding| of_published(all, finding)).filter(|one| !before.contains(one));
        found.extend(new.map(|(document, message)| json!({"file": document, "message": message})));
    }
    found
}

fn refused(errors: &[PolicyError]) -> Problem {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    invalid(&lines, errors.iter().map(|error| json!(error)).collect())
}

fn invalid(lines: &[String], errors: Vec<Value>) -> Problem {
    Problem::new(422, "policy-invalid", lines.join("\n")).with_errors(errors)
}
