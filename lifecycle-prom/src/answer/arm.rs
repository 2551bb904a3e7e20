//! Which series of an answer are those of an arm.

use super::{COUNT, Series};
use crate::metrics::Metrics;
use crate::target::Target;

/// The labels and values that tell an arm from every other one: those of one revision of one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arm {
    deployment: Vec<(String, String)>,
    revision: (String, String),
}

impl Arm {
    pub(crate) fn new(metrics: &Metrics, target: &Target, hash: &str) -> Self {
        let labels = [(&metrics.namespace, &target.namespace), (&metrics.agent, &target.agent)];
        let deployment =
            labels.into_iter().filter_map(|(label, value)| Some((label.clone()?, value.clone())));
        Self { deployment: deployment.collect(), revision: (metrics.revision.clone(), hash.to_owned()) }
    }

    /// Its series.
    pub(super) fn of<'s>(&self, series: &'s [Series]) -> impl Iterator<Item = &'s Series> {
        series.iter().filter(|series| self.has(series) && series.label(&self.revision.0) == self.revision.1)
    }

    /// Those and the ones of its deployment that have no revision.
    pub(super) fn of_all<'s>(&self, series: &'s [Series]) -> impl Iterator<Item = &'s Series> {
        series.iter().filter(|series| {
            let revision = series.label(&self.revision.0);
            self.has(series) && (revision.is_empty() || revision == self.revision.1)
        })
    }

    /// The one of its series with this name, if there is one.
    pub(super) fn one<'s>(&self, series: &'s [Series], which: &str) -> Option<&'s Series> {
        self.of(series).find(|series| series.label(COUNT) == which)
    }

    fn has(&self, series: &Series) -> bool {
        self.deployment.iter().all(|(label, value)| series.label(label) == value)
    }
}
