//! The page of one deployment: what it changed, with the number of points and an interval, and what followed it.

use super::asked::{Asked, Problem};
use super::frame::Page;
use super::query::address;
use super::shown;
use crate::answers::affected::{AffectedQuestion, Judged, Relation};
use crate::answers::deployment::{Deployment, DeploymentQuestion, Incident};
use crate::answers::{Answered, DeploymentLine, Question};
use crate::impact::MetricImpact;
use maud::{Markup, html};
use model::time::HOUR_MS;

/// Rows of each table.
const ROWS_MAX: usize = 30;
/// How much before its start and after its end the points of a metric are shown.
const AROUND_MS: i64 = 6 * HOUR_MS;

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let id = asked.query.text("id").unwrap_or_default();
    let question = DeploymentQuestion { id: id.clone() };
    let Answered::Deployment(answer) = asked.answer(Question::Deployment(question)).await? else {
        return Err(Problem::NoPage);
    };
    let whole = format!("{}/{}", answer.deployment.colony_id, answer.deployment.deployment_id);
    let affected = asked.answer(Question::Affected(AffectedQuestion { id: whole.clone() })).await?;
    let line = &answer.deployment;
    let main = html! {
        p.lead { (shown::sentence(&answer.summary)) "." }
        (facts(&answer))
        section {
            h2 { "What changed" }
            (changes(&answer, asked))
        }
        section {
            h2 { "What followed" }
            (incidents(&answer))
        }
        @if let Answered::Affected(affected) = affected {
            section {
                h2 { "Neighbours" }
                p { (shown::sentence(&affected.summary)) "." }
                (neighbours("Affected", &affected.affected))
                (neighbours("Not affected", &affected.not_affected))
                (neighbours("Not known", &affected.not_known))
            }
        }
        (others("The same version elsewhere", &answer.similar))
        (others("Other deployments of this colony at that time", &answer.overlapping))
        section {
            h2 { "What could be done" }
            p { (shown::sentence(&answer.recommendation)) }
            (shown::command(&asked.command(&format!("deployment {}", shown::quoted(&whole)))))
        }
    };
    let title = match line.service_id.as_str() {
        "" => format!("Deployment in {}", line.colony_id),
        service => format!("{service} {}", line.shown_versions()),
    };
    Ok(Page { title: crate::printable::printable(&title), under: "/timeline", pickers: html! {}, main, script: None })
}

fn facts(answer: &Deployment) -> Markup {
    let line = &answer.deployment;
    html! {
        dl.facts.inline {
            dt { "Verdict" } dd { (shown::state(answer.impact.metrics.verdict.as_str())) }
            dt { "Colony" } dd { (shown::name(&line.colony_id)) }
            dt { "Started" } dd { a href=(shown::events_address(&line.colony_id, &line.started_at)) { (shown::time(&line.started_at)) } }
            @if let Some(seconds) = line.duration_seconds { dt { "Took" } dd { (shown::seconds(seconds)) } }
            dt { "Status" } dd { (shown::state(&line.status)) }
            dt { "Reported by" } dd { (shown::name(&line.reported_by.join(", "))) }
            @if let Some(minutes) = answer.impact.metrics.look_minutes {
                dt { "Looked at" } dd { (shown::data(minutes, &format!("{minutes} min"))) " after its end" }
            }
        }
    }
}

fn changes(answer: &Deployment, asked: &Asked) -> Markup {
    let changes = &answer.impact.metrics.changes;
    if changes.is_empty() {
        return shown::empty(
            "No metric of the service is known before and after it.",
            html! { "Its colony must report metrics of this service: " a href=(asked.link("/health")) { "what is received" } "." },
        );
    }
    html! {
        div.wide tabindex="0" role="group" aria-label="Metrics before and after" {
            table {
                thead { tr {
                    th { "Metric" } th.number { "Before" } th.number { "After" } th.number { "Change" }
                    th.number { "Likely between" } th.number { "Points" } th { "How sure" }
                } }
                tbody { @for one in changes.iter().take(ROWS_MAX) { (change(one, &answer.deployment)) } }
            }
        }
        p.muted {
            "Before and after are medians. The true change is in the interval in 95 of 100 cases. Neighbouring points tell little \
             new, so few independent points are worth less than many."
        }
    }
}

