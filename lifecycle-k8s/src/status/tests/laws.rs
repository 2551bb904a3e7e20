//! Laws over whatever states the machine reaches.

use lifecycle_core::analysis::AnalysisPlan;
use lifecycle_core::machine::{State, step_explained};
use lifecycle_core::plan::{Hold, Mode, Plan, PlanBuilder, Weight};
use lifecycle_core::report::{self, WirePhase, wire_phase};
use lifecycle_core::time::{Millis, Timestamp as At};
use lifecycle_core::version::Version;
use lifecycle_testkit::strategies::observations;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use super::says;
use crate::names::condition::{self, AVAILABLE, PROGRESSING, READY};

fn plans() -> impl Strategy<Value = Plan> {
    let modes = [Mode::Ratio, Mode::Exclusive, Mode::Routed { dynamic_stable: false }];
    prop::sample::select(modes.to_vec()).prop_map(|mode| {
        let mut analysis = AnalysisPlan::default();
        analysis.checks = vec!["error_rate < 1%".parse().unwrap()];
        let hold = Hold::new(Weight::FULL, Millis::from_secs(60)).approval(true);
        PlanBuilder::new("any", mode).analysis(analysis).step(hold).build().unwrap()
    })
}

proptest! {
    #[test]
    fn whatever_the_machine_reaches_is_told_and_told_the_same_again(
        plan in plans(),
        serving in 0u32..6,
        seen in vec((observations(), 0u64..120_000), 1..20),
    ) {
        let mut state = match serving {
            0 => State::default(),
            n => State::serving(Version::new(1, 4, 0), "1.4.0", n),
        };
        let mut status = AgentDeploymentStatus::default();
        let mut at = At::ZERO;
        for (observation, wait) in seen {
            at = at + Millis(wait);
            let transition = step_explained(&plan, &state, at, &observation);
            state = transition.state;
            let said = checks(&status.checks, &transition.looks, None);
            // (whoever reads them twice knows no more)
            prop_assert_eq!(&checks(&said, &transition.looks, None), &said);
            let time = Timestamp::from_millisecond(i64::try_from(at.as_millis()).unwrap()).unwrap();
            let report = report::Status::of(&plan, &state, &observation.route);
            let seen = Seen { plan: Some(&plan), status: Some(&report), checks: Some(&said), ..Seen::of(&state) };
            let after = render(&status, seen.clone(), time);
            let types: Vec<&str> = after.conditions.iter().map(|condition| &*condition.type_).collect();
            prop_assert_eq!(types, condition::ALL);
            for (old, new) in status.conditions.iter().zip(&after.conditions) {
                let changed = old.last_transition_time != new.last_transition_time;
                prop_assert!(!changed || old.status != new.status, "{:?} {:?}", old, new);
                let passed = new.last_transition_time.0.as_second() == time.as_second();
                prop_assert!(old.status == new.status || passed, "{:?} {:?}", old, new);
            }
            for check in &after.checks {
                prop_assert!(check.since <= check.at, "{:?}", check);
                prop_assert!(check.counted_from.as_ref().is_none_or(|from| from <= &check.at), "{:?}", check);
            }
            for condition in &after.conditions {
                let word = condition.reason.chars().all(|c| c.is_ascii_alphanumeric());
                prop_assert!(word && !condition.reason.is_empty(), "{}", condition.reason);
            }
            // what was written is read again, and nothing is left to write an hour later
            let text = serde_json::to_string(&after).unwrap();
            let back: AgentDeploymentStatus = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back, &after);
            let later = time + k8s_openapi::jiff::SignedDuration::from_hours(1);
            prop_assert_eq!(&render(&back, seen, later), &after);

            let ready = says(&after, READY).starts_with("True");
            let healthy = phase(&state) == Phase::Healthy && wire_phase(&state) == WirePhase::Healthy;
            prop_assert!(!ready || healthy, "ready only when what is asked for serves");
            prop_assert!(!ready || says(&after, PROGRESSING).starts_with("False"));
            prop_assert!(!ready || says(&after, AVAILABLE).starts_with("True"));
            status = after;
        }
    }
}
