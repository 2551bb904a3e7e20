//! What people order in the middle of a rollout, under load: scenarios for an operator that lasts and for operators
//! that are killed right after they have accepted an order.

use std::time::Duration;

use lifecycle_testkit::kubernetes::load::{Load, Who};
use serde_json::json;

use crate::support::{Agent, Crew, Cue, NAME, PATIENCE, Stage, Version, healthy};

/// A canary whose second step waits long enough to be interrupted.
fn slow(version: &'static str) -> Version {
    let steps = json!([{"setWeight": 25, "bake": "1s"}, {"setWeight": 50, "bake": "60s"}]);
    Version::new("canary", version).unchecked().with(json!({"canary": {"steps": steps}}))
}

fn order(stage: &Stage, text: &str) {
    let annotation = format!("enis.andaon.com/command={text}");
    stage.kubectl(&["annotate", "agentdeploy", NAME, "--overwrite", &annotation]);
}

/// Requests of which none may be lost from now on.
struct Requests(Load, Duration);

impl Requests {
    async fn to(stage: &Stage) -> Self {
        let load = stage.load(60.0).await;
        load.until(PATIENCE, |seen| seen.tally(Who::All).ok > 20).await.unwrap();
        let since = load.elapsed();
        Self(load, since)
    }

    async fn were_answered(self, crew: &Crew) {
        let report = self.0.stop().await;
        let refused = report.refused_in(self.1..report.lasted);
        assert_eq!((report.lost(), refused), (0, 0), "{report}; {}", crew.log().await);
        assert_eq!(report.tally(Who::All).failed, 0, "{report}");
    }
}

/// 1.5.0 at its second step, 1.4.0 in service.
async fn second_step(stage: &Stage) -> Requests {
    stage.service().await;
    stage.deploy(&slow("1.4.0")).await;
    let requests = Requests::to(stage).await;
    stage.apply(&slow("1.5.0").manifest());
    stage.until("the second step", |agent| agent.status.step == 2).await;
    requests
}

/// The answer to this order, which was carried out.
fn done(agent: &Agent, id: &str, command: &str) {
    let answer = agent.status.last_command.as_ref().unwrap();
    assert_eq!((&*answer.id, &*answer.command, &*answer.result), (id, command, "done"), "{agent:?}");
}

pub(crate) async fn pause_scale_resume_abort_retry_promote(stage: &Stage, crew: Crew) {
    let requests = second_step(stage).await;

    crew.kill_at([Cue::answered("c1")]);
    order(stage, "c1 pause");
    crew.survived().await;
    let agent = stage.until("the pause", |agent| agent.condition("Paused").0 == "True").await;
    assert_eq!(agent.condition("Paused").1, "PauseCommand");
    done(&agent, "c1", "pause");

    // whoever follows sees that it is paused, and follows a changed number of replicas all the same
    crew.kill_at([Cue::save()]);
    stage.kubectl(&["scale", "agentdeploy", NAME, "--replicas=6"]);
    crew.survived().await;
    let agent = stage.until("six replicas", |agent| agent.replicas() == (6, 6)).await;
    assert_eq!((agent.condition("Paused").0, agent.status.step), ("True", 2));
    assert_eq!(agent.status.canary.as_ref().map(|canary| canary.replicas), Some(3));
    crew.until_shown(PAUSED, TOLD_WHILE_PAUSED).await;
    crew.kill().await;

    crew.kill_at([Cue::answered("c2")]);
    order(stage, "c2 resume");
    crew.survived().await;
    let agent = stage.until("the end of the pause", |agent| agent.condition("Paused").0 == "False").await;
    assert_eq!((agent.status.step, agent.canary()), (2, Some("1.5.0")));
    done(&agent, "c2", "resume");

    crew.kill_at([Cue::answered("c3"), Cue::save()]);
    order(stage, "c3 abort");
    crew.survived().await;
    let agent = stage.until("the way back", |agent| agent.went_back_to("1.4.0", 6)).await;
    done(&agent, "c3", "abort");
    crew.until_shown(ABORTED, &format!("{TOLD_WHILE_PAUSED}{TOLD_OF_THE_ABORT}")).await;

    crew.kill_at([Cue::answered("c4"), Cue::save()]);
    order(stage, "c4 retry");
    crew.survived().await;
    let agent = stage.until("the second step again", |agent| agent.status.step == 2).await;
    assert_eq!((agent.stable(), agent.canary()), (Some("1.4.0"), Some("1.5.0")));
    done(&agent, "c4", "retry");
    crew.until_shown(TRIED_AGAIN, TOLD_OF_THE_RETRY).await;

    crew.kill_at([Cue::answered("c5"), Cue::save()]);
    order(stage, "c5 promote-full");
    crew.survived().await;
    let agent = stage.until_serving("1.5.0", 6).await;
    done(&agent, "c5", "promote-full");

    // each id runs once, also where another operator carried it out
    crew.kill().await;
    order(stage, "c3 abort");
    if crew.is_steady() {
        // (one that has only just begun cannot tell it from what it was killed in the middle of)
        stage.until("a refusal", |agent| agent.answered("c3")).await;
    }
    order(stage, "c6 dance");
    let agent = stage.until("a refusal", |agent| agent.answered("c6")).await;
    let answer = agent.status.last_command.unwrap();
    assert_eq!(answer.result, "refused");
    assert!(answer.message.contains("commands are pause, resume"), "{}", answer.message);
    stage.until_serving("1.5.0", 6).await;
    crew.made(2).await;
    crew.until_shown(PROMOTED_BY_COMMAND, &format!("{TOLD_OF_THE_RETRY}{TOLD_OF_THE_END}")).await;
    requests.were_answered(&crew).await;
}

