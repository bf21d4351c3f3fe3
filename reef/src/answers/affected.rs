//! Who is affected: the neighbours of a deployment or an event, by calls and by patterns, and what became of them.

use super::completeness::Completeness;
use super::deployment::find;
use super::fleet::{Fleet, Scope};
use super::neighbours::{Neighbour, Start, neighbours};
use super::page;
use super::refusal::{AnswerError, Refusal, RefusalKind};
use super::timeline::{self, DeploymentLine};
use super::watch::Around;
use crate::impact::ranks::exceeded_with;
use crate::impact::verdict::{Circumstances, EFFECTIVE_MIN, SLIGHT, direction, is_critical, judge};
use crate::impact::windows::{LOOKS_MIN, Moment};
use crate::impact::{Impact, MetricImpact};
use crate::printable::printable;
use model::event::Event;
use model::time::{DAY_MS, MINUTE_MS, TimeMs, format_duration_ms};
use serde::{Deserialize, Serialize};
use sinks::{SinkError, Span, StoreReader};
use std::collections::BTreeSet;

pub use super::neighbours::Relation;

/// Neighbours that are judged.
const NEIGHBOURS_MAX: usize = 50;
/// Events that are read to find one by its id, the newest days first.
const EVENTS_MAX: usize = 500_000;
/// Days that are searched for it.
const EVENTS_DAYS_MAX: usize = 90;
/// Events read at once.
const PAGE_ROWS: usize = 10_000;
/// Error rate of a look, and the chance to miss an effect that is called visible.
const ALPHA: f64 = 0.05 / LOOKS_MIN.len() as f64;
const MISSED: f64 = 0.1;
/// Width of a 95 % interval in standard errors.
const STANDARD_ERRORS: f64 = 2.0 * 1.959_963_984_540_054;

/// Whose effect is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedQuestion {
    /// A deployment, as in the question about one, or the id of an event.
    pub id: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Affected {
    /// In one sentence.
    pub summary: String,
    /// `deployment` or `event`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its colony.
    pub colony_id: String,
    /// Its service.
    pub service_id: String,
    /// When it began; RFC 3339.
    pub started_at: String,
    /// Neighbours that got worse or had an event that a confirmed pattern joins with it, the strongest effect first.
    pub affected: Vec<Judged>,
    /// Neighbours that did not, with the smallest effect that would have been seen.
    pub not_affected: Vec<Judged>,
    /// Neighbours of which too little is known.
    pub not_known: Vec<Judged>,
    /// Neighbours beyond those that were judged.
    pub omitted: usize,
    /// What the answer is complete to.
    pub completeness: Completeness,
}

/// A neighbour and what became of it. Changes are in percent of the value before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Its colony.
    pub colony_id: String,
    /// Its application.
    pub application_name: String,
    /// Its environment.
    pub environment: String,
    /// The service.
    pub service_id: String,
    /// `calls_it`, `called_by_it` or `pattern`.
    pub relation: Relation,
    /// The pattern.
    pub correlation_id: Option<String>,
    /// Its score.
    pub correlation_score: Option<f64>,
    /// After how long the effect is expected.
    pub lag_seconds: i64,
    /// 0 to 1: how much worse its metrics got; none where too little is known of them.
    pub score: Option<f64>,
    /// The metric that got worse most; of a neighbour that is not affected the one that shows the smallest effect.
    pub metric_name: Option<String>,
    /// Its change.
    pub change: Option<f64>,
    /// Low end of the 95 % interval.
    pub change_low: Option<f64>,
    /// High end of it.
    pub change_high: Option<f64>,
    /// The smallest change for the worse that would have been seen in 9 of 10 cases.
    pub visible_from: Option<f64>,
    /// Events that followed by the pattern.
    pub events: Vec<String>,
    /// In words.
    pub reason: String,
    /// What its change is of.
    #[serde(skip)]
    pub measured: Option<Measured>,
}

/// The values behind a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// When the effect is expected.
    pub moment: Moment,
    /// Up to how many minutes after it.
    pub look_minutes: i64,
    /// The median before.
    pub before_value: f64,
    /// The one after; none where the usual course of the day or what a sibling did was taken off it.
    pub after_value: Option<f64>,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and an id that names nothing or several things.
