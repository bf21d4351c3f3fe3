//! The summary of a replay or backfill: rows, repairs, and differences of patterns.

use super::meter::per_second;
use crate::exit::{Exit, Failure};
use crate::output::Style;
use crate::text::{count, counted};
use model::time::{TimeMs, format_duration_ms};
use pipelines::config::ReefConfig;
use pipelines::open::params;
use pipelines::open::store;
use pipelines::progress::Ended;
use pipelines::replay::{Outcome, Planned, Request, TimeRange};
use reef::PatternDiff;
use serde_json::{Value, json};
use std::path::Path;

/// Most patterns of each kind in the text; `--json` has all.
const PATTERNS_SHOWN_MAX: usize = 20;

/// Everything there is to say about one command.
pub struct Page<'a> {
    /// The configuration file.
    pub config: &'a Path,
    /// Its text.
    pub reef: &'a ReefConfig,
    /// The request.
    pub request: &'a Request,
    /// The settings of a what-if.
    pub settings: &'a [String],
    /// What came of it.
    pub outcome: &'a Outcome,
}

/// What a dry run says, for programs.
pub fn plan(request: &Request, settings: &[String], planned: &Planned) -> Value {
    json!({
        "dry_run": true,
        "task": request.task.as_str(),
        "from": planned.range.from.to_string(),
        "to": planned.range.to.to_string(),
        "source": request.recording.as_str(),
        "into": request.into,
        "settings": settings,
        "resumed": planned.is_resumed,
        "rows": planned.rows,
        "writes": planned.writes,
    })
}

/// The same for people.
pub fn plan_page(request: &Request, planned: &Planned) -> String {
    let rows = match planned.rows {
        Some(rows) => {
            let late = if rows.late > 0 { format!(", {} of them late", count(rows.late)) } else { String::new() };
            format!("{} and {}{late}", counted(rows.events, "event"), counted(rows.metrics, "metric bucket"))
        }
        None => "the records of the topics, which are not counted before they are read".to_owned(),
    };
    let (from, to) = (planned.range.from, planned.range.to);
    let resumed = if planned.is_resumed { ", which was interrupted and would be resumed" } else { "" };
    let target = planned
        .writes
        .as_deref()
        .map_or("nothing would be written".to_owned(), |store| format!("{store} would be written"));
    format!("{} of {from} to {to}{resumed}: {rows}; {target}; nothing was changed", request.task.as_str())
}

