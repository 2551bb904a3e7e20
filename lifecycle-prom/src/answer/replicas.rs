//! What each replica has counted, bin by bin.

use std::collections::BTreeMap;

use lifecycle_core::backend::{Counted, Counts, Histogram, Mark, Reading};

use super::arm::Arm;
use super::{Answer, AnswerError, Line, REPLICA, Series, UNKNOWN, Value, counts, histogram};
use crate::metrics::Metrics;

/// How many are told apart. What there is beyond that is added up in as many groups, which vary as single ones do.
const MAX_REPLICAS: usize = 500;

/// The bins that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bins {
    /// Where the newest one ends.
    pub(crate) until: Mark,
    pub(crate) width_ms: i64,
    pub(crate) count: u32,
}

/// What a replica has counted in each bin; `None` in those that are not known as a whole.
type Row = Vec<Option<Counted>>;

/// The bins of this arm by replica, as many as there are of all of them.
pub(crate) fn read(
    answer: &Answer,
    metrics: &Metrics,
    arm: &Arm,
    bins: Bins,
    latency: bool,
) -> Result<Reading, AnswerError> {
    let mut lines: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in answer.matrix()?.iter().filter(|line| arm.is_of(&line.labels)) {
        let replica = line.labels.get(REPLICA).map_or("", String::as_str);
        lines.entry(replica).or_default().push(line);
    }
    if lines.is_empty() {
        return Ok(Reading::NoData);
    }
    let rows = lines.values().map(|lines| row(lines, metrics, arm, bins, latency));
    Ok(Reading::Replicas(grouped(complete(rows.collect::<Result<_, _>>()?))))
}

/// The bins of one replica.
fn row(lines: &[&Line], metrics: &Metrics, arm: &Arm, bins: Bins, latency: bool) -> Result<Row, AnswerError> {
    let mut steps: Vec<Vec<Series>> = vec![Vec::new(); bins.count as usize];
    for line in lines {
        for &(at, value) in &line.values {
            let step = bins.step(at).and_then(|step| steps.get_mut(step));
            let step = step.ok_or_else(|| AnswerError::AnotherMoment(format!("a value at {at}")))?;
            step.push(Series { labels: line.labels.clone(), value: Value::Number(value), at });
        }
    }
    let bin = |series: Vec<Series>| {
        if arm.one(&series, UNKNOWN).is_some() {
            return Ok(None);
        }
        match latency {
            true => Ok(histogram::of(&series, metrics, arm)?.map(Counted::Durations)),
            false => Ok(counts::of(&series, arm)?.map(Counted::Requests)),
        }
    };
    steps.into_iter().map(bin).collect()
}

impl Bins {
    /// Which bin ends at this moment, in seconds?
    fn step(self, at: f64) -> Option<usize> {
        let before_end = self.until.0.checked_sub((at * 1000.0).round() as i64)?;
        let back = (before_end % self.width_ms == 0).then_some(before_end / self.width_ms)?;
        usize::try_from(i64::from(self.count) - 1 - back).ok()
    }
}

/// Replicas and bins of which everything is known. A replica that knows less than half of what others know, because it is new,
/// is left out; then every bin that one of the rest does not know.
fn complete(rows: Vec<Row>) -> Vec<Vec<Counted>> {
    let bins = rows.first().map_or(0, Vec::len);
    let known_by = |at: usize| rows.iter().filter(|row| row[at].is_some()).count();
    let known = (0..bins).filter(|at| known_by(*at) > 0).count();
    let enough = |row: &Row| known > 0 && 2 * row.iter().flatten().count() >= known;
    let kept: Vec<Row> = rows.into_iter().filter(enough).collect();
    let whole: Vec<bool> = (0..bins).map(|at| kept.iter().all(|row| row[at].is_some())).collect();
    let of_whole = |row: Row| row.into_iter().zip(&whole).filter(|(_, whole)| **whole);
    kept.into_iter().map(|row| of_whole(row).filter_map(|(bin, _)| bin).collect()).collect()
}

/// At most as many rows as are told apart: the others are added to them.
fn grouped(mut rows: Vec<Vec<Counted>>) -> Vec<Vec<Counted>> {
    let beyond = rows.split_off(rows.len().min(MAX_REPLICAS));
    for (at, row) in beyond.into_iter().enumerate() {
        for (sum, more) in rows[at % MAX_REPLICAS].iter_mut().zip(row) {
            *sum = added(sum, more);
        }
    }
    rows
}

