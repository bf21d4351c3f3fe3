//! Predictions as the store has them, and how those of a pattern came out.

use model::derived::Value;
use model::time::TimeMs;
use serde::Serialize;
use sinks::schema::{DERIVED, DerivedTable};
use sinks::{SinkError, StoreReader};

/// The table of predictions.
const TABLE: &str = "predictions";
/// Rows read at once.
const PAGE_ROWS: usize = 10_000;

/// What became of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionOutcome {
    /// Its time has not passed.
    Open,
    /// The target came.
    Hit,
    /// The target did not come.
    Miss,
    /// Nothing was heard of the target's colony.
    Void,
}

impl PredictionOutcome {
    /// All of them.
    pub(crate) const ALL: [PredictionOutcome; 4] =
        [PredictionOutcome::Open, PredictionOutcome::Hit, PredictionOutcome::Miss, PredictionOutcome::Void];

    /// As the store and questions name it.
    pub fn as_str(self) -> &'static str {
        match self {
            PredictionOutcome::Open => "open",
            PredictionOutcome::Hit => "hit",
            PredictionOutcome::Miss => "miss",
            PredictionOutcome::Void => "void",
        }
    }
}

/// A row of the table; fields named as its columns, times RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "as the columns")]
pub struct PredictionLine {
    pub prediction_id: String,
    pub correlation_id: String,
    pub source_colony_id: String,
    pub source_application: String,
    pub source_environment: String,
    pub source_service: String,
    pub source_signal: String,
    pub source_event_id: String,
    pub target_colony_id: String,
    pub target_application: String,
    pub target_environment: String,
    pub target_service: String,
    pub target_signal: String,
    pub issued_at: String,
    pub expected_from: String,
    pub expected_to: String,
    pub expires_at: String,
    pub probability: f64,
    pub chance_level: f64,
    pub outcome: PredictionOutcome,
    pub matched_event_id: Option<String>,
    pub resolved_at: Option<String>,
    #[serde(skip)]
    pub(crate) times: Times,
}

/// The times of a prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) issued: TimeMs,
    pub(crate) from: TimeMs,
    pub(crate) to: TimeMs,
    pub(crate) resolved: Option<TimeMs>,
}

/// A pattern on a day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PatternDay {
    pub(crate) correlation_id: String,
    pub(crate) day: TimeMs,
    pub(crate) probability: f64,
    /// Onsets of the target on it.
    pub(crate) targets: u64,
    /// Why it did not predict.
    pub(crate) muted: Option<String>,
}

/// How the predictions of a pattern came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "as the outcomes")]
pub struct Record {
    pub open: usize,
    pub hits: usize,
    pub misses: usize,
    pub voids: usize,
}

/// Values of a row by the names of their columns.
struct Named<'a> {
    table: &'static DerivedTable,
    row: &'a [Value],
}

impl Named<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        self.row.get(self.table.table.columns.iter().position(|(column, _)| *column == name)?)
    }

    fn text(&self, name: &str) -> Option<String> {
        if let Some(Value::Text(text)) = self.value(name) { Some(text.clone()) } else { None }
    }

    fn time(&self, name: &str) -> Option<TimeMs> {
        if let Some(Value::Time(time)) = self.value(name) { Some(*time) } else { None }
    }

    fn real(&self, name: &str) -> f64 {
        if let Some(Value::Real(real)) = self.value(name) { real.0 } else { 0.0 }
    }

    fn count(&self, name: &str) -> u64 {
        if let Some(Value::Count(count)) = self.value(name) { *count } else { 0 }
    }
}

fn table(name: &str) -> &'static DerivedTable {
    let table = DERIVED.iter().find(|derived| derived.table.name == name);
    table.unwrap_or_else(|| unreachable!("the schema has a table {name}"))
}

