//! Patterns as lines on standard output while a reef runs: each when it is confirmed, and when it no longer is.

use crate::output::Output;
use pipelines::run::RunningReef;
use pipelines::run::handle::{Change, News};
use reef::PatternLine;
use serde_json::json;
use std::convert::Infallible;

/// Prints news until it is dropped.
pub async fn print(reef: &RunningReef, output: &Output) -> Infallible {
    loop {
        print_all(&reef.news().await, output);
    }
}

/// Prints the news that came since.
pub fn print_rest(reef: &RunningReef, output: &Output) {
    print_all(&reef.news_so_far(), output);
}

fn print_all(news: &[News], output: &Output) {
    for News { change, correlation } in news {
        let word = match change {
            Change::Confirmed => "confirmed",
            Change::Withdrawn => "withdrawn",
        };
        let pattern = PatternLine::of(correlation);
        // a closed standard output is no reason to stop a reef
        let _ = output.item(&json!({ "event": word, "pattern": pattern }), |style| {
            let word = match change {
                Change::Confirmed => style.green(word),
                Change::Withdrawn => style.yellow(word),
            };
            format!("{word}  {}", reef::text::line(&pattern))
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::pattern::{Correlation, PatternKey, PatternState, Signal, SignalKind};
    use model::real::Real;
    use model::time::TimeMs;

    fn signal(service_id: &str) -> Signal {
        let (colony_id, name) = ("shop-production".to_owned(), "deploy".to_owned());
        Signal { kind: SignalKind::Event, colony_id, service_id: service_id.to_owned(), name }
    }

    fn news(change: Change, sentence: &str) -> News {
        let correlation: Correlation = serde_json::from_value(json!({
            "key": PatternKey { source: signal("web"), target: signal("api") },
            "correlation_type": "event_pattern",
            "source_application": "shop", "source_environment": "production",
            "target_application": "shop", "target_environment": "production",
            "source_timestamp": TimeMs(0), "target_timestamp": TimeMs(0),
            "correlation_score": Real(0.9), "coefficient": Real(0.9), "confidence": Real(0.97),
            "lag_seconds": 60, "lag_low_seconds": 50, "lag_high_seconds": 70,
            "pattern_description": sentence, "occurrence_count": 4,
            "first_observed": TimeMs(0), "last_observed": TimeMs(0),
            "state": PatternState::Confirmed, "e_value": Real(99.0), "q_value": Real(0.03), "sample_count": 4,
            "explained_by": null, "open_count": 0
        }))
        .unwrap();
        News { change, correlation }
    }

    #[test]
    fn a_pattern_is_one_line_in_either_form() {
        let all = [
            news(Change::Confirmed, "deploy of web\nis followed\u{202e} by"),
            news(Change::Withdrawn, "deploy of web is followed by"),
        ];
        let (output, captured) = Output::captured(false);
        print_all(&all, &output);
        let lines: Vec<String> = captured.stdout().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("confirmed  deploy of web·is followed· by · shop/production/web/deploy -> "));
        assert!(lines[1].starts_with("withdrawn  ") && lines[1].contains(" · c-"), "{lines:?}");
        let (output, captured) = Output::captured(true);
        print_all(&all, &output);
        let events: Vec<serde_json::Value> =
            captured.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&events[0]["event"], &events[1]["event"]), (&json!("confirmed"), &json!("withdrawn")));
        assert_eq!(events[0]["pattern"]["occurrence_count"], 4);
    }
}
