//! Events of a fleet: background with its habits, planted relations, scheduled decoys (methods.md 6.1).

use super::rng::Rng;
use super::truth::{Decoy, End, EventRelation};
use super::{Colony, FleetConfig};
use model::event::{Event, Severity};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

/// How the chance of an event is spread over a week.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    /// The same at any time.
    Any,
    /// Mostly from 8 to 18 on Monday to Friday.
    WorkingHours,
    /// Any time, three to five within twenty minutes.
    Bursts,
    /// Once a day at this minute, give or take two.
    Daily(i64),
}

/// One background event type of every colony.
struct Background {
    service: &'static str,
    event_type: &'static str,
    severity: Severity,
    /// Expected events (bursts: groups) a day in staging and in production.
    per_day: [f64; 2],
    habit: Habit,
}

const BACKGROUND: [Background; 7] = [
    background("api", "deploy", Severity::Info, [1.6, 0.6], Habit::WorkingHours),
    background("api", "error_spike", Severity::Error, [0.8, 0.5], Habit::Any),
    background("web", "alert", Severity::Warning, [0.5, 0.6], Habit::Bursts),
    background("web", "deploy", Severity::Info, [1.0, 0.4], Habit::WorkingHours),
    background("worker", "restart", Severity::Warning, [0.7, 0.7], Habit::Any),
    background("worker", "crash", Severity::Critical, [0.1, 0.1], Habit::Any),
    background("worker", "backup", Severity::Info, [1.0, 1.0], Habit::Daily(150)),
];

const fn background(
    service: &'static str,
    event_type: &'static str,
    severity: Severity,
    per_day: [f64; 2],
    habit: Habit,
) -> Background {
    Background { service, event_type, severity, per_day, habit }
}

/// Delay and spread of the planted relation, and how often it holds.
const LAG_MS: i64 = 2 * HOUR_MS + 15 * MINUTE_MS;
const LAG_SD_MINUTES: f64 = 4.0;
const HIT_PROBABILITY: f64 = 0.8;

/// What the generator of events gives.
pub(crate) struct Generated {
    pub events: Vec<Event>,
    pub relations: Vec<EventRelation>,
    pub decoys: Vec<Decoy>,
}

/// All events of the fleet, sorted by time. A staging deploy of an application is followed by an error spike in its
/// production; everything else is chance and habit.
pub(crate) fn generate(config: &FleetConfig, colonies: &[Colony]) -> Generated {
    let mut instants: BTreeMap<End, (Severity, Vec<TimeMs>)> = BTreeMap::new();
    for (index, colony) in colonies.iter().enumerate() {
        for kind in &BACKGROUND {
            let end = end(colony, kind.service, kind.event_type);
            let per_day = kind.per_day[usize::from(colony.is_production())];
            // colonies back up one after the other, 40 minutes apart: a lag that means nothing
            let habit = match kind.habit {
                Habit::Daily(minute) => Habit::Daily((minute + 40 * index as i64) % 1_440),
                other => other,
            };
            let times = background_times(config, &end, per_day, habit);
            instants.insert(end, (kind.severity, times));
        }
    }
    let relations = plant(config, colonies, &mut instants);
    let decoys = decoys(colonies);
    let mut events: Vec<Event> = Vec::new();
    for (end, (severity, times)) in &instants {
        let Some(colony) = colonies.iter().find(|colony| colony.id == end.colony) else { continue };
        let mut ids = Rng::of(config.seed, &format!("id/{}/{}/{}", end.colony, end.service, end.name));
        events.extend(times.iter().map(|time| event(colony, end, *severity, *time, ids.next_u64())));
    }
    events.sort_by(|a, b| (a.timestamp, &a.event_id).cmp(&(b.timestamp, &b.event_id)));
    Generated { events, relations, decoys }
}

