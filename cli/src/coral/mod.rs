//! The commands of `coral`: one module per command group.

pub mod colony;
pub mod discovery;
pub mod reef;
