//! The samples of every series by place, and the series as they are seen from an instant.

use super::block::Sample;
use super::grid::{Kept, Slots, Track, native};
use super::params::{MetricPairs, MetricParams};
use super::series::Prepared;
use crate::shard::Shard;
use model::metric::SeriesKey;
use model::series::SeriesId;
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

/// Number of a series in the order in which they came.
pub type Place = usize;

/// A series and its samples.
#[derive(Debug)]
pub struct Series {
    /// Its name.
    pub key: &'static SeriesKey,
    /// Its samples by interval.
    pub tracks: BTreeMap<Option<u32>, Track>,
    /// Its slots as of the present instant, by interval and step.
    slots: BTreeMap<(Option<u32>, i64), Slots>,
    /// Numbers of its colony and of its metric's name, and which of the shards' classes it is in.
    colony: u32,
    metric: u32,
    class: usize,
}

/// A series at an instant, on every grid it is needed on.
#[derive(Debug)]
pub struct Seen {
    /// Which one.
    pub place: Place,
    /// Its name.
    pub key: &'static SeriesKey,
    /// The series of its latest sample.
    pub latest: SeriesId,
    /// The step of its own grid, and the interval of the samples that are used.
    pub native_ms: i64,
    /// See `native_ms`.
    pub interval: Option<u32>,
    /// By step, its own and coarser ones.
    pub on: BTreeMap<i64, Prepared>,
}

/// A series at an instant without its values.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Which one.
    pub place: Place,
    /// Its name.
    pub key: &'static SeriesKey,
    /// The series of its latest sample.
    pub latest: SeriesId,
    /// The step of its own grid, and the interval of the samples that are used.
    pub native_ms: i64,
    /// See `native_ms`.
    pub interval: Option<u32>,
    /// The steps on which it has enough samples.
    pub steps: Vec<i64>,
}

impl Seen {
    /// The same without values.
    pub fn sight(&self) -> Sight {
        let Seen { place, key, latest, native_ms, interval, .. } = *self;
        Sight { place, key, latest, native_ms, interval, steps: self.on.keys().copied().collect() }
    }
}

/// The samples of all series.
#[derive(Debug)]
pub struct Held {
    shard: Shard,
    series: Vec<Series>,
    /// Places in `series`, in the order of names.
    places: BTreeMap<&'static SeriesKey, Place>,
    /// The same by number. Series that differ in interval, application or environment alone share a place.
    known: Vec<Option<Place>>,
    colonies: BTreeMap<&'static str, u32>,
    metrics: BTreeMap<&'static str, u32>,
}

impl Held {
    /// Nothing yet.
    pub fn new(shard: Shard) -> Held {
        let (places, colonies, metrics) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Held { shard, series: Vec::new(), places, known: Vec::new(), colonies, metrics }
    }

    /// A series.
    pub fn series(&self, place: Place) -> &Series {
        &self.series[place]
    }

    /// Series that ever had a sample.
    pub fn count(&self) -> usize {
        self.series.len()
    }

    /// Takes a sample in or out, and returns its place.
    pub fn change(&mut self, sample: &Sample, insert: bool) -> Place {
        let place = self.place(sample.series);
        let (at_ms, interval_seconds) = (sample.at.0, sample.series.interval_seconds);
        let Series { tracks, slots, .. } = &mut self.series[place];
        for ((_, step_ms), slots) in slots.iter_mut().filter(|((interval, _), _)| *interval == interval_seconds) {
            slots.change(at_ms.div_euclid(*step_ms));
        }
        if insert {
            let kept = Kept { value: sample.value.0, weight: sample.weight, series: sample.series };
            tracks.entry(interval_seconds).or_default().insert(at_ms, kept);
        } else if let Some(track) = tracks.get_mut(&interval_seconds) {
            track.remove(at_ms);
            if track.is_empty() {
                tracks.remove(&interval_seconds);
            }
        }
        place
    }

    fn place(&mut self, id: SeriesId) -> Place {
        if let Some(place) = self.known.get(id.index()).copied().flatten() {
            return place;
        }
        let key = &id.series().key;
        let place = match self.places.get(key) {
            Some(place) => *place,
            None => self.add(key, id),
        };
        self.known.resize(self.known.len().max(id.index() + 1), None);
        self.known[id.index()] = Some(place);
        place
    }

