//! Tests of chunks: rows come back as they went in, and what stays whole is shared.

use super::*;
use crate::real::Real;
use crate::series::SeriesRef;

fn point(service_id: &str, minute: i64) -> MetricPoint {
    let names = SeriesRef { colony_id: "columns", service_id, metric_name: "m", ..SeriesRef::default() };
    let (series, timestamp) = (SeriesId::of(names), TimeMs(minute * 60_000));
    MetricPoint { series, timestamp, mean: Some(Real(minute as f64)), ..MetricPoint::default() }
}

#[test]
fn a_row_comes_back_as_it_went_in_whatever_it_lacks() {
    let all = MetricPoint {
        version: u64::MAX,
        count: Some(u64::MAX),
        mean: Some(Real(-0.0)),
        p50: Some(Real(f64::MIN_POSITIVE)),
        p95: Some(Real(1.5)),
        p99: Some(Real(f64::MAX)),
        max: Some(Real(f64::NAN)),
        ..point("a", 1)
    };
    let rows = [
        all,
        MetricPoint { count: None, ..all },
        MetricPoint { mean: None, max: None, ..all },
        MetricPoint { p50: None, p95: None, p99: None, ..all },
        MetricPoint { count: Some(0), mean: Some(Real(0.0)), ..point("b", 2) },
    ];
    let metrics = Metrics::from(rows);
    assert_eq!(metrics.to_vec(), rows);
    assert_eq!(
        metrics.iter().map(|row| row.mean.map(|mean| mean.0.to_bits())).next(),
        Some(Some((-0.0_f64).to_bits()))
    );
    for (row, point) in metrics.rows().zip(&rows) {
        let statistics = row.statistics();
        assert_eq!((statistics.rank(), statistics.value().map(|it| it.0)), (point.rank(), point.value()));
    }
}

#[test]
fn rows_are_in_the_order_that_points_are_in() {
    let points = [point("b", 1), point("a", 2), point("a", 1), MetricPoint { version: 1, ..point("a", 1) }];
    let metrics = Metrics::from(points);
    let mut rows: Vec<MetricRow<'_>> = metrics.rows().collect();
    rows.sort();
    let mut sorted = points.to_vec();
    sorted.sort();
    assert_eq!(rows.iter().map(MetricRow::point).collect::<Vec<_>>(), sorted);
}

#[test]
fn what_is_taken_over_or_stays_whole_is_shared() {
    let (mut one, two) = (Metrics::from(vec![point("a", 1), point("a", 2)]), Metrics::from(vec![point("b", 3)]));
    let (first, second) = (Arc::clone(&one.chunks()[0]), Arc::clone(&two.chunks()[0]));
    one.append(two);
    assert_eq!((one.len(), one.chunks().len()), (3, 2));
    let gone = one.split_off(|row| row.series().key.service_id == "b");
    assert!(Arc::ptr_eq(&one.chunks()[0], &first) && Arc::ptr_eq(&gone.chunks()[0], &second));
    // shared with others: a row that is added does not show there
    one.push(point("c", 4));
    assert_eq!((one.len(), first.len()), (3, 2));
}

#[test]
fn rows_are_split_and_kept_in_order() {
    let points: Vec<MetricPoint> = (0..20_000).map(|minute| point("a", minute)).collect();
    let mut metrics = Metrics::from(points.clone());
    assert!(metrics.chunks().len() > 1);
    let odd = metrics.split_off(|row| row.timestamp().0 / 60_000 % 2 == 1);
    assert_eq!(metrics, points.iter().copied().step_by(2).collect::<Vec<_>>());
    assert_eq!(odd, points.iter().copied().skip(1).step_by(2).collect::<Vec<_>>());
    metrics.retain(|row| row.timestamp() < TimeMs(120_000));
    assert_eq!((metrics.first(), metrics.last()), (Some(points[0]), Some(points[0])));
    assert_eq!((metrics.pop(), metrics.pop(), metrics.len()), (Some(points[0]), None, 0));
}
