//! What is refused: one line, with the field's path and what is accepted.

use super::*;

/// Each row: fields of a spec that has a version, the path and a part of the problem.
fn check(rows: &[(&str, &str, &str)]) {
    for (fields, path, problem) in rows {
        let error = refusal(&manifest(&format!("version: 1.5.0, {fields}")));
        assert!(error.starts_with(&format!("{path}: ")), "{fields}: {error}");
        assert!(error.contains(problem), "{fields}: {error}");
    }
}

#[test]
fn unknown_fields_are_named_with_the_one_that_was_meant() {
    check(&[
        ("replica: 3", "spec.replica", "no such field: did you mean replicas?"),
        ("Strategy: canary", "spec.Strategy", "did you mean strategy?"),
        ("canary: {stepz: []}", "spec.canary.stepz", "did you mean steps?"),
        (
            "canary: {steps: [{setWeight: 1, pause: 1m}]}",
            "spec.canary.steps[0].pause",
            "accepted are setWeight, bake, approval, canaryScale",
        ),
        ("rolling: {max_surge: 1}", "spec.rolling.max_surge", "did you mean maxSurge?"),
        ("blueGreen: {windows: 1m}", "spec.blueGreen.windows", "accepted are validate"),
        ("healthCheck: {path: /x}", "spec.healthCheck.path", "accepted are endpoint"),
        ("analysis: {minRequest: 1}", "spec.analysis.minRequest", "did you mean minRequests?"),
        ("traffic: {virtualService: x}", "spec.traffic.virtualService", "accepted are provider, service"),
        ("hooks: [{on: smoke, url: 'http://h', retries: 1}]", "spec.hooks[0].retries", "accepted are"),
        ("adopt: {name: x}", "spec.adopt.name", "accepted are deployment"),
        ("\"od\\nd\": 1", "spec[\"od\\nd\"]", "no such field"),
    ]);
    let error = refusal(
        "apiVersion: enis.andaon.com/v1\nkind: AgentDeployment\nmetadata: {nmae: x}\nspec: {version: 1.5.0}",
    );
    assert_eq!(error, "metadata.nmae: no such field: did you mean name?");
    let error = refusal(&format!("{HEAD}specs: {{version: 1.5.0}}"));
    assert_eq!(error, "specs: no such field: did you mean spec?");
}

#[test]
fn wrong_types_say_what_is_accepted() {
    check(&[
        ("replicas: ten", "spec.replicas", "\"ten\" is not a whole number from 1 to 100000"),
        ("replicas: 1.5", "spec.replicas", "1.5 is not a whole number"),
        ("replicas: \"3\"", "spec.replicas", "\"3\" is not a whole number"),
        ("replicas: [3]", "spec.replicas", "a list is not a whole number"),
        ("replicas: 1_000", "spec.replicas", "\"1_000\" is not a whole number"),
        ("replicas: .nan", "spec.replicas", "is not a whole number"),
        ("replicas: 1e999", "spec.replicas", "is not a whole number"),
        ("paused: yes", "spec.paused", "\"yes\" is not true or false"),
        ("paused: 1", "spec.paused", "1 is not true or false"),
        (
            "strategy: 3",
            "spec.strategy",
            "3 is not a strategy: accepted are rolling, blue-green, canary, recreate",
        ),
        (
            "strategy: blue_green",
            "spec.strategy",
            "\"blue_green\" is not a strategy: accepted are rolling, blue-green, canary, recreate",
        ),
        ("tier: gold", "spec.tier", "is not a tier: accepted are standard, enterprise"),
        ("template: text", "spec.template", "\"text\" is not a mapping"),
        ("canary: []", "spec.canary", "a list is not a mapping"),
        ("canary: {steps: {setWeight: 10}}", "spec.canary.steps", "a mapping is not a list"),
        ("canary: {steps: [10]}", "spec.canary.steps[0]", "10 is not a mapping"),
        ("agentId: \"-x\"", "spec.agentId", "is not an identifier"),
        ("agentId: 7", "spec.agentId", "is not an identifier"),
        (
            "healthCheck: {endpoint: ready}",
            "spec.healthCheck.endpoint",
            "\"ready\" is not a path: write one like /ready",
        ),
        (
            "traffic: {provider: nginx}",
            "spec.traffic.provider",
            "is not a provider: accepted are service, istio, gateway-api, flagger",
        ),
        ("traffic: {service: My_Svc}", "spec.traffic.service", "is not a name"),
        ("adopt: {}", "spec.adopt.deployment", "is missing"),
        ("revisionHistoryLimit: 101", "spec.revisionHistoryLimit", "from 0 to 100"),
    ]);
}

