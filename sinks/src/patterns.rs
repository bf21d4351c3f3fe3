//! Correlations and their evidence as rows of their tables, and back: the same for every store.

use crate::columns::{Columns, Unknown, unknown};
use crate::derived::{self, Row};
use crate::schema::{Table, table};
use crate::transfer::Page;
use model::derived::Value;
use model::pattern::{Correlation, Evidence, EvidenceRole, PatternKey, PatternState, Signal, SignalKind};
use model::real::Real;
use model::time::TimeMs;

/// A row of `correlations` as it is written.
pub(crate) struct CorrelationRow<'a> {
    pub(crate) correlation: &'a Correlation,
    pub(crate) revision: u64,
    pub(crate) updated_at: TimeMs,
}

/// The table of correlations.
pub(crate) fn correlations() -> &'static Table {
    table("correlations")
}

/// The table of the rows behind them.
pub(crate) fn evidence() -> &'static Table {
    table("correlation_evidence")
}

pub(crate) fn correlation_columns<'a>(rows: impl Iterator<Item = &'a CorrelationRow<'a>>) -> Columns {
    columns(correlations(), rows.map(|row| row_of(correlations(), |column| correlation_value(row, column))))
}

pub(crate) fn evidence_columns(rows: &[&Evidence]) -> Columns {
    columns(evidence(), rows.iter().map(|row| row_of(evidence(), |column| evidence_value(row, column))))
}

fn columns(table: &'static Table, rows: impl Iterator<Item = Row>) -> Columns {
    let rows: Vec<Row> = rows.collect();
    derived::columns(table, &rows.iter().collect::<Vec<_>>(), table.columns.len())
}

fn row_of(table: &'static Table, value: impl Fn(&str) -> Value) -> Row {
    table.columns.iter().map(|(column, _)| value(column)).collect()
}

fn optional<T>(value: Option<T>, of: fn(T) -> Value) -> Value {
    value.map_or(Value::Null, of)
}

pub(crate) fn correlation_value(row: &CorrelationRow<'_>, column: &str) -> Value {
    let CorrelationRow { correlation: row, revision, updated_at } = row;
    let PatternKey { source, target } = &row.key;
    let text = |text: &str| Value::Text(text.to_owned());
    let seconds = |seconds: i32| Value::Whole(seconds.into());
    let texts = |text: &Option<String>| optional(text.clone(), Value::Text);
    match column {
        "correlation_id" => Value::Text(row.key.correlation_id()),
        "correlation_type" => text(&row.correlation_type),
        "source_kind" => text(source.kind.as_str()),
        "source_colony_id" => text(&source.colony_id),
        "source_service" => text(&source.service_id),
        "source_signal" => text(&source.name),
        "source_application" => text(&row.source_application),
        "source_environment" => text(&row.source_environment),
        "source_timestamp" => Value::Time(row.source_timestamp),
        "target_kind" => text(target.kind.as_str()),
        "target_colony_id" => text(&target.colony_id),
        "target_service" => text(&target.service_id),
        "target_signal" => text(&target.name),
        "target_application" => text(&row.target_application),
        "target_environment" => text(&row.target_environment),
        "target_timestamp" => Value::Time(row.target_timestamp),
        "correlation_score" => Value::Real(row.correlation_score),
        "coefficient" => Value::Real(row.coefficient),
        "confidence" => Value::Real(row.confidence),
        "lag_seconds" => seconds(row.lag_seconds),
        "lag_low_seconds" => seconds(row.lag_low_seconds),
        "lag_high_seconds" => seconds(row.lag_high_seconds),
        "pattern_description" => text(&row.pattern_description),
        "occurrence_count" => Value::Count(row.occurrence_count.into()),
        "first_observed" => Value::Time(row.first_observed),
        "last_observed" => Value::Time(row.last_observed),
        "state" => text(row.state.as_str()),
        "e_value" => Value::Real(row.e_value),
        "q_value" => Value::Real(row.q_value),
        "sample_count" => Value::Count(row.sample_count),
        "explained_by" => texts(&row.explained_by),
        "reason" => texts(&row.reason),
        "chance_level" => optional(row.chance_level, Value::Real),
        "effective_points" => optional(row.effective_points, Value::Real),
        "judged_coefficient" => optional(row.judged_coefficient, Value::Real),
        "part_of" => texts(&row.part_of),
        "open_count" => Value::Count(row.open_count.into()),
        "open_until" => optional(row.open_until, Value::Time),
        "revision" => Value::Count(*revision),
        "updated_at" => Value::Time(*updated_at),
        _ => unreachable!("correlations has a column {column} that is written nowhere"),
    }
}

