//! Maps each metric series to a numeric id and its newest stored time. A bucket after that time is new, and needs no
//! look-up.
//!
//! Rows of one series nearly always arrive in time order; rows of different series do not, because partitions and
//! colonies are read in parallel. The newest time is therefore stored per series.

use super::fault::Cause;
use super::stage::{append, temporary};
use crate::columns::series_columns;
use crate::resolve::{SeriesBuckets, SeriesRows};
use crate::stored::StoredCopies;
use arrow::array::UInt32Array;
use duckdb::{Connection, Row};
use foldhash::fast::RandomState as FastHash;
use model::columns::MetricRow;
use model::series::{SeriesId, SeriesRef};
use model::time::TimeMs;
use std::collections::HashMap;
use std::sync::Arc;

/// Series that are remembered, in some 300 bytes each with their names; beyond that they are asked for by each commit, and every bucket is
/// looked up.
const SERIES_MAX: usize = 1_000_000;

/// What names a series, in the order of [`SeriesRef`].
pub(super) const NAMES: &str = "colony_id, application_name, environment, service_id, metric_name, interval_seconds";

const TOO_MANY: &str = "there are too many metric series";

/// Numbers whose last bucket has been deleted.
const WITHOUT_BUCKETS: &str =
    "SELECT series_id FROM metric_series ANTI JOIN (SELECT DISTINCT series_id FROM metric_buckets) USING (series_id)";

/// Numbers of series and the newest stored timestamp of each.
#[derive(Debug)]
pub(super) struct KnownSeries {
    known: HashMap<SeriesId, Known, FastHash>,
    count_max: usize,
    next_id: u32,
    state: State,
}

impl Default for KnownSeries {
    fn default() -> KnownSeries {
        KnownSeries { known: HashMap::default(), count_max: SERIES_MAX, next_id: 0, state: State::default() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its number in this file.
    id: u32,
    /// No bucket after this time is stored, in ms.
    newest_ms: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Not read from the file yet.
    #[default]
    Unread,
    /// Every stored series is known.
    All,
    /// There are too many.
    TooMany,
}

/// The metric buckets of a commit, each once.
#[derive(Debug, Default)]
pub(super) struct Sorted<'a> {
    /// New series, with their assigned ids.
    pub(super) unnamed: Vec<(u32, SeriesId)>,
    /// Rows that are surely not stored under any copy, with the number of their series.
    pub(super) new: Vec<(u32, SeriesRows<'a>)>,
    /// To be looked up.
    pub(super) needs_lookup: Vec<StoredCopies<MetricRow<'a>>>,
}

impl Known {
    fn read(row: &Row<'_>) -> Result<(SeriesId, Known), Cause> {
        let names: [String; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let [colony_id, application_name, environment, service_id, metric_name] = names.each_ref().map(String::as_str);
        let interval_seconds = Some(row.get(5)?);
        let names = SeriesRef { colony_id, application_name, environment, service_id, metric_name, interval_seconds };
        let newest_ms = row.get::<_, Option<i64>>(7)?.unwrap_or(i64::MIN);
        Ok((SeriesId::of(names), Known { id: row.get(6)?, newest_ms }))
    }
}

impl KnownSeries {
    /// Reads the stored series once, and deletes series without rows. Returns the newest bucket of all, or nothing if
    /// it was read before.
    pub(super) fn load(&mut self, connection: &Connection) -> Result<Option<Option<TimeMs>>, Cause> {
        if self.state != State::Unread {
            return Ok(None);
        }
        let count_max = self.count_max;
        let mut read = KnownSeries { state: State::All, count_max, ..KnownSeries::default() };
        let (mut newest, mut any_without_buckets) = (None, false);
        // sql: identifiers only
        let sql = format!(
            "SELECT {NAMES}, series_id, newest
             FROM metric_series LEFT JOIN (SELECT series_id, epoch_ms(max(timestamp)) AS newest FROM metric_buckets
                                           GROUP BY series_id) USING (series_id)"
        );
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (series, known) = Known::read(row)?;
            if known.newest_ms == i64::MIN {
                any_without_buckets = true;
                continue;
            }
            newest = newest.max(Some(TimeMs(known.newest_ms)));
            read.next_id = read.next_id.max(known.id.checked_add(1).ok_or(TOO_MANY)?);
            read.remember(series, known);
        }
        if any_without_buckets {
            // sql: identifiers only
            connection.execute_batch(&format!("DELETE FROM metric_series WHERE series_id IN ({WITHOUT_BUCKETS})"))?;
        }
        *self = read;
        Ok(Some(newest))
    }

    /// Forgets everything: rows were written without notice, or noted but not written.
    pub(super) fn forget(&mut self) {
        *self = KnownSeries { count_max: self.count_max, ..KnownSeries::default() };
    }

    /// Sorts out the buckets of a commit, and notes that they are stored.
    pub(super) fn sort<'a>(
        &mut self,
        connection: &Connection,
        of_series: Vec<SeriesBuckets<'a>>,
    ) -> Result<Sorted<'a>, Cause> {
        let mut sorted = Sorted::default();
        // noted when all are sorted: one too many makes all be forgotten
        let mut reached = Vec::with_capacity(of_series.len());
        let asked = match self.state {
            State::TooMany => ask(connection, &of_series)?,
            State::Unread | State::All => KnownSeries::default(),
        };
        for SeriesBuckets { series, buckets } in of_series {
            let Some(last_ms) = buckets.last().map(|kept| kept.current.row.timestamp().0) else { continue };
            let stored =
                self.known.get(&series).or_else(|| asked.known.get(&series)).map(|known| (known.id, known.newest_ms));
            let (id, newest_ms) = match stored {
                Some(stored) => stored,
                None => {
                    let id = self.next_id;
                    self.next_id = id.checked_add(1).ok_or(TOO_MANY)?;
                    sorted.unnamed.push((id, series));
                    (id, i64::MIN)
                }
            };
            let mut rows = Vec::with_capacity(buckets.len());
            for kept in buckets {
                if kept.late.is_none() && kept.current.row.timestamp().0 > newest_ms {
                    rows.push(kept.current);
                } else {
                    sorted.needs_lookup.push(kept);
                }
            }
            sorted.new.push((id, SeriesRows { series, rows }));
            reached.push((series, id, newest_ms.max(last_ms)));
        }
        reached.into_iter().for_each(|(series, id, newest_ms)| self.raise(series, id, newest_ms));
        Ok(sorted)
    }

