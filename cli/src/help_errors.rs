//! `help errors`: every code of an error, what it means and what to do.

use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use serde_json::json;

/// Code, meaning, what to do; sorted by code.
#[rustfmt::skip]
pub const CODES: &[(&str, &str, &str)] = &[
    ("address_invalid", "an address of a store cannot be read", "write it as the page docs/storage.md or docs/clickhouse.md does"),
    ("already_running", "a process runs this reef already", "coral reef status; end it with coral reef stop"),
    ("ambiguous", "several things begin with the name that was given", "give more of it; the message lists them"),
    ("answer_unwritable", "an answer cannot be written as JSON", "report it: this is a fault of the program"),
    ("api_address", "the services cannot listen on api.listen", "set api.listen to a free address of this machine"),
    ("api_tokens", "the services need tokens and have none, or their file cannot be read", "coral reef token create"),
    ("clock_behind", "the clock of this machine is behind what is stored", "set the clock, or wait until it has caught up"),
    ("cluster", "the processes of a reef do not find each other, or have different settings", "compare their files and engine.hosts"),
    ("colonies_unreachable", "several colonies cannot be used, for different reasons", "coral reef ping names each"),
    ("colony_failed", "a colony of the demo has failed", "look at its message; start the demo again"),
    ("colony_present", "the colony is in the reef's file already", "coral reef ping shows whether it answers"),
    ("colony_refused", "a colony refused what it was asked", "look at the colony's log"),
    ("colony_unknown", "there is no colony of this id", "coral colony status; for a reef, coral reef health"),
    ("colony_unreachable", "a colony does not answer at its address", "check that it runs, its address and the firewall"),
    ("config_invalid", "the configuration is wrong; each error is listed with its line", "coral-pipeline help config, config schema"),
    ("config_missing", "the configuration file does not exist", "name another one, or coral reef init"),
    ("config_refused", "a running reef cannot take the new file and keeps the former one", "correct the file, then coral reef reload"),
    ("config_reverted", "the new configuration could not be run; the former one is in force again", "see the reef's log"),
    ("config_unreadable", "a configuration file cannot be read", "check its permissions"),
    ("config_unwritable", "a configuration file cannot be written", "check the permissions of its folder"),
    ("confirmation_missing", "the command removes something and nobody can be asked", "give --yes; --dry-run only says what it would do"),
    ("confirmation_unreadable", "the confirmation cannot be read from the terminal", "give --yes"),
    ("database_in_use", "another process has the colony's database open", "stop that process"),
    ("duration_invalid", "a duration cannot be read", "write for example 90s, 15m, 2h15m or 30d"),
    ("ended", "the reef has ended while it was waited for", "its log says why; coral reef start"),
    ("every_row_refused", "every row that was read was rejected", "the table rejects says why, row by row"),
    ("fault", "a fault of the reef ended the statement; the reef continues", "write it in another way, and report the fault; the reef's log has it"),
    ("file_exists", "a file would be overwritten", "name another one, or remove it first"),
    ("file_missing", "a file does not exist", "check its name"),
    ("file_unreadable", "a file cannot be read", "check its permissions and its format"),
    ("fleet_invalid", "the fleet of the demo is too small or too large", "see coral-pipeline demo --help"),
    ("folder_failed", "a folder cannot be used", "check its permissions and the space on its disk"),
    ("folder_in_use", "the folder has something else in it", "name an empty folder"),
    ("incomplete", "the answer lacks a colony, and --require-complete was given", "coral reef health"),
    ("input_invalid", "an input cannot be read as it is configured", "coral-pipeline validate"),
    ("input_unreadable", "some inputs could not be read; they are listed", "coral-pipeline validate"),
    ("internal", "a fault of the program", "report it with its message and the log"),
    ("interrupted", "the work was stopped before its end; what was done is said", "start it again: it resumes"),
    ("invalid_argument", "a value of the question is wrong; the message names its field", "correct it"),
    ("kafka_failed", "the Kafka cluster refused something or did not answer", "check brokers, topics and rights"),
    ("log", "the log of a reef in the background cannot be written", "check the folder ~/.coral/reefs"),
    ("mcp", "the MCP server has ended with a fault", "it is started by an MCP client: docs/mcp.md"),
    ("memory", "the run would outgrow its memory limit; what was read is stored", "raise engine.memory_limit and start again"),
    ("mesh", "a mesh cannot be used", "docs/mesh.md, section on faults"),
    ("name_invalid", "the name cannot be that of a reef", "use letters, digits, '.', '_' and '-'"),
    ("network", "the colony's network has failed", "check its address and port"),
    ("no_browser", "no browser can be opened", "open the address that the message names"),
    ("no_colony", "the reef has no colony and no other source yet", "coral reef add-colony"),
    ("no_dashboard", "the reef has no dashboard", "set dashboard.enabled = true and api.enabled = true"),
    ("no_files", "the reef reads no files that could be published", "name some in [[sources]]"),
    ("not_answered", "a running process does not answer", "try again in a moment; see its log"),
    ("not_confirmed", "the question was not answered with yes; nothing was changed", ""),
    ("not_ended", "the process did not end in time", "coral reef stop --now"),
    ("not_found", "what was named does not exist; near names are listed", "list what there is"),
    ("not_in_this_version", "the file asks for what this version does not do", "remove those keys"),
    ("not_ours", "the process that was found cannot be stopped by this command", "stop it where it was started"),
    ("not_ready", "the reef did not become ready in time; it continues", "coral reef status, or a longer --wait"),
    ("not_running", "the reef does not run", "coral reef start"),
    ("not_written", "the rows of an answer cannot be written to the file that was named", "check the folder, its permissions and the space on its disk"),
    ("nothing_imported", "no row of the files belongs to this colony", "check the column colony_id"),
    ("out_missing", "the format is for files, and no file was named", "name one: --out rows.parquet"),
    ("output", "standard output cannot be written", "check the disk or the program that reads it"),
    ("pattern_ambiguous", "several patterns begin with this id", "give more of it"),
    ("pattern_unknown", "there is no pattern with this id", "coral-pipeline report --all"),
    ("position_invalid", "the position of an earlier replay cannot be read", "use the program that wrote it, or another range"),
    ("process", "the command does not fit a reef of several processes", "docs/cluster.md"),
    ("range_invalid", "the range of time is empty", "--from must be before --to"),
    ("reef_ambiguous", "several reefs fit", "choose one with --reef, CORAL_REEF or coral reef use"),
    ("reef_missing", "no reef is chosen and there is none", "coral reef init, or --reef FILE"),
    ("reef_present", "there is a reef of this name already", "choose another name"),
    ("reef_unknown", "there is no reef of this id or name", "coral reef list"),
    ("refused", "the colony refuses this reef", "ask the owner of the colony: its secret was revoked or has expired"),
    ("reload_busy", "the reef is taking another configuration or ends", "try again in a moment"),
    ("resource_exhausted", "too many questions at once, or in an hour", "wait as long as the message says"),
    ("run_file", "the run file or the socket of a reef cannot be written", "check the folder ~/.coral/reefs"),
    ("runtime", "threads cannot be started", "check the limits of processes and memory"),
    ("same_store", "a store would be copied onto itself", "name another target"),
    ("secret_missing", "the secret of a colony is not given, or not where the file says", "--colony-secret-file or --colony-secret-env"),
    ("secret_unreadable", "the secret cannot be read", "check the file, or standard input"),
    ("secret_weak", "the secret is too short or too simple", "coral colony secret create makes one"),
    ("serve", "the colony's services have failed", "see its log"),
    ("signals", "signal handlers cannot be installed", "check the limits of the process"),
    ("source_failed", "a source has failed while it was read; what was read is stored", "start again to resume"),
    ("start_failed", "a reef in the background has ended at its start; its messages are listed", "correct them and start again"),
    ("statement_failed", "the statement started and could not be finished", "the message says why; correct the statement"),
    ("statement_missing", "no statement was given, and there is no terminal to type it at", "give it, or -f FILE; -f - reads standard input"),
    ("statement_unreadable", "the file of the statement cannot be read", "check its name and its permissions"),
    ("storage", "the colony's database has failed", "check its disk and its permissions"),
    ("store_busy", "another process has the store open and answers no queries now", "try again in a moment"),
    ("store_failed", "the store cannot be read or written", "the message names the cause"),
    ("store_missing", "the store does not exist yet", "run the reef first"),
    ("store_too_new", "a newer version of the program has written the store", "use that version"),
    ("stores_differ", "a copy is not the same as its original", "copy it again; the message names the table"),
    ("target_not_empty", "the target of a copy has rows", "name an empty one"),
    ("terminal_failed", "the terminal cannot be read", "give the statement on the command line, or with -f FILE"),
    ("time_invalid", "a time cannot be read", "write for example 2026-03-02T10:00:00Z, 2026-03-02, now or now-2h"),
    ("timed_out", "the statement took longer than it may", "narrow it, for example by time, or raise --timeout"),
    ("token_unknown", "there is no token of this id", "coral reef token list"),
    ("tokens_failed", "the file of tokens cannot be read or written", "repair it, or remove it and make new tokens"),
    ("too_large", "the statement needs more memory, or its answer more space, than it may take", "narrow it, or ask for fewer rows"),
    ("trial_invalid", "a file is no test of patterns", "coral reef test --help"),
    ("trial_unmet", "a test of patterns has found something else; each line says what", ""),
    ("unhealthy", "a check of coral reef doctor has failed; each says what to do", ""),
    ("usage", "the command line is wrong", "the command's --help"),
    ("validation_failed", "a check of coral-pipeline validate has failed; each says what to do", ""),
    ("write_failed", "a file cannot be written", "check its folder and the space on its disk"),
    ("wrong_colony", "another colony answers at this address", "check the addresses"),
    ("wrong_secret", "the colony's secret is another one", "ask its owner; coral colony secret create"),
];

