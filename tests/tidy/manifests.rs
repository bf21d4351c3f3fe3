//! What the Cargo.toml files say, and the rules on how they say it.

use super::tree::{Violations, root, rust_files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The Cargo.toml of one member of the workspace.
pub struct Manifest {
    /// Its folder, which is also the short name of the crate.
    pub folder: String,
    /// Its path relative to the checkout.
    pub path: String,
    text: String,
    table: toml::Table,
}

/// One dependency as a manifest names it.
pub struct Dependency {
    /// The name of the crate as it is published, or as its own manifest has it.
    pub package: String,
    /// The folder, when it is a member of this workspace.
    pub member: Option<String>,
    /// Whether only the crate's tests use it.
    pub is_for_tests: bool,
    /// The line of the manifest that names it.
    pub line: usize,
}

const KINDS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// The workspace's own Cargo.toml.
pub fn workspace() -> toml::Table {
    fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap()
}

/// The manifests of all members, without the root package, which only holds tests and benches.
pub fn members() -> Vec<Manifest> {
    let workspace = workspace();
    let folders = workspace["workspace"]["members"].as_array().unwrap();
    folders.iter().map(|folder| Manifest::read(folder.as_str().unwrap())).collect()
}

impl Manifest {
    fn read(folder: &str) -> Manifest {
        let path = format!("{folder}/Cargo.toml");
        let text = fs::read_to_string(root().join(&path)).unwrap();
        Manifest { folder: folder.to_string(), path, table: text.parse().unwrap(), text }
    }

    /// All dependencies: normal, for tests, for build scripts, and of single platforms.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let shared = workspace()["workspace"]["dependencies"].as_table().unwrap().clone();
        let mut tables = vec![&self.table];
        if let Some(targets) = self.table.get("target").and_then(|targets| targets.as_table()) {
            tables.extend(targets.values().filter_map(|target| target.as_table()));
        }
        let mut dependencies = Vec::new();
        for kind in KINDS {
            for section in tables.iter().filter_map(|table| table.get(*kind)?.as_table()) {
                dependencies.extend(section.iter().map(|(key, value)| self.dependency(kind, key, value, &shared)));
            }
        }
        dependencies
    }

    fn dependency(&self, kind: &str, key: &str, value: &toml::Value, shared: &toml::Table) -> Dependency {
        let is_shared = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        let spec = if is_shared { shared.get(key).unwrap_or(value) } else { value };
        let text_of = |field: &str| spec.get(field).and_then(toml::Value::as_str).map(str::to_string);
        let starts =
            |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', '=', '.']));
        Dependency {
            package: text_of("package").unwrap_or_else(|| key.to_string()),
            member: text_of("path").and_then(|path| path.rsplit('/').next().map(str::to_string)),
            is_for_tests: kind == "dev-dependencies",
            line: self.text.lines().position(starts).map_or(1, |index| index + 1),
        }
    }
}

/// The only crate with `unsafe` vector instructions. It has its own table: `deny`, so that a file can allow it.
const WITH_UNSAFE: &str = "kernels";

#[test]
fn every_crate_takes_the_workspace_lints() {
    let mut violations = Violations::default();
    for manifest in members().into_iter().filter(|manifest| manifest.folder != WITH_UNSAFE) {
        let lints = manifest.table.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        if lints != Some(true) {
            violations.push(&manifest.path, 1, "no `[lints] workspace = true`");
        }
    }
    violations.assert_none("Add the two lines, so that `unsafe_code = \"forbid\"` and the others hold there too.");
}

#[test]
fn the_crate_with_unsafe_takes_all_other_lints_and_argues_for_each_block() {
    let mut wanted = workspace()["workspace"]["lints"].as_table().unwrap().clone();
    for (tool, lint) in
        [("rust", "unsafe_code"), ("rust", "unsafe_op_in_unsafe_fn"), ("clippy", "undocumented_unsafe_blocks")]
    {
        wanted[tool].as_table_mut().unwrap().insert(lint.into(), "deny".into());
    }
    assert_eq!(Manifest::read(WITH_UNSAFE).table["lints"].as_table(), Some(&wanted), "the lints of {WITH_UNSAFE}");
}