pub async fn affected(
    question: &AffectedQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Affected, AnswerError> {
    let fleet = Fleet::read(reader, scope).await?;
    let lines = timeline::read(reader).await?;
    let (kind, start) = start(&question.id, &lines, &fleet, reader).await.map_err(|error| error.at("id"))?;
    let mut found = neighbours(&start, reader).await?;
    let omitted = found.len().saturating_sub(NEIGHBOURS_MAX);
    found.truncate(NEIGHBOURS_MAX);
    let colonies: BTreeSet<String> =
        found.iter().map(|one| one.colony_id.clone()).chain([start.colony_id.clone()]).collect();
    let (mut affected, mut not_affected, mut not_known) = (Vec::new(), Vec::new(), Vec::new());
    for neighbour in found {
        let (standing, judged) = judged(neighbour, &start, (&fleet, scope), reader).await?;
        match standing {
            Standing::Affected => affected.push(judged),
            Standing::NotAffected => not_affected.push(judged),
            Standing::NotKnown => not_known.push(judged),
        }
    }
    // those whose metrics do not show it come last, the best pattern first
    let strength = |one: &Judged| (one.score.unwrap_or(0.0), one.correlation_score.unwrap_or(0.0));
    affected.sort_by(|a, b| {
        let (a, b) = (strength(a), strength(b));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    Ok(Affected {
        summary: summary(&start.service_id, [affected.len(), not_affected.len(), not_known.len()]),
        kind,
        id: start.id,
        colony_id: start.colony_id,
        service_id: start.service_id,
        started_at: start.moment.start.to_string(),
        affected,
        not_affected,
        not_known,
        omitted,
        completeness: Completeness::of(&fleet, |id, _| colonies.contains(id)),
    })
}

/// A deployment, otherwise an event.
async fn start(
    id: &str,
    lines: &[DeploymentLine],
    fleet: &Fleet,
    reader: &dyn StoreReader,
) -> Result<(&'static str, Start), AnswerError> {
    let refusal = match find(id, lines) {
        Ok(line) => {
            let events: Vec<(String, String)> =
                line.reported_by.iter().map(|event| (line.colony_id.clone(), event.clone())).collect();
            let moment = Moment { start: line.start, end: line.end.unwrap_or(line.start) };
            let (colony_id, service_id, id) = (line.colony_id, line.service_id, line.deployment_id);
            return Ok(("deployment", Start { id, colony_id, service_id, moment, events }));
        }
        Err(refusal) if refusal.kind != RefusalKind::NotFound => return Err(refusal.into()),
        Err(refusal) => refusal,
    };
    let (found, searched_from) = events(id.trim(), fleet, reader).await?;
    match found.as_slice() {
        [] => {
            let searched = searched_from
                .map_or(String::new(), |from| format!("; events were searched back to {}", page::time(from)));
            let message = format!("there is no deployment and no event {id:?}{searched}");
            Err(Refusal { message, ..refusal }.into())
        }
        [one] => {
            let moment = Moment { start: one.timestamp, end: one.timestamp };
            let events = vec![(one.colony_id.clone(), one.event_id.clone())];
            let (colony_id, service_id) = (one.colony_id.clone(), one.service_id.clone());
            Ok(("event", Start { id: one.event_id.clone(), colony_id, service_id, moment, events }))
        }
        several => {
            let names: Vec<String> = several.iter().map(|one| format!("{}/{}", one.colony_id, one.event_id)).collect();
            let hint = format!("one of: {}", names.join(", "));
            Err(Refusal::ambiguous(format!("several colonies have an event {id:?}"), hint).into())
        }
    }
}

/// The events of this id, or the one of this `colony/id`, among the newest ones, without withdrawn ones; and the time since
/// which all events were searched. An id may be one of several colonies, on any day.
async fn events(id: &str, fleet: &Fleet, reader: &dyn StoreReader) -> Result<(Vec<Event>, Option<TimeMs>), SinkError> {
    let is_whole = |event: &Event| format!("{}/{}", event.colony_id, event.event_id) == id;
    let Some(newest) = fleet.colonies.values().filter_map(|colony| colony.newest_event).max() else {
        return Ok((Vec::new(), None));
    };
    let (mut to, mut read, mut found) = (newest + 1, 0, Vec::new());
    for _ in 0..EVENTS_DAYS_MAX {
        let span = Span { from: to - DAY_MS, to: Some(to), with_late: true };
        let mut after = None;
        loop {
            if read >= EVENTS_MAX {
                return Ok((found, Some(to)));
            }
            let page = reader.events_in(span, after.as_ref(), PAGE_ROWS).await?;
            read += page.len();
            after = page.last().map(|last| last.row.clone());
            for event in page.into_iter().map(|stored| stored.row).filter(|event| !event.withdrawn) {
                if is_whole(&event) {
                    return Ok((vec![event], Some(to)));
                }
                if event.event_id == id {
                    found.push(event);
                }
            }
            if after.is_none() {
                break;
            }
        }
        to = span.from;
    }
    Ok((found, Some(to)))
}

enum Standing {
    Affected,
    NotAffected,
    NotKnown,
}

/// Reads the metrics of a neighbour at the time of the expected effect.
async fn judged(
    neighbour: Neighbour,
    start: &Start,
    (fleet, scope): (&Fleet, &Scope),
    reader: &dyn StoreReader,
) -> Result<(Standing, Judged), SinkError> {
    let lag_ms = neighbour.lag_seconds * 1_000;
    let moment = Moment { start: start.moment.start + lag_ms, end: start.moment.end + lag_ms };
    let around = Around::read(moment, std::slice::from_ref(&neighbour.colony_id), reader).await?;
    let newest = fleet.colonies.get(&neighbour.colony_id).and_then(|colony| colony.newest_metric);
    let circumstances = Circumstances {
        moment,
        is_running: false,
        went_wrong: None,
        crashed: None,
        overlaps: Vec::new(),
        crash_overlaps: Vec::new(),
        others: Vec::new(),
        known_to: newest.map(|newest| newest + MINUTE_MS),
    };
    let watched = around.watched((&neighbour.colony_id, &neighbour.service_id), None, &scope.metrics);
    let impact = judge(&circumstances, &watched);
    let worse = impact.changes.iter().find(|change| change.significance != "none");
    let visible = smallest_visible(&impact);
    let is_over = impact.look_minutes == LOOKS_MIN.last().copied();
    let (standing, change) = match (worse, visible) {
        (Some(worse), _) => (Standing::Affected, Some(worse)),
        _ if !neighbour.events.is_empty() => (Standing::Affected, None),
        (None, Some((_, change))) if is_over => (Standing::NotAffected, Some(change)),
        _ => (Standing::NotKnown, None),
    };
    let reason = reason(&standing, change, visible, &neighbour, &impact);
    let percent =
        |value: f64| change.filter(|one| one.before_value != 0.0).map(|one| value / one.before_value.abs() * 100.0);
    let (application, environment) = fleet.identity(&neighbour.colony_id);
    let judged = Judged {
        application_name: application.to_owned(),
        environment: environment.to_owned(),
        score: match standing {
            Standing::NotKnown => None,
            // an event alone shows it
            Standing::Affected if change.is_none() && visible.is_none() => None,
            Standing::Affected | Standing::NotAffected => Some(impact.score()),
        },
        measured: change.map(|one| Measured {
            moment,
            look_minutes: impact.look_minutes.unwrap_or(0),
            before_value: one.before_value,
            after_value: one.adjusted_for.is_empty().then_some(one.after_value),
        }),
        metric_name: change.map(|one| one.metric_name.clone()),
        change: change.and_then(|one| percent(one.change)),
        change_low: change.and_then(|one| percent(one.change_low)),
        change_high: change.and_then(|one| percent(one.change_high)),
        visible_from: visible.filter(|_| matches!(standing, Standing::NotAffected)).map(|(from, _)| from),
        reason,
        colony_id: neighbour.colony_id,
        service_id: neighbour.service_id,
        relation: neighbour.relation,
        correlation_id: neighbour.correlation_id,
        correlation_score: neighbour.correlation_score.map(|score| score.0),
        lag_seconds: neighbour.lag_seconds,
        events: neighbour.events,
    };
    Ok((standing, judged))
}

/// The smallest change for the worse, in percent, that would have been seen in 9 of 10 cases, and the metric that shows it;
/// a latency or error metric if one is known well enough.
fn smallest_visible(impact: &Impact) -> Option<(f64, &MetricImpact)> {
    let judged = impact.changes.iter().filter(|one| direction(one.meaning).is_some());
    // the sharpest threshold that Benjamini and Hochberg apply is that of a single finding among all metrics, those whose
    // better direction is unknown as well
    let count = impact.changes.len().max(1) as f64;
    let errors = exceeded_with(ALPHA / count) + exceeded_with(MISSED);
    let from = |one: &MetricImpact| {
        let error = (one.change_high - one.change_low) / STANDARD_ERRORS;
        // a smaller estimate is no finding: at a true change of SLIGHT, half of the estimates are smaller
        let error = error / one.before_value.abs();
        (errors * error).max(SLIGHT + exceeded_with(MISSED) * error) * 100.0
    };
    judged
        .filter(|one| one.effective_points >= EFFECTIVE_MIN && one.before_value != 0.0)
        .map(|one| (from(one), one))
        .min_by(|(a, one), (b, other)| {
            let rank = |one: &MetricImpact| !is_critical(one.meaning.family);
            rank(one).cmp(&rank(other)).then(a.total_cmp(b))
        })
}

fn reason(
    standing: &Standing,
    change: Option<&MetricImpact>,
    visible: Option<(f64, &MetricImpact)>,
    neighbour: &Neighbour,
    impact: &Impact,
) -> String {
    match (standing, change) {
        (Standing::Affected, Some(one)) => {
            let unit = one.meaning.unit;
            let (before, after) = (unit.shown(one.before_value), unit.shown(one.after_value));
            let percent =
                one.percent_change.map_or(String::new(), |percent| format!(" {}", page::signed_percent(percent)));
            format!("{}{percent} ({before} → {after})", one.metric_name)
        }
        (Standing::Affected, None) => format!("{} followed as before", neighbour.target),
        (Standing::NotAffected, _) => {
            let (from, one) = visible.map_or((0.0, ""), |(from, one)| (from, one.metric_name.as_str()));
            format!("a change of {one} by {from:.0}% would have been seen")
        }
        (Standing::NotKnown, _) if impact.changes.is_empty() => "no metric is known before and after it".to_owned(),
        (Standing::NotKnown, _) if impact.look_minutes != LOOKS_MIN.last().copied() => {
            "nothing so far; the hour after it is not complete".to_owned()
        }
        (Standing::NotKnown, _) => format!(
            "no metric whose better direction is known has {EFFECTIVE_MIN} independent points before and after it"
        ),
    }
}

/// What became of so many neighbours, in one sentence.
pub(crate) fn summary(service_id: &str, [affected, not_affected, not_known]: [usize; 3]) -> String {
    if affected + not_affected + not_known == 0 {
        return format!("{service_id} has no neighbour: no call and no confirmed pattern begins there");
    }
    format!("{affected} neighbours of {service_id} are affected, {not_affected} are not, {not_known} not known")
}

impl Judged {
    /// `score 0.64, correlation 0.95`: how much worse its metrics got, and how good the pattern is.
    fn shown_scores(&self) -> String {
        // without a metric there is nothing that the score would be of
        let effect = self.score.filter(|_| self.metric_name.is_some()).map(|score| format!("score {score:.2}"));
        let pattern = self.correlation_score.map(|score| format!("correlation {score:.2}"));
        let both: Vec<String> = [effect, pattern].into_iter().flatten().collect();
        page::or_dash(&both.join(", ")).to_owned()
    }
}

impl Affected {
    /// For people.
    pub fn text(&self) -> String {
        let started = TimeMs::parse_rfc3339(&self.started_at).map_or(self.started_at.clone(), page::time);
        let what = format!("{} {} of {} in {}", self.kind, self.id, self.service_id, self.colony_id);
        let mut text = format!("Effect of {} ({started}) on its neighbours:\n", printable(&what));
        for (title, sign, list) in [
            ("Affected", "✗", &self.affected),
            ("Not affected", "✓", &self.not_affected),
            ("Not known", "–", &self.not_known),
        ] {
            if list.is_empty() {
                continue;
            }
            text.push_str(&format!("\n{title} ({}):\n", list.len()));
            let row = |one: &Judged| {
                let after = format_duration_ms(one.lag_seconds * 1_000);
                let relation = match one.relation {
                    Relation::CallsIt => "calls it".to_owned(),
                    Relation::CalledByIt => "called by it".to_owned(),
                    Relation::Pattern if one.lag_seconds == 0 => "pattern".to_owned(),
                    Relation::Pattern => format!("pattern, {after} later"),
                };
                let standing = format!("{sign} {}", title.to_lowercase());
                let (colony_id, service_id) = (one.colony_id.clone(), one.service_id.clone());
                vec![standing, colony_id, service_id, relation, one.shown_scores(), one.reason.clone()]
            };
            text.push_str(&page::table(&list.iter().map(row).collect::<Vec<_>>()));
        }
        if self.affected.is_empty() && self.not_affected.is_empty() && self.not_known.is_empty() {
            text.push_str("\nNo neighbour is known: no call and no confirmed pattern begins there.\n");
        }
        let patterns: BTreeSet<&String> = [&self.affected, &self.not_affected, &self.not_known]
            .into_iter()
            .flatten()
            .filter_map(|one| one.correlation_id.as_ref())
            .collect();
        if !patterns.is_empty() {
            text.push_str("\nThe rows behind its patterns:\n");
        }
        patterns.iter().for_each(|id| text.push_str(&format!("  coral reef correlation {id}\n")));
        if self.kind == "deployment" {
            let command = format!("coral reef deployment {}/{}", self.colony_id, self.id);
            text.push_str(&format!("\nThe deployment itself: {}\n", printable(&command)));
        }
        if self.omitted > 0 {
            text.push_str(&format!("\nand {} more neighbours, which were not judged\n", self.omitted));
        }
        text.push_str(&format!("\n{}\n", self.completeness.line()));
        text
    }
}
