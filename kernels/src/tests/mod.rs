//! Tests of the crate as a whole: generated histories, all paths of this machine, and slow answers from the definition.

mod drift;
mod histories;
mod paths;
mod screening;
