//! Which series of an answer are those of an arm.

use std::collections::BTreeMap;

use super::{COUNT, Series};
use crate::metrics::Labels;
use crate::target::Target;

/// The labels and values that tell an arm from every other one: those of one revision of one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arm {
    deployment: Vec<(String, String)>,
    revision: (String, String),
}

impl Arm {
    /// The revision of this target with this hash, by these labels.
    pub(crate) fn new(labels: &Labels, target: &Target, hash: &str) -> Self {
        let of_deployment = [(&labels.namespace, &target.namespace), (&labels.agent, &target.agent)];
        let of_deployment =
            of_deployment.into_iter().filter_map(|(label, value)| Some((label.clone()?, value.clone())));
        Self {
            deployment: of_deployment.collect(),
            revision: (labels.revision.clone(), labels.value.of(target, hash)),
        }
    }

    /// Its series.
    pub(super) fn of<'s>(&self, series: &'s [Series]) -> impl Iterator<Item = &'s Series> {
        series.iter().filter(|series| self.is_of(&series.labels))
    }

    /// Are these the labels of one of its series?
    pub(super) fn is_of(&self, labels: &BTreeMap<String, String>) -> bool {
        self.has(labels) && label(labels, &self.revision.0) == self.revision.1
    }

    /// Those and the ones of its deployment that have no revision.
    pub(super) fn of_all<'s>(&self, series: &'s [Series]) -> impl Iterator<Item = &'s Series> {
        series.iter().filter(|series| {
            let revision = series.label(&self.revision.0);
            self.has(&series.labels) && (revision.is_empty() || revision == self.revision.1)
        })
    }

    /// The one of its series with this name, if there is one.
    pub(super) fn one<'s>(&self, series: &'s [Series], which: &str) -> Option<&'s Series> {
        self.of(series).find(|series| series.label(COUNT) == which)
    }

    fn has(&self, labels: &BTreeMap<String, String>) -> bool {
        self.deployment.iter().all(|(name, value)| label(labels, name) == value)
    }
}

/// To PromQL an empty label is one that is not there.
pub(super) fn label<'l>(labels: &'l BTreeMap<String, String>, name: &str) -> &'l str {
    labels.get(name).map_or("", String::as_str)
}
