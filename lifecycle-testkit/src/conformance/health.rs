//! The suite for [`HealthSource`].

use std::sync::Arc;

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendResult, Counted, HealthQuery, HealthSource, Histogram, Increase, Mark, Reading, Signal, Span,
};
use lifecycle_core::time::Millis;
use lifecycle_core::version::Revision;

use super::suite::{Suite, Verdict, ensure, fail, run, settle, unheard_of};
use super::{Able, Environment, Report, Unable};

/// A source of measurements under test, in a world that had no request yet.
#[async_trait]
pub trait HealthBench: Environment {
    /// The source.
    fn source(&self) -> Arc<dyn HealthSource>;

    /// A revision that serves, and that gets every request of [`traffic`](Self::traffic).
    fn revision(&self) -> Revision;

    /// A revision that serves and gets no request.
    ///
    /// # Errors
    /// Says why there is none. Default: the bench has none.
    fn silent_revision(&self) -> Able<Revision> {
        Err(Unable::new("the bench has no revision that serves without requests"))
    }

    /// Makes requests, some of which fail if the bench can do that, and answers with all that were
    /// made since the bench is there: the truth at the time of the answer.
    ///
    /// # Errors
    /// Says why it cannot. Default: the bench cannot.
    async fn traffic(&self) -> Able<Traffic> {
        Err(Unable::new("the bench cannot make requests"))
    }

    /// A window that is short for this source. Time is let pass for about twice as long.
    fn short_window(&self) -> Millis {
        Millis::from_secs(60)
    }

    /// By how much the start of a window may be off.
    fn grain(&self) -> Millis {
        Millis::from_secs(10)
    }

    /// Makes the source unable to answer from now on.
    ///
    /// # Errors
    /// Says why it cannot. Default: the bench cannot.
    async fn take_down(&self) -> Able<()> {
        Err(Unable::new("the bench cannot take the source down"))
    }
}

/// Requests that were really made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// All of them.
    pub requests: u64,
    /// Of these, failed ones.
    pub failed: u64,
}

impl Traffic {
    /// So many requests, so many of which failed.
    #[must_use]
    pub const fn new(requests: u64, failed: u64) -> Self {
        Self { requests, failed }
    }
}

/// Longer than any case lasts in the world of the bench.
const WHOLE: Millis = Millis::from_secs(300);

/// Runs every case of the contract of [`HealthSource`]; `make` makes a source without traffic for
/// each.
pub async fn health_source<F, B>(make: impl Fn() -> F) -> Report
where
    F: Future<Output = BackendResult<B>>,
    B: HealthBench,
{
    let mut suite = Suite::new("HealthSource", make);
    run!(suite;
        no_query_has_no_answer,
        every_query_has_one_answer_in_order,
        an_unknown_revision_is_no_data_or_no_requests,
        an_unknown_name_is_never_a_number,
        what_is_not_measured_is_never_a_number,
        a_serving_revision_without_requests_is_no_data_or_no_requests,
        every_request_is_counted_once,
        requests_of_one_revision_do_not_count_for_another,
        every_request_is_in_the_histogram_once,
        an_answer_holds_nothing_older_than_its_window,
        the_same_window_has_the_same_answer_for_every_query,
        increases_count_every_request_once,
        increases_of_both_arms_end_at_the_same_mark,
        what_it_cannot_answer_is_an_error,
        a_source_that_is_down_answers_every_query_with_an_error,
    );
    suite.report
}

async fn measure(bench: &impl HealthBench, queries: &[HealthQuery]) -> Verdict<Vec<BackendResult<Reading>>> {
    let answers = bench.source().measure(queries).await;
    ensure(answers.len() == queries.len(), || {
        format!("{} answers to {} queries", answers.len(), queries.len())
    })?;
    Ok(answers)
}

async fn one(
    bench: &impl HealthBench,
    signal: Signal,
    of: &Revision,
    window: Millis,
) -> Verdict<BackendResult<Reading>> {
    let mut answers = measure(bench, &[HealthQuery::new(signal, of.clone(), window)]).await?;
    answers.pop().map_or_else(|| fail("no answer"), Ok)
}

/// An answer that is neither a value of another kind nor made up.
fn fits(signal: &Signal, answer: &BackendResult<Reading>) -> bool {
    match (signal, answer) {
        (_, Err(_) | Ok(Reading::NoData)) => true,
        (Signal::Requests, Ok(Reading::Counts { requests, failed })) => failed <= requests,
        (Signal::Latency, Ok(Reading::Histogram(histogram))) => is_well_formed(histogram),
        (Signal::Restarts, Ok(Reading::Scalar(restarts))) => *restarts >= 0.0 && restarts.fract() == 0.0,
        (Signal::CriticalAlerts | Signal::Saturation | Signal::Named(_), Ok(Reading::Scalar(_))) => true,
        _ => false,
    }
}

fn is_well_formed(histogram: &Histogram) -> bool {
    let rising = histogram.bounds_us.windows(2).all(|pair| pair[0] < pair[1]);
    rising && histogram.counts.len() == histogram.bounds_us.len() + 1
}

