//! q-values over all tests: e-BH (Wang and Ramdas 2022), which is Benjamini and Hochberg's procedure on 1 / E.

/// The reciprocals of the e-values of a family of tests, sorted.
#[derive(Debug, Default)]
pub struct Family {
    tests: usize,
    /// Without those that are 1.
    sorted: Vec<f64>,
    /// `q[i]` = least `m p_(k) / k` over `k >= i + 1`.
    q: Vec<f64>,
}

impl Family {
    /// Of `tests` tests, those that have evidence, as 1 / E.
    ///
    /// ```
    /// use coral_operators::metrics::fdr::Family;
    /// let family = Family::new(vec![0.5, 0.01, 0.02], 4);
    /// assert_eq!(family.q_value(0.01), 0.04);
    /// assert_eq!(family.q_value(0.02), 0.04);
    /// assert_eq!(family.q_value(1.0), 1.0);
    /// ```
    pub fn new(mut with_evidence: Vec<f64>, tests: usize) -> Family {
        with_evidence.sort_by(f64::total_cmp);
        let mut q = vec![1.0; with_evidence.len()];
        let mut least = 1.0_f64;
        for (index, p) in with_evidence.iter().enumerate().rev() {
            least = least.min(p * tests as f64 / (index + 1) as f64);
            q[index] = least;
        }
        Family { tests, sorted: with_evidence, q }
    }

    /// How many tests there were.
    pub fn tests(&self) -> usize {
        self.tests
    }

    /// How many have a q-value of at most `rate`.
    pub fn declared(&self, rate: f64) -> usize {
        self.q.partition_point(|q| *q <= rate)
    }

    /// Share of chance findings when everything with at least as much evidence as 1 / `p` is called a finding; 1 where
    /// nothing was tested.
    pub fn q_value(&self, p: f64) -> f64 {
        if self.tests == 0 {
            return 1.0;
        }
        let rank = self.sorted.partition_point(|other| *other <= p);
        let later = self.q.get(rank).copied().unwrap_or(1.0);
        let own = match rank.checked_sub(1) {
            Some(last) if self.sorted[last] == p => self.q[last],
            // between two members: what its own rank gives, or a later, better bound
            _ => p * self.tests as f64 / rank.max(1) as f64,
        };
        own.min(later).min(1.0)
    }
}
