//! Metric pairs: alignment, lag scans and verdicts.
