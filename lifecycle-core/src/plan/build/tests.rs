use super::*;

fn weight(percent: u32) -> Weight {
    Weight::new(percent).unwrap()
}

fn builder(mode: Mode) -> PlanBuilder {
    PlanBuilder::new("test", mode)
}

fn hold(percent: u32) -> Hold {
    Hold::new(weight(percent), Millis::ZERO)
}

fn zero_interval() -> AnalysisPlan {
    AnalysisPlan { interval: Millis::ZERO, ..AnalysisPlan::default() }
}

#[test]
fn a_plan_that_breaks_a_rule_is_refused_with_the_rule() {
    let ratio = || builder(Mode::Ratio);
    let one = || ratio().step(hold(100));
    let hook = PlannedHook::new(crate::backend::HookPoint::Smoke, "http://h".into(), Millis(1), true);
    for (builder, error) in [
        (ratio(), "steps: there are none"),
        ((0..65).fold(ratio(), |builder, _| builder.step(hold(1))), "steps: 65 steps are more than 64"),
        (ratio().step(hold(50)).step(hold(20)), "steps[1]: weight 20% is below the 50% of the step before"),
        (ratio().step(hold(1).size(Size::Exactly(0))), "steps[0]: no replica to carry a weight of 1%"),
        (
            ratio().step(hold(1).size(Size::Share(Weight::ZERO))),
            "steps[0]: no replica to carry a weight of 1%",
        ),
        (
            one().limits(Amount::Replicas(0), Amount::Percent(0)),
            "maxSurge: maxSurge and maxUnavailable are both 0",
        ),
        (one().limits(Amount::Percent(101), Amount::Replicas(0)), "maxSurge: 101% is not a percentage"),
        (one().limits(Amount::Replicas(1), Amount::Percent(101)), "maxUnavailable: 101% is not a percentage"),
        (one().progress_deadline(Millis::ZERO), "progressDeadline: 0s is too short"),
        (one().analysis(zero_interval()), "analysis.interval: 0s is too short"),
        (one().readiness_attempts(0), "readinessAttempts: 0 attempts"),
        ((0..65).fold(one(), |builder, _| builder.hook(hook.clone())), "hooks: 65 hooks are more than 64"),
        (builder(Mode::Exclusive).step(hold(50)).step(hold(100)), "steps[1]: an exclusive plan has one step"),
    ] {
        let refused = builder.build().unwrap_err().to_string();
        assert!(refused.starts_with(error), "{refused}");
    }
}

#[test]
fn a_plan_at_the_edge_of_the_rules_is_built() {
    let steps = (0..64).fold(builder(Mode::Ratio), |builder, _| builder.step(hold(20)));
    assert_eq!(steps.build().unwrap().steps().len(), 64, "weights may repeat");
    let preview = builder(Mode::Ratio).step(hold(0).size(Size::Exactly(0)));
    assert!(preview.limits(Amount::Percent(0), Amount::Percent(1)).build().is_ok());
}

#[test]
fn a_stored_plan_is_checked_when_it_is_read() {
    let plan = builder(Mode::Ratio).step(hold(50)).build().unwrap();
    let mut stored = serde_json::to_value(&plan).unwrap();
    assert_eq!(serde_json::from_value::<Plan>(stored.clone()).unwrap(), plan);
    stored["steps"] = serde_json::json!([]);
    let error = serde_json::from_value::<Plan>(stored).unwrap_err().to_string();
    assert!(error.contains("steps: there are none"), "{error}");
}
