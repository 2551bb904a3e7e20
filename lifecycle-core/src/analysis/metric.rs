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
    /// Requests a second.
    RequestRate,
    /// The share of what the replicas may use that they do use, 0 to 1.
    Saturation,
    /// How often containers were started again in the window.
    Restarts,
    /// How many critical alerts fire.
    CriticalAlerts,
    /// A query that the user defined, in its own unit.
    Named(Arc<str>),
}

/// The metrics that need no query, in the form in which errors list them.
pub const METRIC_NAMES: [&str; 10] = [
    "error_rate",
    "success_rate",
    "p50_latency",
    "p90_latency",
    "p95_latency",
    "p99_latency",
    "request_rate",
    "saturation",
    "restarts",
    NO_ALERTS,
];

impl Metric {
    /// The metric with this name: `error_rate`, `success_rate`, `p95_latency` or `latency_p95` (also
    /// p50, p90, p99), `request_rate`, `saturation`, `restarts`, each also with `_canary` or `_stable`;
    /// `no_critical_alerts`; any other is a query.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::written(name).0
    }

    /// The metric with this name, and whose it is. Queries have no suffixes: `depth_stable` is the name of
    /// another query than `depth`.
    pub(super) fn written(name: &str) -> (Self, Arm) {
        let (base, arm) = match (name.strip_suffix("_canary"), name.strip_suffix("_stable")) {
            (Some(base), _) => (base, Arm::Canary),
            (None, Some(base)) => (base, Arm::Stable),
            (None, None) => (name, Arm::Canary),
        };
        match Self::own(base) {
            Some(metric) => (metric, arm),
            None if name == NO_ALERTS => (Self::CriticalAlerts, Arm::Canary),
            None => (Self::Named(name.into()), Arm::Canary),
        }
    }

    /// The metric that needs no query, and no suffix.
    fn own(base: &str) -> Option<Self> {
        let quantile = base.strip_suffix("_latency").or_else(|| base.strip_prefix("latency_"));
        Some(match (base, quantile) {
            (_, Some("p50")) => Self::Latency(500),
            (_, Some("p90")) => Self::Latency(900),
            (_, Some("p95")) => Self::Latency(950),
            (_, Some("p99")) => Self::Latency(990),
            ("error_rate", _) => Self::ErrorRate,
            ("success_rate", _) => Self::SuccessRate,
            ("request_rate", _) => Self::RequestRate,
            ("saturation", _) => Self::Saturation,
            ("restarts", _) => Self::Restarts,
            _ => return None,
        })
    }

    /// What a health source is asked for it.
    #[must_use]
    pub fn signal(&self) -> Signal {
        match self {
            Self::ErrorRate | Self::SuccessRate | Self::RequestRate => Signal::Requests,
            Self::Latency(_) => Signal::Latency,
            Self::Saturation => Signal::Saturation,
            Self::Restarts => Signal::Restarts,
            Self::CriticalAlerts => Signal::CriticalAlerts,
            Self::Named(name) => Signal::Named(Arc::clone(name)),
        }
    }
}