fn evidence_value(row: &Evidence, column: &str) -> Value {
    match column {
        "correlation_id" => Value::Text(row.correlation_id.clone()),
        "source_ref" => Value::Text(row.source_ref.clone()),
        "target_ref" => Value::Text(row.target_ref.clone()),
        "source_timestamp" => Value::Time(row.source_timestamp),
        "target_timestamp" => Value::Time(row.target_timestamp),
        "lag_ms" => Value::Whole(row.lag_ms),
        "weight" => Value::Real(row.weight),
        "role" => Value::Text(row.role.as_str().to_owned()),
        "lag_weight" => Value::Real(row.lag_weight),
        _ => unreachable!("correlation_evidence has a column {column} that is written nowhere"),
    }
}

/// The values of a stored row, by column.
pub(crate) struct Fields {
    pub(crate) table: &'static Table,
    pub(crate) row: Row,
}

impl Fields {
    pub(crate) fn take(&mut self, column: &str) -> Value {
        let place = self.table.columns.iter().position(|(name, _)| *name == column);
        place.map_or(Value::Null, |place| std::mem::replace(&mut self.row[place], Value::Null))
    }

    pub(crate) fn perhaps_text(&mut self, column: &str) -> Option<String> {
        if let Value::Text(text) = self.take(column) { Some(text) } else { None }
    }

    fn text(&mut self, column: &str) -> String {
        self.perhaps_text(column).unwrap_or_default()
    }

    pub(crate) fn perhaps_time(&mut self, column: &str) -> Option<TimeMs> {
        if let Value::Time(time) = self.take(column) { Some(time) } else { None }
    }

    fn time(&mut self, column: &str) -> TimeMs {
        self.perhaps_time(column).unwrap_or_default()
    }

    fn perhaps_real(&mut self, column: &str) -> Option<Real> {
        if let Value::Real(real) = self.take(column) { Some(real) } else { None }
    }

    pub(crate) fn real(&mut self, column: &str) -> Real {
        self.perhaps_real(column).unwrap_or_default()
    }

    /// A number; 0 for none, as rows of earlier versions have it.
    fn count(&mut self, column: &str) -> u64 {
        if let Value::Count(number) = self.take(column) { number } else { 0 }
    }

    pub(crate) fn small_count(&mut self, column: &str) -> u32 {
        u32::try_from(self.count(column)).unwrap_or(u32::MAX)
    }

    fn whole(&mut self, column: &str) -> i64 {
        if let Value::Whole(number) = self.take(column) { number } else { 0 }
    }

    pub(crate) fn seconds(&mut self, column: &str) -> i32 {
        i32::try_from(self.whole(column)).unwrap_or(i32::MAX)
    }

    fn signal(&mut self, side: &str) -> Result<Signal, Unknown> {
        Ok(Signal {
            kind: read_kind(&self.text(&format!("{side}_kind")))?,
            colony_id: self.text(&format!("{side}_colony_id")),
            service_id: self.text(&format!("{side}_service")),
            name: self.text(&format!("{side}_signal")),
        })
    }
}

/// Stored correlations with their revision, and when that was written.
pub(crate) fn read_correlations(page: &Page) -> Result<Vec<(Correlation, u64, TimeMs)>, Unknown> {
    page.rows().into_iter().map(read_correlation).collect()
}