#[test]
fn durations_need_a_unit_and_no_sign() {
    check(&[
        (
            "drain: 5 minutes",
            "spec.drain",
            "\"5 minutes\" is no duration: write a duration like 30s, 15m, 1h",
        ),
        ("drain: 10x", "spec.drain", "\"10x\" has an unknown unit: write a duration like 30s, 15m, 1h"),
        ("drain: 30", "spec.drain", "30 has no unit: write a duration like 30s, 15m, 1h"),
        ("drain: \"30\"", "spec.drain", "\"30\" has no unit"),
        ("drain: -5m", "spec.drain", "\"-5m\" is negative"),
        ("drain: -5", "spec.drain", "-5 is negative"),
        ("drain: true", "spec.drain", "true is not a duration like 30s, 15m, 1h"),
        ("drain: 9999999h", "spec.drain", "is longer than 366 days"),
        ("progressDeadline: 0s", "spec.progressDeadline", "0s is too short"),
        ("analysis: {interval: 0s}", "spec.analysis.interval", "0s is too short"),
        ("analysis: {window: 5}", "spec.analysis.window", "5 has no unit"),
        ("canary: {steps: [{setWeight: 10, bake: -1h}]}", "spec.canary.steps[0].bake", "is negative"),
        ("hooks: [{on: smoke, url: 'http://h', timeout: 1 s}]", "spec.hooks[0].timeout", "is no duration"),
        ("healthCheck: {interval: 5sec}", "spec.healthCheck.interval", "has an unknown unit"),
        ("blueGreen: {keepFor: 30m}", "spec.blueGreen.keepFor", "30m is shorter than scaleDownAfter (1h)"),
    ]);
}

#[test]
fn weights_are_percentages_that_do_not_fall() {
    check(&[
        (
            "canary: {steps: [{setWeight: 10}, {setWeight: 120}]}",
            "spec.canary.steps[1].setWeight",
            "120 is not a percentage from 0 to 100",
        ),
        (
            "canary: {steps: [{setWeight: -1}]}",
            "spec.canary.steps[0].setWeight",
            "-1 is not a percentage from 0 to 100",
        ),
        (
            "canary: {steps: [{setWeight: 2.5}]}",
            "spec.canary.steps[0].setWeight",
            "2.5 is not a percentage from 0 to 100",
        ),
        (
            "canary: {steps: [{setWeight: 10%}]}",
            "spec.canary.steps[0].setWeight",
            "write a plain number from 0 to 100",
        ),
        (
            "canary: {steps: [{setWeight: 50}, {setWeight: 20}]}",
            "spec.canary.steps[1].setWeight",
            "20 is below the 50 of the step before",
        ),
        ("canary: {steps: [{bake: 1m}]}", "spec.canary.steps[0].setWeight", "is missing"),
        (
            "replicas: 10, canary: {steps: [{setWeight: 50, canaryScale: {percent: 10}}]}",
            "spec.canary.steps[0].canaryScale",
            "1 of 10 replicas cannot carry setWeight 50: write at least 5",
        ),
        (
            "replicas: 10, canary: {steps: [{setWeight: 50, canaryScale: {replicas: 4}}]}",
            "spec.canary.steps[0].canaryScale",
            "4 of 10 replicas cannot carry setWeight 50",
        ),
        (
            "canary: {steps: [{setWeight: 1, canaryScale: {replicas: 0}}]}",
            "spec.canary.steps[0].canaryScale",
            "cannot carry",
        ),
        (
            "canary: {steps: [{setWeight: 1, canaryScale: {}}]}",
            "spec.canary.steps[0].canaryScale",
            "exactly one of",
        ),
        (
            "canary: {steps: [{setWeight: 1, canaryScale: {replicas: 1, percent: 10}}]}",
            "spec.canary.steps[0].canaryScale",
            "exactly one of",
        ),
        (
            "canary: {steps: [{setWeight: 1, canaryScale: {matchWeight: false}}]}",
            "spec.canary.steps[0].canaryScale",
            "exactly one of",
        ),
    ]);
    let steps = vec!["{setWeight: 1}"; 65].join(", ");
    check(&[(&format!("canary: {{steps: [{steps}]}}"), "spec.canary.steps", "65 items are more than 64")]);
    let same = spec("canary: {steps: [{setWeight: 20}, {setWeight: 20}]}");
    assert_eq!(same.canary().steps.len(), 2, "weights may repeat");
}

