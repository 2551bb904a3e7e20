//! Questions to Prometheus: which PromQL answers what the machine wants to know.
//!
//! # What is counted
//! Prometheus' own `increase` is made for graphs: it extrapolates to the ends of the window, and of a
//! counter that is new it misses the first value, which for a first error is the error. A canary is
//! new by nature. So for each series the first of these that applies is taken:
//!
//! 1. The counter was reset in the window (its process started anew): Prometheus' `increase`,
//!    extrapolated and rounded, off by up to the requests of one scrape interval.
//! 2. It was there when the window began: its last value less its value then. Exact.
//! 3. It appeared in the window on a target that had been scraped before without it, as the first
//!    error of a replica does: its last value. Exact.
//! 4. Else it is known only since its first scrape: its last value less its first. Exact from there on;
//!    what a replica did before it was scraped for the first time is not counted, be it good or bad.
//!
//! "Exact" is what the scrapes have seen. They see a request up to one scrape interval late, so both
//! ends of the window are that much early: with one scrape in 15 s and a window of 30 s, the requests
//! counted are those from 30 to 45 s ago up to 0 to 15 s ago. The third rule needs the series `up` with the
//! labels of the metrics; where they are not the target's own the fourth applies.
//!
//! No series at all, or none with a scrape in the window, is no data.

mod builtin;
mod selector;
mod template;

use std::sync::Arc;

use lifecycle_core::backend::{BackendError, BackendResult, HealthQuery, Reading, Signal};
pub use template::{Template, TemplateError};

use crate::answer::{Answer, AnswerError, counts, histogram, scalar};
use crate::metrics::Metrics;
use crate::target::Target;

/// What has to be asked for a list of health queries, and how the answers become readings.
///
/// Queries that differ only in the revision share one question where that is possible, and equal ones
/// always do.
///
/// # Example
/// ```
/// # use lifecycle_core::backend::{HealthQuery, Reading, Signal};
/// # use lifecycle_core::time::Millis;
/// # use lifecycle_core::version::{Revision, RevisionNumber, parse_version};
/// # use lifecycle_prom::{Metrics, Target, answer::Answer, query::Questions};
/// let revision = |n, hash| Revision::new(RevisionNumber(n), hash, parse_version("1.5.0").unwrap());
/// let window = Millis::from_secs(300);
/// let queries = [
///     HealthQuery::new(Signal::Requests, revision(1, "aaa"), window),
///     HealthQuery::new(Signal::Requests, revision(2, "bbb"), window),
/// ];
/// let target = Target::new("default", "edge-agent");
/// let questions = Questions::new(&Metrics::default(), &target, &queries);
/// assert_eq!(questions.promql().len(), 1);
/// let readings = questions.readings(&[Ok(Answer::Vector(Vec::new()))]);
/// assert!(readings.iter().all(|reading| *reading.as_ref().unwrap() == Reading::NoData));
/// ```
#[derive(Clone, Debug)]
pub struct Questions {
    metrics: Metrics,
    promql: Vec<String>,
    asked: Vec<Asked>,
}

/// One health query: whose answer it is made of, or why it cannot be asked.
#[derive(Clone, Debug)]
struct Asked {
    question: Result<usize, AnswerError>,
    signal: Signal,
    hash: Arc<str>,
}

impl Questions {
    /// The questions that answer these queries about this target.
    #[must_use]
    pub fn new(metrics: &Metrics, target: &Target, queries: &[HealthQuery]) -> Self {
        let mut promql: Vec<String> = Vec::new();
        let mut asked = Vec::with_capacity(queries.len());
        for query in queries {
            let question = write(metrics, target, queries, query).map(|text| {
                promql.iter().position(|known| *known == text).unwrap_or_else(|| {
                    promql.push(text);
                    promql.len() - 1
                })
            });
            let hash = Arc::clone(&query.revision.hash);
            asked.push(Asked { question, signal: query.signal.clone(), hash });
        }
        Self { metrics: metrics.clone(), promql, asked }
    }

    /// What to ask.
    #[must_use]
    pub fn promql(&self) -> &[String] {
        &self.promql
    }

    /// One reading per health query, in their order, of one answer per question, in the order of
    /// [`promql`](Self::promql).
    #[must_use]
    pub fn readings(&self, answers: &[BackendResult<Answer>]) -> Vec<BackendResult<Reading>> {
        self.asked.iter().map(|asked| self.reading(asked, answers)).collect()
    }

    fn reading(&self, asked: &Asked, answers: &[BackendResult<Answer>]) -> BackendResult<Reading> {
        let index = *asked.question.as_ref().map_err(|error| BackendError::from(error.clone()))?;
        let answer = answers.get(index).ok_or(AnswerError::Missing)?.as_ref().map_err(Clone::clone)?;
        let (metrics, hash) = (&self.metrics, &*asked.hash);
        let reading = match &asked.signal {
            Signal::Requests => counts::read(answer, &metrics.revision, hash),
            Signal::Latency => histogram::read(answer, metrics, hash),
            Signal::CriticalAlerts => scalar::alerts(answer, &metrics.revision, hash),
            _ => scalar::read(answer),
        };
        Ok(reading?)
    }
}

/// The question that answers this query and as many of the others as it can.
fn write(
    metrics: &Metrics,
    target: &Target,
    queries: &[HealthQuery],
    query: &HealthQuery,
) -> Result<String, AnswerError> {
    // An alert fires now, whatever the window.
    let any_window = query.signal == Signal::CriticalAlerts;
    let window = match query.window() {
        Some(window) => window,
        None => return Err(AnswerError::NotMeasured(format!("{:?} over {:?}", query.signal, query.span))),
    };
    let alike =
        |other: &HealthQuery| other.signal == query.signal && (other.span == query.span || any_window);
    let mut revisions: Vec<&str> =
        queries.iter().filter(|other| alike(other)).map(|other| &*other.revision.hash).collect();
    revisions.sort_unstable();
    revisions.dedup();
    match &query.signal {
        Signal::Requests => Ok(builtin::requests(metrics, target, &revisions, window)),
        Signal::Latency => Ok(builtin::latency(metrics, target, &revisions, window)),
        Signal::CriticalAlerts => Ok(builtin::alerts(metrics, target, &revisions)),
        Signal::Named(name) => {
            let template = target.query(name).ok_or_else(|| AnswerError::UnknownQuery(name.to_string()))?;
            template.fill_in(target, query).ok_or_else(|| AnswerError::CannotFillIn(name.to_string()))
        }
        other => Err(AnswerError::NotMeasured(format!("{other:?}"))),
    }
}

#[cfg(test)]
mod tests;
