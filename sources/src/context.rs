//! Context: what a live source needs of the world: the time of day, the network, how its pauses are drawn, and where it
//! counts.

use mesh::Network;
use model::clock::SharedClock;
use model::instruments::Registry;

/// Handed to every source that dials.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// The time of day: by it rows are judged.
    pub clock: SharedClock,
    /// What colonies are dialled through.
    pub network: Network,
    /// Draws the jitter of pauses; `None` draws another one in each process.
    pub jitter_seed: Option<u64>,
    /// Where it reports what it counts.
    pub registry: Registry,
}

impl SourceContext {
    /// A context whose pauses differ from those of every other process.
    pub fn new(clock: SharedClock, network: Network) -> SourceContext {
        SourceContext { clock, network, jitter_seed: None, registry: Registry::new() }
    }
}
