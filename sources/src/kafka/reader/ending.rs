//! How a bounded read finds the end of each partition, and detects that the end is unreachable because the topic was
//! deleted or recreated.

use super::{Order, Reader, Stop};
use crate::kafka::client::Consumer;
use crate::kafka::config::KafkaEnd;
use crate::kafka::discover::{self, Fault};
use crate::kafka::position::part;
use crate::{Arrival, SourceError};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use std::time::{Duration, Instant};

/// Retry interval for an end that could not be verified.
const VERIFY_EVERY: Duration = Duration::from_secs(1);

impl Reader {
    /// The end of the log was met before the end of the read: between them are transaction markers, aborted records, or
    /// nothing (a compacted topic). Verified, because a new leader may briefly know a lower end.
    pub(super) fn meet_end(&mut self, consumer: &Consumer, number: i32) -> Result<(), Stop> {
        let slot = usize::try_from(number).ok().and_then(|slot| self.partitions.get_mut(slot));
        let Some(Some(partition)) = slot else { return Ok(()) };
        if partition.end.is_none() {
            // records read so far were the backlog; later ones are not
            if !partition.is_behind {
                return Ok(());
            }
            partition.is_behind = false;
            return self.flush_as(Arrival::Backlog);
        }
        if partition.is_done {
            return Ok(());
        }
        partition.met_end = true;
        // brokers that do not respond now are queried again
        let _ = self.verify(consumer, number, true)?;
        self.look_soon();
        Ok(())
    }

    /// Queries whether a partition of a bounded read can still reach its end, or has reached it. `Err` inside: no
    /// response.
    fn verify(&mut self, consumer: &Consumer, number: i32, is_there: bool) -> Result<Result<(), Fault>, Stop> {
        let slot = usize::try_from(number).ok().and_then(|slot| self.partitions.get_mut(slot));
        let Some(Some(partition)) = slot else { return Ok(Ok(())) };
        let Some(wanted) = partition.end else { return Ok(Ok(())) };
        partition.seen_at = partition.next;
        let found = match is_there.then(|| discover::watermarks(consumer, &self.order.topic, number)) {
            Some(Err(fault)) => {
                partition.short_since = None;
                return Ok(Err(fault));
            }
            Some(Ok((_, high))) => Some(high),
            None => None,
        };
        if found.is_some_and(|high| high >= wanted) {
            partition.short_since = None;
            return if partition.met_end { self.finish(consumer, number).map(Ok) } else { Ok(Ok(())) };
        }
        let since = *partition.short_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.order.config.gone_after {
            tracing::debug!(topic = %self.order.topic, number, wanted, ?found, "a partition ends before the end of the read");
            return Ok(Ok(()));
        }
        Err(self.short(number, wanted, found))
    }

    /// Before a read with known ends: whether each of its partitions still has its end. `Err` inside: not now; it is
    /// retried.
    pub(super) fn verify_seen(&mut self, consumer: &Consumer, there: &[i32]) -> Result<Result<(), Fault>, Stop> {
        let Order { config, topic, committed, .. } = &self.order;
        let KafkaEnd::Seen(seen) = &config.end else { return Ok(Ok(())) };
        let unread = |(number, wanted): &(i32, i64)| {
            config.share.takes(*number) && committed.get(number).is_none_or(|next| next < wanted)
        };
        for (number, wanted) in seen.named(topic).into_iter().filter(unread) {
            let found = match there.contains(&number).then(|| discover::watermarks(consumer, topic, number)) {
                Some(Err(fault)) => {
                    self.short_since = None;
                    return Ok(Err(fault));
                }
                Some(Ok((_, high))) => Some(high),
                None => None,
            };
            // a topic that never held anything has lost nothing
            if wanted == 0 || found.is_some_and(|high| high >= wanted) {
                continue;
            }
            let since = *self.short_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= config.gone_after {
                return Err(self.short(number, wanted, found));
            }
            let words = format!("{} no longer reaches offset {wanted}", part(topic, number));
            return Ok(Err(Fault { is_refusal: false, words }));
        }
        self.short_since = None;
        Ok(Ok(()))
    }

    fn short(&self, partition: i32, wanted: i64, found: Option<i64>) -> Stop {
        let (brokers, topic) = (self.order.config.brokers.clone(), self.order.topic.clone());
        Stop::Failed(SourceError::KafkaShort { brokers, topic, partition, wanted, found })
    }

    /// Schedules an early query of the brokers, unless one is due earlier.
    pub(super) fn look_soon(&mut self) {
        let again = Instant::now() + VERIFY_EVERY;
        self.look_at = Some(self.look_at.map_or(again, |at| at.min(again)));
    }

    /// A partition has been read to its end; nothing more of it is fetched.
    pub(super) fn finish(&mut self, consumer: &Consumer, number: i32) -> Result<(), Stop> {
        let slot = usize::try_from(number).ok().and_then(|slot| self.partitions.get_mut(slot));
        let Some(Some(partition)) = slot else { return Ok(()) };
        partition.is_done = true;
        partition.next = partition.next.max(partition.end.unwrap_or(partition.next));
        partition.has_moved = true;
        let mut done = TopicPartitionList::new();
        done.add_partition(&self.order.topic, number);
        // only saves fetching: records that still arrive are ignored
        if let Err(error) = consumer.pause(&done) {
            tracing::debug!(topic = %self.order.topic, number, %error, "cannot pause a partition that is done");
        }
        self.cut_at.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// [`verify`](Reader::verify) of each partition that is missing or has not moved since the last query.
    pub(super) fn verify_all(&mut self, consumer: &Consumer, found: &[i32]) -> Result<Result<(), Fault>, Stop> {
        let mut outcome = Ok(());
        for slot in 0..self.partitions.len() {
            let Ok(number) = i32::try_from(slot) else { continue };
            let Some(partition) = self.partitions[slot].as_mut().filter(|partition| !partition.is_done) else {
                continue;
            };
            let is_there = found.contains(&number);
            let has_moved = partition.next != partition.seen_at;
            if is_there && has_moved && !partition.met_end {
                partition.seen_at = partition.next;
            } else {
                // the others are still checked
                outcome = self.verify(consumer, number, is_there)?.and(outcome);
            }
        }
        Ok(outcome)
    }
}