fn change(one: &MetricImpact, line: &DeploymentLine) -> Markup {
    let unit = one.meaning.unit;
    let (from, to) = (line.start - AROUND_MS, line.end.unwrap_or(line.start) + AROUND_MS);
    let (from, to) = (from.to_string(), to.to_string());
    let fields = [
        ("colony", line.colony_id.as_str()),
        ("service", one.service_id.as_str()),
        ("metric", one.metric_name.as_str()),
        ("from", from.as_str()),
        ("to", to.as_str()),
    ];
    let chart = address("/series", &fields);
    html! {
        tr {
            td { a href=(chart) { (shown::name(&one.metric_name)) } }
            td.number { (shown::data(one.before_value, &unit.shown(one.before_value))) }
            td.number { (shown::data(one.after_value, &unit.shown(one.after_value))) }
            td.number {
                @match one.percent_change {
                    Some(percent) => (shown::percent(percent)),
                    None => (shown::data(one.change, &unit.shown(one.change))),
                }
            }
            td.number {
                (shown::data(one.change_low, &unit.shown(one.change_low))) " to " (shown::data(one.change_high, &unit.shown(one.change_high)))
            }
            td.number {
                (shown::count(one.sample_count))
                @if one.effective_points > 0.0 {
                    " (" (shown::data(one.effective_points, &format!("{:.0}", one.effective_points))) " independent)"
                }
            }
            td {
                @if one.significance == "none" { span.muted { "no change beyond chance" } } @else { (shown::state(one.significance)) }
                details.inline data-key={ "statistics " (one.metric_name) " " (one.service_id) } { summary { "statistics" }
                    "q = " (shown::data(one.q_value, &format!("{:.4}", one.q_value)))
                    ": the share of chance findings among changes at least this sure. Cliff’s delta = "
                    (shown::data(one.cliffs_delta, &format!("{:.2}", one.cliffs_delta)))
                    ": −1 all lower, 0 as before, 1 all higher."
                }
            }
        }
    }
}

fn incidents(answer: &Deployment) -> Markup {
    let impact = &answer.impact;
    if impact.incidents.is_empty() {
        return html! {
            p {
                @if impact.incidents_complete { "No incident followed within an hour." }
                @else { "No incident followed up to " (shown::time(&impact.incidents_known_to)) "; the hour after it is not complete." }
            }
        };
    }
    html! {
        div.wide tabindex="0" role="group" aria-label="Incidents after the deployment" {
            table {
                thead { tr { th { "When" } th.number { "Later" } th { "What" } th { "Service" } th { "Colony" } th { "Joined by" } } }
                tbody { @for one in &impact.incidents { (incident(one)) } }
            }
        }
        @if impact.incidents_total > impact.incidents.len() {
            p.muted { (shown::count(impact.incidents.len())) " of " (shown::count(impact.incidents_total)) " incidents; all: --json" }
        }
    }
}

fn incident(one: &Incident) -> Markup {
    html! {
        tr {
            td { a href=(shown::events_address(&one.colony_id, &one.occurred_at)) { (shown::time(&one.occurred_at)) } }
            td.number { (shown::seconds(one.seconds_after)) }
            td.why { (shown::name(&one.event_type)) " " span.muted { (shown::sentence(&one.description)) } }
            td { (shown::name_or_dash(&one.service_id)) }
            td { (shown::name(&one.colony_id)) }
            td {
                @match (&one.correlation_id, one.correlation_score) {
                    (Some(id), Some(score)) => {
                        a href=(shown::pattern_address(id)) { "a confirmed pattern" } " (" (shown::data(score as f32, &format!("{score:.2}"))) ")"
                    }
                    _ => span.muted { "time only" },
                }
            }
        }
    }
}

/// Neighbours of one standing, each with what was seen of it; nothing without any.
pub fn neighbours(title: &str, list: &[Judged]) -> Markup {
    if list.is_empty() {
        return html! {};
    }
    let relation = |one: &Judged| match one.relation {
        Relation::CallsIt => "calls it",
        Relation::CalledByIt => "is called by it",
        Relation::Pattern => "a pattern",
    };
    html! {
        h3 { (title) }
        div.wide tabindex="0" role="group" aria-label=(title) {
            table {
                thead { tr { th { "Service" } th { "Colony" } th { "Joined by" } th { "What was seen" } } }
                tbody {
                    @for one in list.iter().take(ROWS_MAX) {
                        tr {
                            td { (shown::name_or_dash(&one.service_id)) }
                            td { (shown::name(&one.colony_id)) }
                            td {
                                @match &one.correlation_id {
                                    Some(id) => {
                                        a href=(shown::pattern_address(id)) { (relation(one)) }
                                        @if let Some(score) = one.correlation_score { " (" (shown::data(score, &format!("{score:.2}"))) ")" }
                                        ", " (shown::seconds(one.lag_seconds)) " later"
                                    }
                                    None => (relation(one)),
                                }
                            }
                            td.why {
                                (shown::sentence(&one.reason))
                                @if let (Some(low), Some(high)) = (one.change_low, one.change_high) {
                                    " " span.muted { "(" (shown::percent(low)) " to " (shown::percent(high)) ")" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn others(title: &str, lines: &[DeploymentLine]) -> Markup {
    if lines.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { (title) }
            div.wide tabindex="0" role="group" aria-label=(title) {
                table {
                    thead { tr { th { "Started" } th { "Service" } th { "Colony" } th { "Version" } th { "Status" } } }
                    tbody {
                        @for line in lines.iter().take(ROWS_MAX) {
                            tr {
                                td { (shown::time(&line.started_at)) }
                                td { a href=(shown::deployment_address(&line.colony_id, &line.deployment_id)) { (shown::name_or_dash(&line.service_id)) } }
                                td { (shown::name(&line.colony_id)) }
                                td { (shown::name(&line.shown_versions())) }
                                td { (shown::state(&line.status)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
