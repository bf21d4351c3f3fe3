//! Why a run without an error has not done its work: it was stopped early, or every row was rejected.

use crate::exit::{Exit, Failure};
use crate::text::{count, counted};
use pipelines::progress::{Ended, Progress, RunSummary};
use sources::{FailureClass, InputReport};

/// Most inputs that are named one by one.
const INPUTS_NAMED_MAX: usize = 20;

/// The unfinished work as a failure; `None` if the run completed. `is_finite`: all input has an end. Endless input is
/// never completed, and stopping is its normal end.
pub(super) fn shortfall(is_finite: bool, summary: &RunSummary) -> Option<Failure> {
    if !is_finite {
        return None;
    }
    if summary.ended == Ended::Stopped {
        return Some(stopped_early(&summary.progress));
    }
    let is_any_taken = summary.progress.events + summary.progress.metrics > 0;
    let unreadable = unreadable(&summary.inputs, is_any_taken)
        .map(|failure| failure.hint("repair or replace them and start again: the others are not read again"));
    unreadable.or_else(|| nothing_taken(summary))
}

/// A run of finite input that was stopped before it had read all of it.
pub(super) fn stopped_early(progress: &Progress) -> Failure {
    let rows = counted(progress.events + progress.metrics, "row");
    let refused =
        if progress.rejects > 0 { format!(" and {} refused", count(progress.rejects)) } else { String::new() };
    let share = progress.input().filter(|(_, in_all)| *in_all > 0).map(|(read, in_all)| read * 100 / in_all);
    // the last bytes may have been read without being processed
    let share = share.map_or(String::new(), |percent| format!(", {} % of the input", percent.min(99)));
    Failure::new(
        Exit::Interrupted,
        "interrupted",
        format!("stopped before all input was read: {rows} read{refused}{share}"),
    )
    .hint("rows read so far are stored; start again to resume")
}

/// Inputs that could not be read. `is_any_taken`: rows of others were.
pub(super) fn unreadable(inputs: &InputReport, is_any_taken: bool) -> Option<Failure> {
    if inputs.failed_inputs == 0 {
        return None;
    }
    let all_are = |class| inputs.failed.iter().all(|failed| failed.class == class);
    let exit = match inputs.failed.is_empty() {
        false if all_are(FailureClass::Permission) => Exit::NotAuthorised,
        false if all_are(FailureClass::NotFound) => Exit::NotFound,
        _ => Exit::Failed,
    };
    let others = if is_any_taken { "; the others were" } else { "" };
    let message = format!("{} could not be read{others}", counted(inputs.failed_inputs, "input"));
    let mut failure = Failure::new(exit, "input_unreadable", message);
    for failed in inputs.failed.iter().take(INPUTS_NAMED_MAX) {
        failure = failure.detail(format!("{}: {}", failed.input, failed.problem));
    }
    let unnamed = inputs.failed_inputs.saturating_sub(failure.details.len() as u64);
    if unnamed > 0 {
        failure = failure.detail(format!("and {} more", count(unnamed)));
    }
    Some(failure)
}

/// Rows were read and every one was refused.
fn nothing_taken(summary: &RunSummary) -> Option<Failure> {
    let progress = &summary.progress;
    if progress.rejects == 0 || progress.events + progress.metrics > 0 {
        return None;
    }
    let reasons: Vec<String> =
        summary.rejects_by_reason.iter().map(|(reason, rows)| format!("{reason} {}", count(*rows))).collect();
    let message = format!(
        "nothing was stored: all of the {} that were read were refused ({})",
        counted(progress.rejects, "row"),
        reasons.join(", ")
    );
    Some(Failure::new(Exit::Failed, "every_row_refused", message).hint(
        "what a row needs: coral-pipeline help records; why and where: SELECT reason, place, detail FROM rejects",
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pipelines::progress::OutsideRows;
    use sources::FailedInput;
    use std::collections::BTreeMap;

    fn summary(ended: Ended, rows: u64, rejects: u64) -> RunSummary {
        RunSummary {
            ended,
            progress: Progress { events: rows, rejects, bytes: Some((50, 100)), ..Progress::default() },
            rejects_by_reason: BTreeMap::from([("malformed".to_owned(), rejects)]),
            outcome: pipelines::progress::RowOutcome::default(),
            inputs: InputReport::default(),
            held: None,
            outside: OutsideRows::default(),
            deleted: BTreeMap::new(),
            event_pairs_tested: 0,
            metric_pairs_tested: 0,
            unconfirmed: Vec::new(),
            unreachable: BTreeMap::new(),
            elapsed_ms: 1,
            store: "memory".to_owned(),
        }
    }

    #[test]
    fn finite_input_that_was_not_read_to_its_end_is_interrupted() {
        let failure = shortfall(true, &summary(Ended::Stopped, 41_000, 0)).unwrap();
        assert_eq!((failure.exit, failure.code), (Exit::Interrupted, "interrupted"));
        assert_eq!(failure.message, "stopped before all input was read: 41,000 rows read, 50 % of the input");
        let failure = shortfall(true, &summary(Ended::Stopped, 0, 16_384)).unwrap();
        assert_eq!(
            failure.message,
            "stopped before all input was read: 0 rows read and 16,384 refused, 50 % of the input"
        );
        assert_eq!(shortfall(false, &summary(Ended::Stopped, 41_000, 0)), None, "a live reef ends by being stopped");
    }

    #[test]
    fn rejects_alone_are_a_failure_and_rejects_among_rows_are_not() {
        let failure = shortfall(true, &summary(Ended::InputFinished, 0, 20)).unwrap();
        assert_eq!((failure.exit, failure.code), (Exit::Failed, "every_row_refused"));
        assert!(failure.message.contains("all of the 20 rows") && failure.message.contains("malformed 20"));
        assert_eq!(shortfall(true, &summary(Ended::InputFinished, 1, 20)), None);
        assert_eq!(shortfall(true, &summary(Ended::InputFinished, 0, 0)), None, "nothing new is nothing wrong");
    }

    #[test]
    fn inputs_that_could_not_be_read_are_named_and_decide_the_code() {
        let failed = |classes: &[FailureClass]| {
            let mut summary = summary(Ended::InputFinished, 5, 0);
            for (number, class) in classes.iter().enumerate() {
                let (input, problem) = (format!("{number}.csv"), "is cut off".to_owned());
                summary.inputs.add_failed(FailedInput { input, class: *class, problem });
            }
            shortfall(true, &summary).unwrap()
        };
        let one = failed(&[FailureClass::Format]);
        assert_eq!((one.exit, one.message.as_str()), (Exit::Failed, "1 input could not be read; the others were"));
        assert_eq!(one.details, ["0.csv: is cut off"]);
        assert_eq!(failed(&[FailureClass::Permission; 2]).exit, Exit::NotAuthorised);
        assert_eq!(failed(&[FailureClass::NotFound]).exit, Exit::NotFound);
        assert_eq!(failed(&[FailureClass::NotFound, FailureClass::Permission]).exit, Exit::Failed);
        assert_eq!(failed(&[FailureClass::Format; 30]).details.last().unwrap(), "and 10 more");
    }
}
