//! Answers of Prometheus and Alertmanager. Whatever their APIs send back, and whatever it is taken for, every signal over every
//! span has a reading that makes sense or an error: counts of which no more failed than there were, histograms with rising bounds,
//! bins that are as many for every replica.
//!
//! An input is one byte that says how metrics are called and what the status is, and the body.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use lifecycle_core::backend::{BackendResult, Counted, HealthQuery, Histogram, Mark, Reading, Signal, Span};
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, Version};
use lifecycle_prom::answer::{self, Answer};
use lifecycle_prom::query::{Clock, Ends, Joined, Questions};
use lifecycle_prom::{DurationUnit, Metrics, PodMetrics, Target};

/// What is asked, made once: it takes longer than to read an answer.
static QUERIES: LazyLock<Vec<HealthQuery>> = LazyLock::new(queries);
static METRICS: LazyLock<[Arc<Metrics>; 4]> =
    LazyLock::new(|| [0, 1, 2, 3].map(|choice| Arc::new(metrics(choice))));
static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let target = Target::new("n", "e");
    target.clone().with_queries(&[("q".into(), "up".into())]).unwrap_or(target)
});

/// Every signal over every span, of two revisions.
fn queries() -> Vec<HealthQuery> {
    let bins = Span::Replicas { width: Millis::from_secs(60), bins: 3 };
    let spans =
        [Span::Window(Millis::from_secs(60)), Span::Since(None), Span::Since(Some(Mark(989_000))), bins];
    let named = Signal::Named("q".into());
    let of_pods = [Signal::Saturation, Signal::Restarts];
    let counted = [Signal::Requests, Signal::Latency, Signal::CriticalAlerts, named];
    let signals = counted.into_iter().chain(of_pods);
    let mut queries = Vec::new();
    for signal in signals {
        for span in spans {
            for hash in ["a", "b"] {
                let revision = Revision::new(RevisionNumber(1), hash, Version::new(1, 5, 0));
                queries.push(HealthQuery::over(signal.clone(), revision, span));
            }
        }
    }
    queries
}

fn metrics(choice: u8) -> Metrics {
    match choice {
        0 => Metrics::plain(),
        1 => Metrics::istio().pods(PodMetrics::default()),
        2 => {
            Metrics::plain().native_durations("d", DurationUnit::Seconds).unwrap_or_else(|_| Metrics::plain())
        }
        _ => Metrics::plain().alerts_of_alertmanager().pods(PodMetrics::default()),
    }
}

fn makes_sense(reading: &Reading) {
    match reading {
        Reading::Counts { requests, failed } => assert!(failed <= requests),
        Reading::Histogram(histogram) => histogram_makes_sense(histogram),
        Reading::Increase(increase) => {
            if let Some(counted) = &increase.counted {
                counted_makes_sense(counted);
            }
        }
        Reading::Replicas(replicas) => {
            let bins = replicas.first().map_or(0, Vec::len);
            assert!(replicas.iter().all(|replica| replica.len() == bins));
            replicas.iter().flatten().for_each(counted_makes_sense);
        }
        _ => {}
    }
}

fn counted_makes_sense(counted: &Counted) {
    match counted {
        Counted::Requests(counts) => assert!(counts.failed <= counts.requests),
        Counted::Durations(histogram) => histogram_makes_sense(histogram),
        _ => {}
    }
}

fn histogram_makes_sense(histogram: &Histogram) {
    assert_eq!(histogram.counts.len(), histogram.bounds_us.len() + 1);
    assert!(histogram.bounds_us.windows(2).all(|pair| pair[0] < pair[1]));
}

/// All readings of an answer that was given to every question.
fn read(metrics: &Arc<Metrics>, answer: &Answer) {
    let clock = Clock::new(Mark(1_000_000), Millis::from_secs(1));
    let mut questions = Questions::new(Arc::clone(metrics), &TARGET, &QUERIES, clock);
    let mut ends = Ends::new();
    let answered: BackendResult<&Answer> = Ok(answer);
    let mut answers = vec![answered.clone(); questions.questions().len()];
    // what it says of the end is what the next one begins with
    for _ in 0..2 {
        let more = questions.more(&answers).len();
        answers.extend(vec![answered.clone(); more]);
        let readings = questions.readings(&answers, &mut ends);
        assert_eq!(readings.len(), QUERIES.len());
        readings.iter().flatten().for_each(makes_sense);
    }
    let first = questions.questions().first();
    if let Some(joined) = first.and_then(|first| Joined::new(vec![first.clone(), first.clone()])) {
        let parts = joined.hand_out(answer.clone());
        // (the same one twice, because a NaN is not equal to itself)
        assert!(parts.len() == 2 && Arc::ptr_eq(&parts[0], &parts[1]));
    }
    drop(Clock::read(answer, Millis::ZERO));
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let status = [200, 200, 200, 200, 302, 400, 422, 503][usize::from(choice >> 5)];
    let metrics = &METRICS[usize::from(choice % 4)];
    let location = (status == 302).then_some("/login");
    for answer in [answer::read(status, location, body), answer::read_alerts(status, location, body)] {
        match answer {
            Ok(answer) => read(metrics, &answer),
            Err(error) => {
                // whatever came back can be told on one line
                let text = error.to_string();
                assert!(!text.contains('\n') && text.len() < 1200, "{text}");
            }
        }
    }
});
