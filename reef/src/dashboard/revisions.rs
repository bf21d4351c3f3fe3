//! Revisions: what the reef held to be true of a pattern, since when, and which events changed it.

use super::shown;
use crate::answers::correlations::OneCorrelation;
use crate::answers::revisions::RevisionLine;
use maud::{Markup, html};

/// Events of a revision that are named.
const NAMED_MAX: usize = 4;

/// The history of a pattern; nothing without revisions.
pub fn history(answer: &OneCorrelation) -> Markup {
    if answer.revisions.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "What the reef held to be true" }
            @if answer.revision_count > answer.revisions.len() {
                p.muted { "The newest of " (shown::count(answer.revision_count)) " changes." }
            }
            div.wide tabindex="0" role="group" aria-label="Changes of the pattern" {
                table {
                    thead { tr { th { "Since" } th { "State" } th.number { "Confidence" } th.number { "Lag" } th.number { "Times" } th { "Because of" } } }
                    tbody { @for line in &answer.revisions { (row(line)) } }
                }
            }
        }
    }
}

fn row(line: &RevisionLine) -> Markup {
    html! {
        tr {
            td { (shown::time(&line.learnt_at)) }
            td { @if line.is_listed { (shown::state(line.state)) } @else { "no longer listed" } }
            td.number { (shown::share(line.confidence)) }
            td.number { (shown::seconds(line.lag_seconds)) }
            td.number { (shown::count(line.occurrence_count)) }
            td { (causes(line)) }
        }
    }
}

fn causes(line: &RevisionLine) -> Markup {
    html! {
        @match line.caused_count {
            None => span.muted { "events that are not known any more" },
            Some(0) => span.muted { "no event of its own: the chance level moved" },
            Some(count) => {
                @for (place, event) in line.caused_by.iter().take(NAMED_MAX).enumerate() {
                    @if place > 0 { ", " }
                    (shown::name(event))
                }
                @if count as usize > NAMED_MAX { " and more, " (shown::count(count)) " in all" }
            }
        }
    }
}
