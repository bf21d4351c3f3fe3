//! The page of the reef itself: what is received, what was refused and why, and up to when patterns are known.

use super::asked::{Asked, Problem};
use super::frame::{Page, complete_to};
use super::shown;
use crate::answers::status::StatusQuestion;
use crate::answers::{AnswerError, Answered, Completeness, Question};
use crate::report::Report;
use maud::{Markup, html};
use model::position::Positions;
use model::time::TimeMs;
use pipelines::clock::CLOCK_NAME;
use pipelines::deferred::DEFERRED_NAME;
use sinks::EVALUATED_NAME;

/// Names under which a run keeps positions of its own, beside those of sources.
const OF_RUN: [&str; 4] = ["lateness-gate", CLOCK_NAME, DEFERRED_NAME, EVALUATED_NAME];

/// Parts of a source whose positions are shown.
const PARTS_MAX: usize = 8;

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let run = asked.dashboard.reading.run_facts(asked.dashboard.opened, &asked.dashboard.doors);
    let Answered::Status(status) = asked.answer(Question::Status(StatusQuestion { run })).await? else {
        return Err(Problem::NoPage);
    };
    let report = Report::read(asked.reader.as_ref(), "", 0).await.map_err(AnswerError::from)?;
    let positions = asked.reader.positions().await.map_err(AnswerError::from)?;
    let read: Vec<(&String, &Positions)> =
        positions.iter().filter(|(name, _)| !OF_RUN.contains(&name.as_str())).collect();
    let uptime = i64::try_from(status.uptime_seconds).unwrap_or(i64::MAX);
    let main = html! {
        section {
            h2 { "Engine" }
            dl.facts.inline {
                dt { "State" } dd { (shown::state(&status.state)) @if status.state == "stopped" { " – these pages show its store" } }
                @if status.state != "stopped" { dt { "Runs for" } dd { (shown::seconds(uptime)) } }
                dt { "Event patterns as of" } dd { (moment(report.as_of.events)) }
                dt { "Metric patterns as of" } dd { (moment(report.as_of.metrics)) }
                @if report.as_of.is_behind { dt { "Behind" } dd { "newer rows are stored that no evaluation includes yet" } }
                @if !status.api_url.is_empty() { dt { "Services" } dd { code { (status.api_url) } } }
            }
        }
        section { h2 { "Patterns" }
            dl.facts.inline {
                dt { "Confirmed" } dd { a href="/patterns?state=confirmed" { (shown::count(report.counts.confirmed)) } }
                dt { "Candidates" } dd { a href="/patterns?state=candidate" { (shown::count(report.counts.candidates)) } " – could be chance" }
                dt { "Withdrawn" } dd { a href="/patterns?state=withdrawn" { (shown::count(report.counts.withdrawn)) } }
            }
        }
        section { h2 { "Colonies" } (colonies(&status.completeness, asked)) (shown::command(&asked.command("status"))) }
        section { h2 { "Sources" } (sources(&read)) }
        section { h2 { "Rows" } (rows(&report)) }
        section { h2 { "Refused rows" } (rejects(&report)) }
    };
    Ok(Page { title: "Reef".to_owned(), under: "/health", pickers: html! {}, main, script: None })
}

fn moment(at: Option<TimeMs>) -> Markup {
    match at {
        Some(at) => shown::time(&at.to_string()),
        None => html! { span.muted { "not evaluated yet" } },
    }
}

