//! Expected: what patterns expect next, and how good one of them is at it.

use super::asked::{Asked, Problem};
use super::shown;
use crate::answers::expected::Told;
use crate::answers::part::Part;
use crate::answers::predictions::{PatternScore, Predictions, PredictionsQuestion};
use crate::answers::scores::Score;
use crate::answers::{Answered, Question};
use crate::predicted::PredictionOutcome;
use maud::{Markup, html};

/// Open predictions that the overview shows.
const OPEN_MAX: usize = 6;
/// Predictions of one pattern that its page shows.
const OF_PATTERN_MAX: usize = 20;

async fn asked_for(asked: &Asked, question: PredictionsQuestion) -> Result<Predictions, Problem> {
    match asked.answer(Question::Predictions(question)).await? {
        Answered::Predictions(answer) => Ok(answer),
        _ => Err(Problem::NoPage),
    }
}

/// Open predictions of the fleet, for the overview; nothing where no pattern has ever predicted.
pub async fn open(asked: &Asked) -> Result<Markup, Problem> {
    let part = Part { limit: Some(OPEN_MAX), cursor: None, skip: 0 };
    let question = PredictionsQuestion { filter: asked.filter(), part, ..PredictionsQuestion::default() };
    let answer = asked_for(asked, question).await?;
    if answer.pattern_count == 0 {
        return Ok(html! {});
    }
    Ok(html! {
        section {
            h2 { "Expected next" }
            @if answer.open == 0 {
                (shown::empty("Nothing is expected now.", html! {
                    "When the source of a confirmed pattern happens, its target is expected here, with when and how likely."
                }))
            } @else {
                (list(&answer.predictions.items))
                @if answer.open > OPEN_MAX { p { (shown::count(answer.open)) " are open in all:" } }
                (shown::command(&asked.filtered_command("predictions")))
            }
        }
    })
}

/// Predictions of one pattern, how they ended, and how good they were; nothing where it has never predicted.
pub async fn of_pattern(asked: &Asked, correlation_id: &str) -> Result<Markup, Problem> {
    let part = Part { limit: Some(OF_PATTERN_MAX), cursor: None, skip: 0 };
    let (outcome, pattern) = (Some("all".to_owned()), Some(correlation_id.to_owned()));
    let answer =
        asked_for(asked, PredictionsQuestion { outcome, pattern, part, ..PredictionsQuestion::default() }).await?;
    let Some(score) = answer.patterns.first() else { return Ok(html! {}) };
    Ok(html! {
        section {
            h2 { "What it predicted" }
            (goodness(score))
            @if !answer.predictions.items.is_empty() { (list(&answer.predictions.items)) }
            @if answer.predictions.total > answer.predictions.items.len() {
                p.muted { "The newest of " (shown::count(answer.predictions.total)) "." }
            }
        }
    })
}

fn list(items: &[Told]) -> Markup {
    html! {
        ul.predictions {
            @for told in items {
                li {
                    (outcome(told.line.outcome)) " "
                    a href=(shown::pattern_address(&told.line.correlation_id)) { (shown::sentence(&told.summary)) }
                }
            }
        }
    }
}

fn outcome(outcome: PredictionOutcome) -> Markup {
    match outcome {
        PredictionOutcome::Open => shown::state("pending"),
        PredictionOutcome::Hit => html! { span.state.good { span.sign aria-hidden="true" { "✓" } " came" } },
        PredictionOutcome::Miss => html! { span.state.bad { span.sign aria-hidden="true" { "✗" } " did not come" } },
        PredictionOutcome::Void => html! { span.state.none { span.sign aria-hidden="true" { "–" } " not observed" } },
    }
}

fn goodness(score: &PatternScore) -> Markup {
    html! {
        @if let Some(probability) = score.probability {
            p { "When its source happens, the target is expected with " (shown::share(probability)) "." }
        }
        @if let Some(muted) = &score.muted { p.note { "It does not predict at present: " (shown::sentence(muted)) "." } }
        @for over in &score.scores { (over_days(over)) }
    }
}

/// What the predictions of so many days were worth.
fn over_days(score: &Score) -> Markup {
    let is_undecided = score.record.hits + score.record.misses == 0;
    html! {
        p {
            "Over " (shown::count(score.days)) " days: "
            @if is_undecided { "no prediction was decided." } @else {
                (shown::count(score.record.hits)) " came true, " (shown::count(score.record.misses)) " did not"
                @if let Some(recall) = score.recall {
                    ", and " (shown::share(recall)) " of " (shown::count(score.target_count)) " targets were announced"
                }
                @if let Some(lead) = score.lead_seconds_median { ", usually " (shown::seconds(lead)) " ahead" }
                "."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicted::Record;

    #[test]
    fn a_score_states_numbers_of_the_json_and_no_other() {
        let score = Score {
            days: 30,
            record: Record { open: 1, hits: 2, misses: 5, voids: 0 },
            precision: None,
            precision_low: None,
            precision_high: None,
            target_count: 4,
            recall: Some(0.5),
            brier_score: None,
            skill: None,
            lead_seconds_median: None,
        };
        let shown = over_days(&score).into_string();
        let stated = "<data value=\"2\">2</data> came true, <data value=\"5\">5</data> did not, and ";
        assert!(shown.contains(stated), "{shown}");
        let none = Score { record: Record::default(), ..score };
        assert!(over_days(&none).into_string().contains("no prediction was decided."));
    }
}
