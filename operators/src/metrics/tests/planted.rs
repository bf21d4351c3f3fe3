//! What must and must not be confirmed, in series with known truth.

use super::*;
use model::pattern::PatternState;

const DAY: usize = 1440;

fn confirmed(run: &Run) -> Vec<Finding> {
    let all = run.findings();
    all.into_iter().filter(|f| f.correlation.state == PatternState::Confirmed).collect()
}

fn pair(finding: &Finding) -> (&str, &str) {
    (&finding.correlation.key.source.colony_id, &finding.correlation.key.target.colony_id)
}

/// `r` times the source `lag` slots ago, plus AR(.9) noise, so that the true correlation is `r`.
fn follower(random: &mut Random, source: &[f64], lag: usize, r: f64) -> Vec<f64> {
    let noise = random.ar(source.len(), 0.9);
    let spread = (1.0 - r * r).sqrt();
    (0..source.len()).map(|t| r * source[t.saturating_sub(lag)] + spread * noise[t]).collect()
}

#[test]
fn planted_relations_are_confirmed_with_lag_and_sign() {
    for seed in [1, 2, 3] {
        let mut random = Random(seed);
        let mut points = Vec::new();
        let cases = [(0, 0.9), (0, -0.9), (5, 0.9), (5, -0.9), (120, 0.9), (120, -0.9)];
        for (index, (lag, r)) in cases.iter().enumerate() {
            let source = random.ar(2 * DAY, 0.9);
            let target = follower(&mut random, &source, *lag, *r);
            points.extend(minutely(&key(&format!("a{index}"), "gauge"), &source));
            points.extend(minutely(&key(&format!("b{index}"), "gauge"), &target));
        }
        let run = run(points, MetricParams::default());
        assert_eq!(run.tested(), 66);
        let found = confirmed(&run);
        assert_eq!(found.len(), cases.len(), "seed {seed}: {found:#?}");
        for (index, (lag, r)) in cases.iter().enumerate() {
            let (a, b) = (format!("a{index}"), format!("b{index}"));
            let hit = found.iter().find(|f| pair(f) == (a.as_str(), b.as_str())).unwrap();
            assert_eq!(hit.correlation.lag_seconds, 60 * *lag as i32, "seed {seed}, case {index}");
            assert!((hit.correlation.coefficient.0 - r).abs() < 0.1);
            assert!(hit.correlation.confidence.0 > 0.99);
            assert_eq!(hit.evidence.len(), 1);
        }
    }
}

#[test]
fn a_pair_under_slow_noise_is_found_within_a_week_and_stays() {
    // r = .8 under AR(.99): a day is worth some fourteen independent points
    let (mut found, mut stayed) = (0, 0);
    for seed in 1..=6 {
        let mut random = Random(seed);
        let lag = 60;
        let series: Vec<Vec<f64>> = (0..2).map(|_| random.ar(8 * DAY + lag, 0.99)).collect();
        let noise = random.ar(8 * DAY + lag, 0.99);
        let follower: Vec<f64> = (lag..8 * DAY + lag).map(|t| 0.8 * series[0][t - lag] + 0.6 * noise[t]).collect();
        let mut points = minutely(&key("follower", "gauge"), &follower);
        for (index, values) in series.iter().enumerate() {
            points.extend(minutely(&key(&format!("s{index}"), "gauge"), &values[lag..]));
        }
        let mut run = Run::new(MetricParams::default(), 1);
        run.apply(points.into_iter().map(|p| (p, 1)).collect());
        let mut confirmed_at_looks = Vec::new();
        for day in 2..=8 {
            let now = START + day * DAY as i64 * 60_000 - 60_000;
            // later samples do not change what is seen from here
            run.look(TimeMs(now));
            let all = confirmed(&run);
            assert!(all.iter().all(|f| pair(f) == ("s0", "follower")), "seed {seed}: {all:#?}");
            assert!(all.iter().all(|f| (f.correlation.lag_seconds - 3600).abs() <= 300), "seed {seed}: {all:#?}");
            confirmed_at_looks.push(!all.is_empty());
        }
        let first = confirmed_at_looks.iter().position(|confirmed| *confirmed);
        // the first look is at the end of the second day
        found += usize::from(first.is_some_and(|first| first <= 5));
        stayed +=
            usize::from(first.is_some_and(|first| confirmed_at_looks[first..].iter().all(|confirmed| *confirmed)));
    }
    assert!(found >= 5, "{found} of 6 within seven days");
    assert!(stayed >= 5, "{stayed} of 6 are confirmed at every later look");
}

