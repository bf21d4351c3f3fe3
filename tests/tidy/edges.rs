//! Which crate may depend on which. A wide graph builds in parallel, and each crate knows only what its work needs.

use super::manifests;
use super::tree::Violations;

/// The allowed edges; the table in ARCHITECTURE.md says the same. `cli` puts everything together, `xtask` must build
/// before all else.
pub const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("migrations", &[]),
    ("kernels", &[]),
    ("fixtures", &["model"]),
    ("proto", &["model"]),
    ("mesh", &["model", "proto"]),
    ("operators", &["model", "kernels"]),
    ("sources", &["model", "proto", "mesh"]),
    ("sinks", &["model", "migrations"]),
    ("pipelines", &["model", "operators", "mesh", "sources", "sinks"]),
    ("reef", &["model", "mesh", "pipelines", "sinks"]),
    ("colony", &["model", "proto", "mesh", "sources"]),
    ("cli", &["model", "proto", "operators", "sources", "sinks", "pipelines", "migrations", "mesh", "colony", "reef"]),
    ("xtask", &[]),
];

/// Rows for tests: any crate's tests may use it, and nothing else may.
const FOR_TESTS: &str = "fixtures";
/// Edges of single crates' tests: answers are evaluated on recordings and generated fleets.
const ALLOWED_FOR_TESTS: &[(&str, &str)] = &[("reef", "sources")];

#[test]
fn crates_depend_only_on_the_crates_below_them() {
    let mut violations = Violations::default();
    for manifest in manifests::members() {
        let Some((_, allowed)) = ALLOWED.iter().find(|(folder, _)| *folder == manifest.folder) else {
            violations.push(&manifest.path, 1, format!("`{}` is not in the table", manifest.folder));
            continue;
        };
        for dependency in manifest.dependencies() {
            let is_allowed = |member: &String| match member.as_str() {
                FOR_TESTS => dependency.is_for_tests,
                other => {
                    let edge = (manifest.folder.as_str(), other);
                    allowed.contains(&other) || (dependency.is_for_tests && ALLOWED_FOR_TESTS.contains(&edge))
                }
            };
            if let Some(member) = dependency.member.as_ref().filter(|member| !is_allowed(member)) {
                violations.push(&manifest.path, dependency.line, format!("{} -> {member}", manifest.folder));
            }
        }
    }
    violations.assert_none(
        "Move the code to the crate that may know both, or hand the value in from above. A new edge is a decision: \
         it goes into tests/tidy/edges.rs and ARCHITECTURE.md together.",
    );
}

#[test]
fn the_table_knows_edges_that_are_really_there() {
    let pipelines = manifests::members().into_iter().find(|manifest| manifest.folder == "pipelines").unwrap();
    let members: Vec<String> = pipelines.dependencies().into_iter().filter_map(|it| it.member).collect();
    assert!(members.contains(&"operators".to_string()), "edges are not read: pipelines has {members:?}");
}
