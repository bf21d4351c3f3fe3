//! The template: an answer in words without a model, filled from the findings. Every line names its evidence.

use super::evidence::Finding;
use super::findings::{Found, SHOWN_MAX};
use super::plan::Topic;
use crate::answers::page;
use crate::printable::printable;

/// Lines of one finding.
const LINES_MAX: usize = 6;
/// Recommendations of an answer.
const ADVICE_MAX: usize = 2;

/// The answer, without what it is complete to; ends without a line break.
pub fn worded(found: &Found) -> String {
    let Some(first) = found.findings.first() else { return nothing(found) };
    let mut text = headline(first);
    let rest: Vec<&Finding> = found.findings.iter().skip(1).take(SHOWN_MAX - 1).collect();
    if !rest.is_empty() {
        text.push_str(&format!("\n\n{}", heading(found)));
    }
    for (number, finding) in rest.iter().enumerate() {
        text.push_str(&format!("\n{}. {}", number + 1, titled(finding)));
        lines(finding).for_each(|line| text.push_str(&format!("\n   - {line}")));
    }
    let left_out = found.findings.len().saturating_sub(SHOWN_MAX) + found.omitted;
    if left_out > 0 {
        let what = if left_out == 1 { "finding was" } else { "findings were" };
        text.push_str(&format!("\n{left_out} more {what} left out; ask about one colony, service or metric for more."));
    }
    text.push_str(&ending(found));
    text
}

/// What every answer ends with: which window was used where the question was not understood, and what to do.
pub(super) fn ending(found: &Found) -> String {
    let mut text = String::new();
    if let Some(range) = found.plan.range.filter(|_| found.plan.range_is_unread) {
        text.push_str(&format!(
            "\n\nThe time in the question was not understood: this is about {} to {}.",
            page::time(range.from),
            page::time(range.to)
        ));
    }
    let advice = recommendations(found);
    if !advice.is_empty() {
        text.push_str(&format!("\n\nRecommendation:\n  {}", advice.join("\n  ")));
    }
    text
}

/// The first finding with its lines.
pub(super) fn headline(first: &Finding) -> String {
    let mut text = format!("Finding: {}", titled(first));
    lines(first).for_each(|line| text.push_str(&format!("\n  - {line}")));
    text
}

/// What to do about what is shown.
fn recommendations(found: &Found) -> Vec<String> {
    let advice = found.findings.iter().take(SHOWN_MAX).map(|finding| finding.advice.as_str());
    let mut told: Vec<String> = Vec::new();
    for one in advice.filter(|advice| !advice.is_empty()).map(printable) {
        if !told.contains(&one) && told.len() < ADVICE_MAX {
            told.push(one);
        }
    }
    told
}

fn heading(found: &Found) -> &'static str {
    let plan = &found.plan;
    // that one thing stands beside another is no cause: the title says so
    match plan.topics.contains(&Topic::Compare) || plan.metric.is_some() {
        true => "Root cause analysis (what was found with it, strongest first):",
        false => "Also found, strongest first:",
    }
}

fn titled(finding: &Finding) -> String {
    let id = finding.evidence.first().map_or("", |evidence| evidence.id.as_str());
    format!("{} [{id}]", printable(&finding.title))
}

fn lines(finding: &Finding) -> impl Iterator<Item = String> {
    finding.lines.iter().take(LINES_MAX).map(|(line, place)| {
        let id = finding.evidence.get(*place).map_or("", |evidence| evidence.id.as_str());
        format!("{} [{id}]", printable(line))
    })
}

fn nothing(found: &Found) -> String {
    match found.plan.range {
        None => "Finding: nothing has been received yet, so there is nothing to answer from.".to_owned(),
        Some(range) => format!(
            "Finding: nothing stands out from {} to {} in {} colonies: no deployment, no event of severity warning or worse, no \
             confirmed pattern.",
            page::time(range.from),
            page::time(range.to),
            found.plan.colonies.len()
        ),
    }
}
