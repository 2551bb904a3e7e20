//! Whose series a question is about.

use std::collections::BTreeSet;

use super::selector::Selector;
use crate::metrics::{Labels, Metrics, PodMetrics};
use crate::target::Target;

/// Values of the labels that tell deployments and revisions apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    namespaces: BTreeSet<String>,
    agents: BTreeSet<String>,
    revisions: BTreeSet<String>,
}

impl Scope {
    /// The revisions of this target with these hashes, by these labels.
    pub(super) fn new<'r>(
        labels: &Labels,
        target: &Target,
        hashes: impl IntoIterator<Item = &'r str>,
    ) -> Self {
        Self {
            namespaces: BTreeSet::from([target.namespace.clone()]),
            agents: BTreeSet::from([target.agent.clone()]),
            revisions: hashes.into_iter().map(|hash| labels.value.of(target, hash)).collect(),
        }
    }

    /// Those of another scope, too.
    pub(super) fn add(&mut self, other: &Self) {
        let Self { namespaces, agents, revisions } = other;
        self.namespaces.extend(namespaces.iter().cloned());
        self.agents.extend(agents.iter().cloned());
        self.revisions.extend(revisions.iter().cloned());
    }

    /// Those of these labels that name deployments, and what they say, while it is of one alone.
    pub(super) fn deployment<'s>(&'s self, labels: &'s Labels) -> Vec<(&'s str, &'s str)> {
        let labels = [(&labels.namespace, &self.namespaces), (&labels.agent, &self.agents)];
        let named =
            labels.into_iter().filter_map(|(label, values)| Some((label.as_deref()?, values.first()?)));
        named.map(|(label, value)| (label, value.as_str())).collect()
    }

    /// The series of this metric that these are.
    pub(super) fn of<'m>(&self, metrics: &'m Metrics, metric: &'m str) -> Selector<'m> {
        let series = self.of_revisions(metrics, &metrics.series, metric);
        metrics.of_series.iter().fold(series, |series, (label, value)| series.with(label, value))
    }

    /// The alerts of these and of the deployments as a whole, which have no revision.
    pub(super) fn of_alerts<'m>(&self, metrics: &'m Metrics, metric: &'m str) -> Selector<'m> {
        let labels = metrics.of_alerts();
        let revisions = std::iter::once("").chain(self.revisions.iter().map(String::as_str));
        self.of_deployments(metrics, labels, metric).one_of(&labels.revision, revisions)
    }

    /// The targets' own series of this metric.
    pub(super) fn of_targets<'m>(&self, metrics: &'m Metrics, metric: &'m str) -> Selector<'m> {
        match &metrics.targets {
            None => self.of_revisions(metrics, &metrics.series, metric),
            Some(labels) => {
                labels.iter().fold(Selector::new(metric), |series, (label, value)| series.with(label, value))
            }
        }
    }

    /// The labels of the pods of these.
    pub(super) fn of_pods<'m>(&self, metrics: &'m Metrics, pods: &'m PodMetrics) -> Selector<'m> {
        self.of_revisions(metrics, &pods.of, &pods.labels)
    }

    /// The series of this metric of whatever is in their namespaces.
    pub(super) fn of_namespaces<'m>(&self, metrics: &'m Metrics, metric: &'m str) -> Selector<'m> {
        Self::fixed(metrics, metric).one_of("namespace", self.namespaces.iter().map(String::as_str))
    }

    fn of_revisions<'m>(&self, metrics: &'m Metrics, labels: &'m Labels, metric: &'m str) -> Selector<'m> {
        let revisions = self.revisions.iter().map(String::as_str);
        self.of_deployments(metrics, labels, metric).one_of(&labels.revision, revisions)
    }

    fn of_deployments<'m>(&self, metrics: &'m Metrics, labels: &'m Labels, metric: &'m str) -> Selector<'m> {
        let mut series = Self::fixed(metrics, metric);
        for (label, values) in [(&labels.namespace, &self.namespaces), (&labels.agent, &self.agents)] {
            if let Some(label) = label {
                series = series.one_of(label, values.iter().map(String::as_str));
            }
        }
        series
    }

    fn fixed<'m>(metrics: &'m Metrics, metric: &'m str) -> Selector<'m> {
        let with = |series: Selector<'m>, (label, value): &'m (String, String)| series.with(label, value);
        metrics.fixed.iter().fold(Selector::new(metric), with)
    }
}

/// The labels that tell arms apart, as PromQL lists them.
pub(super) fn arms(metrics: &Metrics) -> String {
    metrics.series.listed()
}
