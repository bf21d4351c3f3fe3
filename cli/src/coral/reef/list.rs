//! `coral reef list` and `coral reef use`: which reefs there are, and which one commands are about.

use super::choice::{Chosen, ReefChoice};
use super::known::{self, KnownReef};
use super::running::Running;
use super::running::run_file::RunPaths;
use crate::entry::runtime;
use crate::exit::Failure;
use crate::output::{Output, Style};
use crate::text::table;
use colony::config::{Places, read_default_reef, write_default_reef};
use serde_json::{Value, json};
use std::path::Path;

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef list",
    after_help = "Lists the files of ~/.coral/reefs, and reefs that run from a file elsewhere. The current one, marked *, is \
                  what commands without --reef are about."
)]
pub struct ListArgs {}

/// Arguments of `use`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef use my-infrastructure",
    after_help = "Written to ~/.coral/config.yaml as default_reef. --reef and CORAL_REEF go before it. Without a reef, shows \
                  the current one."
)]
pub struct UseArgs {
    /// Id or name of the reef, or the start of its id
    reef: Option<String>,
    /// Say which reef would become the current one, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// A reef and how it is.
struct Line {
    reef: KnownReef,
    state: &'static str,
    pid: Option<u32>,
    since: Option<String>,
    api: Option<String>,
    note: String,
}

/// Lists them.
pub fn list(_: &ListArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let current = ReefChoice::default().chosen(places).ok();
    let reefs = known::all(places);
    let lines: Vec<Line> = runtime()?.block_on(async {
        let mut lines = Vec::with_capacity(reefs.len());
        for reef in reefs {
            lines.push(line_of(reef, places).await);
        }
        lines
    });
    let is_current = |line: &Line| current.as_ref().is_some_and(|chosen| is_same(&chosen.path, &line.reef.path));
    let value = json!({
        "current": current.as_ref().map(|chosen| KnownReef::read(&chosen.path).reef_id),
        "chosen_by": current.as_ref().map(|chosen| chosen.by),
        "reefs": lines.iter().map(|line| as_json(line, is_current(line))).collect::<Vec<_>>(),
    });
    output.result(&value, |style| page(&lines, current.as_ref(), &is_current, style))
}

/// Whether two paths lead to the same file; one may start at the current folder.
fn is_same(one: &Path, other: &Path) -> bool {
    let absolute = |path: &Path| std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).ok();
    one == other || absolute(one).is_some_and(|one| absolute(other) == Some(one))
}

async fn line_of(reef: KnownReef, places: &Places) -> Line {
    let paths = RunPaths::of(places, &reef.reef_id);
    let found = Running::of(&paths, reef.config.as_ref().ok()).await;
    let problem = match &reef.config {
        Ok(_) => String::new(),
        Err(_) if reef.is_empty() => "no colony yet: coral reef add-colony".to_owned(),
        // a wrong key may be why there is nothing to read
        Err(problem) => {
            let first = problem.lines().find(|line| !line.contains("nothing to read"));
            first.or(problem.lines().next()).unwrap_or_default().to_owned()
        }
    };
    let line = Line { reef, state: "stopped", pid: None, since: None, api: None, note: problem };
    match found {
        Ok(Running::Here(run)) => {
            let state = match run.phase.as_str() {
                "restoring" => "restoring",
                "draining" => "draining",
                _ => "running",
            };
            Line { state, pid: Some(run.pid), since: Some(run.started_at.clone()), api: run.api.clone(), ..line }
        }
        Ok(Running::Elsewhere) => Line { state: "running", note: "not started by coral reef start".to_owned(), ..line },
        Ok(Running::No { left: Some(left) }) if line.note.is_empty() => {
            Line { note: format!("its process (pid {}) ended without stopping", left.pid), ..line }
        }
        Ok(Running::No { .. }) => line,
        Err(failure) => Line { state: "unknown", note: failure.message, ..line },
    }
}

fn as_json(line: &Line, is_current: bool) -> Value {
    let reef = &line.reef;
    json!({
        "reef_id": reef.reef_id,
        "name": reef.name,
        "current": is_current,
        "state": line.state,
        "pid": line.pid,
        "since": line.since,
        "colonies": reef.config.as_ref().ok().map(|config| config.colonies.len()),
        "api": line.api,
        "config": reef.path.display().to_string(),
        "note": line.note,
    })
}

