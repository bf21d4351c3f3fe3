//! The page of one analysis: the answer, its evidence, what could be done, and what was sent to a model.

use super::analyses::{self, cost, not_permitted, tokens, worded_by};
use super::asked::{Asked, Problem};
use super::frame::Page;
use super::{cited, shown};
use crate::access::Role;
use crate::analysis::journal::Record;
use crate::analysis::{Action, Analysis, RecordedEvidence};
use crate::answers::part::Part;
use crate::answers::{AnswerError, Refusal};
use crate::printable::printable;
use maud::{Markup, html};

/// What addresses of analyses begin with.
pub const PREFIX: &str = "/analyses/";
/// Of an answer that cites nothing.
const NO_EVIDENCE: &str = "Nothing was found that the answer could rest on.";

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    if asked.role < Role::Analyst {
        return Ok(not_permitted());
    }
    let id = asked.path.strip_prefix(PREFIX).unwrap_or_default();
    let kept = asked.dashboard.lately.get(id);
    let record = match asked.recorded(Some(id), &Part::default()).await {
        Ok(found) => found.items.into_iter().find(|record| record.analysis_id == id),
        // the journal cannot be written: what was answered is known nevertheless
        Err(AnswerError::Refused(_)) if kept.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    match (record, kept) {
        (Some(record), kept) => Ok(framed(of_record(&record, kept.as_deref()))),
        (None, Some(kept)) => Ok(of_answer("", &kept)),
        (None, None) => {
            let message = format!("there is no analysis {id:?}");
            Err(AnswerError::from(Refusal::not_found(message, "choose one of the list: Analyses")).into())
        }
    }
}

/// The page of an answer that is not recorded.
pub fn of_answer(question: &str, analysis: &Analysis) -> Page {
    let metadata = &analysis.metadata;
    let evidence: Vec<RecordedEvidence> = analysis.found.evidence().map(RecordedEvidence::from).collect();
    framed(html! {
        @if !question.is_empty() { p.lead { (shown::sentence(question)) } }
        dl.facts.inline {
            dt { "Worded by" } dd { (worded_by(&metadata.model_used)) }
            @if !metadata.template_reason.is_empty() { dt { "Because" } dd { (shown::sentence(&metadata.template_reason)) } }
            dt { "Tokens" } dd { (tokens(metadata.input_tokens, metadata.output_tokens)) }
            dt { "Cost" } dd { (cost(&metadata.model_used, metadata.cost_micros)) }
        }
        p.note { "This answer is not recorded: its address shows the list of those that are." }
        section { h2 { "Answer" } (text(&analysis.answer(), &evidence)) }
        section { h2 { "Evidence" }
            @if evidence.is_empty() { p { (NO_EVIDENCE) } } @else { (cited::list(&evidence, analysis.found.omitted)) }
        }
        (actions(&analysis.actions))
    })
}

fn of_record(record: &Record, kept: Option<&Analysis>) -> Markup {
    let evidence = RecordedEvidence::of(record);
    html! {
        p.lead { (shown::sentence(&record.question)) }
        (facts(record))
        section { h2 { "Answer" }
            @if record.answer.is_empty() { (shown::empty(unanswered(&record.outcome), html! { (shown::sentence(&record.reason)) })) }
            @else { (text(&record.answer, &evidence)) }
        }
        @if !record.evidence_ids.is_empty() || !record.answer.is_empty() {
            section { h2 { "Evidence" } (recorded(record, &evidence, kept.map_or(0, |kept| kept.found.omitted))) }
        }
        @if let Some(kept) = kept { (actions(&kept.actions)) }
        section { h2 { "What was sent to a model" }
            @if record.sent.is_empty() { p { "Nothing: no model was asked." } }
            @else { details #sent { summary { "As it left the reef" } (text(&record.sent, &evidence)) } }
        }
        p.muted { "Recorded as " span.id { (printable(&record.analysis_id)) } }
    }
}

fn framed(main: Markup) -> Page {
    Page { title: "Analysis".to_owned(), under: analyses::PATH, pickers: html! {}, main, script: None }
}

/// Why there is no answer, by the outcome.
fn unanswered(outcome: &str) -> &'static str {
    match outcome {
        "failed" => "The question has no answer.",
        "cancelled" => "The question was given up before it was answered.",
        "interrupted" => "Its process ended before it was answered.",
        _ => "It has not been answered yet.",
    }
}

fn facts(record: &Record) -> Markup {
    let took_ms = i64::try_from(record.took_ms).unwrap_or(i64::MAX);
    html! {
        dl.facts.inline {
            dt { "Outcome" } dd { (shown::state(&record.outcome)) }
            dt { "Asked" } dd {
                (shown::time(&record.asked_at)) " by " (shown::name_or_dash(&record.caller))
                @if !record.role.is_empty() { " (" (shown::name(&record.role)) ")" }
            }
            dt { "Took" } dd { (shown::data(record.took_ms, &shown::span(took_ms))) }
            dt { "Worded by" } dd { (worded_by(&record.model_used)) }
            @if !record.reason.is_empty() && !record.answer.is_empty() { dt { "Because" } dd { (shown::sentence(&record.reason)) } }
            dt { "Tokens" } dd {
                (tokens(record.input_tokens, record.output_tokens))
                @if record.tokens_estimated { " – some of them estimated: a model stated none" }
            }
            dt { "Cost" } dd { (cost(&record.model_used, record.cost_micros)) }
            @if record.sentences_dropped > 0 {
                dt { "Dropped" } dd { (shown::count(record.sentences_dropped)) " sentences of the model that did not follow from their evidence" }
            }
        }
    }
}

/// A text of several lines that cites evidence.
fn text(text: &str, evidence: &[RecordedEvidence]) -> Markup {
    html! { div.answer tabindex="0" { @for line in text.lines() { (cited::referring(line, evidence)) "\n" } } }
}

/// What an answer rested on when it was made: the store may have changed since.
fn recorded(record: &Record, evidence: &[RecordedEvidence], omitted: usize) -> Markup {
    let left_out = record.evidence_ids.get(evidence.len()..).unwrap_or_default();
    html! {
        @if record.evidence_ids.is_empty() {
            p { (NO_EVIDENCE) }
        } @else if evidence.is_empty() {
            p {
                "It rested on " (shown::count(record.evidence_ids.len())) " pieces of evidence, of which the ids alone were recorded. \
                 Ask the question again to see what the store has now."
            }
        } @else {
            (cited::list(evidence, omitted))
            @if !left_out.is_empty() { p.muted { "Too long to be recorded: " (printable(&left_out.join(", "))) } }
        }
    }
}

/// What could be done. Commands only read; nothing here is run.
fn actions(actions: &[Action]) -> Markup {
    if actions.is_empty() {
        return html! {};
    }
    html! {
        section { h2 { "What could be done" }
            ul.actions {
                @for one in actions {
                    li {
                        (shown::sentence(&one.description))
                        @if one.requires_approval { " " span.muted { "– changes something: a person decides, and does it elsewhere" } }
                        @if !one.command.is_empty() { (shown::command(&printable(&one.command))) }
                    }
                }
            }
        }
    }
}