#[test]
fn what_only_looks_alike_is_not_confirmed() {
    let kinds = ["white", "walk", "cycle", "trend", "ar99", "spikes"];
    for (kind, days) in kinds.into_iter().flat_map(|kind| [(kind, 2), (kind, 4)]) {
        let mut alike = 0;
        for seed in 1..=2 {
            let mut random = Random(seed * 1000 + days as u64);
            let n = days * DAY;
            let mut points = Vec::new();
            for colony in 0..9 {
                let noise: Vec<f64> = (0..n).map(|_| random.normal()).collect();
                let slope = random.normal() * 20.0 / n as f64;
                let values: Vec<f64> = match kind {
                    "white" => noise,
                    "walk" => noise
                        .iter()
                        .scan(0.0, |sum, v| {
                            *sum += v;
                            Some(*sum)
                        })
                        .collect(),
                    "cycle" => {
                        let phase = random.uniform() * 0.5;
                        let day = |t: usize| (std::f64::consts::TAU * (t as f64 / DAY as f64) + phase).sin();
                        noise.iter().enumerate().map(|(t, v)| 4.24 * day(t) + v).collect()
                    }
                    "trend" => noise.iter().enumerate().map(|(t, v)| slope * t as f64 + 0.3 * v).collect(),
                    "ar99" => random.ar(n, 0.99),
                    _ => noise.iter().map(|v| if random.chance(0.003) { v + 300.0 } else { *v }).collect(),
                };
                points.extend(minutely(&key(&format!("c{colony}"), "gauge"), &values));
            }
            let run = run(points, MetricParams::default());
            assert_eq!(run.tested(), 36);
            let found = confirmed(&run);
            assert!(found.is_empty(), "{kind}, {days} days, seed {seed}: {found:#?}");
            alike += run.findings().len();
        }
        if ["walk", "cycle", "trend"].contains(&kind) {
            assert!(alike > 0, "{kind}: |r| alone would have called some of them related");
        }
    }
}

#[test]
fn a_shared_daily_cycle_is_named_and_a_relation_under_it_is_still_found() {
    let mut random = Random(7);
    let n = 5 * DAY;
    let day: Vec<f64> = (0..n).map(|t| 4.0 * (std::f64::consts::TAU * t as f64 / DAY as f64).sin()).collect();
    let with_day = |values: Vec<f64>| -> Vec<f64> { values.iter().zip(&day).map(|(v, d)| v + d).collect() };
    let source = random.ar(n, 0.9);
    let target = follower(&mut random, &source, 10, 0.95);
    let mut points = minutely(&key("a", "gauge"), &with_day(source));
    points.extend(minutely(&key("b", "gauge"), &with_day(target)));
    points.extend(minutely(&key("c", "gauge"), &with_day(random.ar(n, 0.9))));
    let run = run(points, MetricParams::default());
    let found = run.findings();
    let by_pair = |a: &str, b: &str| {
        let hit = found.iter().find(|f| {
            [(a, b), (b, a)].contains(&pair(f))
                && f.correlation.explained_by.as_deref().is_none_or(|e| !e.starts_with("mirror"))
        });
        &hit.unwrap().correlation
    };
    assert_eq!(by_pair("a", "b").state, PatternState::Confirmed);
    assert_eq!(by_pair("a", "b").lag_seconds, 600);
    assert_eq!(by_pair("a", "c").explained_by.as_deref(), Some("daily_cycle"));
    assert_eq!(by_pair("a", "c").state, PatternState::Candidate);
}

