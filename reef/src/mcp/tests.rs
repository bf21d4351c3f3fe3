//! The tools by real calls, through the library's own client and over HTTP.
#![allow(clippy::unwrap_used)]

mod calls;
mod client;
mod cursors;
mod faces;
mod fixtures;
mod limits;
mod protocol;
mod route;
mod suite;
mod waiting;