/// Adds the error spikes that follow staging deploys.
fn plant(
    config: &FleetConfig,
    colonies: &[Colony],
    instants: &mut BTreeMap<End, (Severity, Vec<TimeMs>)>,
) -> Vec<EventRelation> {
    let mut relations = Vec::new();
    for pair in colonies.chunks_exact(2) {
        let (source, target) = (end(&pair[0], "api", "deploy"), end(&pair[1], "api", "error_spike"));
        let mut rng = Rng::of(config.seed, &format!("plant/{}", source.colony));
        let sources = instants.get(&source).map(|(_, times)| times.clone()).unwrap_or_default();
        let jitter_ms = LAG_SD_MINUTES * MINUTE_MS as f64;
        let mut followed: Vec<TimeMs> = Vec::new();
        for time in &sources {
            let lag_ms = LAG_MS + (rng.normal() * jitter_ms) as i64;
            if rng.uniform() < HIT_PROBABILITY && *time + lag_ms < config.end() {
                followed.push(*time + lag_ms);
            }
        }
        relations.push(EventRelation {
            source,
            target: target.clone(),
            lag_minutes: LAG_MS as f64 / MINUTE_MS as f64,
            lag_sd_minutes: LAG_SD_MINUTES,
            hit_probability: HIT_PROBABILITY,
            source_events: sources.len(),
            occurrences: followed.len(),
        });
        if let Some((_, times)) = instants.get_mut(&target) {
            times.append(&mut followed);
            times.sort();
        }
    }
    relations
}

/// Pairs of different applications that only share a schedule or working hours.
fn decoys(colonies: &[Colony]) -> Vec<Decoy> {
    let mut decoys = Vec::new();
    for pair in colonies.windows(2).filter(|pair| pair[0].application != pair[1].application) {
        let decoy = |kind, service, name| Decoy {
            kind,
            source: end(&pair[0], service, name),
            target: end(&pair[1], service, name),
        };
        decoys.push(decoy("same_schedule", "worker", "backup"));
        decoys.push(decoy("working_hours", "api", "deploy"));
    }
    decoys
}

fn background_times(config: &FleetConfig, end: &End, per_day: f64, habit: Habit) -> Vec<TimeMs> {
    let mut rng = Rng::of(config.seed, &format!("event/{}/{}/{}", end.colony, end.service, end.name));
    let mut times = Vec::new();
    if let Habit::Daily(minute) = habit {
        for day in 0..i64::from(config.days) {
            let jitter_ms = rng.below_ms(4 * MINUTE_MS) - 2 * MINUTE_MS;
            times.push(config.start + day * DAY_MS + minute * MINUTE_MS + jitter_ms);
        }
        return times.into_iter().filter(|time| (config.start..config.end()).contains(time)).collect();
    }
    for minute in 0..i64::from(config.days) * 1_440 {
        let time = config.start + minute * MINUTE_MS;
        let chance = per_day / 1_440.0 * weight(habit, time);
        if rng.uniform() >= chance {
            continue;
        }
        let time = time + rng.below_ms(MINUTE_MS);
        times.push(time);
        if habit == Habit::Bursts {
            let more = 2 + rng.below_ms(3);
            times.extend((0..more).map(|_| time + rng.below_ms(20 * MINUTE_MS)));
        }
    }
    times.retain(|time| *time < config.end());
    times.sort();
    times
}

/// Chance relative to the average over a week.
fn weight(habit: Habit, time: TimeMs) -> f64 {
    if habit != Habit::WorkingHours {
        return 1.0;
    }
    // 1970-01-01 was a Thursday
    let weekday = (time.0.div_euclid(DAY_MS) + 3).rem_euclid(7);
    let hour = time.0.rem_euclid(DAY_MS) / HOUR_MS;
    // 50 working hours at 3 and 118 others at 0.15 make 168 hours' worth
    if weekday < 5 && (8..18).contains(&hour) { 3.0 } else { 0.1525 }
}

fn end(colony: &Colony, service: &str, name: &str) -> End {
    End { colony: colony.id.clone(), service: service.to_owned(), name: name.to_owned() }
}

fn event(colony: &Colony, end: &End, severity: Severity, timestamp: TimeMs, id: u64) -> Event {
    Event {
        colony_id: colony.id.clone(),
        event_id: format!("{id:016x}"),
        version: 0,
        withdrawn: false,
        application_name: colony.application.clone(),
        environment: colony.environment.to_owned(),
        timestamp,
        event_type: end.name.clone(),
        service_id: end.service.clone(),
        severity,
        description: format!("{} of {}", end.name, end.service),
        metadata: BTreeMap::new(),
    }
}