#[test]
fn the_follower_of_a_follower_is_explained_by_what_drives_both() {
    let mut random = Random(11);
    let source = random.ar(2 * DAY, 0.9);
    let mut points = minutely(&key("driver", "gauge"), &source);
    points.extend(minutely(&key("early", "gauge"), &follower(&mut random, &source, 5, 0.95)));
    points.extend(minutely(&key("late", "gauge"), &follower(&mut random, &source, 60, 0.95)));
    let run = run(points, MetricParams::default());
    let found = run.findings();
    let by_pair = |a: &str, b: &str| &found.iter().find(|f| pair(f) == (a, b)).unwrap().correlation;
    assert_eq!(by_pair("driver", "early").state, PatternState::Confirmed);
    assert_eq!(by_pair("driver", "late").state, PatternState::Confirmed);
    let indirect = by_pair("early", "late");
    assert_eq!((indirect.state, indirect.lag_seconds), (PatternState::Candidate, 3300));
    assert_eq!(indirect.explained_by.as_deref(), Some("common_cause:driver/api/gauge"));
}

#[test]
fn what_reaches_a_series_through_another_goes_by_way_of_it() {
    let mut random = Random(19);
    let source = random.ar(2 * DAY, 0.9);
    let between = follower(&mut random, &source, 20, 0.95);
    let target = follower(&mut random, &between, 30, 0.95);
    let mut points = minutely(&key("a", "gauge"), &source);
    points.extend(minutely(&key("b", "gauge"), &between));
    points.extend(minutely(&key("c", "gauge"), &target));
    let run = run(points, MetricParams::default());
    let found = run.findings();
    let by_pair = |a: &str, b: &str| &found.iter().find(|f| pair(f) == (a, b)).unwrap().correlation;
    for (a, b, lag_seconds) in [("a", "b", 1200), ("b", "c", 1800)] {
        let step = by_pair(a, b);
        assert_eq!((step.state, step.lag_seconds, &step.reason), (PatternState::Confirmed, lag_seconds, &None));
    }
    let through = by_pair("a", "c");
    assert_eq!((through.state, through.lag_seconds), (PatternState::Candidate, 3000));
    assert_eq!(through.explained_by.as_deref(), Some("mediator:b/api/gauge"));
    assert_eq!(through.reason.as_deref(), Some("goes by way of b/api/gauge"));
}

#[test]
fn a_load_that_the_fleet_shares_explains_what_moves_with_it() {
    let mut random = Random(13);
    let load = random.ar(2 * DAY, 0.9);
    let mut points = Vec::new();
    for colony in 0..6 {
        // two services serve the same users beyond the common load
        let noise = random.ar(2 * DAY, 0.5);
        let requests: Vec<f64> = load.iter().zip(&noise).map(|(l, e)| 100.0 + 10.0 * l + 4.0 * e).collect();
        let cpu: Vec<f64> = requests.iter().map(|r| 0.3 * r + 0.8 * random.normal()).collect();
        points.extend(minutely(&key(&format!("c{colony}"), "requests_per_second"), &requests));
        points.extend(minutely(&key(&format!("c{colony}"), "cpu_usage"), &cpu));
    }
    let run = run(points, MetricParams::default());
    assert_eq!(run.tested(), 60);
    let found = run.findings();
    let shared =
        found.iter().filter(|f| f.correlation.explained_by.as_deref() == Some("common_cause:shared_load")).count();
    assert!(confirmed(&run).is_empty(), "{:#?}", confirmed(&run));
    assert!(shared >= 30, "{shared} of {} say why", found.len());
}

