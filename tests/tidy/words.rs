//! The word list of STYLE.md: phrases quoted in its second column do not occur in documents, messages or comments.

use super::tree::{TextFile, Violations, root, text_files};
use std::fs;

const ENDINGS: &[&str] = &[".md", ".rs", ".toml", ".yaml", ".proto", ".py"];
/// The list itself, and lock files.
const EXEMPT: &[&str] = &["STYLE.md", "tests/tidy/words.rs", "Cargo.lock"];

/// A term to use, and a phrase that it replaces.
#[derive(Debug, PartialEq)]
struct Entry {
    say: String,
    refused: String,
}

/// The quoted phrases of the table below "## Words".
fn entries(style: &str) -> Vec<Entry> {
    let section = style.split("\n## Words\n").nth(1).unwrap_or_default();
    let rows = section.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_matches(['|', ' ']).split_once(" | "));
    cells
        .flat_map(|(say, others)| {
            let phrases = others.split('`').skip(1).step_by(2);
            phrases.map(|phrase| Entry { say: say.trim().to_owned(), refused: phrase.to_lowercase() })
        })
        .collect()
}

/// The text on one line, in lower case and without the marks of comments, so that phrases are found across line breaks;
/// and where each line begins in it.
fn flattened(text: &str) -> (String, Vec<usize>) {
    let (mut flat, mut begins) = (String::new(), Vec::new());
    for line in text.lines() {
        begins.push(flat.len());
        let line = line.trim().trim_start_matches(['/', '!', '#', '>']).trim_end_matches('\\').trim();
        flat.push_str(&line.to_lowercase());
        flat.push(' ');
    }
    (flat, begins)
}

/// Lines in which a phrase begins, as whole words.
fn lines_with(phrase: &str, flat: &str, begins: &[usize]) -> Vec<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let places = flat.match_indices(phrase).filter(|(at, _)| {
        let after = flat[at + phrase.len()..].chars().next();
        !flat[..*at].chars().next_back().is_some_and(is_part) && !after.is_some_and(is_part)
    });
    places.map(|(at, _)| begins.partition_point(|begin| *begin <= at)).collect()
}

#[test]
fn documents_messages_and_comments_use_the_terms_of_the_field() {
    let style = fs::read_to_string(root().join("STYLE.md")).unwrap();
    let entries = entries(&style);
    assert!(entries.len() >= 20, "the table of STYLE.md quotes only {} phrases", entries.len());
    let mut violations = Violations::default();
    let is_read = |file: &&TextFile| {
        ENDINGS.iter().any(|ending| file.path.ends_with(ending)) && !EXEMPT.contains(&file.path.as_str())
    };
    for file in text_files().iter().filter(is_read) {
        let (flat, begins) = flattened(&file.text);
        for Entry { say, refused } in &entries {
            for line in lines_with(refused, &flat, &begins) {
                violations.push(&file.path, line, format!("`{refused}`: say {say}"));
            }
        }
    }
    violations.assert_none("Use the terms of STYLE.md, section Words.");
}

#[test]
fn a_phrase_is_found_across_lines_and_as_whole_words() {
    let style =
        "# Style\n\n## Words\n\n| say | instead of |\n|---|---|\n| recreated | `made anew`, made again |\n\n## Next\n";
    assert_eq!(entries(style), [Entry { say: "recreated".to_owned(), refused: "made anew".to_owned() }]);
    let find = |text: &str| {
        let (flat, begins) = flattened(text);
        lines_with("made anew", &flat, &begins)
    };
    assert_eq!(find("//! A\n/// topic was Made\n    /// anew.\n"), [2]);
    assert_eq!(find("\"it was made \\\n  anew\""), [1]);
    assert_eq!(find("remade anew, made anewly"), Vec::<usize>::new());
}
