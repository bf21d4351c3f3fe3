//! Handle: what a run hands out: a reader of its store, its progress, a stop, and news of its patterns.

use super::{Controls, RunOptions};
use crate::progress::Progress;
use mesh::Network;
use model::clock::SharedClock;
use model::instruments::Registry;
use model::pattern::{Correlation, Finding, PatternState};
use sinks::{SinkError, StoreReader};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};

/// What became of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is beyond chance now, and was not before.
    Confirmed,
    /// It was confirmed and no longer is, or is not there at all any more.
    Withdrawn,
}

/// A pattern that changed: as it is now, or as it last was where it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What became of it.
    pub change: Change,
    /// Its row.
    pub correlation: Correlation,
}

/// The latest change of each pattern that has not been taken yet: bounded by the number of patterns.
#[derive(Debug, Default)]
struct NewsBoard {
    changes: Mutex<BTreeMap<String, News>>,
    arrived: Notify,
}

/// A reef that runs in this process. Cheap to clone; whatever is done with it, the run does not wait for it.
#[derive(Clone)]
pub struct RunningReef {
    reader: watch::Receiver<Option<Arc<dyn StoreReader>>>,
    progress: watch::Receiver<Progress>,
    registry: Registry,
    stop: watch::Sender<bool>,
    news: Arc<NewsBoard>,
}

/// The run's side of a [`RunningReef`]; by default one without listeners.
#[derive(Default)]
pub struct Announcer {
    reader: Option<watch::Sender<Option<Arc<dyn StoreReader>>>>,
    news: Option<Arc<NewsBoard>>,
    /// Confirmed patterns as they are stored.
    confirmed: BTreeMap<String, Correlation>,
    /// What the commit in progress changes; published when it is stored.
    waiting: Vec<News>,
}

impl RunningReef {
    /// For a run that is about to begin: what others have of it, and what it is started with.
    pub fn new(clock: SharedClock, network: Network) -> (RunningReef, RunOptions, Announcer) {
        let (options, Controls { progress, stop }) = RunOptions::new(clock, network);
        let (opened, reader) = watch::channel(None);
        let news = Arc::new(NewsBoard::default());
        let announcer = Announcer { reader: Some(opened), news: Some(Arc::clone(&news)), ..Announcer::default() };
        let reef = RunningReef { reader, progress, registry: options.registry.clone(), stop, news };
        (reef, options, announcer)
    }

    /// Whether the run has opened its store. It is read from then on, also while the windows are rebuilt.
    pub fn is_open(&self) -> bool {
        self.reader.borrow().is_some()
    }

    /// A reader of its store: waits until the run has opened that; `None` once the run is over. A reader that is kept
    /// longer answers with an error then.
    pub async fn reader(&self) -> Option<Arc<dyn StoreReader>> {
        let mut reader = self.reader.clone();
        let opened = reader.wait_for(Option::is_some).await.ok()?.clone();
        // the last value outlives its sender
        if reader.has_changed().is_ok() { opened } else { None }
    }

    /// How the run goes: a snapshot after each tick and each batch.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// What the run and its services count.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Asks the run to drain and end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for news; best first. One listener at a time gets them.
    pub async fn news(&self) -> Vec<News> {
        loop {
            let news = self.news_so_far();
            if !news.is_empty() {
                return news;
            }
            self.news.arrived.notified().await;
        }
    }

    /// The news that has not been taken.
    pub fn news_so_far(&self) -> Vec<News> {
        let changes = std::mem::take(&mut *self.news.changes.lock().unwrap_or_else(PoisonError::into_inner));
        let mut news: Vec<News> = changes.into_values().collect();
        news.sort_by_key(|news| (news.correlation.q_value, news.correlation.key.clone()));
        news
    }
}

