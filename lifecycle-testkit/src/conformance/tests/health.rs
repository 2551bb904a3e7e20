use std::sync::Arc;

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendError, BackendResult, ErrorKind, HealthCapabilities, HealthQuery, HealthSource, Mark, Reading,
    Signal, Span,
};
use lifecycle_core::time::Millis;

use super::super::{Able, Environment, HealthBench, Traffic, health_source};
use super::sim::Sim;
use super::{assert_conforms, assert_found, run};

#[test]
fn the_simulated_health_source_conforms() {
    let report = run(health_source(Sim::measured));
    assert_conforms(report, &["a_source_that_is_down_answers_every_query_with_an_error"]);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    AnswersNothingAsked,
    LosesAnAnswer,
    MixesAnswers,
    MakesZerosUp,
    KnowsEverything,
    CountsTwice,
    CountsForAll,
    LosesSlowRequests,
    IgnoresTheWindow,
    ForgetsTheMark,
    CountsAnIncreaseTwice,
    ArmsEndAsTheyLike,
    ClaimsNothing,
    AnswersAsItLikes,
    MakesUpWhenDown,
}

#[derive(Debug)]
struct Broken {
    inner: Arc<dyn HealthSource>,
    defect: Defect,
}

impl Broken {
    fn ask(&self, query: &HealthQuery) -> HealthQuery {
        let mut query = query.clone();
        match self.defect {
            Defect::IgnoresTheWindow => query.span = Span::Window(Millis::from_secs(300)),
            Defect::ForgetsTheMark if query.span != Span::Since(None) => {
                query.span = Span::Since(Some(Mark(0)))
            }
            Defect::CountsForAll => query.revision = super::sim::revision(1),
            _ => {}
        }
        query
    }

    fn tell(&self, at: usize, query: &HealthQuery, answer: BackendResult<Reading>) -> BackendResult<Reading> {
        let zero = Ok(Reading::Scalar(0.0));
        match (self.defect, answer) {
            (Defect::MakesZerosUp, Ok(Reading::NoData)) => zero,
            (Defect::KnowsEverything, _) if matches!(query.signal, Signal::Named(_)) => zero,
            (Defect::CountsTwice, Ok(Reading::Counts { requests, failed })) => {
                Ok(Reading::Counts { requests: 2 * requests, failed })
            }
            (Defect::LosesSlowRequests, Ok(Reading::Histogram(mut histogram))) => {
                let half = histogram.counts.len() / 2;
                histogram.counts[half..].fill(0);
                Ok(Reading::Histogram(histogram))
            }
            (Defect::CountsAnIncreaseTwice, Ok(Reading::Increase(mut increase))) => {
                increase.until.0 -= 60_000;
                Ok(Reading::Increase(increase))
            }
            (Defect::ArmsEndAsTheyLike, Ok(Reading::Increase(mut increase))) => {
                increase.until.0 -= at as i64;
                Ok(Reading::Increase(increase))
            }
            (Defect::AnswersAsItLikes, Ok(Reading::Counts { requests, failed })) => {
                Ok(Reading::Counts { requests: requests + at as u64, failed })
            }
            (_, answer) => answer,
        }
    }
}

#[async_trait]
impl HealthSource for Broken {
    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        let asked: Vec<HealthQuery> = queries.iter().map(|query| self.ask(query)).collect();
        let answers = self.inner.measure(&asked).await;
        let told = answers.into_iter().enumerate().map(|(at, answer)| self.tell(at, &queries[at], answer));
        let mut told: Vec<_> = told.collect();
        match self.defect {
            Defect::AnswersNothingAsked => told.push(Ok(Reading::NoData)),
            Defect::LosesAnAnswer => drop(told.pop()),
            Defect::MixesAnswers => told.reverse(),
            _ => {}
        }
        told
    }

    fn knows(&self, _name: &str) -> bool {
        self.defect == Defect::KnowsEverything
    }

    fn capabilities(&self) -> HealthCapabilities {
        match self.defect {
            Defect::ClaimsNothing => HealthCapabilities::default(),
            _ => self.inner.capabilities(),
        }
    }
}

/// A simulated source that is down, or says so.
struct Down(Sim, Defect);

#[derive(Debug)]
struct Unreachable(Defect);

#[async_trait]
impl HealthSource for Unreachable {
    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        let error = BackendError::new("test", "measure", ErrorKind::Transient, "it is down");
        let made_up = if self.0 == Defect::MakesUpWhenDown { Ok(Reading::NoData) } else { Err(error) };
        queries.iter().map(|_| made_up.clone()).collect()
    }
}

#[async_trait]
impl Environment for Down {
    async fn advance(&self, span: Millis) {
        self.0.advance(span).await;
    }
}

#[async_trait]
impl HealthBench for Down {
    fn source(&self) -> Arc<dyn HealthSource> {
        Arc::new(Unreachable(self.1))
    }

    fn revision(&self) -> lifecycle_core::version::Revision {
        super::sim::revision(1)
    }

    async fn traffic(&self) -> Able<Traffic> {
        self.0.traffic().await
    }

    async fn take_down(&self) -> Able<()> {
        Ok(())
    }
}

#[test]
fn every_defect_of_a_health_source_is_found() {
    for (defect, case) in [
        (Defect::AnswersNothingAsked, "no_query_has_no_answer"),
        (Defect::LosesAnAnswer, "every_query_has_one_answer_in_order"),
        (Defect::MixesAnswers, "every_query_has_one_answer_in_order"),
        (Defect::MakesZerosUp, "an_unknown_revision_is_no_data_or_no_requests"),
        (Defect::KnowsEverything, "an_unknown_name_is_never_a_number"),
        (Defect::MakesZerosUp, "what_is_not_measured_is_never_a_number"),
        (Defect::CountsForAll, "a_serving_revision_without_requests_is_no_data_or_no_requests"),
        (Defect::CountsTwice, "every_request_is_counted_once"),
        (Defect::CountsForAll, "requests_of_one_revision_do_not_count_for_another"),
        (Defect::LosesSlowRequests, "every_request_is_in_the_histogram_once"),
        (Defect::IgnoresTheWindow, "an_answer_holds_nothing_older_than_its_window"),
        (Defect::ForgetsTheMark, "increases_count_every_request_once"),
        (Defect::CountsAnIncreaseTwice, "increases_count_every_request_once"),
        (Defect::ArmsEndAsTheyLike, "increases_of_both_arms_end_at_the_same_mark"),
        (Defect::ClaimsNothing, "what_it_cannot_answer_is_an_error"),
        (Defect::AnswersAsItLikes, "the_same_window_has_the_same_answer_for_every_query"),
    ] {
        let report = run(health_source(|| async {
            let mut sim = Sim::measured().await?;
            sim.health = Arc::new(Broken { inner: sim.cluster.health(), defect });
            Ok(sim)
        }));
        assert_found(defect, &report, case);
    }
}

#[test]
fn a_source_that_is_down_must_say_so() {
    let case = "a_source_that_is_down_answers_every_query_with_an_error";
    let report = |defect| run(health_source(|| async move { Ok(Down(Sim::measured().await?, defect)) }));
    assert_found(Defect::MakesUpWhenDown, &report(Defect::MakesUpWhenDown), case);
    let honest = report(Defect::CountsTwice);
    assert!(!honest.failed().any(|failed| failed.name == case), "{honest}");
}