pub(crate) async fn rollback_to_a_version(stage: &Stage, crew: Crew) {
    stage.service().await;
    let quick = |version| Version::new("rolling", version).unchecked().replicas(2);
    stage.deploy(&quick("1.3.0")).await;
    let requests = Requests::to(stage).await;
    stage.deploy(&quick("1.4.0")).await;
    stage.deploy(&quick("1.5.0")).await;

    crew.kill_at([Cue::answered("r1"), Cue::save()]);
    order(stage, "r1 rollback 1.3.0");
    crew.survived().await;
    let agent = stage.until("1.3.0 serves", |agent| agent.went_back_to("1.3.0", 2)).await;
    done(&agent, "r1", "rollback 1.3.0");
    let spec = stage.kubectl(&["get", "agentdeploy", NAME, "-o", "jsonpath={.spec.version}"]);
    assert_eq!(spec, "1.5.0", "the operator never writes the spec");

    order(stage, "r2 rollback 0.9.0");
    stage.until("a refusal", |agent| agent.answered("r2")).await;
    crew.made(3).await;
    crew.until_shown(WENT_BACK_BY_COMMAND, TOLD_OF_ROLLBACKS).await;
    requests.were_answered(&crew).await;
}

pub(crate) async fn supersede(stage: &Stage, crew: Crew) {
    let requests = second_step(stage).await;

    crew.kill_at([
        Cue::seen("1.6.0 is on its way", |agent| agent.canary() == Some("1.6.0")),
        Cue::save(),
        Cue::save(),
    ]);
    stage.apply(&Version::new("canary", "1.6.0").unchecked().manifest());
    let agent = stage.until("1.6.0 is on its way", |agent| agent.canary() == Some("1.6.0")).await;
    assert_eq!(agent.stable(), Some("1.4.0"));
    crew.survived().await;
    stage.until_serving("1.6.0", 4).await;
    crew.made(3).await;
    crew.until_shown(&healthy("1.6.0", 4, 3), TOLD_OF_THREE_VERSIONS).await;
    requests.were_answered(&crew).await;
}

const PAUSED: &str = "
    Ready: False PauseCommand the command pause was given
    Accepted: True Accepted the spec is followed
    Available: True ReplicasAvailable 6 replicas serve, 6 wanted
    Progressing: False PauseCommand the command pause was given
    Degraded: False AsExpected
    Paused: True PauseCommand the command pause was given
    canary.ready: 3
    canary.replicas: 3
    canary.version: 1.5.0
    currentReplicas: 6
    lastCommand.command: pause
    lastCommand.id: c1
    lastCommand.result: done
    lastDecision.message: from 4 to 6 replicas
    lastDecision.name: Resized
    lastDecision.reason: Resized
    phase: deploying
    readyReplicas: 6
    stable.ready: 3
    stable.replicas: 3
    stable.version: 1.4.0
    step: 2
    steps: 2
    weight: 50";

