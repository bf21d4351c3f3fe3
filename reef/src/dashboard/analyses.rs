//! The page of analyses: the questions in words that were asked, and the form that asks another one.

use super::asked::{Asked, Problem, RANGES};
use super::frame::Page;
use super::shown;
use crate::access::Role;
use crate::analysis::journal::{Record, TOTAL_MAX};
use crate::answers::part::{Listed, Part};
use crate::printable::shortened;
use maud::{Markup, html};

/// Where it is.
pub const PATH: &str = "/analyses";
/// Analyses of a page.
const LIMIT: usize = 50;
/// Longest question, as the analyst has it.
const QUESTION_MAX: usize = 2_000;
/// Characters of a question in the list.
const SHOWN_MAX: usize = 160;

/// Whether an address is that of the list, or of one analysis.
pub fn is_under(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Why a question was not answered.
pub struct Unanswered {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    if asked.role < Role::Analyst {
        return Ok(not_permitted());
    }
    let part = Part { limit: Some(LIMIT), cursor: asked.query.text("cursor"), skip: 0 };
    let listed = asked.recorded(None, &part).await?;
    let main = html! {
        (form(asked))
        section { h2 { "Asked before" } (list(&listed)) }
        @if let Some(cursor) = &listed.next_cursor { p { a.button href=(asked.here_with("cursor", cursor)) { "Older analyses" } } }
        (shown::command(&asked.command("analyze 'why is production slower than staging?'")))
    };
    Ok(framed(main))
}

/// The form, with what is wrong with the question that was sent.
pub fn again(asked: &Asked, unanswered: &Unanswered) -> Page {
    framed(html! {
        p.note role="alert" { strong { (shown::sentence(&unanswered.what)) } " – " (shown::sentence(&unanswered.hint)) }
        (form(asked))
        p { a href=(PATH) { "What was asked before" } }
    })
}

/// The page of a caller who may read only: what others asked may have cost money, and names what they look for.
pub fn not_permitted() -> Page {
    framed(shown::empty(
        "Your token may read what is stored, and not ask: a question may spend tokens of a language model.",
        html! {
            "Questions and their answers are for the role analyst. An administrator of the reef creates such a token: "
            code { "coral reef token create --role analyst" } ". Then log out, and log in with it."
        },
    ))
}

fn framed(main: Markup) -> Page {
    Page { title: "Analyses".to_owned(), under: PATH, pickers: html! {}, main, script: None }
}

/// The form that asks. What was typed stays where it is refused.
fn form(asked: &Asked) -> Markup {
    let (question, range) = (asked.query.get("question").unwrap_or_default(), asked.query.get("range"));
    html! {
        form.ask method="post" action=(PATH) {
            label.words { span { "Ask in words" }
                textarea name="question" rows="3" maxlength=(QUESTION_MAX) required placeholder="why is production slower than staging?" { (question) }
            }
            label { span { "Range" }
                select name="range" {
                    option value="" { "as the question says" }
                    @for (value, _, words) in RANGES { option value=(value) selected[range == Some(value)] { (words) } }
                }
            }
            button type="submit" { "Ask" }
        }
        p.muted {
            "The answer is made of what the engine found, each line with its evidence. A language model, where one is configured \
             (ai.llm), only words it; what was sent to it is on the page of the answer. Without one a template words it."
        }
    }
}

fn list(listed: &Listed<Record>) -> Markup {
    if listed.items.is_empty() {
        return shown::empty(
            "No question is recorded.",
            html! {
                "Ask one above, by " code { "coral reef analyze" } ", by RPC or with an MCP client: each is recorded with its \
                 answer, its evidence and what it cost (" code { "ai.journal_file" } ")."
            },
        );
    }
    html! {
        p.muted {
            @if listed.truncated { (shown::count(listed.items.len())) " of " }
            (shown::count(listed.total)) @if listed.total >= TOTAL_MAX { " or more" } " questions, the newest first"
        }
        div.wide tabindex="0" role="group" aria-label="Analyses" {
            table {
                thead { tr {
                    th { "When" } th { "Who" } th { "Question" } th { "Outcome" } th { "Worded by" } th.number { "Tokens" } th.number { "Cost" }
                } }
                tbody { @for one in &listed.items { (row(one)) } }
            }
        }
    }
}

fn row(one: &Record) -> Markup {
    html! {
        tr {
            td { (shown::time(&one.asked_at)) }
            td { (shown::name_or_dash(&one.caller)) }
            td.why { a href=(of(&one.analysis_id)) title=(shortened(&one.question, QUESTION_MAX)) {
                @if one.question.trim().is_empty() { "(without words)" } @else { (shortened(&one.question, SHOWN_MAX)) }
            } }
            td { (shown::state(&one.outcome)) }
            td { (worded_by(&one.model_used)) }
            td.number { (tokens(one.input_tokens, one.output_tokens)) }
            td.number { (cost(&one.model_used, one.cost_micros)) }
        }
    }
}

/// The address of an analysis.
pub fn of(analysis_id: &str) -> String {
    format!("{PATH}/{analysis_id}")
}

/// Who worded an answer.
pub fn worded_by(model: &str) -> Markup {
    html! { @if model.is_empty() { span.muted { "the template" } } @else { (shown::name(model)) } }
}

/// The tokens of models, in and out; a dash where none was asked.
pub fn tokens(input: u32, output: u32) -> Markup {
    html! {
        @if input == 0 && output == 0 { span.muted { "–" } }
        @else { (shown::count(input)) " in, " (shown::count(output)) " out" }
    }
}

/// What models cost, in US dollars; a dash where none was asked.
pub fn cost(model: &str, micros: Option<u64>) -> Markup {
    html! {
        @match micros {
            Some(0) if model.is_empty() => span.muted { "–" },
            Some(micros) => {
                @let dollars = micros as f64 / 1e6;
                (shown::data(dollars, &format!("${dollars:.4}")))
            },
            None => "not known",
        }
    }
}
