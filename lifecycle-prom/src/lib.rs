//! Prometheus as the judge of a rollout.