const TOLD_WHILE_PAUSED: &str = "
    Normal RolloutStarted: first deployment of 1.4.0 (canary) (RolloutStarted)
    Normal Promoted: step 1 of 1 passed: ready for ...; 1.4.0 is stable (Promoted)
    Normal RolloutStarted: canary rollout from 1.4.0 to 1.5.0 (RolloutStarted)
    Normal GatePassed: step 1 of 2 passed: ready for ... (GatePassed)
    Normal CommandDone: pause (c1) (pause)
    Normal Paused: the command pause was given (PauseCommand)
    Normal Resized: from 4 to 6 replicas (Resized)";

const ABORTED: &str = "
    Ready: False RolledBack the command abort was given
    Accepted: True Accepted the spec is followed
    Available: True ReplicasAvailable 6 replicas serve, 6 wanted
    Progressing: False Ended the command abort was given
    Degraded: True RolledBack the command abort was given
    Paused: False NotPaused
    currentReplicas: 6
    lastCommand.command: abort
    lastCommand.id: c3
    lastCommand.result: done
    lastDecision.message: 1.4.0 serves all traffic again: the command abort was given
    lastDecision.name: WentBack
    lastDecision.reason: AbortCommand
    phase: rolled_back
    readyReplicas: 6
    stable.ready: 6
    stable.replicas: 6
    stable.version: 1.4.0
    steps: 2";

const TOLD_OF_THE_ABORT: &str = "
    Normal CommandDone: resume (c2) (resume)
    Normal Resumed: the rollout goes on (Resumed)
    Normal CommandDone: abort (c3) (abort)
    Warning GoingBack: the command abort was given; from 50% back to stable (AbortCommand)
    Warning WentBack: 1.4.0 serves all traffic again: the command abort was given (AbortCommand)";

const TRIED_AGAIN: &str = "
    Ready: False Deploying 1.5.0 is being rolled out
    Accepted: True Accepted the spec is followed
    Available: True ReplicasAvailable 6 replicas serve, 6 wanted
    Progressing: True Deploying 1.5.0 is being rolled out, step 2 of 2
    Degraded: False AsExpected
    Paused: False NotPaused
    canary.ready: 3
    canary.replicas: 3
    canary.version: 1.5.0
    currentReplicas: 6
    lastCommand.command: retry
    lastCommand.id: c4
    lastCommand.result: done
    lastDecision.message: step 2 of 2: 50% on 3 replicas
    lastDecision.name: StepStarted
    lastDecision.reason: StepStarted
    phase: deploying
    readyReplicas: 6
    stable.ready: 3
    stable.replicas: 3
    stable.version: 1.4.0
    step: 2
    steps: 2
    weight: 50";

/// The same rollout, begun twice, is one Event that was told twice.
const TOLD_OF_THE_RETRY: &str = "
    Normal RolloutStarted: first deployment of 1.4.0 (canary) (RolloutStarted)
    Normal Promoted: step 1 of 1 passed: ready for ...; 1.4.0 is stable (Promoted)
    Normal RolloutStarted: canary rollout from 1.4.0 to 1.5.0 (RolloutStarted) (x2)
    Normal GatePassed: step 1 of 2 passed: ready for ... (GatePassed) (x2)
    Normal CommandDone: pause (c1) (pause)
    Normal Paused: the command pause was given (PauseCommand)
    Normal Resized: from 4 to 6 replicas (Resized)
    Normal CommandDone: resume (c2) (resume)
    Normal Resumed: the rollout goes on (Resumed)
    Normal CommandDone: abort (c3) (abort)
    Warning GoingBack: the command abort was given; from 50% back to stable (AbortCommand)
    Warning WentBack: 1.4.0 serves all traffic again: the command abort was given (AbortCommand)
    Normal CommandDone: retry (c4) (retry)";

