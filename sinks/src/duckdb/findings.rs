//! Writes findings: correlations with a revision count, their evidence, and the links to events.

use super::fault::Cause;
use super::select::select;
use super::stage::{append, temporary};
use crate::Commit;
use crate::columns::text;
use crate::patterns::{self, CorrelationRow, correlation_columns, evidence_columns};
use crate::resolve::{Role, event_links};
use arrow::array::Float64Array;
use duckdb::Connection;
use model::pattern::{Correlation, Evidence, Finding};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The stored state of one correlation.
struct Stored {
    finding: Finding,
    revision: u64,
}

type EventKey = (String, String);

/// Writes the findings of a commit and deletes removed ones. Only differences from the stored finding are written.
pub(super) fn write(connection: &Connection, commit: &Commit) -> Result<(), Cause> {
    let findings: BTreeMap<String, Finding> = commit
        .findings
        .iter()
        .map(|finding| {
            let mut finding = finding.clone();
            finding.evidence.sort();
            (finding.correlation.key.correlation_id(), finding)
        })
        .collect();
    let removed: BTreeSet<&str> =
        commit.removed.iter().map(String::as_str).filter(|id| !findings.contains_key(*id)).collect();
    if findings.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = findings.keys().map(String::as_str).chain(removed.iter().copied()).collect();
    let stored = read_stored(connection, &named)?;

    let changed = findings
        .iter()
        .filter(|(id, finding)| stored.get(*id).is_none_or(|stored| stored.finding.correlation != finding.correlation));
    let rows: Vec<CorrelationRow<'_>> = changed
        .map(|(id, finding)| CorrelationRow {
            correlation: &finding.correlation,
            revision: stored.get(id).map_or(0, |stored| stored.revision) + 1,
            updated_at: commit.committed_at,
        })
        .collect();
    upsert_correlations(connection, &rows)?;

    let has_new_evidence =
        |id: &str, finding: &Finding| stored.get(id).is_none_or(|stored| stored.finding.evidence != finding.evidence);
    let scored = |finding: &Finding| finding.correlation.correlation_score;
    let replaced: Vec<(&str, &Finding)> = findings
        .iter()
        .map(|(id, finding)| (id.as_str(), finding))
        .filter(|(id, finding)| {
            has_new_evidence(id, finding) || stored.get(*id).is_none_or(|old| scored(&old.finding) != scored(finding))
        })
        .collect();
    replace_evidence(connection, &replaced, &removed)?;

    let mut affected: BTreeSet<EventKey> = BTreeSet::new();
    let before = replaced.iter().map(|(id, _)| *id).chain(removed).filter_map(|id| stored.get(id));
    for finding in before.map(|stored| &stored.finding).chain(replaced.iter().map(|(_, finding)| *finding)) {
        affected.extend(event_links(finding).into_iter().map(|(colony_id, event_id, _)| (colony_id, event_id)));
    }
    refresh_events(connection, &affected)
}

/// Stages `ids` as the temporary table `staged_ids`.
fn stage_ids(connection: &Connection, ids: &[&str]) -> Result<(), Cause> {
    temporary(connection, "staged_ids", "SELECT correlation_id FROM correlations")?;
    append(connection, "staged_ids", ids, |chunk| vec![("correlation_id", text(chunk.iter().copied()))])
}

fn read_stored(connection: &Connection, ids: &[&str]) -> Result<BTreeMap<String, Stored>, Cause> {
    stage_ids(connection, ids)?;
    let mut stored = BTreeMap::new();
    let of_staged = "correlation_id IN (SELECT correlation_id FROM staged_ids)";
    let which = format!("WHERE {of_staged}");
    let page = select(connection, patterns::correlations(), &which, Vec::new())?;
    for (correlation, revision, _) in patterns::read_correlations(&page)? {
        let id = correlation.key.correlation_id();
        stored.insert(id, Stored { finding: Finding { correlation, evidence: Vec::new() }, revision });
    }
    let page = select(connection, patterns::evidence(), &which, Vec::new())?;
    for evidence in patterns::read_evidence(&page) {
        if let Some(stored) = stored.get_mut(&evidence.correlation_id) {
            stored.finding.evidence.push(evidence);
        }
    }
    stored.values_mut().for_each(|stored| stored.finding.evidence.sort());
    Ok(stored)
}

