//! Chunks of a file, read on a separate thread, a few ahead of the writer.

use model::clock::SharedClock;
use model::metric::{MetricPoint, SeriesKey};
use model::series::Series;
use sources::RowKind;
use sources::SourceError;
use sources::files::{Chunk, open};
use std::collections::BTreeMap;
use std::path::Path;
use tokio::sync::mpsc;

/// Chunks read ahead.
const CHUNKS_AHEAD_MAX: usize = 2;
/// Maximum number of distinct spacings counted per series to determine its interval.
const SPACINGS_MAX: usize = 64;

/// One step of reading.
pub(super) struct Message {
    /// Rows of the colony, and rejected rows of any colony.
    pub chunk: Chunk,
    /// Rows of other colonies, which have been taken out.
    pub passed_over: u64,
    /// Whose they were.
    pub other_colonies: Vec<String>,
    /// Length of the file.
    pub bytes_in_all: u64,
}

/// Starts reading; the receiver ends after the last chunk or the first error.
pub(super) fn start(
    path: &Path,
    kind: RowKind,
    colony_id: String,
    clock: SharedClock,
) -> Result<mpsc::Receiver<Result<Message, SourceError>>, SourceError> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD_MAX);
    let path = path.to_owned();
    let file_error = |path: &Path, cause| SourceError::File { path: path.to_owned(), cause };
    let reader_path = path.clone();
    std::thread::Builder::new()
        .name("import-reader".to_owned())
        .spawn(move || {
            if let Err(error) = read_all((&reader_path, kind), &colony_id, &clock, &sender) {
                // the receiver has been dropped
                let _ = sender.blocking_send(Err(error));
            }
        })
        .map_err(|cause| file_error(&path, cause))?;
    Ok(receiver)
}

fn read_all(
    (path, kind): (&Path, RowKind),
    colony_id: &str,
    clock: &SharedClock,
    sender: &mpsc::Sender<Result<Message, SourceError>>,
) -> Result<(), SourceError> {
    let intervals = match kind {
        RowKind::Metrics => learn_intervals(path, colony_id, clock)?,
        RowKind::Events => BTreeMap::new(),
    };
    let reader = open(path, kind, clock)?;
    let bytes_in_all = reader.bytes_in_all();
    for chunk in reader {
        let mut chunk = chunk?;
        let (mut passed_over, mut other_colonies) = (0, Vec::new());
        let mut is_ours = |found: &str| {
            let is_ours = found == colony_id;
            if !is_ours {
                passed_over += 1;
                if other_colonies.last().is_none_or(|last| last != found) {
                    other_colonies.push(found.to_owned());
                }
            }
            is_ours
        };
        chunk.rows.events.retain(|event| is_ours(&event.colony_id));
        chunk.rows.metrics.retain(|row| is_ours(&row.series().key.colony_id));
        let learnt = |point: MetricPoint| match intervals.get(&point.series.key) {
            Some(seconds) if point.series.interval_seconds.is_none() => {
                let series = point.series.with(|series| series.interval_seconds = Some(*seconds));
                MetricPoint { series, ..point }
            }
            _ => point,
        };
        chunk.rows.metrics = chunk.rows.metrics.iter().map(learnt).collect();
        if sender.blocking_send(Ok(Message { chunk, passed_over, other_colonies, bytes_in_all })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// By series, in seconds.
type Intervals = BTreeMap<&'static SeriesKey, u32>;

/// The interval of each of the colony's series whose rows do not state one: the most common spacing of successive rows.
/// This reads the whole file once; memory is per series, not per row.
fn learn_intervals(path: &Path, colony_id: &str, clock: &SharedClock) -> Result<Intervals, SourceError> {
    #[derive(Default)]
    struct Spacing {
        last_ms: Option<i64>,
        seen: BTreeMap<i64, u64>,
    }
    let mut series: BTreeMap<&'static SeriesKey, Spacing> = BTreeMap::new();
    for chunk in open(path, RowKind::Metrics, clock)? {
        for point in chunk?.rows.metrics.iter() {
            let Series { key, interval_seconds, .. } = point.series.series();
            if key.colony_id != colony_id || interval_seconds.is_some() {
                continue;
            }
            let spacing = series.entry(key).or_default();
            let now_ms = point.timestamp.0;
            if let Some(gap_ms) = spacing.last_ms.map(|last_ms| now_ms - last_ms).filter(|gap_ms| *gap_ms > 0)
                && (spacing.seen.len() < SPACINGS_MAX || spacing.seen.contains_key(&gap_ms))
            {
                *spacing.seen.entry(gap_ms).or_default() += 1;
            }
            spacing.last_ms = Some(now_ms);
        }
    }
    let commonest = |seen: BTreeMap<i64, u64>| {
        // of equally common ones the shorter: reversed, so that it is the last maximum
        let (gap_ms, _) = seen.into_iter().rev().max_by_key(|(_, times)| *times)?;
        u32::try_from(gap_ms.max(1_000) / 1_000).ok()
    };
    Ok(series.into_iter().filter_map(|(key, spacing)| Some((key, commonest(spacing.seen)?))).collect())
}
