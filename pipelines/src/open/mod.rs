//! Open: opens the configured stores and sources, and builds the operators' parameters.
//!
//! | file | owns |
//! |---|---|
//! | `store` | the configured store: to write, to read, or to copy |
//! | `address` | a store named on a command line |
//! | `inputs` | the sources, each at its committed position |
//! | `live` | the colonies, asked outside a run's sources |
//! | `network` | how the colonies are reached |
//! | `params` | the operators' parameters |
//! | `retention` | how long rows are kept |

pub mod address;
pub mod inputs;
pub mod live;
pub mod network;
pub mod params;
pub mod retention;
pub mod store;
