//! Tests of registry as it is.
