//! The page of environments side by side: charts on one scale with one crosshair, and how the metrics differ.

use super::asked::{Asked, Problem};
use super::chart::{self, Chart};
use super::frame::Page;
use super::graph::in_order;
use super::sides::Sides;
use super::{series, shown, words};
use crate::answers::compare::{CompareQuestion, Comparison, Difference};
use crate::answers::correlations::CorrelationsQuestion;
use crate::answers::fleet::Filter;
use crate::answers::part::{LIMIT_MAX, Part};
use crate::answers::{AnswerError, Answered, Question, Refusal};
use crate::report::PatternLine;
use maud::{Markup, html};
use model::meaning::Better;
use model::time::HOUR_MS;

/// Metrics of the table.
const ROWS_MAX: usize = 40;

/// The page.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let environments = in_order(asked.fleet.environments());
    let Some(mut sides) = Sides::of(asked, &environments) else { return Ok(too_few(asked, &environments)) };
    let pickers = sides.pickers(asked, &environments);
    let compared = compared(&sides, (sides.b.as_str(), None), asked).await?;
    let mut beside = Vec::new();
    if let Ok(comparison) = &compared {
        sides.take_names(comparison);
        if sides.metric.is_none() {
            sides.metric = comparison.differences.first().map(|one| one.metric_name.clone());
        }
        beside = further(&sides, asked).await;
    }
    let found = found(&sides, asked).await?;
    let main = html! {
        @match &compared {
            Ok(comparison) => {
                p.lead { (shown::sentence(&comparison.summary)) }
                @if !beside.is_empty() {
                    ul { @for (environment, said) in &beside {
                        li {
                            @match said {
                                Some(said) => (shown::sentence(said)),
                                None => (shown::name(environment)),
                            }
                            " – " a href=(sides.against(environment, asked)) { "all metrics that both have" }
                        }
                    } }
                }
                @for name in &sides.unknown { p.note { "No environment is called " (shown::name(name)) "." } }
                (narrowed(asked))
                @if asked.exact().is_some() {
                    p.note { "The charts show exactly the times that were chosen. Sentence and table are about the window of the command below." }
                }
                (charts(&sides, found.as_ref(), asked))
                (table(comparison, &sides, asked))
            }
            Err(refusal) => (shown::empty(&refusal.message, html! { (shown::sentence(&refusal.hint)) })),
        }
        (shown::command(&command(&sides, asked)))
    };
    Ok(Page { title: "Compare".to_owned(), under: "/compare", pickers, main, script: Some(chart::SCRIPT) })
}

/// The same in a terminal.
fn command(sides: &Sides, asked: &Asked) -> String {
    let mut words = format!("compare {} {}", shown::quoted(&sides.a), shown::quoted(&sides.b));
    if let Some(application) = &sides.application {
        words.push_str(&format!(" --app {}", shown::quoted(application)));
    }
    words.push_str(&format!(" --time-window {}", asked.range_name(series::USUAL)));
    asked.command(&words)
}

/// What only a part of the page follows.
fn narrowed(asked: &Asked) -> Markup {
    html! {
        @if let Some(service) = asked.query.get("service") {
            p.note { "Only the charts are of the service " (shown::name(service)) ". Sentence and table are of all services." }
        }
        @if let Some(colony) = asked.query.get("colony") {
            p.note { "Environments are compared with all of their colonies, and not only " (shown::name(colony)) "." }
        }
    }
}

/// The first environment compared with another one, in one metric or in all.
async fn compared(
    sides: &Sides,
    (environment_b, metric): (&str, Option<String>),
    asked: &Asked,
) -> Result<Result<Comparison, Refusal>, Problem> {
    let question = CompareQuestion {
        environment_a: sides.a.clone(),
        environment_b: environment_b.to_owned(),
        metric,
        window_ms: asked.range(series::USUAL).window_ms.map(|ms| ms.max(HOUR_MS)),
        application: sides.application.clone(),
    };
    match asked.answer(Question::Compare(question)).await {
        Ok(Answered::Compare(comparison)) => Ok(Ok(comparison)),
        Ok(_) => Err(Problem::NoPage),
        Err(AnswerError::Refused(refusal)) => Ok(Err(refusal)),
        Err(error) => Err(error.into()),
    }
}

/// How the first environment differs from those beside the second one in the metric that is drawn, or why that is not known.
/// Each reads the store again: nothing is said of environments that no address names.
async fn further(sides: &Sides, asked: &Asked) -> Vec<(String, Option<String>)> {
    let mut beside = Vec::new();
    for environment in &sides.further {
        let said = if sides.is_named { Some(said(environment, sides, asked).await) } else { None };
        beside.push((environment.clone(), said));
    }
    beside
}

/// How the first environment differs from another one. An error is no reason to show nothing of the others.
async fn said(environment: &str, sides: &Sides, asked: &Asked) -> String {
    match compared(sides, (environment, sides.metric.clone()), asked).await {
        Ok(Ok(comparison)) => comparison.summary,
        Ok(Err(refusal)) => refusal.message,
        Err(error) => {
            tracing::warn!(%error, environment, "a comparison beside the first one failed");
            format!("{} and {environment} cannot be compared now", sides.a)
        }
    }
}

