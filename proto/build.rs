//! Compiles the `.proto` files with protox (no `protoc` needed) and keeps their descriptors for reflection and tests.

use prost::Message;
use std::error::Error;
use std::path::PathBuf;

/// Served by colonies. What a reef serves is compiled in `reef`.
const COLONY: [&str; 3] =
    ["coral/reef/v1/federation.proto", "coral/colony/v1/ingest.proto", "coral/mesh/v1/mesh.proto"];
/// All of the wire; its descriptors are pinned by a test.
const ALL: [&str; 6] = [
    "coral/reef/v1/federation.proto",
    "coral/reef/v1/answers.proto",
    "coral/reef/v1/llm.proto",
    "coral/reef/v1/reef.proto",
    "coral/colony/v1/ingest.proto",
    "coral/mesh/v1/mesh.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in ALL {
        println!("cargo::rerun-if-changed={file}");
    }
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out_dir.join("all.bin"), protox::compile(ALL, ["."])?.encode_to_vec())?;
    let descriptors = protox::compile(COLONY, ["."])?;
    std::fs::write(out_dir.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // ordered maps: the same message is always the same bytes
    tonic_prost_build::configure().btree_map(".").emit_rerun_if_changed(false).compile_fds(descriptors)?;
    Ok(())
}