/// Prints the codes, or one of them.
///
/// # Errors
/// When there is no such code.
pub fn print(code: Option<&str>, output: &Output) -> Result<(), Failure> {
    let chosen: Vec<&(&str, &str, &str)> =
        CODES.iter().filter(|(known, ..)| code.is_none_or(|code| code == *known)).collect();
    if let (Some(code), true) = (code, chosen.is_empty()) {
        let message = format!("no error has the code {code:?}");
        return Err(Failure::new(Exit::Usage, "usage", message).hint("all of them: help errors"));
    }
    let rows: Vec<_> = chosen
        .iter()
        .map(|(code, meaning, remedy)| json!({ "code": code, "meaning": meaning, "what_to_do": remedy }))
        .collect();
    output.result(&json!({ "errors": rows }), |style| page(&chosen, style))
}

fn page(codes: &[&(&str, &str, &str)], style: Style) -> String {
    let mut page = style.bold("Codes of errors, as --json has them");
    for (code, meaning, remedy) in codes {
        page.push_str(&format!("\n  {code}: {meaning}"));
        if !remedy.is_empty() {
            page.push_str(&style.dim(&format!("\n    {remedy}")));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    /// Literals of letters and underscores in a text, with where they begin.
    fn words(text: &str) -> Vec<(usize, &str)> {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
        let between = quotes.windows(2).map(|ends| (ends[0], &text[ends[0] + 1..ends[1]]));
        between.filter(|(_, word)| is_word(word)).collect()
    }

    /// Whether what is before a literal makes it a code: an exit code, or the field `code`.
    fn is_code_after(before: &str) -> bool {
        let before = before.trim_end();
        if before.ends_with("code:") {
            return true;
        }
        let Some(argument) = before.strip_suffix(',') else { return false };
        let start = argument.rfind([',', '(', '\n']).map_or(0, |at| at + 1);
        let last = argument[start..].trim().trim_start_matches("crate::exit::");
        last.strip_prefix("Exit::").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphabetic())) || last == "exit"
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                sources(&path, found);
            } else if name.ends_with(".rs") && !["tests.rs", "exit.rs", "help_errors.rs"].contains(&name.as_str()) {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_code_of_the_program_is_explained() {
        let known: BTreeSet<&str> = CODES.iter().map(|(code, ..)| *code).collect();
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0), "sorted, each once");
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut used = 0;
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
            for (at, word) in words(code) {
                if is_code_after(&code[..at]) {
                    used += 1;
                    assert!(known.contains(word), "{}: {word} is not explained by help errors", file.display());
                }
            }
        }
        assert!(used > 80, "{used}");
    }

    #[test]
    fn one_code_or_all_are_printed() {
        let (output, captured) = Output::captured(false);
        print(Some("store_busy"), &output).unwrap();
        assert!(captured.stdout().contains("store_busy: another process") && captured.stdout().lines().count() == 3);
        assert_eq!(print(Some("store_bussy"), &output).unwrap_err().exit, Exit::Usage);
        let (output, captured) = Output::captured(true);
        print(None, &output).unwrap();
        let document: serde_json::Value = serde_json::from_str(&captured.stdout()).unwrap();
        assert_eq!(document["errors"].as_array().unwrap().len(), CODES.len());
    }
}
