//! Evaluations of what the answers say, against data of which the truth is known.
//!
//! A short run is an ordinary test; `cargo xtask eval deployments` runs the long one and writes its figures to
//! `docs/evaluation/deployments.md`.

mod growing;
mod planted;
mod pseudo;
mod tally;

use planted::Planted;
use pseudo::{Pseudo, Shifted, Site};
use std::path::{Path, PathBuf};

/// Share of deployments without effect that may be called degraded or failed.
const ALARMS_MAX: f64 = 0.02;
/// Share of planted deployments whose verdict is right.
const RIGHT_MIN: f64 = 0.95;
/// Error rate that each look may spend (methods.md: 5 % in four looks).
const ALPHA_OF_A_LOOK: f64 = 0.05 / 4.0;

/// How much is tried.
struct Size {
    /// Times that each recording is gone through with other pseudo-deployments.
    passes: u64,
    /// The same with a shift at each of them.
    shifted_passes: u64,
    /// Generated fleets.
    fleets: u64,
    /// Their length.
    days: u32,
}

const SHORT: Size = Size { passes: 1, shifted_passes: 0, fleets: 1, days: 8 };
const LONG: Size = Size { passes: 4, shifted_passes: 2, fleets: 5, days: 8 };

#[tokio::test]
async fn deployments() {
    // the path is where `cargo xtask eval` wants the figures
    let report = std::env::var_os("CORAL_EVAL_REPORT").map(PathBuf::from);
    let size = if report.is_some() { LONG } else { SHORT };
    let mut page = String::new();
    let mut sites = Vec::new();
    for name in ["boutique", "delta"] {
        let Some(site) = Site::recorded(name).await else { continue };
        let alarms = Pseudo::tried(&site, size.passes).await;
        alarms.check(&site, ALARMS_MAX, ALPHA_OF_A_LOOK);
        sites.push((site, alarms));
    }
    page.push_str(&pseudo::alarms_section(&sites, ALPHA_OF_A_LOOK));
    if size.shifted_passes > 0 {
        let mut shifts = Vec::new();
        for (site, _) in &sites {
            shifts.push((site, Shifted::tried(site, size.shifted_passes).await));
        }
        page.push_str(&pseudo::power_section(&shifts));
    }
    let planted = Planted::tried(size.fleets, size.days, 1).await;
    planted.check(RIGHT_MIN, ALPHA_OF_A_LOOK);
    page.push_str(&planted.section());
    if let Some(path) = report {
        // what such buckets can show is stated, and no promise
        page.push_str(&Planted::tried(size.fleets, size.days, 5).await.coarse_section());
        write_report(&path, &page);
    }
}

fn write_report(path: &Path, page: &str) {
    let commit = std::env::var("CORAL_EVAL_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let head = format!(
        "# Verdicts on deployments\n\nWritten by `cargo xtask eval deployments` at commit {commit} on {cores} cores (no \
         figure here is a time).\nDefinitions: [methods.md](../methods.md#deployments). Each verdict is the answer of \
         `coral reef deployment` over a store that\ngrows in the order of time and is queried as soon as each look is over.\n"
    );
    std::fs::write(path, head + page).unwrap();
}
