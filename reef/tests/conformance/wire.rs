//! Wire: the suite's messages and service, and how the runner talks to a server under test.
#![allow(missing_docs, unused, unexpected_cfgs, clippy::all, clippy::unwrap_used, clippy::disallowed_methods)]
#![allow(rustdoc::all)]

use buffa::Message;
use std::io::{self, Read, Write};

mod generated {
    // its package is named like the library
    ::connectrpc::include_generated!("_conformance.rs");
}

pub use generated::connectrpc::conformance::v1::*;

/// Reads a message with its length before it.
pub fn read<M: Message + Default>(from: &mut impl Read) -> io::Result<M> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut bytes)?;
    M::decode_from_slice(&bytes).map_err(io::Error::other)
}

/// Writes a message with its length before it.
pub fn write(to: &mut impl Write, message: &impl Message) -> io::Result<()> {
    let bytes = message.encode_to_vec();
    to.write_all(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes())?;
    to.write_all(&bytes)?;
    to.flush()
}
