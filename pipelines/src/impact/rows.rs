//! An impact as rows: one for each metric in `deployment_impact`, and the verdict in the deployment's row.

use super::related::Followed;
use super::verdict::SIGNIFICANCES;
use super::{Impact, Line, MetricImpact, Verdict};
use model::derived::Value;
use model::meaning::Meanings;
use model::real::Real;
use model::time::TimeMs;
use operators::deployments::TIMELINE;
use sinks::schema::{DERIVED, DerivedTable};
use sinks::transfer::Cursor;
use sinks::{SinkError, StoreReader};

/// The table of impacts by metric.
pub const TABLE: &str = "deployment_impact";
/// What may explain a part of a change.
const EXPLANATIONS: [&str; 2] = ["time_of_day", "sibling"];
/// Rows read at once.
const PAGE_ROWS: usize = 1_000;

/// A derived table of this name.
pub(crate) fn table(name: &str) -> &'static DerivedTable {
    let table = DERIVED.iter().find(|derived| derived.table.name == name);
    table.unwrap_or_else(|| unreachable!("the schema has a table {name}"))
}

fn place(name: &str, column: &str) -> usize {
    let found = table(name).table.columns.iter().position(|(known, _)| *known == column);
    found.unwrap_or_else(|| unreachable!("{name} has a column {column}"))
}

/// What the row of a deployment says of its impact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The verdict.
    pub verdict: Verdict,
    /// Its reason.
    pub verdict_reason: String,
    /// The look that it was made at.
    pub look_minutes: Option<i64>,
    /// How much worse its metrics got, 0 to 1; none while pending.
    pub impact_score: Option<Real>,
}

impl Stored {
    /// What a row of the timeline says; `None` before the first judgement.
    pub fn of_row(row: &[Value]) -> Option<Stored> {
        let value = |column: &str| row.get(place(TIMELINE, column));
        let (Some(Value::Text(verdict)), Some(Value::Text(reason))) = (value("verdict"), value("verdict_reason"))
        else {
            return None;
        };
        let look_minutes = if let Some(Value::Whole(look)) = value("look_minutes") { Some(*look) } else { None };
        let impact_score = if let Some(Value::Real(score)) = value("impact_score") { Some(*score) } else { None };
        let verdict = Verdict::of_name(verdict)?;
        Some(Stored { verdict, verdict_reason: reason.clone(), look_minutes, impact_score })
    }
}

/// Most metrics that the row of a deployment names.
const ISSUES_MAX: usize = 20;

/// The events that followed a deployment, as its row names them.
pub(crate) fn related_events(row: &[Value]) -> &[String] {
    texts(row, "related_events")
}

/// What followed a deployment that began at `start`, as far as its row says it.
pub(crate) fn followed(row: &[Value], start: TimeMs) -> Followed {
    // a crash that another deployment may have caused leaves the verdict pending
    let is_of_crash = |stored: &Stored| matches!(stored.verdict, Verdict::Failed | Verdict::Pending);
    let stored = Stored::of_row(row).filter(is_of_crash);
    Followed::named(related_events(row), start, stored.map(|stored| stored.verdict_reason))
}

/// The events that report a deployment.
pub(crate) fn reported_by(row: &[Value]) -> &[String] {
    texts(row, "reported_by")
}

fn texts<'a>(row: &'a [Value], column: &str) -> &'a [String] {
    match row.get(place(TIMELINE, column)) {
        Some(Value::Texts(texts)) => texts,
        _ => &[],
    }
}

/// The metrics that a deployment made worse, the worst first: `latency_ms +60.0%`.
fn issues(impact: &Impact) -> Vec<String> {
    let worse = impact.changes.iter().filter(|one| ["critical", "warning"].contains(&one.significance));
    let issue = |one: &MetricImpact| match one.percent_change {
        Some(percent) => format!("{} {percent:+.1}%", one.metric_name),
        None => one.metric_name.clone(),
    };
    worse.take(ISSUES_MAX).map(issue).collect()
}

/// Writes into a row of the timeline what was judged, and which events followed; without that, what it had is deleted.
pub(crate) fn set_verdict(row: &mut [Value], judged: Option<(&Impact, Vec<String>)>) {
    let (impact, related) = judged.unzip();
    let mut set = |column: &str, value: Value| {
        if let Some(place) = row.get_mut(place(TIMELINE, column)) {
            *place = value;
        }
    };
    let text = |text: &str| Value::Text(text.to_owned());
    set("verdict", impact.map_or(Value::Null, |impact| text(impact.verdict.as_str())));
    set("verdict_reason", impact.map_or(Value::Null, |impact| text(&impact.verdict_reason)));
    set("look_minutes", impact.and_then(|impact| impact.look_minutes).map_or(Value::Null, Value::Whole));
    set("impact_score", impact.and_then(|impact| impact.impact_score).map_or(Value::Null, |it| Value::Real(Real(it))));
    set("issues_detected", Value::Texts(impact.map(issues).unwrap_or_default()));
    set("related_events", Value::Texts(related.unwrap_or_default()));
}

