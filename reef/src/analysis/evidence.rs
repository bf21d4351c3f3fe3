//! Evidence: one thing found, with the statement that gives its values again, and what a sentence may say of it.

use model::meaning::Unit;
use model::time::TimeMs;
use serde::Serialize;

/// What an evidence is about, as RFD 003 calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Values of a metric, or the state of a colony.
    Metric,
    /// Events, deployments among them.
    Event,
    /// A pattern.
    Correlation,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Metric => "metric",
            Kind::Event => "event",
            Kind::Correlation => "correlation",
        }
    }
}

/// In what a number is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// A plain number: a count, a score.
    Plain,
    /// A duration, in milliseconds.
    Milliseconds,
    /// A share in percent.
    Percent,
    /// Bytes.
    Bytes,
    /// Requests per second.
    RequestsPerSecond,
}

impl Quantity {
    /// A value of a metric in the quantity of its unit: a share becomes a percentage, a second a thousand milliseconds.
    pub fn of(unit: Unit, value: f64) -> (Quantity, f64) {
        match unit {
            Unit::Milliseconds => (Quantity::Milliseconds, value),
            Unit::Seconds => (Quantity::Milliseconds, value * 1_000.0),
            Unit::Share => (Quantity::Percent, value * 100.0),
            Unit::Percent => (Quantity::Percent, value),
            Unit::Bytes => (Quantity::Bytes, value),
            Unit::RequestsPerSecond => (Quantity::RequestsPerSecond, value),
            Unit::None => (Quantity::Plain, value),
        }
    }
}

/// The greatest probability or confidence that is said: never certain.
pub const SHARE_MAX: f64 = 0.99;
/// From here on a share with fewer digits may be 1.
const ROUNDED_MAX: f64 = 0.95;

/// Something that a sentence about an evidence may name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A number.
    Number(Quantity, f64),
    /// An instant.
    Time(TimeMs),
    /// A name: of a colony, an application, a service, a metric, a type of events; a version; an id.
    Name(String),
    /// Two values that belong to two names, or, without names, to before and after.
    Pair {
        /// In what both are counted.
        quantity: Quantity,
        /// The name and value that come first.
        first: (String, f64),
        /// The other.
        second: (String, f64),
    },
    /// Two sides of which no other word may be said than that one came after the other.
    Order {
        /// Names of the first side only.
        first: Vec<String>,
        /// Names of the second side only.
        second: Vec<String>,
        /// Whether the second came after the first; else neither may be said.
        is_ordered: bool,
    },
    /// How a name moves or stands against another: `(what, against what, is greater, is worse)`; worse where that is known.
    Direction {
        /// Which side.
        of: String,
        /// Against which other side; empty for a change over time.
        than: String,
        /// Whether it is greater.
        greater: bool,
        /// Whether that is worse; none where neither is known to be better.
        worse: Option<bool>,
    },
}

/// What the engine says of two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Nothing: values, counts.
    Observed,
    /// That it is expected, with a probability.
    Expected,
    /// That they move together, or that something else explains both.
    CoMoving,
    /// That one follows the other with a lag, beyond chance.
    Follows,
    /// That one changed with the other, beyond chance and beyond what clock time and a sibling explain.
    Changed,
}

impl Claim {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Claim::Observed => "observed",
            Claim::Expected => "expected",
            Claim::CoMoving => "co_moving",
            Claim::Follows => "follows",
            Claim::Changed => "changed",
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// `E1`, `E2`, … in the order of their rank; empty before they are ranked.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// The colony it was found in; of a comparison that of the environment looked at.
    pub colony_id: String,
    /// The other colony, of a comparison or a pattern.
    pub other_colony_id: Option<String>,
    /// In words.
    pub description: String,
    /// One read-only statement that gives `data` again.
    pub query: String,
    /// The values of the row, by column.
    pub data: Vec<(&'static str, String)>,
    /// What a sentence may name.
    pub facts: Vec<Fact>,
    /// What the engine says.
    pub claim: Claim,
    /// 0 to 1.
    pub confidence: f64,
    /// Everything up to here is known of its colonies; RFC 3339.
    pub complete_to: Option<String>,
}

/// A finding: a title, lines, and the evidence of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Its place: the higher, the earlier.
    pub rank: f64,
    /// Breaks ties.
    pub key: String,
    /// In one sentence, without a full stop.
    pub title: String,
    /// Below it: the line, and which of `evidence` it is about.
    pub lines: Vec<(String, usize)>,
    /// What it rests on; the first is that of the title.
    pub evidence: Vec<Evidence>,
    /// What to do about it; may be empty.
    pub advice: String,
    /// What could be done.
    pub actions: Vec<super::actions::Action>,
}

impl Fact {
    /// A change: its size, and, where it is one to less, also with its sign.
    pub fn change(quantity: Quantity, value: f64) -> Vec<Fact> {
        let signed = (value < 0.0).then_some(value);
        std::iter::once(value.abs()).chain(signed).map(|value| Fact::Number(quantity, value)).collect()
    }

    /// A probability or a confidence: in percent, and as a share where no rounding makes it 1. Never certain.
    pub fn share(share: f64) -> Vec<Fact> {
        let share = share.min(SHARE_MAX);
        let plain = (share < ROUNDED_MAX).then_some(Fact::Number(Quantity::Plain, share));
        let percents = [share * 100.0, (share * 100.0).round()].map(|percent| Fact::Number(Quantity::Percent, percent));
        percents.into_iter().chain(plain).collect()
    }

    /// Two sides by their names; what both have, and empty names, are of neither.
    pub fn order<const N: usize>(first: [&str; N], second: [&str; N], is_ordered: bool) -> Fact {
        let only = |own: &[&str], other: &[&str]| {
            let own = own.iter().filter(|name| !name.is_empty() && **name != "*" && !other.contains(name));
            own.map(|name| (*name).to_owned()).collect()
        };
        Fact::Order { first: only(&first, &second), second: only(&second, &first), is_ordered }
    }

    /// Names, without empty ones.
    pub fn names<const N: usize>(names: [&str; N]) -> Vec<Fact> {
        names.into_iter().filter(|name| !name.is_empty()).map(|name| Fact::Name(name.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_certain() {
        let percents = |share: f64| {
            let facts = Fact::share(share).into_iter();
            facts.map(|fact| match fact {
                Fact::Number(Quantity::Percent, percent) => percent,
                other => panic!("{other:?} may be rounded to 1"),
            })
        };
        for share in [0.996, 0.999, 1.0] {
            assert_eq!(percents(share).collect::<Vec<_>>(), [99.0, 99.0], "{share}");
        }
        assert!(Fact::share(0.86).contains(&Fact::Number(Quantity::Plain, 0.86)));
        assert!(Fact::share(0.86).contains(&Fact::Number(Quantity::Percent, 86.0)));
    }
}