/// Cargo would start the compiler for each library, to find out that it has no examples.
#[test]
fn examples_are_run_where_there_are_some() {
    let files = rust_files();
    let is_example = |line: &str| line.trim_start().strip_prefix("//").is_some_and(|it| it.contains(" ```"));
    let mut violations = Violations::default();
    for manifest in members() {
        let is_run = manifest.table.get("lib").and_then(|lib| lib.get("doctest")) != Some(&toml::Value::Boolean(false));
        let sources = format!("{}/src/", manifest.folder);
        let own = || files.iter().filter(|file| file.path.starts_with(&sources));
        let is_library = own().any(|file| file.path.ends_with("/src/lib.rs"));
        if is_library && is_run != own().any(|file| file.lines().any(|(_, line)| is_example(line))) {
            violations.push(&manifest.path, 1, format!("it runs examples: {is_run}, which is not what it has"));
        }
    }
    violations.assert_none("Say `doctest = false` in [lib] of exactly those libraries that have no examples.");
}

/// The checks choose test programs by name: one that they do not name would never run.
#[test]
fn every_test_program_is_run_by_the_checks() {
    const CHECKS: &str = "xtask/src/test_run.rs";
    let chosen = fs::read_to_string(root().join(CHECKS)).unwrap();
    let files = rust_files();
    let mut programs = named_programs(&workspace());
    for manifest in members() {
        programs.extend(named_programs(&manifest.table));
        for file in &files {
            let Some(path) = file.path.strip_prefix(&format!("{}/", manifest.folder)) else { continue };
            programs.extend(found_program(path, &manifest.folder));
        }
    }
    let mut violations = Violations::default();
    for (flag, name) in &programs {
        if !chosen.contains(&format!("\"{flag}\", \"{name}\"")) {
            violations.push(CHECKS, 1, format!("{flag} {name} is not among those that it runs"));
        }
    }
    assert!(programs.len() >= 3, "{programs:?}");
    violations.assert_none("Add it to a group, or say `test = false` where it has no tests.");
}

/// The programs with tests that a manifest names, as cargo selects them.
fn named_programs(manifest: &toml::Table) -> BTreeSet<(&'static str, String)> {
    let mut programs = BTreeSet::new();
    for (kind, flag) in [("bin", "--bin"), ("test", "--test")] {
        for one in manifest.get(kind).and_then(|all| all.as_array()).into_iter().flatten() {
            if one.get("test") != Some(&toml::Value::Boolean(false)) {
                programs.insert((flag, one["name"].as_str().unwrap().to_owned()));
            }
        }
    }
    programs
}

/// The program that cargo finds at a path within a crate.
fn found_program(path: &str, package: &str) -> Option<(&'static str, String)> {
    if path == "src/main.rs" {
        return Some(("--bin", package.to_owned()));
    }
    let flags = [("src/bin/", "--bin"), ("tests/", "--test")];
    let (flag, rest) = flags.into_iter().find_map(|(folder, flag)| Some((flag, path.strip_prefix(folder)?)))?;
    let name = rest.strip_suffix("/main.rs").or_else(|| rest.strip_suffix(".rs"))?;
    (!name.contains('/')).then(|| (flag, name.to_owned()))
}

#[test]
fn programs_are_found_where_cargo_finds_them() {
    let found = |path: &str| found_program(path, "xtask").map(|(flag, name)| format!("{flag} {name}"));
    for (path, program) in [
        ("src/main.rs", "--bin xtask"),
        ("src/bin/a.rs", "--bin a"),
        ("tests/b.rs", "--test b"),
        ("tests/c/main.rs", "--test c"),
    ] {
        assert_eq!(found(path).as_deref(), Some(program));
    }
    for path in ["src/lib.rs", "tests/c/part.rs", "src/a/main.rs", "tests/c/deep/main.rs", "benches/d.rs"] {
        assert_eq!(found(path), None, "{path}");
    }
}

#[test]
fn versions_are_named_once_in_the_workspace() {
    let mut violations = Violations::default();
    let shared = workspace()["workspace"]["dependencies"].as_table().unwrap().clone();
    let members: BTreeMap<String, Manifest> = members().into_iter().map(|it| (it.folder.clone(), it)).collect();
    for manifest in members.values() {
        for kind in KINDS {
            let Some(section) = manifest.table.get(*kind).and_then(toml::Value::as_table) else { continue };
            for (key, value) in section {
                if value.get("workspace").is_none() || !shared.contains_key(key) {
                    let line = manifest.dependency(kind, key, value, &shared).line;
                    violations.push(&manifest.path, line, format!("`{key}` has a version of its own"));
                }
            }
        }
    }
    violations
        .assert_none("Put the version in [workspace.dependencies] of the root Cargo.toml, `workspace = true` here.");
}
