//! The page of services: which version runs where, whom the last change affected, and who calls whom.

use super::asked::{Asked, Problem};
use super::deployment::neighbours;
use super::frame::{Page, Pickers};
use super::graph::in_order;
use super::query::address;
use super::shown;
use crate::answers::affected::AffectedQuestion;
use crate::answers::deployments::DeploymentsQuestion;
use crate::answers::part::Part;
use crate::answers::topology::{Topology, TopologyQuestion};
use crate::answers::versions::{ServiceVersion, Versions, VersionsQuestion};
use crate::answers::{Answered, DeploymentLine, Question};
use crate::printable::printable;
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of each table.
const ROWS_MAX: usize = 300;
/// Deployments among which the last one is looked for that made something worse.
const LOOKED_AT_MAX: usize = 50;

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let behind = asked.query.get("show") == Some("behind");
    let versions = Question::Versions(VersionsQuestion { filter: asked.filter(), behind });
    let (Answered::Versions(versions), Answered::Topology(topology)) = (
        asked.answer(versions).await?,
        asked.answer(Question::Topology(TopologyQuestion { filter: asked.filter() })).await?,
    ) else {
        return Err(Problem::NoPage);
    };
    let choices = [("all", "all services"), ("behind", "only those that are behind or differ")];
    let choices = choices.map(|(value, words)| (value.to_owned(), words.to_owned()));
    let shows = if behind { "behind" } else { "all" };
    let pickers = Pickers::of(asked).environment().application().choice(("show", "Show"), None, shows, choices).form();
    let main = html! {
        section { h2 { "Versions" } (matrix(&versions, behind)) (shown::command(&asked.filtered_command(if behind { "versions --behind" } else { "versions" }))) }
        section { h2 { "Affected and not affected" } (effects(asked).await?) }
        section { h2 { "Calls" } (calls(&topology)) (shown::command(&asked.filtered_command("topology"))) }
    };
    Ok(Page { title: "Services".to_owned(), under: "/services", pickers, main, script: None })
}

/// Whom the last deployment affected that made something worse, or else the last one.
async fn effects(asked: &Asked) -> Result<Markup, Problem> {
    let part = Part { limit: Some(LOOKED_AT_MAX), cursor: None, skip: 0 };
    let question = DeploymentsQuestion { filter: asked.filter(), part, ..DeploymentsQuestion::default() };
    let Answered::Deployments(list) = asked.answer(Question::Deployments(question)).await? else {
        return Err(Problem::NoPage);
    };
    let lines = &list.deployments.items;
    let is_bad = |line: &&DeploymentLine| matches!(line.verdict.as_deref(), Some("degraded" | "failed"));
    let Some(line) = lines.iter().find(is_bad).or(lines.first()) else {
        return Ok(shown::empty(
            "No deployment is known.",
            html! { "Events of the type deploy, deployment, release, rollout or rollback become deployments." },
        ));
    };
    let id = format!("{}/{}", line.colony_id, line.deployment_id);
    let Answered::Affected(answer) = asked.answer(Question::Affected(AffectedQuestion { id: id.clone() })).await?
    else {
        return Err(Problem::NoPage);
    };
    Ok(html! {
        p {
            "By " a href=(shown::deployment_address(&line.colony_id, &line.deployment_id)) { (shown::name_or_dash(&line.service_id)) " " (shown::name(&line.shown_versions())) }
            " in " (shown::name(&line.colony_id)) ", deployed " (shown::time(&line.started_at)) ": " (shown::sentence(&answer.summary)) "."
        }
        (neighbours("Affected", &answer.affected))
        (neighbours("Not affected", &answer.not_affected))
        (neighbours("Not known", &answer.not_known))
        p.muted { "The page of each deployment has its own: " a href=(asked.link("/timeline")) { "Timeline" } "." }
        (shown::command(&asked.command(&format!("affected {}", shown::quoted(&id)))))
    })
}

/// A row for each service, a column for each environment.
fn matrix(versions: &Versions, behind: bool) -> Markup {
    if versions.services.is_empty() {
        return match behind {
            true => html! { p { "Every service runs its newest version everywhere." } },
            false => shown::empty(
                "No version is known.",
                html! { "Versions come from deployments and from the topology that colonies report: send events of the type deploy." },
            ),
        };
    }
    let environments = in_order(versions.services.iter().map(|one| one.environment.clone()).collect());
    let mut rows: BTreeMap<(&str, &str), BTreeMap<&str, Vec<&ServiceVersion>>> = BTreeMap::new();
    for one in &versions.services {
        let row = rows.entry((&one.application_name, &one.service_id)).or_default();
        row.entry(&one.environment).or_default().push(one);
    }
    html! {
        div.wide tabindex="0" role="group" aria-label="Versions by service and environment" {
            table.matrix {
                thead { tr { th { "Application" } th { "Service" } @for name in &environments { th { (shown::name_or_dash(name)) } } } }
                tbody {
                    @for ((application, service), cells) in rows.iter().take(ROWS_MAX) {
                        tr {
                            td { (shown::name_or_dash(application)) }
                            th scope="row" { (shown::name_or_dash(service)) }
                            @for environment in &environments {
                                td { @for one in cells.get(environment.as_str()).into_iter().flatten() { (cell(one)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(one: &ServiceVersion) -> Markup {
    let fields = [("colony", one.colony_id.as_str()), ("service", one.service_id.as_str()), ("range", "30d")];
    let history = address("/timeline", &fields);
    html! {
        div.version.(one.standing) {
            a href=(history) { (shown::name(&crate::answers::page::short_version(&one.version))) }
            @if one.standing != "only" { " " (shown::state(one.standing)) }
            @if let Some(since) = &one.since { div.muted { "since " (shown::time(since)) } }
        }
    }
}

fn calls(topology: &Topology) -> Markup {
    if topology.connections.is_empty() {
        return shown::empty(
            "No calls are known.",
            html! { "Colonies report them with their topology; files and Kafka have none." },
        );
    }
    let colonies: BTreeSet<&String> = topology.connections.iter().map(|call| &call.colony_id).collect();
    html! {
        @for colony in colonies {
            h3 { (shown::name(colony)) }
            div.wide tabindex="0" role="group" aria-label={ "Calls in " (printable(colony)) } {
                table {
                    thead { tr { th { "From" } th { "To" } th { "Protocol" } th.number { "Requests" } th { "Last seen" } } }
                    tbody {
                        @for call in topology.connections.iter().filter(|call| call.colony_id == *colony).take(ROWS_MAX) {
                            tr {
                                td { a href=(address("/series", &[("colony", call.colony_id.as_str()), ("service", call.from_service.as_str())])) { (shown::name(&call.from_service)) } }
                                td { (shown::name(&call.to_service)) }
                                td { (shown::name_or_dash(&call.protocol)) }
                                td.number { (shown::count(call.request_count)) }
                                td { (shown::time(&call.last_seen_at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
