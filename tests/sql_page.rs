//! docs/sql.md: every command and every statement on the page is run, and prints what the page says.

use crate::api_page::{fences, has, holds, serving, shell};
use crate::statements::{answer, scene, sql};
use serde_json::{Value, json};

pub const PAGE: &str = "docs/sql.md";
/// What a block begins with that is typed at the prompt.
pub const MARK: &str = "sql> ";

#[test]
fn every_command_of_the_page_prints_what_the_page_says() {
    if !has("curl", "sql_page::every_command_of_the_page_prints_what_the_page_says") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (reef, serving) = serving(folder.path());
    let fences = fences(PAGE);
    let mut answers = 0;
    for (place, fence) in fences.iter().enumerate().filter(|(_, fence)| fence.kind == "sh") {
        let printed =
            shell(&fence.body.replace("coral reef sql ", "coral reef sql --reef reef.toml "), &reef, serving.address());
        let expected = &fences[place + 1];
        match expected.kind.as_str() {
            "text" => {
                let lines: Vec<&str> = printed.lines().map(str::trim).collect();
                let expected: Vec<&str> = expected.body.lines().map(str::trim).collect();
                assert_eq!(lines, expected, "{}", fence.body);
            }
            "json" => {
                let expected: Value = serde_json::from_str(&expected.body).unwrap();
                let answer: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
                assert!(holds(&answer, &expected), "{}\nthe page: {expected:#}\nanswered: {answer:#}", fence.body);
            }
            other => panic!("{} is followed by {other:?}", fence.body),
        }
        answers += 1;
    }
    assert!(answers >= 6, "the commands of the page are found");
    // `flight` runs the clients
    let kinds = ["sh", "text", "json", "sql", "python", "java"];
    assert!(fences.iter().all(|fence| kinds.contains(&fence.kind.as_str())), "a block of another kind is not run");
    // `prompt` types what is after its mark
    let is_compared = |place: usize, body: &str| {
        let follows = place.checked_sub(1).map(|before| fences[before].kind.as_str());
        body.starts_with(MARK) || follows.is_some_and(|kind| ["sh", "python", "java"].contains(&kind))
    };
    for (place, fence) in fences.iter().enumerate().filter(|(_, fence)| ["text", "json"].contains(&fence.kind.as_str()))
    {
        assert!(is_compared(place, &fence.body), "no command prints this block: {}", fence.body);
    }
}

#[test]
fn every_statement_of_the_page_is_answered_by_a_reef_with_a_colony() {
    let folder = tempfile::tempdir().unwrap();
    let (_colony, reef) = scene(folder.path());
    let fences = fences(PAGE);
    let statements: Vec<&str> =
        fences.iter().filter(|fence| fence.kind == "sql").map(|fence| fence.body.as_str()).collect();
    assert!(!statements.is_empty(), "the statements of the page are found");
    for statement in statements {
        let found = answer(&sql(&reef, &[statement]));
        assert!(found["rows"].as_array().is_some_and(|rows| !rows.is_empty()), "{statement}: {found:#}");
        assert_eq!(found["notes"], json!([]), "{statement}: {found:#}");
    }
}
