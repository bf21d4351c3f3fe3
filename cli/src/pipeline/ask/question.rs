//! Queries of a store, and their answers: a document for programs and a page for people.

use reef::{Report, Rules, Shown, text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sinks::{SinkError, StoreReader};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// The patterns.
    Report {
        /// Explained and weaker candidates too.
        all: bool,
    },
    /// One pattern and the rows behind it.
    Show {
        /// Its id, or the beginning of it.
        id: String,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The query.
    Found {
        /// For programs.
        document: Value,
        /// For people.
        page: String,
    },
    /// No pattern has this id, or several begin like it.
    Unclear {
        /// The ids that begin like it.
        ids: Vec<String>,
    },
    /// The store did not respond.
    Failed {
        /// Why.
        message: String,
    },
}

/// Maximum number of candidates listed without --all.
const CANDIDATES_MAX: usize = reef::report::CANDIDATES_SHOWN_MAX;

impl Question {
    /// Reads the answer from a store.
    pub async fn answer(&self, reader: &dyn StoreReader, store_name: &str, rules: Rules) -> Result<Answer, SinkError> {
        match self {
            Question::Report { all } => {
                let most = if *all { usize::MAX } else { CANDIDATES_MAX };
                let report = Report::read(reader, store_name, most).await?.with_rules(rules);
                let page = if *all { text::full_report(&report) } else { text::report(&report) };
                Ok(Answer::Found { document: json!({ "report": report }), page })
            }
            Question::Show { id } => Ok(match Shown::read(reader, id).await? {
                Shown::Pattern(traced) => Answer::Found { document: json!(traced), page: text::traced(&traced) },
                Shown::Several(ids) => Answer::Unclear { ids },
            }),
        }
    }
}
