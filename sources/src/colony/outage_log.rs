//! What the sources of one colony have logged of its outage, so that each reason is logged once and not once per
//! source.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Most reasons of one outage that are logged.
const REASONS_MAX: usize = 8;

/// Shared by the sources of one colony.
#[derive(Clone, Debug, Default)]
pub struct OutageLog(Arc<Mutex<BTreeSet<String>>>);

impl OutageLog {
    /// Notes a reason why the colony cannot be reached; says whether it is a new one of this outage.
    pub(crate) fn is_news(&self, reason: &str) -> bool {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.len() < REASONS_MAX && reasons.insert(reason.to_owned())
    }

    /// Ends the outage; returns whether its end has not been logged yet.
    pub(crate) fn is_over(&self) -> bool {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !std::mem::take(&mut *reasons).is_empty()
    }
}

/// What has been logged is not part of a configuration.
impl PartialEq for OutageLog {
    fn eq(&self, _: &OutageLog) -> bool {
        true
    }
}

impl Eq for OutageLog {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once_an_outage_whoever_meets_it() {
        let summaries = OutageLog::default();
        let events = summaries.clone();
        assert!(summaries.is_news("refused"));
        assert!(!events.is_news("refused"), "the other source of the same colony has logged it");
        assert!(events.is_news("no answer within 60 s"));
        assert!(summaries.is_over() && !events.is_over(), "one of them logs that it is over");
        assert!(events.is_news("refused"), "the next outage is news again");
        assert!(OutageLog::default().is_news("refused"), "another colony is another outage");
        let flood = (0..100).filter(|number| summaries.is_news(&number.to_string())).count();
        assert!(flood < REASONS_MAX, "reasons that change with each retry are not logged indefinitely: {flood}");
    }
}
