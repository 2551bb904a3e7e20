//! What the benchmarks measure: rollouts of the default canary, stopped in the middle.

use std::sync::Arc;

use lifecycle_core::analysis::{AnalysisPlan, Sequential};
use lifecycle_core::driver::{Target, Tick};
use lifecycle_core::machine::{Observation, State};
use lifecycle_core::plan::{Hold, Mode, Plan, PlanBuilder, Weight};
use lifecycle_core::spec::Manifest;
use lifecycle_core::stats::Alpha;
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_testkit::cluster::Profile;
use lifecycle_testkit::simulate::{Scenario, Simulation, Watch};

/// One step of a rollout, ready to be taken again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The state before.
    pub state: State,
    /// The time.
    pub now: Timestamp,
    /// What was observed.
    pub observation: Observation,
}

#[derive(Default)]
struct Middle {
    before: Option<State>,
    steps: Vec<Step>,
}

impl Watch for Middle {
    fn ticked(&mut self, _at: Timestamp, tick: &Tick, state: &State) {
        if let (Some(before), Some(now)) = (self.before.replace(state.clone()), state.clock) {
            let (plan, observation) = (Arc::clone(&tick.plan), tick.observation.clone());
            self.steps.push(Step { plan, state: before, now, observation });
        }
    }
}

/// The default canary on this many replicas.
///
/// # Errors
/// When the manifest is not valid, which it is.
pub fn canary(replicas: u32) -> Result<(Manifest, Scenario), Box<dyn std::error::Error>> {
    let manifest = Manifest::from_yaml(&format!(
        "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: edge-agent}},
           spec: {{version: 1.5.0, strategy: canary, replicas: {replicas}}}}}"
    ))?;
    let scenario = Scenario::default_for(&manifest.spec);
    Ok((manifest, scenario))
}

/// A look at a canary with a hundred checks of the sequential judge: of failed requests and of latencies, against stable
/// and against numbers.
///
/// # Errors
/// When the simulation cannot begin, which it can.
pub fn a_look_at_a_hundred_checks() -> Result<Step, Box<dyn std::error::Error>> {
    let (manifest, mut scenario) = canary(10)?;
    scenario.versions.insert("1.5.0".parse()?, Profile::default().error_rate(0.001));
    scenario.versions.insert("1.4.0".parse()?, Profile::default().error_rate(0.001));
    scenario.until = Some(Millis::from_secs(600));
    let mut analysis = AnalysisPlan::default();
    analysis.sequential = Some(Sequential::new(Alpha::DEFAULT));
    for n in 0..25 {
        let checks = [
            format!("error_rate <= 1.{n:02}x stable"),
            format!("p95_latency <= 1.{n:02}x stable"),
            format!("error_rate < 1.{n:02}%"),
            format!("p95_latency < 5{n:02}ms"),
        ];
        for check in checks {
            analysis.checks.push(check.parse()?);
        }
    }
    let plan = PlanBuilder::new("canary", Mode::Routed { dynamic_stable: false })
        .step(Hold::new(Weight::new(50).unwrap_or(Weight::FULL), Millis::from_secs(3600)))
        .analysis(analysis)
        .build()?;
    let target = Target::new(Arc::new(plan), manifest.spec.desired(Mode::Routed { dynamic_stable: false }));
    let mut middle = Middle::default();
    Simulation::of_target(&target, &scenario, 0)?.run_with(&mut middle);
    let looks = middle.steps.into_iter().filter(|step| step.observation.health.len() >= 4);
    looks.last().ok_or_else(|| "no step judges".into())
}

/// The steps of the default canary that judge all three checks at a weight of 50.
///
/// # Errors
/// When the simulation cannot begin, which it can.
pub fn judging_steps(replicas: u32) -> Result<Vec<Step>, Box<dyn std::error::Error>> {
    let (manifest, scenario) = canary(replicas)?;
    let mut middle = Middle::default();
    Simulation::new(&manifest.spec, &scenario, 0)?.run_with(&mut middle);
    let steps: Vec<Step> = middle
        .steps
        .into_iter()
        .filter(|step| step.state.progress.step == 1 && step.observation.health.len() >= 4)
        .collect();
    if steps.is_empty() { Err("no step judges".into()) } else { Ok(steps) }
}
