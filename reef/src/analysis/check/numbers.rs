//! Numbers: whether one follows from facts, by rounding and by changes of units. No other arithmetic.

use super::super::evidence::{Fact, Quantity};
use super::tokens::{Sign, Token};
use model::time::{DAY_MS, TimeMs};

/// A rounded number keeps at least this share of the exact one: `1000` for 1,212 says something else.
const ROUNDING_MAX: f64 = 0.05;
/// What binary fractions differ by.
const SLACK: f64 = 1e-9;

/// Whether one of the facts is what the token says.
pub(super) fn follows(token: &Token, facts: &[&Fact]) -> bool {
    match token {
        Token::Number { value, quantity, half, sign } => {
            let is_fact = |fact: &&Fact, is_signed: fn(f64) -> bool| match fact {
                Fact::Number(of_fact, exact) => {
                    fits_quantity(*quantity, *of_fact)
                        && is_rounded((*value, *half), *exact, quantity.is_some())
                        && is_signed(*exact)
                }
                _ => false,
            };
            let any = |is_signed: fn(f64) -> bool| facts.iter().any(|fact| is_fact(fact, is_signed));
            // a change has its size as a fact beside its value: the size is not the value with another sign
            match sign {
                Sign::None => any(|_| true),
                Sign::Plus => any(|exact| exact > 0.0) && !any(|exact| exact < 0.0),
                Sign::Minus => any(|exact| exact < 0.0),
            }
        }
        Token::Time(time, unit) => times(facts).any(|exact| is_within(exact, *time, *unit)),
        Token::Clock(ms, unit) => times(facts).any(|exact| {
            let midnight = exact.floor_to(DAY_MS);
            is_within(exact, midnight + *ms, *unit)
        }),
        // names are checked elsewhere
        Token::Name(_) => true,
    }
}

fn times<'a>(facts: &'a [&Fact]) -> impl Iterator<Item = TimeMs> + 'a {
    facts.iter().filter_map(|fact| match fact {
        Fact::Time(time) => Some(*time),
        _ => None,
    })
}

/// Cut or rounded to the unit; never a unit further.
fn is_within(exact: TimeMs, said: TimeMs, unit: i64) -> bool {
    let cut = exact.floor_to(unit);
    said == cut || (unit < DAY_MS && said == (exact + unit / 2).floor_to(unit))
}

/// A number without a unit is no duration, and one with a unit is of that quantity.
fn fits_quantity(said: Option<Quantity>, of_fact: Quantity) -> bool {
    match said {
        Some(said) => said == of_fact,
        None => of_fact == Quantity::Plain,
    }
}

/// Whether `said` is `exact` with fewer digits: to the digits shown, or, of a whole number, to trailing zeros.
fn is_rounded((said, half): (f64, f64), exact: f64, has_unit: bool) -> bool {
    let off = (said - exact.abs()).abs();
    let scale = exact.abs().max(said.abs());
    if off <= scale * SLACK {
        return true;
    }
    // a count or a score is as it is
    let is_whole_fact = exact.fract() == 0.0 && !has_unit && exact.abs() < 100.0;
    if is_whole_fact {
        return false;
    }
    off <= half * (1.0 + SLACK) && off <= scale * ROUNDING_MAX
}