    fn raise(&mut self, series: SeriesId, id: u32, newest_ms: i64) {
        match self.known.get_mut(&series) {
            Some(known) => known.newest_ms = newest_ms,
            None => self.remember(series, Known { id, newest_ms }),
        }
    }

    fn remember(&mut self, series: SeriesId, known: Known) {
        if self.state == State::TooMany {
            return;
        }
        self.known.insert(series, known);
        if self.known.len() > self.count_max {
            (self.known, self.state) = (HashMap::default(), State::TooMany);
        }
    }
}

/// The stored ones of these series; every bucket of them is needs_lookup.
fn ask(connection: &Connection, of_series: &[SeriesBuckets<'_>]) -> Result<KnownSeries, Cause> {
    // sql: identifiers only
    temporary(connection, "staged_series", &format!("SELECT {NAMES} FROM metric_series"))?;
    append(connection, "staged_series", of_series, |chunk| series_columns(chunk.iter().map(|it| it.series)))?;
    // sql: identifiers only
    let sql = format!("SELECT {NAMES}, series_id, {} FROM metric_series JOIN staged_series USING ({NAMES})", i64::MAX);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut asked = KnownSeries::default();
    while let Some(row) = rows.next()? {
        let (series, known) = Known::read(row)?;
        asked.known.insert(series, known);
    }
    Ok(asked)
}

/// Writes the names of series.
pub(super) fn name(connection: &Connection, unnamed: &[(u32, SeriesId)]) -> Result<(), Cause> {
    append(connection, "metric_series", unnamed, |chunk| {
        let mut columns = series_columns(chunk.iter().map(|(_, series)| *series));
        columns.push(("series_id", Arc::new(chunk.iter().map(|(id, _)| Some(*id)).collect::<UInt32Array>())));
        columns
    })
}

/// Names the series of `staged_rows` that have no number yet.
pub(super) fn name_staged(connection: &Connection) -> Result<(), Cause> {
    // sql: identifiers only
    Ok(connection.execute_batch(&format!(
        "INSERT INTO metric_series BY NAME
         SELECT ((SELECT coalesce(max(series_id)::BIGINT + 1, 0) FROM metric_series) + row_number() OVER () - 1)::UINTEGER
                AS series_id, *
         FROM (SELECT DISTINCT {NAMES} FROM staged_rows ANTI JOIN metric_series USING ({NAMES}))"
    ))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Commit;
    use crate::compliance::commit_of;
    use crate::compliance::rows::{START, bucket};
    use crate::duckdb::keep::append_buckets;
    use crate::outcome::Outcome;
    use crate::resolve;
    use crate::stored::StoredRow;
    use model::metric::MetricPoint;
    use model::rows::Rows;
    use std::collections::BTreeSet;

    fn commit(metrics: Vec<MetricPoint>) -> Commit {
        commit_of(0, Rows { metrics: metrics.into(), ..Rows::default() })
    }

    fn stored() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        migrations::DUCKDB.iter().for_each(|step| connection.execute_batch(step.sql).unwrap());
        connection
    }

    /// Times of new and of needs_lookup buckets, from the start on, and the series that got a number.
    fn sorted(known: &mut KnownSeries, connection: &Connection, commit: &Commit) -> (Vec<i64>, Vec<i64>, Vec<u32>) {
        let Sorted { unnamed, new, needs_lookup } =
            known.sort(connection, resolve::metrics(commit, &mut Outcome::default())).unwrap();
        name(connection, &unnamed).unwrap();
        append_buckets(connection, &new, START).unwrap();
        let time = |held: StoredRow<MetricRow<'_>>| held.row.timestamp().0 - START.0;
        let new = new.into_iter().flat_map(|(_, of_series)| of_series.rows);
        let ids = unnamed.into_iter().map(|(id, _)| id).collect();
        (new.map(time).collect(), needs_lookup.into_iter().map(|kept| time(kept.current)).collect(), ids)
    }

    #[test]
    fn a_series_is_known_up_to_its_own_newest_bucket() {
        let (mut known, connection) = (KnownSeries::default(), stored());
        assert_eq!(known.load(&connection).unwrap(), Some(None));
        let first = commit(vec![bucket("api", 60_000), bucket("api", 120_000)]);
        assert_eq!(sorted(&mut known, &connection, &first), (vec![60_000, 120_000], vec![], vec![0]));
        let second = commit(vec![bucket("api", 180_000), bucket("web", 0), bucket("api", 120_000), bucket("api", 0)]);
        let by_itself = (vec![180_000, 0], vec![0, 120_000], vec![1]);
        assert_eq!(sorted(&mut known, &connection, &second), by_itself, "another series is by itself");
    }

    /// More series than are cached, from any commit on.
    #[test]
    fn numbers_are_given_once_however_many_series_are_remembered() {
        let commits = [vec!["api", "web"], vec!["a", "api", "db", "web"], vec!["db", "web", "z"], vec!["a", "z"]];
        for (count_max, restarts) in (0..=6).flat_map(|count_max| [(count_max, false), (count_max, true)]) {
            let (mut known, connection) = (KnownSeries { count_max, ..KnownSeries::default() }, stored());
            let (mut given, mut seen) = (Vec::new(), BTreeSet::new());
            for (minute, services) in (0..).zip(&commits) {
                if restarts {
                    known.forget();
                }
                known.load(&connection).unwrap();
                let rows = commit(services.iter().map(|service| bucket(service, minute * 60_000)).collect());
                let (new, needs_lookup, ids) = sorted(&mut known, &connection, &rows);
                assert_eq!(new.len() + needs_lookup.len(), services.len());
                let unseen = services.iter().filter(|service| seen.insert(**service)).count();
                assert_eq!(ids.len(), unseen, "{count_max} {restarts} {services:?}");
                given.extend(ids);
            }
            assert_eq!(given, [0, 1, 2, 3, 4], "{count_max} {restarts}");
        }
    }

    #[test]
    fn names_of_series_of_which_nothing_is_left_go_with_the_next_start() {
        let connection = stored();
        let mut known = KnownSeries::default();
        known.load(&connection).unwrap();
        let rows = commit(vec![bucket("api", 0), bucket("web", 0)]);
        assert_eq!(sorted(&mut known, &connection, &rows).2, [0, 1]);
        connection.execute_batch("DELETE FROM metric_buckets WHERE series_id = 1").unwrap();
        known.forget();
        known.load(&connection).unwrap();
        assert_eq!(sorted(&mut known, &connection, &rows), (vec![0], vec![0], vec![1]));
    }
}
