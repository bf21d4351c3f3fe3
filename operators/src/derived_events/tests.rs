//! Tests of derived events: each kind, and the oracle.
#![allow(clippy::unwrap_used)]

mod kinds;
mod property;

use super::{DerivedEvent, DerivedEvents};
use crate::ext::Change;
use crate::metrics::block::Sample;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::{MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

/// 2024-11-13, midnight.
pub const START: TimeMs = TimeMs(1_731_456_000_000);

/// The sample of `metric` this many quarters of an hour after [`START`].
pub fn sample(metric: &str, quarter: i64, value: f64) -> Sample {
    let names = SeriesRef {
        colony_id: "shop-production",
        application_name: "shop",
        environment: "production",
        service_id: "api",
        metric_name: metric,
        interval_seconds: Some(900),
    };
    Sample { series: SeriesId::of(names), at: START + quarter * 15 * MINUTE_MS, value: Real(value), weight: 1 }
}

/// The derived events that hold, each once.
#[derive(Default)]
pub struct Events(BTreeMap<DerivedEvent, i64>);

impl Events {
    pub fn apply(&mut self, changes: Vec<Change<DerivedEvent>>) {
        for (event, diff) in changes {
            *self.0.entry(event).or_default() += diff;
        }
        self.0.retain(|_, count| *count != 0);
        assert!(self.0.values().all(|count| *count == 1), "{:?}", self.0);
    }

    pub fn events(&self) -> Vec<DerivedEvent> {
        self.0.keys().cloned().collect()
    }

    /// `kind` and quarter of an hour.
    pub fn told(&self) -> Vec<String> {
        let mut events: Vec<&DerivedEvent> = self.0.keys().collect();
        events.sort_by_key(|event| (event.since, event.kind));
        let quarter = |event: &DerivedEvent| (event.since - START) as f64 / (15 * MINUTE_MS) as f64;
        events.into_iter().map(|event| format!("{} {}", event.kind.as_str(), quarter(event))).collect()
    }
}

/// The events of one series, of which `value` says the value at each quarter of an hour.
pub fn told(metric: &str, quarters: i64, value: impl Fn(i64) -> f64) -> Vec<String> {
    let (mut operator, mut events) = (DerivedEvents::default(), Events::default());
    operator.apply((0..quarters).map(|quarter| (sample(metric, quarter, value(quarter)), 1)));
    events.apply(operator.evaluate());
    events.told()
}

/// Noise between -1 and 1 that is the same in each run.
pub fn noise(quarter: i64) -> f64 {
    let mixed = (quarter as u64 ^ 0x9E37_79B9).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed >> 40) as f64 / f64::from(1_u32 << 24)).mul_add(2.0, -1.0)
}
