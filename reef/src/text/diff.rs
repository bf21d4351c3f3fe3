//! What differs between two sets of patterns, as plain text.

use super::pattern::{INDENT, block, confidence, duration, ends, score};
use crate::diff::{PatternChange, PatternDiff};
use crate::printable::printable;
use crate::report::PatternLine;

/// The difference for a terminal, at most `most` patterns of each kind: ends with a line break, has no colours.
pub fn diff(diff: &PatternDiff, most: usize) -> String {
    let counts = &diff.counts;
    if diff.is_empty() {
        return format!("Patterns: nothing differs, {} unchanged\n", counts.unchanged);
    }
    let visible: Vec<(&PatternChange, String)> =
        diff.changed.iter().filter_map(|change| Some((change, changes(change)?))).collect();
    let hidden = diff.changed.len() - visible.len();
    let mut text = format!(
        "Patterns: {} gained, {} lost, {} changed, {} unchanged; confirmed: {} more, {} no longer\n",
        counts.gained,
        counts.lost,
        visible.len(),
        counts.unchanged,
        counts.gained_confirmed,
        counts.lost_confirmed
    );
    if hidden > 0 {
        text.push_str(&format!("{hidden} more differ only in digits that are not shown (all: --json)\n"));
    }
    let heading = |word: &str, number: usize| match number > most {
        true => format!("\n{word}: {number}, the best {most} (all: --json)\n"),
        false => format!("\n{word}: {number}\n"),
    };
    for (word, lines) in [("gained", &diff.gained), ("lost", &diff.lost)] {
        if !lines.is_empty() {
            text.push_str(&heading(word, lines.len()));
            lines.iter().take(most).for_each(|line| text.push_str(&block(line)));
        }
    }
    if !visible.is_empty() {
        text.push_str(&heading("changed", visible.len()));
        for (change, what) in visible.iter().take(most) {
            text.push_str(&format!("{}\n{:INDENT$}{what}\n", ends(&change.after), ""));
        }
    }
    text
}

/// `state candidate -> confirmed, confidence 0.8000 -> 0.9700`: the difference as displayed; `None` if no displayed
/// value differs.
fn changes(change: &PatternChange) -> Option<String> {
    let PatternChange { before, after, .. } = change;
    let reason = |line: &PatternLine| line.explained_by.as_deref().map_or("-".to_owned(), printable);
    let times = |line: &PatternLine| line.occurrence_count.to_string();
    // without its own word: `score 0.40 -> 0.50`, `score r=0.90 -> r=0.80`
    let number = |line: &PatternLine| score(line).trim_start_matches("score ").to_owned();
    let shown = [
        ("state", before.state.to_owned(), after.state.to_owned()),
        ("lag", duration(before.lag_seconds), duration(after.lag_seconds)),
        ("from", duration(before.lag_low_seconds), duration(after.lag_low_seconds)),
        ("to", duration(before.lag_high_seconds), duration(after.lag_high_seconds)),
        ("score", number(before), number(after)),
        ("confidence", confidence(before.confidence), confidence(after.confidence)),
        ("times", times(before), times(after)),
        ("explained by", reason(before), reason(after)),
    ];
    let parts: Vec<String> = shown
        .into_iter()
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| format!("{name} {before} -> {after}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
