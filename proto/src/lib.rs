//! The wire: generated messages, clients and servers of `proto/coral/**`, and their conversion to and from the model.
//!
//! | file | owns |
//! |---|---|
//! | `coral/reef/v1/federation.proto` | colony to reef: summaries, event stream, metrics, topology |
//! | `coral/reef/v1/answers.proto` | what answers of a reef have in common; compiled in `reef` |
//! | `coral/reef/v1/reef.proto` | reef to its users: what is stored; compiled in `reef` |
//! | `coral/reef/v1/llm.proto` | reef to its users: analysis; compiled in `reef` |
//! | `coral/colony/v1/ingest.proto` | agent to colony: what is recorded |
//! | `coral/mesh/v1/mesh.proto` | reef to colony: registration as a peer of its mesh |
//! | `src/convert.rs` | wire values to model values and back; wire types stop here |

pub mod convert;

/// `coral.reef.v1`: responses of colonies to a reef.
pub mod reef {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::unwrap_used)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/coral.reef.v1.rs"));
    }
}

/// `coral.colony.v1`: how agents write into a running colony.
pub mod colony {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::unwrap_used)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/coral.colony.v1.rs"));
    }
}

/// `coral.mesh.v1`: how a reef becomes a peer of a colony's mesh.
pub mod mesh {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::unwrap_used)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/coral.mesh.v1.rs"));
    }
}

/// The encoded `FileDescriptorSet` of what colonies serve, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[cfg(test)]
mod tests;
