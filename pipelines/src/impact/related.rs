//! Related: the events of its colony that followed a deployment and may belong to it, and a crash of its service.

use super::line::{AFTER_MS, Line};
use super::verdict::BLAMED;
use model::event::{Event, Severity};
use model::time::{HOUR_MS, MINUTE_MS, TimeMs, format_duration_ms, parse_duration_ms};
use sinks::{SinkError, Span, StoreReader};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Most events of a deployment that its row names, the first ones.
pub const RELATED_MAX: usize = 50;
/// Event types that are incidents whatever their severity.
const INCIDENT_TYPES: [&str; 6] = ["error_spike", "latency_spike", "crash", "alert", "oom", "oom_kill"];
/// Those that say that a service is down: a deployment that one of them followed has failed.
const CRASH_TYPES: [&str; 3] = ["crash", "oom", "oom_kill"];
/// How a reason begins that follows from one of them.
const CRASHED: &str = "its service crashed ";
/// Events read at once.
const PAGE_ROWS: usize = 5_000;
/// Windows not further apart are read with what is between them: a query costs more than the events of some hours.
const GAP_MS: i64 = 8 * HOUR_MS;
/// Spans read at most: where deployments are far from each other, the events between the nearest of them are read too.
const SPANS_MAX: usize = 16;

/// Whether an event says that something is wrong.
pub fn is_incident(event: &Event) -> bool {
    !event.withdrawn && (event.severity >= Severity::Warning || INCIDENT_TYPES.contains(&event.event_type.as_str()))
}

/// When an incident counts as what followed a deployment.
pub fn window(line: &Line) -> Range<TimeMs> {
    line.start..line.moment().end + AFTER_MS + 1
}

/// A crash of the service of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// When; as exact as the reason says it where only that is stored.
    pub at: TimeMs,
    /// The reason of a verdict that follows from it: `its service crashed 4m after the start (oom e-1)`.
    pub reason: String,
}

impl Crash {
    fn of(start: TimeMs, event: &Event) -> Crash {
        let after = format_duration_ms(event.timestamp - start);
        let reason = format!("{CRASHED}{after} after the start ({} {})", event.event_type, event.event_id);
        Crash { at: event.timestamp, reason }
    }

    /// What the reason of a verdict says of one, of a deployment that began at `start`.
    fn of_reason(start: TimeMs, reason: &str) -> Option<Crash> {
        // which others may be the cause is determined by the judgement
        let reason = reason.split_once(BLAMED).map_or(reason, |(crash, _)| crash);
        let (after, _) = reason.strip_prefix(CRASHED)?.split_once(' ')?;
        // with a fraction of a second, which is not read back, it is below a minute
        let after_ms = parse_duration_ms(after).unwrap_or(MINUTE_MS);
        Some(Crash { at: start + after_ms, reason: reason.to_owned() })
    }

    /// Whether it is that of this event.
    fn is_of(&self, event_id: &str) -> bool {
        self.reason.ends_with(&format!(" {event_id})"))
    }
}

/// What followed a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The ids of the first incidents, by time, at most [`RELATED_MAX`], and that of the crash; without those that report it.
    pub events: Vec<String>,
    /// The first crash of its service, if it did crash.
    pub crash: Option<Crash>,
    /// Of the events that were named before those that are not stored.
    missing: Vec<String>,
    /// Whether an event that reports it is stored: so is then what followed it. Where no event reports it, whether any event
    /// of its window is.
    pub(crate) is_stored: bool,
}

impl Followed {
    /// Incidents that were named before, with the reason of a verdict, of a deployment that began at `start`.
    pub(super) fn named(events: &[String], start: TimeMs, reason: Option<String>) -> Followed {
        let crash = reason.and_then(|reason| Crash::of_reason(start, &reason));
        Followed { events: events.to_vec(), crash, ..Followed::default() }
    }

    /// What followed where the first events may be deleted: those of `before` that are not stored followed too.
    pub(crate) fn with_deleted(self, before: Followed) -> Followed {
        let Followed { events, crash, missing, is_stored } = self;
        let is_deleted = |crash: &Crash| missing.iter().any(|id| crash.is_of(id));
        let crash = before.crash.filter(is_deleted).or(crash);
        let mut all: Vec<String> = missing.iter().cloned().chain(events).collect();
        let beyond = all.split_off(all.len().min(RELATED_MAX));
        if let Some(id) = beyond.into_iter().find(|id| crash.as_ref().is_some_and(|crash| crash.is_of(id))) {
            all.pop();
            all.push(id);
        }
        Followed { events: all, crash, missing, is_stored }
    }

    /// Notes the next incident in the window of a deployment.
    fn note(&mut self, line: &Line, event: &Event, reported: &[String]) {
        let is_own = line.service_id.is_empty() || line.service_id == event.service_id;
        let is_crash = self.crash.is_none() && is_own && CRASH_TYPES.contains(&event.event_type.as_str());
        if is_crash {
            self.crash = Some(Crash::of(line.start, event));
        }
        if reported.contains(&event.event_id) {
            return;
        }
        if self.events.len() == RELATED_MAX {
            if !is_crash {
                return;
            }
            // what a verdict follows from is always named
            self.events.pop();
        }
        self.events.push(event.event_id.clone());
    }
}

