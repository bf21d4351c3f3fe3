//! Which crate may name which heavy library. A library that one crate names can be replaced in that crate.

use super::manifests;
use super::tree::{Violations, rust_files};

/// A family of libraries, the crates that may name it, and the folders inside a crate where that is narrower.
struct Fence {
    /// The name itself, or the name with `-…` behind it.
    library: &'static str,
    crates: &'static [&'static str],
    folders: &'static [&'static str],
}

const FENCES: &[Fence] = &[
    Fence { library: "timely", crates: &["operators", "pipelines"], folders: &[] },
    Fence { library: "differential", crates: &["operators", "pipelines"], folders: &[] },
    Fence { library: "duckdb", crates: &["sinks", "colony"], folders: &[] },
    Fence { library: "libduckdb", crates: &[], folders: &[] },
    Fence { library: "clickhouse", crates: &["sinks"], folders: &["sinks/src/clickhouse"] },
    Fence { library: "rdkafka", crates: &["sources"], folders: &["sources/src/kafka"] },
    // also arrow-flight; in reef what the other folders see of it are the batches of datafusion
    Fence {
        library: "arrow",
        crates: &["sources", "sinks", "colony", "reef"],
        folders: &["sources/", "sinks/", "colony/", "reef/src/flight"],
    },
    Fence { library: "parquet", crates: &["sources", "sinks", "colony", "reef"], folders: &[] },
    Fence { library: "datafusion", crates: &["reef"], folders: &["reef/src/sql"] },
    Fence { library: "boringtun", crates: &["mesh"], folders: &["mesh/src/noise.rs"] },
    Fence { library: "smoltcp", crates: &["mesh"], folders: &["mesh/src/netstack.rs"] },
    Fence { library: "quinn", crates: &["mesh"], folders: &["mesh/src/udp.rs"] },
    Fence { library: "tonic", crates: &["proto", "mesh", "sources", "colony", "reef", "cli"], folders: &[] },
    Fence {
        library: "connectrpc",
        crates: &["reef"],
        folders: &["reef/src/rpc", "reef/tests/conformance", "reef/build.rs"],
    },
    Fence { library: "buffa", crates: &["reef"], folders: &["reef/src/rpc", "reef/tests/conformance"] },
    Fence { library: "rmcp", crates: &["reef"], folders: &["reef/src/mcp"] },
    Fence { library: "maud", crates: &["reef"], folders: &["reef/src/dashboard"] },
    Fence { library: "genai", crates: &["reef"], folders: &["reef/src/analysis/providers/prices.rs"] },
    Fence {
        library: "hyper",
        crates: &["mesh", "sinks", "reef"],
        folders: &[
            "mesh/src/discovery",
            "mesh/src/link",
            "mesh/src/memory.rs",
            "sinks/src/clickhouse",
            "reef/src/analysis/providers/http.rs",
            "reef/src/listener.rs",
        ],
    },
    Fence { library: "prometheus", crates: &["model"], folders: &["model/src/instruments.rs"] },
    Fence { library: "anyhow", crates: &["cli", "xtask"], folders: &[] },
];

impl Fence {
    fn covers(&self, package: &str) -> bool {
        package.strip_prefix(self.library).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    }

    /// True when the line names the library as the first part of a path. `sinks::duckdb::…` is our own module.
    fn is_named_in(&self, line: &str) -> bool {
        let code = line.split("//").next().unwrap_or_default();
        code.match_indices(self.library).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = code[at + self.library.len()..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            let is_root = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '"'));
            is_root && (after.starts_with("::") || code.trim_start().starts_with("use ") && after.starts_with(';'))
        })
    }
}

/// Tests may read real data with what they like: nothing that is built on the crate sees their libraries.
#[test]
fn heavy_libraries_are_dependencies_of_their_crates_only() {
    let mut violations = Violations::default();
    for manifest in manifests::members() {
        for dependency in manifest.dependencies().into_iter().filter(|it| !it.is_for_tests) {
            let fence = FENCES.iter().find(|fence| fence.covers(&dependency.package));
            if let Some(fence) = fence.filter(|fence| !fence.crates.contains(&manifest.folder.as_str())) {
                let what = format!("`{}` may be used by {:?} only", dependency.package, fence.crates);
                violations.push(&manifest.path, dependency.line, what);
            }
        }
    }
    violations
        .assert_none("Ask the crate that owns the library for what you need; tests/tidy/libraries.rs has the table.");
}

/// Cargo refuses a path to a library that the manifest does not name, unless another crate hands it on.
#[test]
fn no_crate_hands_on_a_heavy_library() {
    let mut violations = Violations::default();
    for file in rust_files() {
        for (number, line) in file.lines() {
            let handed_on =
                line.trim_start().strip_prefix("pub use ").or(line.trim_start().strip_prefix("pub extern crate "));
            if handed_on.is_some_and(|rest| {
                FENCES.iter().any(|fence| fence.covers(rest.split([':', ';', ' ']).next().unwrap_or_default()))
            }) {
                violations.push(&file.path, number, line.trim());
            }
        }
    }
    violations.assert_none("Give it a type or a function of this crate's own instead of a re-export.");
}

#[test]
fn libraries_with_one_folder_are_named_there_only() {
    let mut violations = Violations::default();
    for file in rust_files() {
        for fence in FENCES.iter().filter(|fence| fence.crates.contains(&file.folder()) && !fence.folders.is_empty()) {
            if fence.folders.iter().any(|folder| file.path.starts_with(folder)) {
                continue;
            }
            for (number, line) in file.lines().filter(|(_, line)| fence.is_named_in(line)) {
                violations.push(&file.path, number, line.trim());
            }
        }
    }
    violations.assert_none("Move this behind the interface of the folder that tests/tidy/libraries.rs names.");
}

#[test]
fn a_library_is_distinguished_from_a_module_of_the_same_name() {
    let fence = Fence { library: "rdkafka", crates: &[], folders: &[] };
    assert!(fence.covers("rdkafka") && fence.covers("rdkafka-sys") && !fence.covers("rdkafkaesque"));
    for named in
        ["use rdkafka::Message;", "let m: rdkafka_sys::T = f();", "    pub client: rdkafka::Client,", "use rdkafka;"]
    {
        assert!(fence.is_named_in(named), "{named}");
    }
    for other in [
        "use sources::rdkafka::Source;",
        "// rdkafka::Message",
        "mod rdkafka;",
        "let my_rdkafka = 1;",
        "\"rdkafka::x\"",
    ] {
        assert!(!fence.is_named_in(other), "{other}");
    }
}
