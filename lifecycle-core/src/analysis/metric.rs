//! What a check measures, and of whom.

use std::sync::Arc;

use crate::backend::Signal;

/// The check that stands alone.
pub(super) const NO_ALERTS: &str = "no_critical_alerts";

/// Whose health is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Arm {
    /// The stable revision.
    Stable,
    /// The new revision.
    Canary,
}

/// What a check measures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Failed requests over all requests, 0 to 1.
    ErrorRate,
    /// One minus the error rate.
    SuccessRate,
    /// A quantile of the request duration in seconds; per mille, 950 is p95.
    Latency(u32),
    /// How many critical alerts fire.
    CriticalAlerts,
    /// A query that the user defined, in its own unit.
    Named(Arc<str>),
}

/// The metrics that need no query, in the form in which errors list them.
pub const METRIC_NAMES: [&str; 7] = [
    "error_rate",
    "success_rate",
    "p50_latency",
    "p90_latency",
    "p95_latency",
    "p99_latency",
    "no_critical_alerts",
];

impl Metric {
    /// The metric with this name: `error_rate`, `success_rate`, `p95_latency` or `latency_p95` (also
    /// p50, p90, p99), each with or without `_canary`; `no_critical_alerts`; any other is a query.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let base = name.strip_suffix("_canary").unwrap_or(name);
        let quantile = base.strip_suffix("_latency").or_else(|| base.strip_prefix("latency_"));
        match (base, quantile) {
            (_, Some("p50")) => Self::Latency(500),
            (_, Some("p90")) => Self::Latency(900),
            (_, Some("p95")) => Self::Latency(950),
            (_, Some("p99")) => Self::Latency(990),
            ("error_rate", _) => Self::ErrorRate,
            ("success_rate", _) => Self::SuccessRate,
            _ if name == NO_ALERTS => Self::CriticalAlerts,
            _ => Self::Named(name.into()),
        }
    }

    /// What a health source is asked for it.
    #[must_use]
    pub fn signal(&self) -> Signal {
        match self {
            Self::ErrorRate | Self::SuccessRate => Signal::Requests,
            Self::Latency(_) => Signal::Latency,
            Self::CriticalAlerts => Signal::CriticalAlerts,
            Self::Named(name) => Signal::Named(Arc::clone(name)),
        }
    }
}
