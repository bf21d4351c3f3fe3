//! Findings: what is found for a plan through the library of answers, ranked, cut to a budget.
//!
//! | file | owns |
//! |---|---|
//! | `compare` | metrics of two environments side by side |
//! | `deployments` | what was deployed, what it did, what followed |
//! | `incidents` | events counted |
//! | `medians` | a metric before and after a moment |
//! | `ends` | the two ends of a pattern or a prediction |
//! | `patterns` | what follows what |
//! | `predictions` | what is expected next |
//! | `health` | how colonies are |
//! | `affected` | neighbours of a deployment |
//! | `promotion` | whether a version may go to the next environment |

mod affected;
mod compare;
mod deployments;
mod ends;
mod health;
mod incidents;
mod medians;
mod patterns;
mod predictions;
mod promotion;

use super::evidence::{Evidence, Finding};
use super::plan::{Plan, Topic};
use super::question::AnalyzeQuestion;
use crate::answers::vocabulary::Vocabulary;
use crate::answers::{AnswerError, Completeness, Scope};
use sinks::StoreReader;
use std::collections::BTreeSet;

/// Tokens of evidence that an answer may have.
pub const TOKENS_MAX: usize = 4_000;
/// Bytes that are counted as one token: rows have 2.3 to 2.7, prose 4.
const BYTES_PER_TOKEN: usize = 2;
/// Most findings of an answer.
const FINDINGS_MAX: usize = 12;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What the question is about.
    pub plan: Plan,
    /// The findings, the most telling first; their evidence has ids.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub omitted: usize,
    /// What they are complete to.
    pub completeness: Completeness,
}

/// A name that the store knows, and the word for its kind.
pub(super) type Named = (String, &'static str);

/// What findings are made from.
pub(super) struct Sources<'a> {
    pub plan: &'a Plan,
    pub known: &'a Vocabulary,
    pub reader: &'a dyn StoreReader,
    pub scope: &'a Scope,
}

/// The best findings of a kind, and how many more there are.
#[derive(Default)]
pub(super) struct Told {
    pub findings: Vec<Finding>,
    pub left_out: usize,
}

/// What is found for a question.
///
/// # Errors
/// Those of the store, and a question that cannot be answered as it is.
pub async fn find(question: &AnalyzeQuestion, reader: &dyn StoreReader, scope: &Scope) -> Result<Found, AnswerError> {
    Ok(found(question, reader, scope).await?.0)
}

