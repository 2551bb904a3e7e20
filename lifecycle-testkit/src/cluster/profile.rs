//! How one version behaves: its errors, its latency, its readiness.

use std::sync::{Arc, LazyLock};

use lifecycle_core::time::Millis;

use super::rng::Chance;

/// Finite latency buckets: upper bounds of 1 ms times 1.2 to the power of 0 to 59 (47 s).
pub(crate) const BUCKETS: usize = 60;

/// The upper bounds of the buckets in microseconds.
pub(crate) static BOUNDS_US: LazyLock<Arc<[u64]>> = LazyLock::new(|| {
    let mut bound = 1000.0_f64;
    (0..BUCKETS)
        .map(|_| {
            let us = bound.round() as u64;
            bound *= 1.2;
            us
        })
        .collect()
});

/// How one version behaves. The default is a healthy one.
///
/// # Example
/// ```
/// # use lifecycle_testkit::cluster::{Profile, Readiness};
/// # use lifecycle_core::time::Millis;
/// let slow_starter = Profile::default().ready(Readiness::After(Millis::from_secs(60)));
/// assert_eq!(slow_starter.error_rate, 0.001);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// Share of its requests that fail, 0 to 1. Default 0.001.
    pub error_rate: f64,
    /// Median request duration. Default 80 ms.
    pub latency_p50: Millis,
    /// 95th percentile of the request duration, at least the median. Default 200 ms.
    pub latency_p95: Millis,
    /// When its replicas pass their readiness probe.
    pub ready: Readiness,
    /// Requests a second (in thousandths) that one replica can take; `None` is no limit.
    pub capacity: Option<Rate>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            error_rate: 0.001,
            latency_p50: Millis(80),
            latency_p95: Millis(200),
            ready: Readiness::AtOnce,
            capacity: None,
        }
    }
}

impl Profile {
    /// With this share of failing requests, 0 to 1.
    #[must_use]
    pub const fn error_rate(mut self, share: f64) -> Self {
        self.error_rate = share;
        self
    }

    /// With this median and this 95th percentile of the request duration.
    #[must_use]
    pub const fn latency(mut self, p50: Millis, p95: Millis) -> Self {
        self.latency_p50 = p50;
        self.latency_p95 = p95;
        self
    }

    /// With this readiness.
    #[must_use]
    pub const fn ready(mut self, ready: Readiness) -> Self {
        self.ready = ready;
        self
    }

    /// With this many requests a second per replica at most.
    #[must_use]
    pub const fn capacity(mut self, capacity: Option<Rate>) -> Self {
        self.capacity = capacity;
        self
    }
}

/// When the replicas of a version pass their readiness probe, counted from the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// As soon as the process runs.
    #[default]
    AtOnce,
    /// At the first probe at or after this time.
    After(Millis),
    /// Not at all.
    Never,
    /// Healthy for this long, unhealthy for as long, and so on.
    Flapping(Millis),
}

impl Readiness {
    /// Would a probe pass, this many milliseconds after the process has started, and until when
    /// does that not change?
    pub(super) const fn at(self, ms: u64) -> (bool, u64) {
        match self {
            Self::AtOnce => (true, u64::MAX),
            Self::Never => (false, u64::MAX),
            Self::After(Millis(d)) if ms < d => (false, d),
            Self::After(_) => (true, u64::MAX),
            Self::Flapping(Millis(0)) => (true, u64::MAX),
            Self::Flapping(Millis(d)) => ((ms / d).is_multiple_of(2), (ms / d + 1).saturating_mul(d)),
        }
    }
}

/// Requests a second, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// The most that is accepted: a million requests a second.
    pub const MAX: Self = Self(1_000_000_000);

    /// This many requests a second.
    #[must_use]
    pub const fn per_second(requests: u32) -> Self {
        Self(requests as u64 * 1000)
    }

    /// This many requests a second, to the nearest thousandth; `None` below 0, above [`Rate::MAX`],
    /// and for what is no number.
    #[must_use]
    pub fn from_f64(requests: f64) -> Option<Self> {
        (0.0..=1_000_000.0).contains(&requests).then(|| Self((requests * 1000.0).round() as u64))
    }

    /// Millionths of a request a millisecond, which is the same number as thousandths a second.
    pub(super) const fn micro_per_ms(self) -> u64 {
        self.0
    }
}

/// Buckets at both ends that hold a smaller share than this are left out.
const NEGLIGIBLE: f64 = 1e-6;