#[test]
fn surge_and_unavailable_cannot_both_be_zero() {
    for room in [
        "maxSurge: 0",
        "maxSurge: 0%",
        "maxSurge: 0, maxUnavailable: 0",
        "maxSurge: 0%, maxUnavailable: 0%",
        "maxSurge: 0, maxUnavailable: 0%",
        "maxSurge: 0%, maxUnavailable: 0",
    ] {
        check(&[
            (&format!("rolling: {{{room}}}"), "spec.rolling.maxSurge", "are both 0"),
            (&format!("canary: {{{room}}}"), "spec.canary.maxSurge", "are both 0"),
        ]);
    }
    check(&[
        (
            "rolling: {maxSurge: -1}",
            "spec.rolling.maxSurge",
            "-1 is not a number of replicas from 0 to 100000 or a percentage from 0% to 100%",
        ),
        ("rolling: {maxSurge: 101%}", "spec.rolling.maxSurge", "\"101%\" is not a number of replicas"),
        ("rolling: {maxSurge: -5%}", "spec.rolling.maxSurge", "is not a number of replicas"),
        ("rolling: {maxUnavailable: oops}", "spec.rolling.maxUnavailable", "is not a number of replicas"),
        ("rolling: {maxUnavailable: \"1\"}", "spec.rolling.maxUnavailable", "is not a number of replicas"),
        ("rolling: {maxUnavailable: 1.5%}", "spec.rolling.maxUnavailable", "is not a number of replicas"),
        (
            "rolling: {readinessAttempts: 0}",
            "spec.rolling.readinessAttempts",
            "0 is not a whole number from 1",
        ),
    ]);
}

#[test]
fn versions_are_semantic_and_never_numbers() {
    for (version, problem) in [
        ("abc", "\"abc\" is not a version: write MAJOR.MINOR.PATCH like 1.5.0"),
        ("1.10", "quote it"),
        ("1", "quote it"),
        ("1e3", "quote it"),
        ("\"\"", "is not a version"),
        ("[1, 5]", "a list is not a version"),
        ("true", "true is not a version"),
        ("1.2.3.4", "is not a version"),
        ("01.2.3", "is not a version"),
    ] {
        let error = refusal(&manifest(&format!("version: {version}")));
        assert!(error.starts_with("spec.version: ") && error.contains(problem), "{version}: {error}");
    }
    let long = refusal(&manifest(&format!("version: 1.0.0-{}", "a".repeat(100))));
    assert!(long.contains("is longer than 63 characters"), "{long}");
    assert!(
        refusal(&manifest("replicas: 1")).starts_with("spec.version: is missing: write a semantic version")
    );
}

#[test]
fn replicas_are_at_least_one_and_not_absurd() {
    for replicas in ["0", "-1", "100001", "4294967296", "99999999999999999999999"] {
        check(&[(
            &format!("replicas: {replicas}"),
            "spec.replicas",
            "is not a whole number from 1 to 100000",
        )]);
    }
    assert_eq!(spec("replicas: 100000").replicas(), MAX_REPLICAS);
}

