//! From health queries to questions, and from answers to readings.

use std::borrow::Borrow;
use std::sync::Arc;

use lifecycle_core::backend::{BackendResult, HealthQuery, Reading, Signal, Span};
use lifecycle_core::time::Millis;

use super::clock::Clock;
use super::ends::{Ends, Whose};
use super::question::{About, Over, Question};
use super::scope::Scope;
use crate::answer::increase::{self, Grown};
use crate::answer::replicas::{self as replicas_of, Bins};
use crate::answer::{Answer, AnswerError, Arm, counts, histogram, native, pods, scalar};
use crate::metrics::Metrics;
use crate::target::Target;

/// The most bins that are asked for at once, each of them of every replica.
const MAX_BINS: u32 = 120;
/// The shortest bin: moments are whole seconds.
const MIN_BIN: Millis = Millis::from_secs(1);
/// The longest one. Prometheus has to read all of its samples.
const MAX_BIN: Millis = Millis::from_secs(3600);

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
/// # use lifecycle_prom::{Metrics, Target, answer::Answer, query::{Clock, Ends, Questions}};
/// let revision = |n, hash| Revision::new(RevisionNumber(n), hash, parse_version("1.5.0").unwrap());
/// let window = Millis::from_secs(300);
/// let queries = [
///     HealthQuery::new(Signal::Requests, revision(1, "aaa"), window),
///     HealthQuery::new(Signal::Requests, revision(2, "bbb"), window),
/// ];
/// let target = Target::new("default", "edge-agent");
/// // what Prometheus has answered to CLOCK
/// let clock = Clock::read(&Answer::Scalar(1_700_000_000.25), Millis::from_secs(1))?;
/// let mut questions = Questions::new(Metrics::default(), &target, &queries, clock);
/// assert_eq!(questions.questions().len(), 1);
/// let answers = [Ok(Answer::Vector(Vec::new()))];
/// assert!(questions.more(&answers).is_empty());
/// let readings = questions.readings(&answers, &mut Ends::new());
/// assert!(readings.iter().all(|reading| *reading.as_ref().unwrap() == Reading::NoData));
/// # Ok::<(), lifecycle_prom::answer::AnswerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Questions {
    metrics: Arc<Metrics>,
    target: Target,
    questions: Vec<Question>,
    asked: Vec<Asked>,
}

/// One health query.
#[derive(Clone, Debug)]
struct Asked {
    how: How,
    signal: Signal,
    hash: Arc<str>,
}

/// Where the answer to a health query comes from.
#[derive(Clone, Debug, PartialEq)]
enum How {
    /// From that to this question.
    Asked(usize),
    /// Nothing has to be asked.
    Known(Reading),
    /// It cannot be asked.
    Never(AnswerError),
}

impl Questions {
    /// The questions that answer these queries about this target, at this time of Prometheus.
    #[must_use]
    pub fn new(
        metrics: impl Into<Arc<Metrics>>,
        target: &Target,
        queries: &[HealthQuery],
        clock: Clock,
    ) -> Self {
        let metrics = metrics.into();
        let mut questions: Vec<Question> = Vec::new();
        let mut asked = Vec::with_capacity(queries.len());
        for query in queries {
            let how = match write(&metrics, target, queries, query, clock) {
                _ if is_of_no_replica(&metrics, query) => How::Known(Reading::Replicas(Vec::new())),
                Err(error) => How::Never(error),
                Ok(question) => {
                    How::Asked(questions.iter().position(|known| *known == question).unwrap_or_else(|| {
                        questions.push(question);
                        questions.len() - 1
                    }))
                }
            };
            let hash = Arc::clone(&query.revision.hash);
            asked.push(Asked { how, signal: query.signal.clone(), hash });
        }
        Self { metrics, target: target.clone(), questions, asked }
    }

