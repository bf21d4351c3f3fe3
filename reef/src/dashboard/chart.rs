//! Charts: what the script draws them from. Without script the same points are on a page of their own.

use super::asked::Asked;
use super::query::address;
use super::shown;
use crate::printable::printable;
use maud::{Markup, html};
use model::meaning::Unit;

/// The script of charts.
pub const SCRIPT: &str = "charts.js";
/// What a chart shows, in words.
const EXPLAINED: &str = "A line is the mean of its p95 in each step; the band around it goes from the lowest to the highest \
                         value, so that no spike is lost. Striped ranges are deployments, from start to end; each leads to what \
                         it changed. A gap means that nothing was received.";

/// One chart: a metric in some colonies, with the deployments there.
pub struct Chart<'a> {
    /// The environment, by which the script knows it; empty for any.
    pub environment: &'a str,
    /// What it is called.
    pub title: Markup,
    /// Of its values.
    pub unit: Unit,
    /// Which points: the fields of an address.
    pub fields: Vec<(&'a str, &'a str)>,
}

/// Charts of one metric side by side: on one scale, with one crosshair.
pub fn drawn(metric: &str, charts: &[Chart<'_>]) -> Markup {
    html! {
        (tools())
        div #charts.charts.several[charts.len() > 2] data-metric=(metric) { @for chart in charts { (figure(chart)) } }
        p.muted { (EXPLAINED) }
    }
}

fn figure(chart: &Chart<'_>) -> Markup {
    let of = |path: &str| address(path, &chart.fields);
    let of_deployments: Vec<(&str, &str)> = chart
        .fields
        .iter()
        .filter(|(name, _)| ["env", "app", "range", "from", "to", "colony", "service"].contains(name))
        .copied()
        .collect();
    html! {
        figure data-environment=(chart.environment) data-unit=(shown::unit(chart.unit)) data-all=(of("/series")) data-series=(of("/data/series"))
            data-deployments=(of("/data/deployments")) data-timeline=(address("/timeline", &of_deployments)) {
            figcaption { h3 { (chart.title) } p.summary { "The chart needs script; the same points are in the table." } }
            div.chart aria-hidden="true" {}
            p.deployed {}
            details data-key={ "table " (chart.environment) } { summary { "Table of " (chart.title) }
                div.points tabindex="0" role="group" aria-label={ "Points of " (printable(chart.environment)) } {
                    p { a href=(of("/series")) { "All points as a page" } }
                }
            }
        }
    }
}

/// What moves all charts together; for the script, which shows them.
fn tools() -> Markup {
    html! {
        div #tools.tools role="group" aria-label="Part of the time that is shown" hidden {
            button type="button" data-move="in" { "Zoom in" }
            button type="button" data-move="out" { "Zoom out" }
            button type="button" data-move="left" { "← Earlier" }
            button type="button" data-move="right" { "Later →" }
            button type="button" data-move="all" { "All" }
            a #detail href="" hidden { "This part in detail" }
            span.muted { "Drag to zoom; drag with Shift to move." }
        }
    }
}

/// The fields of an address that say which points a page shows.
pub fn fields(asked: &Asked) -> Vec<(&str, &str)> {
    const NAMES: [&str; 7] = ["env", "app", "colony", "service", "range", "from", "to"];
    asked.query.fields().filter(|(name, _)| NAMES.contains(name)).collect()
}
