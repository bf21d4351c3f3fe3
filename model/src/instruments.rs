//! Instruments: counters, gauges and durations of a process, and the registry that shows them as OpenMetrics text.
//!
//! A [`Registry`] is handed in, like a clock. A component asks it once for the instruments that it needs and keeps them;
//! counting is one atomic addition. Whatever shows numbers (progress, a summary, `/metrics`) reads the same instruments.
//! Names have no prefix and no `_total` in the code: the text shows `rows` as `reef_rows_total`. A name that ends with
//! `_seconds` or `_bytes` has that unit.
//!
//! Labels are bounded. All labels but the last have values that the code lists; the last one may come from outside (a
//! colony, a source), and beyond [`LABELS_MAX`] values it is counted as [`OTHER`], so that sums stay right.

use crate::clock::SharedClock;
use crate::time::{SECOND_MS, TimeMs};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry as Text, Unit};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Before each name in the text.
const PREFIX: &str = "reef";
/// Values of the last label of one instrument.
pub const LABELS_MAX: usize = 256;
/// Stands for all values of a label beyond that.
pub const OTHER: &str = "other";

/// A number that only rises.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Stands for a gauge that has not been set.
const UNSET: i64 = i64::MIN;

/// A number that rises and falls; not shown until it is set.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<AtomicI64>);

impl Default for Gauge {
    fn default() -> Gauge {
        Gauge(Arc::new(AtomicI64::new(UNSET)))
    }
}

impl Gauge {
    /// Sets it; values beyond 63 bits are shown as the largest one.
    pub fn set(&self, value: impl TryInto<i64>) {
        self.0.store(value.try_into().unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Its value, as a number that cannot be negative; `None` until it is set.
    pub fn get(&self) -> Option<u64> {
        let value = self.0.load(Ordering::Relaxed);
        (value != UNSET).then(|| u64::try_from(value).unwrap_or(0))
    }
}

/// A point in time, shown in seconds since 1970; not shown until it is set.
#[derive(Clone, Debug)]
pub struct Moment(Arc<AtomicI64>);

impl Default for Moment {
    fn default() -> Moment {
        Moment(Arc::new(AtomicI64::new(UNSET)))
    }
}

impl Moment {
    /// Sets it.
    pub fn set(&self, time: TimeMs) {
        self.0.store(time.0, Ordering::Relaxed);
    }

    /// Sets it to the later of its time and `time`.
    pub fn raise(&self, time: TimeMs) {
        self.0.fetch_max(time.0, Ordering::Relaxed);
    }

    /// Sets it to the earlier of its time and `time`.
    pub fn lower(&self, time: TimeMs) {
        let earlier = |at: i64| (at == UNSET || time.0 < at).then_some(time.0);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earlier);
    }

    /// The time; `None` until it is set.
    pub fn get(&self) -> Option<TimeMs> {
        let time = self.0.load(Ordering::Relaxed);
        (time != UNSET).then_some(TimeMs(time))
    }
}

/// How often something took how long, in buckets from a millisecond to some four minutes.
#[derive(Clone, Debug)]
pub struct Durations(Histogram);

impl Default for Durations {
    fn default() -> Durations {
        Durations(Histogram::new(exponential_buckets(0.001, 4.0, 10)))
    }
}

impl Durations {
    /// Adds one.
    pub fn observe(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }
}

/// The same instrument by labels.
#[derive(Clone)]
pub struct Family<T>(Arc<Labelled<T>>);

struct Labelled<T> {
    labels: &'static [&'static str],
    each: Mutex<Each<T>>,
}

#[derive(Debug)]
struct Each<T> {
    of: BTreeMap<Vec<String>, T>,
    /// Values of the last label.
    last: BTreeSet<String>,
}

impl<T: Clone + Default> Family<T> {
    fn new(labels: &'static [&'static str]) -> Family<T> {
        let each = Each { of: BTreeMap::new(), last: BTreeSet::new() };
        Family(Arc::new(Labelled { labels, each: Mutex::new(each) }))
    }

    /// The one with these values of its labels, in order.
    ///
    /// # Panics
    /// When there is not one value for each label.
    pub fn with(&self, values: &[&str]) -> T {
        assert_eq!(values.len(), self.0.labels.len(), "one value for each of {:?}", self.0.labels);
        let mut each = self.each();
        let mut values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        if let Some(last) = values.last_mut()
            && !each.last.contains(last)
        {
            if each.last.len() < LABELS_MAX {
                each.last.insert(last.clone());
            } else {
                OTHER.clone_into(last);
            }
        }
        each.of.entry(values).or_default().clone()
    }

    /// All of them, with the values of their labels.
    pub fn all(&self) -> Vec<(Vec<String>, T)> {
        self.each().of.iter().map(|(values, one)| (values.clone(), one.clone())).collect()
    }

    fn each(&self) -> MutexGuard<'_, Each<T>> {
        self.0.each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Family<Counter> {
    /// The sum over all labels.
    pub fn sum(&self) -> u64 {
        self.each().of.values().map(Counter::get).sum()
    }

    /// The sums by the values of the label `label`; those that have counted nothing are omitted.
    pub fn by(&self, label: &str) -> BTreeMap<String, u64> {
        let Some(place) = self.0.labels.iter().position(|known| *known == label) else { return BTreeMap::new() };
        let mut sums = BTreeMap::new();
        for (values, counter) in self.all() {
            let count = counter.get();
            if count > 0 {
                *sums.entry(values[place].clone()).or_default() += count;
            }
        }
        sums
    }

    /// The sum over all whose label `label` has this value.
    pub fn of(&self, label: &str, value: &str) -> u64 {
        let place = self.0.labels.iter().position(|known| *known == label);
        let each = self.each();
        let is_of = |values: &&Vec<String>| place.is_some_and(|place| values[place] == value);
        each.of.iter().filter(|(values, _)| is_of(values)).map(|(_, counter)| counter.get()).sum()
    }
}