impl Page<'_> {
    /// For programs: every pattern that differs.
    pub fn document(&self) -> Value {
        let Page { request, outcome, .. } = self;
        json!({
            "task": request.task.as_str(),
            "from": outcome.range.from.to_string(),
            "to": outcome.range.to.to_string(),
            "source": request.recording.as_str(),
            "into": request.into,
            "settings": self.settings,
            "resumed": outcome.is_resumed,
            "ended": outcome.ended,
            "rows_in_range": outcome.rows_in_range,
            "rows_outside": outcome.rows_outside,
            "late_rows_repaired": outcome.repaired,
            "summary": outcome.summary,
            "diff": self.diff(),
            "notes": self.notes(),
        })
    }

    /// For people.
    pub fn text(&self, style: Style) -> String {
        let mut lines = vec![style.bold(&self.heading())];
        lines.extend(self.numbers());
        if let Some(diff) = self.diff() {
            lines.push(String::new());
            lines.push(self.compared());
            lines.push(reef::text::diff(&diff, PATTERNS_SHOWN_MAX).trim_end().to_owned());
        }
        let notes = self.notes();
        if !notes.is_empty() {
            lines.push(String::new());
            lines.extend(notes.into_iter().map(|note| format!("{} {note}", style.yellow("note:"))));
        }
        lines.join("\n")
    }

    /// What was done before it was stopped, and what the same command will do next.
    pub fn interrupted(&self) -> Failure {
        let task = self.request.task.as_str();
        let progress = self.outcome.summary.as_ref().map(|summary| &summary.progress);
        // topics are not counted in rows before they are read
        let done = match progress.and_then(|progress| progress.rows) {
            Some((done, in_all)) => format!("{} of {}", count(done), counted(in_all, "row")),
            None => counted(progress.map_or(0, |progress| progress.events + progress.metrics), "row"),
        };
        let time = self.outcome.summary.as_ref().and_then(|summary| summary.progress.event_time);
        let keeps_nothing = self.request.what_if.is_some() && self.request.into.is_none();
        let fate = if keeps_nothing { "read" } else { "read and stored" };
        let mut message = format!("{task} stopped: {done} {fate}");
        if let Some(time) = time {
            message += &format!(", up to event time {time}");
        }
        let hint = match keeps_nothing {
            true => "a what-if without --into stores nothing: the same command starts over",
            false => "the same command resumes",
        };
        Failure::new(Exit::Interrupted, "interrupted", message).hint(hint).report(self.document())
    }

    fn heading(&self) -> String {
        let Outcome { range, is_resumed, .. } = self.outcome;
        let task = match self.request.task.as_str() {
            "backfill" => "Backfill",
            _ if self.request.what_if.is_some() => "What if",
            _ => "Replay",
        };
        let settings = if self.settings.is_empty() { String::new() } else { format!(" {}", self.settings.join(" ")) };
        let resumed = if *is_resumed { ", from where an earlier call had stopped" } else { "" };
        format!("{task}{settings}: {} to {}, {} rows{resumed}", range.from, range.to, self.request.recording.as_str())
    }

    fn numbers(&self) -> Vec<String> {
        let outcome = self.outcome;
        let Some(summary) = &outcome.summary else {
            return vec!["  rows      0: there is none in this range, and nothing was done".to_owned()];
        };
        let progress = &summary.progress;
        let rows = progress.events + progress.metrics;
        let took = format_duration_ms(i64::try_from(summary.elapsed_ms).unwrap_or(i64::MAX));
        let speed = count(per_second(rows, summary.elapsed_ms) as u64);
        let mut lines = vec![format!(
            "  rows      {} ({} events, {} metrics) in {took}, {speed} rows/s",
            count(rows),
            count(progress.events),
            count(progress.metrics),
        )];
        if outcome.rows_outside > 0 {
            lines.push(format!("  outside   {} read that lie outside the range", counted(outcome.rows_outside, "row")));
        }
        if progress.rejects > 0 {
            lines.push(format!("  rejects   {}; see table rejects", count(progress.rejects)));
        }
        lines.push(match (&self.request.into, &self.request.what_if) {
            (None, None) => format!("  repaired  {} that had come too late", counted(outcome.repaired, "row")),
            (None, Some(_)) => "  stored    nothing".to_owned(),
            (Some(_), _) => format!("  stored    {}", summary.store),
        });
        lines
    }

    fn compared(&self) -> String {
        let live = store::describe(self.reef);
        match (&self.request.what_if, &self.request.into) {
            (Some(_), _) => format!("With {}, compared with the reef's settings:", self.settings.join(" ")),
            (None, Some(_)) => format!("Compared with the live patterns of {live}:"),
            (None, None) => "Compared with the patterns before:".to_owned(),
        }
    }

    fn diff(&self) -> Option<PatternDiff> {
        self.outcome.summary.as_ref().filter(|summary| summary.ended == Ended::InputFinished)?;
        Some(PatternDiff::between(self.outcome.before.as_deref()?, &self.outcome.after))
    }

    fn notes(&self) -> Vec<String> {
        let outcome = self.outcome;
        let mut notes = Vec::new();
        if outcome.rows_in_range == Some(0) {
            notes.push(match outcome.reach {
                Some((first, last)) => {
                    format!("no stored row is in this range; stored rows are from {first} to {last}")
                }
                None => "the store has no rows at all".to_owned(),
            });
        }
        if outcome.summary.is_none() {
            return notes;
        }
        if outcome.before.is_none() {
            notes.push("the live store is in use, so there is nothing to compare with".to_owned());
        }
        if outcome.into_rows_before > 0 {
            notes.push(format!(
                "the target had {} outside the range before: its patterns are those of all of them",
                counted(outcome.into_rows_before, "row")
            ));
        }
        if self.settings.iter().any(|setting| setting.trim().starts_with("collection.")) {
            notes.push(
                "[collection] applies to live rows; it changes nothing in a replay, where no row is late".to_owned(),
            );
        }
        notes.extend(self.out_of_sight());
        notes
    }

    /// A range that the live patterns no longer look back to.
    fn out_of_sight(&self) -> Option<String> {
        let TimeRange { from, to } = self.outcome.range;
        let looks_back_to = self.outcome.looks_back_to.filter(|begin| to <= *begin)?;
        let look_back_ms = params::from_config(self.reef).events.keep_ms();
        let learns_from = from.min(to - look_back_ms).max(TimeMs(0));
        let learns_from = self.outcome.reach.map_or(learns_from, |(first, _)| learns_from.max(first));
        Some(format!(
            "today's patterns look back to {looks_back_to} and no further: rows and hourly summaries of this range are \
             right again, the patterns do not depend on it. The patterns as of its end: coral-pipeline replay {} --from {} \
             --to {} --source stored --into as-of.duckdb",
            self.config.display(),
            learns_from,
            to
        ))
    }
}
