//! Whose series a question is about.

use std::collections::BTreeSet;

use super::selector::Selector;
use crate::metrics::Metrics;
use crate::target::Target;

/// Values of the labels that tell deployments and revisions apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    namespaces: BTreeSet<String>,
    agents: BTreeSet<String>,
    revisions: BTreeSet<String>,
}

impl Scope {
    /// These revisions of this target.
    pub(super) fn new<'r>(target: &Target, revisions: impl IntoIterator<Item = &'r str>) -> Self {
        Self {
            namespaces: BTreeSet::from([target.namespace.clone()]),
            agents: BTreeSet::from([target.agent.clone()]),
            revisions: revisions.into_iter().map(str::to_owned).collect(),
        }
    }

    /// The series of this metric that these are.
    pub(super) fn of<'m>(&self, metrics: &'m Metrics, metric: &'m str) -> Selector<'m> {
        let revisions = self.revisions.iter().map(String::as_str);
        self.of_deployments(metrics, metric).one_of(&metrics.revision, revisions)
    }

    /// Those of the deployments as a whole, too: they have no revision.
    pub(super) fn of_revisions_or_none<'m>(&self, metrics: &'m Metrics, metric: &'m str) -> Selector<'m> {
        let revisions = std::iter::once("").chain(self.revisions.iter().map(String::as_str));
        self.of_deployments(metrics, metric).one_of(&metrics.revision, revisions)
    }

    fn of_deployments<'m>(&self, metrics: &'m Metrics, metric: &'m str) -> Selector<'m> {
        let mut series = Selector::new(metric);
        for (label, value) in &metrics.fixed {
            series = series.with(label, value);
        }
        for (label, values) in [(&metrics.namespace, &self.namespaces), (&metrics.agent, &self.agents)] {
            if let Some(label) = label {
                series = series.one_of(label, values.iter().map(String::as_str));
            }
        }
        series
    }

    /// The targets' own series of this metric.
    pub(super) fn of_targets<'m>(&self, metrics: &'m Metrics, metric: &'m str) -> Selector<'m> {
        match &metrics.targets {
            None => self.of(metrics, metric),
            Some(labels) => {
                labels.iter().fold(Selector::new(metric), |series, (label, value)| series.with(label, value))
            }
        }
    }
}

/// The labels that tell arms apart, as PromQL lists them.
pub(super) fn arms(metrics: &Metrics) -> String {
    let labels = [metrics.namespace.as_deref(), metrics.agent.as_deref(), Some(&*metrics.revision)];
    labels.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
