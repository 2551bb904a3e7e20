//! `rolling-deployment.json`

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Set;
use super::super::rolling::{
    NewReplicas, Rescale, Told, Trajectory, fenceposts, new_set_size, old_sets_sizes,
};
use super::super::status::{Counts, LastReport, complete, deadline_exceeded, progressed};
use super::amount::{Written, limits};
use super::{Case, check, unknown_kind};
use crate::time::Millis;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posts {
    n: u32,
    max_surge: Option<Written>,
    max_unavailable: Option<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proportional {
    size_before: u32,
    size_after: u32,
    max_surge_before: Written,
    max_surge_after: Written,
    new: Option<u32>,
    /// Newest first.
    old: Vec<u32>,
    /// `new`, or `old` and an index: the total that this one was told.
    #[serde(default)]
    size_seen: BTreeMap<String, u32>,
}

impl Proportional {
    fn sizes(mut self) -> Result<Value, String> {
        let mut told = |name: String, size| Told { size, seen: self.size_seen.remove(&name) };
        let new = self.new.map(|size| told("new".to_owned(), size));
        let old = self.old.iter().enumerate().map(|(at, &size)| told(format!("old{at}"), size)).collect();
        if let Some((name, _)) = self.size_seen.first_key_value() {
            return Err(format!("size_seen names {name}, which is no set of this row"));
        }
        let scaled = Rescale {
            size_before: self.size_before,
            size_after: self.size_after,
            surge_before: self.max_surge_before.rounded_up(self.size_before),
            surge_after: self.max_surge_after.rounded_up(self.size_after),
            new,
            old,
        }
        .sizes();
        Ok(json!({"new": scaled.new, "old": scaled.old}))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSet {
    n: u32,
    max_surge: Written,
    new: u32,
    old_total: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldSets {
    n: u32,
    max_surge: Option<Written>,
    max_unavailable: Option<Written>,
    new: Group,
    /// Oldest first.
    old: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    size: u32,
    available: u32,
}

impl From<Group> for Set {
    fn from(group: Group) -> Self {
        Self::new(group.size, group.available)
    }
}

impl OldSets {
    fn sizes(self) -> Value {
        let limits = limits(self.max_surge, self.max_unavailable, self.n);
        let old: Vec<Set> = self.old.into_iter().map(Set::from).collect();
        json!({"old": old_sets_sizes(self.n, limits, self.new.into(), &old)})
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Complete {
    n: u32,
    instances: u32,
    updated: u32,
    available: u32,
    observed_generation_current: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Progressing {
    before: Status,
    after: Status,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    instances: u32,
    updated: u32,
    ready: u32,
    available: u32,
}

impl From<Status> for Counts {
    fn from(Status { instances, updated, ready, available }: Status) -> Self {
        Self { instances, updated, ready, available }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deadline {
    progress_deadline_s: Option<u32>,
    last_progress_age_s: u64,
    last_reason: Option<String>,
}

impl Deadline {
    fn timed_out(&self) -> bool {
        // the largest 32-bit integer is Kubernetes' way to write "no deadline"
        let deadline = self.progress_deadline_s.filter(|&seconds| seconds != i32::MAX.unsigned_abs());
        let last = self.last_reason.as_deref().map(|reason| match reason {
            "new-set-available" => LastReport::Available,
            "deadline-exceeded" => LastReport::DeadlineExceeded,
            _ => LastReport::Progress(Millis::from_secs(self.last_progress_age_s)),
        });
        deadline_exceeded(deadline.map(|seconds| Millis::from_secs(seconds.into())), last)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacement {
    n: u32,
    max_surge: Option<Written>,
    max_unavailable: Option<Written>,
    environment: Environment,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Environment {
    Instant,
    NewNeverAvailable,
}

impl Replacement {
    fn steps(&self) -> Value {
        let replicas = match self.environment {
            Environment::Instant => NewReplicas::Instant,
            Environment::NewNeverAvailable => NewReplicas::Never,
        };
        let limits = limits(self.max_surge, self.max_unavailable, self.n);
        let steps: Vec<_> = Trajectory::new(self.n, limits, replicas).collect();
        json!({"steps": steps})
    }
}

fn answer(case: &Case) -> Result<Value, String> {
    Ok(match case.kind.as_str() {
        "fenceposts" => match case.input::<Posts>() {
            Ok(Posts { n, max_surge, max_unavailable }) => {
                let posts = fenceposts(max_surge.map(|w| w.0), max_unavailable.map(|w| w.0), n);
                json!({"surge": posts.surge, "unavailable": posts.unavailable})
            }
            Err(problem) if problem.contains("neither an integer nor a percentage") => json!({"error": true}),
            Err(problem) => return Err(problem),
        },
        "effective-unavailable" => {
            let Posts { n, max_surge, max_unavailable } = case.input()?;
            json!({"unavailable": limits(max_surge, max_unavailable, n).unavailable})
        }
        "proportional-scale" => case.input::<Proportional>()?.sizes()?,
        "new-set-size" => {
            let NewSet { n, max_surge, new, old_total } = case.input()?;
            json!({"new": new_set_size(n, max_surge.rounded_up(n), new, old_total)})
        }
        "old-sets-size" => case.input::<OldSets>()?.sizes(),
        "complete" => {
            let Complete { n, instances, updated, available, observed_generation_current } = case.input()?;
            let counts = Counts { instances, updated, ready: available, available };
            json!({"complete": complete(n, counts, observed_generation_current)})
        }
        "progressing" => {
            let Progressing { before, after } = case.input()?;
            json!({"progress": progressed(before.into(), after.into())})
        }
        "deadline" => json!({"timed_out": case.input::<Deadline>()?.timed_out()}),
        "trajectory" => case.input::<Replacement>()?.steps(),
        _ => return unknown_kind(case),
    })
}

#[test]
fn every_row_of_the_rolling_table_holds() {
    check("rolling-deployment.json", answer);
}
