//! The one seeded source of chance, and draws that cost nanoseconds.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

/// Below this mean a binomial draw is exact; above it the normal approximation is off by less than
/// the noise that it stands for.
const EXACT_BELOW: f64 = 12.0;

/// The same for one bucket of many, where it costs more and matters less.
const ROUGH_BELOW: f64 = 3.0;

/// Every random number of a simulated cluster comes from here, so that a seed replays to the same
/// bytes.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    source: Pcg64Mcg,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { source: Pcg64Mcg::seed_from_u64(seed) }
    }

    /// A whole number below `bound`, 0 when there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // multiply-shift: the bias is below bound / 2^64
        ((u128::from(self.source.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    fn uniform(&mut self) -> f64 {
        (self.source.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A standard normal number: the sum of eight uniform ones of 16 bits each. Its tails end at 4.9
    /// standard deviations.
    fn normal(&mut self) -> f64 {
        /// The standard deviation of that sum: the root of 8 / 12.
        const SPREAD: f64 = 0.816_496_580_927_726;
        let mut sum = 0;
        for _ in 0..2 {
            let word = self.source.next_u64();
            let pairs = (word & 0x0000_ffff_0000_ffff) + ((word >> 16) & 0x0000_ffff_0000_ffff);
            sum += (pairs & 0xffff_ffff) + (pairs >> 32);
        }
        // each 16-bit number stands for the middle of its interval
        ((sum as f64 + 4.0) / 65_536.0 - 4.0) * (1.0 / SPREAD)
    }

    /// How many of `n` independent things happen that each happen with probability `p`.
    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        self.draw(n, p, EXACT_BELOW)
    }

    /// The same for one bucket of many: faster, and a little off where few are expected.
    pub(crate) fn bucket(&mut self, n: u64, p: f64) -> u64 {
        self.draw(n, p, ROUGH_BELOW)
    }

    fn draw(&mut self, n: u64, p: f64, exact_below: f64) -> u64 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        // the rarer of the two is drawn
        let rare = p.min(1.0 - p);
        let mean = n as f64 * rare;
        let drawn = if mean >= exact_below {
            let drawn = mean + (mean * (1.0 - rare)).sqrt() * self.normal();
            // half up, without a call of the mathematics library
            ((drawn + 0.5).max(0.0) as u64).min(n)
        } else {
            self.binomial_by_inversion(n, rare)
        };
        if p > 0.5 { n - drawn } else { drawn }
    }

    /// Walks up the distribution until it has passed a uniform number.
    fn binomial_by_inversion(&mut self, n: u64, p: f64) -> u64 {
        let odds = p / (1.0 - p);
        let mut left = self.uniform();
        // n is below 2^31 here unless p is so small that nothing happens anyway
        let mut here = (1.0 - p).powi(i32::try_from(n).unwrap_or(i32::MAX));
        let mut k = 0;
        while left > here && k < n && k < 200 {
            left -= here;
            here *= odds * (n - k) as f64 / (k + 1) as f64;
            k += 1;
        }
        k
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(n: u64, p: f64) -> (f64, f64) {
        let mut chance = Chance::new(7);
        let draws: Vec<f64> = (0..20_000).map(|_| chance.binomial(n, p) as f64).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        (mean, variance)
    }

    #[test]
    fn binomial_draws_have_the_mean_and_variance_of_their_distribution() {
        for (n, p) in
            [(1, 0.3), (10, 0.5), (5000, 0.001), (500, 0.03), (4500, 0.2), (100, 0.97), (100_000, 0.999)]
        {
            let (mean, variance) = moments(n, p);
            let (want, spread) = (n as f64 * p, n as f64 * p * (1.0 - p));
            assert!(
                (mean - want).abs() < 5.0 * (spread / 20_000.0).sqrt(),
                "n {n} p {p}: mean {mean}, not {want}"
            );
            assert!((variance / spread - 1.0).abs() < 0.06, "n {n} p {p}: variance {variance}, not {spread}");
        }
    }

    #[test]
    fn certain_and_impossible_things_are_not_drawn() {
        let mut chance = Chance::new(1);
        assert_eq!((chance.binomial(9, 0.0), chance.binomial(9, 1.0), chance.binomial(0, 0.5)), (0, 9, 0));
    }

    #[test]
    fn a_number_below_a_bound_reaches_every_value() {
        let mut chance = Chance::new(3);
        let mut seen = [false; 7];
        for _ in 0..500 {
            seen[chance.below(7) as usize] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!(chance.below(0), 0);
    }
}