#[test]
fn the_enterprise_tier_accepts_no_downtime() {
    check(&[
        (
            "tier: enterprise, strategy: recreate",
            "spec.strategy",
            "tier enterprise accepts none: write rolling, blue-green or canary",
        ),
        (
            "tier: enterprise, rolling: {maxUnavailable: 1}",
            "spec.rolling.maxUnavailable",
            "1 of a single replica is downtime",
        ),
        (
            "tier: enterprise, replicas: 10, rolling: {maxUnavailable: 1}",
            "spec.rolling.maxUnavailable",
            "fewer than 10 replicas",
        ),
        (
            "tier: enterprise, replicas: 3, rolling: {maxSurge: 0, maxUnavailable: 1%}",
            "spec.rolling.maxUnavailable",
            "1% would let fewer",
        ),
        (
            "tier: enterprise, strategy: canary, replicas: 4, canary: {maxUnavailable: 25%}",
            "spec.canary.maxUnavailable",
            "25% would let fewer",
        ),
    ]);
    for accepted in [
        "tier: enterprise",
        "tier: enterprise, replicas: 4, rolling: {maxSurge: 1%}",
        "tier: enterprise, strategy: blue-green, rolling: {maxUnavailable: 1}",
        "tier: enterprise, strategy: canary",
    ] {
        assert_eq!(spec(accepted).tier(), Tier::Enterprise);
    }
}

#[test]
fn checks_are_read_with_their_queries() {
    check(&[
        (
            "analysis: {checks: [error_rate < 1%, error_rate < 5ms]}",
            "spec.analysis.checks[1]",
            "\"error_rate < 5ms\" at character 15: ms is not a unit of error_rate",
        ),
        (
            "analysis: {checks: [err_rate < 1%]}",
            "spec.analysis.checks[0]",
            "\"err_rate\": no such metric: did you mean error_rate? (or define it in spec.analysis.queries)",
        ),
        (
            "analysis: {checks: [depth < 1]}",
            "spec.analysis.checks[0]",
            "accepted are error_rate, success_rate, p50_latency",
        ),
        (
            "analysis: {checks: [depht < 1], queries: {depth: x}}",
            "spec.analysis.checks[0]",
            "did you mean depth?",
        ),
        (
            "analysis: {checks: [1 < error_rate]}",
            "spec.analysis.checks[0]",
            "at character 1: a metric is expected",
        ),
        ("analysis: {checks: ['']}", "spec.analysis.checks[0]", "at character 1: a metric is expected"),
        ("analysis: {checks: [1]}", "spec.analysis.checks[0]", "write a check like"),
        ("analysis: {checks: error_rate < 1%}", "spec.analysis.checks", "is not a list"),
        ("analysis: {queries: {error_rate: x}}", "spec.analysis.queries.error_rate", "choose another one"),
        (
            "analysis: {queries: {p95_latency_canary: x}}",
            "spec.analysis.queries.p95_latency_canary",
            "choose another one",
        ),
        ("analysis: {queries: {1st: x}}", "spec.analysis.queries.1st", "is not a name for a query"),
        ("analysis: {queries: {a-b: x}}", "spec.analysis.queries.a-b", "is not a name for a query"),
        ("analysis: {queries: {a: \"\"}}", "spec.analysis.queries.a", "\"\" is not text"),
        ("analysis: {queries: [a]}", "spec.analysis.queries", "a list is not a mapping"),
        ("analysis: {sequential: yes}", "spec.analysis.sequential", "is not a mapping"),
        ("analysis: {sequential: {power: 0.8}}", "spec.analysis.sequential.power", "accepted are alpha, eta"),
        (
            "analysis: {sequential: {alpha: 0}}",
            "spec.analysis.sequential.alpha",
            "0 is not a probability above 0 and below 1, like 0.01",
        ),
        ("analysis: {sequential: {alpha: 1}}", "spec.analysis.sequential.alpha", "1 is not a probability"),
        (
            "analysis: {sequential: {alpha: 1%}}",
            "spec.analysis.sequential.alpha",
            "\"1%\" is not a probability",
        ),
        (
            "analysis: {sequential: {eta: 0}}",
            "spec.analysis.sequential.eta",
            "0 is not a number above 0 and at most 1, like 0.5",
        ),
        ("analysis: {sequential: {eta: 1.5}}", "spec.analysis.sequential.eta", "1.5 is not a number above 0"),
        (
            "analysis: {sequential: {earlyPass: {}}}",
            "spec.analysis.sequential.earlyPass.ratio",
            "is missing: write a number above 1, like 2",
        ),
        (
            "analysis: {sequential: {earlyPass: {ratio: 1}}}",
            "spec.analysis.sequential.earlyPass.ratio",
            "1 is not a number above 1 and at most 1000, like 2",
        ),
        (
            "analysis: {sequential: {earlyPass: {ratio: 2, beta: 1}}}",
            "spec.analysis.sequential.earlyPass.beta",
            "1 is not a probability above 0 and below 1",
        ),
        ("analysis: {dryRun: [error_rate]}", "spec.analysis.dryRun[0]", "one of < <= > >= is expected"),
        (
            "analysis: {interval: 1m, window: 30s}",
            "spec.analysis.window",
            "30s is shorter than interval (1m), and a look would not see all that came in since the one before: write at least 1m",
        ),
        ("analysis: {interval: 10m}", "spec.analysis.window", "5m is shorter than interval (10m)"),
        ("analysis: {failureLimit: -1}", "spec.analysis.failureLimit", "-1 is not a whole number from 0"),
    ]);
}

