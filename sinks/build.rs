//! Copies the prebuilt DuckDB library beside the programs and tests of this build, where their rpath expects it.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    if std::env::var_os("CARGO_FEATURE_BUNDLED").is_some() {
        return;
    }
    let Some(library_dir) = std::env::var_os("DUCKDB_LIB_DIR").map(PathBuf::from) else { return };
    let library = library_dir.join("libduckdb.so");
    if !library.exists() {
        println!("cargo:warning={} is missing: run `cargo xtask setup` once, then build again", library.display());
        return;
    }
    println!("cargo:rerun-if-changed={}", library.display());
    // OUT_DIR is <target>/<profile>/build/<package>/out
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    if let Some(profile_dir) = out_dir.ancestors().nth(3) {
        link_beside(&library, &profile_dir.join("libduckdb.so"));
    }
}

/// A symbolic link, replaced when it points elsewhere (another checkout may share the target directory).
fn link_beside(library: &Path, link: &Path) {
    let library = library.canonicalize().unwrap_or_else(|_| library.to_path_buf());
    let _ = std::fs::remove_file(link);
    if let Err(error) = std::os::unix::fs::symlink(&library, link) {
        println!("cargo:warning=cannot link {} to {}: {error}", link.display(), library.display());
    }
}
