//! Desk: lets callers read the store of a running reef, and reports confirmed and withdrawn patterns.

use model::pattern::{Correlation, Finding, PatternState};
use sinks::{SinkError, Store};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc};

/// Visitors that may wait; further ones wait for a place.
const WAITING_MAX: usize = 16;

/// A query of the store between two commits. It must only read.
pub type Look = Box<dyn for<'a> FnOnce(&'a mut dyn Store) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> + Send>;

/// What became of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is beyond chance now, and was not before.
    Confirmed,
    /// It was confirmed and no longer is, or no longer exists.
    Withdrawn,
}

/// A changed pattern: its current state, or its last one if it no longer exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What became of it.
    pub change: Change,
    /// Its row.
    pub correlation: Correlation,
}

/// The run's side.
#[derive(Default)]
pub struct Desk {
    looks: Option<mpsc::Receiver<Look>>,
    board: Option<Arc<Board>>,
    /// Confirmed patterns as stored.
    confirmed: BTreeMap<String, Correlation>,
    /// Changes of the commit in progress; reported when it is stored.
    waiting: Vec<News>,
}

/// The other side: sends queries and receives news. Cheap to clone.
#[derive(Clone)]
pub struct Visitor {
    looks: mpsc::Sender<Look>,
    board: Arc<Board>,
}

/// The latest unread change of each pattern: bounded by the number of patterns.
#[derive(Debug, Default)]
struct Board {
    changes: Mutex<BTreeMap<String, News>>,
    hung: Notify,
}

impl Desk {
    /// A desk, and its visitor.
    pub fn open() -> (Desk, Visitor) {
        let (sender, looks) = mpsc::channel(WAITING_MAX);
        let board = Arc::new(Board::default());
        let desk = Desk { looks: Some(looks), board: Some(Arc::clone(&board)), ..Desk::default() };
        (desk, Visitor { looks: sender, board })
    }

    /// Loads the confirmed patterns, so that they are not reported as news.
    pub(crate) async fn learn(&mut self, store: &mut dyn Store) -> Result<(), SinkError> {
        if self.board.is_some() {
            let stored = store.correlations().await?.into_iter();
            let confirmed = stored.filter(|row| row.state == PatternState::Confirmed);
            self.confirmed = confirmed.map(|row| (row.key.correlation_id(), row)).collect();
        }
        Ok(())
    }

    /// Waits for a query; never returns if none is possible any more. Cancel-safe.
    pub(crate) async fn next_look(&mut self) -> Look {
        if let Some(looks) = &mut self.looks {
            match looks.recv().await {
                Some(look) => return look,
                None => self.looks = None,
            }
        }
        std::future::pending().await
    }

    /// Notes what a commit is going to change.
    pub(crate) fn note(&mut self, findings: &[Finding], removed: &[String]) {
        if self.board.is_none() {
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

    /// Reports the noted changes: they are stored now.
    pub(crate) fn tell(&mut self) {
        if let Some(board) = &self.board
            && !self.waiting.is_empty()
        {
            let mut changes = board.changes.lock().unwrap_or_else(PoisonError::into_inner);
            changes.extend(self.waiting.drain(..).map(|news| (news.correlation.key.correlation_id(), news)));
            board.hung.notify_one();
        }
    }
}

impl Visitor {
    /// Queries the store between two commits. Returns false if the run is ending.
    pub async fn look(&self, look: Look) -> bool {
        self.looks.send(look).await.is_ok()
    }

    /// Waits for news; best first. For one listener at a time.
    pub async fn news(&self) -> Vec<News> {
        loop {
            let news = self.news_so_far();
            if !news.is_empty() {
                return news;
            }
            self.board.hung.notified().await;
        }
    }

    /// Unread news.
    pub fn news_so_far(&self) -> Vec<News> {
        let changes = std::mem::take(&mut *self.board.changes.lock().unwrap_or_else(PoisonError::into_inner));
        let mut news: Vec<News> = changes.into_values().collect();
        news.sort_by_key(|news| (news.correlation.q_value, news.correlation.key.clone()));
        news
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sinks::Commit;
    use sinks::compliance::commit_of;
    use sinks::compliance::rows::finding;
    use sinks::memory::MemoryStore;

    fn pattern(name: &str, state: PatternState) -> Finding {
        let mut found = finding(name, 0.9, &[]);
        found.correlation.state = state;
        found
    }

    /// Notes and stores a commit with these findings, from which those of these names are gone.
    fn commit(desk: &mut Desk, findings: &[Finding], gone: &[&str]) {
        let id = |name: &&str| finding(name, 0.9, &[]).correlation.key.correlation_id();
        desk.note(findings, &gone.iter().map(id).collect::<Vec<_>>());
        desk.tell();
    }

    fn told(visitor: &Visitor) -> Vec<(Change, String)> {
        visitor.news_so_far().into_iter().map(|news| (news.change, news.correlation.key.source.name)).collect()
    }

    #[tokio::test]
    async fn a_pattern_is_news_when_it_is_confirmed_and_when_it_no_longer_is() {
        use PatternState::{Candidate, Confirmed, Withdrawn};
        let (mut desk, visitor) = Desk::open();
        let mut store = MemoryStore::new();
        let old = Commit { findings: vec![pattern("old", Confirmed)], ..commit_of(1, model::rows::Rows::default()) };
        store.commit(&old).await.unwrap();
        desk.learn(&mut store).await.unwrap();
        desk.note(&[pattern("old", Confirmed), pattern("new", Confirmed), pattern("weak", Candidate)], &[]);
        assert_eq!(told(&visitor), [], "nothing is told before it is stored");
        desk.tell();
        assert_eq!(told(&visitor), [(Change::Confirmed, "new".to_owned())], "what was confirmed before is no news");
        commit(&mut desk, &[pattern("new", Withdrawn), pattern("weak", Candidate)], &["old", "weak"]);
        let both = [(Change::Withdrawn, "new".to_owned()), (Change::Withdrawn, "old".to_owned())];
        assert_eq!(told(&visitor), both);
        commit(&mut desk, &[pattern("new", Withdrawn)], &[]);
        assert_eq!(told(&visitor), [], "it is told once");
    }

    #[tokio::test]
    async fn of_several_changes_that_nobody_took_the_latest_is_told() {
        let (mut desk, visitor) = Desk::open();
        for state in [PatternState::Confirmed, PatternState::Withdrawn] {
            commit(&mut desk, &[pattern("flickers", state)], &[]);
        }
        assert_eq!(told(&visitor), [(Change::Withdrawn, "flickers".to_owned())]);
    }

    #[tokio::test]
    async fn a_visitor_looks_into_the_store_and_is_sent_away_when_the_run_is_over() {
        let (mut desk, visitor) = Desk::open();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let look: Look = Box::new(move |store| {
            Box::pin(async move {
                let _ = answer.send(store.correlations().await.unwrap().len());
            })
        });
        assert!(visitor.look(look).await);
        let mut store = MemoryStore::new();
        desk.next_look().await(&mut store).await;
        assert_eq!(answered.await.unwrap(), 0);
        drop(desk);
        assert!(!visitor.look(Box::new(|_| Box::pin(async {}))).await);
    }
}
