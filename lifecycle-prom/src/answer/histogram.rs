//! Histograms from cumulative buckets.

use lifecycle_core::backend::{Histogram, Reading};

use super::arm::Arm;
use super::counts::whole;
use super::{Answer, AnswerError, COUNT, Series, is_live};
use crate::metrics::Metrics;

/// By how much of all requests a bucket may have fewer than the one before it. Where a counter was
/// reset its growth is estimated, a little differently for each bucket. What is more than that comes from replicas
/// with different buckets.
const TOLERANCE: f64 = 0.01;

/// What a bucket counts.
const WHAT: &str = "requests in a bucket";

/// More than any histogram has.
const MAX_BUCKETS: usize = 1000;

/// The durations of the requests of this arm in a window.
pub(crate) fn read(answer: &Answer, metrics: &Metrics, arm: &Arm) -> Result<Reading, AnswerError> {
    let series = answer.vector()?;
    let Some(histogram) = of(series, metrics, arm)? else { return Ok(Reading::NoData) };
    Ok(match is_live(series, metrics, arm)? {
        true => Reading::Histogram(histogram),
        false => Reading::NoData,
    })
}

/// The histogram among these series; `None` where there is none.
pub(super) fn of(series: &[Series], metrics: &Metrics, arm: &Arm) -> Result<Option<Histogram>, AnswerError> {
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for series in arm.of(series).filter(|series| series.label(COUNT).is_empty()) {
        let count = series.number()?;
        whole(count, WHAT)?;
        buckets.push((bound(series.label("le"))?, count));
    }
    if buckets.is_empty() {
        return Ok(None);
    }
    if buckets.len() > MAX_BUCKETS {
        return Err(AnswerError::Buckets(format!("{} of them are more than {MAX_BUCKETS}", buckets.len())));
    }
    buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    // One replica may write le="1" and another le="1.0".
    buckets.dedup_by(|(bound, count), (kept, sum)| {
        let same = bound == kept;
        *sum += if same { *count } else { 0.0 };
        same
    });
    histogram(&buckets, metrics.unit.micros()).map(Some)
}

fn bound(le: &str) -> Result<f64, AnswerError> {
    let bound = le.parse::<f64>().ok().filter(|bound| *bound >= 0.0);
    bound.ok_or_else(|| AnswerError::Buckets(format!("{le:?} is no upper bound of a duration")))
}

/// Of cumulative counts by bound, rising; `micros` are in one unit of a bound.
fn histogram(buckets: &[(f64, f64)], micros: f64) -> Result<Histogram, AnswerError> {
    let wrong = |problem: String| Err(AnswerError::Buckets(problem));
    let (bounds, finite) = match buckets {
        [] | [_] => return wrong("none has a finite bound".to_owned()),
        [finite @ .., (last, _)] if last.is_infinite() => (bounds(finite, micros)?, finite),
        [.., (last, _)] => {
            let problem = "the one without a bound, le=\"+Inf\", is missing";
            return wrong(format!("{problem}; the last is le=\"{last}\""));
        }
    };
    let mut counts = Vec::with_capacity(buckets.len());
    let (mut most, mut of, mut below) = (0.0_f64, 0.0_f64, 0);
    let tolerated = (TOLERANCE * buckets[finite.len()].1).max(0.5);
    for (i, &(bound, count)) in buckets.iter().enumerate() {
        if count < most - tolerated {
            let fewer =
                format!("{count} requests up to le=\"{bound}\" are fewer than {most} up to le=\"{of}\"");
            return wrong(format!("{fewer}: do the replicas have different buckets?"));
        }
        (most, of) = (most.max(count), bound);
        if i + 1 < finite.len() && bounds[i] == bounds[i + 1] {
            // In the same microsecond as the next: that one has both.
            continue;
        }
        let upto = whole(most, WHAT)?;
        counts.push(upto - std::mem::replace(&mut below, upto));
    }
    let mut bounds = bounds;
    bounds.dedup();
    Ok(Histogram::new(bounds.into(), counts))
}