fn is_silent(answer: &BackendResult<Reading>) -> bool {
    match answer {
        Ok(Reading::NoData | Reading::Counts { requests: 0, failed: 0 }) => true,
        Ok(Reading::Histogram(histogram)) => is_well_formed(histogram) && histogram.total() == 0,
        _ => false,
    }
}

fn every_signal() -> [Signal; 6] {
    [
        Signal::CriticalAlerts,
        Signal::Requests,
        Signal::Restarts,
        Signal::Latency,
        Signal::Saturation,
        Signal::Named("no_such_query".into()),
    ]
}

/// Every signal of both revisions and in both windows, in a mixed order.
fn every_query(bench: &impl HealthBench) -> Vec<HealthQuery> {
    let mut queries = Vec::new();
    for signal in every_signal() {
        for window in [WHOLE, bench.short_window()] {
            for of in [bench.revision(), unheard_of()] {
                queries.push(HealthQuery::new(signal.clone(), of, window));
            }
        }
    }
    queries
}

async fn no_query_has_no_answer(bench: &impl HealthBench) -> Verdict {
    measure(bench, &[]).await.map(|_| ())
}

async fn every_query_has_one_answer_in_order(bench: &impl HealthBench) -> Verdict {
    let mut queries = every_query(bench);
    for _ in 0..2 {
        for (query, answer) in queries.iter().zip(measure(bench, &queries).await?) {
            ensure(fits(&query.signal, &answer), || format!("{query:?} was answered by {answer:?}"))?;
        }
        queries.reverse();
    }
    Ok(())
}

async fn an_unknown_revision_is_no_data_or_no_requests(bench: &impl HealthBench) -> Verdict {
    for signal in [Signal::Requests, Signal::Latency] {
        let answer = one(bench, signal, &unheard_of(), WHOLE).await?;
        ensure(is_silent(&answer), || format!("{answer:?}"))?;
    }
    Ok(())
}

async fn an_unknown_name_is_never_a_number(bench: &impl HealthBench) -> Verdict {
    const NAME: &str = "a query that nobody has defined";
    ensure(!bench.source().knows(NAME), || format!("it claims to know {NAME:?}"))?;
    let answer = one(bench, Signal::Named(NAME.into()), &bench.revision(), WHOLE).await?;
    ensure(matches!(answer, Err(_) | Ok(Reading::NoData)), || format!("{answer:?}"))
}

/// A check of such a signal is refused; a plan that was stored before may still ask for it.
async fn what_is_not_measured_is_never_a_number(bench: &impl HealthBench) -> Verdict {
    let source = bench.source();
    for signal in every_signal().into_iter().filter(|signal| !source.measures(signal)) {
        let answer = one(bench, signal.clone(), &bench.revision(), WHOLE).await?;
        ensure(matches!(answer, Err(_) | Ok(Reading::NoData)), || format!("{signal}: {answer:?}"))?;
    }
    Ok(())
}

async fn a_serving_revision_without_requests_is_no_data_or_no_requests(bench: &impl HealthBench) -> Verdict {
    let silent = bench.silent_revision()?;
    for signal in [Signal::Requests, Signal::Latency] {
        let answer = one(bench, signal, &silent, WHOLE).await?;
        ensure(is_silent(&answer), || format!("{answer:?}"))?;
    }
    Ok(())
}

/// Makes traffic and waits until the source counts exactly what was made. (Where time itself brings
/// requests, the source has to know them at once.)
async fn counted(bench: &impl HealthBench) -> Verdict<Traffic> {
    let truth = bench.traffic().await?;
    ensure(truth.requests > 0 && truth.failed <= truth.requests, || format!("the bench made {truth:?}"))?;
    settle(bench, &format!("count of {truth:?}"), async || {
        let answer = one(bench, Signal::Requests, &bench.revision(), WHOLE).await?;
        let Ok(Reading::Counts { requests, failed }) = answer else { return Ok(Err(format!("{answer:?}"))) };
        let seen = Traffic { requests, failed };
        Ok(if seen == truth { Ok(truth) } else { Err(format!("{seen:?}")) })
    })
    .await
}

async fn every_request_is_counted_once(bench: &impl HealthBench) -> Verdict {
    for _ in 0..3 {
        counted(bench).await?;
    }
    Ok(())
}

async fn requests_of_one_revision_do_not_count_for_another(bench: &impl HealthBench) -> Verdict {
    let silent = bench.silent_revision()?;
    counted(bench).await?;
    for signal in [Signal::Requests, Signal::Latency] {
        let answer = one(bench, signal, &silent, WHOLE).await?;
        ensure(is_silent(&answer), || format!("{answer:?}"))?;
    }
    Ok(())
}

