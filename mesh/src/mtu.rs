//! Path MTU discovery: echoes of several sizes are sent, and the largest that returns is used.

use std::time::Duration;
use tokio::time::Instant;

/// Sizes tried below the configured one: common links and tunnels, and what IPv4 must carry.
const LADDER: [u16; 6] = [1400, 1340, 1280, 1200, 1000, 576];
/// How long the configured size has for itself: mostly it passes.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Pause between two rounds over the sizes without a response.
const ROUND: Duration = Duration::from_millis(700);
/// Rounds until the largest that returned is used.
const ROUNDS: u32 = 4;

/// A search in progress, or its result. It begins with the first [`MtuSearch::due`].
#[derive(Debug)]
pub(crate) struct MtuSearch {
    configured: u16,
    /// Largest first; true if an echo returned.
    sizes: Vec<(u16, bool)>,
    round: u32,
    next_at: Option<Instant>,
    found: Option<u16>,
}

impl MtuSearch {
    pub(crate) fn new(configured: u16) -> MtuSearch {
        let smaller = LADDER.into_iter().filter(|size| *size < configured);
        let sizes = std::iter::once(configured).chain(smaller).map(|size| (size, false)).collect();
        MtuSearch { configured, sizes, round: 0, next_at: None, found: None }
    }

    /// The sizes to ask for now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<u16> {
        if self.found.is_some() || self.next_at.is_some_and(|at| now < at) {
            return Vec::new();
        }
        let best = self.best();
        if self.round > ROUNDS {
            // without any echo reply nothing is known about sizes
            self.found = Some(best.unwrap_or(self.configured));
            return Vec::new();
        }
        let first = self.round == 0;
        self.round += 1;
        self.next_at = Some(now + if first { FIRST_WAIT } else { ROUND });
        let open = self.sizes.iter().filter(|(size, back)| !back && best.is_none_or(|best| *size > best));
        open.map(|(size, _)| *size).take(if first { 1 } else { usize::MAX }).collect()
    }

    /// An echo of this size came back.
    pub(crate) fn answered(&mut self, bytes: usize) {
        for (size, back) in &mut self.sizes {
            *back |= usize::from(*size) == bytes;
        }
        if self.found.is_none() && self.best() == Some(self.configured) {
            self.found = Some(self.configured);
        }
    }

    /// The size to use, once it is known.
    pub(crate) fn found(&self) -> Option<u16> {
        self.found
    }

    fn best(&self) -> Option<u16> {
        self.sizes.iter().find(|(_, back)| *back).map(|(size, _)| *size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a search finds on a path that carries `limit`, and how many echoes it needs.
    fn search(configured: u16, limit: u16, lost: impl Fn(usize) -> bool) -> (u16, usize) {
        let (mut search, mut now, mut sent) = (MtuSearch::new(configured), Instant::now(), 0);
        while search.found().is_none() {
            for size in search.due(now) {
                sent += 1;
                if size <= limit && !lost(sent) {
                    search.answered(usize::from(size));
                }
            }
            now += Duration::from_millis(100);
        }
        (search.found().unwrap_or(0), sent)
    }

    #[tokio::test(start_paused = true)]
    async fn the_greatest_size_that_passes_is_found_and_a_clear_path_costs_one_echo() {
        assert_eq!(search(1420, 1500, |_| false), (1420, 1));
        assert_eq!(search(1420, 1390, |_| false).0, 1340);
        assert_eq!(search(1420, 1280, |_| false).0, 1280);
        assert_eq!(search(1420, 600, |_| false).0, 576);
        assert_eq!(search(1420, 1500, |sent| sent < 3).0, 1420);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_answers_no_echo_is_taken_at_the_configured_size() {
        assert_eq!(search(1420, 0, |_| false).0, 1420);
        assert_eq!(search(900, 0, |_| false).0, 900);
    }
}
