//! Wire: messages and services of `coral.reef.v1` as they are generated from `proto/coral/reef/v1`, and the table of their
//! fields.
#![allow(missing_docs, unused, unexpected_cfgs, clippy::all, clippy::unwrap_used, clippy::disallowed_methods)]
#![allow(rustdoc::all)]

connectrpc::include_generated!();

pub(super) use coral::reef::v1::*;

/// The encoded descriptors of these files and of what they import, for reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/reef.bin"));
