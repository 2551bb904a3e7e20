//! One rollout of a version that is no worse, as the judge sees it.

use lifecycle_core::stats::{Counts, Dispersion, Evidence, GridTest, Halves, Look};
use rand_distr::{Binomial, Distribution as _, Uniform};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng as _;

use crate::Problem;
use crate::scenario::{Cell, Noise};

/// Seconds between two looks.
const LOOK: u64 = 10;
/// Half an hour.
const LOOKS: usize = 180;
/// Looks of an outage: five minutes.
const OUTAGE: usize = 30;
/// Seconds of a bin in which the halves of stable are compared.
const BIN: u64 = 60;
/// Before the first look, as many as a rollout asks for.
const BINS: usize = 60;

/// What the judge made of it.
#[derive(Debug)]
pub(crate) struct Rollout {
    /// The greatest ln E of all looks.
    pub(crate) most: f64,
    /// The temper that was measured before.
    pub(crate) eta: f64,
}

impl Rollout {
    /// By this seed; an untempered judge ignores what was measured.
    pub(crate) fn run(cell: &Cell, seed: u64, tempered: bool) -> Result<Self, Problem> {
        let mut world = World { cell, chance: Pcg64Mcg::seed_from_u64(seed), factors: [1.0; 2] };
        // (where nothing is known the judge goes on untempered)
        let eta = if tempered { world.dispersion()?.known_temper().unwrap_or(1.0) } else { 1.0 };
        let test = GridTest::of_rates(1.0, eta)?;
        let (mut evidence, mut most) = (Evidence::default(), f64::NEG_INFINITY);
        let outage = Uniform::new(0, LOOKS - OUTAGE)?.sample(&mut world.chance);
        for at in 0..LOOKS {
            let outage = cell.scenario.outage.filter(|_| (outage..outage + OUTAGE).contains(&at));
            let look = world.look(at, outage.unwrap_or(cell.scenario.rate))?;
            most = most.max(test.look(&mut evidence, look));
        }
        Ok(Self { most, eta })
    }
}

struct World<'a> {
    cell: &'a Cell,
    chance: Pcg64Mcg,
    /// By how much noise has changed the rate of each arm.
    factors: [f64; 2],
}

impl World<'_> {
    /// Of two halves of stable's replicas, before the canary is there. What only this arm suffers, both halves share.
    fn dispersion(&mut self) -> Result<Dispersion, Problem> {
        let mut bins = Vec::with_capacity(BINS);
        for _ in 0..BINS {
            let [a, b] = self.arms(BIN, 0.5, [self.cell.scenario.rate; 2])?;
            bins.push(Halves { a, b });
        }
        Ok(Dispersion::of(&bins))
    }

    /// What was counted since the look before.
    fn look(&mut self, at: usize, rate: f64) -> Result<Look, Problem> {
        let stages = self.cell.shares.stages;
        let share = stages.get(at * stages.len() / LOOKS).copied().ok_or("no such stage")?;
        for arm in 0..self.factors.len() {
            self.factors[arm] = self.noise(self.factors[arm])?;
        }
        let [canary, stable] = self.arms(LOOK, share, self.factors.map(|factor| rate * factor))?;
        Ok(Look::new(canary, stable))
    }

    /// By how much an arm's rate is changed after it was by so much.
    fn noise(&mut self, factor: f64) -> Result<f64, Problem> {
        Ok(match self.cell.scenario.noise {
            Noise::None => 1.0,
            Noise::EachLook(most) => Uniform::new(1.0 - most, 1.0 + most)?.sample(&mut self.chance),
            Noise::Walk(most) => {
                let step = Uniform::new(-most / 10.0, most / 10.0)?.sample(&mut self.chance);
                (factor + step).clamp(1.0 - most, 1.0 + most)
            }
        })
    }

    /// The requests of so many seconds and their failures, this share of them in the first arm.
    fn arms(&mut self, seconds: u64, share: f64, rates: [f64; 2]) -> Result<[Counts; 2], Problem> {
        let all = self.cell.rps * seconds;
        let first = self.binomial(all, share)?;
        let [a, b] = [(first, rates[0]), (all - first, rates[1])]
            .map(|(requests, rate)| Ok::<_, Problem>(Counts::new(self.failures(requests, rate)?, requests)?));
        Ok([a?, b?])
    }

    /// So many clumps that `rate` of all requests fail on average.
    fn failures(&mut self, requests: u64, rate: f64) -> Result<u64, Problem> {
        let clump = self.cell.scenario.clump;
        let clumps = requests / clump;
        if clumps == 0 {
            return Ok(0);
        }
        // (the requests that fill no clump fail no less)
        let rate = rate * requests as f64 / (clumps * clump) as f64;
        Ok(clump * self.binomial(clumps, rate)?)
    }

    fn binomial(&mut self, n: u64, p: f64) -> Result<u64, Problem> {
        Ok(Binomial::new(n, p)?.sample(&mut self.chance))
    }
}
