//! Why nothing is confirmed, from the store's contents, and what to do.

use crate::report::{Report, Rules};
use model::time::format_duration_ms;

/// One or more sentences.
pub(super) fn why_empty(report: &Report) -> String {
    let (events, metrics) = (report.totals.rows_of("federated_events"), report.totals.rows_of("federated_metrics"));
    let refused: u64 = report.totals.rejects.values().sum();
    if events + metrics == 0 {
        return if refused > 0 {
            format!(
                "Every row read was refused ({refused} in all). Look at the reasons: SELECT reason, place, detail FROM \
                 rejects; what a row needs: coral-pipeline help records"
            )
        } else {
            "The store holds no events and no metrics. Check that the sources name files or colonies that have data: \
             coral-pipeline validate <reef.toml>"
                .to_owned()
        };
    }
    if let Some(Rules { correlates: false, .. }) = report.rules {
        return "Rows are only collected: correlation.enabled is false.".to_owned();
    }
    if let [colony] = report.totals.colonies.as_slice() {
        return format!(
            "All rows are of one colony, {}. Patterns are between colonies: add the rows of another one.",
            crate::printable::shortened(colony, 60)
        );
    }
    let mut text = if report.counts.candidates == 0 {
        nothing_seen(report)
    } else if report.counts.candidates == report.explained.values().sum::<u64>() {
        "What moves together is explained by something simpler; nothing else stands out so far.".to_owned()
    } else {
        "What has been seen could still be chance: each sentence says how often chance alone would do it. More occurrences \
         decide it."
            .to_owned()
    };
    if let Some(open) = still_open(report) {
        text.push(' ');
        text.push_str(&open);
    }
    text
}

fn nothing_seen(report: &Report) -> String {
    match report.rules {
        Some(Rules { max_lag_ms, min_occurrences, .. }) => format!(
            "Nothing in one colony was followed by something in another within {} (max_lag) at least {min_occurrences} \
             times (min_occurrences) and more often than chance would have it, in what counts so far.",
            format_duration_ms(max_lag_ms)
        ),
        None => {
            "Nothing in one colony was followed by something in another often enough, in what counts so far.".to_owned()
        }
    }
}

/// The last events of the data may still be followed by a target.
fn still_open(report: &Report) -> Option<String> {
    let (rules, newest) = (report.rules?, report.totals.newest_event?);
    Some(format!(
        "Events after {} are not older than max_lag ({}): what follows them may still come.",
        newest - rules.max_lag_ms,
        format_duration_ms(rules.max_lag_ms)
    ))
}
