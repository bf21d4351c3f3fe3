//! Copy: every table of one store into another, page by page, resumable, verified by counts and checksums.
//!
//! A page and the copy's progress are one write, so an interrupted copy resumes. At the end the target is read back and
//! compared with the source, table by table.

use crate::error::SinkError;
use crate::schema::Table;
use crate::store::StoreAdmin;
use crate::transfer::{Cursor, Tally};
use model::position::Positions;
use serde::Serialize;

use std::collections::BTreeMap;
use tokio::sync::watch;

/// Rows that are read and written at once.
const PAGE_ROWS: usize = 10_000;
/// The position of a table that has been copied.
const DONE: &str = "done";

/// Progress of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyProgress {
    /// The table at hand.
    pub table: &'static str,
    /// Rows written by this call, over all tables.
    pub rows: u64,
    /// Rows that are in the target, and rows that were read again of either store to compare them.
    pub done: u64,
    /// How many that will be, as the source was when the copy began; 0 where its rows could not be counted.
    pub in_all: u64,
    /// Whether the target is being read back.
    pub is_verifying: bool,
}

/// One table on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// What the source holds.
    pub source: Tally,
    /// What the target holds.
    pub target: Tally,
}

/// What a copy did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopySummary {
    /// Source, for people.
    pub from: String,
    /// Target, for people.
    pub to: String,
    /// Rows written by this call.
    pub rows_written: u64,
    /// Whether it resumes an earlier, interrupted call.
    pub was_resumed: bool,
    /// Every table.
    pub tables: Vec<Copied>,
}

/// Why a copy ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A store refused.
    #[error(transparent)]
    Store(#[from] SinkError),
    /// The target holds rows that this copy has not written.
    #[error(
        "{target} already holds {rows} rows in {table}: a copy needs an empty store, or resumes a copy of the \
         same source that was interrupted; name another target"
    )]
    NotEmpty {
        /// The target.
        target: String,
        /// The first table with rows.
        table: &'static str,
        /// How many at least.
        rows: u64,
    },
    /// The two sides differ at the end.
    #[error(
        "{table} differs: {} rows in the source, {} in the target{}; was one of the stores written to in the meantime? \
         Stop its reef, and copy into an empty target again",
        .source_tally.rows, .target_tally.rows,
        if .source_tally.rows == .target_tally.rows { ", with different contents" } else { "" }
    )]
    Differs {
        /// The first table that differs.
        table: &'static str,
        /// Source side.
        source_tally: Tally,
        /// Target side.
        target_tally: Tally,
    },
    /// The stop request.
    #[error("stopped after {rows} rows; the same command resumes")]
    Stopped {
        /// Rows written by this call.
        rows: u64,
    },
}

/// Copies every table of `from` into `to`. Both are closed at the end, also when it fails.
pub async fn copy(
    mut from: Box<dyn StoreAdmin>,
    mut to: Box<dyn StoreAdmin>,
    progress: watch::Sender<CopyProgress>,
    shutdown: watch::Receiver<bool>,
) -> Result<CopySummary, CopyError> {
    let (from_mut, to_mut) = (from.as_mut(), to.as_mut());
    let mut copy = Copy { from: from_mut, to: to_mut, progress, shutdown, rows: 0, done: 0, in_all: 0 };
    let result = copy.run().await;
    let rows = copy.rows;
    // both, regardless of the copy's result: an open store locks others out
    let closed = [from.close().await, to.close().await];
    match result {
        Ok(summary) => {
            for closed in closed {
                closed?;
            }
            Ok(summary)
        }
        Err(error) => {
            for error in closed.into_iter().filter_map(Result::err) {
                tracing::warn!(%error, "a store could not be closed after the copy had failed");
            }
            Err(if let CopyError::Stopped { .. } = error { CopyError::Stopped { rows } } else { error })
        }
    }
}

/// Rows of a store, to show progress: a copy does not need them.
async fn counted(store: &mut dyn StoreAdmin) -> u64 {
    store.rows().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "rows could not be counted: progress is shown without them");
        0
    })
}

struct Copy<'a> {
    from: &'a mut dyn StoreAdmin,
    to: &'a mut dyn StoreAdmin,
    progress: watch::Sender<CopyProgress>,
    shutdown: watch::Receiver<bool>,
    rows: u64,
    done: u64,
    in_all: u64,
}