/// A log-normal distribution of durations, cut into the buckets.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    /// The first bucket that is ever hit.
    first: usize,
    /// From there: the chance to end in this bucket for what did not end in one before.
    chances: Vec<f64>,
}

impl Latency {
    pub(super) fn of(profile: &Profile) -> Self {
        // the 95th percentile of a normal distribution is 1.6449 standard deviations up
        let mu = (profile.latency_p50.get().max(1) as f64).ln();
        let sigma = ((profile.latency_p95.get().max(1) as f64).ln() - mu).max(0.0) / 1.644_853_626_951_472_7;
        let upto = |us: u64| {
            let z = (us as f64 / 1000.0).ln() - mu;
            if sigma > 0.0 { normal_cdf(z / sigma) } else { f64::from(u8::from(z >= -1e-12)) }
        };
        let (mut first, mut chances, mut before) = (BUCKETS, Vec::new(), 0.0);
        for (i, &bound) in BOUNDS_US.iter().enumerate() {
            let here = upto(bound);
            if here <= NEGLIGIBLE {
                continue;
            }
            first = first.min(i);
            chances.push(((here - before) / (1.0 - before)).clamp(0.0, 1.0));
            before = here;
            if before >= 1.0 - NEGLIGIBLE {
                break;
            }
        }
        if let (Some(last), true) = (chances.last_mut(), before >= 1.0 - NEGLIGIBLE) {
            *last = 1.0;
        }
        Self { first, chances }
    }

    /// Adds `n` durations to these buckets.
    pub(super) fn sample(&self, chance: &mut Chance, n: u64, buckets: &mut [u64; BUCKETS + 1]) {
        let mut left = n;
        for (bucket, &p) in buckets[self.first..].iter_mut().zip(&self.chances) {
            if left == 0 {
                return;
            }
            let here = chance.bucket(left, p);
            *bucket += here;
            left -= here;
        }
        buckets[BUCKETS] += left;
    }
}

/// The normal distribution function, to 1e-7 (Abramowitz and Stegun, 7.1.26).
fn normal_cdf(z: f64) -> f64 {
    let x = z.abs() * std::f64::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * poly * (-x * x).exp();
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lifecycle_core::backend::Histogram;

    #[test]
    fn sampled_latencies_have_the_asked_for_quantiles() {
        let mut chance = Chance::new(11);
        for (p50, p95) in [(80, 200), (80, 90), (5, 400), (300, 2000)] {
            let latency = Latency::of(&Profile::default().latency(Millis(p50), Millis(p95)));
            let mut buckets = [0; BUCKETS + 1];
            for _ in 0..100 {
                latency.sample(&mut chance, 5000, &mut buckets);
            }
            let histogram = Histogram::new(BOUNDS_US.clone(), buckets.to_vec());
            assert_eq!(histogram.total(), 500_000);
            for (per_mille, ms) in [(500, p50), (950, p95)] {
                let us = histogram.quantile_us(per_mille).unwrap() as f64;
                // linear interpolation inside a bucket that grows by 1.2 is off by a few percent
                assert!(
                    (us / (ms as f64 * 1000.0) - 1.0).abs() < 0.1,
                    "p50 {p50} p95 {p95}: {per_mille} is {us} us"
                );
            }
        }
    }

    #[test]
    fn a_constant_latency_stays_in_one_bucket() {
        let mut buckets = [0; BUCKETS + 1];
        let latency = Latency::of(&Profile::default().latency(Millis(80), Millis(80)));
        latency.sample(&mut Chance::new(1), 1000, &mut buckets);
        assert_eq!(buckets.iter().filter(|&&n| n > 0).count(), 1);
    }

    #[test]
    fn what_is_slower_than_every_bound_is_kept_in_the_last_bucket() {
        let mut buckets = [0; BUCKETS + 1];
        let latency = Latency::of(&Profile::default().latency(Millis(100_000), Millis(100_000)));
        latency.sample(&mut Chance::new(1), 1000, &mut buckets);
        assert_eq!(buckets[BUCKETS], 1000);
    }

    #[test]
    fn a_flapping_version_is_healthy_first() {
        let flapping = Readiness::Flapping(Millis(10));
        assert_eq!(flapping.at(0), (true, 10));
        assert_eq!(flapping.at(10), (false, 20));
        assert_eq!(flapping.at(25), (true, 30));
    }
}