const PROMOTED_BY_COMMAND: &str = "
    Ready: True Serving 1.5.0: 6 replicas serve, 6 wanted
    Accepted: True Accepted the spec is followed
    Available: True ReplicasAvailable 6 replicas serve, 6 wanted
    Progressing: False Ended 1.5.0 was promoted by command
    Degraded: False AsExpected
    Paused: False NotPaused
    currentReplicas: 6
    lastCommand.command: dance
    lastCommand.id: c6
    lastCommand.message: write \"<id> <command>\" with a new id for each command; commands are pause, resume, promote, \
        promote-full, abort, retry, rollback, rollback VERSION
    lastCommand.result: refused
    lastDecision.message: 1.5.0 is stable
    lastDecision.name: Promoted
    lastDecision.reason: Promoted
    phase: healthy
    readyReplicas: 6
    stable.ready: 6
    stable.replicas: 6
    stable.version: 1.5.0
    steps: 2";

const TOLD_OF_THE_END: &str = "
    Normal CommandDone: promote-full (c5) (promote-full)
    Normal GateOverruled: step 2 of 2 passed by command (GateOverruled)
    Normal Promoted: 1.5.0 is stable (Promoted)
    Warning CommandRefused: abort (c3) refused: the id c3 was used before; write a new one (abort)
    Warning CommandRefused: dance (c6) refused: write \"<id> <command>\" with a new id for each command; commands are \
        pause, resume, promote, promote-full, abort, retry, rollback, rollback VERSION (dance)";

const WENT_BACK_BY_COMMAND: &str = "
    Ready: False RolledBack the command rollback was given
    Accepted: True Accepted the spec is followed
    Available: True ReplicasAvailable 2 replicas serve, 2 wanted
    Progressing: False Ended the command rollback was given
    Degraded: True RolledBack the command rollback was given
    Paused: False NotPaused
    currentReplicas: 2
    lastCommand.command: rollback 0.9.0
    lastCommand.id: r2
    lastCommand.message: 0.9.0 was never promoted healthy here; known: 1.4.0, 1.5.0
    lastCommand.result: refused
    lastDecision.message: rollback 0.9.0 (r2) refused: 0.9.0 was never promoted healthy here; known: 1.4.0, 1.5.0
    lastDecision.name: CommandRefused
    lastDecision.reason: rollback
    phase: rolled_back
    readyReplicas: 2
    stable.ready: 2
    stable.replicas: 2
    stable.version: 1.3.0
    steps: 1";

const TOLD_OF_ROLLBACKS: &str = "
    Normal RolloutStarted: first deployment of 1.3.0 (rolling) (RolloutStarted)
    Normal Promoted: step 1 of 1 passed: ready for ...; 1.3.0 is stable (Promoted)
    Normal RolloutStarted: rolling rollout from 1.3.0 to 1.4.0 (RolloutStarted)
    Normal Promoted: step 1 of 1 passed: ready for ...; 1.4.0 is stable (Promoted)
    Normal RolloutStarted: rolling rollout from 1.4.0 to 1.5.0 (RolloutStarted)
    Normal Promoted: step 1 of 1 passed: ready for ...; 1.5.0 is stable (Promoted)
    Normal CommandDone: rollback 1.3.0 (r1) (rollback)
    Normal RolloutStarted: rolling rollout from 1.5.0 to 1.3.0 (RolloutStarted)
    Normal Promoted: 1.3.0 is stable (Promoted)
    Warning CommandRefused: rollback 0.9.0 (r2) refused: 0.9.0 was never promoted healthy here; known: 1.4.0, 1.5.0 \
        (rollback)";

const TOLD_OF_THREE_VERSIONS: &str = "
    Normal RolloutStarted: first deployment of 1.4.0 (canary) (RolloutStarted)
    Normal Promoted: step 1 of 1 passed: ready for ...; 1.4.0 is stable (Promoted)
    Normal RolloutStarted: canary rollout from 1.4.0 to 1.5.0 (RolloutStarted)
    Normal GatePassed: step 1 of 2 passed: ready for ... (GatePassed)
    Normal SetAside: version 1.6.0 is asked for now; 1.5.0 serves on until it is replaced (Superseded)
    Normal RolloutStarted: canary rollout from 1.4.0 to 1.6.0 (RolloutStarted)
    Normal GatePassed: step 1 of 3 passed: ready for ... (GatePassed)
    Normal GatePassed: step 2 of 3 passed: ready for ... (GatePassed)
    Normal Promoted: step 3 of 3 passed: ready for ...; 1.6.0 is stable (Promoted)";
