//! Derived events from scratch: all samples at once, every definition in its plainest form.

use crate::derived_events::kinds::{Full, Watched};
use crate::derived_events::{DerivedEvent, Kind};
use crate::ext::Change;
use crate::metrics::block::Sample;
use model::series::SeriesKey;
use model::time::{MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

/// Cells of a day.
const DAY: i64 = 288;

/// A cell beside what is usual: `(cell, usual, distance, scale, median distance of the day before)`.
type Beside = (i64, f64, f64, f64, f64);

/// The derived events, sorted.
pub fn events(changes: &[Change<Sample>]) -> Vec<DerivedEvent> {
    let mut counts: BTreeMap<Sample, i64> = BTreeMap::new();
    for (sample, diff) in changes {
        *counts.entry(*sample).or_default() += diff;
    }
    let mut series: BTreeMap<SeriesKey, BTreeMap<i64, Vec<Sample>>> = BTreeMap::new();
    for (sample, _) in counts.into_iter().filter(|(_, count)| *count > 0) {
        let cells = series.entry(sample.series.series().key.clone()).or_default();
        cells.entry(sample.at.0.div_euclid(5 * MINUTE_MS)).or_default().push(sample);
    }
    let mut events: Vec<DerivedEvent> = series.iter().flat_map(|(key, cells)| of_series(key, cells)).collect();
    events.sort();
    events.dedup();
    events
}

fn of_series(key: &SeriesKey, samples: &BTreeMap<i64, Vec<Sample>>) -> Vec<DerivedEvent> {
    let watched = Watched::of(&key.metric_name);
    let values: Vec<(i64, f64)> = samples
        .iter()
        .map(|(cell, samples)| (*cell, middle(samples.iter().map(|sample| sample.value.0).collect())))
        .collect();
    let mut beside: Vec<Beside> = Vec::new();
    for (cell, value) in &values {
        beside.extend(one_beside(*cell, *value, &values, &beside, watched.floor));
    }
    let mut began: Vec<(Kind, i64)> = Vec::new();
    if let Some(kind) = watched.spike {
        let levels: Vec<(i64, f64)> = beside.iter().map(|one| (one.0, one.2 / one.3)).collect();
        began.extend(crossings(&levels, 6.0, 3.0).into_iter().map(|cell| (kind, cell)));
    }
    if let Some(full) = watched.full {
        let levels: Vec<(i64, f64)> = values
            .iter()
            .filter_map(|(cell, value)| {
                let week = values.iter().filter(|(other, _)| *other <= *cell && *other >= cell - 7 * DAY);
                let most = week.map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
                let whole = if full == Full::Either && most <= 1.5 { 1.0 } else { 100.0 };
                (whole == 1.0 || most <= 105.0).then_some((*cell, value / whole))
            })
            .collect();
        began.extend(crossings(&levels, 0.9, 0.8).into_iter().map(|cell| (Kind::Saturation, cell)));
    }
    began.extend(shifts(&values, &beside).into_iter().map(|cell| (Kind::LevelShift, cell)));
    if watched.is_memory {
        began.extend(growths(&values, &beside).into_iter().map(|cell| (Kind::MemoryGrowth, cell)));
    }
    // a shift that comes with something else is part of that
    let others: Vec<i64> = began.iter().filter(|one| one.0 != Kind::LevelShift).map(|one| one.1).collect();
    began.retain(|(kind, cell)| *kind != Kind::LevelShift || others.iter().all(|other| (other - cell).abs() > 36));
    let event = |(kind, cell): (Kind, i64)| {
        let newest = samples.values().next_back();
        let names = newest.into_iter().flatten().map(|sample| sample.series.series().names());
        let names = names.max_by_key(|names| (names.application_name, names.environment));
        let value = values.iter().find(|(known, _)| *known == cell).map_or(f64::NAN, |(_, value)| *value);
        let usual = beside.iter().find(|one| one.0 == cell).map(|one| one.1);
        DerivedEvent::new(kind, names.unwrap_or_default(), TimeMs(cell * 5 * MINUTE_MS), value, usual)
    };
    began.into_iter().map(event).collect()
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn middle(values: Vec<f64>) -> f64 {
    let values = sorted(values);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    low + (high - low) / 2.0
}

fn one_beside(cell: i64, value: f64, values: &[(i64, f64)], earlier: &[Beside], floor: f64) -> Option<Beside> {
    let same_time = |other: i64, day: i64| (other - (cell - day * DAY)).abs() <= 3;
    let of_day = |day: i64| values.iter().filter(move |(other, _)| same_time(*other, day)).map(|(_, value)| *value);
    let days = (1..=7).filter(|day| of_day(*day).next().is_some()).count();
    let known: Vec<f64> = (1..=7).flat_map(of_day).collect();
    if days < 3 || known.len() < 9 {
        return None;
    }
    let usual = middle(known.clone());
    let spread = 1.4826 * middle(known.iter().map(|value| (value - usual).abs()).collect());
    let mut scale = spread.max(0.1 * usual.abs()).max(floor);
    let mut lately = 0.0;
    let recent: Vec<f64> = earlier.iter().filter(|one| one.0 >= cell - DAY).map(|one| one.2).collect();
    if recent.len() >= 12 {
        lately = middle(recent.clone());
        let away = sorted(recent.iter().map(|distance| (distance - lately).abs()).collect());
        scale = scale.max(away[(away.len() - 1) * 9 / 10] / 1.645);
    }
    Some((cell, usual, value - usual, scale, lately))
}

/// Where a level that has two cells at the upper threshold begins, until it has three below the lower one, a day without
/// two at the upper threshold, or a gap of more than an hour.
fn crossings(levels: &[(i64, f64)], on: f64, off: f64) -> Vec<i64> {
    let mut began = Vec::new();
    for run in levels.chunk_by(|one, next| next.0 - one.0 <= 12) {
        let mut on_at = None;
        for place in 1..run.len() {
            let cell = run[place].0;
            let are_above = run[place - 1].1 >= on && run[place].1 >= on;
            let are_below = place >= 2 && run[place - 2..=place].iter().all(|(_, level)| *level < off);
            on_at = on_at.filter(|at| cell - at <= DAY);
            if are_above && on_at.is_none() {
                began.push(run[place - 1].0);
            }
            on_at = if are_above { Some(cell) } else { on_at.filter(|_| !are_below) };
        }
    }
    began
}

fn shifts(values: &[(i64, f64)], beside: &[Beside]) -> Vec<i64> {
    let (mut began, mut on_at) = (Vec::new(), None);
    for (cell, ..) in beside {
        on_at = on_at.filter(|at| cell - at <= DAY);
        let from = cell - 35;
        let after: Vec<&Beside> = beside.iter().filter(|one| one.0 >= from && one.0 <= *cell).collect();
        let before: Vec<&Beside> = beside.iter().filter(|one| one.0 < from && one.0 >= from - DAY).collect();
        let (Some(first), Some(last)) = (before.first(), before.last()) else { continue };
        if before.len() < 24 || last.0 - first.0 < DAY / 2 || after.len() < 6 {
            continue;
        }
        let mut sum = 0.0;
        for late in &after {
            for early in &before {
                sum += f64::from(i8::from(late.2 > early.2) - i8::from(late.2 < early.2));
            }
        }
        let delta = sum / (before.len() * after.len()) as f64;
        let usual = last.4;
        let size = middle(after.iter().map(|one| one.2).collect()) - usual;
        let within =
            |from: i64| values.iter().filter(move |(other, _)| (from..from + 36).contains(other)).map(|one| one.1);
        let (today, yesterday): (Vec<f64>, Vec<f64>) = (within(from).collect(), within(from - DAY).collect());
        let is_known = yesterday.len() >= 6;
        let moved = if is_known { middle(today) - middle(yesterday) } else { 0.0 };
        let has_moved = is_known && if size > 0.0 { moved } else { -moved } >= size.abs() / 2.0;
        let begins = delta.abs() >= 0.9 && size.abs() >= 4.0 * last.3 && has_moved;
        if begins && on_at.is_none() {
            began.extend(after.iter().find(|one| (one.2 - usual).abs() >= size.abs() / 2.0).map(|one| one.0));
        }
        on_at = if begins { Some(*cell) } else { on_at.filter(|_| delta.abs() >= 0.5) };
    }
    began
}

fn growths(values: &[(i64, f64)], beside: &[Beside]) -> Vec<i64> {
    let (mut began, mut on_at) = (Vec::new(), None);
    let is_first_of_hour =
        |place: usize| place == 0 || values[place - 1].0.div_euclid(12) < values[place].0.div_euclid(12);
    for (_, (cell, _)) in values.iter().enumerate().filter(|(place, _)| is_first_of_hour(*place)) {
        on_at = on_at.filter(|at| cell - at <= DAY);
        let mut points: Vec<(i64, f64)> = Vec::new();
        for (other, value) in values.iter().filter(|(other, _)| *other <= *cell && *other > cell - 72) {
            if points.last().is_some_and(|(_, before)| *value < 0.8 * before) {
                points.clear();
            }
            points.push((*other, *value));
        }
        let (first, last) = (points[0].0, points[points.len() - 1].0);
        if points.len() < 12 || last - first < 34 {
            on_at = None;
            continue;
        }
        let (mut signs, mut slopes) = (0.0, Vec::new());
        for (place, one) in points.iter().enumerate() {
            for other in &points[..place] {
                signs += f64::from(i8::from(one.1 > other.1) - i8::from(one.1 < other.1));
                slopes.push((one.1 - other.1) / (one.0 - other.0) as f64);
            }
        }
        let tau = signs / slopes.len() as f64;
        let usual = |cell: i64| beside.iter().find(|one| one.0 == cell).map(|one| one.1);
        let Some((from, to)) = usual(first).zip(usual(last)) else {
            on_at = None;
            continue;
        };
        let rise = middle(slopes) * (last - first) as f64 - (to - from).max(0.0);
        let level = middle(points.iter().map(|(_, value)| *value).collect());
        let grows = tau >= 0.7 && rise > 0.0 && rise >= 0.1 * level.abs();
        if grows && on_at.is_none() {
            began.push(first);
        }
        on_at = if grows { Some(*cell) } else { on_at.filter(|_| tau >= 0.4) };
    }
    began
}
