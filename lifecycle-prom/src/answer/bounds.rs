//! Histograms with different bounds.

use lifecycle_core::backend::{Counted, Histogram};

/// Makes what was counted of several arms comparable: where one has no count nobody has, and histograms keep the bounds that
/// all of them have. Two buckets become one by adding them up: nothing is interpolated. Without a common bound nothing can be
/// compared, and nobody has a count.
pub(crate) fn fit_together(mut arms: Vec<&mut Option<Counted>>) {
    if arms.iter().any(|arm| arm.is_none()) {
        arms.iter_mut().for_each(|arm| **arm = None);
        return;
    }
    let mut histograms: Vec<&mut Histogram> = Vec::new();
    for arm in &mut arms {
        if let Some(Counted::Durations(histogram)) = &mut **arm {
            histograms.push(histogram);
        }
    }
    let Some(first) = histograms.first().map(|first| first.bounds_us.clone()) else { return };
    if histograms.iter().all(|histogram| histogram.bounds_us == first) {
        return;
    }
    let of_all = |bound: &&u64| histograms.iter().all(|histogram| histogram.bounds_us.contains(*bound));
    let common: Vec<u64> = first.iter().filter(of_all).copied().collect();
    if common.is_empty() {
        arms.iter_mut().for_each(|arm| **arm = None);
        return;
    }
    for histogram in histograms {
        *histogram = with_bounds(histogram, &common);
    }
}

/// The same counts in the buckets between these of its bounds.
fn with_bounds(histogram: &Histogram, bounds: &[u64]) -> Histogram {
    let mut counts = vec![0; bounds.len() + 1];
    for (at, count) in histogram.counts.iter().enumerate() {
        // what is slower than every bound stays so
        let upper = histogram.bounds_us.get(at).copied().unwrap_or(u64::MAX);
        let into: usize = bounds.partition_point(|bound| *bound < upper);
        counts[into] += count;
    }
    Histogram::new(bounds.into(), counts)
}

#[cfg(test)]
mod tests {
    use lifecycle_core::backend::Counts;

    use super::*;

    fn durations(bounds: &[u64], counts: &[u64]) -> Option<Counted> {
        Some(Counted::Durations(Histogram::new(bounds.into(), counts.to_vec())))
    }

    fn check(arms: [Option<Counted>; 2], expected: [Option<Counted>; 2]) {
        let mut fitted = arms;
        fit_together(fitted.iter_mut().collect());
        assert_eq!(fitted, expected);
    }

    #[test]
    fn arms_are_comparable_or_have_no_count() {
        let (a, b) = (durations(&[10, 20, 50], &[1, 2, 3, 4]), durations(&[10, 50], &[5, 6, 7]));
        check([a.clone(), a.clone()], [a.clone(), a.clone()]);
        check([a.clone(), b.clone()], [durations(&[10, 50], &[1, 5, 4]), b.clone()]);
        check(
            [durations(&[20, 99], &[1, 2, 4]), a.clone()],
            [durations(&[20], &[1, 6]), durations(&[20], &[3, 7])],
        );
        check([durations(&[11], &[1, 2]), b.clone()], [None, None]);
        check([None, b], [None, None]);
        let requests = Some(Counted::Requests(Counts::default()));
        check([requests.clone(), requests.clone()], [requests.clone(), requests]);
    }
}
