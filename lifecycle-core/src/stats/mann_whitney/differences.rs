//! All differences between a sample of one arm and one of another, in order, without a list of them.

use super::samples::Samples;

/// The differences `canary - baseline` of every pair of samples.
///
/// There are as many as pairs, up to 10^10, and three of them are wanted: they are found by bisection, which counts the
/// differences up to a bound in one walk over both arms. That takes about 64 walks each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Differences<'a> {
    canary: &'a [f64],
    baseline: &'a [f64],
}

impl<'a> Differences<'a> {
    /// Between these arms; `None` when one has no samples.
    pub(super) fn between(canary: &'a Samples, baseline: &'a Samples) -> Option<Self> {
        let both = !canary.is_empty() && !baseline.is_empty();
        both.then(|| Self { canary: canary.rising(), baseline: baseline.rising() })
    }

    /// How many there are, at least one.
    pub(super) const fn len(&self) -> u64 {
        self.canary.len() as u64 * self.baseline.len() as u64
    }

    /// The one with so many below it (or equal to it and before it); the greatest when there are fewer.
    pub(super) fn nth(&self, rank: u64) -> f64 {
        let rank = rank.min(self.len() - 1);
        let (mut least, mut most) = (place(f64::MIN), place(f64::MAX));
        // of all numbers, the least one up to which there are more than `rank`: that one is a difference
        while least < most {
            let middle = u64::midpoint(least, most);
            if self.up_to(number(middle)) > rank {
                most = middle;
            } else {
                least = middle + 1;
            }
        }
        // (-0 is the least of two numbers that are equal)
        number(least) + 0.0
    }

    /// How many are `bound` at the most.
    ///
    /// Subtraction rounds, but never turns an order around: while the canary's sample rises, the baseline's samples that
    /// are too low for it only become more.
    fn up_to(&self, bound: f64) -> u64 {
        let mut rest = self.baseline;
        let of = |canary: &f64| {
            while let [lowest, higher @ ..] = rest
                && canary - lowest > bound
            {
                rest = higher;
            }
            rest.len() as u64
        };
        self.canary.iter().map(of).sum()
    }

    /// The median, half way between two where their number is even.
    pub(super) fn median(&self) -> f64 {
        let middle = self.len() / 2;
        let above = self.nth(middle);
        if self.len().is_multiple_of(2) { f64::midpoint(self.nth(middle - 1), above) } else { above }
    }
}

/// Where a number is among all numbers: a whole number that rises with it.
const fn place(number: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = number.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The number at this place.
const fn number(place: u64) -> f64 {
    const SIGN: u64 = 1 << 63;
    f64::from_bits(if place & SIGN == 0 { !place } else { place & !SIGN })
}

#[cfg(test)]
mod tests {
    use super::super::samples::Missing;
    use super::*;

    #[test]
    fn places_are_in_the_order_of_numbers() {
        let numbers =
            [f64::MIN, -1.5, -f64::MIN_POSITIVE, -0.0, 0.0, 5e-324, 1.0, 1.0_f64.next_up(), f64::MAX];
        for pair in numbers.windows(2) {
            assert!(place(pair[0]) < place(pair[1]), "{pair:?}");
        }
        for n in numbers {
            assert_eq!(number(place(n)).to_bits(), n.to_bits());
        }
    }

    #[test]
    fn every_difference_is_found_at_its_rank() {
        let arm = |values: &[f64]| Samples::new("arm", values, Missing::Remove).unwrap();
        for (canary, baseline) in [
            (arm(&[1.0, 1.0, 2.5, -3.0, 0.1]), arm(&[0.1, 0.2, 0.2, 7.0])),
            (arm(&[0.0, 0.0]), arm(&[0.0])),
            (arm(&[1e300, -1e300, 5e-324]), arm(&[-1e300, 1e300, 0.0])),
        ] {
            let (canary, baseline) = (&canary, &baseline);
            let mut all: Vec<f64> =
                canary.rising().iter().flat_map(|c| baseline.rising().iter().map(move |b| c - b)).collect();
            all.sort_unstable_by(f64::total_cmp);
            let differences = Differences::between(canary, baseline).unwrap();
            let found: Vec<f64> = (0..differences.len()).map(|rank| differences.nth(rank)).collect();
            // (by their bits: a difference of 0 has no sign)
            assert_eq!(
                found.iter().map(|d| d.to_bits()).collect::<Vec<_>>(),
                all.iter().map(|d| d.to_bits()).collect::<Vec<_>>()
            );
            assert_eq!(differences.nth(u64::MAX), all[all.len() - 1]);
        }
        assert!(Differences::between(&arm(&[]), &arm(&[1.0])).is_none());
    }
}