/// The same with all names that the store knows, which a model may not be told, or may say. All rows are searched for
/// those of services.
///
/// # Errors
/// The same.
pub(super) async fn find_with_names(
    question: &AnalyzeQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<(Found, Vec<Named>), AnswerError> {
    let (found, known) = found(question, reader, scope).await?;
    let names = names(&known, &services(reader).await?);
    Ok((found, names))
}

async fn found(
    question: &AnalyzeQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<(Found, Vocabulary), AnswerError> {
    let known = Vocabulary::read(reader, scope).await?;
    let plan = Plan::of(question, &known)?;
    let sources = Sources { plan: &plan, known: &known, reader, scope };
    let mut findings = compare::find(&sources).await?;
    let mut omitted = 0;
    if plan.range.is_some() {
        for told in
            [deployments::find(&sources).await?, patterns::find(&sources).await?, predictions::find(&sources).await?]
        {
            findings.extend(told.findings);
            omitted += told.left_out;
        }
        findings.extend(incidents::find(&sources).await?);
        findings.extend(health::find(&sources).await?);
        findings.extend(affected::find(&sources).await?);
        findings.extend(promotion::find(&sources).await?);
    }
    let completeness = Completeness::of(&known.fleet, |id, _| plan.scope.contains(id));
    omitted += rank(&mut findings, TOKENS_MAX, &completeness);
    Ok((Found { plan, findings, omitted, completeness }, known))
}

/// The services that only rows name, or calls.
async fn services(reader: &dyn StoreReader) -> Result<Vec<String>, AnswerError> {
    let mut names = reader.service_names().await?;
    let calls = reader.calls().await?.into_iter();
    names.extend(calls.flat_map(|call| [call.latest.from_service, call.latest.to_service]));
    names.retain(|name| name != "*");
    Ok(names)
}

fn names(known: &Vocabulary, services: &[String]) -> Vec<Named> {
    let fleet = &known.fleet;
    let deployments = known.deployments.iter();
    let lists: [(&'static str, Vec<&String>); 7] = [
        ("colony", fleet.colonies.keys().collect()),
        ("application", fleet.colonies.values().map(|colony| &colony.application_name).collect()),
        ("environment", fleet.colonies.values().map(|colony| &colony.environment).collect()),
        ("service", known.services.iter().chain(services).collect()),
        ("metric", known.metrics.iter().collect()),
        ("event type", known.event_types.iter().collect()),
        ("id", deployments.flat_map(|line| std::iter::once(&line.deployment_id).chain(&line.reported_as)).collect()),
    ];
    let (mut names, mut seen) = (Vec::new(), BTreeSet::new());
    for (kind, list) in lists {
        for name in list.into_iter().filter(|name| !name.is_empty()) {
            if seen.insert(name) {
                names.push((name.clone(), kind));
            }
        }
    }
    names
}

/// Orders findings, keeps those that fit, and numbers their evidence; returns how many were left out.
fn rank(findings: &mut Vec<Finding>, tokens_max: usize, completeness: &Completeness) -> usize {
    findings.sort_by(|a, b| b.rank.total_cmp(&a.rank).then_with(|| a.key.cmp(&b.key)));
    let (all, mut tokens, mut kept) = (findings.len(), 0, 0);
    for finding in findings.iter().take(FINDINGS_MAX) {
        tokens += finding.tokens();
        if tokens > tokens_max {
            break;
        }
        kept += 1;
    }
    findings.truncate(kept);
    let mut number = 0;
    for evidence in findings.iter_mut().flat_map(|finding| &mut finding.evidence) {
        number += 1;
        evidence.id = format!("E{number}");
        evidence.complete_to = complete_to(evidence, completeness);
    }
    all - kept
}

/// The earlier time to which its colonies are complete; none if one of them has never been seen.
fn complete_to(evidence: &Evidence, completeness: &Completeness) -> Option<String> {
    let ends = [Some(&evidence.colony_id), evidence.other_colony_id.as_ref()];
    let of = |id: &&String| completeness.colonies.iter().find(|colony| colony.colony_id == **id);
    let known = ends.into_iter().flatten().filter_map(|id| of(&id));
    // RFC 3339 in UTC: the order of text is that of time
    known.map(|colony| colony.complete_to.clone()).min().flatten()
}

impl Finding {
    /// About how many tokens a model reads for it.
    pub(super) fn tokens(&self) -> usize {
        let of = |one: &Evidence| {
            one.description.len()
                + one.data.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>()
                + 16
        };
        self.evidence.iter().map(of).sum::<usize>().div_ceil(BYTES_PER_TOKEN)
    }
}

impl Found {
    /// All evidence, in the order of the ids.
    pub fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.findings.iter().flat_map(|finding| &finding.evidence)
    }

    /// The least confidence of the evidence of what is shown; 0 where nothing was found.
    pub fn confidence(&self) -> f64 {
        let firsts = self.findings.iter().take(SHOWN_MAX).filter_map(|finding| finding.evidence.first());
        firsts.map(|one| one.confidence).reduce(f64::min).unwrap_or(0.0)
    }
}

/// Findings that the template words; the first is its headline.
pub(super) const SHOWN_MAX: usize = 6;

/// A rank with what the question names: a topic that is asked for comes before others.
pub(super) fn ranked(plan: &Plan, topic: Topic, rank: f64) -> f64 {
    rank + if plan.topics.contains(&topic) { 0.4 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::{Claim, Kind};
    use super::*;

    /// A finding that costs so many tokens.
    fn finding(rank: f64, tokens: usize) -> Finding {
        let evidence = Evidence {
            id: String::new(),
            kind: Kind::Event,
            colony_id: "shop-production".to_owned(),
            other_colony_id: None,
            description: "x".repeat(tokens * BYTES_PER_TOKEN - 16),
            query: String::new(),
            data: Vec::new(),
            facts: Vec::new(),
            claim: Claim::Observed,
            confidence: 0.5,
            complete_to: None,
        };
        Finding {
            rank,
            key: format!("{rank}"),
            title: String::new(),
            lines: Vec::new(),
            evidence: vec![evidence],
            advice: String::new(),
            actions: Vec::new(),
        }
    }

    #[test]
    fn a_budget_keeps_the_highest_ranks_and_counts_the_others() {
        let completeness = Completeness::of(&Default::default(), |_, _| true);
        let mut findings: Vec<Finding> = [0.2, 0.9, 0.4, 0.7].map(|rank| finding(rank, 100)).to_vec();
        assert_eq!(rank(&mut findings, 299, &completeness), 2);
        let kept: Vec<(f64, &str)> = findings.iter().map(|one| (one.rank, one.evidence[0].id.as_str())).collect();
        assert_eq!(kept, [(0.9, "E1"), (0.7, "E2")]);
        // small ones are bounded by their number
        let mut many: Vec<Finding> = (0..40).map(|number| finding(f64::from(number), 20)).collect();
        assert_eq!((rank(&mut many, TOKENS_MAX, &completeness), many.len()), (28, FINDINGS_MAX));
        assert!(many.iter().map(Finding::tokens).sum::<usize>() <= TOKENS_MAX);
    }
}