/// Requests of six services of as many colonies under one load; what the second does, the first does as well.
fn of_one_load(calls: &[Call]) -> Vec<Finding> {
    let mut random = Random(13);
    let load = random.ar(2 * DAY, 0.9);
    let own: Vec<Vec<f64>> = (0..6).map(|_| random.ar(2 * DAY, 0.5)).collect();
    let mut run = Run::new(MetricParams::default(), 1);
    for colony in 0..6 {
        let own = &own[colony.max(1)];
        let requests = load.iter().zip(own).map(|(l, o)| 100.0 + 10.0 * l + 4.0 * o + 0.5 * random.normal());
        let series =
            SeriesKey { service_id: format!("s{colony}"), ..key(&format!("c{colony}"), "requests_per_second") };
        let points = minutely(&series, &requests.collect::<Vec<f64>>());
        run.apply(points.into_iter().map(|point| (point, 1)).collect());
    }
    let now = TimeMs(START + 2 * DAY as i64 * 60_000 - 60_000);
    // the first look is without calls
    run.look(now);
    run.apply_calls(calls);
    run.look(now);
    confirmed(&run)
}

#[test]
fn a_call_tells_what_two_services_share_beyond_the_load_of_the_fleet() {
    let call = |colony: &str, from: &str, to: &str| Call {
        colony_id: colony.to_owned(),
        from_service: from.to_owned(),
        to_service: to.to_owned(),
        seen_at: TimeMs(START),
    };
    assert_eq!(of_one_load(&[]), [], "more work at two services at once is what a shared load looks like");
    for linked in [call("c0", "s0", "s1"), call("c1", "s0", "s1"), call("c0", "s1", "s0")] {
        let found = of_one_load(std::slice::from_ref(&linked));
        let pairs: Vec<(&str, &str)> = found.iter().map(pair).collect();
        assert_eq!(pairs, [("c0", "c1")], "{linked:?}");
        assert_eq!((found[0].correlation.lag_seconds, found[0].correlation.explained_by.as_deref()), (0, None));
    }
    // a call of which neither colony tells; two services that are no closer to each other than to the load
    assert_eq!(of_one_load(&[call("c2", "s0", "s1"), call("c2", "s2", "s3")]), []);
}

/// White noise under a Gaussian window of this width, of unit variance.
fn smooth(random: &mut Random, n: usize, sigma: f64) -> Vec<f64> {
    let reach = (4.0 * sigma) as usize;
    let weight = |i: usize| (-0.5 * ((i as f64 - reach as f64) / sigma).powi(2)).exp();
    let weights: Vec<f64> = (0..=2 * reach).map(weight).collect();
    let scale = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
    let noise: Vec<f64> = (0..n + 2 * reach).map(|_| random.normal()).collect();
    let sum = |part: &[f64]| part.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>();
    noise.windows(weights.len()).map(|part| sum(part) / scale).collect()
}

#[test]
fn a_smooth_load_that_the_fleet_shares_is_simultaneous_wherever_its_flat_peak_has_its_top() {
    let mut beside = 0;
    for seed in 1..=8 {
        let mut random = Random(seed);
        let load = smooth(&mut random, 2 * DAY, 20.0);
        let mut points = Vec::new();
        for colony in 0..6 {
            let own = smooth(&mut random, 2 * DAY, 20.0);
            let requests: Vec<f64> = load.iter().zip(&own).map(|(l, o)| 100.0 + 10.0 * l + 3.5 * o).collect();
            points.extend(minutely(&key(&format!("c{colony}"), "requests_per_minute"), &requests));
        }
        let run = run(points, MetricParams::default());
        assert!(confirmed(&run).is_empty(), "seed {seed}: {:#?}", confirmed(&run));
        beside += run.findings().iter().filter(|f| f.correlation.lag_seconds > 60).count();
    }
    assert!(beside >= 8, "only {beside} have their top elsewhere");
}