/// Writes into a row of the timeline which events followed, and leaves what was judged.
pub(crate) fn set_related_events(row: &mut [Value], related: Vec<String>) {
    if let Some(value) = row.get_mut(place(TIMELINE, "related_events")) {
        *value = Value::Texts(related);
    }
}

/// Copies what was judged from one row of the timeline into another.
pub(crate) fn copy_verdict(from: &[Value], to: &mut [Value]) {
    for column in ["verdict", "verdict_reason", "look_minutes", "impact_score", "issues_detected", "related_events"] {
        let place = place(TIMELINE, column);
        if let (Some(value), Some(target)) = (from.get(place), to.get_mut(place)) {
            target.clone_from(value);
        }
    }
}

/// The rows of its metrics.
pub(crate) fn of_impact(line: &Line, impact: &Impact) -> Vec<Vec<Value>> {
    let text = |text: &str| Value::Text(text.to_owned());
    let real = |number: f64| Value::Real(Real(number));
    let row = |one: &MetricImpact| {
        vec![
            text(&line.colony_id),
            text(&line.deployment_id),
            text(&one.metric_name),
            text(&one.service_id),
            real(one.before_value),
            real(one.after_value),
            one.percent_change.map_or(Value::Null, real),
            Value::Count(one.sample_count as u64),
            real(one.change_low),
            real(one.change_high),
            real(one.q_value),
            real(one.cliffs_delta),
            text(one.significance),
            impact.look_minutes.map_or(Value::Null, Value::Whole),
            real(one.change),
            real(one.effective_points),
            Value::Texts(one.adjusted_for.iter().map(|what| (*what).to_owned()).collect()),
            Value::Time(line.start),
        ]
    };
    impact.changes.iter().map(row).collect()
}

/// The stored rows of a deployment's metrics.
///
/// # Errors
/// Those of the store.
pub async fn read(
    colony_id: &str,
    deployment_id: &str,
    reader: &dyn StoreReader,
) -> Result<Vec<Vec<Value>>, SinkError> {
    let key = [Value::Text(colony_id.to_owned()), Value::Text(deployment_id.to_owned())];
    // rows are in the order of their key
    let (mut rows, mut after) = (Vec::new(), Some(Cursor::of_texts(&[colony_id, deployment_id, "", ""])));
    loop {
        let page = reader.rows_of(table(TABLE), after.as_ref(), PAGE_ROWS).await?;
        let all = page.rows();
        let own = all.iter().take_while(|row| row.starts_with(&key)).cloned();
        let before = rows.len();
        rows.extend(own);
        after = page.end();
        if rows.len() - before < PAGE_ROWS || after.is_none() {
            return Ok(rows);
        }
    }
}

/// The impact that rows say.
pub fn impact(stored: Stored, rows: &[Vec<Value>], meanings: &Meanings) -> Impact {
    let changes = rows.iter().filter_map(|row| change(row, meanings)).collect();
    Impact::new((stored.verdict, stored.verdict_reason), stored.look_minutes, changes)
}

fn change(row: &[Value], meanings: &Meanings) -> Option<MetricImpact> {
    let value = |column: &str| row.get(place(TABLE, column));
    let text = |column: &str| if let Some(Value::Text(text)) = value(column) { Some(text.clone()) } else { None };
    let real = |column: &str| if let Some(Value::Real(real)) = value(column) { Some(real.0) } else { None };
    let count = if let Some(Value::Count(count)) = value("sample_count") { Some(*count) } else { None };
    let adjusted = if let Some(Value::Texts(texts)) = value("adjusted_for") { texts.clone() } else { Vec::new() };
    let metric_name = text("metric_name")?;
    let significance = text("significance")?;
    Some(MetricImpact {
        service_id: text("service_id")?,
        meaning: meanings.of(&metric_name),
        metric_name,
        before_value: real("before_value")?,
        after_value: real("after_value")?,
        percent_change: real("percent_change"),
        change: real("change")?,
        change_low: real("change_low")?,
        change_high: real("change_high")?,
        q_value: real("q_value")?,
        cliffs_delta: real("cliffs_delta")?,
        significance: SIGNIFICANCES.into_iter().find(|one| *one == significance)?,
        sample_count: usize::try_from(count?).ok()?,
        effective_points: real("effective_points")?,
        adjusted_for: EXPLANATIONS.into_iter().filter(|one| adjusted.iter().any(|it| it == one)).collect(),
    })
}
