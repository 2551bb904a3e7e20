//! `replicas-split.json`

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Ratio, Recorded, Set, abort_weight, routed_dynamic, split};
use super::canary::Group;
use super::{Case, check, unknown_kind};

/// Rows of these kinds give weights out of 100.
const PERCENT: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    n: u32,
    weight: u32,
    max_weight: u32,
    max_surge: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ceil {
    n: u32,
    weight: u32,
    max_weight: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dynamic {
    n: u32,
    step_weights: Vec<u32>,
    step_index: usize,
    aborted: bool,
    recorded: Option<Weights>,
    canary: Option<Group>,
    stable: Option<Group>,
    abort_scale_down_delay_s: Option<u64>,
    #[serde(default)]
    min_per_set: u32,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    canary: u32,
    stable: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Abort {
    n: u32,
    step_weights: Vec<u32>,
    abort_scale_down_delay_s: Option<u64>,
    canary: Option<Group>,
    stable: Option<Group>,
}

fn percents(weights: &[u32]) -> Vec<Ratio> {
    weights.iter().map(|&weight| Ratio::new(weight, PERCENT)).collect()
}

impl Abort {
    fn weight(&self) -> u32 {
        let steps = percents(&self.step_weights);
        let kept = self.abort_scale_down_delay_s.is_some_and(|delay| delay > 0);
        let weight =
            abort_weight(self.n, &steps, self.stable.map(Set::from), self.canary.map(Set::from), kept);
        weight.map_or(0, Ratio::weight)
    }
}

impl Dynamic {
    /// A step past the last one is the end of the steps: all traffic.
    fn wanted(&self) -> u32 {
        if !self.aborted {
            return self.step_weights.get(self.step_index).copied().unwrap_or(PERCENT);
        }
        let Self { n, ref step_weights, abort_scale_down_delay_s, canary, stable, .. } = *self;
        Abort { n, step_weights: step_weights.clone(), abort_scale_down_delay_s, canary, stable }.weight()
    }

    fn sizes(&self) -> Value {
        let recorded = self.recorded.map(|weights| Recorded {
            canary: Ratio::new(weights.canary, PERCENT),
            stable: Ratio::new(weights.stable, PERCENT),
        });
        let wanted = Ratio::new(self.wanted(), PERCENT);
        let sizes = routed_dynamic(self.n, wanted, recorded, self.aborted, self.min_per_set);
        json!({"canary": sizes.canary, "stable": sizes.stable})
    }
}

fn answer(case: &Case) -> Result<Value, String> {
    Ok(match case.kind.as_str() {
        "pod-ratio" => {
            let Split { n, weight, max_weight, max_surge } = case.input()?;
            let sizes = split(n, weight, max_weight, max_surge);
            json!({"canary": sizes.canary, "stable": sizes.stable})
        }
        "ceil" => {
            let Ceil { n, weight, max_weight } = case.input()?;
            json!({"instances": Ratio::new(weight, max_weight).ceil(n)})
        }
        "routed-dynamic" => case.input::<Dynamic>()?.sizes(),
        "abort-weight" => json!({"weight": case.input::<Abort>()?.weight()}),
        _ => return unknown_kind(case),
    })
}

#[test]
fn every_row_of_the_split_table_holds() {
    check("replicas-split.json", answer);
}
