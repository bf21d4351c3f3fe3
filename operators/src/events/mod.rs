//! Event patterns: episodes, onsets, scans and verdicts.