#[test]
fn a_window_may_be_as_short_as_the_interval() {
    let analysis = spec("analysis: {interval: 30s, window: 30s}").analysis().plan(Vec::new());
    assert_eq!(analysis.window, analysis.interval);
}

#[test]
fn hooks_have_a_point_and_a_url() {
    check(&[
        ("hooks: [{url: 'http://h'}]", "spec.hooks[0].on", "is missing: write when it runs"),
        ("hooks: [{on: smoke}]", "spec.hooks[0].url", "is missing: write what is called"),
        (
            "hooks: [{on: before, url: 'http://h'}]",
            "spec.hooks[0].on",
            "is not a point of a rollout: accepted are pre-deploy, post-deploy, pre-switch",
        ),
        (
            "hooks: [{on: smoke, url: h}]",
            "spec.hooks[0].url",
            "\"h\" is not a URL: write one like http://host/path",
        ),
        ("hooks: [{on: smoke, url: 'ftp://h'}]", "spec.hooks[0].url", "is not a URL"),
        ("hooks: [{on: smoke, url: 'http://'}]", "spec.hooks[0].url", "is not a URL"),
        ("hooks: [{on: smoke, url: 'http://h h'}]", "spec.hooks[0].url", "is not a URL"),
        (
            "hooks: [{on: smoke, url: 'http://h', onFailure: panic}]",
            "spec.hooks[0].onFailure",
            "is not a reaction: accepted are abort, continue",
        ),
        ("hooks: {on: smoke}", "spec.hooks", "a mapping is not a list"),
    ]);
}

#[test]
fn the_envelope_says_what_the_document_is() {
    let cases = [
        (HEAD.replace("AgentDeployment", "Deployment"), "kind: \"Deployment\" is not AgentDeployment"),
        (HEAD.replace("enis.andaon.com/v1", "apps/v1"), "apiVersion: \"apps/v1\" is not enis.andaon.com/v1"),
        (HEAD.replace("kind: AgentDeployment\n", ""), "kind: is missing: write AgentDeployment"),
        (
            HEAD.replace("apiVersion: enis.andaon.com/v1\n", ""),
            "apiVersion: is missing: write enis.andaon.com/v1",
        ),
        (
            HEAD.replace("metadata: {name: edge-agent}\n", ""),
            "metadata.name: is missing: write a name like edge-agent",
        ),
        (
            HEAD.replace("edge-agent", "Edge_Agent"),
            "metadata.name: \"Edge_Agent\" is not a name: write lower-case letters",
        ),
        (HEAD.replace("edge-agent", &"a".repeat(64)), "metadata.name: "),
        (HEAD.replace("edge-agent", "../x"), "metadata.name: \"../x\" is not a name"),
        (
            HEAD.replace("{name: edge-agent}", "{name: a, namespace: B}"),
            "metadata.namespace: \"B\" is not a name",
        ),
        (HEAD.replace("{name: edge-agent}", "text"), "metadata: \"text\" is not a mapping"),
    ];
    for (head, wanted) in cases {
        let error = refusal(&format!("{head}spec: {{version: 1.5.0}}"));
        assert!(error.starts_with(wanted), "{error}");
    }
    assert!(refusal(HEAD).starts_with("spec: is missing"));
    assert!(
        refusal("hello")
            .starts_with("manifest: \"hello\" is not a manifest: write a mapping with apiVersion")
    );
    assert!(refusal("[1, 2]").starts_with("manifest: a list is not a manifest"));
    assert!(refusal("42").starts_with("manifest: 42 is not a manifest"));
}