/// The pattern whose lag the charts can be shifted by: that of the address, else the best one between both.
async fn found(sides: &Sides, asked: &Asked) -> Result<Option<PatternLine>, Problem> {
    let filter = Filter { application: sides.application.clone(), ..Filter::default() };
    let part = Part { limit: Some(LIMIT_MAX), cursor: None, skip: 0 };
    let question = CorrelationsQuestion { filter, state: Some("all".to_owned()), as_of: None, part };
    let Answered::Correlations(answer) = asked.answer(Question::Correlations(question)).await? else {
        return Err(Problem::NoPage);
    };
    let wanted = asked.query.get("pattern");
    let joins = |line: &PatternLine| {
        let ends = (line.source_environment.as_str(), line.target_environment.as_str());
        ends == (sides.a.as_str(), sides.b.as_str()) || ends == (sides.b.as_str(), sides.a.as_str())
    };
    let takes = |line: &PatternLine| match wanted {
        Some(id) => line.correlation_id == id && joins(line),
        None => line.state == "confirmed" && line.lag_seconds != 0 && joins(line),
    };
    Ok(answer.correlations.items.into_iter().find(takes))
}

fn charts(sides: &Sides, found: Option<&PatternLine>, asked: &Asked) -> Markup {
    let Some(metric) = sides.metric.as_deref() else { return html! {} };
    let range = asked.range_name(series::USUAL);
    let field = |name: &str| asked.query.text(name).unwrap_or_default();
    let (from, to, service) = (field("from"), field("to"), field("service"));
    let application = sides.application.as_deref().unwrap_or_default();
    let unit = asked.scope().metrics.of(metric).unit;
    let of = |environment| Chart {
        environment,
        title: shown::name(environment),
        unit,
        fields: vec![
            ("env", environment),
            ("app", application),
            ("service", service.as_str()),
            ("metric", metric),
            ("range", range.as_str()),
            ("from", from.as_str()),
            ("to", to.as_str()),
        ],
    };
    html! {
        h2 { (shown::name(metric)) }
        @if let Some(line) = found {
            p.note {
                label {
                    input #shift type="checkbox" data-seconds=(line.lag_seconds) data-source=(line.source_environment);
                    " Shift " strong { (shown::name(&line.source_environment)) } " by the found lag of " (shown::seconds(line.lag_seconds))
                    ", so that what followed is below what came before"
                }
                " – " a href=(shown::pattern_address(&line.correlation_id)) { (words::sentence(line)) }
            }
        }
        (chart::drawn(metric, &sides.all().map(of).collect::<Vec<_>>()))
    }
}

fn table(comparison: &Comparison, sides: &Sides, asked: &Asked) -> Markup {
    html! {
        h2 { "All metrics that both have" }
        @if comparison.differences.is_empty() {
            (shown::empty("They share no metric in the window.", html! { "Choose a longer range, or another application." }))
        } @else {
            div.wide tabindex="0" role="group" aria-label="Differences by metric" {
                table {
                    thead { tr {
                        th { "Metric (p95)" } th.number { (shown::name(&comparison.environment_a)) }
                        th.number { (shown::name(&comparison.environment_b)) } th.number { "Difference" } th { "" } th.number { "Hours worse" }
                    } }
                    tbody { @for one in comparison.differences.iter().take(ROWS_MAX) { (row(one, sides, asked)) } }
                }
            }
            p.muted {
                "Hours worse: of the hours in which both were observed, those in which the first of them was worse. Where it is not \
                 known whether more is better or worse, those in which the first was greater."
            }
            p { (shown::sentence(&comparison.recommendation)) }
        }
    }
}

fn row(one: &Difference, sides: &Sides, asked: &Asked) -> Markup {
    let shown = |value: f64| shown::data(value, &one.meaning.unit.shown(value));
    let is_current = sides.metric.as_deref() == Some(one.metric_name.as_str());
    html! {
        tr aria-current=[is_current.then_some("true")] {
            td { a href=(asked.here_with("metric", &one.metric_name)) { (shown::name(&one.metric_name)) } }
            td.number { (shown(one.value_a)) }
            td.number { (shown(one.value_b)) }
            td.number { @match one.percent_change { Some(percent) => (shown::percent(percent)), None => "from 0" } }
            td { @if one.significance != "info" { (shown::state(one.significance)) } }
            td.number {
                @if one.meaning.better == Better::Unknown { span.muted { "greater in " } }
                (shown::count(one.hours_worse)) " of " (shown::count(one.hours))
            }
        }
    }
}

fn too_few(asked: &Asked, environments: &[String]) -> Page {
    let why = match environments {
        [] => "No environment is known.".to_owned(),
        several => format!("Only {} is known.", several.join(", ")),
    };
    let main = shown::empty(
        &why,
        html! {
            "Two environments are compared. Add a colony of another one: " code { "coral reef add-colony COLONY-ID" } ", or see "
            a href=(asked.link("/health")) { "what is received" } "."
        },
    );
    Page { title: "Compare".to_owned(), under: "/compare", pickers: html! {}, main, script: None }
}
