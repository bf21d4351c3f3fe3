//! The life of a reef's process: started in the foreground or background, stopped, given a new configuration.
//!
//! | file | owns |
//! |---|---|
//! | `start` | `start`: the command, in the foreground |
//! | `daemon` | the same in the background, until it is ready |
//! | `opening` | what is shown while a reef starts |
//! | `engine` | the run in this process, again with each new configuration |
//! | `present` | the run as its control socket shows it |
//! | `door` | the control socket |
//! | `reread` | a configuration read again, and compared |
//! | `stop` | `stop`: drain and end |
//! | `reload` | `reload`: read the configuration again |

mod daemon;
mod door;
mod engine;
mod opening;
mod present;
pub mod reload;
mod reread;
pub mod start;
pub mod stop;
