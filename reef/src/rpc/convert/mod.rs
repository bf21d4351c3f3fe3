//! Convert: answers of the library as messages. One file for each family of answers.
//!
//! | file | owns |
//! |---|---|
//! | `shared` | times, numbers, completeness, deployments, parts of lists |
//! | `analysis` | answers to questions in words |
//! | `fleet` | status, colonies, health, versions, topology |
//! | `compare` | two environments |
//! | `deployment` | deployments and their impact |
//! | `evidence` | rows that an answer rests on |
//! | `correlations` | patterns |
//! | `rows` | events and metrics of a range |
//! | `affected` | neighbours that something affects |
//! | `predictions` | what patterns expect, and how good they were at it |
//! | `promotion` | what is expected of a promotion |
//! | `sql` | the rows of a statement |

pub(super) mod affected;
pub(super) mod analysis;
pub(super) mod compare;
pub(super) mod correlations;
pub(super) mod deployment;
mod evidence;
pub(super) mod fleet;
pub(super) mod predictions;
pub(super) mod promotion;
pub(super) mod rows;
pub(super) mod shared;
pub(super) mod sql;
