//! A histogram of lags: in which time after its source each target came.

use super::shown;
use crate::show::EvidenceLine;
use maud::{Markup, html};

/// Bars of the picture.
const BARS: i64 = 24;
/// Sizes in units of the picture.
const BAR: i64 = 22;
const HEIGHT: i64 = 110;
const BELOW: i64 = 24;

/// Where the bars begin, how wide each is in milliseconds, and how many lags each has.
#[derive(Debug, PartialEq, Eq)]
struct Bars {
    from_ms: i64,
    width_ms: i64,
    counts: Vec<i64>,
}

impl Bars {
    fn of(lags_ms: &[i64]) -> Option<Bars> {
        let (low, high) = (*lags_ms.iter().min()?, *lags_ms.iter().max()?);
        let width_ms = ((high - low) / BARS + 1).max(1_000);
        let mut counts = vec![0; usize::try_from(((high - low) / width_ms) + 1).unwrap_or(1)];
        for lag in lags_ms {
            let place = usize::try_from((lag - low) / width_ms).unwrap_or(0);
            counts[place] += 1;
        }
        Some(Bars { from_ms: low, width_ms, counts })
    }
}

/// The picture; nothing without rows.
pub fn drawn(evidence: &[EvidenceLine]) -> Markup {
    let lags: Vec<i64> = evidence.iter().map(|row| row.lag_ms).collect();
    let Some(bars) = Bars::of(&lags) else { return html! { p.muted { "There are no rows to show." } } };
    let (count, most) = (bars.counts.len() as i64, bars.counts.iter().max().copied().unwrap_or(1));
    let end_ms = bars.from_ms + count * bars.width_ms;
    let (first, last) = (lags.iter().min().copied().unwrap_or(0), lags.iter().max().copied().unwrap_or(0));
    if first == last {
        return html! {
            p { "Always " (shown::data(first, &shown::span(first))) " after its source, in " (shown::count(lags.len())) " rows." }
        };
    }
    let width = count * BAR + 90;
    html! {
        p { (shown::count(lags.len())) " rows, from " (shown::data(first, &shown::span(first))) " to " (shown::data(last, &shown::span(last))) " after their source." }
        div.wide tabindex="0" role="group" aria-label="Histogram of lags; the rows below have the same numbers" {
            svg.histogram viewBox={ "0 0 " (width) " " (HEIGHT + BELOW) } width=(width) height=(HEIGHT + BELOW) aria-hidden="true" {
                line.axis x1="0" x2=(width) y1=(HEIGHT) y2=(HEIGHT) {}
                @for (place, number) in (0_i64..).zip(&bars.counts) {
                    @if *number > 0 {
                        @let height = (number * (HEIGHT - 18) / most).max(2);
                        @let from_ms = bars.from_ms + place * bars.width_ms;
                        rect data-from=(from_ms) data-to=(from_ms + bars.width_ms) data-count=(number) x=(place * BAR + 1) y=(HEIGHT - height) width=(BAR - 2) height=(height) rx="1" {
                            title { (number) " from " (shown::span(from_ms)) }
                        }
                        text x=(place * BAR + BAR / 2) y=(HEIGHT - height - 4) text-anchor="middle" { (number) }
                    }
                }
                text x="0" y=(HEIGHT + 16) { (shown::span(bars.from_ms)) }
                text x=(count * BAR) y=(HEIGHT + 16) text-anchor="middle" { (shown::span(end_ms)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lag_is_in_one_bar() {
        let bars = Bars::of(&[7_200_000, 8_100_000, 8_100_001, 9_000_000]);
        assert_eq!(bars.as_ref().map(|bars| bars.counts.iter().sum::<i64>()), Some(4));
        assert!(bars.is_some_and(|bars| bars.counts.len() <= BARS as usize + 1 && bars.width_ms >= 75_000));
        assert_eq!(Bars::of(&[5, 5]), Some(Bars { from_ms: 5, width_ms: 1_000, counts: vec![2] }));
        assert_eq!(Bars::of(&[]), None);
    }
}