    fn add(&mut self, key: &'static SeriesKey, id: SeriesId) -> Place {
        let place = self.series.len();
        let number = |names: &mut BTreeMap<&'static str, u32>, name| {
            let next = names.len() as u32;
            *names.entry(name).or_insert(next)
        };
        let (colony, metric) =
            (number(&mut self.colonies, &key.colony_id), number(&mut self.metrics, &key.metric_name));
        let class = (id.owner_hash() % self.shard.peers as u64) as usize;
        let (tracks, slots) = (BTreeMap::new(), BTreeMap::new());
        self.series.push(Series { key, tracks, slots, colony, metric, class });
        self.places.insert(key, place);
        place
    }

    /// Drops samples before `time`.
    pub fn forget_before(&mut self, time: TimeMs) {
        for series in &mut self.series {
            series.tracks.retain(|_, track| {
                track.forget_before(time.0);
                !track.is_empty()
            });
        }
    }

    /// Samples held.
    pub fn len(&self) -> usize {
        self.series.iter().flat_map(|series| series.tracks.values()).map(Track::len).sum()
    }

    /// Whether no sample is held.
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.tracks.is_empty())
    }

    /// Whether the pair is one to compare, and one of this shard: the sum of both classes names the shard. So a shard has
    /// an equal part of the pairs, and of each series all partners of one class.
    pub fn compares(&self, params: &MetricParams, a: Place, b: Place) -> bool {
        let (a, b) = (&self.series[a], &self.series[b]);
        // both classes are below the number of shards
        let class = a.class + b.class;
        let class = if class >= self.shard.peers { class - self.shard.peers } else { class };
        class == self.shard.index && a.colony != b.colony && (params.pairs == MetricPairs::All || a.metric == b.metric)
    }

    /// What series have in common that are compared with the same others, as far as they are of other colonies.
    pub fn group(&self, params: &MetricParams, place: Place) -> (usize, u32) {
        let series = &self.series[place];
        (series.class, if params.pairs == MetricPairs::All { 0 } else { series.metric })
    }

    /// The series that can be seen from an instant, in the order of their keys; of these, those that are `wanted`.
    pub fn see(&self, params: &MetricParams, at: TimeMs, wanted: impl Fn(Place, &SeriesKey) -> bool) -> Vec<Seen> {
        let mut all = Vec::new();
        self.see_each(params, at, wanted, |seen| all.push(seen));
        all
    }

    /// The same of all series at the present instant, from the slots that are kept of it.
    pub fn see_now(&mut self, params: &MetricParams, at: TimeMs) -> Vec<Seen> {
        let natives = self.natives(params, at, |_, _| true);
        let steps: BTreeSet<i64> = natives.iter().map(|native| native.native_ms).collect();
        let see = |native: Native| {
            let series = &mut self.series[native.place];
            let (key, tracks, slots) = (series.key, &series.tracks, &mut series.slots);
            let track = &tracks[&native.interval];
            slots.retain(|(interval, step), _| *interval == native.interval && steps.contains(step));
            let prepared = |step: &i64| {
                let (history, count) = Prepared::slots(params, *step);
                let slots = slots.entry((native.interval, *step)).or_default();
                let values = slots.resample(track, *step, at.0, history + count).to_vec();
                Some((*step, Prepared::of(values, params, *step)?))
            };
            native.seen(key, track, at, steps.range(native.native_ms..).filter_map(prepared).collect())
        };
        natives.into_iter().map(see).collect()
    }

    /// The series that can be seen from an instant, in the order of their keys, without their values: of one series at a
    /// time these are in memory.
    pub fn sights(&self, params: &MetricParams, at: TimeMs) -> Vec<Sight> {
        let mut sights = Vec::new();
        self.see_each(params, at, |_, _| true, |seen| sights.push(seen.sight()));
        sights
    }

    /// [`Held::see`], one series after the other.
    pub fn see_each(
        &self,
        params: &MetricParams,
        at: TimeMs,
        wanted: impl Fn(Place, &SeriesKey) -> bool,
        mut take: impl FnMut(Seen),
    ) {
        let natives = self.natives(params, at, wanted);
        let steps: BTreeSet<i64> = natives.iter().map(|native| native.native_ms).collect();
        natives.into_iter().for_each(|native| take(self.see_one(params, at, native, &steps)));
    }

    /// The same on some steps alone.
    pub fn see_each_on(
        &self,
        params: &MetricParams,
        at: TimeMs,
        (wanted, steps): (impl Fn(Place, &SeriesKey) -> bool, BTreeSet<i64>),
        mut take: impl FnMut(Seen),
    ) {
        let natives = self.natives(params, at, wanted);
        natives.into_iter().for_each(|native| take(self.see_one(params, at, native, &steps)));
    }

    fn see_one(&self, params: &MetricParams, at: TimeMs, native: Native, steps: &BTreeSet<i64>) -> Seen {
        let series = &self.series[native.place];
        let track = &series.tracks[&native.interval];
        let prepared = |step: &i64| Some((*step, Prepared::new(track, params, *step, at.0)?));
        native.seen(series.key, track, at, steps.range(native.native_ms..).filter_map(prepared).collect())
    }

    /// The values of a series on one of its steps.
    pub fn prepare(&self, params: &MetricParams, at: TimeMs, sight: &Sight, step_ms: i64) -> Option<Prepared> {
        let track = self.series[sight.place].tracks.get(&sight.interval)?;
        Prepared::new(track, params, step_ms, at.0)
    }

    /// Drops what is kept of the present instant.
    pub fn forget_slots(&mut self) {
        self.series.iter_mut().for_each(|series| series.slots = BTreeMap::new());
    }

    /// The samples of all series by interval, and their number.
    pub fn lengths(&self) -> impl Iterator<Item = (Option<u32>, u64)> {
        let tracks = self.series.iter().flat_map(|series| &series.tracks);
        tracks.map(|(interval, track)| (*interval, track.len() as u64))
    }

    /// The grid of each series that can be seen, in the order of their keys.
    fn natives(&self, params: &MetricParams, at: TimeMs, wanted: impl Fn(Place, &SeriesKey) -> bool) -> Vec<Native> {
        let wanted = self.places.iter().filter(|(key, place)| wanted(**place, key));
        let native = |(_, place): (_, &Place)| {
            let (native_ms, interval, _) = native(&self.series[*place].tracks, params, at.0)?;
            Some(Native { place: *place, native_ms, interval })
        };
        wanted.filter_map(native).collect()
    }
}

/// A series that can be seen, and how.
#[derive(Clone, Copy)]
struct Native {
    place: Place,
    native_ms: i64,
    interval: Option<u32>,
}

impl Native {
    fn seen(self, key: &'static SeriesKey, track: &Track, at: TimeMs, on: BTreeMap<i64, Prepared>) -> Seen {
        let Native { place, native_ms, interval } = self;
        let latest = track.last_until(at.0).map(|(_, kept)| kept.series).unwrap_or_default();
        Seen { place, key, latest, native_ms, interval, on }
    }
}