impl Copy<'_> {
    async fn run(&mut self) -> Result<CopySummary, CopyError> {
        let source = format!("copy:{}", self.from.name());
        let stored = self.to.copy_progress(&source).await?;
        let rows = counted(self.from).await;
        // each is written once, and read again on either side
        self.in_all = 3 * rows;
        if stored.0.is_empty() {
            self.refuse_rows().await?;
        } else {
            self.done = counted(self.to).await.min(rows);
        }
        for table in self.from.tables() {
            self.table(table, &source, stored.0.get(table.name)).await?;
        }
        let mut tables = Vec::new();
        for table in self.from.tables() {
            let copied = Copied {
                table: table.name,
                source: self.tally(table, true).await?,
                target: self.tally(table, false).await?,
            };
            if copied.source != copied.target {
                let Copied { table, source, target } = copied;
                return Err(CopyError::Differs { table, source_tally: source, target_tally: target });
            }
            tables.push(copied);
        }
        self.to.forget_copy(&source).await?;
        Ok(CopySummary {
            from: self.from.name().to_owned(),
            to: self.to.name().to_owned(),
            rows_written: self.rows,
            was_resumed: !stored.0.is_empty(),
            tables,
        })
    }

    /// A target with rows could have the same identities: a copy cannot decide which of two rows is right.
    async fn refuse_rows(&mut self) -> Result<(), CopyError> {
        for table in self.from.tables() {
            let page = self.to.export(table, None, 1_000).await?;
            if !page.is_empty() {
                let target = self.to.name().to_owned();
                return Err(CopyError::NotEmpty { target, table: table.name, rows: page.len() as u64 });
            }
        }
        Ok(())
    }

    async fn table(&mut self, table: &'static Table, source: &str, stored: Option<&String>) -> Result<(), CopyError> {
        if stored.is_some_and(|position| position == DONE) {
            return Ok(());
        }
        let mut after = stored.cloned().map(Cursor);
        loop {
            let page = self.from.export(table, after.as_ref(), PAGE_ROWS).await?;
            let rows = page.len() as u64;
            after = page.end();
            let position = after.as_ref().map_or(DONE.to_owned(), |cursor| cursor.0.clone());
            let reached = Positions(BTreeMap::from([(table.name.to_owned(), position)]));
            self.to.import(page, source, reached).await?;
            self.rows += rows;
            self.done += rows;
            self.tell(table, false)?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn tally(&mut self, table: &'static Table, of_source: bool) -> Result<Tally, CopyError> {
        let mut tally = Tally::default();
        let mut after = None;
        loop {
            let store: &mut dyn StoreAdmin = if of_source { self.from } else { self.to };
            let page = store.export(table, after.as_ref(), PAGE_ROWS).await?;
            tally.add(page.tally());
            self.done += page.len() as u64;
            self.tell(table, true)?;
            after = page.end();
            if after.is_none() {
                return Ok(tally);
            }
        }
    }

    /// Reports progress, and checks for a stop.
    fn tell(&self, table: &'static Table, is_verifying: bool) -> Result<(), CopyError> {
        let Copy { rows, done, in_all, .. } = *self;
        self.progress.send_replace(CopyProgress { table: table.name, rows, done, in_all, is_verifying });
        if *self.shutdown.borrow() {
            return Err(CopyError::Stopped { rows: self.rows });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::duckdb::{DuckDbConfig, DuckDbStore};
    use crate::error::FaultClass;
    use crate::transfer::Page;
    use crate::{Commit, StoreWriter};
    use async_trait::async_trait;
    use model::rows::Rows;
    use model::time::TimeMs;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A target that fails before or after it has written its `nth` page.
    struct Failing {
        inner: Box<dyn StoreAdmin>,
        pages_left: u32,
        after_writing: bool,
        closes: bool,
        counts: bool,
        is_closed: Arc<AtomicBool>,
    }

    fn lost(doing: &str) -> SinkError {
        SinkError {
            class: FaultClass::Retry,
            doing: doing.to_owned(),
            store: "test".to_owned(),
            hint: "connection lost".to_owned(),
            cause: None,
        }
    }

    fn failing(inner: Box<dyn StoreAdmin>, pages_left: u32) -> Failing {
        Failing { inner, pages_left, after_writing: false, closes: true, counts: true, is_closed: Arc::default() }
    }

    #[async_trait]
    impl StoreAdmin for Failing {
        fn name(&self) -> &str {
            self.inner.name()
        }
        fn tables(&self) -> Vec<&'static Table> {
            self.inner.tables()
        }
        async fn rows(&mut self) -> Result<u64, SinkError> {
            if self.counts { self.inner.rows().await } else { Err(lost("cannot count rows")) }
        }
        async fn export(
            &mut self,
            table: &'static Table,
            after: Option<&Cursor>,
            limit: usize,
        ) -> Result<Page, SinkError> {
            self.inner.export(table, after, limit).await
        }
        async fn import(&mut self, page: Page, source: &str, progress: Positions) -> Result<(), SinkError> {
            self.pages_left -= 1;
            let is_last = self.pages_left == 0;
            if !is_last || self.after_writing {
                self.inner.import(page, source, progress).await?;
            }
            if is_last { Err(lost("cannot write")) } else { Ok(()) }
        }
        async fn copy_progress(&mut self, source: &str) -> Result<Positions, SinkError> {
            self.inner.copy_progress(source).await
        }
        async fn forget_copy(&mut self, source: &str) -> Result<(), SinkError> {
            self.inner.forget_copy(source).await
        }
        async fn close(self: Box<Self>) -> Result<(), SinkError> {
            self.is_closed.store(true, Ordering::Relaxed);
            self.inner.close().await?;
            if self.closes { Ok(()) } else { Err(lost("cannot close")) }
        }
    }

    async fn opened(path: &Path) -> Box<dyn StoreAdmin> {
        Box::new(DuckDbStore::open(DuckDbConfig::at(path)).await.unwrap())
    }

    /// Four pages of events, so that there are whole ones before and after an interruption.
    const EVENTS: usize = 4 * PAGE_ROWS;

    async fn filled(path: &Path) {
        let mut store = DuckDbStore::open(DuckDbConfig::at(path)).await.unwrap();
        let event = |n: i64| fixtures::event("shop", &format!("e{n}"), TimeMs(1_700_000_000_000 + n % 1_000));
        let rows = Rows { events: (0..EVENTS as i64).map(event).collect(), ..Rows::default() };
        store.commit(&Commit { rows: rows.into(), ..Commit::default() }).await.unwrap();
    }

    async fn copied(from: &Path, to: Box<dyn StoreAdmin>) -> Result<CopySummary, CopyError> {
        let (_stop, shutdown) = watch::channel(false);
        copy(opened(from).await, to, watch::channel(CopyProgress::default()).0, shutdown).await
    }

    #[tokio::test]
    async fn an_interrupted_copy_resumes_and_writes_no_row_twice() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        filled(&from).await;
        for (pages_left, after_writing, pages_to_go) in [(1, false, 4), (3, false, 3), (3, true, 2)] {
            let to = folder.path().join(format!("to-{pages_left}-{after_writing}"));
            let failing = Failing { after_writing, ..failing(opened(&to).await, pages_left) };
            assert!(matches!(copied(&from, Box::new(failing)).await, Err(CopyError::Store(_))));
            let summary = copied(&from, opened(&to).await).await.unwrap();
            let events = summary.tables.iter().find(|copied| copied.table == "federated_events").unwrap();
            assert_eq!(events.target.rows, EVENTS as u64);
            let rows_to_go = (pages_to_go * PAGE_ROWS) as u64;
            assert_eq!((summary.rows_written, summary.was_resumed), (rows_to_go, pages_left > 1));
            assert!(matches!(copied(&from, opened(&to).await).await, Err(CopyError::NotEmpty { rows: 1_000, .. })));
        }
    }

    #[tokio::test]
    async fn progress_never_falls_and_ends_with_all_there_is_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        filled(&from).await;
        let (progress, mut seen) = watch::channel(CopyProgress::default());
        let (_stop, shutdown) = watch::channel(false);
        let (source, target) = (opened(&from).await, opened(&folder.path().join("to")).await);
        let copied = tokio::spawn(copy(source, target, progress, shutdown));
        let (mut last, mut steps) = (CopyProgress::default(), 0);
        while seen.changed().await.is_ok() {
            let now = seen.borrow_and_update().clone();
            assert!(now.done >= last.done && now.in_all == 3 * EVENTS as u64, "{now:?} after {last:?}");
            (last, steps) = (now, steps + 1);
        }
        copied.await.unwrap().unwrap();
        assert!(steps > 0 && last.is_verifying, "{last:?}");
        assert_eq!(last.done, last.in_all);
    }

    #[tokio::test]
    async fn stores_whose_rows_cannot_be_counted_are_copied_and_the_copy_resumes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        filled(&from).await;
        let mut results = Vec::new();
        let (progress, seen) = watch::channel(CopyProgress::default());
        for pages_left in [3, u32::MAX] {
            let source = Failing { counts: false, ..failing(opened(&from).await, u32::MAX) };
            let target = Failing { counts: false, ..failing(opened(&to).await, pages_left) };
            let (_stop, shutdown) = watch::channel(false);
            results.push(copy(Box::new(source), Box::new(target), progress.clone(), shutdown).await);
        }
        let [Err(CopyError::Store(interrupted)), Ok(summary)] = &results[..] else { panic!("{results:?}") };
        assert!(interrupted.to_string().contains("cannot write"), "{interrupted}");
        assert_eq!((summary.rows_written, summary.was_resumed), (3 * PAGE_ROWS as u64, true));
        let last = seen.borrow().clone();
        assert_eq!((last.done, last.in_all), ((3 * PAGE_ROWS + 2 * EVENTS) as u64, 0));
    }

    #[tokio::test]
    async fn a_copy_that_fails_says_why_and_closes_both_stores() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        filled(&from).await;
        let source = Failing { closes: false, ..failing(opened(&from).await, u32::MAX) };
        let target = failing(opened(&folder.path().join("to")).await, 1);
        let closed = [source.is_closed.clone(), target.is_closed.clone()];
        let (_stop, shutdown) = watch::channel(false);
        let progress = watch::channel(CopyProgress::default()).0;
        let error = copy(Box::new(source), Box::new(target), progress, shutdown).await.unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert!(closed.iter().all(|closed| closed.load(Ordering::Relaxed)));
    }
}
