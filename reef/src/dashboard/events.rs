//! The page of events: the rows behind what other pages say.

use super::asked::{Asked, Problem};
use super::frame::{Page, Pickers};
use super::shown;
use crate::answers::events::{EventLine, EventsQuestion};
use crate::answers::part::Part;
use crate::answers::{Answered, Question};
use crate::printable::printable;
use maud::{Markup, html};

/// The range without a choice.
const USUAL: &str = "24h";
/// Events of a page.
const LIMIT: usize = 100;
/// Details of an event that are shown.
const METADATA_MAX: usize = 30;

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let question = EventsQuestion {
        filter: asked.filter(),
        event_types: asked.query.text("type").into_iter().collect(),
        severity: asked.query.text("severity"),
        range: asked.range(USUAL),
        part: Part { limit: Some(LIMIT), cursor: asked.query.text("cursor"), skip: 0 },
    };
    let Answered::Events(answer) = asked.answer(Question::Events(question)).await? else {
        return Err(Problem::NoPage);
    };
    let severity = asked.query.text("severity").unwrap_or_default();
    let severities = ["info", "warning", "error", "critical"].map(|word| (word.to_owned(), format!("{word} or worse")));
    let pickers = Pickers::of(asked)
        .range(USUAL)
        .environment()
        .application()
        .choice(("severity", "Severity"), Some("any"), &severity, severities)
        .form();
    let listed = &answer.events;
    let main = html! {
        @if let Some(range) = answer.range {
            p.muted {
                (shown::count(listed.total)) " events from " (shown::time(&range.from.to_string())) " to "
                (shown::time(&range.to.to_string())) ", the newest first"
            }
        }
        @if listed.items.is_empty() {
            (shown::empty("No event is in this range.", html! {
                a href=(asked.here_with("range", "30d")) { "Look back 30 days" } ", or see what is received: "
                a href=(asked.link("/health")) { "Reef" } "."
            }))
        } @else {
            div.wide tabindex="0" role="group" aria-label="Events" {
                table {
                    thead { tr { th { "When" } th { "Type" } th { "Service" } th { "Colony" } th { "Severity" } th { "What" } } }
                    tbody { @for line in &listed.items { (row(line)) } }
                }
            }
        }
        @if let Some(cursor) = &listed.next_cursor { p { a.button href=(asked.here_with("cursor", cursor)) { "Older events" } } }
    };
    Ok(Page { title: "Events".to_owned(), under: "/timeline", pickers, main, script: None })
}

fn row(line: &EventLine) -> Markup {
    let event = &line.event;
    html! {
        tr {
            td { (shown::time(&event.timestamp.to_string())) }
            td { (shown::name(&event.event_type)) @if line.is_late { " " (shown::state("late")) } }
            td { (shown::name_or_dash(&event.service_id)) }
            td { (shown::name(&event.colony_id)) }
            td { (event.severity.as_str()) }
            td {
                (shown::name(&event.description))
                details.inline data-key={ "row " (event.colony_id) " " (event.event_id) } { summary { "row" }
                    dl.facts {
                        @if !event.description.is_empty() { dt { "description" } dd { (shown::sentence(&event.description)) } }
                        dt { "event_id" } dd { (printable(&event.event_id)) }
                        @for (name, value) in event.metadata.iter().take(METADATA_MAX) { dt { (printable(name)) } dd { (printable(value)) } }
                    }
                }
            }
        }
    }
}
