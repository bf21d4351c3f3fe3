//! Tests of uplink as it is.
