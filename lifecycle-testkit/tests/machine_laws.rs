//! Laws of the machine over whatever backends may say, true or not: it never panics, the same step is the
//! same decision, a state comes back from its text, and a command is carried out once (S14).
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

use lifecycle_core::backend::Token;
use lifecycle_core::machine::{self, EventKind, Observation, State};
use lifecycle_core::plan::{Hold, Mode, Plan, PlanBuilder, Weight};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::Version;
use lifecycle_testkit::strategies::observations;
use proptest::collection::vec;
use proptest::prelude::*;

fn plans() -> impl Strategy<Value = Plan> {
    let mode = prop_oneof![
        Just(Mode::Ratio),
        Just(Mode::Exclusive),
        any::<bool>().prop_map(|dynamic_stable| Mode::Routed { dynamic_stable })
    ];
    (mode, 1u32..=100, any::<bool>()).prop_map(|(mode, first, approval)| {
        let first = Weight::new(first).unwrap();
        let mut analysis = lifecycle_core::analysis::AnalysisPlan::default();
        analysis.checks = vec!["error_rate < 1%".parse().unwrap(), "no_critical_alerts".parse().unwrap()];
        let builder = PlanBuilder::new("any", mode).analysis(analysis);
        let minute = Millis::from_secs(60);
        let builder = if mode == Mode::Exclusive {
            builder.step(Hold::new(Weight::FULL, minute).approval(approval))
        } else {
            builder.step(Hold::new(first, minute).approval(approval)).step(Hold::new(Weight::FULL, minute))
        };
        builder.build().unwrap()
    })
}

fn states() -> impl Strategy<Value = State> {
    (0u32..6).prop_map(|n| {
        if n == 0 { State::default() } else { State::serving(Version::new(1, 4, 0), "1.4.0", n) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_observed_the_machine_decides_and_decides_the_same_again(
        plan in plans(),
        mut state in states(),
        seen in vec((observations(), 0u64..120_000), 1..20),
    ) {
        let mut now = Timestamp::ZERO;
        for (observation, wait) in seen {
            now = now + Millis(wait);
            let _ = machine::queries(&plan, &state, now);
            let first = machine::step(&plan, &state, now, &observation);
            prop_assert_eq!(&first, &machine::step(&plan, &state, now, &observation));
            prop_assert!(first.state.epoch >= state.epoch && first.state.token >= state.token);
            prop_assert!(first.wake_at.is_none_or(|wake| wake >= now));

            let text = serde_json::to_string(&first.state).unwrap();
            let back: State = serde_json::from_str(&text).unwrap();
            let mut stored = first.state.clone();
            stored.unsaved = Millis::ZERO;
            prop_assert_eq!(&back, &stored);
            state = first.state;
        }
    }

    #[test]
    fn a_command_that_arrives_again_is_not_carried_out_again(
        plan in plans(),
        state in states(),
        observation in observations(),
    ) {
        let first = machine::step(&plan, &state, Timestamp::ZERO, &observation);
        let again = machine::step(&plan, &first.state, Timestamp::ZERO, &observation);
        let answers = |events: &[machine::Event]| {
            events
                .iter()
                .filter(|event| matches!(event.kind, EventKind::CommandDone { .. } | EventKind::CommandRefused { .. }))
                .count()
        };
        prop_assert_eq!(answers(&first.events), observation.commands.len());
        prop_assert_eq!(answers(&again.events), 0);
    }

    #[test]
    fn nothing_observed_moves_no_replicas(plan in plans(), state in states(), wait in 0u64..60_000) {
        let first = machine::step(&plan, &state, Timestamp::from_millis(wait), &Observation::default());
        prop_assert!(first.actions.is_empty());
        prop_assert_eq!(first.state.token, Token::default());
    }
}
