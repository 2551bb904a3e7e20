//! Native histograms.
//!
//! Their buckets have bounds of a fixed scheme: with schema s, those up to `2^(i / 2^s)` for every whole number i, and one for what
//! is about zero. Buckets of a schema are made of whole buckets of every finer one, so two histograms are made comparable by
//! taking both to the coarser schema; nothing is interpolated. What the API sends are the buckets that hold something, with
//! their bounds: <https://prometheus.io/docs/prometheus/latest/querying/api/#native-histograms>.

use std::collections::BTreeMap;

use lifecycle_core::backend::{Histogram, Reading};
use serde::Deserialize;

use super::arm::Arm;
use super::counts::whole;
use super::{Answer, AnswerError, COUNT, Series, is_live};
use crate::metrics::{DurationUnit, Metrics};

/// The finest schema that is handed on: bounds are 9 % apart.
const FINEST: i32 = 3;
/// The schemas that there are.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;
/// By how much a bound may differ from that of its schema, as a share.
const TOLERANCE: f64 = 1e-6;

/// The durations of the requests of this arm in a window, as Prometheus estimates them.
pub(crate) fn read(answer: &Answer, metrics: &Metrics, arm: &Arm) -> Result<Reading, AnswerError> {
    let series = answer.vector()?;
    let Some(one) = arm.of(series).find(|series| series.label(COUNT).is_empty()) else {
        return Ok(Reading::NoData);
    };
    let histogram = one.native()?.histogram(metrics.unit)?;
    Ok(match is_live(series, metrics, arm)? {
        true => Reading::Histogram(histogram),
        false => Reading::NoData,
    })
}

/// What was counted between two marks, of what was there at both and what is new; `then` are all that were there at the
/// earlier one. `None` where there is nothing.
pub(super) fn since(
    series: &[Series],
    metrics: &Metrics,
    arm: &Arm,
    then: Option<f64>,
) -> Result<Option<Histogram>, AnswerError> {
    let [mut now, mut before, mut new] = [(); 3].map(|()| None::<Native>);
    for one in arm.of(series).filter(|one| one.label(COUNT).is_empty()) {
        let sum = match (one.label("job"), one.label("instance")) {
            ("", "") => &mut now,
            (_, "") => &mut before,
            _ => &mut new,
        };
        let native = one.native()?;
        *sum = Some(sum.as_ref().map_or_else(|| native.clone(), |sum| sum.plus(native)));
    }
    if now.is_none() && new.is_none() {
        return Ok(None);
    }
    let (before, now, new) = (before.unwrap_or_default(), now.unwrap_or_default(), new.unwrap_or_default());
    if (before.total() - then.unwrap_or(0.0)).abs() > 0.5 {
        return Err(wrong("what was counted before has no label job, by which it is told apart".to_owned()));
    }
    now.since(&before)?.plus(&new).histogram(metrics.unit).map(Some)
}

/// A native histogram: counts of durations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Native {
    /// `None` when nothing but the zero bucket holds something: then any will do.
    schema: Option<i32>,
    zero: f64,
    /// By the number of the bucket in its schema.
    buckets: BTreeMap<i64, f64>,
}

/// As the API writes it: numbers are text.
#[derive(Deserialize)]
pub(super) struct Wire {
    #[serde(default)]
    buckets: Vec<(u8, String, String, String)>,
}

impl Native {
    pub(super) fn read(wire: &Wire) -> Result<Self, AnswerError> {
        let mut read = Self::default();
        for (_, left, right, count) in &wire.buckets {
            let number = |text: &String| {
                let number = text.parse::<f64>().ok().filter(|number| !number.is_nan());
                number.ok_or_else(|| wrong(format!("{text:?} is no number")))
            };
            let (left, right, count) = (number(left)?, number(right)?, number(count)?);
            if left <= 0.0 && right >= 0.0 {
                read.zero += count;
            } else if right < 0.0 {
                return Err(wrong(format!("a bucket from {left} to {right} holds negative durations")));
            } else {
                let (schema, number) = place(left, right)?;
                if read.schema.is_some_and(|known| known != schema) {
                    return Err(wrong(format!("the bucket from {left} to {right} is of another schema")));
                }
                read.schema = Some(schema);
                *read.buckets.entry(number).or_default() += count;
            }
        }
        Ok(read)
    }

