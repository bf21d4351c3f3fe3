//! The progress line of a run.

use super::meter::Reading;
use crate::output::Style;
use crate::text::{bytes, count, counted};
use model::time::format_duration_ms;
use pipelines::progress::{Phase, Progress};

/// One progress line, without line break. The most important values are first, because a narrow terminal cuts the end.
pub fn progress_line(progress: &Progress, reading: &Reading, style: Style) -> String {
    let mut parts = vec![style.bold(phase_word(progress.phase))];
    parts.push(format!("patterns {} confirmed, {} candidates", count(progress.confirmed), count(progress.candidates)));
    parts.extend(shown_if_any(progress.rejects, "rejects", style));
    let late = shown_if_any(progress.late, "late", style);
    parts.extend(late.map(|late| format!("{late} (to count them: backfill)")));
    parts.extend(share_done(progress, reading));
    if progress.colonies.1 > 0 {
        parts.push(format!("colonies {}/{}", progress.colonies.0, progress.colonies.1));
    }
    parts.push(format!("{} ({}/s)", counted(reading.rows, "row"), count(reading.rows_per_second as u64)));
    if let Some(time) = progress.event_time {
        parts.push(format!("event time {time}"));
    }
    parts.join(" · ")
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Restoring => "restoring",
        Phase::Running => "running",
        Phase::Draining => "draining",
    }
}

fn shown_if_any(number: u64, name: &str, style: Style) -> Option<String> {
    (number > 0).then(|| style.yellow(&format!("{name} {}", count(number))))
}

/// `43 % of 12,000 rows, 12s left`; `None` for input without an end.
pub fn share_done(progress: &Progress, reading: &Reading) -> Option<String> {
    let in_all = match (progress.bytes, progress.rows) {
        (Some((_, in_all)), _) => bytes(in_all),
        (None, Some((_, in_all))) => counted(in_all, "row"),
        (None, None) => return None,
    };
    // rounded down: 100 % means all of it
    let percent = (reading.done? * 100.0) as u64;
    let left = match reading.left_ms {
        // whole seconds, rounded up, so that the last one shown is 1s and not 0s
        Some(ms) if percent < 100 => format!(", {} left", format_duration_ms((ms as i64 + 999) / 1000 * 1000)),
        _ => String::new(),
    };
    Some(format!("{percent} % of {in_all}{left}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use model::time::TimeMs;

    /// That of a run in the middle of a file.
    pub(in crate::pipeline) fn progress() -> Progress {
        Progress {
            phase: Phase::Running,
            events: 1_200_000,
            metrics: 34_567,
            rejects: 2,
            late: 0,
            late_from: None,
            ticks: 12,
            event_time: Some(TimeMs(1_672_772_778_000)),
            colonies: (0, 0),
            confirmed: 5,
            candidates: 12,
            bytes: Some((43, 120_000_000)),
            rows: None,
        }
    }

    #[test]
    fn a_line_of_progress() {
        let reading = Reading { rows: 1_234_567, rows_per_second: 12_345.6, done: Some(0.4399), left_ms: Some(11_001) };
        assert_eq!(
            progress_line(&progress(), &reading, Style::PLAIN),
            "running · patterns 5 confirmed, 12 candidates · rejects 2 · 43 % of 120.0 MB, 12s left · \
             1,234,567 rows (12,345/s) · event time 2023-01-03T19:06:18.000Z"
        );
    }

    #[test]
    fn a_recording_is_measured_in_rows() {
        let recorded = Progress { bytes: None, rows: Some((500, 12_000)), ..progress() };
        let reading = Reading { rows: 500, rows_per_second: 250.0, done: Some(0.0417), left_ms: Some(46_000) };
        let line = progress_line(&recorded, &reading, Style::PLAIN);
        assert!(line.contains(" · 4 % of 12,000 rows, 46s left · 500 rows (250/s) · event time"), "{line}");
    }

    #[test]
    fn live_colonies_are_counted_and_have_no_share() {
        let live = Progress { colonies: (1, 2), bytes: None, event_time: None, ..Progress::default() };
        assert_eq!(
            progress_line(&live, &Reading::default(), Style::PLAIN),
            "restoring · patterns 0 confirmed, 0 candidates · colonies 1/2 · 0 rows (0/s)"
        );
    }

    #[test]
    fn patterns_and_rejects_are_seen_on_80_columns_beside_the_bar() {
        let reading = Reading { rows: 1_234_567, rows_per_second: 12_345.6, done: Some(0.4399), left_ms: Some(11_001) };
        let line = progress_line(&progress(), &reading, Style::PLAIN);
        // the spinner and the bar take the rest
        let seen: String = line.chars().take(80 - 13).collect();
        assert!(seen.contains("5 confirmed, 12 candidates") && seen.contains("rejects 2"), "{seen}");
    }

    #[test]
    fn escape_codes_appear_only_in_colour() {
        let reading = Reading { rows: 1, rows_per_second: 1.0, done: Some(1.0), left_ms: Some(0) };
        for style in [Style::PLAIN, Style { colour: true }] {
            assert_eq!(progress_line(&progress(), &reading, style).contains('\x1b'), style.colour);
        }
    }
}