/// One of them.
pub(crate) fn read_correlation(row: Row) -> Result<(Correlation, u64, TimeMs), Unknown> {
    let mut row = Fields { table: correlations(), row };
    let correlation = Correlation {
        key: PatternKey { source: row.signal("source")?, target: row.signal("target")? },
        correlation_type: row.text("correlation_type"),
        source_application: row.text("source_application"),
        source_environment: row.text("source_environment"),
        target_application: row.text("target_application"),
        target_environment: row.text("target_environment"),
        source_timestamp: row.time("source_timestamp"),
        target_timestamp: row.time("target_timestamp"),
        correlation_score: row.real("correlation_score"),
        coefficient: row.real("coefficient"),
        confidence: row.real("confidence"),
        lag_seconds: row.seconds("lag_seconds"),
        lag_low_seconds: row.seconds("lag_low_seconds"),
        lag_high_seconds: row.seconds("lag_high_seconds"),
        pattern_description: row.text("pattern_description"),
        occurrence_count: row.small_count("occurrence_count"),
        first_observed: row.time("first_observed"),
        last_observed: row.time("last_observed"),
        state: read_state(&row.text("state"))?,
        e_value: row.real("e_value"),
        q_value: row.real("q_value"),
        sample_count: row.count("sample_count"),
        explained_by: row.perhaps_text("explained_by"),
        reason: row.perhaps_text("reason"),
        chance_level: row.perhaps_real("chance_level"),
        effective_points: row.perhaps_real("effective_points"),
        judged_coefficient: row.perhaps_real("judged_coefficient"),
        part_of: row.perhaps_text("part_of"),
        open_count: row.small_count("open_count"),
        open_until: row.perhaps_time("open_until"),
    };
    Ok((correlation, row.count("revision"), row.time("updated_at")))
}

/// Stored evidence.
pub(crate) fn read_evidence(page: &Page) -> Vec<Evidence> {
    let read = |row| {
        let mut row = Fields { table: evidence(), row };
        Evidence {
            correlation_id: row.text("correlation_id"),
            source_ref: row.text("source_ref"),
            target_ref: row.text("target_ref"),
            source_timestamp: row.time("source_timestamp"),
            target_timestamp: row.time("target_timestamp"),
            lag_ms: row.whole("lag_ms"),
            weight: row.real("weight"),
            role: read_role(&row.text("role")),
            lag_weight: row.real("lag_weight"),
        }
    };
    page.rows().into_iter().map(read).collect()
}

/// A row of an earlier version is a match.
fn read_role(text: &str) -> EvidenceRole {
    [EvidenceRole::Early, EvidenceRole::Lag]
        .into_iter()
        .find(|known| known.as_str() == text)
        .unwrap_or(EvidenceRole::Match)
}

fn read_kind(text: &str) -> Result<SignalKind, Unknown> {
    [SignalKind::Event, SignalKind::Metric]
        .into_iter()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| unknown("source_kind or target_kind", text))
}

pub(crate) fn read_state(text: &str) -> Result<PatternState, Unknown> {
    [PatternState::Candidate, PatternState::Confirmed, PatternState::Withdrawn]
        .into_iter()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| unknown("state", text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compliance::rows::{START, finding};

    /// Every column of the schema is written and read: a field without one would be lost here.
    #[test]
    fn rows_come_back_as_they_were_written() {
        let mut found = finding("a", 0.5, &[("e1", "e2"), ("e3", "e4")]);
        let all = [found.correlation.clone(), {
            let row = &mut found.correlation;
            (row.explained_by, row.reason, row.open_until) = (Some("c-1".into()), None, None);
            (row.effective_points, row.chance_level) = (Some(Real(-0.0)), None);
            row.clone()
        }];
        for correlation in &all {
            let row = CorrelationRow { correlation, revision: 7, updated_at: START };
            let row = row_of(correlations(), |column| correlation_value(&row, column));
            let page = derived::page(correlations(), &[&row]).unwrap();
            assert_eq!(read_correlations(&page).unwrap(), [(correlation.clone(), 7, START)]);
        }
        found.evidence[0].role = EvidenceRole::Early;
        found.evidence[1].role = EvidenceRole::Lag;
        found.evidence[1].lag_weight = Real(0.25);
        let rows: Vec<Row> =
            found.evidence.iter().map(|row| row_of(evidence(), |column| evidence_value(row, column))).collect();
        let page = derived::page(evidence(), &rows.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(read_evidence(&page), found.evidence);
    }
}
