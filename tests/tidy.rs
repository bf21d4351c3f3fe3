//! Keeps the rules of ARCHITECTURE.md and STYLE.md that a compiler does not know. One file, one kind of rule.

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
