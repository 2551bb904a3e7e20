//! Questions to Prometheus: which PromQL answers what the machine wants to know.
//!
//! # What is counted in a window
//! Prometheus' own `increase` is made for graphs: it extrapolates to the ends of the window, and of a
//! counter that is new it misses the first value, which for a first error is the error. A canary is
//! new by nature. So for each series the first of these that applies is taken:
//!
//! 1. The counter was reset in the window (its process started anew): Prometheus' `increase`,
//!    extrapolated and rounded, off by up to the requests of one scrape interval.
//! 2. It was there when the window began: its last value less its value then. Exact.
//! 3. It appeared in the window, and was not there in the 5 min before, on a target that had been scraped before without it, as
//!    the first error of a replica does: its last value. Exact.
//! 4. Else it is known only since its first scrape: its last value less its first. Exact from there on;
//!    what a replica did before it was scraped for the first time is not counted, be it good or bad.
//!
//! "Exact" is what the scrapes have seen. They see a request up to one scrape interval late, so both
//! ends of the window are that much early: with one scrape in 15 s and a window of 30 s, the requests
//! counted are those from 30 to 45 s ago up to 0 to 15 s ago, and all of that one or two seconds earlier, when
//! everything that was scraped has arrived ([`Clock`]). The third rule needs the series `up` with the
//! labels of the metrics; where they are not the target's own the fourth applies.
//!
//! No series at all, or none with a scrape in the window, is no data.
//!
//! # What is counted since an earlier answer
//! [`Span::Since`] is for tests that add up what they are told, so here
//! nothing is estimated: of each series the difference between its values at both ends, or nothing of both arms. Everything
//! that scrapes have seen is counted once, and once only. For each series:
//!
//! | at the earlier mark | at the later one | counts |
//! |---|---|---|
//! | there | there | the difference |
//! | there | gone with its replica | up to its last scrape |
//! | not yet, and its target was scraped | there: a first error | all of it |
//! | not yet, and its process began after the mark or less than a minute before | there: a new replica | all of it |
//! | not yet, and neither was its target | there since its target's first scrape | what came after that scrape |
//!
//! A look for both arms has no count, and the next one begins at its end, when for any series
//! - it was reset in between, or its process began anew (a restart that no value shows is seen by [`Metrics::process_start`]);
//! - the scrape of its target failed at one of the ends (one that fails in between loses nothing);
//! - it is new, and nothing says since when: its target has no `up`, or it was not there from the first scrape on;
//! - what is counted from is not what the answer before has ended with: see [`Ends`].
//!
//! Between two scrapes nothing is counted: that is a look with 0 requests, no error. A mark that is more than an hour old is too
//! old to count from. What replicas do that are never scraped nobody knows. Counters are whole numbers; fractions are
//! rounded in each answer.
//!
//! All of that is [one question](Question) for both arms, so that both end at the same mark, on the clock of Prometheus: see
//! [`Clock`].

mod clock;
mod ends;
mod question;
mod replicas;
mod scope;
mod selector;
mod since;
mod template;
mod window;

use std::sync::Arc;

use lifecycle_core::backend::{BackendError, BackendResult, HealthQuery, Reading, Signal, Span};
use lifecycle_core::time::Millis;

pub use clock::{CLOCK, Clock};
pub use ends::Ends;
pub use question::Question;
pub use template::{Template, TemplateError};

