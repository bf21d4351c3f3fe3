//! A float that can be a key: total order, equality and hash by bits, except that zero has no sign.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// An `f64` ordered by `total_cmp`. Rows hold it so that they can be compared, hashed and cancelled exactly.
///
/// -0 and 0 are equal here, as in SQL. Otherwise the stored value, and with it the winning copy of a row, would depend
/// on the order of arrival.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Real(pub f64);

impl Real {
    /// The number, a zero without its sign.
    pub fn unsigned_zero(self) -> f64 {
        self.0 + 0.0
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Real) -> bool {
        self.unsigned_zero().to_bits() == other.unsigned_zero().to_bits()
    }
}
impl Eq for Real {}
impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unsigned_zero().to_bits().hash(state);
    }
}
impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Real) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Real {
    fn cmp(&self, other: &Real) -> Ordering {
        self.unsigned_zero().total_cmp(&other.unsigned_zero())
    }
}
impl From<f64> for Real {
    fn from(value: f64) -> Real {
        Real(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    #[test]
    fn zero_has_no_sign_and_everything_else_has_its_bits() {
        let hash = |real: Real| BuildHasherDefault::<DefaultHasher>::default().hash_one(real);
        assert_eq!(Real(-0.0), Real(0.0));
        assert_eq!(Real(-0.0).cmp(&Real(0.0)), Ordering::Equal);
        assert_eq!(hash(Real(-0.0)), hash(Real(0.0)));
        assert!(Real(-f64::MIN_POSITIVE) < Real(-0.0) && Real(0.0) < Real(f64::MIN_POSITIVE));
        assert_eq!(Real(f64::NAN), Real(f64::NAN));
    }
}
