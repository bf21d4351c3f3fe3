//! Event patterns: everything at once, in small ticks, and one more event, over fleets shaped like the generator's:
//! `cargo bench -p coral-operators --bench event_patterns -- [colonies] [days] [ticks]`.
//!
//! ```text
//! … -- 40 7               the bulk load that the target is stated for
//! … -- 40 7 100           in ticks of a hundred events, each with an evaluation
//! … -- 40 7 one           one more event on top of them
//! EVENTS_CSV=events.csv   writes the events, for other programs
//! ```
//! The operators alone: no source, no store, no timely. Bulk loads scan on two threads, everything else on one. The digest
//! is one of all findings that came and went, so that two versions of the code can be compared.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod stopwatch;

use coral_operators::dedupe::{Dedupe, EventCopy};
use coral_operators::events::levels::on_both_levels;
use coral_operators::events::{Episodes, EventParams, EventScan, EventStamp, EventVerdict, Onset, ScanRow};
use coral_operators::shard::Shard;
use fixtures::random::Random;
use model::event::{Event, EventTypeKey, Severity};
use model::pattern::Finding;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;
use stopwatch::{machine, stopwatch};

/// Monday 5 January 2026.
const START: TimeMs = TimeMs(1_767_571_200_000);
/// One more event is measured this many times.
const ROUNDS: usize = 15;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let number = |place: usize, default: usize| args.get(place).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (colonies, days) = (number(0, 40), number(1, 7));
    let events = fleet(colonies, days as i64);
    println!("{}", machine());
    println!("cargo bench -p coral-operators --bench event_patterns -- {}", args.join(" "));
    println!("{} events of {colonies} colonies in {days} days", events.len());
    if let Ok(path) = std::env::var("EVENTS_CSV") {
        std::fs::write(path, csv(&events)).unwrap();
    }
    match args.get(2).map(String::as_str) {
        Some("one") => one_more(&events),
        Some(_) => in_ticks(&events, number(2, 100).max(1)),
        None => bulk(&events),
    }
}

/// The operators of event patterns in a row.
struct Chain {
    params: EventParams,
    dedupe: Dedupe,
    episodes: Episodes,
    scans: Vec<EventScan>,
    verdict: EventVerdict,
    digest: u64,
    pairs: usize,
    findings: i64,
    /// Seconds spent in: dedupe and episodes, taking onsets in, scan, verdict.
    spent_s: [f64; 4],
}

impl Chain {
    fn new(peers: usize) -> Chain {
        let params = EventParams::default();
        Chain {
            dedupe: Dedupe::default(),
            episodes: Episodes::new(params.clone()),
            scans: (0..peers).map(|index| EventScan::new(params.clone(), Shard { index, peers })).collect(),
            verdict: EventVerdict::new(params.clone()),
            params,
            digest: 0xcbf2_9ce4_8422_2325,
            pairs: 0,
            findings: 0,
            spent_s: [0.0; 4],
        }
    }

    /// One tick, as the dataflow does it.
    fn tick(&mut self, events: &[Event], now: TimeMs) {
        let limit = (now - self.params.keep_ms()).floor_to(DAY_MS);
        let mut began = Instant::now();
        let mut lap = |place: usize| {
            self.spent_s[place] += began.elapsed().as_secs_f64();
            began = Instant::now();
        };
        self.dedupe.forget_before(limit);
        let stamps = self.dedupe.apply(events.iter().map(|event| (EventCopy::of(event), 1)).collect());
        self.episodes.forget_before(limit);
        let on_both: Vec<(EventStamp, i64)> =
            stamps.into_iter().flat_map(|(stamp, diff)| on_both_levels(stamp).map(|stamp| (stamp, diff))).collect();
        let onsets = self.episodes.apply(on_both);
        lap(0);
        let scan = |scan: &mut EventScan, onsets: Vec<(Onset, i64)>| {
            let began = Instant::now();
            scan.apply(onsets);
            scan.forget_before(limit);
            let applied_s = began.elapsed().as_secs_f64();
            (scan.scan(now), applied_s)
        };
        let scanned: Vec<(Vec<(ScanRow, i64)>, f64)> = if let [whole] = &mut self.scans[..] {
            vec![scan(whole, onsets)]
        } else {
            std::thread::scope(|scope| {
                let started: Vec<_> = self
                    .scans
                    .iter_mut()
                    .map(|one| {
                        let onsets = onsets.clone();
                        let thread = std::thread::Builder::new().name("scan".to_owned());
                        thread.spawn_scoped(scope, move || scan(one, onsets)).unwrap()
                    })
                    .collect();
                started.into_iter().map(|thread| thread.join().unwrap()).collect()
            })
        };
        let applied_s = scanned.iter().map(|(_, applied_s)| *applied_s).fold(0.0, f64::max);
        lap(2);
        self.spent_s[1] += applied_s;
        self.spent_s[2] -= applied_s;
        let rows: Vec<(ScanRow, i64)> = scanned.into_iter().flat_map(|(rows, _)| rows).collect();
        began = Instant::now();
        let mut lap = |place: usize| self.spent_s[place] += began.elapsed().as_secs_f64();
        let pair =
            |row: &(ScanRow, i64)| matches!(row, (ScanRow::Pair(pair), diff) if pair.detail.is_some() && *diff > 0);
        self.pairs = rows.iter().filter(|row| pair(row)).count();
        let findings = self.verdict.apply(rows);
        lap(3);
        self.digest(&findings);
    }