    /// All that both hold.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.with(other, 1.0)
    }

    /// What this holds more than an earlier one of the same counters.
    ///
    /// # Errors
    /// When it holds less in a bucket: then they are not.
    pub fn since(&self, then: &Self) -> Result<Self, AnswerError> {
        let more = self.with(then, -1.0);
        if more.zero < 0.0 || more.buckets.values().any(|count| *count < 0.0) {
            return Err(wrong("a bucket holds less than before".to_owned()));
        }
        Ok(more)
    }

    fn with(&self, other: &Self, sign: f64) -> Self {
        let schema = self.schema.into_iter().chain(other.schema).min();
        let (mut sum, other) = (self.coarser(schema), other.coarser(schema));
        sum.zero += sign * other.zero;
        for (number, count) in other.buckets {
            *sum.buckets.entry(number).or_default() += sign * count;
        }
        sum
    }

    /// In the buckets of this schema, which is no finer.
    fn coarser(&self, schema: Option<i32>) -> Self {
        let (Some(from), Some(to)) = (self.schema, schema) else {
            return Self { schema, ..self.clone() };
        };
        let mut coarser = Self { schema, zero: self.zero, buckets: BTreeMap::new() };
        let shift = (from - to).max(0);
        for (number, count) in &self.buckets {
            // the bucket up to 2^(i / 2^s) is inside of the one up to 2^(ceil(i / 2^d) / 2^(s - d))
            *coarser.buckets.entry(-((-number) >> shift)).or_default() += count;
        }
        coarser
    }

    /// As a histogram with the bounds of its schema, at the finest those of schema 3, from 1 ms to 2 min. The bounds are the same
    /// whatever the buckets hold.
    ///
    /// # Errors
    /// When a count is none.
    pub fn histogram(&self, unit: DurationUnit) -> Result<Histogram, AnswerError> {
        let schema = self.schema.unwrap_or(FINEST).min(FINEST);
        let coarse = self.coarser(Some(schema));
        // powers of 2 of the unit: 2^-10 s is about 1 ms, and 2^7 s about 2 min
        let (lowest, highest) = match unit {
            DurationUnit::Seconds => (-10.0, 7.0),
            DurationUnit::Milliseconds => (0.0, 17.0),
        };
        let per_power = f64::from(schema).exp2();
        let first = (lowest * per_power).floor() as i64;
        let last = (highest * per_power).ceil() as i64;
        let bounds = (first..=last).map(|number| bound(schema, number) * unit.micros());
        let bounds: Vec<u64> = bounds.map(|us| us.round() as u64).collect();
        let mut counts = vec![0.0; bounds.len() + 1];
        counts[0] = coarse.zero;
        for (number, count) in &coarse.buckets {
            let at = (number - first).clamp(0, last + 1 - first);
            counts[usize::try_from(at).unwrap_or(0)] += count;
        }
        // of what is extrapolated the sums are rounded, so that they add up
        let (mut sum, mut below) = (0.0, 0);
        let whole_counts = counts.into_iter().map(|count: f64| {
            sum += count;
            let upto = whole(sum, "requests in a bucket")?;
            Ok(upto.saturating_sub(std::mem::replace(&mut below, upto)))
        });
        Ok(Histogram::new(bounds.into(), whole_counts.collect::<Result<_, AnswerError>>()?))
    }

    /// How many it holds.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.zero + self.buckets.values().sum::<f64>()
    }
}

fn wrong(problem: String) -> AnswerError {
    AnswerError::Buckets(problem)
}

fn bound(schema: i32, number: i64) -> f64 {
    (number as f64 / f64::from(schema).exp2()).exp2()
}

