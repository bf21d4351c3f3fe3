//! Benjamini-Hochberg: q-values from the p-values of all tests.

/// The p-values of a family of tests, sorted.
#[derive(Debug, Default)]
pub struct Family {
    sorted: Vec<f64>,
    /// `q[i]` = least `m p_(k) / k` over `k >= i + 1`.
    q: Vec<f64>,
}

impl Family {
    /// Takes the p-values of all tests, including those that are not reported.
    ///
    /// ```
    /// use coral_operators::metrics::fdr::Family;
    /// let family = Family::new(vec![0.5, 0.01, 0.02, 0.9]);
    /// assert_eq!(family.q_value(0.01), 0.04);
    /// assert_eq!(family.q_value(0.02), 0.04);
    /// assert_eq!(family.q_value(0.9), 0.9);
    /// ```
    pub fn new(mut p_values: Vec<f64>) -> Family {
        p_values.sort_by(f64::total_cmp);
        let m = p_values.len() as f64;
        let mut q = vec![1.0; p_values.len()];
        let mut least = 1.0_f64;
        for (index, p) in p_values.iter().enumerate().rev() {
            least = least.min(p * m / (index + 1) as f64);
            q[index] = least;
        }
        Family { sorted: p_values, q }
    }

    /// How many tests there were.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// How many have a q-value of at most `rate`.
    pub fn declared(&self, rate: f64) -> usize {
        self.q.partition_point(|q| *q <= rate)
    }

    /// Whether nothing was tested.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Share of chance findings when everything at least as good as `p` is called a finding; 1 where nothing was tested.
    pub fn q_value(&self, p: f64) -> f64 {
        let rank = self.sorted.partition_point(|other| *other <= p);
        let own = if rank == 0 { p * self.sorted.len() as f64 } else { p * self.sorted.len() as f64 / rank as f64 };
        let at_least = self.q.get(rank.saturating_sub(1)).copied().unwrap_or(1.0);
        // p inside the family: its own rank's q; p between two members: what its own rank gives, or a later, better bound
        let bound = if rank > 0 && self.sorted[rank - 1] == p {
            at_least
        } else {
            own.min(self.q.get(rank).copied().unwrap_or(1.0))
        };
        if self.sorted.is_empty() { 1.0 } else { bound.min(1.0) }
    }
}
