//! reef