/// The sum of two counts. Durations in other buckets are left out.
fn added(sum: &Counted, more: Counted) -> Counted {
    match (sum, more) {
        (Counted::Requests(sum), Counted::Requests(more)) => {
            let failed = sum.failed.saturating_add(more.failed);
            let requests = sum.requests.saturating_add(more.requests);
            Counted::Requests(Counts::new(failed, requests).unwrap_or(*sum))
        }
        (Counted::Durations(sum), Counted::Durations(more)) if sum.bounds_us == more.bounds_us => {
            let counts = sum.counts.iter().zip(more.counts).map(|(sum, more)| sum.saturating_add(more));
            Counted::Durations(Histogram::new(sum.bounds_us.clone(), counts.collect()))
        }
        (sum, _) => sum.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{COUNT, FAILED};
    use crate::target::Target;

    const BINS: Bins = Bins { until: Mark(240_000), width_ms: 60_000, count: 4 };

    /// A line of this replica, one value a bin; a NaN is none.
    fn line(replica: &str, which: &str, values: [f64; 4]) -> Line {
        let labels = [("revision", "aaa"), (REPLICA, replica), (COUNT, which)];
        let values = values.into_iter().zip([60.0, 120.0, 180.0, 240.0]);
        let values = values.filter(|(value, _)| !value.is_nan()).map(|(value, at)| (at, value));
        Line::new(labels, values.collect())
    }

    fn check(lines: Vec<Line>) -> Result<Reading, AnswerError> {
        let metrics = Metrics::default().namespace_label(None).unwrap().agent_label(None).unwrap();
        read(
            &Answer::Matrix(lines),
            &metrics,
            &Arm::new(&metrics.series, &Target::new("", ""), "aaa"),
            BINS,
            false,
        )
    }

    fn bins(bins: &[(u64, u64)]) -> Vec<Counted> {
        bins.iter().map(|(failed, of)| Counted::Requests(Counts::new(*failed, *of).unwrap())).collect()
    }

    const NO: f64 = f64::NAN;

    #[test]
    fn bins_are_those_that_every_replica_knows() {
        assert_eq!(check(vec![]), Ok(Reading::NoData));
        let whole = vec![
            line("a", "", [10.0, 11.0, 12.0, 13.0]),
            line("a", FAILED, [NO, 1.0, NO, 2.0]),
            line("b", "", [20.0, 21.0, 22.0, 23.0]),
        ];
        let of_b = bins(&[(0, 20), (0, 21), (0, 22), (0, 23)]);
        let of_a = bins(&[(0, 10), (1, 12), (0, 12), (2, 15)]);
        assert_eq!(check(whole.clone()), Ok(Reading::Replicas(vec![of_a.clone(), of_b.clone()])));
        // one that is new is left out, and one that was reset once leaves its bin out
        let new = [whole.clone(), vec![line("c", "", [NO, NO, NO, 9.0])]].concat();
        assert_eq!(check(new), Ok(Reading::Replicas(vec![of_a, of_b])));
        let reset = [whole, vec![line("b", UNKNOWN, [NO, NO, 1.0, NO])]].concat();
        let left = vec![bins(&[(0, 10), (1, 12), (2, 15)]), bins(&[(0, 20), (0, 21), (0, 23)])];
        assert_eq!(check(reset), Ok(Reading::Replicas(left)));
        assert_eq!(check(vec![line("a", UNKNOWN, [1.0; 4])]), Ok(Reading::Replicas(vec![])));
    }

    #[test]
    fn more_replicas_than_are_told_apart_are_groups() {
        let many = (0..502).map(|n| line(&format!("{n:03}"), "", [1.0, 2.0, 3.0, 4.0])).collect();
        let Ok(Reading::Replicas(rows)) = check(many) else { panic!("no replicas") };
        assert_eq!(rows.len(), 500);
        assert_eq!(rows[1], bins(&[(0, 2), (0, 4), (0, 6), (0, 8)]));
        assert_eq!(rows[2], bins(&[(0, 1), (0, 2), (0, 3), (0, 4)]));
        let durations =
            |counts: &[u64]| Counted::Durations(Histogram::new([10].as_slice().into(), counts.to_vec()));
        assert_eq!(added(&durations(&[1, 2]), durations(&[3, 4])), durations(&[4, 6]));
        assert_eq!(added(&durations(&[1, 2]), bins(&[(0, 1)])[0].clone()), durations(&[1, 2]));
    }

    #[test]
    fn an_answer_to_another_question_is_an_error() {
        let mut elsewhere = line("a", "", [1.0; 4]);
        elsewhere.values[0].0 = 61.0;
        assert_eq!(check(vec![elsewhere]), Err(AnswerError::AnotherMoment("a value at 61".into())));
        let mut before = line("a", "", [1.0; 4]);
        before.values[0].0 = 0.0;
        assert_eq!(check(vec![before]), Err(AnswerError::AnotherMoment("a value at 0".into())));
        assert!(check(vec![line("a", "", [1.0, -7.0, 1.0, 1.0])]).is_err());
    }
}
