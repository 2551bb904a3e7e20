//! The plans that are modelled: each strategy with every span of a tick or a few.

use lifecycle_core::analysis::AnalysisPlan;
use lifecycle_core::plan::{Amount, Hold, Mode, Plan, PlanBuilder, Retire, Size, Weight};

use super::TICK;

pub(super) fn plan(strategy: &str) -> Option<Plan> {
    let half = Weight::new(50)?;
    let hold = |weight| Hold::new(weight, TICK);
    let routed = |dynamic_stable| Mode::Routed { dynamic_stable };
    let canary = |mode| PlanBuilder::new("canary", mode).step(hold(half)).step(hold(Weight::FULL));
    let check = "error_rate < 1%".parse().ok()?;
    let mut analysis = AnalysisPlan::default();
    (analysis.interval, analysis.min_requests, analysis.checks) = (TICK, 1, vec![check]);
    // (the window is the bake of a first deployment)
    (analysis.window, analysis.no_data_limit) = (TICK, TICK.times(2));
    let builder = match strategy {
        "rolling" => PlanBuilder::new(strategy, Mode::Ratio).step(hold(Weight::FULL)),
        "blue-green" => PlanBuilder::new(strategy, routed(false))
            .step(hold(Weight::ZERO).size(Size::Share(Weight::FULL)))
            .step(hold(Weight::FULL))
            .retire(Retire::after_switch(TICK.times(2), TICK.times(2))),
        "canary" => canary(routed(false)),
        "canary-dynamic" => canary(routed(true)),
        "canary-ratio" => canary(Mode::Ratio),
        "recreate" => PlanBuilder::new(strategy, Mode::Exclusive).step(hold(Weight::FULL)),
        _ => return None,
    };
    builder
        .limits(Amount::Replicas(1), Amount::Replicas(0))
        .analysis(analysis)
        .drain(TICK)
        .progress_deadline(TICK.times(3))
        .build()
        .ok()
}