fn colonies(completeness: &Completeness, asked: &Asked) -> Markup {
    if completeness.colonies.is_empty() {
        return shown::empty(
            "No colony is known.",
            html! { "Add one with " code { "coral reef add-colony COLONY-ID" } ", or name files or Kafka topics as sources." },
        );
    }
    let newest_known = completeness.colonies.iter().filter_map(complete_to).max();
    let behind_ms = |colony| newest_known.zip(complete_to(colony)).map(|(newest, known)| newest - known);
    html! {
        div.wide tabindex="0" role="group" aria-label="Colonies" {
            table {
                thead { tr { th { "Colony" } th { "State" } th { "Complete to" } th { "Behind the newest" } th { "Newest event" } th { "Newest metric" } th { "Why" } } }
                tbody {
                    @for one in &completeness.colonies {
                        @let known = asked.fleet.colonies.get(&one.colony_id);
                        tr class=[(one.state != "current").then_some("behind")] {
                            td { (shown::name(&one.colony_id)) }
                            td { (shown::state(one.state)) }
                            td { @match &one.complete_to { Some(to) => (shown::time(to)), None => "–" } }
                            td {
                                @match (&one.complete_to, behind_ms(one).filter(|ms| *ms > 0)) {
                                    (Some(to), Some(ms)) => time datetime=(to) title=(to) { (shown::span(ms)) },
                                    _ => "–",
                                }
                            }
                            td { (newest(known.and_then(|colony| colony.newest_event))) }
                            td { (newest(known.and_then(|colony| colony.newest_metric))) }
                            td.why { (shown::sentence(&one.reason)) }
                        }
                    }
                }
            }
        }
    }
}

fn newest(at: Option<TimeMs>) -> Markup {
    html! { @match at { Some(at) => (shown::time(&at.to_string())), None => span.muted { "none" } } }
}

/// The sources that have committed a position, each with where it is.
fn sources(read: &[(&String, &Positions)]) -> Markup {
    if read.is_empty() {
        return shown::empty(
            "No source has committed a position.",
            html! { "Rows come from colonies, files and Kafka topics: name one in the configuration, and run the reef." },
        );
    }
    html! {
        div.wide tabindex="0" role="group" aria-label="Sources and their positions" {
            table {
                thead { tr { th { "Source" } th { "Part" } th { "Read up to" } } }
                tbody { @for (name, positions) in read { (parts(name, positions)) } }
            }
        }
        p { "All of them, in any client of the store:" }
        (shown::command("SELECT * FROM source_positions ORDER BY ALL"))
    }
}

/// The first parts of a source.
fn parts(name: &str, positions: &Positions) -> Markup {
    html! {
        @for (part, position) in positions.0.iter().take(PARTS_MAX) {
            tr { td { (shown::name(name)) } td { code { (shown::name(part)) } } td { code { (shown::name(position)) } } }
        }
        @if positions.0.is_empty() { tr { td { (shown::name(name)) } td { "–" } td { "–" } } }
        @if positions.0.len() > PARTS_MAX { tr { td { (shown::name(name)) } td colspan="2" { "and further parts" } } }
    }
}

fn rows(report: &Report) -> Markup {
    html! {
        dl.facts.inline {
            @for (table, count) in &report.totals.rows {
                dt { code { (table) } }
                dd { @match page_of(table) { Some(to) => a href=(to) { (shown::count(*count)) }, None => (shown::count(*count)) } }
            }
            dt { "late" } dd { a href="/events?range=30d" { (shown::count(report.totals.late)) } " – stored, and not correlated until a backfill" }
        }
    }
}

/// The page that shows the rows of a table, if there is one.
fn page_of(table: &str) -> Option<&'static str> {
    match table {
        "federated_events" => Some("/events?range=30d"),
        "federated_metrics" => Some("/series?range=24h"),
        "env_metric_summary" => Some("/compare?range=7d"),
        "correlations" | "correlation_evidence" | "event_correlations" => Some("/patterns?state=all"),
        "deployment_timeline" => Some("/timeline?range=30d"),
        "service_nodes" | "service_edges" => Some("/services"),
        "colony_status" | "predictions" => Some("/"),
        _ => None,
    }
}

fn rejects(report: &Report) -> Markup {
    if report.totals.rejects.is_empty() {
        return html! { p { "No row was refused." } };
    }
    html! {
        div.wide tabindex="0" role="group" aria-label="Refused rows by reason" {
            table {
                thead { tr { th { "Reason" } th.number { "Rows" } } }
                tbody {
                    @for (reason, count) in &report.totals.rejects {
                        tr { td.why { (shown::sentence(reason)) } td.number { (shown::count(*count)) } }
                    }
                }
            }
        }
        p { "Each with its place and content, in any client of the store:" }
        (shown::command("SELECT reason, place, detail FROM rejects"))
    }
}
