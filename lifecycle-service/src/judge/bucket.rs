//! The latencies of two arms, from the buckets of histograms.

use lifecycle_core::spec::SpecError;
use lifecycle_core::spec::field::{Field, Fields};
use lifecycle_core::stats::{Counts, LatencyTest};

use super::course::Course;
use super::read;
use crate::input::BadInput;

/// No histogram has more bounds.
const MAX_BOUNDS: usize = 1_000;

/// Shares of requests below a bound that tells of the 95th percentile.
const AROUND_P95: std::ops::RangeInclusive<f64> = 0.9..=0.99;

const EXAMPLE: &str = "\"looks\": [{\"canary\": [93, 100], \"stable\": [880, 900]}]";

/// Reads and judges.
pub(super) fn judge(file: &Field<'_>) -> Result<Course, BadInput> {
    let known = ["judge", "alpha", "eta", "r0", "le", "bounds", "before", "looks"];
    let fields = file.fields(&known)?;
    let rule = read::rule(&fields)?;
    let tolerated = fields.read_or("r0", 1.0, read::number)?;
    let le = fields.required("le", "\"le\": [0.1, 0.5]", le)?;
    let used = used(&fields, &le)?;
    let look = |field: &Field<'_>| {
        let arms = field.fields(&["canary", "stable"])?;
        let arm = |name| arms.required(name, EXAMPLE, |field| histogram(field, &le));
        Ok((arm("canary")?, arm("stable")?))
    };
    let looks = read::looks(&fields, EXAMPLE, look)?;

    let shown: Vec<String> = used.iter().filter_map(|at| le.get(*at)).map(ToString::to_string).collect();
    let title = format!("requests of the canary slower than {}", shown.join(", "));
    let title = format!("{title} against stable, tolerated ratio {tolerated}");
    let test = LatencyTest::new(used, tolerated, rule.eta)?;
    let mut course = Course::new(title, &["canary requests", "stable requests"], rule);
    let mut evidence = Vec::new();
    for (canary, stable) in looks {
        let ln_e = test.look(&mut evidence, &canary, &stable)?;
        let requests = |arm: &[u64]| Counts::new(0, arm.last().copied().unwrap_or_default());
        let arms = [requests(&canary), requests(&stable)];
        course.look(arms.into_iter().collect::<Result<_, _>>()?, ln_e, None);
    }
    Ok(course)
}

/// The finite bounds, which rise.
fn le(field: &Field<'_>) -> Result<Vec<f64>, SpecError> {
    let bounds = field.list(MAX_BOUNDS)?.iter().map(read::number).collect::<Result<Vec<_>, _>>()?;
    match bounds.is_sorted_by(|a, b| a < b) && !bounds.is_empty() {
        true => Ok(bounds),
        false => Err(field.error("these are not the finite bounds of a histogram: write rising numbers")),
    }
}

/// Indices of the bounds that are tested: those that were given, or those that the time before chooses, or all.
fn used(fields: &Fields<'_>, le: &[f64]) -> Result<Vec<usize>, SpecError> {
    let given = fields.read("bounds", |field| {
        let place = |field: &Field<'_>| {
            let bound = read::number(field)?;
            le.iter()
                .position(|other| *other == bound)
                .ok_or_else(|| field.expected("one of the bounds in le"))
        };
        let places = field.list(MAX_BOUNDS)?.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        match places.is_sorted_by(|a, b| a < b) && !places.is_empty() {
            true => Ok(places),
            false => Err(field.error("write at least one bound of le, rising")),
        }
    })?;
    let chosen = fields.read("before", |field| {
        let bounds = LatencyTest::bounds_within(&histogram(field, le)?, AROUND_P95);
        let none = "no bound has 90 % to 99 % of these requests below it: write bounds instead";
        if bounds.is_empty() { Err(field.error(none)) } else { Ok(bounds) }
    })?;
    match (given, chosen) {
        (Some(_), Some(_)) => Err(fields.error_at("before", "bounds are given already: write one of both")),
        (given, chosen) => Ok(given.or(chosen).unwrap_or_else(|| (0..le.len()).collect())),
    }
}

/// Cumulative counts: one for each finite bound, and all requests last.
fn histogram(field: &Field<'_>, le: &[f64]) -> Result<Vec<u64>, SpecError> {
    let items = field.list(MAX_BOUNDS + 1)?;
    let counts = items.iter().map(read::count).collect::<Result<Vec<u64>, _>>()?;
    if counts.len() != le.len() + 1 {
        let wanted = format!("write {}, one for each bound of le and all requests last", le.len() + 1);
        return Err(field.error(format!("these are {} counts: {wanted}", counts.len())));
    }
    match items.iter().zip(&counts).zip(counts.iter().skip(1)).find(|((_, count), next)| count > next) {
        Some(((item, count), next)) => Err(item.error(format!(
            "{count} is more than the next count, {next}: counts are cumulative, they never fall"
        ))),
        None => Ok(counts),
    }
}
