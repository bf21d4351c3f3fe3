//! Tests of peers as it is.
