//! Rows of a span of time, page by page.

use crate::error::SinkError;
use crate::store::{Span, StoreReader};
use crate::stored::StoredRow;
use async_trait::async_trait;
use model::event::Event;
use model::metric::MetricPoint;
use std::sync::Arc;

/// A kind of row that a reader gives in pages.
#[async_trait]
pub trait Paged: Clone + Send + Sync + 'static {
    /// The rows of `span` strictly after `after`, at most `limit`.
    async fn page(
        reader: &dyn StoreReader,
        span: Span,
        after: Option<&Self>,
        limit: usize,
    ) -> Result<Vec<StoredRow<Self>>, SinkError>;
}

#[async_trait]
impl Paged for Event {
    async fn page(
        reader: &dyn StoreReader,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<StoredRow<Event>>, SinkError> {
        reader.events_in(span, after, limit).await
    }
}

#[async_trait]
impl Paged for MetricPoint {
    async fn page(
        reader: &dyn StoreReader,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError> {
        reader.metrics_in(span, after, limit).await
    }
}

/// The pages of a span; see [`pages`].
pub struct Pages<R> {
    reader: Arc<dyn StoreReader>,
    span: Span,
    page_rows: usize,
    /// The last row that was read.
    last: Option<R>,
    is_complete: bool,
}

/// Every row of `span`, in pages of at most `page_rows`, in the order of [`StoreReader::events_in`]. A row committed in
/// the meantime is included if it is after the current page.
pub fn pages<R: Paged>(reader: &Arc<dyn StoreReader>, span: Span, page_rows: usize) -> Pages<R> {
    Pages { reader: Arc::clone(reader), span, page_rows, last: None, is_complete: false }
}

impl<R: Paged> Pages<R> {
    /// The same from after `last` on.
    pub fn after(self, last: Option<R>) -> Pages<R> {
        Pages { last, ..self }
    }

    /// The next page; `None` at the end. After an error the same page can be read again.
    pub async fn next(&mut self) -> Result<Option<Vec<StoredRow<R>>>, SinkError> {
        if self.is_complete {
            return Ok(None);
        }
        let page = R::page(self.reader.as_ref(), self.span, self.last.as_ref(), self.page_rows).await?;
        match page.last() {
            Some(last) => self.last = Some(last.row.clone()),
            None => self.is_complete = true,
        }
        Ok((!self.is_complete).then_some(page))
    }
}
