//! How far r can have moved since a pair was screened, when some slots have left its windows and others have come.
//!
//! The proof is in the README under "After a change". Nothing is evaluated over the window: a few numbers of each series
//! bound what any pair of them can have become.

/// How strong a pair is at most, and how much it takes to make it stronger. Distances are in units of a scale of each
/// series, so that the numbers of both compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Footing {
    /// At least the greatest |r| at any lag, both ways.
    pub reach: f32,
    /// At most the sum of squares about the mean over the common slots, of either series at any lag.
    pub spread: f32,
    /// At least the distance of the mean over the common slots from the centre, of either series at any lag.
    pub offset: f32,
    /// Fewest slots in common at any lag.
    pub points: u32,
}

/// What has changed of a series since: the slots that were part of a window and are no longer, or with another value,
/// and those that have come in their place. In units of the scale, about the centre, both as of then.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// At least the root of the sum of squares of what has gone from the window of any lag.
    pub gone: f32,
    /// The same of what has come.
    pub come: f32,
}

/// Room for rounding to 32 bits, in several places.
const SLACK: f32 = 1e-5;
/// Share of the sum of squares that must remain.
const REMAINS: f32 = 0.2;

impl Footing {
    /// At least the greatest |r| at any lag after changes of both series, of at most `slots` slots gone and as many come;
    /// infinite where that is not known. Below it r is defined at every lag, as it was. `points_min`: as in
    /// [`crate::each_pair`].
    ///
    /// ```
    /// use coral_kernels::{Change, Footing};
    /// let footing = Footing { reach: 0.3, spread: 1400.0, offset: 0.0, points: 1440 };
    /// let nothing = Change::default();
    /// assert!(footing.after(nothing, nothing, 0, 1152) < 0.301);
    /// let some = Change { gone: 6.0, come: 6.0 };
    /// assert!((0.35..0.5).contains(&footing.after(some, some, 16, 1152)));
    /// assert_eq!(footing.after(some, some, 300, 1152), f32::INFINITY, "too few slots may be in common then");
    /// ```
    #[inline]
    pub fn after(&self, first: Change, second: Change, slots: u32, points_min: u32) -> f32 {
        let shift = (slots as f32).sqrt() * self.offset;
        let (gone_x, gone_y) = (first.gone + shift, second.gone + shift);
        let (come_x, come_y) = (first.come + shift, second.come + shift);
        let (both_x, both_y) = (gone_x + come_x, gone_y + come_y);
        // means move by at most this share of what came and went
        let of_mean = slots as f32 / points_min as f32;
        let more = gone_x * gone_y + come_x * come_y + of_mean * both_x * both_y;
        let left = |gone: f32, both: f32| 1.0 - (gone * gone + of_mean * both * both) / self.spread;
        let (left_x, left_y) = (left(gone_x, both_x), left(gone_y, both_y));
        // written so that NaN is unknown as well
        let is_known = left_x >= REMAINS && left_y >= REMAINS && self.points >= points_min + slots;
        if is_known {
            (self.reach + more / self.spread) / (left_x * left_y).sqrt() * (1.0 + SLACK) + SLACK
        } else {
            f32::INFINITY
        }
    }
}
