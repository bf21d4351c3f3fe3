//! Evidence against chance in one window: a one-sided mixture likelihood ratio.
//!
//! `E = B(k+1, n-k+1) P(Bin(n+1, p0) <= k) / (p0^k (1-p0)^(n-k+1))`: the likelihood ratio of hit probability `p` to `p0`,
//! averaged over `p` uniform on `(p0, 1)`. It rises with `k` and falls with `p0`: with `p = p0 + (1-p0)u` it is the
//! integral over `u` in `(0, 1)` of `(1 + u(1-p0)/p0)^k (1-u)^(n-k)`.

use libm::{exp, log, log1p};

/// Logarithms of factorials, extended as needed.
#[derive(Clone, Debug, Default)]
pub struct LogFactorials {
    table: Vec<f64>,
}

impl LogFactorials {
    /// Makes sure that `ln n!` is known.
    pub fn reserve(&mut self, n: usize) {
        if self.table.is_empty() {
            self.table.push(0.0);
        }
        while self.table.len() <= n {
            let next = self.table.len();
            self.table.push(self.table[next - 1] + log(next as f64));
        }
    }

    /// `ln n!`; `n` must have been reserved.
    fn of(&self, n: usize) -> f64 {
        self.table[n]
    }

    /// `ln B(a+1, b+1)` for whole `a`, `b`; `a + b + 1` must have been reserved.
    pub fn log_beta(&self, a: usize, b: usize) -> f64 {
        self.of(a) + self.of(b) - self.of(a + b + 1)
    }

    /// `ln P(Bin(trials, p) <= k)` for `0 < p < 1`, `k < trials`; `trials` must have been reserved.
    ///
    /// Sums the smaller tail outwards from its greatest term, so that neither tail loses digits.
    pub fn log_binomial_cdf(&self, k: usize, trials: usize, p: f64) -> f64 {
        let (log_p, log_q, odds) = (log(p), log1p(-p), p / (1.0 - p));
        let log_term = |i: usize| {
            self.of(trials) - self.of(i) - self.of(trials - i) + i as f64 * log_p + (trials - i) as f64 * log_q
        };
        let mut sum = 1.0;
        let mut term = 1.0;
        if (k as f64) < trials as f64 * p {
            for i in (1..=k).rev() {
                term *= i as f64 / ((trials - i + 1) as f64 * odds);
                sum += term;
                if term < sum * 1e-17 {
                    break;
                }
            }
            log_term(k) + log(sum)
        } else {
            for i in k + 2..=trials {
                term *= (trials - i + 1) as f64 * odds / i as f64;
                sum += term;
                if term < sum * 1e-17 {
                    break;
                }
            }
            log1p(-exp(log_term(k + 1) + log(sum)))
        }
    }

    /// `ln E` of `k` hits among `n` sources at chance level `p0`, `0 < p0 < 1`.
    ///
    /// ```
    /// use coral_operators::events::evalue::LogFactorials;
    /// let mut table = LogFactorials::default();
    /// // no hits in 9 trials: E = 1/10, whatever the chance level
    /// assert!((table.log_e(9, 0, 0.2) - 0.1f64.ln()).abs() < 1e-12);
    /// // 9 of 9 at 10 %: overwhelming
    /// assert!(table.log_e(9, 9, 0.1) > 15.0);
    /// ```
    pub fn log_e(&mut self, n: usize, k: usize, p0: f64) -> f64 {
        if k == 0 {
            return -log((n + 1) as f64);
        }
        self.reserve(n + 1);
        self.log_beta(k, n - k) + self.log_binomial_cdf(k, n + 1, p0)
            - (n - k + 1) as f64 * log1p(-p0)
            - k as f64 * log(p0)
    }
}
