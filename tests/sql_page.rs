//! docs/sql.md: every command on the page is run over a reef of files, and prints what the page says.

use crate::api_page::{fences, holds, serving, shell};
use serde_json::Value;

const PAGE: &str = "docs/sql.md";

#[test]
fn every_command_of_the_page_prints_what_the_page_says() {
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
}
