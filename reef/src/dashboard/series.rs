//! Series of metrics: the data of charts, which is the answer of `QueryMetrics`, and the same as a table.

use super::asked::{Asked, Problem};
use super::chart::{self, Chart};
use super::frame::{Page, Pickers};
use super::shown;
use crate::answers::deployments::{Order, within};
use crate::answers::metrics::{MetricsQuestion, SeriesLine};
use crate::answers::part::Part;
use crate::answers::range::{Range, TIME_MIN};
use crate::answers::{Answered, Question};
use crate::rpc;
use axum::Json;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use model::meaning::Unit;

/// The range without a choice.
pub const USUAL: &str = "24h";
/// Series of a chart; more lines cannot be told apart.
const SERIES_MAX: usize = 6;
/// Deployments of a chart.
const DEPLOYMENTS_MAX: usize = 1_000;
/// Points of the table.
const ROWS_MAX: i64 = 100;

fn question(asked: &Asked, limit: usize, points_max: Option<i64>) -> Question {
    Question::Metrics(MetricsQuestion {
        filter: asked.filter(),
        metric_names: asked.query.text("metric").into_iter().collect(),
        range: asked.range(USUAL),
        step_ms: None,
        points_max,
        part: Part { limit: Some(limit), cursor: asked.query.text("cursor"), skip: 0 },
    })
}

/// The data of a chart: the JSON of the command line and of the RPC.
pub async fn data(asked: &Asked) -> Result<Response, Problem> {
    let answer = match asked.path.as_str() {
        "/data/series" => asked.answer(question(asked, SERIES_MAX, None)).await?,
        "/data/deployments" => deployments(asked).await?,
        _ => return Err(Problem::NoPage),
    };
    let document =
        rpc::document(answer).map_err(|_| Problem::Closed { why: "the answer cannot be written as JSON" })?;
    Ok(Json(document).into_response())
}

/// The deployments of the range, the newest first.
async fn deployments(asked: &Asked) -> Result<Answered, Problem> {
    // where nothing has been received, there is none
    let range = asked.times(USUAL)?.unwrap_or(Range { from: TIME_MIN, to: TIME_MIN });
    let choice = (Order::Time, DEPLOYMENTS_MAX);
    let (answer, _) = within((&asked.filter(), range), choice, asked.reader.as_ref(), asked.scope()).await?;
    Ok(Answered::Deployments(answer))
}

/// The page: a chart where all series are of one metric, and each series with its points.
pub async fn page(asked: &Asked) -> Result<Page, Problem> {
    let Answered::Metrics(answer) = asked.answer(question(asked, SERIES_MAX, Some(ROWS_MAX))).await? else {
        return Err(Problem::NoPage);
    };
    let pickers = Pickers::of(asked).range(USUAL).environment().application().form();
    let listed = &answer.series;
    // a later part of a list has no chart: the script asks for the first series
    let metric = only_metric(&listed.items).filter(|_| asked.query.get("cursor").is_none());
    let main = html! {
        @if listed.items.is_empty() {
            (shown::empty("No metric was observed in this range.", html! {
                "What was received, and up to when: " a href=(asked.link("/health")) { "Reef" } "."
            }))
        } @else {
            p {
                @if listed.truncated { (shown::count(listed.items.len())) " of " }
                (shown::count(listed.total)) " series; each row is a step of " (shown::seconds(answer.step_ms / 1_000)) "."
            }
        }
        @if let Some(metric) = metric { (charted(metric, asked)) }
        @for line in &listed.items { (series(line, asked.scope().metrics.of(&line.metric_name).unit, answer.step_ms)) }
        @if let Some(cursor) = &listed.next_cursor { p { a.button href=(asked.here_with("cursor", cursor)) { "More series" } } }
    };
    let script = metric.map(|_| chart::SCRIPT);
    Ok(Page { title: "Series".to_owned(), under: "/compare", pickers, main, script })
}

/// The metric of all series, if it is one.
fn only_metric(lines: &[SeriesLine]) -> Option<&str> {
    let metric = &lines.first()?.metric_name;
    lines.iter().all(|line| line.metric_name == *metric).then_some(metric.as_str())
}

fn charted(metric: &str, asked: &Asked) -> Markup {
    let mut fields = chart::fields(asked);
    fields.push(("metric", metric));
    let environment = asked.query.get("env").unwrap_or_default();
    let of = Chart { environment, title: shown::name(metric), unit: asked.scope().metrics.of(metric).unit, fields };
    chart::drawn(metric, &[of])
}

fn series(line: &SeriesLine, unit: Unit, step_ms: i64) -> Markup {
    let shown = |value: f64| shown::data(value, &unit.shown(value));
    let value = |value: Option<f64>| html! { @match value { Some(value) => (shown(value)), None => "–" } };
    html! {
        section {
            h2 { (shown::name(&line.metric_name)) " of " (shown::name_or_dash(&line.service_id)) " in " (shown::name(&line.colony_id)) }
            details open data-key={ (line.colony_id) " " (line.service_id) " " (line.metric_name) } {
                summary { "Points" }
                div.wide tabindex="0" role="group" aria-label="Points" {
                    table {
                        thead { tr { th { "From" } th.number { "Value" } th.number { "Lowest" } th.number { "Highest" } th.number { "Samples" } } }
                        tbody {
                            @for (place, (at, sum)) in line.points.iter().enumerate().rev() {
                                @if line.points.get(place + 1).is_some_and(|(later, _)| *later - *at > step_ms) {
                                    tr.gap { td colspan="5" { "nothing was received" } }
                                }
                                tr {
                                    td { (shown::time(&at.to_string())) }
                                    td.number { (value(sum.value)) }
                                    td.number { (value(sum.low)) }
                                    td.number { (value(sum.high)) }
                                    td.number { (shown::count(sum.samples)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
