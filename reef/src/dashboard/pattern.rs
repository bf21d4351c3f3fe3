//! The page of one pattern: its sentence, the rows behind it, how the lags spread, and how to ask for it in a terminal.

use super::asked::{Asked, Problem};
use super::frame::Page;
use super::query::address;
use super::words::End;
use super::{expected, histogram, revisions, shown, words};
use crate::answers::correlations::CorrelationQuestion;
use crate::answers::{Answered, Question};
use crate::report::PatternLine;
use crate::show::EvidenceLine;
use maud::{Markup, html};

/// Rows that are shown: the newest.
const ROWS_MAX: usize = 200;

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let id = asked.query.text("id").unwrap_or_default();
    let Answered::Correlation(answer) = asked.answer(Question::Correlation(CorrelationQuestion { id })).await? else {
        return Err(Problem::NoPage);
    };
    let (line, evidence) = (&answer.traced.pattern, &answer.traced.evidence);
    let id = line.correlation_id.as_str();
    let main = html! {
        p.lead { (words::sentence(line)) }
        p {
            (shown::state(line.state)) " · confidence " (shown::confidence(line.confidence)) " · first seen "
            (shown::time(&line.first_observed)) ", last " (shown::time(&line.last_observed))
        }
        @if let Some(reason) = words::reason(line) { p.note { (shown::sentence(&reason)) } }
        @if let Some(until) = &line.open_until {
            @if line.open_count > 0 {
                p.note {
                    (shown::count(line.open_count)) " more cases are open: each counts as followed or not by " (shown::time(until))
                    " at the latest."
                }
            }
        }
        (ways(line, asked))
        details #statistics { summary { "What the statistics say" } (words::statistics(line)) }
        (expected::of_pattern(asked, id).await?)
        section {
            h2 { "How long it took" }
            (histogram::drawn(evidence))
        }
        section {
            h2 { "The rows behind it" }
            (rows(line, evidence))
        }
        (revisions::history(&answer))
        section {
            h2 { "The same elsewhere" }
            p { "In a terminal:" }
            (shown::command(&asked.command(&format!("correlation {}", shown::quoted(id)))))
            p { "In any DuckDB or ClickHouse client:" }
            (shown::command(&query(id)))
        }
    };
    Ok(Page { title: "Pattern".to_owned(), under: "/patterns", pickers: html! {}, main, script: None })
}

/// The query of the rows that the page lists, for people to copy; it is not run here.
fn query(id: &str) -> String {
    let id = id.replace('\'', "''");
    let end = "' AND role <> 'lag' ORDER BY source_timestamp";
    ["SELECT * FROM correlation_evidence WHERE correlation_id = '", &id, end].concat()
}

/// Where to look next.
fn ways(line: &PatternLine, asked: &Asked) -> Markup {
    let (a, b) = (line.source_environment.as_str(), line.target_environment.as_str());
    let application =
        if line.source_application == line.target_application { line.source_application.as_str() } else { "" };
    let metric = if line.source_kind == "metric" { line.target_signal.as_str() } else { "" };
    let fields =
        [("a", a), ("b", b), ("app", application), ("metric", metric), ("pattern", line.correlation_id.as_str())];
    html! {
        @if !a.is_empty() && !b.is_empty() && a != b {
            p { a.button href=(address("/compare", &fields)) { "See both environments side by side" } }
        }
        @if let Some(other) = &line.part_of {
            p { "It follows from a more specific pattern: " a href=(shown::pattern_address(other)) { (other) } }
        }
        @if asked.fleet.colonies.is_empty() { p.muted { "No colony is known." } }
    }
}

fn rows(line: &PatternLine, evidence: &[EvidenceLine]) -> Markup {
    if evidence.is_empty() {
        return shown::empty(
            "No rows behind it are stored.",
            html! { "They are stored when the pattern is evaluated again." },
        );
    }
    let is_event = |kind: &str| kind == "event";
    let reference = |is_source: bool, text: &str, at: &str| {
        let end = if is_source { End::source(line) } else { End::target(line) };
        let to = match is_event(if is_source { line.source_kind } else { line.target_kind }) {
            true => shown::events_address(end.colony_id, at),
            false => shown::series_address([end.colony_id, end.service, end.signal], at),
        };
        html! { a href=(to) { (shown::name(text)) } }
    };
    let left_out = evidence.len().saturating_sub(ROWS_MAX);
    html! {
        @if left_out > 0 { p.muted { "The newest " (shown::count(ROWS_MAX)) " of " (shown::count(evidence.len())) "; all: --json" } }
        div.wide tabindex="0" role="group" aria-label="Rows behind the pattern" {
            table {
                thead { tr { th { "Source" } th { "When" } th.number { "Later" } th { "Target" } th { "When" } th.number { "Share of the score" } } }
                tbody {
                    @for row in evidence.iter().rev().take(ROWS_MAX) {
                        tr {
                            td { (reference(true, &row.source_ref, &row.source_timestamp)) }
                            td { (shown::time(&row.source_timestamp)) }
                            td.number { (shown::data(row.lag_ms, &shown::span(row.lag_ms))) }
                            td { (reference(false, &row.target_ref, &row.target_timestamp)) }
                            td { (shown::time(&row.target_timestamp)) }
                            td.number { (shown::share(row.weight)) }
                        }
                    }
                }
            }
        }
    }
}