    fn digest(&mut self, findings: &[(Finding, i64)]) {
        for change in findings {
            self.findings += change.1;
            for byte in format!("{change:?}").bytes() {
                self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }

    fn said(&self) -> String {
        let [first, apply, scan, verdict] = self.spent_s.map(|s| s * 1e3);
        format!(
            "dedupe and episodes {first:.1} ms, onsets {apply:.1}, scan {scan:.1}, verdict {verdict:.1}; {} findings, \
             {} pairs tested, {} rows new in the last scan, digest {:016x}",
            self.findings,
            self.verdict.tested().pairs,
            self.pairs,
            self.digest
        )
    }
}

/// As the run's clock has it: the time of the newest event.
fn now_of(events: &[Event]) -> TimeMs {
    events.iter().map(|event| event.timestamp).max().unwrap()
}

fn bulk(events: &[Event]) {
    for peers in [2, 1] {
        let took = stopwatch(&[]);
        let mut chain = Chain::new(peers);
        let began = Instant::now();
        chain.tick(events, now_of(events));
        let (wall_s, cpu_s) = (began.elapsed().as_secs_f64(), took().cpu_s);
        println!(
            "bulk, {peers} threads: {wall_s:.3} s, {cpu_s:.2} s cpu, {:.0} events/s",
            events.len() as f64 / wall_s
        );
        println!("  {}", chain.said());
    }
}

fn in_ticks(events: &[Event], size: usize) {
    let mut chain = Chain::new(1);
    let took = stopwatch(&[]);
    let mut slowest_s = 0.0_f64;
    for tick in events.chunks(size) {
        let began = Instant::now();
        chain.tick(tick, now_of(tick));
        slowest_s = slowest_s.max(began.elapsed().as_secs_f64());
    }
    let (wall_s, ticks) = (took().wall_s, events.len().div_ceil(size));
    println!(
        "{ticks} ticks of {size} events: {wall_s:.3} s, {:.2} ms each, slowest {:.2} ms, {:.0} events/s",
        wall_s * 1e3 / ticks as f64,
        slowest_s * 1e3,
        events.len() as f64 / wall_s
    );
    println!("  {}", chain.said());
}

/// One more event: just after the newest one, so that the current instant stays; in the next step of the interval; three
/// days late; and withdrawn again.
fn one_more(events: &[Event]) {
    let mut chain = Chain::new(1);
    let interval_ms = chain.params.interval_ms;
    // half a step is left
    let first = now_of(events).floor_to(interval_ms) + interval_ms + interval_ms / 2;
    let began = Instant::now();
    chain.tick(events, now_of(events));
    chain.tick(&[Event { timestamp: first, event_id: "first".into(), ..events[0].clone() }], first);
    println!("state after {:.2} s: {}", began.elapsed().as_secs_f64(), chain.said());
    let mut random = Random(7);
    let mut now = first;
    for kind in ["nothing", "same instant", "next instant", "late", "withdrawn"] {
        let mut took_ms = Vec::new();
        chain.spent_s = [0.0; 4];
        for round in 0..ROUNDS {
            let like = &events[random.below(events.len() as u64) as usize];
            let mut one = Event { event_id: format!("{kind}{round}"), ..like.clone() };
            match kind {
                "same instant" => one.timestamp = now + round as i64,
                "next instant" => {
                    now = now + interval_ms;
                    one.timestamp = now;
                }
                "late" => one.timestamp = now - 3 * DAY_MS - round as i64 * HOUR_MS,
                "withdrawn" => {
                    one = Event { withdrawn: true, version: 1, ..like.clone() };
                    one.timestamp = now - HOUR_MS;
                }
                _ => {}
            }
            let began = Instant::now();
            chain.tick(if kind == "nothing" { &[] } else { std::slice::from_ref(&one) }, now);
            took_ms.push(began.elapsed().as_secs_f64() * 1e3);
        }
        took_ms.sort_by(f64::total_cmp);
        println!(
            "one more, {kind}: median {:.3} ms, fastest {:.3}, slowest {:.3}",
            took_ms[ROUNDS / 2],
            took_ms[0],
            took_ms[ROUNDS - 1]
        );
        chain.spent_s = chain.spent_s.map(|s| s / ROUNDS as f64);
        println!("  {}", chain.said());
    }
}

/// Service, type, expected events (bursts: groups) a day in staging and in production, and when.
const BACKGROUND: [(&str, &str, [f64; 2], Habit); 7] = [
    ("api", "deploy", [1.6, 0.6], Habit::WorkingHours),
    ("api", "error_spike", [0.8, 0.5], Habit::Any),
    ("web", "alert", [0.5, 0.6], Habit::Bursts),
    ("web", "deploy", [1.0, 0.4], Habit::WorkingHours),
    ("worker", "restart", [0.7, 0.7], Habit::Any),
    ("worker", "crash", [0.1, 0.1], Habit::Any),
    ("worker", "backup", [1.0, 1.0], Habit::Daily),
];

#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Any,
    WorkingHours,
    Bursts,
    Daily,
}

/// Staging and production of one application after the other, with the background of the generator's fleets and its
/// planted relation: a staging deploy, and 135 minutes later an error spike in production.
fn fleet(colonies: usize, days: i64) -> Vec<Event> {
    let mut random = Random(1);
    let mut times: BTreeMap<EventTypeKey, Vec<TimeMs>> = BTreeMap::new();
    for colony in 0..colonies {
        for (service, event_type, per_day, habit) in BACKGROUND {
            let at = background(&mut random, days, colony, per_day[colony % 2], habit);
            if colony % 2 == 0 && (service, event_type) == ("api", "deploy") {
                let follows = |at: &TimeMs| *at + 135 * MINUTE_MS;
                let followed: Vec<TimeMs> = at.iter().filter(|_| random.chance(0.8)).map(follows).collect();
                let jitter = |at: TimeMs| at + (random.normal(0.0, 4.0) * MINUTE_MS as f64) as i64;
                let target = times.entry(key(colony + 1, "api", "error_spike")).or_default();
                target.extend(followed.into_iter().map(jitter));
            }
            times.entry(key(colony, service, event_type)).or_default().extend(at);
        }
    }
    let mut events: Vec<Event> = Vec::new();
    for (key, times) in times {
        let environment = if key.colony_id.ends_with("staging") { "staging" } else { "production" };
        let application_name = key.colony_id.split('-').next().unwrap_or_default().to_owned();
        let inside = times.into_iter().filter(|at| *at < START + days * DAY_MS);
        events.extend(inside.map(|timestamp| Event {
            colony_id: key.colony_id.clone(),
            event_id: format!("{:016x}", random.next_u64()),
            version: 0,
            withdrawn: false,
            application_name: application_name.clone(),
            environment: environment.to_owned(),
            timestamp,
            event_type: key.event_type.clone(),
            service_id: key.service_id.clone(),
            severity: Severity::Info,
            description: String::new(),
            metadata: BTreeMap::new(),
        }));
    }
    events.sort_by(|a, b| (a.timestamp, &a.event_id).cmp(&(b.timestamp, &b.event_id)));
    events
}

fn key(colony: usize, service: &str, event_type: &str) -> EventTypeKey {
    let environment = if colony.is_multiple_of(2) { "staging" } else { "production" };
    let colony_id = format!("app{:03}-{environment}", colony / 2);
    EventTypeKey { colony_id, service_id: service.to_owned(), event_type: event_type.to_owned() }
}

fn background(random: &mut Random, days: i64, colony: usize, per_day: f64, habit: Habit) -> Vec<TimeMs> {
    let mut times = Vec::new();
    for hour in 0..days * 24 {
        let start = START + hour * HOUR_MS;
        let minute = (150 + 40 * colony as i64) % 1_440;
        let (weekday, of_day) = (hour / 24 % 7, hour % 24);
        let is_working = weekday < 5 && (8..18).contains(&of_day);
        match habit {
            Habit::Daily if of_day == minute / 60 => {
                times.push(start + minute % 60 * MINUTE_MS + random.below(240_000) as i64 - 2 * MINUTE_MS);
            }
            Habit::Daily => {}
            _ => {
                let weight = if habit != Habit::WorkingHours {
                    1.0
                } else if is_working {
                    3.0
                } else {
                    0.1525
                };
                // twice at most in each quarter of an hour
                for slot in 0..8 {
                    if random.chance(per_day / 192.0 * weight) {
                        let at = start + (slot / 2) * 15 * MINUTE_MS + random.below(900_000) as i64;
                        times.push(at);
                        if habit == Habit::Bursts {
                            let more = 2 + random.below(3);
                            times.extend((0..more).map(|_| at + random.below(1_200_000) as i64));
                        }
                    }
                }
            }
        }
    }
    times
}

fn csv(events: &[Event]) -> String {
    let mut text = String::from("colony_id,application_name,environment,service_id,event_type,event_id,timestamp_ms\n");
    for event in events {
        let Event { colony_id, application_name, environment, service_id, event_type, event_id, timestamp, .. } = event;
        let at = timestamp.0;
        writeln!(text, "{colony_id},{application_name},{environment},{service_id},{event_type},{event_id},{at}")
            .unwrap();
    }
    text
}