/// The finite bounds in microseconds.
fn bounds(finite: &[(f64, f64)], micros: f64) -> Result<Vec<u64>, AnswerError> {
    let us = |&(bound, _): &(f64, f64)| {
        let us = (bound * micros).round();
        let fits = us < u64::MAX as f64;
        let too_long = || AnswerError::Buckets(format!("le=\"{bound}\" is too long for a duration"));
        fits.then_some(us as u64).ok_or_else(too_long)
    };
    finite.iter().map(us).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::SCRAPED;
    use crate::metrics::DurationUnit;
    use crate::target::Target;

    fn check(buckets: &[(&str, f64)], unit: DurationUnit) -> Result<Reading, String> {
        let others = Series::new([("revision", "old"), ("le", "7")], 1e6);
        let series = buckets.iter().map(|(le, count)| Series::new([("revision", "a"), ("le", le)], *count));
        let scraped = Series::new([("revision", "a"), (COUNT, SCRAPED)], 0.0);
        let answer = Answer::Vector(series.chain([others, scraped]).collect());
        let metrics = Metrics::default().durations("d", unit).unwrap();
        let metrics = metrics.namespace_label(None).unwrap().agent_label(None).unwrap();
        let arm = Arm::new(&metrics.series, &Target::new("", ""), "a");
        read(&answer, &metrics, &arm).map_err(|error| error.to_string())
    }

    #[test]
    fn cumulative_buckets_become_a_histogram() {
        type Case = (&'static [(&'static str, f64)], &'static [u64], &'static [u64]);
        let cases: [Case; 7] = [
            (&[("+Inf", 10.0), ("0.1", 5.0), ("0.25", 9.0)], &[100_000, 250_000], &[5, 4, 1]),
            (&[("0.005", 0.0), ("+Inf", 0.0)], &[5000], &[0, 0]),
            // extrapolated counts are rounded so that they add up
            (&[("0.1", 10.4), ("0.2", 20.6), ("+Inf", 20.6)], &[100_000, 200_000], &[10, 11, 0]),
            // less than the tolerance
            (&[("0.1", 100.0), ("0.2", 99.2), ("+Inf", 200.0)], &[100_000, 200_000], &[100, 0, 100]),
            (&[("1", 3.0), ("1.0", 4.0), ("+Inf", 8.0)], &[1_000_000], &[7, 1]),
            (&[("1e-7", 3.0), ("2e-7", 4.0), ("+Inf", 8.0)], &[0], &[4, 4]),
            (&[("0", 1.0), ("Inf", 3.0)], &[0], &[1, 2]),
        ];
        for (buckets, bounds, counts) in cases {
            let expected = Histogram::new(bounds.into(), counts.to_vec());
            assert_eq!(
                check(buckets, DurationUnit::Seconds),
                Ok(Reading::Histogram(expected)),
                "{buckets:?}"
            );
        }
        let expected = Histogram::new([2500].as_slice().into(), vec![1, 0]);
        let milliseconds = check(&[("2.5", 1.0), ("+Inf", 1.0)], DurationUnit::Milliseconds);
        assert_eq!(milliseconds, Ok(Reading::Histogram(expected)));
        assert_eq!(check(&[], DurationUnit::Seconds), Ok(Reading::NoData));
    }

    #[test]
    fn buckets_that_make_no_histogram_are_refused() {
        for (buckets, problem) in [
            (&[("0.1", 5.0), ("0.2", 9.0)][..], "le=\"+Inf\", is missing; the last is le=\"0.2\""),
            (&[("+Inf", 5.0)], "none has a finite bound"),
            (&[("", 5.0), ("+Inf", 5.0)], "\"\" is no upper bound of a duration"),
            (&[("fast", 5.0), ("+Inf", 5.0)], "\"fast\" is no upper bound"),
            (&[("-1", 5.0), ("+Inf", 5.0)], "\"-1\" is no upper bound"),
            (&[("NaN", 5.0), ("+Inf", 5.0)], "\"NaN\" is no upper bound"),
            (&[("1e300", 5.0), ("+Inf", 5.0)], "is too long for a duration"),
            (
                &[("0.1", 50.0), ("0.2", 20.0), ("+Inf", 90.0)],
                "20 requests up to le=\"0.2\" are fewer than 50",
            ),
            (
                &[("0.1", 50.0), ("+Inf", 20.0)],
                "20 requests up to le=\"inf\" are fewer than 50 up to le=\"0.1\"",
            ),
            (&[("0.1", f64::NAN), ("+Inf", 20.0)], "NaN is no number of requests in a bucket"),
            (&[("0.1", 1.0), ("+Inf", f64::INFINITY)], "inf is no number of requests in a bucket"),
            (&[("0.1", -3.0), ("+Inf", 20.0)], "-3 is no number of requests in a bucket"),
        ] {
            let error = check(buckets, DurationUnit::Seconds).unwrap_err();
            assert!(error.contains(problem), "{buckets:?}: {error}");
        }
        let many: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
        let many: Vec<(&str, f64)> = many.iter().map(|le| (le.as_str(), 1.0)).collect();
        assert!(check(&many, DurationUnit::Seconds).unwrap_err().contains("2000 of them are more than 1000"));
    }
}
