//! The text why an event pattern is not confirmed, and what is missing.

use crate::events::finding::percent;
use crate::events::params::EventParams;
use crate::events::row::{PairDetail, PairScan};
use libm::{ceil, log};

/// From this chance level on it is named as the reason.
const CHANCE_NAMED: f64 = 0.1;
/// More occurrences than this are not counted out.
const MORE_MAX: f64 = 999.0;

/// What the evidence of a pair is measured against at the current instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Sum of the weights of all pairs tested.
    pub weight_total: u64,
    /// How many pairs reach the false-discovery rate.
    pub declared: usize,
}

impl Bar {
    /// Logarithm of the e-value with which a pair of this weight would be declared beside those that are.
    fn log_needed(self, weight: u32, rate: f64) -> f64 {
        log(self.weight_total as f64 / (f64::from(weight) * rate * (self.declared + 1) as f64))
    }
}

/// The reason of a pair that is not confirmed.
pub fn reason(pair: &PairScan, detail: &PairDetail, bar: Bar, params: &EventParams) -> String {
    let open = match detail.open_count {
        0 => String::new(),
        1 => "; 1 case is still open".to_owned(),
        count => format!("; {count} cases are still open"),
    };
    if pair.occurrences < params.min_occurrences {
        return format!("{} occurrences of the {} needed{open}", pair.occurrences, params.min_occurrences);
    }
    let mut reasons = Vec::new();
    if pair.days < params.min_days {
        reasons.push(format!("occurrences on {} of the {} days needed", pair.days, params.min_days));
    }
    if pair.frequency.chance.0 >= CHANCE_NAMED {
        reasons.push(format!("chance alone does this in {} % of cases", percent(pair.frequency.chance.0)));
    }
    let missing = bar.log_needed(pair.weight, params.false_discovery_rate) - pair.log_e.0;
    if missing > 0.0 {
        let each = (pair.log_e.0 - detail.log_prior.0) / f64::from(pair.occurrences);
        let more = ceil(missing / each);
        reasons.push(if each > 0.0 && more <= MORE_MAX {
            let plural = if more == 1.0 { "" } else { "s" };
            format!("about {more} more occurrence{plural} needed at this rate")
        } else {
            "no more than chance at present".to_owned()
        });
    } else if reasons.is_empty() {
        reasons.push("evidence enough, not yet steady".to_owned());
    }
    format!("{}{open}", reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::row::{Frequency, Identity};
    use model::event::EventTypeKey;
    use model::real::Real;
    use model::time::TimeMs;

    /// Occurrences, days, `ln E`, chance level and open cases of a pair.
    type Case = (u32, u32, f64, f64, u64);

    /// Its reason where a single pair needs `ln E` = 7.6. The prior weight of its window is `exp(-5)`.
    fn said(case: Case) -> String {
        said_beside(case, 1, Bar { weight_total: 100, declared: 0 })
    }

    fn said_beside((occurrences, days, log_e, chance, open_count): Case, weight: u32, bar: Bar) -> String {
        let key = |colony_id: &str| EventTypeKey {
            colony_id: colony_id.to_owned(),
            service_id: "web".to_owned(),
            event_type: "alert".to_owned(),
        };
        let identity = Identity { application_name: "shop".to_owned(), environment: "production".to_owned() };
        let detail = PairDetail {
            source_identity: identity.clone(),
            target_identity: identity,
            source_count: u64::from(occurrences),
            hits_reversed: 0,
            open_count,
            open_until: None,
            log_prior: Real(-5.0),
            score: Real(1.0),
            lag_s: [60; 3],
            matches: Vec::new(),
            matched_passed: u64::from(occurrences),
            lag_pairs: Vec::new(),
        };
        let passed = u64::from(occurrences);
        let pair = PairScan {
            instant: TimeMs(0),
            source: key("a"),
            target: key("b"),
            log_e: Real(log_e),
            weight,
            occurrences,
            days,
            frequency: Frequency { window_min: (0, 2), passed, hits: passed, chance: Real(chance) },
            detail: None,
        };
        reason(&pair, &detail, bar, &EventParams::default())
    }

    #[test]
    fn it_says_what_is_missing() {
        let no_more = "no more than chance at present";
        let cases: [(Case, &str); 14] = [
            ((2, 2, 9.0, 0.5, 0), "2 occurrences of the 3 needed"),
            ((2, 1, 9.0, 0.0, 1), "2 occurrences of the 3 needed; 1 case is still open"),
            ((0, 0, 0.0, 0.0, 4), "0 occurrences of the 3 needed; 4 cases are still open"),
            ((3, 1, 9.0, 0.0, 0), "occurrences on 1 of the 3 days needed"),
            ((9, 2, 9.0, 0.0, 2), "occurrences on 2 of the 3 days needed; 2 cases are still open"),
            ((9, 3, 9.0, 0.31, 0), "chance alone does this in 31 % of cases"),
            ((9, 3, 9.0, 0.0999, 0), "evidence enough, not yet steady"),
            // each occurrence is worth 1, then 2.5
            ((7, 5, 2.0, 0.0, 0), "about 6 more occurrences needed at this rate"),
            ((5, 5, 7.5, 0.0, 0), "about 1 more occurrence needed at this rate"),
            ((5, 5, 7.5, 0.0, 1), "about 1 more occurrence needed at this rate; 1 case is still open"),
            // they add nothing, or too little to count it out
            ((9, 3, -5.0, 0.0, 0), no_more),
            ((9, 3, f64::NEG_INFINITY, 0.0, 0), no_more),
            ((9, 3, -4.99, 0.0, 0), no_more),
            (
                (7, 2, 2.0, 0.4, 1),
                "occurrences on 2 of the 3 days needed; chance alone does this in 40 % of cases; about 6 more occurrences \
                 needed at this rate; 1 case is still open",
            ),
        ];
        for (case, words) in cases {
            assert_eq!(said(case), words, "{case:?}");
        }
    }

    #[test]
    fn pairs_with_a_reason_to_look_and_pairs_beside_others_need_less() {
        let case = (7, 5, 2.0, 0.0, 0);
        let more = |count: u32| format!("about {count} more occurrences needed at this rate");
        let alone = Bar { weight_total: 100, declared: 0 };
        assert_eq!(said_beside(case, 1, alone), more(6));
        assert_eq!(said_beside(case, 10, alone), more(4));
        assert_eq!(said_beside(case, 1, Bar { declared: 9, ..alone }), more(4));
        assert_eq!(said_beside(case, 1, Bar { weight_total: 10_000, ..alone }), more(11));
    }
}