use crate::answer::increase::{self, Grown};
use crate::answer::replicas::{self as replicas_of, Bins};
use crate::answer::{Answer, AnswerError, Arm, counts, histogram, scalar};
use crate::metrics::Metrics;
use crate::target::Target;
use ends::Whose;
use question::{About, Over};
use scope::Scope;

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
/// let questions = Questions::new(&Metrics::default(), &target, &queries, clock);
/// assert_eq!(questions.questions().len(), 1);
/// let readings = questions.readings(&[Ok(Answer::Vector(Vec::new()))], &mut Ends::new());
/// assert!(readings.iter().all(|reading| *reading.as_ref().unwrap() == Reading::NoData));
/// # Ok::<(), lifecycle_prom::answer::AnswerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Questions {
    metrics: Metrics,
    target: Target,
    questions: Vec<Question>,
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
    /// The questions that answer these queries about this target, at this time of Prometheus.
    #[must_use]
    pub fn new(metrics: &Metrics, target: &Target, queries: &[HealthQuery], clock: Clock) -> Self {
        let mut questions: Vec<Question> = Vec::new();
        let mut asked = Vec::with_capacity(queries.len());
        for query in queries {
            let question = write(metrics, target, queries, query, clock).map(|question| {
                questions.iter().position(|known| *known == question).unwrap_or_else(|| {
                    questions.push(question);
                    questions.len() - 1
                })
            });
            let hash = Arc::clone(&query.revision.hash);
            asked.push(Asked { question, signal: query.signal.clone(), hash });
        }
        Self { metrics: metrics.clone(), target: target.clone(), questions, asked }
    }

    /// What to ask.
    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// One reading per health query, in their order, of one answer per question, in the order of
    /// [`questions`](Self::questions).
    #[must_use]
    pub fn readings(
        &self,
        answers: &[BackendResult<Answer>],
        ends: &mut Ends,
    ) -> Vec<BackendResult<Reading>> {
        let readings: Vec<_> = self.asked.iter().map(|asked| self.reading(asked, answers, ends)).collect();
        self.spoilt_for_both(readings)
    }

    fn reading(
        &self,
        asked: &Asked,
        answers: &[BackendResult<Answer>],
        ends: &mut Ends,
    ) -> BackendResult<Reading> {
        let index = *asked.question.as_ref().map_err(|error| BackendError::from(error.clone()))?;
        let question = self.questions.get(index).ok_or(AnswerError::Missing)?;
        let answer = answers.get(index).ok_or(AnswerError::Missing)?.as_ref().map_err(Clone::clone)?;
        let metrics = &self.metrics;
        let arm = Arm::new(metrics, &self.target, &asked.hash);
        let reading = match (&asked.signal, question.over()) {
            (Signal::Requests, Over::Window(_)) => counts::read(answer, metrics, &arm),
            (Signal::Latency, Over::Window(_)) => histogram::read(answer, metrics, &arm),
            (Signal::CriticalAlerts, _) => scalar::alerts(answer, &arm),
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
                    Over::Since(from) => {
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

    /// What cannot be told of one arm is counted for no arm of the same question.
    fn spoilt_for_both(&self, mut readings: Vec<BackendResult<Reading>>) -> Vec<BackendResult<Reading>> {
        let question = |at: usize| self.asked[at].question.as_ref().ok().copied();
        let spoilt: Vec<usize> = (0..readings.len())
            .filter(|at| matches!(&readings[*at], Ok(Reading::Increase(one)) if one.counted.is_none()))
            .filter_map(question)
            .collect();
        for (at, reading) in readings.iter_mut().enumerate() {
            if let (Some(question), Ok(Reading::Increase(increase))) = (question(at), reading)
                && spoilt.contains(&question)
            {
                increase.counted = None;
            }
        }
        readings
    }
}

/// The question that answers this query and as many of the others as it can.
fn write(
    metrics: &Metrics,
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
        Span::Replicas { width, bins } if is_counted => {
            if !(1..=MAX_BINS).contains(&bins) || width < MIN_BIN || width > MAX_BIN {
                return Err(AnswerError::Bins { bins, width, limit: MAX_BINS });
            }
            (Over::Bins(width, bins), clock.settled())
        }
        Span::Since(mark) if is_counted => {
            let (from, until) = clock.since(mark)?;
            (from.map_or(Over::Nothing, Over::Since), until)
        }
        span => return Err(AnswerError::NotMeasured(format!("{:?} over {span:?}", query.signal))),
    };
    let alike = |other: &&HealthQuery| other.signal == query.signal && (other.span == query.span || any_time);
    let revisions = || queries.iter().filter(alike).map(|other| &*other.revision.hash);
    let (about, scope) = match &query.signal {
        Signal::Requests => (About::Requests, Scope::new(target, revisions())),
        Signal::Latency => (About::Latency, Scope::new(target, revisions())),
        Signal::CriticalAlerts => (About::Alerts, Scope::new(target, revisions())),
        Signal::Named(name) => {
            let template = target.query(name).ok_or_else(|| AnswerError::UnknownQuery(name.to_string()))?;
            let text = template.fill_in(target, query);
            let text = text.ok_or_else(|| AnswerError::CannotFillIn(name.to_string()))?;
            (About::Text(text), Scope::default())
        }
        other => return Err(AnswerError::NotMeasured(format!("{other:?}"))),
    };
    Ok(Question::new(metrics, about, over, until, scope))
}

#[cfg(test)]
mod tests;
