//! What a page is asked for: the store, the query, and the parts of it that pages share.

use super::Dashboard;
use super::query::Query;
use super::shown::quoted;
use crate::access::Role;
use crate::analysis::journal::Record;
use crate::answers::fleet::{Filter, Fleet};
use crate::answers::part::{Listed, Part};
use crate::answers::range::{Range, RangeQuestion};
use crate::answers::{AnswerError, Answered, Question, Scope};
use model::time::{DAY_MS, HOUR_MS, TimeMs};
use sinks::StoreReader;
use std::sync::Arc;

/// Ranges that the picker offers: value, length in milliseconds, words.
pub const RANGES: [(&str, i64, &str); 5] = [
    ("1h", HOUR_MS, "last hour"),
    ("6h", 6 * HOUR_MS, "last 6 hours"),
    ("24h", DAY_MS, "last 24 hours"),
    ("7d", 7 * DAY_MS, "last 7 days"),
    ("30d", 30 * DAY_MS, "last 30 days"),
];
/// Fields that go along from page to page.
pub const SHARED: [&str; 3] = ["env", "app", "range"];

/// A request for a page.
pub struct Asked {
    /// The page's address without its query.
    pub path: String,
    /// The rest of it.
    pub query: Query,
    /// Reads the store.
    pub reader: Arc<dyn StoreReader>,
    /// What the caller may do.
    pub role: Role,
    /// The colonies, as of the begin of the request.
    pub fleet: Fleet,
    /// What the services have in common.
    pub dashboard: Arc<Dashboard>,
}

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A question that it asks has no answer.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// There is no such page.
    #[error("there is no such page")]
    NoPage,
    /// The store cannot be read now.
    #[error("{why}")]
    Closed {
        /// In words.
        why: &'static str,
    },
}

impl Asked {
    /// The reef.
    pub fn scope(&self) -> &Scope {
        &self.dashboard.scope
    }

    /// Answers a question as the command line does.
    pub async fn answer(&self, question: Question) -> Result<Answered, AnswerError> {
        question.answer(self.reader.as_ref(), self.scope()).await
    }

    /// The questions in words that were recorded, the newest first; one with its texts.
    pub async fn recorded(&self, analysis_id: Option<&str>, part: &Part) -> Result<Listed<Record>, AnswerError> {
        self.dashboard.analyst.listed(self.reader.as_ref(), analysis_id, part).await
    }

    /// Environment and application that were picked.
    pub fn filter(&self) -> Filter {
        let colonies = self.query.text("colony").into_iter().collect();
        let (environment, application) = (self.query.text("env"), self.query.text("app"));
        Filter { colonies, environment, application, service: self.query.text("service"), ..Filter::default() }
    }

    /// The range that was picked; `usual` is the value without a choice.
    pub fn range(&self, usual: &str) -> RangeQuestion {
        let time = |name: &str| self.query.get(name).and_then(TimeMs::parse_rfc3339);
        let picked = self.range_name(usual);
        let window_ms = RANGES.iter().find(|(name, ..)| *name == picked).map(|(_, ms, _)| *ms);
        RangeQuestion { from: time("from"), to: time("to"), window_ms, ..RangeQuestion::default() }
    }

    /// The name of the range that was picked.
    pub fn range_name(&self, usual: &str) -> String {
        let given = self.query.get("range").filter(|given| RANGES.iter().any(|(name, ..)| name == given));
        given.unwrap_or(usual).to_owned()
    }

    /// The times of the range; `None` where nothing has been received.
    pub fn times(&self, usual: &str) -> Result<Option<Range>, Problem> {
        self.range(usual).resolved(&self.fleet).map_err(|refusal| Problem::Answer(refusal.into()))
    }

    /// The address of another page with what pages share.
    pub fn link(&self, path: &str) -> String {
        self.query.only(&SHARED).address(path)
    }

    /// The address of this page with another value of a field. A list begins at its first part again, and a range by name
    /// replaces exact times.
    pub fn here_with(&self, name: &str, value: &str) -> String {
        let dropped: &[&str] = if name == "range" { &["cursor", "from", "to"] } else { &["cursor"] };
        self.query.without(dropped).with(name, value).address(&self.path)
    }

    /// The address of this page without some fields.
    pub fn here_without(&self, names: &[&str]) -> String {
        self.query.without(names).without(&["cursor"]).address(&self.path)
    }

    /// The exact times of the address, if it has any: RFC 3339.
    pub fn exact(&self) -> Option<(Option<String>, Option<String>)> {
        let time = |name: &str| self.query.get(name).and_then(TimeMs::parse_rfc3339).map(|time| time.to_string());
        let (from, to) = (time("from"), time("to"));
        (from.is_some() || to.is_some()).then_some((from, to))
    }

    /// `coral reef WORDS --reef ID`: the same in a terminal.
    pub fn command(&self, words: &str) -> String {
        let reef = &self.scope().reef_id;
        if reef.is_empty() { format!("coral reef {words}") } else { format!("coral reef {words} --reef {reef}") }
    }

    /// The same with the filters of this page.
    pub fn filtered_command(&self, words: &str) -> String {
        let flags = [("env", "environment"), ("app", "app"), ("service", "service"), ("colony", "colony")];
        let flag = |(field, flag): (&str, &str)| Some(format!(" --{flag} {}", quoted(self.query.get(field)?)));
        let flags: String = flags.into_iter().filter_map(flag).collect();
        self.command(&format!("{words}{flags}"))
    }
}
