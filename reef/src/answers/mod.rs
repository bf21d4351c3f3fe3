//! Answers: a question about a reef, answered from its store alone, with what the answer is complete to.
//!
//! | file | owns |
//! |---|---|
//! | `fleet` | which colonies there are, and up to when each is known |
//! | `completeness` | what an answer is complete to, colony by colony |
//! | `names` | environments, applications and ids as people write them |
//! | `services` | services that a question names |
//! | `refusal` | why a question has no answer |
//! | `part` | parts of long lists |
//! | `page` | times and tables as text |
//! | `timeline` | deployments as the store has them |
//! | `derived_events` | derived events as the store has them |
//! | `deployments` | the list of deployments |
//! | `deployment` | one deployment, what followed it, and similar ones |
//! | `supports` | where else a version made the same metric worse |
//! | `incidents` | events that followed a deployment |
//! | `watch` | the metrics of a deployment's service, read and judged |
//! | `advice` | what could be done about a deployment |
//! | `gate` | whether a version may go to the next environment |
//! | `affected` | which neighbours a deployment or an event affects |
//! | `neighbours` | neighbours of a service by calls and by patterns |
//! | `compare` | the metrics of two environments side by side |
//! | `status` | whether the reef runs, its colonies, what was found last |
//! | `colonies` | the list of colonies |
//! | `health` | how colonies, environments and applications are |
//! | `versions` | which version runs where, and which are behind |
//! | `topology` | services and the calls between them |
//! | `correlations` | the list of patterns, and one pattern with its rows |
//! | `revisions` | what the reef held to be true of a pattern, since when, and why |
//! | `range` | which times a question is about |
//! | `events` | events of a range |
//! | `metrics` | series of a range |
//! | `series` | metric buckets read and summed by step |
//! | `predictions` | what is about to happen, and what became of earlier predictions |
//! | `expected` | a prediction in one sentence |
//! | `scores` | how good predictions were |
//! | `counts` | events of a range counted by colony, service and type |
//! | `vocabulary` | the names that a question in words may have |
//! | `ask` | all questions as one type |

mod advice;
pub mod affected;
pub mod ask;
pub mod colonies;
pub mod compare;
pub mod completeness;
pub mod correlations;
pub mod counts;
pub mod deployment;
pub mod deployments;
mod derived_events;
pub mod events;
pub mod expected;
pub mod fleet;
pub mod gate;
pub mod health;
mod incidents;
pub mod metrics;
pub(crate) mod names;
mod neighbours;
pub(crate) mod page;
pub mod part;
pub mod predictions;
pub mod range;
pub mod refusal;
pub mod revisions;
pub mod scores;
mod series;
mod services;
pub mod status;
mod supports;
mod timeline;
pub mod topology;
pub mod versions;
pub mod vocabulary;
mod watch;

#[cfg(test)]
pub(crate) mod tests;

pub use ask::{Answered, Question};
pub use completeness::Completeness;
pub use fleet::Scope;
pub use refusal::{AnswerError, Refusal};
pub use timeline::DeploymentLine;
