//! Groups: which reports are about the same deployment.
//!
//! Reports are taken in the order of time, and each joins the latest group that it fits, so the groups are a function of
//! the set of reports. Tools name deployments each in its own way; the version and the time are what they share.

use super::report::Report;
use super::words::Phase;
use model::time::{HOUR_MS, MINUTE_MS, TimeMs};
use model::version::Version;

/// How long after the last report of the same version another one is about the same deployment.
pub const SAME_VERSION_MS: i64 = 15 * MINUTE_MS;
/// The same where the versions cannot be compared.
pub const UNNAMED_MS: i64 = 5 * MINUTE_MS;
/// How long an end may follow the last report of a deployment that has started.
pub const OPEN_MS: i64 = 6 * HOUR_MS;
/// From the first to the last report of a deployment at most.
pub const SPAN_MS: i64 = OPEN_MS + SAME_VERSION_MS;
/// Clocks of tools differ by so much.
pub const SKEW_MS: i64 = MINUTE_MS;

/// Reports of one deployment, by time.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The reports; never empty.
    pub reports: Vec<&'a Report>,
}

/// Whether two sets of names mean the same version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    Same,
    Different,
    Unknown,
}

/// The groups of the reports of one service, in the order of their first reports. `reports` are sorted.
pub fn groups<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for report in reports {
        let mut near = groups.iter_mut().rev().take_while(|group| report.at - group.reports[0].at <= SPAN_MS);
        match near.find(|group| group.takes(report)) {
            Some(group) => group.reports.push(report),
            None => groups.push(Group { reports: vec![report] }),
        }
    }
    groups
}

impl<'a> Group<'a> {
    /// When it began.
    pub fn started_at(&self) -> TimeMs {
        let began = self.reports.iter().map(|report| report.began_at()).min();
        began.unwrap_or(self.reports[0].at)
    }

    /// Whether it is about putting a version back.
    pub fn is_rollback(&self) -> bool {
        self.reports[0].is_rollback
    }

    /// The name of the new version that is best for display.
    pub fn to(&self) -> Option<&'a Version> {
        self.reports.iter().filter_map(|report| report.to.as_ref()).min_by_key(|version| version.kind)
    }

    /// Whether a name means its new version; `None` if the names cannot be compared.
    pub fn is_to(&self, version: &Version) -> Option<bool> {
        match self.likeness(version) {
            Likeness::Same => Some(true),
            Likeness::Different => Some(false),
            Likeness::Unknown => None,
        }
    }

    /// How it ended: `(at, whether it failed)`; `None` while running.
    pub fn end(&self) -> Option<(TimeMs, bool)> {
        let started = self.reports.iter().filter(|report| report.phase == Phase::Started);
        let last_start = started.clone().map(|report| report.at).max();
        let is_end = |report: &&&Report| matches!(report.phase, Phase::Finished | Phase::Failed);
        if let Some(end) = self.reports.iter().rfind(is_end) {
            let is_again = last_start.is_some_and(|start| start > end.at + SKEW_MS);
            return (!is_again).then_some((end.at, end.phase == Phase::Failed));
        }
        let mut whole = self.reports.iter().filter(|report| report.phase == Phase::Whole);
        match started.map(|report| report.at).min() {
            // a tool without phases notes the end, or repeats the beginning
            Some(start) => whole.find(|report| report.at > start + SKEW_MS).map(|report| (report.at, false)),
            None => {
                let measured = whole.clone().find(|report| report.duration_ms.is_some());
                measured.or_else(|| whole.next()).map(|report| (report.at, false))
            }
        }
    }

    fn last_at(&self) -> TimeMs {
        self.reports[self.reports.len() - 1].at
    }

    fn has(&self, phase: Phase) -> bool {
        self.reports.iter().any(|report| report.phase == phase)
    }

    fn is_ended(&self) -> bool {
        self.has(Phase::Finished) || self.has(Phase::Failed)
    }

    fn likeness(&self, version: &Version) -> Likeness {
        let known = self.reports.iter().filter_map(|report| report.to.as_ref());
        let compared: Vec<bool> = known.filter_map(|known| known.is_same(version)).collect();
        match compared.as_slice() {
            [] => Likeness::Unknown,
            any if any.contains(&true) => Likeness::Same,
            _ => Likeness::Different,
        }
    }

    /// Whether `report`, which is not before the last one, is about this deployment.
    fn takes(&self, report: &Report) -> bool {
        let (gap_ms, span_ms) = (report.at - self.last_at(), report.at - self.reports[0].at);
        if self.is_rollback() != report.is_rollback || gap_ms > OPEN_MS || span_ms > SPAN_MS {
            return false;
        }
        let likeness = report.to.as_ref().map_or(Likeness::Unknown, |version| self.likeness(version));
        let references = || self.reports.iter().filter_map(|known| known.reference.as_ref());
        let is_named_so = report.reference.as_ref().is_some_and(|name| references().any(|known| known == name));
        let is_named_else = !is_named_so && report.reference.is_some() && references().next().is_some();
        let starts_again = report.phase == Phase::Started && self.is_ended() && gap_ms > SAME_VERSION_MS;
        if likeness == Likeness::Different || starts_again {
            return false;
        }
        if is_named_so {
            return true;
        }
        // without a start nothing is waited for
        if span_ms > SAME_VERSION_MS && !self.has(Phase::Started) {
            return false;
        }
        let is_end = matches!(report.phase, Phase::Finished | Phase::Failed);
        let is_open = self.has(Phase::Started) && !self.is_ended();
        match likeness {
            Likeness::Same => gap_ms <= SAME_VERSION_MS || (is_end && is_open),
            // nothing but the tools' names tells them apart
            _ if is_named_else && (report.to.is_none() || self.to().is_none()) => false,
            _ => gap_ms <= UNNAMED_MS || (is_end && is_open && report.to.is_none()),
        }
    }
}