impl Announcer {
    /// Hands out the reader of the store that the run has opened. What is confirmed already is no news.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(&mut self, reader: Arc<dyn StoreReader>) -> Result<(), SinkError> {
        if self.news.is_some() {
            let stored = reader.correlations().await?.into_iter();
            let confirmed = stored.filter(|row| row.state == PatternState::Confirmed);
            self.confirmed = confirmed.map(|row| (row.key.correlation_id(), row)).collect();
        }
        if let Some(opened) = &self.reader {
            opened.send_replace(Some(reader));
        }
        Ok(())
    }

    /// Notes what a commit is going to change.
    pub(crate) fn note(&mut self, findings: &[Finding], removed: &[String]) {
        if self.news.is_none() {
            return;
        }
        for finding in findings {
            let (row, id) = (&finding.correlation, finding.correlation.key.correlation_id());
            if row.state == PatternState::Confirmed {
                if self.confirmed.insert(id, row.clone()).is_none() {
                    self.waiting.push(News { change: Change::Confirmed, correlation: row.clone() });
                }
            } else if self.confirmed.remove(&id).is_some() {
                self.waiting.push(News { change: Change::Withdrawn, correlation: row.clone() });
            }
        }
        for id in removed {
            if let Some(correlation) = self.confirmed.remove(id) {
                self.waiting.push(News { change: Change::Withdrawn, correlation });
            }
        }
    }

    /// Publishes what was noted: it is stored now.
    pub(crate) fn publish(&mut self) {
        if let Some(news) = &self.news
            && !self.waiting.is_empty()
        {
            let mut changes = news.changes.lock().unwrap_or_else(PoisonError::into_inner);
            changes.extend(self.waiting.drain(..).map(|change| (change.correlation.key.correlation_id(), change)));
            news.arrived.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::clock::SystemClock;
    use sinks::compliance::commit_of;
    use sinks::compliance::rows::finding;
    use sinks::memory::MemoryStore;
    use sinks::{Commit, StoreWriter};

    fn pattern(name: &str, state: PatternState) -> Finding {
        let mut found = finding(name, 0.9, &[]);
        found.correlation.state = state;
        found
    }

    /// Notes and stores a commit with these findings, from which those of these names are gone.
    fn commit(announcer: &mut Announcer, findings: &[Finding], gone: &[&str]) {
        let id = |name: &&str| finding(name, 0.9, &[]).correlation.key.correlation_id();
        announcer.note(findings, &gone.iter().map(id).collect::<Vec<_>>());
        announcer.publish();
    }

    fn news_of(reef: &RunningReef) -> Vec<(Change, String)> {
        reef.news_so_far().into_iter().map(|news| (news.change, news.correlation.key.source.name)).collect()
    }

    #[tokio::test]
    async fn a_pattern_is_news_when_it_is_confirmed_and_when_it_no_longer_is() {
        use PatternState::{Candidate, Confirmed, Withdrawn};
        let (reef, _options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
        let mut store = MemoryStore::new();
        let old = Commit { findings: vec![pattern("old", Confirmed)], ..commit_of(1, model::rows::Rows::default()) };
        store.commit(&old).await.unwrap();
        announcer.open(store.reader()).await.unwrap();
        announcer.note(&[pattern("old", Confirmed), pattern("new", Confirmed), pattern("weak", Candidate)], &[]);
        assert_eq!(news_of(&reef), [], "nothing is published before it is stored");
        announcer.publish();
        assert_eq!(news_of(&reef), [(Change::Confirmed, "new".to_owned())], "what was confirmed before is no news");
        commit(&mut announcer, &[pattern("new", Withdrawn), pattern("weak", Candidate)], &["old", "weak"]);
        let both = [(Change::Withdrawn, "new".to_owned()), (Change::Withdrawn, "old".to_owned())];
        assert_eq!(news_of(&reef), both);
        commit(&mut announcer, &[pattern("new", Withdrawn)], &[]);
        assert_eq!(news_of(&reef), [], "it is published once");
    }

    #[tokio::test]
    async fn of_several_unread_changes_the_latest_is_published() {
        let (reef, _options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
        for state in [PatternState::Confirmed, PatternState::Withdrawn] {
            commit(&mut announcer, &[pattern("flickers", state)], &[]);
        }
        assert_eq!(news_of(&reef), [(Change::Withdrawn, "flickers".to_owned())]);
    }

    #[tokio::test]
    async fn a_run_hands_out_a_reader_its_progress_and_a_stop() {
        let (reef, options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
        let store = MemoryStore::new();
        let (reader, ()) = tokio::join!(reef.reader(), async { announcer.open(store.reader()).await.unwrap() });
        let reader = reader.unwrap();
        assert_eq!(reader.correlations().await.unwrap(), []);
        assert!(!*options.shutdown.borrow());
        reef.clone().stop();
        assert!(*options.shutdown.borrow());
        options.progress.send_replace(Progress { ticks: 7, ..Progress::default() });
        assert_eq!(reef.progress().borrow().ticks, 7);
        // once the run is over there is no reader
        drop((announcer, store));
        assert!(reef.reader().await.is_none());
        assert!(reader.correlations().await.unwrap_err().to_string().contains("closed"));
    }
}
