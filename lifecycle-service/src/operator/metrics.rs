//! What the operator counts of its own work, for Prometheus.

mod process;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lifecycle_core::backend::ErrorKind;
use lifecycle_core::machine::{BackReason, Event, EventKind};
use lifecycle_core::report::{Status, WirePhase};
use lifecycle_k8s::controller::{Observer, Reconciled};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use process::Process;

/// All metrics. Clones are the same ones.
///
/// | name | kind | what |
/// |---|---|---|
/// | `lifecycle_leader` | gauge | 1 while this process leads |
/// | `lifecycle_reconciles_total{result}` | counter | looks at an AgentDeployment: done, conflict or failed |
/// | `lifecycle_reconcile_duration_seconds` | histogram | how long they took |
/// | `lifecycle_backend_errors_total{backend,kind}` | counter | calls that failed |
/// | `lifecycle_rollouts{phase}` | gauge | AgentDeployments by phase |
/// | `lifecycle_rollout_outcomes_total{outcome}` | counter | rollouts that have ended: promoted, rolledBack, aborted or failed |
/// | `lifecycle_events_total{event}` | counter | decisions |
/// | `process_cpu_seconds_total`, `process_resident_memory_bytes` | | of this process (Linux) |
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    shared: Arc<Shared>,
}

type By<const N: usize, M> = Family<[(&'static str, &'static str); N], M>;

#[derive(Debug)]
struct Shared {
    registry: Registry,
    leader: Gauge,
    reconciles: By<1, Counter>,
    durations: Histogram,
    errors: By<2, Counter>,
    rollouts: By<1, Gauge>,
    outcomes: By<1, Counter>,
    events: By<1, Counter>,
    /// How each AgentDeployment stands, by namespace and name.
    phases: Mutex<HashMap<(String, String), &'static str>>,
}

impl Metrics {
    /// The media type of [`Metrics::text`].
    pub(crate) const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let shared = Shared {
            registry: Registry::default(),
            leader: Gauge::default(),
            reconciles: By::default(),
            // 1 ms to 16 s: a look is a handful of calls
            durations: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            errors: By::default(),
            rollouts: By::default(),
            outcomes: By::default(),
            events: By::default(),
            phases: Mutex::default(),
        };
        // What is counted from 0 is counted whole: of a series that is new the first count is easily missed.
        for result in [Reconciled::Done, Reconciled::Conflict, Reconciled::Failed] {
            drop(shared.reconciles.get_or_create(&[("result", result_name(result))]));
        }
        for outcome in ["promoted", "rolledBack", "aborted", "failed"] {
            drop(shared.outcomes.get_or_create(&[("outcome", outcome)]));
        }
        Self { shared: Arc::new(shared.registered()) }
    }

    /// The text that a Prometheus scrapes.
    ///
    /// # Errors
    /// None that anybody has seen: writing into a text does not fail.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.shared.registry)?;
        Ok(text)
    }

    /// Whether this process leads now. One that does not knows of no rollout.
    pub(crate) fn leads(&self, leads: bool) {
        self.shared.leader.set(i64::from(leads));
        if !leads {
            let mut phases = self.phases();
            for (_, phase) in phases.drain() {
                self.shared.rollouts.get_or_create(&[("phase", phase)]).dec();
            }
        }
    }

    fn phases(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), &'static str>> {
        self.shared.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decided(&self, event: &EventKind) {
        self.shared.events.get_or_create(&[("event", event.name())]).inc();
        if let Some(outcome) = outcome(event) {
            self.shared.outcomes.get_or_create(&[("outcome", outcome)]).inc();
        }
    }

    /// This AgentDeployment is in this phase now, or gone.
    fn stands_at(&self, namespace: &str, name: &str, phase: Option<&'static str>) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut phases = self.phases();
        let before = match phase {
            Some(phase) => phases.insert(key, phase),
            None => phases.remove(&key),
        };
        let rollouts = |phase| self.shared.rollouts.get_or_create(&[("phase", phase)]);
        if let Some(before) = before {
            rollouts(before).dec();
        }
        if let Some(phase) = phase {
            rollouts(phase).inc();
        }
    }
}

impl Shared {
    fn registered(mut self) -> Self {
        let Self { registry, leader, reconciles, durations, errors, rollouts, outcomes, events, phases: _ } =
            &mut self;
        registry.register("lifecycle_leader", "Whether this process leads", leader.clone());
        registry.register(
            "lifecycle_reconciles",
            "Looks at an AgentDeployment by result",
            reconciles.clone(),
        );
        registry.register_with_unit(
            "lifecycle_reconcile_duration",
            "How long a look at an AgentDeployment took",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register(
            "lifecycle_backend_errors",
            "Failed calls by backend and kind of error",
            errors.clone(),
        );
        registry.register("lifecycle_rollouts", "AgentDeployments by phase", rollouts.clone());
        registry.register(
            "lifecycle_rollout_outcomes",
            "Rollouts that have ended by outcome",
            outcomes.clone(),
        );
        registry.register("lifecycle_events", "Decisions by event", events.clone());
        registry.register_collector(Box::new(Process));
        self
    }
}

impl Observer for Metrics {
    fn reconciled(&self, how: Reconciled, took: Duration) {
        self.shared.reconciles.get_or_create(&[("result", result_name(how))]).inc();
        self.shared.durations.observe(took.as_secs_f64());
    }

