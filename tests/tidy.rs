//! Checks the rules of ARCHITECTURE.md and STYLE.md that a compiler cannot check. One file per kind of rule.

mod circles;
mod clocks;
mod documents;
mod edges;
mod files;
mod libraries;
mod machine;
mod manifests;
mod markers;
mod sql;
mod tables;
mod tree;
mod versions;
mod words;