fn page(lines: &[Line], current: Option<&Chosen>, is_current: &dyn Fn(&Line) -> bool, style: Style) -> String {
    if lines.is_empty() {
        let here = current.map(|chosen| format!("\nHere: {}", chosen.path.display())).unwrap_or_default();
        return format!("No reef yet. Make one: coral reef init my-infrastructure{here}");
    }
    let row = |line: &Line| {
        let mark = if is_current(line) { "*" } else { "" };
        let state = match line.state {
            "running" => "✓ running".to_owned(),
            "stopped" => "– stopped".to_owned(),
            other => format!("⚠ {other}"),
        };
        let colonies = line.reef.config.as_ref().map_or("–".to_owned(), |config| config.colonies.len().to_string());
        let since = line.since.as_deref().map_or("–".to_owned(), short_time);
        vec![
            mark.to_owned(),
            line.reef.reef_id.clone(),
            state,
            since,
            colonies,
            [line.reef.path.display().to_string(), line.note.clone()].join(if line.note.is_empty() {
                ""
            } else {
                "; "
            }),
        ]
    };
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    let mut page = table(&["", "reef", "state", "since", "colonies", "file"], &rows, style);
    match current {
        Some(chosen) => page.push_str(&format!("\n\n* current, chosen by {}", chosen.by)),
        None => page.push_str("\n\nNone is current; choose one: coral reef use REEF"),
    }
    page
}

/// `2026-11-30 12:00:00 UTC`.
fn short_time(time: &str) -> String {
    format!("{} UTC", time.split('.').next().unwrap_or_default().replace('T', " "))
}

/// Makes a reef the current one, or shows it.
pub fn use_reef(args: &UseArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let Some(wanted) = &args.reef else {
        let chosen = ReefChoice::default().chosen(places)?;
        let reef = KnownReef::read(&chosen.path);
        let value =
            json!({ "current": reef.reef_id, "chosen_by": chosen.by, "config": chosen.path.display().to_string() });
        return output.result(&value, |_| format!("{} (chosen by {})", reef.reef_id, chosen.by));
    };
    let path = ReefChoice { reef: Some(wanted.clone()) }.resolve(places)?;
    let reef = KnownReef::read(&path);
    let in_folder = path.parent().is_some_and(|parent| parent == known::folder(places));
    // a file elsewhere is named by its path
    let named = match std::path::absolute(&path) {
        Ok(absolute) if !in_folder => absolute.display().to_string(),
        _ => reef.reef_id.clone(),
    };
    let file = places.user_file();
    if args.dry_run {
        let before = read_default_reef(&file).map_err(|error| crate::coral::colony::failure::config(&error))?;
        let value = json!({
            "dry_run": true, "current": before, "would_be": reef.reef_id, "config": path.display().to_string(),
            "written_to": file.display().to_string(),
        });
        return output.result(&value, |_| {
            format!("Commands would be about reef {}, by {}; nothing was changed", reef.reef_id, file.display())
        });
    }
    write_default_reef(&file, &named).map_err(|error| crate::coral::colony::failure::config(&error))?;
    let overridden = super::choice::of_process().filter(|of_process| *of_process != named);
    if let Some(of_process) = overridden {
        output.message(&format!("warning: CORAL_REEF is set to {of_process:?} and goes before it in this shell"));
    }
    let value = json!({ "current": reef.reef_id, "config": path.display().to_string(), "written_to": file.display().to_string() });
    output.result(&value, |style| format!("{} Commands are about reef {} now", style.green("✓"), reef.reef_id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_relative_path_is_the_file_that_it_leads_to() {
        // the folder of the crate, which is where tests run
        let here = std::env::current_dir().unwrap();
        assert!(is_same(Path::new("Cargo.toml"), &here.join("Cargo.toml")));
        assert!(is_same(&here.join("src/../Cargo.toml"), Path::new("./Cargo.toml")));
        assert!(is_same(Path::new("none.toml"), &here.join("none.toml")));
        assert!(!is_same(Path::new("Cargo.toml"), &here.join("src/lib.rs")));
        assert!(!is_same(Path::new("none.toml"), &here.join("other.toml")));
    }
}
