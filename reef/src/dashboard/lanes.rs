//! Lanes: deployments as ranges of time, a lane for each colony.

use super::shown;
use crate::answers::DeploymentLine;
use crate::answers::range::Range;
use crate::printable::{printable, shortened};
use maud::{Markup, html};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

/// Sizes in units of the picture.
const NAMES: i64 = 190;
const WIDTH: i64 = 960;
const LANE: i64 = 30;
const TOP: i64 = 26;
/// Steps between two lines of the grid.
const STEPS_MS: [i64; 8] =
    [5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, 12 * HOUR_MS, DAY_MS, 2 * DAY_MS, 7 * DAY_MS];
/// Most lines of the grid.
const LINES_MAX: i64 = 10;

/// From a time to a place in the picture.
struct Scale(Range);

impl Scale {
    fn x(&self, at: TimeMs) -> i64 {
        let length = (self.0.to - self.0.from).max(1);
        let into = (at - self.0.from).clamp(0, length);
        NAMES + into * (WIDTH - NAMES - 8) / length
    }

    /// Times of the grid, at whole steps.
    fn grid(&self) -> Vec<TimeMs> {
        let length = self.0.to - self.0.from;
        let step = STEPS_MS.into_iter().find(|step| length / step <= LINES_MAX).unwrap_or(7 * DAY_MS);
        let mut at = self.0.from.floor_to(step) + step;
        let mut times = Vec::new();
        while at < self.0.to {
            times.push(at);
            at = at + step;
        }
        times
    }

    fn label(&self, at: TimeMs) -> String {
        let text = at.to_string();
        // days where the grid has days, else times of the day
        if self.0.to - self.0.from > 3 * DAY_MS { text[5..10].to_owned() } else { text[11..16].to_owned() }
    }
}

/// The picture, with the verdict of each deployment.
pub fn drawn(lines: &[&DeploymentLine], range: Range, verdict: impl Fn(&DeploymentLine) -> String) -> Markup {
    let scale = Scale(range);
    let mut lanes: BTreeMap<(&str, &str), Vec<&DeploymentLine>> = BTreeMap::new();
    for line in lines {
        lanes.entry((&line.environment, &line.colony_id)).or_default().push(line);
    }
    let height = TOP + lanes.len() as i64 * LANE + 4;
    html! {
        div.wide tabindex="0" role="group" aria-label="Deployments by time, a lane for each colony; the list below has the same" {
            svg.lanes viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) {
                @for at in scale.grid() {
                    line.grid x1=(scale.x(at)) x2=(scale.x(at)) y1="18" y2=(height) {}
                    text.tick x=(scale.x(at)) y="13" text-anchor="middle" { (scale.label(at)) }
                }
                @for (place, ((_, colony), deployments)) in (0_i64..).zip(&lanes) {
                    @let middle = TOP + place * LANE + LANE / 2;
                    text.lane x="0" y=(middle + 4) { (shortened(colony, 25)) title { (printable(colony)) } }
                    line.base x1=(NAMES) x2=(WIDTH) y1=(middle) y2=(middle) {}
                    @for line in deployments { (mark(line, &scale, middle, &verdict(line))) }
                }
            }
        }
    }
}

/// A range with a sign at its begin; the sign differs by the verdict, not only its colour. How it ended is no verdict.
fn mark(line: &DeploymentLine, scale: &Scale, middle: i64, word: &str) -> Markup {
    let from = scale.x(line.start);
    let to = line.end.map_or(from, |end| scale.x(end)).max(from + 3);
    let (class, shape) = match word {
        "success" => ("good", format!("M{} {middle} m-6 0 a6 6 0 1 0 12 0 a6 6 0 1 0 -12 0", from)),
        "degraded" | "rolled_back" => ("warn", format!("M{} {} l7 12 h-14 z", from, middle - 7)),
        "failed" => ("bad", format!("M{} {} l6 6 l-6 6 l-6 -6 z", from, middle - 6)),
        _ => ("note", format!("M{} {} h10 v10 h-10 z", from - 5, middle - 5)),
    };
    let said = format!(
        "{} {} in {}, {}: {}",
        printable(&line.service_id),
        printable(&line.shown_versions()),
        printable(&line.colony_id),
        shown::minute(&line.started_at),
        word.replace('_', " ")
    );
    html! {
        a.deployment.(class) href=(shown::deployment_address(&line.colony_id, &line.deployment_id)) aria-label=(said) {
            title { (said) }
            rect x=(from) y=(middle - 4) width=(to - from) height="8" rx="2" {}
            path d=(shape) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_within_the_picture_and_the_grid_has_whole_steps() {
        let range = Range { from: TimeMs(1_731_499_261_000), to: TimeMs(1_731_499_261_000 + DAY_MS) };
        let scale = Scale(range);
        assert_eq!((scale.x(range.from), scale.x(range.to), scale.x(TimeMs(0))), (NAMES, WIDTH - 8, NAMES));
        let grid = scale.grid();
        assert!(grid.len() <= LINES_MAX as usize && grid.iter().all(|at| at.0 % (4 * HOUR_MS) == 0), "{grid:?}");
    }
}
