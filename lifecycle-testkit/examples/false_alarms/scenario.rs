//! What goes wrong in both arms alike.

/// Noise that hits each arm by itself, of its rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Noise {
    None,
    /// Another rate in every look, up to so much higher or lower.
    EachLook(f64),
    /// A rate that wanders within these bounds, by a tenth of them a look.
    Walk(f64),
}

/// A way in which failures come, no more to the canary than to stable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The error rate of both arms.
    pub(crate) rate: f64,
    /// So many requests fail at once.
    pub(crate) clump: u64,
    /// The error rate of both arms during five minutes of the rollout.
    pub(crate) outage: Option<f64>,
    pub(crate) noise: Noise,
    /// Does the proof of the judge cover it? (Clumps, while the dispersion that was measured is no less than their size: it
    /// is an estimate with a margin.)
    pub(crate) is_covered: bool,
}

const INDEPENDENT: Scenario = Scenario {
    name: "independent",
    rate: 0.001,
    clump: 1,
    outage: None,
    noise: Noise::None,
    is_covered: true,
};

const SCENARIOS: [Scenario; 7] = [
    INDEPENDENT,
    Scenario { name: "clumps of 3", clump: 3, ..INDEPENDENT },
    Scenario { name: "clumps of 10", clump: 10, ..INDEPENDENT },
    Scenario { name: "bad baseline, 1.2 %", rate: 0.012, ..INDEPENDENT },
    Scenario { name: "shared outage, 20 %", outage: Some(0.2), ..INDEPENDENT },
    Scenario {
        name: "noisy arms, 20 % a look",
        noise: Noise::EachLook(0.2),
        is_covered: false,
        ..INDEPENDENT
    },
    Scenario { name: "drifting arms, 20 %", noise: Noise::Walk(0.2), is_covered: false, ..INDEPENDENT },
];

/// The canary's share of the requests, stage after stage of equal length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    pub(crate) name: &'static str,
    pub(crate) stages: &'static [f64],
}

const SHARES: [Shares; 2] =
    [Shares { name: "fixed", stages: &[0.1] }, Shares { name: "ramped", stages: &[0.05, 0.1, 0.25, 0.5] }];

/// Requests a second, of both arms together.
const RPS: [u64; 3] = [50, 500, 5_000];

/// Rollouts of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) scenario: Scenario,
    pub(crate) shares: Shares,
    pub(crate) rps: u64,
}

impl Cell {
    /// Every scenario with all shares and loads.
    pub(crate) fn all() -> Vec<Self> {
        let of = |scenario| {
            SHARES.into_iter().flat_map(move |shares| RPS.map(|rps| Self { scenario, shares, rps }))
        };
        SCENARIOS.into_iter().flat_map(of).collect()
    }
}
