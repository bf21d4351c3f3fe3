//! Writes findings: correlations with a revision count, their evidence, and the links to events.
//!
//! Without transactions the order of writes ensures consistency: evidence first, then its correlations, then rows of
//! removed correlations. All changes to the evidence of a pattern are one insert, which is one part of the table and
//! atomic. A repeated commit looks up what is stored and writes only the rest.

use super::fault::Fault;
use super::insert::insert;
use super::links;
use super::parts::parts;
use super::rows::versions;
use super::select::{read, selected};
use super::session::Session;
use crate::Commit;
use crate::patterns::{self, CorrelationRow, correlation_columns, evidence_columns};
use model::pattern::{Correlation, Evidence, Finding};
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

/// Evidence rows of one insert: below the million rows at which the server would begin a second part.
const EVIDENCE_ROWS_MAX: usize = 400_000;

/// The stored state of correlations.
#[derive(Default)]
struct Stored {
    correlations: BTreeMap<String, (Correlation, u64, TimeMs)>,
    evidence: BTreeMap<String, BTreeSet<Evidence>>,
}

/// An evidence row to write or delete.
struct Change<'a> {
    evidence: &'a Evidence,
    removed: bool,
}

/// Writes the findings of a commit and deletes removed ones. Only differences from stored rows are written.
pub(super) async fn write(session: &mut Session, commit: &Commit) -> Result<(), Fault> {
    let findings: BTreeMap<String, &Finding> =
        commit.findings.iter().map(|finding| (finding.correlation.key.correlation_id(), finding)).collect();
    let removed: BTreeSet<&str> =
        commit.removed.iter().map(String::as_str).filter(|id| !findings.contains_key(*id)).collect();
    if findings.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = findings.keys().map(String::as_str).chain(removed.iter().copied()).collect();
    let stored = read_stored(session, &named).await?;

    replace_evidence(session, &stored, findings.iter().map(|(id, finding)| (id.as_str(), *finding))).await?;
    let links = links::add(session, &findings, &named).await?;
    write_correlations(session, commit, &stored, &findings, &removed).await?;
    let gone = removed.iter().flat_map(|id| stored.evidence.get(*id)).flatten();
    write_evidence(session, &gone.map(|evidence| Change { evidence, removed: true }).collect::<Vec<_>>()).await?;
    links::settle(session, links).await
}

async fn read_stored(session: &Session, ids: &[&str]) -> Result<Stored, Fault> {
    let mut stored = Stored::default();
    let which = "WHERE stored.correlation_id IN {ids:Array(String)}";
    let (correlations, evidence) = (patterns::correlations(), patterns::evidence());
    for ids in parts(ids) {
        let query = selected(&session.server, correlations, which).param("ids", ids);
        for row in patterns::read_correlations(&read(&session.server, correlations, query).await?)? {
            stored.correlations.insert(row.0.key.correlation_id(), row);
        }
        let query = selected(&session.server, evidence, which).param("ids", ids);
        for row in patterns::read_evidence(&read(&session.server, evidence, query).await?) {
            stored.evidence.entry(row.correlation_id.clone()).or_default().insert(row);
        }
    }
    Ok(stored)
}

/// Everything of an evidence row but its weight.
fn identity(row: &Evidence) -> (&str, &str, TimeMs, TimeMs, i64) {
    (&row.source_ref, &row.target_ref, row.source_timestamp, row.target_timestamp, row.lag_ms)
}

async fn replace_evidence<'a>(
    session: &mut Session,
    stored: &Stored,
    findings: impl Iterator<Item = (&'a str, &'a Finding)>,
) -> Result<(), Fault> {
    let none = BTreeSet::new();
    let mut changes: Vec<Change<'_>> = Vec::new();
    for (id, finding) in findings {
        let before = stored.evidence.get(id).unwrap_or(&none);
        let after: BTreeSet<&Evidence> = finding.evidence.iter().collect();
        let kept: BTreeSet<_> = after.iter().map(|row| identity(row)).collect();
        let written = after.iter().filter(|row| !before.contains(**row));
        let mut of_finding: Vec<Change<'_>> = written.map(|evidence| Change { evidence, removed: false }).collect();
        let gone = before.iter().filter(|row| !kept.contains(&identity(row)));
        of_finding.extend(gone.map(|evidence| Change { evidence, removed: true }));
        if changes.len() + of_finding.len() > EVIDENCE_ROWS_MAX {
            write_evidence(session, &changes).await?;
            changes.clear();
        }
        changes.extend(of_finding);
    }
    write_evidence(session, &changes).await
}

async fn write_evidence(session: &mut Session, changes: &[Change<'_>]) -> Result<(), Fault> {
    let version = session.next_version();
    insert(session, "correlation_evidence", changes, |chunk| {
        let rows: Vec<&Evidence> = chunk.iter().map(|change| change.evidence).collect();
        let mut columns = evidence_columns(&rows);
        columns.extend(versions(chunk.iter().map(|change| (version, change.removed))));
        columns
    })
    .await
}

async fn write_correlations(
    session: &mut Session,
    commit: &Commit,
    stored: &Stored,
    findings: &BTreeMap<String, &Finding>,
    removed: &BTreeSet<&str>,
) -> Result<(), Fault> {
    let changed = findings.iter().filter_map(|(id, finding)| {
        let before = stored.correlations.get(id);
        let differs = before.is_none_or(|(correlation, ..)| *correlation != finding.correlation);
        let revision = before.map_or(0, |(_, revision, _)| *revision) + 1;
        let row = CorrelationRow { correlation: &finding.correlation, revision, updated_at: commit.committed_at };
        differs.then_some((row, false))
    });
    let gone =
        removed.iter().filter_map(|id| stored.correlations.get(*id)).map(|(correlation, revision, updated_at)| {
            (CorrelationRow { correlation, revision: *revision, updated_at: *updated_at }, true)
        });
    let rows: Vec<(CorrelationRow<'_>, bool)> = changed.chain(gone).collect();
    let version = session.next_version();
    insert(session, "correlations", &rows, |chunk| {
        let mut columns = correlation_columns(chunk.iter().map(|(row, _)| row));
        columns.extend(versions(chunk.iter().map(|(_, removed)| (version, *removed))));
        columns
    })
    .await
}
