//! Replica arithmetic.