async fn rows<T>(
    reader: &dyn StoreReader,
    (name, with): (&str, Option<(&'static str, &str)>),
    read: impl Fn(&Named<'_>) -> Option<T>,
) -> Result<Vec<T>, SinkError> {
    let (table, with) = (table(name), with.map(|(column, text)| (column, [text.to_owned()])));
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = match &with {
            Some((column, texts)) => reader.rows_with(table, (column, texts), after.as_ref(), PAGE_ROWS).await?,
            None => reader.rows_of(table, after.as_ref(), PAGE_ROWS).await?,
        };
        all.extend(page.rows().iter().filter_map(|row| read(&Named { table, row })));
        after = page.end();
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// All predictions, the newest first.
pub(crate) async fn predictions(reader: &dyn StoreReader) -> Result<Vec<PredictionLine>, SinkError> {
    let mut lines = rows(reader, (TABLE, None), line).await?;
    lines.sort_by(|a, b| (b.times.issued, &a.prediction_id).cmp(&(a.times.issued, &b.prediction_id)));
    Ok(lines)
}

/// All as the reef knew them at a time, the newest first.
pub(crate) async fn predictions_at(reader: &dyn StoreReader, at: TimeMs) -> Result<Vec<PredictionLine>, SinkError> {
    let table = table(TABLE);
    let rows = sinks::prediction_revisions::predictions_at(reader, at).await?;
    let mut lines: Vec<PredictionLine> = rows.iter().filter_map(|row| line(&Named { table, row })).collect();
    lines.sort_by(|a, b| (b.times.issued, &a.prediction_id).cmp(&(a.times.issued, &b.prediction_id)));
    Ok(lines)
}

/// Those that are open, by the end of their time.
pub(crate) async fn open(reader: &dyn StoreReader) -> Result<Vec<PredictionLine>, SinkError> {
    let mut lines = rows(reader, (TABLE, Some(("outcome", "open"))), line).await?;
    lines.sort_by(|a, b| (a.times.to, &a.prediction_id).cmp(&(b.times.to, &b.prediction_id)));
    Ok(lines)
}

/// How those of a pattern came out.
pub(crate) async fn record(reader: &dyn StoreReader, correlation_id: &str) -> Result<Record, SinkError> {
    let lines = rows(reader, (TABLE, Some(("correlation_id", correlation_id))), line).await?;
    Ok(Record::of(lines.iter()))
}

fn line(row: &Named<'_>) -> Option<PredictionLine> {
    let text = |name: &str| row.text(name).unwrap_or_default();
    let times = Times {
        issued: row.time("issued_at")?,
        from: row.time("expected_from")?,
        to: row.time("expected_to")?,
        resolved: row.time("resolved_at"),
    };
    let stored = row.text("outcome")?;
    let outcome = PredictionOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == stored);
    Some(PredictionLine {
        prediction_id: text("prediction_id"),
        correlation_id: text("correlation_id"),
        source_colony_id: text("source_colony_id"),
        source_application: text("source_application"),
        source_environment: text("source_environment"),
        source_service: text("source_service"),
        source_signal: text("source_signal"),
        source_event_id: text("source_event_id"),
        target_colony_id: text("target_colony_id"),
        target_application: text("target_application"),
        target_environment: text("target_environment"),
        target_service: text("target_service"),
        target_signal: text("target_signal"),
        issued_at: times.issued.to_string(),
        expected_from: times.from.to_string(),
        expected_to: times.to.to_string(),
        expires_at: row.time("expires_at")?.to_string(),
        probability: row.real("probability"),
        chance_level: row.real("chance_level"),
        outcome: outcome.unwrap_or(PredictionOutcome::Void),
        matched_event_id: row.text("matched_event_id"),
        resolved_at: times.resolved.map(|at| at.to_string()),
        times,
    })
}

/// All days of patterns.
pub(crate) async fn days(reader: &dyn StoreReader) -> Result<Vec<PatternDay>, SinkError> {
    let day = |row: &Named<'_>| {
        Some(PatternDay {
            correlation_id: row.text("correlation_id")?,
            day: row.time("day")?,
            probability: row.real("probability"),
            targets: row.count("target_count"),
            muted: row.text("muted"),
        })
    };
    rows(reader, ("prediction_days", None), day).await
}

impl Record {
    /// Of these predictions.
    pub(crate) fn of<'a>(lines: impl Iterator<Item = &'a PredictionLine>) -> Record {
        let mut record = Record::default();
        for line in lines {
            *match line.outcome {
                PredictionOutcome::Open => &mut record.open,
                PredictionOutcome::Hit => &mut record.hits,
                PredictionOutcome::Miss => &mut record.misses,
                PredictionOutcome::Void => &mut record.voids,
            } += 1;
        }
        record
    }

    /// `predicted 7 times: 5 hits, 1 miss, 1 open`; `None` if it never was.
    pub fn sentence(&self) -> Option<String> {
        let counted = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            many_of_them => Some(format!("{many_of_them} {many}")),
        };
        let Record { open, hits, misses, voids } = *self;
        let parts = [
            counted(hits, "hit", "hits"),
            counted(misses, "miss", "misses"),
            counted(voids, "void", "void"),
            counted(open, "open", "open"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let total = counted(open + hits + misses + voids, "time", "times")?;
        Some(format!("predicted {total}: {}", parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        let record = Record { open: 1, hits: 5, misses: 1, voids: 0 };
        assert_eq!(record.sentence().as_deref(), Some("predicted 7 times: 5 hits, 1 miss, 1 open"));
        let record = Record { voids: 1, ..Record::default() };
        assert_eq!(record.sentence().as_deref(), Some("predicted 1 time: 1 void"));
        assert_eq!(Record::default().sentence(), None);
    }
}