    /// What to ask.
    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// What has to be asked in addition, now that these are the answers. They become part of [`questions`](Self::questions), and their answers
    /// come after these.
    pub fn more<A: Borrow<Answer>>(&mut self, answers: &[BackendResult<A>]) -> &[Question] {
        let before = self.questions.len();
        for (index, answer) in answers.iter().enumerate().take(before) {
            let (Some(in_full), Ok(answer)) = (self.questions[index].in_full(), answer) else { continue };
            let of_question = |asked: &&Asked| asked.how == How::Asked(index);
            let more = |asked: &Asked| {
                let arm = Arm::new(&self.metrics.series, &self.target, &asked.hash);
                let latency = asked.signal == Signal::Latency;
                increase::is_more_than_a_difference(answer.borrow(), &arm, latency)
            };
            // of all arms or of none: they are counted in the same way
            if self.asked.iter().filter(of_question).any(more) {
                self.questions.push(in_full);
                let again = How::Asked(self.questions.len() - 1);
                for asked in self.asked.iter_mut().filter(|asked| asked.how == How::Asked(index)) {
                    asked.how = again.clone();
                }
            }
        }
        &self.questions[before..]
    }

    /// One reading per health query, in their order, of one answer per question, in the order of
    /// [`questions`](Self::questions).
    #[must_use]
    pub fn readings<A: Borrow<Answer>>(
        &self,
        answers: &[BackendResult<A>],
        ends: &mut Ends,
    ) -> Vec<BackendResult<Reading>> {
        let readings: Vec<_> = self.asked.iter().map(|asked| self.reading(asked, answers, ends)).collect();
        self.counted_for_all_or_none(readings)
    }

    fn reading<A: Borrow<Answer>>(
        &self,
        asked: &Asked,
        answers: &[BackendResult<A>],
        ends: &mut Ends,
    ) -> BackendResult<Reading> {
        let index = match &asked.how {
            How::Asked(index) => *index,
            How::Known(reading) => return Ok(reading.clone()),
            How::Never(error) => return Err(error.clone().into()),
        };
        let question = self.questions.get(index).ok_or(AnswerError::Missing)?;
        let answer = answers.get(index).ok_or(AnswerError::Missing)?.as_ref().map_err(Clone::clone)?;
        let answer: &Answer = answer.borrow();
        let metrics = &*self.metrics;
        let labels = match asked.signal {
            Signal::CriticalAlerts => metrics.of_alerts(),
            Signal::Saturation | Signal::Restarts => metrics.of_pods(),
            _ => &metrics.series,
        };
        let arm = Arm::new(labels, &self.target, &asked.hash);
        let reading = match (&asked.signal, question.over()) {
            (Signal::Requests, Over::Window(_)) => counts::read(answer, metrics, &arm),
            (Signal::Latency, Over::Window(_)) if metrics.native => native::read(answer, metrics, &arm),
            (Signal::Latency, Over::Window(_)) => histogram::read(answer, metrics, &arm),
            (Signal::CriticalAlerts, _) => scalar::alerts(answer, &arm),
            (Signal::Saturation, _) => pods::saturation(answer, metrics, &arm),
            (Signal::Restarts, _) => pods::restarts(answer, metrics, &arm),
            (signal @ (Signal::Requests | Signal::Latency), Over::Bins(width, count)) => {
                let width_ms = i64::try_from(width.get()).unwrap_or(i64::MAX);
                let bins = Bins { until: question.until(), width_ms, count };
                replicas_of::read(answer, metrics, &arm, bins, *signal == Signal::Latency)
            }
            (Signal::Requests | Signal::Latency, over) => {
                let (until, latency) = (question.until(), asked.signal == Signal::Latency);
                let grown = increase::read(answer, metrics, &arm, until)?;
                let whose = Whose::new(&(latency, &arm));
                let reading = match over {
                    Over::Plainly(from) | Over::Since(from) => {
                        let agree = ends.agree(from, whose, grown.then);
                        grown.reading(metrics, until, agree, latency)
                    }
                    _ => Ok(Grown::begins(until)),
                };
                ends.remember(until, whose, grown.now);
                reading
            }
            _ => scalar::read(answer),
        };
        Ok(reading?)
    }

