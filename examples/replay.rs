//! A recorded rollout, stepped again to the same decisions: because the machine is pure, a recording of
//! what it was shown is a recording of what it did. Run it with
//! `cargo run -p lifecycle-examples --example replay`.

use std::sync::Arc;

use lifecycle_core::driver::Tick;
use lifecycle_core::machine::{self, Action, Event, Observation, State};
use lifecycle_core::plan::Plan;
use lifecycle_core::spec::Manifest;
use lifecycle_core::time::Timestamp;
use lifecycle_testkit::simulate::{Scenario, Simulation, Watch};

/// What the machine was shown, and what it decided.
struct Recorded {
    plan: Arc<Plan>,
    observation: Observation,
    events: Vec<Event>,
    actions: Vec<Action>,
    after: State,
}

#[derive(Default)]
struct Recorder(Vec<Recorded>);

impl Watch for Recorder {
    fn ticked(&mut self, _at: Timestamp, tick: &Tick, state: &State) {
        self.0.push(Recorded {
            plan: Arc::clone(&tick.plan),
            observation: tick.observation.clone(),
            events: tick.events.clone(),
            actions: tick.actions.clone(),
            after: state.clone(),
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manifest = Manifest::from_yaml(
        "{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {name: api},
          spec: {version: 1.5.0, strategy: canary, replicas: 10}}",
    )?;
    let scenario =
        Scenario::from_yaml("{initial: {version: 1.4.0, replicas: 10}, versions: {1.5.0: {errorRate: 3%}}}")?;
    let mut recorder = Recorder::default();
    let mut simulation = Simulation::new(&manifest.spec, &scenario, 1)?;
    let outcome = simulation.run_with(&mut recorder);

    let recorded = recorder.0;
    let mut state = recorded.first().map(|first| first.after.clone()).unwrap_or_default();
    for Recorded { plan, observation, events, actions, after } in recorded.iter().skip(1) {
        // the clock that the driver showed is part of the state
        let now = after.clock.ok_or("a state without a clock")?;
        let again = machine::step(plan, &state, now, observation);
        assert_eq!((&again.events, &again.actions, &again.state), (events, actions, after), "at {now}");
        state = again.state;
    }
    let decisions: usize = recorded.iter().map(|recorded| recorded.events.len()).sum();
    println!(
        "{} steps, {decisions} decisions, the same again: {} ({})",
        recorded.len(),
        outcome.outcome,
        outcome.reason
    );
    Ok(())
}
