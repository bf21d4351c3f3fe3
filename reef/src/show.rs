//! One pattern with its rows, found by its id or a prefix.

use crate::predicted::{self, Record};
use crate::report::PatternLine;
use model::pattern::{Correlation, Evidence};
use serde::Serialize;
use sinks::{SinkError, StoreReader};

/// Most ids that are named when a prefix fits several.
const IDS_NAMED_MAX: usize = 10;

/// Resolves an id or its prefix.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// This pattern.
    Pattern(Box<Traced>),
    /// Several, or none: their ids, the first ones.
    Several(Vec<String>),
}

/// A pattern and the rows behind it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Traced {
    /// Its row.
    pub pattern: PatternLine,
    /// Matched rows, in the order of time.
    pub evidence: Vec<EvidenceLine>,
    /// What became of its predictions.
    pub predicted: Record,
}

/// One matched pair of rows. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvidenceLine {
    /// Event id, or `colony/service/metric`.
    pub source_ref: String,
    /// The same of the target.
    pub target_ref: String,
    /// When the source happened, or the start of its window.
    pub source_timestamp: String,
    /// The same of the target.
    pub target_timestamp: String,
    /// From source to target.
    pub lag_ms: i64,
    /// Share of the score this row carries.
    pub weight: f64,
}

impl Shown {
    /// Looks `id` up in `store`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(reader: &dyn StoreReader, id: &str) -> Result<Shown, SinkError> {
        let fits = |row: &Correlation| {
            let whole = row.key.correlation_id();
            whole.starts_with(id) || whole.trim_start_matches("c-").starts_with(id)
        };
        let mut found: Vec<Correlation> = reader.correlations().await?.into_iter().filter(fits).collect();
        match found.as_slice() {
            [one] => {
                let (pattern, id) = (PatternLine::of(one), one.key.correlation_id());
                let mut rows = reader.evidence(&id).await?;
                rows.retain(Evidence::is_match);
                rows.sort_by_key(|row| (row.source_timestamp, row.target_timestamp));
                let evidence = rows.iter().map(EvidenceLine::of).collect();
                let predicted = predicted::record(reader, &id).await?;
                Ok(Shown::Pattern(Box::new(Traced { pattern, evidence, predicted })))
            }
            _ => {
                found.truncate(IDS_NAMED_MAX);
                Ok(Shown::Several(found.iter().map(|row| row.key.correlation_id()).collect()))
            }
        }
    }
}

impl EvidenceLine {
    fn of(row: &Evidence) -> EvidenceLine {
        EvidenceLine {
            source_ref: row.source_ref.clone(),
            target_ref: row.target_ref.clone(),
            source_timestamp: row.source_timestamp.to_string(),
            target_timestamp: row.target_timestamp.to_string(),
            lag_ms: row.lag_ms,
            weight: row.weight.0,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::rows::Rows;
    use sinks::Commit;
    use sinks::StoreWriter;
    use sinks::compliance::commit_of;
    use sinks::compliance::rows::{event, finding};
    use sinks::memory::MemoryStore;

    async fn store(names: &[&str]) -> MemoryStore {
        let findings = names.iter().map(|name| finding(name, 0.9, &[("e", "f"), ("g", "h")])).collect();
        let rows = Rows { events: vec![event("e", 0)], ..Rows::default() };
        let mut store = MemoryStore::new();
        store.commit(&Commit { findings, ..commit_of(1, rows) }).await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_pattern_is_found_by_its_id_and_by_the_beginning_of_it() {
        let store = store(&["deploy", "restart"]).await;
        let id = finding("deploy", 0.9, &[]).correlation.key.correlation_id();
        for name in [id.as_str(), &id[..10], &id[2..10]] {
            let Shown::Pattern(traced) = Shown::read(store.reader().as_ref(), name).await.unwrap() else {
                panic!("{name}")
            };
            assert_eq!((traced.pattern.correlation_id.as_str(), traced.evidence.len()), (id.as_str(), 2));
            let text = crate::text::traced(&traced);
            assert!(text.contains("The rows behind it:") && text.contains("later: f\n"), "{text}");
        }
        let Shown::Several(all) = Shown::read(store.reader().as_ref(), "c-").await.unwrap() else { panic!("several") };
        assert_eq!(all.len(), 2);
        assert_eq!(Shown::read(store.reader().as_ref(), "c-none").await.unwrap(), Shown::Several(Vec::new()));
    }
}