async fn every_request_is_in_the_histogram_once(bench: &impl HealthBench) -> Verdict {
    let truth = counted(bench).await?;
    match one(bench, Signal::Latency, &bench.revision(), WHOLE).await? {
        Ok(Reading::NoData) => Err(Unable::new("the source has no latencies").into()),
        Ok(Reading::Histogram(histogram)) => {
            let whole = is_well_formed(&histogram) && histogram.total() == truth.requests;
            ensure(whole, || format!("{truth:?} became {histogram:?}"))
        }
        other => fail(format!("{other:?}")),
    }
}

async fn an_answer_holds_nothing_older_than_its_window(bench: &impl HealthBench) -> Verdict {
    let before = counted(bench).await?;
    bench.advance(bench.short_window() + bench.grain()).await;
    let after = bench.traffic().await?;
    let newest = after.requests.saturating_sub(before.requests);
    match one(bench, Signal::Requests, &bench.revision(), bench.short_window()).await? {
        Ok(Reading::Counts { requests, .. }) => {
            ensure(requests <= newest, || format!("{requests} in the window, {newest} since before it began"))
        }
        other => fail(format!("{other:?}")),
    }
}

async fn the_same_window_has_the_same_answer_for_every_query(bench: &impl HealthBench) -> Verdict {
    counted(bench).await?;
    let query = HealthQuery::new(Signal::Requests, bench.revision(), WHOLE);
    let answers = measure(bench, &[query.clone(), query]).await?;
    match &answers[..] {
        [Ok(one), Ok(two)] => ensure(one == two, || format!("{one:?} and {two:?}")),
        other => fail(format!("{other:?}")),
    }
}

async fn increase(bench: &impl HealthBench, of: &Revision, mark: Option<Mark>) -> Verdict<Increase> {
    let query = HealthQuery::over(Signal::Requests, of.clone(), Span::Since(mark));
    match measure(bench, &[query]).await?.pop() {
        Some(Ok(Reading::Increase(increase))) => Ok(increase),
        other => fail(format!("{other:?}")),
    }
}

fn can_increase(bench: &impl HealthBench) -> Verdict {
    match bench.source().capabilities().increases {
        true => Ok(()),
        false => Err(Unable::new("the source has no increases since an earlier answer").into()),
    }
}

async fn increases_count_every_request_once(bench: &impl HealthBench) -> Verdict {
    can_increase(bench)?;
    let revision = bench.revision();
    let mut base = counted(bench).await?;
    let first = increase(bench, &revision, None).await?;
    ensure(first.counted.is_none(), || format!("since nothing it counted {first:?}"))?;
    let mut mark = first.until;
    for _ in 0..3 {
        let truth = counted(bench).await?;
        let wanted = Traffic::new(truth.requests - base.requests, truth.failed - base.failed);
        let mut all = Traffic::default();
        settle(bench, &format!("increase by {wanted:?}"), async || {
            let next = increase(bench, &revision, Some(mark)).await?;
            ensure(next.until >= mark, || format!("{next:?} ends before {mark:?}"))?;
            let Some(Counted::Requests(counts)) = next.counted else {
                return fail(format!("nothing was reset, and {next:?}"));
            };
            mark = next.until;
            all = Traffic::new(all.requests + counts.requests, all.failed + counts.failed);
            Ok(if all == wanted { Ok(()) } else { Err(format!("{all:?}")) })
        })
        .await?;
        base = truth;
    }
    Ok(())
}

async fn increases_of_both_arms_end_at_the_same_mark(bench: &impl HealthBench) -> Verdict {
    can_increase(bench)?;
    let mark = increase(bench, &bench.revision(), None).await?.until;
    counted(bench).await?;
    let query = |of| HealthQuery::over(Signal::Requests, of, Span::Since(Some(mark)));
    let queries = [query(bench.revision()), query(bench.silent_revision().unwrap_or_else(|_| unheard_of()))];
    match &measure(bench, &queries).await?[..] {
        // one that nobody has heard of, or that had no request yet, may be no data
        [Ok(Reading::Increase(_)), Ok(Reading::NoData)] => Ok(()),
        [Ok(Reading::Increase(one)), Ok(Reading::Increase(two))] => {
            ensure(one.until == two.until, || format!("{one:?} and {two:?}"))
        }
        other => fail(format!("{other:?}")),
    }
}

async fn what_it_cannot_answer_is_an_error(bench: &impl HealthBench) -> Verdict {
    let can = bench.source().capabilities();
    let spans = [
        (can.increases, Span::Since(None)),
        (can.replicas, Span::Replicas { width: Millis::from_secs(60), bins: 5 }),
    ];
    for (able, span) in spans {
        let query = HealthQuery::over(Signal::Requests, bench.revision(), span);
        let answer = measure(bench, &[query]).await?.pop();
        ensure(able || matches!(answer, Some(Err(_))), || format!("{span:?} was answered by {answer:?}"))?;
    }
    Ok(())
}

async fn a_source_that_is_down_answers_every_query_with_an_error(bench: &impl HealthBench) -> Verdict {
    bench.take_down().await?;
    let queries = every_query(bench);
    let answered = queries.iter().zip(measure(bench, &queries).await?).find(|(_, answer)| answer.is_ok());
    ensure(answered.is_none(), || format!("it made up {answered:?}"))
}
