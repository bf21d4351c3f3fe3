//! Compiles the `.proto` files with protox (no `protoc` needed) and keeps their descriptors for reflection and tests.

use prost::Message;
use std::error::Error;
use std::path::PathBuf;

const FILES: [&str; 4] = [
    "coral/reef/v1/federation.proto",
    "coral/reef/v1/llm.proto",
    "coral/colony/v1/ingest.proto",
    "coral/mesh/v1/mesh.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out_dir.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // ordered maps: the same message is always the same bytes
    tonic_prost_build::configure().btree_map(".").emit_rerun_if_changed(false).compile_fds(descriptors)?;
    Ok(())
}
