use super::world::{World, analysis};
use crate::backend::{HookOutcome, HookPoint};
use crate::machine::{Action, CommandKind, Outcome, PauseCause, Phase};
use crate::plan::{Hold, Mode, Plan, PlanBuilder, PlannedHook, Retire, Size, Weight};
use crate::time::Millis;

fn minutes(m: u64) -> Millis {
    Millis::from_secs(60 * m)
}

fn builder(approval: bool) -> PlanBuilder {
    let validate = Hold::new(Weight::ZERO, minutes(15)).size(Size::Share(Weight::FULL)).approval(approval);
    PlanBuilder::new("blue-green", Mode::Routed { dynamic_stable: false })
        .step(validate)
        .step(Hold::new(Weight::FULL, minutes(30)))
        .analysis(analysis(&["error_rate < 1%"]))
        .retire(Retire::after_switch(minutes(60), minutes(24 * 60)))
}

fn blue_green(plan: Plan) -> World {
    let mut world = World::serving(plan, 4);
    world.update("2.0.0");
    world
}

#[test]
fn green_is_validated_switched_once_and_blue_is_kept() {
    let mut world = blue_green(builder(false).build().unwrap());
    world.run(minutes(10));
    assert_eq!((world.size("2.0.0"), world.weight("2.0.0"), world.weight("1.0.0")), (4, 0, 100));
    world.run(minutes(6));
    assert_eq!((world.size("2.0.0"), world.weight("2.0.0"), world.size("1.0.0")), (4, 100, 4));
    world.run(minutes(31));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
    assert_eq!(world.size("1.0.0"), 4, "blue is warm");
    world.run(minutes(30));
    assert_eq!(world.size("1.0.0"), 0, "an hour after the switch");
    assert!(world.state.kept.is_some());
    world.run(minutes(24 * 60));
    assert!(world.has("Released"));
    assert_eq!(world.wake_at, None);
}

#[test]
fn green_that_turns_bad_after_the_switch_is_left_in_one_switch() {
    let mut world = blue_green(builder(false).build().unwrap());
    world.run(minutes(20));
    world.failing.insert("2.0.0".into(), 200);
    world.run(minutes(2));
    assert_eq!((world.weight("1.0.0"), world.size("1.0.0"), world.size("2.0.0")), (100, 4, 0));
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::RolledBack);
}

#[test]
fn rollback_while_blue_is_warm_is_one_switch() {
    let mut world = blue_green(builder(false).build().unwrap());
    world.run(minutes(50));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
    let before = world.actions.len();
    world.command(CommandKind::Rollback(None));
    world.step();
    assert_eq!(world.weight("1.0.0"), 100);
    let writes: Vec<&Action> =
        world.actions[before..].iter().filter(|action| !matches!(action, Action::Notify(_))).collect();
    assert_eq!(writes.len(), 1, "{writes:?}");
    world.run(minutes(1));
    assert_eq!(world.stable().as_deref(), Some("1.0.0"));
}

#[test]
fn rollback_of_a_cold_blue_scales_up_and_switches() {
    let mut world = blue_green(builder(false).build().unwrap());
    world.run(minutes(120));
    assert_eq!(world.size("1.0.0"), 0);
    world.command(CommandKind::Rollback(None));
    world.run(minutes(1));
    assert_eq!((world.stable().as_deref(), world.weight("1.0.0")), (Some("1.0.0"), 100));
}

#[test]
fn without_auto_promotion_a_person_decides() {
    let mut world = blue_green(builder(true).build().unwrap());
    world.run(minutes(60));
    assert_eq!((world.state.paused, world.weight("2.0.0")), (Some(PauseCause::Approval), 0));
    world.command(CommandKind::Promote);
    world.run(minutes(1));
    assert_eq!(world.weight("2.0.0"), 100);
}

#[test]
fn a_smoke_test_that_fails_keeps_traffic_on_blue() {
    let hook = PlannedHook::new(HookPoint::Smoke, "http://127.0.0.1/smoke".into(), minutes(1), true);
    let mut world = blue_green(builder(false).hook(hook).build().unwrap());
    world.hook_answer = HookOutcome::Failed("status 500".into());
    world.run(minutes(20));
    assert_eq!((world.weight("2.0.0"), world.state.phase), (0, Phase::Degraded));
    assert_eq!(world.last_reason("GoingBack"), "HookFailed");
    assert_eq!(world.hooks.len(), 1, "one key, however often it was asked");
}

#[test]
fn hooks_run_in_their_order_each_once() {
    let mut plan = builder(false);
    for point in [
        HookPoint::PreDeploy,
        HookPoint::Smoke,
        HookPoint::Integration,
        HookPoint::PreSwitch,
        HookPoint::PostSwitch,
        HookPoint::PostDeploy,
    ] {
        plan = plan.hook(PlannedHook::new(point, "http://127.0.0.1/".into(), minutes(1), true));
    }
    let mut world = blue_green(plan.build().unwrap());
    world.run(minutes(60));
    let started: Vec<String> =
        world.events.iter().filter(|e| e.kind.name() == "HookStarted").map(|e| e.kind.reason()).collect();
    assert_eq!(started, ["pre-deploy", "smoke", "integration", "pre-switch", "post-switch", "post-deploy"]);
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
}