/// The schema and number of the bucket with these bounds.
fn place(left: f64, right: f64) -> Result<(i32, i64), AnswerError> {
    let custom = || {
        let problem = "are not those of a native histogram with exponential buckets";
        wrong(format!("the bounds {left} and {right} {problem}: expose the metric as a classic histogram"))
    };
    let schema = -(right / left).log2().log2();
    // (an infinite one is of no schema)
    if !schema.is_finite() || !SCHEMAS.contains(&(schema.round() as i32)) {
        return Err(custom());
    }
    let schema = schema.round() as i32;
    let number = (right.log2() * f64::from(schema).exp2()).round();
    let fits = |bound: f64, number: f64| {
        (bound / (number / f64::from(schema).exp2()).exp2() - 1.0).abs() < TOLERANCE
    };
    match fits(right, number) && fits(left, number - 1.0) {
        true => Ok((schema, number as i64)),
        false => Err(custom()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets of this schema by number.
    fn native(schema: i32, buckets: &[(i64, f64)]) -> Native {
        let text = |number| bound(schema, number).to_string();
        let bucket = |(number, count): &(i64, f64)| (0, text(number - 1), text(*number), count.to_string());
        Native::read(&Wire { buckets: buckets.iter().map(bucket).collect() }).unwrap()
    }

    #[test]
    fn bounds_tell_the_schema() {
        for schema in SCHEMAS {
            for number in [-40, -1, 0, 1, 7, 40] {
                let limit = bound(schema, number);
                if limit > 0.0 && limit.is_finite() && bound(schema, number - 1) > 0.0 {
                    assert_eq!(place(bound(schema, number - 1), limit), Ok((schema, number)));
                }
            }
        }
        for (left, right) in [(0.1, 0.25), (1.0, 1.5), (1.0, f64::INFINITY), (1.0, 1.0), (2.0, 1.0)] {
            let error = place(left, right).unwrap_err().to_string();
            assert!(error.contains("expose the metric as a classic histogram"), "{left} {right}: {error}");
        }
    }

    #[test]
    fn both_ends_are_taken_to_the_coarser_schema() {
        // 8 buckets a power of 2 become 4: 9 and 10 are the upper half of it
        let (then, now) = (native(3, &[(9, 1.0), (10, 2.0), (-3, 4.0)]), native(2, &[(5, 10.0), (-1, 9.0)]));
        let more = now.since(&then).unwrap();
        assert_eq!(more, native(2, &[(5, 7.0), (-1, 5.0)]));
        assert_eq!(now.plus(&then), native(2, &[(5, 13.0), (-1, 13.0)]));
        assert_eq!(now.since(&Native::default()), Ok(now.clone()));
        let error = then.since(&now).unwrap_err().to_string();
        assert!(error.contains("a bucket holds less than before"), "{error}");
    }

    #[test]
    fn a_native_histogram_has_the_same_bounds_whatever_it_holds() {
        let of = |native: &Native| native.histogram(DurationUnit::Seconds).unwrap();
        let (empty, one) = (of(&Native::default()), of(&native(3, &[(0, 7.0)])));
        assert_eq!(empty.bounds_us, one.bounds_us);
        assert_eq!((empty.total(), one.total()), (0, 7));
        assert_eq!((empty.bounds_us[0], empty.bounds_us.last()), (977, Some(&128_000_000)));
        assert_eq!(one.quantile_us(1000), Some(1_000_000), "bucket 0 ends at 1 s");
        // finer ones are merged, and what is out of bounds is in the first and the last
        let fine = of(&native(5, &[(-3, 1.0), (0, 2.0), (9999, 5.0), (-9999, 4.0)]));
        assert_eq!(fine.bounds_us, one.bounds_us);
        assert_eq!((fine.counts[0], fine.counts.last(), fine.total()), (4, Some(&5), 12));
        assert_eq!(fine.counts.iter().filter(|count| **count == 3).count(), 1);
        let coarse = of(&native(0, &[(1, 3.0)]));
        assert_eq!((coarse.bounds_us.len(), coarse.quantile_us(1000)), (18, Some(2_000_000)));
        let ms = native(3, &[(80, 1.0)]).histogram(DurationUnit::Milliseconds).unwrap();
        assert_eq!((ms.bounds_us[0], ms.quantile_us(1000)), (1000, Some(1_024_000)));
    }

    #[test]
    fn what_the_api_writes_is_read() {
        let wire = |text: &str| serde_json::from_str::<Wire>(text).unwrap();
        let text = r#"{"count":"9","sum":"3.5","buckets":[[3,"-0.001","0.001","2"],[0,"1","2","7"]]}"#;
        let read = Native::read(&wire(text)).unwrap();
        assert_eq!((read.total(), read.zero, read.schema), (9.0, 2.0, Some(0)));
        assert_eq!(Native::read(&wire(r#"{"count":"0","sum":"0"}"#)), Ok(Native::default()));
        for (buckets, said) in [
            (r#"[0,"x","2","7"]"#, "\"x\" is no number"),
            (r#"[0,"1","NaN","7"]"#, "\"NaN\" is no number"),
            (r#"[1,"-2","-1","7"]"#, "holds negative durations"),
            (r#"[0,"1","2","7"],[0,"4","16","7"]"#, "is of another schema"),
        ] {
            let error = Native::read(&wire(&format!(r#"{{"buckets":[{buckets}]}}"#))).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
