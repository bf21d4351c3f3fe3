//! The page of deployments over the fleet: in lanes, ordered by time or by effect.

use super::asked::{Asked, Problem};
use super::frame::{Page, Pickers};
use super::judged::judged;
use super::{lanes, shown};
use crate::answers::DeploymentLine;
use crate::answers::deployment::Deployment;
use crate::answers::deployments::{Order, rank, within};
use crate::answers::range::{Range, TIME_MIN};
use crate::impact::Verdict;
use maud::{Markup, html};
use std::sync::Arc;

/// The range without a choice.
const USUAL: &str = "7d";
/// Deployments whose effect is worked out for a page.
const JUDGED_MAX: usize = 40;
/// Deployments of the picture.
const DRAWN_MAX: usize = 1_000;

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let by_effect = asked.query.get("order") == Some("effect");
    let range = asked.times(USUAL)?;
    // where nothing has been received, no deployment is known either
    let whole = range.unwrap_or(Range { from: TIME_MIN, to: TIME_MIN });
    let choice = (if by_effect { Order::Effect } else { Order::Time }, DRAWN_MAX);
    let (answer, known) = within((&asked.filter(), whole), choice, asked.reader.as_ref(), asked.scope()).await?;
    let listed = &answer.deployments;
    let lines: Vec<&DeploymentLine> = listed.items.iter().collect();
    let orders = [("time", "time"), ("effect", "effect")].map(|(value, words)| (value.to_owned(), words.to_owned()));
    let order = if by_effect { "effect" } else { "time" };
    let pickers = Pickers::of(asked)
        .range(USUAL)
        .environment()
        .application()
        .choice(("order", "Order by"), None, order, orders)
        .form();
    // by effect: of all in the range, by what is stored
    let effects = judged(&listed.items[..listed.items.len().min(JUDGED_MAX)], asked).await?;
    let verdict = |line: &DeploymentLine| {
        let of_line = |one: &&Arc<Deployment>| is_same(&one.deployment, line);
        let judged = || effects.iter().find(of_line).map(|one| one.impact.metrics.verdict.as_str().to_owned());
        line.verdict.clone().or_else(judged).unwrap_or_else(|| Verdict::Pending.as_str().to_owned())
    };
    let main = html! {
        @match range {
            Some(range) if !lines.is_empty() => {
                (lanes::drawn(&lines, range, verdict))
                p.legend {
                    (shown::state("success")) " nothing got worse " (shown::state("degraded")) " something got worse "
                    (shown::state("failed")) " something that matters got much worse " (shown::state("pending")) " too little is known"
                }
                section {
                    h2 { (if by_effect { "Deployments, the greatest effect first" } else { "Deployments, the newest first" }) }
                    (table(&effects, by_effect))
                    @if listed.total > JUDGED_MAX { (first_of(JUDGED_MAX, listed.total, ("in the list", by_effect))) }
                    @if listed.truncated { (first_of(DRAWN_MAX, listed.total, ("in the picture", by_effect))) }
                }
            },
            _ => (empty(known, asked)),
        }
        (shown::command(&asked.filtered_command(if by_effect { "deployments --order effect" } else { "deployments" })))
    };
    Ok(Page { title: "Timeline".to_owned(), under: "/timeline", pickers, main, script: None })
}

/// How many of the range are shown, and where.
fn first_of(most: usize, total: usize, (place, by_effect): (&str, bool)) -> Markup {
    html! {
        p.muted {
            "The " (shown::count(most)) (if by_effect { " with the worst verdicts" } else { " newest" }) " of " (shown::count(total))
            " of the range are " (place) "; choose a shorter range or an environment for the others."
        }
    }
}

fn is_same(a: &DeploymentLine, b: &DeploymentLine) -> bool {
    a.colony_id == b.colony_id && a.deployment_id == b.deployment_id
}

/// Deployments with their effects.
pub fn table(effects: &[Arc<Deployment>], by_effect: bool) -> Markup {
    let mut rows: Vec<&Arc<Deployment>> = effects.iter().collect();
    if by_effect {
        // those without a stored verdict are judged by now; equals stay in their order
        rows.sort_by_key(|one| rank(Some(one.impact.metrics.verdict), one.impact.metrics.impact_score));
    }
    html! {
        div.wide tabindex="0" role="group" aria-label="Deployments with their effects" {
            table {
                thead { tr { th { "Started" } th { "Service" } th { "Environment" } th { "Version" } th { "Verdict" } th { "Why" } th.number { "Incidents" } } }
                tbody { @for one in rows { (row(one)) } }
            }
        }
    }
}

fn row(one: &Deployment) -> Markup {
    let line = &one.deployment;
    let place = if line.environment.is_empty() { &line.colony_id } else { &line.environment };
    html! {
        tr {
            td { (shown::time(&line.started_at)) }
            td { a href=(shown::deployment_address(&line.colony_id, &line.deployment_id)) { (shown::name_or_dash(&line.service_id)) } }
            td { (shown::name(place)) }
            td { (shown::name(&line.shown_versions())) }
            td { (shown::state(one.impact.metrics.verdict.as_str())) }
            td.why { (shown::sentence(&one.impact.metrics.verdict_reason)) }
            td.number { (shown::count(one.impact.incidents_total)) }
        }
    }
}

fn empty(total: usize, asked: &Asked) -> Markup {
    if total > 0 {
        return shown::empty(
            "No deployment began in this range.",
            html! { "There are " (shown::count(total)) " in all: " a href=(asked.here_with("range", "30d")) { "look back 30 days" } "." },
        );
    }
    shown::empty(
        "No deployment is known.",
        html! {
            "Send an event of the type deploy, deployment, release, rollout or rollback with the version in its metadata, for \
             example with " code { "coral colony import" } ". A version that changes in the topology of a colony counts as well."
        },
    )
}
