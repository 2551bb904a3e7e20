use super::*;
use crate::plan::{Amount, Hold, Retire, Size, Weight};
use crate::spec::Manifest;
use crate::time::Millis;

const WEIGHTED: PlanContext = PlanContext::new(Some(Splitting::Weighted));
const SWITCH: PlanContext = PlanContext::new(Some(Splitting::Switch));
const NO_ROUTER: PlanContext = PlanContext::new(None);

fn spec(fields: &str) -> RolloutSpec {
    let head = "apiVersion: enis.andaon.com/v1\nkind: AgentDeployment\nmetadata: {name: a}\n";
    let text = format!("{head}spec: {{version: 1.5.0, replicas: 10, {fields}}}");
    Manifest::from_yaml(&text).unwrap_or_else(|error| panic!("{fields}: {error}")).spec
}

fn plan(fields: &str, context: &PlanContext) -> Plan {
    let target = compile(&spec(fields), context).unwrap_or_else(|error| panic!("{fields}: {error}"));
    assert_eq!(target.desired.mode, target.plan.mode());
    (*target.plan).clone()
}

fn refusal(fields: &str, context: &PlanContext) -> String {
    compile(&spec(fields), context).unwrap_err().to_string()
}

fn minutes(n: u64) -> Millis {
    Millis::from_secs(60 * n)
}

fn weight(percent: u32) -> Weight {
    Weight::new(percent).unwrap()
}

fn checks(plan: &Plan) -> Vec<String> {
    plan.analysis().checks.iter().map(ToString::to_string).collect()
}

#[test]
fn rolling_by_default() {
    for context in [NO_ROUTER, SWITCH, WEIGHTED] {
        let plan = plan("", &context);
        assert_eq!((plan.strategy(), plan.mode()), ("rolling", Mode::Ratio));
        assert_eq!((plan.surge(), plan.unavailable()), (Amount::Replicas(1), Amount::Replicas(0)));
        assert_eq!(plan.steps(), [Hold::new(Weight::FULL, minutes(5))]);
        assert_eq!(plan.retire(), Retire::after_promotion(Millis::ZERO));
        assert_eq!(plan.readiness_attempts(), Some(3));
        assert_eq!(checks(&plan), ["error_rate < 5%"]);
        assert!(!plan.page_on_rollback());
    }
}

#[test]
fn blue_green_validates_switches_and_monitors() {
    for context in [SWITCH, WEIGHTED] {
        let plan = plan("strategy: blue-green", &context);
        assert_eq!((plan.strategy(), plan.mode()), ("blue-green", Mode::Routed { dynamic_stable: false }));
        let validate = Hold::new(Weight::ZERO, minutes(15)).size(Size::Share(Weight::FULL)).ungated();
        assert_eq!(plan.steps(), [validate, Hold::new(Weight::FULL, minutes(30))]);
        assert_eq!(plan.retire(), Retire::after_switch(minutes(60), minutes(24 * 60)));
        assert_eq!(plan.readiness_attempts(), None);
        assert_eq!(checks(&plan), ["error_rate < 1%", "p95_latency <= 2x baseline"]);
        assert_eq!(plan.ceiling(10, 10), 20);
    }
    let plan = plan("strategy: blue-green, blueGreen: {autoPromote: false, validate: 1s}", &SWITCH);
    assert!(plan.steps()[0].approval && !plan.steps()[1].approval);
    assert_eq!(plan.steps()[0].bake, Millis(1000));
}

#[test]
fn blue_green_needs_a_router() {
    assert!(
        refusal("strategy: blue-green", &NO_ROUTER)
            .starts_with("spec.strategy: blue-green switches traffic with a router")
    );
}

#[test]
fn canary_takes_its_steps_with_the_weights_of_the_router() {
    let plan = plan("strategy: canary", &WEIGHTED);
    assert_eq!((plan.strategy(), plan.mode()), ("canary", Mode::Routed { dynamic_stable: false }));
    let steps =
        [(10, 30), (50, 60), (100, 30)].map(|(percent, bake)| Hold::new(weight(percent), minutes(bake)));
    assert_eq!(plan.steps(), steps);
    assert_eq!(plan.retire(), Retire::after_promotion(Millis::from_secs(30)));
    assert_eq!(checks(&plan), ["error_rate < 1%", "latency_p95_canary < 1.2x stable", "no_critical_alerts"]);
    assert!(plan.page_on_rollback());
    let plan = super::tests::plan("strategy: canary, canary: {dynamicStableScale: true}", &WEIGHTED);
    assert_eq!(plan.mode(), Mode::Routed { dynamic_stable: true });
}

#[test]
fn canary_without_weights_is_a_ratio_of_replicas() {
    for context in [NO_ROUTER, SWITCH] {
        let plan = plan("strategy: canary, canary: {maxSurge: 20%, maxUnavailable: 1}", &context);
        assert_eq!(plan.mode(), Mode::Ratio);
        assert_eq!((plan.surge(), plan.unavailable()), (Amount::Percent(20), Amount::Replicas(1)));
        assert_eq!(plan.steps().len(), 3);
        let refused = refusal("strategy: canary, canary: {dynamicStableScale: true}", &context);
        assert!(
            refused.starts_with("spec.canary.dynamicStableScale: needs a router that splits by weight"),
            "{refused}"
        );
        let scaled = "strategy: canary, canary: {steps: [{setWeight: 0}, {setWeight: 10, canaryScale: {replicas: 3}}]}";
        let refused = refusal(scaled, &context);
        assert!(
            refused.starts_with("spec.canary.steps[1].canaryScale: needs a router that splits by weight"),
            "{refused}"
        );
    }
}

