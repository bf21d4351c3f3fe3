//! A source of numbered partitions that processes share as they share those of a Kafka topic.

use crate::cluster::BuildInputs;
use async_trait::async_trait;
use model::position::Positions;
use model::reject::{Reject, RejectReason};
use model::rows::Rows;
use model::time::TimeMs;
use sources::generator::{Fleet, FleetConfig};
use sources::{Batch, Source, SourceError};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Rows in a batch.
const BATCH_ROWS: usize = 100;

/// The behaviour after the last batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The end of the input.
    Finite,
    /// Hangs.
    Endless,
    /// A failure, in the process that has this partition.
    FailsAt(i32),
}

/// The partitions: batches in order.
#[derive(Clone)]
pub struct Parts {
    pub partitions: Arc<Vec<Vec<Batch>>>,
    pub ending: Ending,
    /// What its sources have heard to be stored.
    pub heard: Arc<Mutex<Positions>>,
}

impl Parts {
    /// A fleet with one partition per colony; each has one refused row.
    pub fn of_fleet(seed: u64) -> Parts {
        let fleet = FleetConfig { seed, colonies: 4, days: 16, interval_seconds: 2_700, ..FleetConfig::default() };
        let fleet = Fleet::generate(&fleet).unwrap();
        let mut partitions = Vec::new();
        for (number, colony_id) in fleet.truth.colonies.iter().enumerate() {
            let events: Vec<_> = fleet.events.iter().filter(|row| &row.colony_id == colony_id).cloned().collect();
            let metrics: Vec<_> = fleet.metrics().filter(|row| &row.series.key.colony_id == colony_id).collect();
            let events = events
                .chunks(BATCH_ROWS)
                .map(|rows| Batch { rows: Rows { events: rows.to_vec(), ..Rows::default() }, ..Batch::default() });
            let metrics = metrics
                .chunks(BATCH_ROWS)
                .map(|rows| Batch { rows: Rows { metrics: rows.into(), ..Rows::default() }, ..Batch::default() });
            let mut batches: Vec<Batch> = events.chain(metrics).collect();
            batches[0].rejects.push(refused(number));
            for (index, batch) in batches.iter_mut().enumerate() {
                batch.positions.0.insert(number.to_string(), (index + 1).to_string());
            }
            partitions.push(batches);
        }
        Parts { partitions: Arc::new(partitions), ending: Ending::Finite, heard: Arc::default() }
    }

    /// Builds the source of a share.
    pub fn inputs(&self) -> Arc<BuildInputs> {
        let parts = self.clone();
        Arc::new(move |_, positions, share, _| {
            let at = positions.get("parts").cloned().unwrap_or_default().0;
            let mine = (0_i32..).zip(parts.partitions.iter()).filter(|(partition, _)| share.takes(*partition));
            let left: BTreeMap<i32, VecDeque<Batch>> = mine
                .map(|(partition, batches)| {
                    let done = at.get(&partition.to_string()).map_or(0, |done| done.parse().unwrap());
                    (partition, batches[done..].iter().cloned().collect())
                })
                .collect();
            let heard = Arc::clone(&parts.heard);
            Ok(vec![Box::new(PartSource { left, ending: parts.ending, turn: 0, heard }) as Box<dyn Source>])
        })
    }

    pub fn rows(&self) -> u64 {
        self.partitions.iter().flatten().map(|batch| batch.rows.len() as u64).sum()
    }
}

fn refused(partition: usize) -> Reject {
    Reject {
        source: "parts".to_owned(),
        place: format!("{partition}@0"),
        colony_id: None,
        reason: RejectReason::Malformed,
        detail: "not a row".to_owned(),
        raw: "{".to_owned(),
        // beyond any retention
        rejected_at: TimeMs(4_102_444_800_000),
    }
}

struct PartSource {
    left: BTreeMap<i32, VecDeque<Batch>>,
    ending: Ending,
    turn: usize,
    heard: Arc<Mutex<Positions>>,
}

#[async_trait]
impl Source for PartSource {
    fn name(&self) -> &str {
        "parts"
    }

    fn is_finite(&self) -> bool {
        // the rows of a partition are in order by kind, not by time
        true
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        self.turn += 1;
        let count = self.left.len().max(1);
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let next = turns.filter_map(|turn| self.left.keys().nth(turn).copied()).find(|key| !self.left[key].is_empty());
        if let Some(partition) = next {
            return Ok(self.left.get_mut(&partition).and_then(VecDeque::pop_front));
        }
        match self.ending {
            Ending::FailsAt(partition) if self.left.contains_key(&partition) => Err(SourceError::Format {
                path: PathBuf::from("parts"),
                format: "CSV",
                problem: "the broker is on fire".to_owned(),
            }),
            Ending::Finite => Ok(None),
            _ => std::future::pending().await,
        }
    }

    fn is_acknowledged(&self) -> bool {
        true
    }

    fn committed(&mut self, positions: &Positions) {
        self.heard.lock().unwrap().advance(positions.clone());
    }
}
