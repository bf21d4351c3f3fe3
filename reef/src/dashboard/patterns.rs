//! The page of patterns: how services of environments hang together, and the list.

use super::asked::{Asked, Problem};
use super::frame::{Page, Pickers};
use super::{graph, shown, words};
use crate::answers::correlations::CorrelationsQuestion;
use crate::answers::part::Part;
use crate::answers::{Answered, Question};
use crate::report::PatternLine;
use maud::{Markup, html};

/// Patterns of a page.
const LIMIT: usize = 100;
const STATES: [(&str, &str); 4] = [
    ("confirmed", "confirmed"),
    ("candidate", "candidates: could be chance"),
    ("withdrawn", "withdrawn"),
    ("all", "all"),
];

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let state = asked.query.get("state").unwrap_or("confirmed").to_owned();
    let part = Part { limit: Some(LIMIT), cursor: asked.query.text("cursor"), skip: 0 };
    let question = CorrelationsQuestion { filter: asked.filter(), state: Some(state.clone()), as_of: None, part };
    let Answered::Correlations(answer) = asked.answer(Question::Correlations(question)).await? else {
        return Err(Problem::NoPage);
    };
    let states = STATES.map(|(value, words)| (value.to_owned(), words.to_owned()));
    let pickers =
        Pickers::of(asked).choice(("state", "State"), None, &state, states).environment().application().form();
    let listed = &answer.correlations;
    let main = html! {
        @if listed.items.is_empty() {
            (empty(&state, answer.others, asked))
        } @else {
            section aria-label="Graph" {
                (graph::drawn(&listed.items))
                p.legend { "An arrow leads from what happened first to what followed, with the usual lag and the confidence." }
            }
            h2 {
                @if listed.truncated { (shown::count(listed.items.len())) " of " }
                (shown::count(listed.total)) " " (if state == "all" { "" } else { state.as_str() }) " patterns, best first"
            }
            (list(&listed.items))
            @if let Some(cursor) = &listed.next_cursor {
                p { a.button href=(asked.here_with("cursor", cursor)) { "More patterns" } }
            }
            @if answer.others > 0 && state != "all" {
                p.muted { (shown::count(answer.others)) " of other states: " a href=(asked.here_with("state", "all")) { "show all" } }
            }
        }
        (shown::command(&asked.filtered_command(&format!("correlations --state {}", shown::quoted(&state)))))
    };
    Ok(Page { title: "Patterns".to_owned(), under: "/patterns", pickers, main, script: None })
}

/// Patterns, each with its sentence, and what their confidence means.
pub fn list(lines: &[PatternLine]) -> Markup {
    html! {
        ol.patterns { @for line in lines { li { (item(line)) } } }
        p.legend { "Confidence: of all patterns that are at least this sure, so many are expected to be real." }
    }
}

/// A pattern in a list.
fn item(line: &PatternLine) -> Markup {
    html! {
        article.pattern {
            p { a.sentence href=(shown::pattern_address(&line.correlation_id)) { (words::sentence(line)) } }
            p.muted {
                (shown::state(line.state)) " · confidence " (shown::confidence(line.confidence)) " · last seen "
                (shown::time(&line.last_observed)) " · " span.id { (line.correlation_id) }
                @if let Some(reason) = words::reason(line) { " · " (shown::sentence(&reason)) }
            }
        }
    }
}

fn empty(state: &str, others: usize, asked: &Asked) -> Markup {
    if others > 0 {
        return shown::empty(
            "No pattern of this state has an end there.",
            html! {
                (shown::count(others)) " have another state. What was seen and could still be chance is a candidate: "
                a href=(asked.here_with("state", "all")) { "show all" } "."
            },
        );
    }
    if state != "all" && asked.fleet.colonies.len() < 2 {
        return shown::empty(
            "Patterns are between colonies, and fewer than two are known.",
            html! { "Add another one: " code { "coral reef add-colony COLONY-ID" } },
        );
    }
    shown::empty(
        "No pattern has been seen.",
        html! {
            "Something in one colony must be followed by something in another at least min_occurrences times (3 if not set) \
             within max_lag. How many rows there are: " a href=(asked.link("/health")) { "Reef" } "."
        },
    )
}