#[test]
fn hysteresis_keeps_a_candidate_down_to_the_leave_threshold_and_then_withdraws() {
    // r is above .8 on the first day, between .75 and .8 on the second, gone on the third
    let mut random = Random(5);
    let n = 3 * DAY;
    let x: Vec<f64> = (0..n).map(|_| random.normal()).collect();
    let strength = [0.9_f64, 0.777, 0.1];
    let y: Vec<f64> =
        (0..n).map(|t| strength[t / DAY] * x[t] + (1.0 - strength[t / DAY].powi(2)).sqrt() * random.normal()).collect();
    let points: Vec<MetricPoint> =
        minutely(&key("a", "gauge"), &x).into_iter().chain(minutely(&key("b", "gauge"), &y)).collect();
    let state_after = |days: usize| {
        let until = TimeMs(START + (days * DAY) as i64 * 60_000 - 60_000);
        let kept: Vec<MetricPoint> = points.iter().filter(|p| p.timestamp <= until).cloned().collect();
        let found = run_until(kept, MetricParams::default(), until).findings();
        found.first().map(|f| (f.correlation.state, f.correlation.coefficient.0))
    };
    let (first, r_first) = state_after(1).unwrap();
    assert!(first == PatternState::Confirmed && r_first > 0.85);
    let (second, r_second) = state_after(2).unwrap();
    assert!(second == PatternState::Confirmed && (0.75..0.8).contains(&r_second), "{second:?} {r_second}");
    let (third, _) = state_after(3).unwrap();
    assert_eq!(third, PatternState::Withdrawn);
    // without the first day the second never enters
    let late: Vec<MetricPoint> = points
        .iter()
        .filter(|p| p.timestamp.0 >= START + DAY as i64 * 60_000 && p.timestamp.0 < START + 2 * DAY as i64 * 60_000)
        .cloned()
        .collect();
    assert!(run(late, MetricParams::default()).findings().is_empty());
}

#[test]
fn different_intervals_meet_on_the_coarser_grid() {
    let mut random = Random(17);
    let fine = random.ar(2 * DAY, 0.97);
    let coarse: Vec<f64> =
        (0..2 * DAY / 5).map(|slot| fine[slot * 5..slot * 5 + 5].iter().sum::<f64>() / 5.0).collect();
    let mut points = minutely(&key("fine", "gauge"), &fine);
    // no interval stated: derived from the spacing; two slots (10 minutes) later
    points.extend(
        coarse
            .iter()
            .enumerate()
            .map(|(slot, v)| point(&key("coarse", "gauge"), START + (slot as i64 + 2) * 300_000, *v, None)),
    );
    points.retain(|p| p.timestamp.0 < START + 2 * DAY as i64 * 60_000);
    let found = run(points, MetricParams::default()).findings();
    let hit = &found.iter().find(|f| pair(f) == ("fine", "coarse")).unwrap().correlation;
    assert_eq!(hit.lag_seconds, 600);
    assert_eq!(hit.sample_count, 288);
    assert!(hit.coefficient.0 > 0.999_999);
}

/// Missing data neither raises nor lowers a score.
#[test]
fn hours_that_one_side_lacks_count_on_neither_side() {
    let mut random = Random(23);
    let source = random.ar(2 * DAY, 0.9);
    let target = follower(&mut random, &source, 0, 0.9);
    // four hours of the last window: more than a fifth may not be missing
    let is_missing = |p: &MetricPoint| {
        let minute = (p.timestamp.0 - START) / 60_000 - DAY as i64;
        (300..540).contains(&minute)
    };
    let found = |lacking: &[&str]| {
        let mut points = minutely(&key("a", "gauge"), &source);
        points.extend(minutely(&key("b", "gauge"), &target));
        points.retain(|p| !(is_missing(p) && lacking.contains(&p.series.names().colony_id)));
        let findings = run(points, MetricParams::default()).findings();
        let hit = findings.into_iter().find(|f| pair(f) == ("a", "b")).unwrap().correlation;
        (hit.coefficient.0, hit.sample_count, hit.state)
    };
    let (all, of_one, of_both) = (found(&[]), found(&["b"]), found(&["a", "b"]));
    assert!((of_one.0 - of_both.0).abs() < 1e-9, "{of_one:?} {of_both:?}");
    assert_eq!((of_one.1, of_one.2), (of_both.1, PatternState::Confirmed));
    assert_eq!(all.1 - of_one.1, 240, "{all:?} {of_one:?}");
}
