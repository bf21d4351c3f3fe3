//! Questions in words at the terminal: the lines of RFD 003, JSON, streams; every command that is suggested parses.

use super::questions::{coral, reef};
use crate::coral_program::Coral;
use crate::exit::Exit;
use clap::Parser;
use serde_json::Value;
use std::path::Path;

const SLOWER: &str = "analyze why is production slower than staging?";

fn document(folder: &Path, line: &str) -> Value {
    let (_, streams) = coral(folder, &format!("{line} --json"));
    serde_json::from_str(&streams.stdout()).unwrap_or_else(|_| panic!("{line}: {}", streams.stdout()))
}

#[test]
fn an_answer_has_the_parts_of_rfd_003_and_progress_is_on_stderr() {
    let folder = reef();
    let (exit, streams) = coral(folder.path(), SLOWER);
    assert_eq!(exit, Exit::Ok, "{}", streams.stderr());
    let page = streams.stdout();
    assert!(
        page.starts_with("Finding: Production latency (p95) is 40.0% higher than staging: 245ms against 175ms [E1]\n"),
        "{page}"
    );
    for part in [
        "\nRoot cause analysis (what was found with it, strongest first):\n1. ",
        "\nRecommendation:\n  ",
        "\nEvidence:\n  - E1 Colony: my-shop-production · Metric: latency of my-shop: 245ms in production, 175ms in staging",
        "\nMetadata:\n  Model: none: no language model is configured (ai.llm)\n  Tokens: 0 (0 input, 0 output)\n",
        "\n  Colonies queried: 2 (my-shop-production, my-shop-staging)\n  Confidence: 0.",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.ends_with("Complete to 2024-11-13 15:59:00 UTC for all 2 colonies.\n"), "{page}");
    let progress = "Analyzing across the reef's colonies...\n✓ Queried federated metrics\n✓ Reviewed deployment timeline\n\
                    ✓ Checked correlation patterns\n";
    assert_eq!(streams.stderr(), progress);
}

#[test]
fn an_answer_as_json_is_the_response_of_the_rpc() {
    let folder = reef();
    let json = document(folder.path(), SLOWER);
    assert!(json["answer"].as_str().unwrap().starts_with("Finding: Production latency"));
    assert!(json["metadata"]["confidence_score"].is_number(), "{json}");
    assert_eq!(json["metadata"]["colonies_queried"], 2);
    assert_eq!((&json["evidence"][0]["id"], &json["evidence"][0]["type"]), (&"E1".into(), &"metric".into()));
    assert_eq!(json["completeness"]["complete"], true);
    // each flag maps to its field
    let one =
        document(folder.path(), "analyze what happened? --colonies my-shop-staging --time-window 1h --no-correlations");
    for evidence in one["evidence"].as_array().unwrap() {
        assert_eq!(evidence["colony_id"], "my-shop-staging");
    }
    assert_eq!(coral(folder.path(), "analyze x --time-window soon").0, Exit::Usage);
    assert_eq!(coral(folder.path(), "analyze x --colonies nowhere").0, Exit::Usage);
}

#[test]
fn a_stream_has_the_same_words_in_pieces() {
    let folder = reef();
    let (_, whole) = coral(folder.path(), SLOWER);
    let (exit, streamed) = coral(folder.path(), &format!("{SLOWER} --stream"));
    assert_eq!(exit, Exit::Ok);
    assert_eq!(streamed.stdout(), whole.stdout());
    let (_, lines) = coral(folder.path(), &format!("{SLOWER} --stream --json"));
    let lines: Vec<Value> = lines.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 2, "{lines:?}");
    assert!(lines.last().unwrap()["metadata"].is_object(), "the last line is the result");
}

#[test]
fn every_suggested_command_parses_and_only_reads() {
    let folder = reef();
    let questions = [
        SLOWER,
        "analyze what happened?",
        "analyze which deployment went wrong?",
        "analyze any issues in production?",
        "analyze is api affecting other services?",
        "analyze is api safe to promote to production?",
        "analyze compare health across all environments",
    ];
    let mut count = 0;
    for line in questions {
        for action in document(folder.path(), line)["actions"].as_array().unwrap() {
            let command = action["command"].as_str().unwrap();
            if command.is_empty() {
                assert_eq!(action["requires_approval"], true, "{action}");
                continue;
            }
            assert_eq!(action["requires_approval"], false, "{action}");
            Coral::try_parse_from(command.split(' ')).unwrap_or_else(|error| panic!("{command}: {error}"));
            let verb = command.split(' ').nth(2).unwrap();
            let reading = ["compare", "deployment", "affected", "correlations", "correlation", "health", "gate"];
            assert!(reading.contains(&verb), "{command}");
            count += 1;
        }
    }
    assert!(count >= 6, "{count} commands");
}
