//! Open: what the configuration names, opened: stores, sources, and the operators' parameters.
//!
//! | file | owns |
//! |---|---|
//! | `store` | the configured store: to write, to read, or to copy |
//! | `address` | a store named on a command line |
//! | `inputs` | the sources, each from where it was committed |
//! | `params` | the operators' parameters |
//! | `retention` | how long rows are kept |

pub mod address;
pub mod inputs;
pub mod params;
pub mod retention;
pub mod store;