fn upsert_correlations(connection: &Connection, rows: &[CorrelationRow<'_>]) -> Result<(), Cause> {
    if rows.is_empty() {
        return Ok(());
    }
    temporary(connection, "staged_correlations", "SELECT * FROM correlations")?;
    append(connection, "staged_correlations", rows, |chunk| correlation_columns(chunk.iter()))?;
    // every column but the key: DuckDB refuses to delete and insert the same key in one transaction
    let columns: Vec<String> = patterns::correlations()
        .columns
        .iter()
        .filter(|(name, _)| *name != "correlation_id")
        .map(|(name, _)| format!("{name} = excluded.{name}"))
        .collect();
    // sql: identifiers only
    connection.execute_batch(&format!(
        "INSERT INTO correlations BY NAME SELECT * FROM staged_correlations
         ON CONFLICT (correlation_id) DO UPDATE SET {}",
        columns.join(", ")
    ))?;
    Ok(())
}

/// Replaces evidence and event links of `replaced`; deletes everything of `removed`.
fn replace_evidence(
    connection: &Connection,
    replaced: &[(&str, &Finding)],
    removed: &BTreeSet<&str>,
) -> Result<(), Cause> {
    let ids: Vec<&str> = replaced.iter().map(|(id, _)| *id).chain(removed.iter().copied()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    stage_ids(connection, &ids)?;
    for table in ["correlation_evidence", "event_correlations"] {
        // sql: identifiers only
        connection.execute_batch(&format!(
            "DELETE FROM {table} WHERE correlation_id IN (SELECT correlation_id FROM staged_ids)"
        ))?;
    }
    let mut deletion = connection.prepare("DELETE FROM correlations WHERE correlation_id = ?")?;
    for id in removed {
        deletion.execute([id])?;
    }
    let evidence: Vec<&Evidence> = replaced.iter().flat_map(|(_, finding)| &finding.evidence).collect();
    append(connection, "correlation_evidence", &evidence, evidence_columns)?;
    let links: Vec<(&str, &Correlation, EventKey, Role)> = replaced
        .iter()
        .flat_map(|(id, finding)| {
            event_links(finding)
                .into_iter()
                .map(|(colony_id, event_id, role)| (*id, &finding.correlation, (colony_id, event_id), role))
        })
        .collect();
    append(connection, "event_correlations", &links, |chunk| {
        let scores = chunk.iter().map(|(_, correlation, ..)| correlation.correlation_score.0);
        vec![
            ("colony_id", text(chunk.iter().map(|(_, _, event, _)| event.0.as_str()))),
            ("event_id", text(chunk.iter().map(|(_, _, event, _)| event.1.as_str()))),
            ("correlation_id", text(chunk.iter().map(|(id, ..)| *id))),
            ("role", text(chunk.iter().map(|(.., role)| role.as_str()))),
            ("score", Arc::new(Float64Array::from_iter_values(scores))),
        ]
    })
}

/// Gives each of `events` its best-scored link, or none.
pub(super) fn refresh_events(connection: &Connection, events: &BTreeSet<EventKey>) -> Result<(), Cause> {
    if events.is_empty() {
        return Ok(());
    }
    let events: Vec<&EventKey> = events.iter().collect();
    temporary(connection, "staged_events", "SELECT colony_id, event_id FROM federated_events")?;
    append(connection, "staged_events", &events, |chunk| {
        vec![
            ("colony_id", text(chunk.iter().map(|event| event.0.as_str()))),
            ("event_id", text(chunk.iter().map(|event| event.1.as_str()))),
        ]
    })?;
    connection.execute_batch(
        "UPDATE federated_events AS stored SET correlation_group = best.correlation_id, correlation_score = best.score
         FROM (SELECT colony_id, event_id,
                      first(link.correlation_id ORDER BY link.score DESC, link.correlation_id) AS correlation_id,
                      max(link.score) AS score
               FROM staged_events LEFT JOIN event_correlations AS link USING (colony_id, event_id)
               GROUP BY ALL) AS best
         WHERE stored.colony_id = best.colony_id AND stored.event_id = best.event_id
           AND (stored.correlation_group IS DISTINCT FROM best.correlation_id
                OR stored.correlation_score IS DISTINCT FROM best.score)",
    )?;
    Ok(())
}
