use super::world::{World, analysis};
use crate::backend::ScaleWish;
use crate::machine::{Action, Outcome};
use crate::plan::{Hold, Mode, PlanBuilder, Weight};
use crate::time::Millis;

fn recreate() -> World {
    let plan = PlanBuilder::new("recreate", Mode::Exclusive)
        .step(Hold::new(Weight::FULL, Millis::from_secs(300)))
        .analysis(analysis(&["error_rate < 5%"]))
        .readiness_attempts(3)
        .build()
        .unwrap();
    let mut world = World::serving(plan, 3);
    world.update("2.0.0");
    world
}

fn sizes(world: &World) -> Vec<(String, u32)> {
    let scale = |action: &Action| match action {
        Action::Scale(ScaleWish { revision, replicas, .. }) => {
            Some((revision.version.to_string(), *replicas))
        }
        _ => None,
    };
    world.actions.iter().filter_map(scale).collect()
}

#[test]
fn the_old_is_gone_before_the_new_comes() {
    let mut world = recreate();
    world.run(Millis::from_secs(400));
    assert_eq!(sizes(&world), [("1.0.0".to_owned(), 0), ("2.0.0".to_owned(), 3)]);
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
}

#[test]
fn the_way_back_is_the_same_the_other_way() {
    let mut world = recreate();
    world.unready.push("2.0.0".into());
    world.run(Millis::from_secs(100));
    let wished = sizes(&world);
    let ends: Vec<(&str, u32)> = wished.iter().map(|(version, n)| (version.as_str(), *n)).collect();
    assert_eq!(ends, [("1.0.0", 0), ("2.0.0", 3), ("2.0.0", 0), ("1.0.0", 3)]);
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::RolledBack);
}
