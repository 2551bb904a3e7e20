//! A strategy of your own: region by region. It only compiles a plan; the machine that runs every plan
//! keeps its safety properties, and the testkit shows it. Run it with
//! `cargo run -p lifecycle-examples --example custom_strategy`.

use lifecycle_core::plan::{Hold, Mode, Plan, PlanError, Retire, Weight};
use lifecycle_core::spec::{Manifest, RolloutSpec};
use lifecycle_core::strategy::{PlanContext, Strategy, builder};
use lifecycle_core::time::Millis;
use lifecycle_testkit::simulate::{Scenario, Simulation};

/// One region after the other: each adds its share of the traffic, and a person lets the first one go.
#[derive(Debug)]
struct RegionByRegion {
    /// Name and percent of the traffic.
    regions: Vec<(&'static str, u32)>,
    bake: Millis,
}

impl Strategy for RegionByRegion {
    fn name(&self) -> &str {
        "region-by-region"
    }

    fn plan(&self, spec: &RolloutSpec, _context: &PlanContext) -> Result<Plan, PlanError> {
        let checks = ["error_rate < 1%", "latency_p95_canary < 1.2x stable"];
        let mut plan = builder(self, Mode::Routed { dynamic_stable: false }, spec, &checks)?;
        let mut share = 0;
        for (at, (region, percent)) in self.regions.iter().enumerate() {
            share += percent;
            let weight = Weight::new(share).ok_or_else(|| {
                PlanError::new(*region, format!("{share}% of the traffic is more than there is"))
            })?;
            plan = plan.step(Hold::new(weight, self.bake).approval(at == 0));
        }
        plan.retire(Retire::after_promotion(Millis::from_secs(30))).build()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let regions = vec![("eu-north", 10), ("eu-west", 30), ("us-east", 40), ("ap-south", 20)];
    let strategy = RegionByRegion { regions, bake: Millis::from_secs(600) };
    let manifest = Manifest::from_yaml(
        "{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {name: api}, spec: {version: 1.5.0, replicas: 10}}",
    )?;

    let good = "
initial: {version: 1.4.0, replicas: 10}
events: [{at: 15m, command: promote}, {at: 20m, fault: driver-crash}, {at: 25m, fault: api-conflict, for: 1m}]
";
    let bad = "
initial: {version: 1.4.0, replicas: 10}
versions: {1.5.0: {errorRate: 3%}}
";
    for (world, expected) in [(good, "promoted"), (bad, "rolledBack")] {
        let scenario = Scenario::from_yaml(world)?;
        let mut simulation = Simulation::with_strategy(&strategy, &manifest.spec, &scenario, 7)?;
        let outcome = simulation.run(&mut |line| {
            if let lifecycle_core::report::LineKind::Event { name, message, .. } = &line.kind {
                println!("{:>8} {name:<14} {message}", Millis(line.at_ms).to_string());
            }
        });
        println!("{}: {}\n", outcome.outcome, outcome.reason);
        assert_eq!(outcome.outcome, expected);
        assert!(outcome.violations.is_empty(), "{:?}", outcome.violations);
    }
    Ok(())
}
