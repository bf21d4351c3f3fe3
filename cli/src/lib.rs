//! The two programs, `coral-pipeline` and `coral`: flags in, pages and JSON out. The only place for printing and exit codes.
//!
//! | module | owns |
//! |---|---|
//! | `exit` | exit codes, and [`exit::Failure`]: what went wrong, why, what to do |
//! | `output` | results on stdout, messages on stderr, `--json`, colours |
//! | `entry` | from command line to exit code, the same way for both programs |
//! | `harmless` | text from outside that cannot act on the terminal |
//! | `help` | `help exit-codes` and other topics |
//! | `confirm` | commands that remove something ask first, or need `--yes` |
//! | `local` | times of a page in the zone of who reads it |
//! | `help_errors` | every code of an error, and what to do |
//! | `manual` | the help of every command as pages for `man` |
//! | `completions` | scripts that complete commands in a shell |
//! | `waiting` | a command that has nothing to print yet |
//! | `screen`, `text` | moving progress without torn lines; numbers and tables |
//! | `reef_file` | one more line in the text of a reef's file |
//! | `mesh_failure` | faults of the network as exit codes |
//! | `panics` | a panic anywhere ends the process |
//! | `sockets` | Unix sockets in folders with long names, open to their user alone |
//! | `signals` | SIGINT and SIGTERM as a watch channel |
//! | `coral_program`, `coral` | the command line of `coral`; its commands |
//! | `pipeline` | the commands of `coral-pipeline` |

pub mod completions;
pub mod confirm;
pub mod coral;
pub mod coral_program;
pub mod entry;
pub mod exit;
pub mod harmless;
pub mod help;
pub mod help_errors;
pub mod local;
pub mod manual;
pub mod mesh_failure;
pub mod output;
pub mod panics;
pub mod pipeline;
pub mod reef_file;
pub mod screen;
pub mod signals;
pub mod sockets;
pub mod text;
pub mod waiting;

#[cfg(test)]
mod tests;