/// All instruments of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Known>>);

struct Known {
    instruments: BTreeMap<&'static str, Box<dyn Any + Send>>,
    text: Text,
}

impl Default for Known {
    fn default() -> Known {
        Known { instruments: BTreeMap::new(), text: Text::with_prefix(PREFIX) }
    }
}

impl Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// A registry without instruments.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// A counter.
    pub fn counter(&self, name: &'static str, help: &str) -> Counter {
        self.known(name, help, Counter::default)
    }

    /// Counters by labels.
    pub fn counters(&self, name: &'static str, help: &str, labels: &'static [&'static str]) -> Family<Counter> {
        self.known(name, help, || Family::new(labels))
    }

    /// A gauge.
    pub fn gauge(&self, name: &'static str, help: &str) -> Gauge {
        self.known(name, help, Gauge::default)
    }

    /// Gauges by labels.
    pub fn gauges(&self, name: &'static str, help: &str, labels: &'static [&'static str]) -> Family<Gauge> {
        self.known(name, help, || Family::new(labels))
    }

    /// A point in time.
    pub fn moment(&self, name: &'static str, help: &str) -> Moment {
        self.known(name, help, Moment::default)
    }

    /// Points in time by labels.
    pub fn moments(&self, name: &'static str, help: &str, labels: &'static [&'static str]) -> Family<Moment> {
        self.known(name, help, || Family::new(labels))
    }

    /// Durations.
    pub fn durations(&self, name: &'static str, help: &str) -> Durations {
        self.known(name, help, Durations::default)
    }

    /// Durations by labels.
    pub fn durations_by(&self, name: &'static str, help: &str, labels: &'static [&'static str]) -> Family<Durations> {
        self.known(name, help, || Family::new(labels))
    }

    /// Shows how far `moments` lie behind `clock`, each time the text is asked for.
    pub fn ages(&self, name: &'static str, help: &str, moments: &Family<Moment>, clock: &SharedClock) {
        self.known(name, help, || Ages { moments: moments.clone(), clock: Arc::clone(clock) });
    }

    /// The instruments as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut shown = String::new();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text::encode(&mut shown, &known.text).expect("a string takes all text");
        shown
    }

    /// The instrument of this name; created when it is asked for first.
    fn known<T: EncodeMetric + Debug + Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        help: &str,
        new: impl FnOnce() -> T,
    ) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(instrument) = known.instruments.get(name) {
            let instrument = instrument.downcast_ref::<T>();
            return instrument.unwrap_or_else(|| panic!("{name} is an instrument of another kind")).clone();
        }
        let instrument = new();
        known.instruments.insert(name, Box::new(instrument.clone()));
        let units = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];
        let with_unit = units.into_iter().find_map(|(end, unit)| Some((name.strip_suffix(end)?, unit)));
        match with_unit {
            Some((name, unit)) => known.text.register_with_unit(name, help, unit, instrument.clone()),
            None => known.text.register(name, help, instrument.clone()),
        }
        instrument
    }
}

/// How far points in time lie behind a clock.
#[derive(Clone, Debug)]
struct Ages {
    moments: Family<Moment>,
    clock: SharedClock,
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / SECOND_MS as f64
}

impl EncodeMetric for Counter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, u64, f64>(&self.get(), None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

impl EncodeMetric for Gauge {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.0.load(Ordering::Relaxed))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.get().is_none()
    }
}

impl EncodeMetric for Moment {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&seconds(self.0.load(Ordering::Relaxed)))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.get().is_none()
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl<T: EncodeMetric + Clone + Default> EncodeMetric for Family<T> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (values, one) in self.all() {
            let labels: Vec<(&str, String)> = self.0.labels.iter().copied().zip(values).collect();
            if !one.is_empty() {
                one.encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        T::default().metric_type()
    }

    fn is_empty(&self) -> bool {
        self.all().iter().all(|(_, one)| one.is_empty())
    }
}

impl<T> Debug for Family<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("labels", &self.0.labels).finish_non_exhaustive()
    }
}

impl EncodeMetric for Ages {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let now = self.clock.now();
        for (values, moment) in self.moments.all() {
            let Some(time) = moment.get() else { continue };
            let labels: Vec<(&str, String)> = self.moments.0.labels.iter().copied().zip(values).collect();
            encoder.encode_family(&labels)?.encode_gauge(&seconds(now - time))?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }
}
