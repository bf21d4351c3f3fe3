//! The tables of files in crate and folder documentation are complete and correct.

use super::tree::{TextFile, Violations, rust_files};
use std::collections::BTreeSet;

/// Modules beside or below a file that is the front of a folder, without tests.
fn neighbours(front: &TextFile, files: &[TextFile]) -> BTreeSet<String> {
    let folder = match front.path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => format!("{folder}/"),
        _ => format!("{}/", front.path.trim_end_matches(".rs")),
    };
    let names = files.iter().filter_map(|file| file.path.strip_prefix(&folder));
    let names = names.map(|name| name.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned());
    names.filter(|name| !["mod", "lib", "main", "tests", "testdata", "test_server"].contains(&name.as_str())).collect()
}

/// The names in the first column of a table of files; `None` when the file has no such table.
fn listed(text: &str) -> Option<BTreeSet<String>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next());
    let mut rows = rows.skip_while(|cell| !["file", "module"].contains(cell)).skip(1).peekable();
    rows.peek()?;
    let quoted = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    Some(quoted.map(|name| name.trim_end_matches('/').to_owned()).collect())
}

#[test]
fn tables_of_files_name_all_files_and_no_others() {
    let files: Vec<TextFile> = rust_files().into_iter().filter(|file| file.path.contains("/src/")).collect();
    let mut violations = Violations::default();
    let mut tables = 0;
    for file in &files {
        let Some(listed) = listed(&file.text) else { continue };
        // some name files of other kinds: messages, steps of a schema
        if listed.iter().any(|name| name.contains('/') || name.contains('.')) || file.folder() == "migrations" {
            continue;
        }
        tables += 1;
        let there = neighbours(file, &files);
        for name in listed.difference(&there) {
            violations.push(&file.path, 1, format!("its table names `{name}`, which is not there"));
        }
        for name in there.difference(&listed) {
            violations.push(&file.path, 1, format!("its table does not name `{name}`"));
        }
    }
    assert!(tables > 10, "only {tables} tables of files were found");
    violations.assert_none("Say in the table what each file owns.");
}

#[test]
fn a_table_is_read_by_its_first_column() {
    let text = "//! Front.\n//!\n//! | file | owns |\n//! |---|---|\n//! | `a`, `b/` | `c` |\n";
    assert_eq!(listed(text), Some(BTreeSet::from(["a".to_owned(), "b".to_owned()])));
    assert_eq!(listed("//! Front.\n//! | `a` | b |\n"), None);
}