/// What followed each of these deployments, of which `reported` are the events that report it, and `named` those that were
/// named before. Late events count.
///
/// # Errors
/// Those of the store.
pub async fn read(
    lines: &[Line],
    (reported, named): (&[&[String]], &[&[String]]),
    reader: &dyn StoreReader,
) -> Result<Vec<Followed>, SinkError> {
    let mut of_colony: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, line) in lines.iter().enumerate() {
        of_colony.entry(&line.colony_id).or_default().push(place);
    }
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (line, named) in lines.iter().zip(named) {
        missing.entry(&line.colony_id).or_default().extend(named.iter().map(String::as_str));
    }
    let mut found: Vec<Followed> = vec![Followed::default(); lines.len()];
    for Range { start, end } in spans(lines) {
        let span = Span { from: start, to: Some(end), with_late: true };
        let mut after: Option<Event> = None;
        loop {
            let page = reader.events_in(span, after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.row.clone());
            for event in page.into_iter().map(|stored| stored.row) {
                if let Some(missing) = missing.get_mut(event.colony_id.as_str()) {
                    missing.remove(event.event_id.as_str());
                }
                let is_incident = is_incident(&event);
                let places = of_colony.get(event.colony_id.as_str()).into_iter().flatten();
                for place in places.filter(|place| window(&lines[**place]).contains(&event.timestamp)) {
                    let (found, reported) = (&mut found[*place], reported[*place]);
                    found.is_stored |= reported.is_empty() || reported.contains(&event.event_id);
                    if is_incident {
                        found.note(&lines[*place], &event, reported);
                    }
                }
            }
        }
    }
    for ((found, line), named) in found.iter_mut().zip(lines).zip(named) {
        let missing = missing.get(line.colony_id.as_str());
        let is_missing = |id: &&String| missing.is_some_and(|missing| missing.contains(id.as_str()));
        found.missing = named.iter().filter(is_missing).cloned().collect();
    }
    Ok(found)
}

/// The windows of deployments, in the order of time, as far as they are not near each other.
fn spans(lines: &[Line]) -> Vec<Range<TimeMs>> {
    let mut windows: Vec<Range<TimeMs>> = lines.iter().map(window).collect();
    windows.sort_by_key(|window| window.start);
    let near = joined(&windows, GAP_MS);
    let mut gaps: Vec<i64> = near.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
    gaps.sort_unstable();
    match gaps.len().checked_sub(SPANS_MAX) {
        Some(place) => joined(&near, gaps[place]),
        None => near,
    }
}

/// Ranges in the order of their starts, with those joined that are at most this far from each other.
fn joined(ranges: &[Range<TimeMs>], gap_ms: i64) -> Vec<Range<TimeMs>> {
    let mut spans: Vec<Range<TimeMs>> = Vec::new();
    for range in ranges {
        match spans.last_mut().filter(|last| range.start - last.end <= gap_ms) {
            Some(last) => last.end = last.end.max(range.end),
            None => spans.push(range.clone()),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start_ms: i64) -> Line {
        Line {
            colony_id: "shop-production".to_owned(),
            deployment_id: start_ms.to_string(),
            service_id: "api".to_owned(),
            application_name: "shop".to_owned(),
            environment: "production".to_owned(),
            start: TimeMs(start_ms),
            end: Some(TimeMs(start_ms + 1_000)),
            went_wrong: None,
            is_rollback: false,
        }
    }

    #[test]
    fn windows_that_are_near_each_other_are_read_together() {
        let length_ms = 1_000 + AFTER_MS + 1;
        let far_ms = 20 * HOUR_MS;
        let lines = [far_ms, 0, HOUR_MS, HOUR_MS + length_ms + GAP_MS].map(line);
        let expected = [0..HOUR_MS + 2 * length_ms + GAP_MS, far_ms..far_ms + length_ms];
        assert_eq!(spans(&lines), expected.map(|span| TimeMs(span.start)..TimeMs(span.end)));
        assert!(spans(&[]).is_empty());
    }

    #[test]
    fn a_year_of_rare_deployments_is_read_in_few_spans() {
        let daily: Vec<Line> = (0..365).map(|n| line(n * 24 * HOUR_MS)).collect();
        assert_eq!(spans(&daily).len(), 1, "gaps of one length are all read");
        // the greatest gaps are not
        let lines: Vec<Line> = (0..365).map(|n| line(n * n * 24 * HOUR_MS)).collect();
        let read = spans(&lines);
        assert_eq!(read.len(), SPANS_MAX);
        assert!(lines.iter().all(|line| {
            let window = window(line);
            read.iter().any(|span| span.start <= window.start && window.end <= span.end)
        }));
    }
}
