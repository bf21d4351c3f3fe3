//! The first page: how environments are, what was deployed last, what is known to follow from what, and what is missing.

use super::asked::{Asked, Problem};
use super::frame::{Page, Pickers};
use super::judged::judged;
use super::{expected, patterns, shown, timeline};
use crate::answers::completeness::ColonyCompleteness;
use crate::answers::correlations::{Correlations, CorrelationsQuestion};
use crate::answers::deployments::DeploymentsQuestion;
use crate::answers::health::{ColonyHealth, Health, HealthQuestion};
use crate::answers::part::Part;
use crate::answers::{Answered, Question};
use crate::printable::printable;
use maud::{Markup, html};
use std::collections::BTreeSet;

/// Deployments that are shown.
const DEPLOYMENTS_MAX: usize = 6;
/// Patterns that are shown.
const PATTERNS_MAX: usize = 6;

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let filter = asked.filter();
    let health = asked.answer(Question::Health(HealthQuestion { filter: filter.clone() })).await?;
    let part = |limit| Part { limit: Some(limit), cursor: None, skip: 0 };
    let question = CorrelationsQuestion { filter: filter.clone(), part: part(PATTERNS_MAX), ..Default::default() };
    let found = asked.answer(Question::Correlations(question)).await?;
    let question = DeploymentsQuestion { filter, part: part(DEPLOYMENTS_MAX), ..DeploymentsQuestion::default() };
    let deployed = asked.answer(Question::Deployments(question)).await?;
    let (Answered::Health(health), Answered::Correlations(found), Answered::Deployments(deployed)) =
        (health, found, deployed)
    else {
        return Err(Problem::NoPage);
    };
    let effects = judged(&deployed.deployments.items, asked).await?;
    let main = html! {
        (missing(&health))
        section { h2 { "Environments" } (environments(&health, asked)) }
        (expected::open(asked).await?)
        section {
            h2 { "Confirmed patterns" }
            (confirmed(&found, asked))
        }
        section {
            h2 { "Newest deployments" }
            @if effects.is_empty() {
                (shown::empty("No deployment is known.", html! {
                    "Events of the type deploy, deployment, release, rollout or rollback become deployments."
                }))
            } @else {
                (timeline::table(&effects, false))
                p { a href=(asked.link("/timeline")) { "All " (shown::count(deployed.deployments.total)) " deployments" } }
            }
        }
    };
    let pickers = Pickers::of(asked).environment().application().form();
    Ok(Page { title: "Overview".to_owned(), under: "/", pickers, main, script: None })
}

/// What is late, lost or was never seen.
fn missing(health: &Health) -> Markup {
    let colonies = &health.completeness.colonies;
    let missing: Vec<&ColonyCompleteness> = colonies.iter().filter(|colony| colony.state != "current").collect();
    if missing.is_empty() {
        return html! {};
    }
    html! {
        section.missing aria-label="What is missing" {
            h2 { "What is missing" }
            ul { @for one in missing { li { (shown::name(&one.colony_id)) " " (shown::state(one.state)) " – " (shown::sentence(&one.reason)) } } }
        }
    }
}

/// A card for each environment with its colonies.
fn environments(health: &Health, asked: &Asked) -> Markup {
    if health.colonies.is_empty() {
        return shown::empty(
            "No colony is known yet.",
            html! {
                "A colony is one application in one environment. Add one with " code { "coral reef add-colony COLONY-ID" }
                ", or name files or Kafka topics as sources and run the reef."
            },
        );
    }
    let names: BTreeSet<String> = health.colonies.iter().map(|colony| colony.environment.clone()).collect();
    html! {
        div.cards {
            @for environment in super::graph::in_order(names) {
                @let members: Vec<&ColonyHealth> = health.colonies.iter().filter(|one| one.environment == environment).collect();
                div.card {
                    h3 {
                        @if environment.is_empty() { "No environment" }
                        @else { a href=(asked.query.with("env", &environment).address("/services")) { (shown::name(&environment)) } }
                    }
                    // rounded down, as the command line does: 100 % only where all of them are
                    @if let Some(group) = health.environments.iter().find(|group| group.name == environment) {
                        @if let Some(percent) = group.healthy_percent {
                            p.big { (shown::data(percent, &format!("{} %", percent.floor()))) span.muted { " of " (shown::count(group.services)) " services healthy" } }
                        }
                    }
                    ul.colonies { @for one in members { li { (colony(one)) } } }
                }
            }
        }
    }
}

fn colony(one: &ColonyHealth) -> Markup {
    let title = if one.application_name.is_empty() { &one.colony_id } else { &one.application_name };
    html! {
        span.colony title=(printable(&one.colony_id)) { (shown::name(title)) }
        " " (shown::state(&one.health))
        @for service in &one.troubled { div.trouble { (shown::name(&service.service_id)) ": " (shown::name(&service.status)) } }
    }
}

fn confirmed(found: &Correlations, asked: &Asked) -> Markup {
    let listed = &found.correlations;
    if listed.items.is_empty() {
        return shown::empty(
            "Nothing is known to follow from something else yet.",
            html! {
                "A pattern is confirmed when it is beyond chance among all pairs that were tested. "
                @if found.others > 0 {
                    (shown::count(found.others)) " could still be chance or are withdrawn: "
                    a href=(asked.query.with("state", "all").address("/patterns")) { "see them" } "."
                } @else { "What has been received: " a href=(asked.link("/health")) { "Reef" } "." }
            },
        );
    }
    html! {
        (patterns::list(&listed.items))
        p { a href=(asked.link("/patterns")) { "All " (shown::count(listed.total)) " patterns, and how services hang together" } }
    }
}