#[test]
fn a_canary_step_may_have_its_own_size_and_approval() {
    let steps = "[{setWeight: 0, bake: 0s, canaryScale: {replicas: 3}}, {setWeight: 20, bake: 1m, canaryScale: {percent: 50}, approval: true}, \
                 {setWeight: 20, canaryScale: {matchWeight: true}}]";
    let plan = plan(&format!("strategy: canary, canary: {{steps: {steps}}}"), &WEIGHTED);
    let wanted = [
        Hold::new(Weight::ZERO, Millis::ZERO).size(Size::Exactly(3)),
        Hold::new(weight(20), minutes(1)).size(Size::Share(weight(50))).approval(true),
        Hold::new(weight(20), minutes(30)),
    ];
    assert_eq!(plan.steps(), wanted, "and no step to 100 is added");
}

#[test]
fn a_canary_without_steps_goes_straight_to_100() {
    let plan = plan("strategy: canary, canary: {steps: []}", &WEIGHTED);
    assert_eq!(plan.steps(), [Hold::new(Weight::FULL, Millis::ZERO)]);
}

#[test]
fn recreate_never_runs_both() {
    let plan = plan("strategy: recreate, rolling: {window: 1m, readinessAttempts: 2}", &NO_ROUTER);
    assert_eq!((plan.strategy(), plan.mode()), ("recreate", Mode::Exclusive));
    assert_eq!(plan.steps(), [Hold::new(Weight::FULL, minutes(1))]);
    assert_eq!(plan.readiness_attempts(), Some(2));
    assert_eq!(checks(&plan), ["error_rate < 5%"]);
    assert_eq!(plan.ceiling(10, 10), 10);
}

#[test]
fn every_plan_takes_the_rest_from_the_spec() {
    for strategy in ["rolling", "blue-green", "canary", "recreate"] {
        let fields = format!(
            "strategy: {strategy}, drain: 1s, progressDeadline: 2m, revisionHistoryLimit: 3, paused: true, \
             hooks: [{{on: smoke, url: 'http://h/1'}}, {{on: pre-deploy, url: 'http://h/2'}}], \
             analysis: {{interval: 1s, minRequests: 7, checks: [queue < 3], queries: {{queue: q}}}}"
        );
        let target = compile(&spec(&fields), &WEIGHTED).unwrap();
        let plan = &target.plan;
        assert_eq!(plan.strategy(), strategy);
        assert_eq!(
            (plan.drain(), plan.progress_deadline(), plan.history_limit()),
            (Millis(1000), minutes(2), 3)
        );
        let urls: Vec<&str> = plan.hooks().iter().map(|hook| &*hook.url).collect();
        assert_eq!(urls, ["http://h/1", "http://h/2"]);
        assert_eq!((plan.analysis().interval, plan.analysis().min_requests), (Millis(1000), 7));
        assert_eq!(checks(plan), ["queue < 3"]);
        assert_eq!(plan.analysis().queries, [("queue".into(), "q".into())]);
        assert!(target.desired.paused && target.desired.replicas == 10);
        assert_eq!(by_name(strategy).map(Strategy::name), Some(strategy));
        let stored = serde_json::to_string(&**plan).unwrap();
        assert_eq!(&serde_json::from_str::<Plan>(&stored).unwrap(), &**plan, "a plan survives being stored");
    }
    assert!(by_name("Rolling").is_none());
}

#[test]
fn an_empty_list_of_checks_is_none() {
    assert_eq!(checks(&plan("strategy: canary, analysis: {checks: []}", &WEIGHTED)), Vec::<String>::new());
}

#[test]
fn a_plan_error_names_the_field_of_the_manifest() {
    for (field, path) in [
        ("steps[1]", "spec.canary.steps[1]"),
        ("maxSurge", "spec.canary.maxSurge"),
        ("readinessAttempts", "spec.canary.readinessAttempts"),
        ("progressDeadline", "spec.progressDeadline"),
        ("analysis.interval", "spec.analysis.interval"),
        ("spec.strategy", "spec.strategy"),
    ] {
        assert_eq!(PlanError::new(field, "x").in_spec("canary").field, path);
    }
}

#[test]
fn another_strategy_is_compiled_the_same_way() {
    #[derive(Debug)]
    struct Thirds;
    impl Strategy for Thirds {
        fn name(&self) -> &str {
            "thirds"
        }
        fn plan(&self, _spec: &RolloutSpec, _context: &PlanContext) -> Result<Plan, PlanError> {
            PlanBuilder::new(self.name(), Mode::Ratio).step(Hold::new(weight(33), Millis::ZERO)).build()
        }
    }
    let target = compile_with(&Thirds, &spec(""), &NO_ROUTER).unwrap();
    assert_eq!((target.plan.strategy(), target.desired.replicas), ("thirds", 10));
}
