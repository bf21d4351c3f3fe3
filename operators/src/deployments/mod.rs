//! Deployments: events of the shapes that tools send, and versions seen in topologies, become rows of a timeline.
//!
//! | file | owns |
//! |---|---|
//! | `words` | which events are about a deployment, and what they say about it |
//! | `report` | what one event says |
//! | `group` | which reports are about the same deployment |
//! | `seen` | versions in the topology of a colony |
//! | `deployment` | a deployment as a row |
//! | `timeline` | the deployments of a service: the version before each, and what became of it |
//! | `state` | the operator: corrections in, corrections out |
//!
//! A report joins a deployment by version and time. Tools name a deployment each in its own way, so that a common name
//! joins two reports, while different names do not separate them.

pub mod deployment;
pub mod group;
pub mod report;
pub mod seen;
pub mod state;
pub mod timeline;
pub mod words;

#[cfg(test)]
mod tests;

pub use deployment::{Deployment, Kind, Status, TIMELINE};
pub use seen::Sighting;
pub use state::{Deployments, Input};
pub use timeline::Earlier;
