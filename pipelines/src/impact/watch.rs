//! The metrics of a deployment's service, read from a store and judged.

use super::line::{AFTER_MS, Line};
use super::linked::Linked;
use super::loaded::Loaded;
use super::related::{self, Followed};
use super::verdict::{Circumstances, Watched, judge};
use super::windows::Moment;
use super::{Colonies, Impact};
use model::meaning::Meanings;
use model::time::MINUTE_MS;
use sinks::{SinkError, StoreReader};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Series around a moment.
pub struct Around {
    moment: Moment,
    loaded: Loaded,
}

impl Around {
    /// Those of these colonies.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(moment: Moment, colonies: &[String], reader: &dyn StoreReader) -> Result<Around, SinkError> {
        let colonies = colonies.iter().cloned().collect();
        Ok(Around { moment, loaded: Loaded::read(&[moment], (colonies, BTreeSet::new()), reader).await? })
    }

    /// The metrics of a service, of all services if its name is empty, beside those of a sibling.
    pub fn watched(&self, service: (&str, &str), sibling: Option<&str>, meanings: &Meanings) -> Vec<Watched> {
        self.loaded.watched(self.moment, service, sibling, meanings)
    }
}

/// What a deployment did to the metrics of its service. `lines` are all deployments that may matter (see [`reaches`]), this
/// one among them or not, identified, in any order.
///
/// # Errors
/// Those of the store.
pub async fn impact_on(
    line: &Line,
    lines: &[Line],
    known: (&Colonies, &Meanings),
    reader: &dyn StoreReader,
) -> Result<Impact, SinkError> {
    let followed = related::read(std::slice::from_ref(line), (&[&[]], &[&[]]), reader).await?;
    let case = Case::of((line, followed.first()), lines, known.0);
    let cases = std::slice::from_ref(&case);
    let (loaded, linked) = (loaded(cases, reader).await?, linked(cases, reader).await?);
    Ok(case.judged((&loaded, &linked), known))
}

/// The same of several deployments and what followed each of them; their metrics are read at once. Returns also how many
/// values these are.
///
/// # Errors
/// Those of the store.
pub async fn impacts_on(
    judged: (&[Line], &[Followed]),
    lines: &[Line],
    known: (&Colonies, &Meanings),
    reader: &dyn StoreReader,
) -> Result<(Vec<Impact>, usize), SinkError> {
    let judged = judged.0.iter().zip(judged.1);
    let cases: Vec<Case<'_>> =
        judged.map(|(line, followed)| Case::of((line, Some(followed)), lines, known.0)).collect();
    let (loaded, linked) = (loaded(&cases, reader).await?, linked(&cases, reader).await?);
    Ok((cases.iter().map(|case| case.judged((&loaded, &linked), known)).collect(), loaded.points()))
}

/// A deployment that is judged, among the others.
struct Case<'a> {
    line: &'a Line,
    followed: Option<&'a Followed>,
    lines: &'a [Line],
    sibling: Option<String>,
}

async fn loaded(cases: &[Case<'_>], reader: &dyn StoreReader) -> Result<Loaded, SinkError> {
    let own = cases.iter().map(|case| case.line.colony_id.clone());
    let colonies = own.chain(cases.iter().filter_map(|case| case.sibling.clone())).collect();
    let mut services: BTreeSet<String> = cases.iter().map(|case| case.line.service_id.clone()).collect();
    // without a name: all of them
    if services.contains("") {
        services.clear();
    }
    let moments: Vec<Moment> = cases.iter().map(|case| case.line.moment()).collect();
    Loaded::read(&moments, (colonies, services), reader).await
}

/// Which services are linked, if one of these deployments is near one of another service.
async fn linked(cases: &[Case<'_>], reader: &dyn StoreReader) -> Result<Linked, SinkError> {
    let is_other = |case: &Case<'_>, other: &Line| {
        case.line.service_id != other.service_id && !other.is_rollback && case.line.is_near(other)
    };
    match cases.iter().any(|case| case.lines.iter().any(|other| is_other(case, other))) {
        true => Linked::read(reader).await,
        false => Ok(Linked::default()),
    }
}

impl Case<'_> {
    fn of<'a>((line, followed): (&'a Line, Option<&'a Followed>), lines: &'a [Line], colonies: &Colonies) -> Case<'a> {
        Case { line, followed, lines, sibling: sibling_of(line, lines, colonies) }
    }

    fn judged(&self, (loaded, linked): (&Loaded, &Linked), (colonies, meanings): (&Colonies, &Meanings)) -> Impact {
        let Case { line, followed, lines, sibling } = self;
        let moment = line.moment();
        let service = (line.colony_id.as_str(), line.service_id.as_str());
        let watched = loaded.watched(moment, service, sibling.as_deref(), meanings);
        let is_other = |other: &&Line| {
            (other.colony_id == line.colony_id || Some(&other.colony_id) == sibling.as_ref())
                && other.service_id == line.service_id
                && !other.is(line)
        };
        // another service of the colony is watched by its own metrics, unless one of both calls the other
        let is_overlap = |other: &&Line| {
            !other.is_rollback
                && line.is_near(other)
                && (other.service_id == line.service_id
                    || linked.are_linked(&line.colony_id, &line.service_id, &other.service_id))
        };
        let mut overlaps: Vec<&Line> = lines.iter().filter(is_overlap).collect();
        overlaps.sort_by_key(|other| (Reverse(other.start), &other.deployment_id));
        let newest = colonies.get(&line.colony_id).and_then(|colony| colony.newest_metric);
        let crash = followed.and_then(|followed| followed.crash.as_ref());
        let ids =
            |overlaps: &[&Line]| -> Vec<String> { overlaps.iter().map(|other| other.deployment_id.clone()).collect() };
        // what began later did not cause it
        let had_begun = |other: &&Line| crash.is_some_and(|crash| other.start <= crash.at);
        let crash_overlaps: Vec<&Line> = overlaps.iter().copied().filter(had_begun).collect();
        let circumstances = Circumstances {
            moment,
            is_running: line.end.is_none(),
            went_wrong: line.went_wrong,
            crashed: crash.map(|crash| crash.reason.clone()),
            overlaps: ids(&overlaps),
            crash_overlaps: ids(&crash_overlaps),
            others: lines.iter().filter(is_other).map(Line::moment).collect(),
            // a bucket ends a minute or more after its time
            known_to: newest.filter(|_| !watched.is_empty()).map(|newest| newest + MINUTE_MS),
        };
        judge(&circumstances, &watched)
    }
}

/// The colony whose change a deployment's verdict subtracts: another environment of the application in which nothing was
/// deployed around that time. `lines` as for [`impact_on`].
pub fn sibling_of(line: &Line, lines: &[Line], colonies: &Colonies) -> Option<String> {
    let Moment { start, end } = line.moment();
    let is_quiet = |id: &String| {
        !lines.iter().any(|other| {
            let moment = other.moment();
            other.colony_id == *id
                && moment.start - AFTER_MS <= end + AFTER_MS
                && moment.end + AFTER_MS >= start - AFTER_MS
        })
    };
    let others = colonies.iter().filter(|(id, colony)| {
        **id != line.colony_id
            && colony.application_name == line.application_name
            && colony.environment != line.environment
            && colony.newest_metric.is_some()
    });
    others.map(|(id, _)| id).find(|id| is_quiet(id)).cloned()
}
