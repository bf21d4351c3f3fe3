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
