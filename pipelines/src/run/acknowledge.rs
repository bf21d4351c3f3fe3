//! Acknowledge: tells sources which of their positions are stored, after the commit that holds them and never before.

use model::position::Positions;
use sources::{Batch, Source, SourceError};
use std::collections::BTreeMap;
use tokio::sync::watch;

/// The run's side: positions on their way into the store, by number of the source.
#[derive(Default)]
pub(crate) struct Acknowledgements {
    sources: BTreeMap<usize, watch::Sender<Positions>>,
    /// Received, in no commit yet.
    pending: BTreeMap<usize, Positions>,
    /// In the commit in progress.
    committing: BTreeMap<usize, Positions>,
}

/// The source's side; `None` for a source that does not ask for it.
pub(crate) type Stored = Option<watch::Receiver<Positions>>;

impl Acknowledgements {
    /// Adds a source, if it wants to be notified.
    pub(crate) fn add(&mut self, number: usize, source: &dyn Source) -> Stored {
        source.is_acknowledged().then(|| {
            let (sender, stored) = watch::channel(Positions::default());
            self.sources.insert(number, sender);
            stored
        })
    }

    /// Notes what a source has delivered.
    pub(crate) fn taken(&mut self, number: usize, positions: &Positions) {
        if self.sources.contains_key(&number) {
            self.pending.entry(number).or_default().advance(positions.clone());
        }
    }

    /// A commit begins with everything that has been taken.
    pub(crate) fn begun(&mut self) {
        for (number, positions) in std::mem::take(&mut self.pending) {
            self.committing.entry(number).or_default().advance(positions);
        }
    }

    /// The commit that began last is stored.
    pub(crate) fn stored(&mut self) {
        for (number, positions) in std::mem::take(&mut self.committing) {
            self.tell(number, positions);
        }
    }

    /// Tells one source.
    pub(crate) fn tell(&self, number: usize, positions: Positions) {
        if let Some(source) = self.sources.get(&number) {
            source.send_modify(|stored| stored.advance(positions));
        }
    }
}

/// The next batch of a source that is notified meanwhile of what is stored; `None` once nothing more will be stored.
/// Cancel-safe.
pub(crate) async fn next_batch(
    source: &mut dyn Source,
    stored: &mut Stored,
) -> Option<Result<Option<Batch>, SourceError>> {
    loop {
        let Some(news) = stored else { return Some(source.next_batch().await) };
        let changed = tokio::select! {
            biased;
            changed = news.changed() => changed,
            batch = source.next_batch() => return Some(batch),
        };
        changed.ok()?;
        let positions = news.borrow_and_update().clone();
        source.committed(&positions);
    }
}

/// Tells a source that delivers no more what of it is still being stored.
pub(crate) async fn until_the_end(source: &mut dyn Source, stored: Stored) {
    let Some(mut news) = stored else { return };
    while news.changed().await.is_ok() {
        let positions = news.borrow_and_update().clone();
        source.committed(&positions);
    }
}
