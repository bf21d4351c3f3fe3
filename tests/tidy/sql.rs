//! Values reach SQL as parameters; only our own constants and identifiers may be put into its text.

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
        "Pass values as parameters. Constants may go in; where other names of our own tables or columns do, say so with \
         `// sql: identifiers only` on the line or the one above.",
    );
}

/// The harness of SQL is compiled for tests only; the statements that it makes are the input of what it tests.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("reef/src/sql/compliance/")
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
        let arguments = &code[at + call.len()..];
        let is_sql = starts_as_sql(arguments) || is_argument_of_a_call(&code[..at]);
        if is_sql && !is_marked && !is_comment && !takes_constants_only(arguments) {
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

/// True when all that is put into the text is named in capitals: a constant holds nothing from outside.
fn takes_constants_only(arguments: &str) -> bool {
    let is_constant = |name: &str| {
        let name = name.trim().rsplit("::").next().unwrap_or_default();
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let Some((literal, rest)) = split_literal(arguments) else { return false };
    let literal = literal.replace("{{", "").replace("}}", "");
    let inline = literal.split('{').skip(1).map(|part| part.split(['}', ':']).next().unwrap_or_default());
    let mut named = inline.filter(|name| !name.is_empty());
    let Some(end) = rest.find(')') else { return false };
    let mut positional = rest[..end].split(',').filter(|argument| !argument.trim().is_empty());
    named.all(is_constant) && positional.all(is_constant)
}

/// The text of the string literal at the start, and what follows it.
fn split_literal(arguments: &str) -> Option<(&str, &str)> {
    let arguments = arguments.trim_start();
    if let Some(raw) = arguments.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[hashes..].strip_prefix('"')?;
        return body.split_once(&format!("\"{}", "#".repeat(hashes)));
    }
    let body = arguments.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = body.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    Some((&body[..end], &body[end + 1..]))
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
        "let sql = format!(\"SELECT {COLUMNS} FROM {}\", table);",
        "let sql = format!(\"SELECT \\\"{COLUMNS}\\\" FROM {table}\");",
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
        "let sql = format!(\"SELECT {COLUMNS} FROM {}\", Row::TABLE);",
        "let sql = format!(r#\"SELECT \"{A_1}\" FROM t\"#);",
        "fn main() {}\n#[cfg(test)]\nmod tests { fn f() { format!(\"SELECT {a}\"); } }",
    ];
    for text in good {
        assert!(formatted_sql(text).is_empty(), "{text}");
    }
}
