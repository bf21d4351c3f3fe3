//! Values reach SQL as parameters; only identifiers from our own tables may be put into its text.

use super::tree::{Violations, rust_files};

const MARKER: &str = "// sql: identifiers only";
const CRATES: &[&str] = &["sinks", "colony", "reef", "migrations"];
const FIRST_WORDS: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "COPY", "ATTACH", "DETACH", "PRAGMA", "SET",
    "MERGE", "WITH", "TRUNCATE", "EXPORT", "IMPORT", "DESCRIBE", "OPTIMIZE",
];
const CALLS: &[&str] = &[
    ".execute(",
    ".execute_batch(",
    ".prepare(",
    ".prepare_cached(",
    ".query(",
    ".query_row(",
    ".query_arrow(",
    ".query_map(",
];

#[test]
fn sql_is_not_put_together_from_values() {
    let mut violations = Violations::default();
    for file in rust_files().iter().filter(|file| CRATES.contains(&file.folder()) && !is_test(&file.path)) {
        for number in formatted_sql(&file.text) {
            let line = file.text.lines().nth(number - 1).unwrap_or_default();
            violations.push(&file.path, number, line.trim());
        }
    }
    violations.assert_none(
        "Pass values as parameters. Where only names of our own tables or columns go in, say so with \
         `// sql: identifiers only` on the line or the one above.",
    );
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The lines of `format!` calls that make SQL, without the test module at the end of the file.
fn formatted_sql(text: &str) -> Vec<usize> {
    let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, call) in code.match_indices("format!(") {
        let number = code[..at].matches('\n').count() + 1;
        let here = lines[number - 1];
        let above = number.checked_sub(2).map_or("", |index| lines[index]);
        let is_marked = here.contains(MARKER) || above.contains(MARKER);
        let is_comment = here.trim_start().starts_with("//");
        if !is_marked && !is_comment && (starts_as_sql(&code[at + call.len()..]) || is_argument_of_a_call(&code[..at]))
        {
            found.push(number);
        }
    }
    found
}

fn starts_as_sql(arguments: &str) -> bool {
    let literal = arguments.trim_start().trim_start_matches(['r', '#']).trim_start_matches('"');
    let word: String =
        literal.trim_start_matches(['\\', '\n', ' ', '(']).chars().take_while(|c| c.is_alphabetic()).collect();
    FIRST_WORDS.contains(&word.as_str())
}

fn is_argument_of_a_call(before: &str) -> bool {
    let before = before.trim_end_matches(|c: char| c.is_whitespace() || c == '&');
    CALLS.iter().any(|call| before.ends_with(call))
}

#[test]
fn formatted_sql_is_seen() {
    let bad = [
        "let sql = format!(\"SELECT * FROM t WHERE id = '{id}'\");",
        "let sql = format!(\n    \"\\\n     INSERT INTO t VALUES ({a})\"\n);",
        "connection.execute(&format!(\"{verb} t\"), [])?;",
        "connection\n    .prepare(\n        &format!(r#\"delete from t where a = {a}\"#))?;",
    ];
    for text in bad {
        assert_eq!(formatted_sql(text).len(), 1, "{text}");
    }
    let good = [
        "let sql = format!(\"SELECT * FROM {table}\"); // sql: identifiers only",
        "// sql: identifiers only, from the table of tables\nlet sql = format!(\"SELECT * FROM {table}\");",
        "connection.execute(\"INSERT INTO t VALUES (?)\", params![format!(\"{a}-{b}\")])?;",
        "let message = format!(\"cannot read {path}\");",
        "fn main() {}\n#[cfg(test)]\nmod tests { fn f() { format!(\"SELECT {a}\"); } }",
    ];
    for text in good {
        assert!(formatted_sql(text).is_empty(), "{text}");
    }
}
