//! Kinds of derived events, and which of them a metric may have: its name says so.

use model::meaning::{Family, Meaning, Unit};
use serde::{Deserialize, Serialize};

/// What a metric shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// More errors than usual at this time of day.
    ErrorSpike,
    /// Slower than usual at this time of day.
    LatencySpike,
    /// A bounded resource is nearly used up.
    Saturation,
    /// The level has changed and stays so for hours.
    LevelShift,
    /// Memory grows for hours.
    MemoryGrowth,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] =
        [Kind::ErrorSpike, Kind::LatencySpike, Kind::Saturation, Kind::LevelShift, Kind::MemoryGrowth];

    /// The one of this event type.
    pub fn of_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The event type.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::ErrorSpike => "error_spike",
            Kind::LatencySpike => "latency_spike",
            Kind::Saturation => "saturation",
            Kind::LevelShift => "level_shift",
            Kind::MemoryGrowth => "memory_growth",
        }
    }
}

/// What full means for a utilisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// 100.
    Percent,
    /// 1 or 100; the values decide.
    Either,
}

/// What is looked for in one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watched {
    /// Spikes of this kind.
    pub spike: Option<Kind>,
    /// Utilisation of a bounded resource.
    pub full: Option<Full>,
    /// Growth for hours.
    pub is_memory: bool,
    /// The least distance from usual that is one scale.
    pub floor: f64,
}

/// One scale is at least this much of a share.
const SHARE_FLOOR: f64 = 0.0025;

impl Watched {
    /// What is looked for in a metric of this name.
    ///
    /// ```
    /// use coral_operators::derived_events::kinds::{Full, Kind, Watched};
    /// let watched = |name: &str| Watched::of(name);
    /// assert_eq!(watched("http_latency_ms").spike, Some(Kind::LatencySpike));
    /// assert_eq!(watched("error_rate").spike, Some(Kind::ErrorSpike));
    /// assert_eq!(watched("db.pool.utilization").full, Some(Full::Either));
    /// assert_eq!(watched("memory_usage_pct").full, Some(Full::Percent));
    /// assert!(watched("memory_usage_mib").is_memory && watched("memory_usage_mib").full.is_none());
    /// ```
    pub fn of(name: &str) -> Watched {
        let meaning = Meaning::of(name);
        let lower = name.to_ascii_lowercase();
        let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let has = |any: &[&str]| words.iter().any(|word| any.contains(word));
        let floor = match meaning.unit {
            Unit::Milliseconds | Unit::Bytes | Unit::RequestsPerSecond => 1.0,
            Unit::Seconds => 0.001,
            Unit::Share => SHARE_FLOOR,
            Unit::Percent => SHARE_FLOOR * 100.0,
            Unit::None => 0.5,
        };
        let full = match (meaning.family, meaning.unit) {
            (Family::Saturation, Unit::Percent) if has(&["percent", "pct", "percentage"]) => Some(Full::Percent),
            (Family::Saturation, Unit::Percent | Unit::Share) => Some(Full::Either),
            (Family::Saturation, Unit::None) if has(&["utilization", "utilisation", "saturation"]) => {
                Some(Full::Either)
            }
            _ => None,
        };
        let spike = match meaning.family {
            Family::Errors => Some(Kind::ErrorSpike),
            Family::Latency => Some(Kind::LatencySpike),
            _ => None,
        };
        let is_memory = has(&["memory", "mem", "heap", "rss"]) && !has(&["limit", "requested", "free", "available"]);
        Watched { spike, full, is_memory: is_memory && meaning.family == Family::Saturation, floor }
    }
}
