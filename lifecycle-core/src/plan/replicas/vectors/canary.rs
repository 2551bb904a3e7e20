//! `replicas-canary.json`

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{CanaryScale, Ratio, Scaling, Set, Sets, Sizes, pod_ratio, routed, split};
use super::amount::{Written, limits};
use super::{Case, check, unknown_kind};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    n: u32,
    weight: u32,
    max_weight: u32,
    max_surge: Option<Written>,
    max_unavailable: Option<Written>,
    stable: Option<Group>,
    canary: Option<Group>,
    older: Option<Group>,
    #[serde(default)]
    extras: Extras,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    desired: u32,
    available: u32,
}

impl From<Group> for Set {
    fn from(group: Group) -> Self {
        Self::new(group.desired, group.available)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Extras {
    promote_full: bool,
    aborted: bool,
    abort_scale_down_delay_s: Option<u64>,
    min_per_set: Option<u32>,
    stable_is_canary: bool,
    canary_scale: Option<Scale>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Scale {
    replicas: Option<u32>,
    percent: Option<u32>,
    match_weight: bool,
}

impl Input {
    /// The weight that counts without a router, which knows no other size of the canary.
    fn ratio_weight(&self) -> u32 {
        match &self.extras {
            Extras { promote_full: true, .. } => self.max_weight,
            Extras { aborted: true, .. } => 0,
            _ => self.weight,
        }
    }

    fn pod_ratio(&self) -> Sizes {
        let limits = limits(self.max_surge, self.max_unavailable, self.n);
        let target = split(self.n, self.ratio_weight(), self.max_weight, limits.surge);
        let stable = self.stable.filter(|_| !self.extras.stable_is_canary);
        let sets = Sets {
            stable: stable.map(Set::from),
            canary: self.canary.map(Set::from),
            older: self.older.map(Set::from),
        };
        pod_ratio(self.n, limits, target, sets)
    }

    fn routed(&self) -> Sizes {
        let extras = &self.extras;
        let scaling = Scaling {
            canary_scale: extras.canary_scale.as_ref().and_then(Scale::meaning),
            min_per_set: extras.min_per_set.unwrap_or(0),
            all_traffic: extras.promote_full || extras.stable_is_canary,
            aborted: extras.aborted,
            keep_scale: extras.abort_scale_down_delay_s == Some(0),
        };
        routed(self.n, Ratio::new(self.weight, self.max_weight), scaling)
    }
}

impl Scale {
    fn meaning(&self) -> Option<CanaryScale> {
        match *self {
            Self { match_weight: true, .. } => None,
            Self { replicas: Some(replicas), .. } => Some(CanaryScale::Replicas(replicas)),
            Self { percent: Some(percent), .. } => Some(CanaryScale::Percent(percent)),
            Self { replicas: None, percent: None, match_weight: false } => None,
        }
    }
}

fn answer(case: &Case) -> Result<Value, String> {
    let sizes = match case.kind.as_str() {
        "pod-ratio" => case.input::<Input>()?.pod_ratio(),
        "routed" => case.input::<Input>()?.routed(),
        _ => return unknown_kind(case),
    };
    Ok(json!({"stable": sizes.stable, "canary": sizes.canary}))
}

#[test]
fn every_row_of_the_canary_table_holds() {
    check("replicas-canary.json", answer);
}
