//! Tests of noise as it is.
