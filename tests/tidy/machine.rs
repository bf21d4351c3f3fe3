//! Nothing in the repository depends on, or mentions, one machine or one person.

use super::tree::{Violations, text_files};

/// Folders of single machines, in two halves so that this file does not find itself.
const FOLDERS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

#[test]
fn no_paths_of_one_machine_and_no_addresses_of_persons() {
    let mut violations = Violations::default();
    for file in text_files() {
        for (number, line) in file.lines() {
            if let Some(path) = machine_path(line) {
                violations.push(&file.path, number, format!("path `{path}`"));
            }
            if let Some(address) = mail_address(line) {
                violations.push(&file.path, number, format!("address `{address}`"));
            }
        }
    }
    violations.assert_none("Use a path relative to the checkout, a temporary folder, or a name at example.com.");
}

/// The first absolute path of a folder that only some machines have.
fn machine_path(line: &str) -> Option<&str> {
    FOLDERS.iter().find_map(|folder| {
        line.match_indices(folder).find_map(|(at, _)| {
            let before = line[..at].chars().next_back();
            let is_absolute = before.is_none_or(|c| !(c.is_alphanumeric() || "_.-}$*~/".contains(c)));
            is_absolute.then(|| line[at..].split([' ', '"', '\'', '`', ')']).next().unwrap_or_default())
        })
    })
}

/// The first e-mail address outside the domains kept for examples.
fn mail_address(line: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let is_domain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    line.match_indices('@').find_map(|(at, _)| {
        let start = line[..at].trim_end_matches(is_name).len();
        let end = line[at + 1..].find(|c| !is_domain(c)).map_or(line.len(), |after| at + 1 + after);
        let (name, domain) = (&line[start..at], line[at + 1..end].trim_end_matches(['.', '-']));
        let (_, last) = domain.rsplit_once('.')?;
        let is_address = !name.is_empty() && last.len() >= 2 && last.chars().all(|c| c.is_ascii_alphabetic());
        let is_example = ["example.com", "example.org", "example.net"]
            .iter()
            .any(|it| domain == *it || domain.strip_suffix(it).is_some_and(|rest| rest.ends_with('.')));
        // user@host in the address of a service is not a person
        let is_url = line[..start].ends_with("//") || line[..start].ends_with(':');
        (is_address && !is_example && !is_url).then_some(&line[start..at + 1 + domain.len()])
    })
}

#[test]
fn paths_and_addresses_are_distinguished_from_what_looks_like_them() {
    assert_eq!(machine_path(concat!("see `/wo", "rk/main/x` there")), Some(concat!("/wo", "rk/main/x")));
    assert_eq!(machine_path(concat!("\"/ro", "ot/.cache\"")), Some(concat!("/ro", "ot/.cache")));
    for line in [concat!("net", "wo", "rk/x"), concat!("$HOME/wo", "rk/x"), concat!("a/wo", "rk/x")] {
        assert_eq!(machine_path(line), None, "{line}");
    }
    assert_eq!(mail_address(concat!("by ann.lee@", "firm.io.")), Some(concat!("ann.lee@", "firm.io")));
    for line in [
        "ann@example.com",
        "ann@mail.example.com",
        "@bufbuild/buf-linux-x64@1.75.0",
        "#[a] @media x",
        "duckdb@1.5.6-r.1",
    ] {
        assert_eq!(mail_address(line), None, "{line}");
    }
}
