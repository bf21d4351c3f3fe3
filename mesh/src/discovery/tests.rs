//! Tests of discovery as it is.