    fn stands(&self, namespace: &str, name: &str, status: &Status, events: &[Event]) {
        self.stands_at(namespace, name, Some(phase_name(status.phase)));
        for event in events {
            self.decided(&event.kind);
        }
    }

    fn call_failed(&self, backend: &'static str, kind: ErrorKind) {
        self.shared.errors.get_or_create(&[("backend", backend), ("kind", kind_name(kind))]).inc();
    }

    fn forgotten(&self, namespace: &str, name: &str) {
        self.stands_at(namespace, name, None);
    }
}

const fn result_name(how: Reconciled) -> &'static str {
    match how {
        Reconciled::Done => "done",
        Reconciled::Conflict => "conflict",
        Reconciled::Failed => "failed",
    }
}

const fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Transient => "transient",
        ErrorKind::Conflict => "conflict",
        ErrorKind::NotFound => "notFound",
        ErrorKind::Unauthorized => "unauthorized",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Invalid => "invalid",
        _ => "other",
    }
}

const fn phase_name(phase: WirePhase) -> &'static str {
    match phase {
        WirePhase::Pending => "pending",
        WirePhase::Progressing => "progressing",
        WirePhase::Paused => "paused",
        WirePhase::Promoting => "promoting",
        WirePhase::Aborting => "aborting",
        WirePhase::Healthy => "healthy",
        WirePhase::Degraded => "degraded",
        _ => "other",
    }
}

/// How a rollout ended, in the words of [`lifecycle_core::report::outcome`].
const fn outcome(event: &EventKind) -> Option<&'static str> {
    match event {
        EventKind::Promoted { .. } => Some("promoted"),
        EventKind::WentBack { reason: BackReason::AbortCommand, .. } => Some("aborted"),
        EventKind::WentBack { stable: None, .. } => Some("failed"),
        EventKind::WentBack { .. } => Some("rolledBack"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{Revision, RevisionNumber, parse_version};

    use super::*;

    #[track_caller]
    fn shows(metrics: &Metrics, lines: &[&str]) {
        let text = metrics.text().unwrap();
        for line in lines {
            assert!(text.lines().any(|shown| shown == *line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn looks_and_errors_are_counted_by_what_became_of_them() {
        let metrics = Metrics::new();
        shows(&metrics, &["lifecycle_reconciles_total{result=\"done\"} 0", "lifecycle_leader 0"]);
        metrics.leads(true);
        metrics.reconciled(Reconciled::Done, Duration::from_millis(3));
        metrics.reconciled(Reconciled::Failed, Duration::from_secs(20));
        metrics.call_failed("kubernetes", ErrorKind::Conflict);
        metrics.call_failed("prometheus", ErrorKind::Transient);
        metrics.call_failed("prometheus", ErrorKind::Transient);
        shows(
            &metrics,
            &[
                "lifecycle_leader 1",
                "lifecycle_reconciles_total{result=\"done\"} 1",
                "lifecycle_reconciles_total{result=\"failed\"} 1",
                "lifecycle_reconcile_duration_seconds_bucket{le=\"0.004\"} 1",
                "lifecycle_reconcile_duration_seconds_bucket{le=\"+Inf\"} 2",
                "lifecycle_backend_errors_total{backend=\"kubernetes\",kind=\"conflict\"} 1",
                "lifecycle_backend_errors_total{backend=\"prometheus\",kind=\"transient\"} 2",
            ],
        );
    }

    #[test]
    fn an_object_is_in_one_phase_until_it_is_gone() {
        let metrics = Metrics::new();
        metrics.leads(true);
        for (name, phase) in
            [("a", "pending"), ("a", "progressing"), ("a", "progressing"), ("b", "progressing")]
        {
            metrics.stands_at("default", name, Some(phase));
        }
        shows(&metrics, &["lifecycle_rollouts{phase=\"progressing\"} 2"]);
        metrics.stands_at("default", "a", Some("healthy"));
        metrics.forgotten("default", "b");
        metrics.forgotten("default", "never seen");
        shows(
            &metrics,
            &["lifecycle_rollouts{phase=\"progressing\"} 0", "lifecycle_rollouts{phase=\"healthy\"} 1"],
        );
        metrics.leads(false);
        shows(&metrics, &["lifecycle_rollouts{phase=\"healthy\"} 0", "lifecycle_leader 0"]);
    }

    #[test]
    fn a_rollout_that_has_ended_is_counted_by_its_outcome() {
        let metrics = Metrics::new();
        let revision = || Revision::new(RevisionNumber(1), "a", parse_version("1.0.0").unwrap());
        let back = |reason, stable| EventKind::WentBack { reason, stable };
        for event in [
            EventKind::Promoted { revision: revision() },
            back(BackReason::AbortCommand, Some(revision())),
            back(BackReason::ReadinessFailed { attempts: 3, trouble: None }, Some(revision())),
            back(BackReason::ReadinessFailed { attempts: 3, trouble: None }, None),
            EventKind::Resumed,
        ] {
            metrics.decided(&event);
        }
        for outcome in ["promoted", "aborted", "rolledBack", "failed"] {
            shows(&metrics, &[&*format!("lifecycle_rollout_outcomes_total{{outcome=\"{outcome}\"}} 1")]);
        }
        shows(
            &metrics,
            &["lifecycle_events_total{event=\"WentBack\"} 3", "lifecycle_events_total{event=\"Resumed\"} 1"],
        );
    }
}
