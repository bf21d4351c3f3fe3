//! The commands of `coral`: one module per command group.

pub mod colony;
