//! Analysis: a question in words, answered from what the engine found. A model may word the answer; it adds no number.
//!
//! | file | owns |
//! |---|---|
//! | `question` | what is asked, and by whom |
//! | `words` | a question as words, and known names among them |
//! | `times` | times as people say them |
//! | `calendar` | names of days, months and zones |
//! | `plan` | what a question is about: colonies, time, metric, deployment, topics |
//! | `evidence` | one thing found: values, the statement that gives them again, what may be said of it |
//! | `findings/` | what is found for a plan, ranked, cut to a token budget |
//! | `template` | the answer in words without a model |
//! | `actions` | what could be done: commands, none of which a reef runs |
//! | `answer` | the answer: text, evidence, actions, what it is complete to |
//! | `check/` | whether what a model writes follows from the evidence that it cites |
//! | `providers/` | language models over their wire protocols |
//! | `prompt` | what a model is sent, and its reply read |
//! | `mask` | pseudonyms for what may not leave |
//! | `wording` | the answer as a model words it |
//! | `limits` | how much may be asked |
//! | `counted` | instruments: analyses, tokens, cost |
//! | `recorded` | evidence as it is recorded with an answer |
//! | `journal` | who asked what, what it cost, what was sent and answered |
//! | `tail` | what of the journal the table may lack |
//! | `analyst` | who answers the callers of a reef |
//!
//! The same question on the same data gives the same evidence: the plan and the findings depend on the store alone.

mod actions;
mod analyst;
mod answer;
mod calendar;
pub mod check;
mod counted;
mod evidence;
mod findings;
pub mod journal;
mod limits;
mod mask;
mod plan;
mod prompt;
pub mod providers;
mod question;
mod recorded;
mod tail;
mod template;
mod times;
mod wording;
mod words;

#[cfg(test)]
pub(crate) mod tests;

pub use actions::Action;
pub use analyst::{Admitted, AnalysisError, Analyst, Asked, Model, Piece, Pieces};
pub use answer::{Analysis, Metadata};
pub use evidence::{Claim, Evidence, Fact, Kind, Quantity};
pub use findings::{Found, find};
pub use limits::Most;
pub use plan::{Plan, Topic};
pub use question::AnalyzeQuestion;
pub use recorded::RecordedEvidence;
pub use template::worded;
pub use wording::Privacy;
