//! Rate limit of handshakes: a bucket per source address, so that one unknown source does not exhaust the shared limit.

use std::collections::HashMap;
use std::net::IpAddr;
use tokio::time::Instant;

/// Handshakes per second that a source gets back.
const PER_SECOND: f64 = 5.0;
/// Handshakes that a source may begin at once.
const BURST: f64 = 10.0;
/// Sources remembered; the longest silent one makes room.
const SOURCES_MAX: usize = 1024;

/// The buckets of all sources.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    sources: HashMap<IpAddr, (f64, Instant)>,
}

impl Buckets {
    /// Takes one from the bucket of `source`; false when it is empty.
    pub(crate) fn take(&mut self, source: IpAddr, now: Instant) -> bool {
        let source = network(source);
        if !self.sources.contains_key(&source) {
            self.make_room(now);
        }
        let (left, at) = self.sources.entry(source).or_insert((BURST, now));
        *left = (*left + now.saturating_duration_since(*at).as_secs_f64() * PER_SECOND).min(BURST);
        *at = now;
        let allowed = *left >= 1.0;
        if allowed {
            *left -= 1.0;
        }
        allowed
    }

    /// A full bucket says nothing that a new one would not say.
    fn make_room(&mut self, now: Instant) {
        if self.sources.len() < SOURCES_MAX {
            return;
        }
        let refill = BURST / PER_SECOND;
        self.sources.retain(|_, (_, at)| now.saturating_duration_since(*at).as_secs_f64() < refill);
        if self.sources.len() >= SOURCES_MAX
            && let Some(oldest) = self.sources.iter().min_by_key(|(_, (_, at))| *at).map(|(source, _)| *source)
        {
            self.sources.remove(&oldest);
        }
    }
}

/// Who has one IPv6 address has the whole /64.
pub(crate) fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        IpAddr::V4(_) => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_source_gets_its_burst_and_then_its_rate_and_others_are_not_disturbed() {
        let mut buckets = Buckets::default();
        let (loud, quiet) = (IpAddr::from([203, 0, 113, 1]), IpAddr::from([203, 0, 113, 2]));
        let start = Instant::now();
        assert_eq!((0..100).filter(|_| buckets.take(loud, start)).count(), 10);
        assert!(buckets.take(quiet, start));
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| buckets.take(loud, later)).count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_stays_bounded_under_many_sources_and_a_prefix_is_one_source() {
        let mut buckets = Buckets::default();
        let now = Instant::now();
        for number in 0..10_000_u32 {
            buckets.take(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(buckets.sources.len() <= SOURCES_MAX);
        let of_prefix = |host: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]);
        assert_eq!((0..100).filter(|host| buckets.take(of_prefix(*host), now)).count(), 10);
    }
}