    /// What cannot be told of one arm is counted for no arm of the same question: they are counted over the same time.
    fn counted_for_all_or_none(
        &self,
        mut readings: Vec<BackendResult<Reading>>,
    ) -> Vec<BackendResult<Reading>> {
        let question = |at: usize| match self.asked[at].how {
            How::Asked(question) => Some(question),
            How::Known(_) | How::Never(_) => None,
        };
        let untold: Vec<usize> = (0..readings.len())
            .filter(|at| matches!(&readings[*at], Ok(Reading::Increase(one)) if one.counted.is_none()))
            .filter_map(question)
            .collect();
        for (at, reading) in readings.iter_mut().enumerate() {
            if let (Some(question), Ok(Reading::Increase(increase))) = (question(at), reading)
                && untold.contains(&question)
            {
                increase.counted = None;
            }
        }
        readings
    }
}

/// Is this about replicas whose durations are in native histograms? Those are not told apart: no step of a range query could tell
/// their two ends apart either.
fn is_of_no_replica(metrics: &Metrics, query: &HealthQuery) -> bool {
    metrics.native
        && query.signal == Signal::Latency
        && matches!(query.span, Span::Replicas { .. })
        && !metrics.replica.is_empty()
}

/// The question that answers this query and as many of the others as it can.
fn write(
    metrics: &Arc<Metrics>,
    target: &Target,
    queries: &[HealthQuery],
    query: &HealthQuery,
    clock: Clock,
) -> Result<Question, AnswerError> {
    // An alert fires now, whatever the time that is asked about.
    let any_time = query.signal == Signal::CriticalAlerts;
    let is_counted = matches!(query.signal, Signal::Requests | Signal::Latency);
    let (over, until) = match query.span {
        _ if any_time => (Over::Nothing, clock.settled()),
        Span::Window(window) => (Over::Window(window), clock.settled()),
        Span::Replicas { .. } if metrics.replica.is_empty() => {
            return Err(AnswerError::NotMeasured(
                "what a proxy before all replicas counts by replica".to_owned(),
            ));
        }
        Span::Replicas { width, bins } if is_counted => {
            if !(1..=MAX_BINS).contains(&bins) || width < MIN_BIN || width > MAX_BIN {
                return Err(AnswerError::Bins { bins, width, limit: MAX_BINS });
            }
            (Over::Bins(width, bins), clock.settled())
        }
        Span::Since(mark) if is_counted => {
            let (from, until) = clock.since(mark)?;
            let over = match from {
                None => Over::Nothing,
                Some(from) if metrics.native && query.signal == Signal::Latency => Over::Since(from),
                Some(from) => Over::Plainly(from),
            };
            (over, until)
        }
        span => return Err(AnswerError::NotMeasured(format!("{:?} over {span:?}", query.signal))),
    };
    let alike = |other: &&HealthQuery| other.signal == query.signal && (other.span == query.span || any_time);
    let revisions = || queries.iter().filter(alike).map(|other| &*other.revision.hash);
    let (about, scope) = match &query.signal {
        Signal::Requests => (About::Requests, Scope::new(&metrics.series, target, revisions())),
        Signal::Latency => (About::Latency, Scope::new(&metrics.series, target, revisions())),
        Signal::CriticalAlerts => (About::Alerts, Scope::new(metrics.of_alerts(), target, revisions())),
        Signal::Named(name) => {
            let template = target.query(name).ok_or_else(|| AnswerError::UnknownQuery(name.to_string()))?;
            let text = template.fill_in(target, query);
            let text = text.ok_or_else(|| AnswerError::CannotFillIn(name.to_string()))?;
            (About::Text(text), Scope::default())
        }
        Signal::Saturation | Signal::Restarts => {
            let pods = metrics.pods.as_ref().ok_or_else(|| {
                AnswerError::NotMeasured(format!("{} without metrics of pods", query.signal))
            })?;
            let about = match query.signal {
                Signal::Saturation => About::Saturation(Arc::clone(pods)),
                _ => About::Restarts(Arc::clone(pods)),
            };
            (about, Scope::new(&pods.of, target, revisions()))
        }
        other => return Err(AnswerError::NotMeasured(format!("{other:?}"))),
    };
    Ok(Question::new(metrics, about, over, until, scope))
}

#[cfg(test)]
mod tests;
