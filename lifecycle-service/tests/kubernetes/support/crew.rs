//! Whoever runs the operator while a scenario is played: one that lasts, or one after the other that is killed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_testkit::kubernetes::control_plane::Moment;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Agent, NAME, Operator, Stage, until};

/// Between two looks at the object: a kill comes in the middle of what a save is followed by.
const LOOK: Duration = Duration::from_millis(5);

/// When an operator is killed.
pub(crate) struct Cue {
    what: &'static str,
    is: Condition,
}

type Condition = Box<dyn Fn(&Before, &Agent) -> bool + Send>;

/// What was saved when somebody last asked for kills, or when the operator before was killed.
struct Before(Option<String>);

impl Cue {
    /// Something was saved that was not there before.
    pub(crate) fn save() -> Self {
        Self { what: "a save", is: Box::new(|before, agent| agent.status.rollout != before.0) }
    }

    /// The status says this.
    pub(crate) fn seen(what: &'static str, is: impl Fn(&Agent) -> bool + Send + 'static) -> Self {
        Self { what, is: Box::new(move |_, agent| is(agent)) }
    }

    /// The command with this id was answered.
    pub(crate) fn answered(id: &'static str) -> Self {
        Self::seen("an answer", move |agent| agent.answered(id))
    }
}

/// Operators of a stage, of which one runs.
pub(crate) struct Crew {
    stage: Stage,
    moment: Moment,
    kills: Option<Kills>,
    running: Arc<tokio::sync::Mutex<Running>>,
}

struct Running {
    operator: Operator,
    /// How many were killed before it.
    killed: usize,
}

/// Kills that are to come, in this order. Nobody is killed any more once this is dropped.
struct Kills {
    cues: Arc<Cues>,
    killing: JoinHandle<()>,
}

type Cues = Mutex<VecDeque<Cue>>;

impl Crew {
    /// One operator, all the while.
    pub(crate) async fn steady(stage: &Stage) -> Self {
        let moment = stage.control_plane.moment().unwrap();
        let operator = stage.operator_called("operator-0").await;
        let running = Arc::new(tokio::sync::Mutex::new(Running { operator, killed: 0 }));
        Self { stage: stage.clone(), moment, kills: None, running }
    }

    /// Operators that are killed with SIGKILL where the scenario asks for it, each followed by another.
    pub(crate) async fn mortal(stage: &Stage) -> Self {
        let crew = Self::steady(stage).await;
        let cues = Arc::new(Cues::default());
        let killer =
            Killer { stage: stage.clone(), cues: Arc::downgrade(&cues), running: Arc::clone(&crew.running) };
        let runtime = Handle::current();
        let killing = spawn_blocking(move || runtime.block_on(killer.kill()));
        Self { kills: Some(Kills { cues, killing }), ..crew }
    }

    /// Where they run.
    pub(super) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Does one operator last?
    pub(crate) const fn is_steady(&self) -> bool {
        self.kills.is_none()
    }

    /// Kills an operator at each of these, in this order; the next one is there before the next cue is looked for.
    /// Nothing where the operator lasts.
    pub(crate) fn kill_at(&self, cues: impl IntoIterator<Item = Cue>) {
        if let Some(kills) = &self.kills {
            lock(&kills.cues).extend(cues);
        }
    }

    /// Kills the operator now, whatever it does. Nothing where it lasts.
    pub(crate) async fn kill(&self) {
        self.kill_at([Cue::seen("now", |_| true)]);
        self.survived().await;
    }

    /// Waits until every kill that was asked for was made, and another operator leads.
    pub(crate) async fn survived(&self) {
        if let Some(kills) = &self.kills {
            until("all kills", async || {
                assert!(!kills.killing.is_finished(), "the operators cannot be replaced");
                let left: Vec<&str> = lock(&kills.cues).iter().map(|cue| cue.what).collect();
                if left.is_empty() { Ok(()) } else { Err((left, Agent::new(self.stage.agent().await))) }
            })
            .await;
        }
    }

    /// At the end: each of so many revisions was made once, and stayed.
    pub(crate) async fn made(&self, revisions: usize) {
        let running = self.running.lock().await;
        println!("{}: {} operators were killed", self.stage.namespace, running.killed);
        assert_eq!(running.killed > 0, self.kills.is_some(), "{}", running.operator.log());
        let mut requests = self.stage.control_plane.requests_since(&self.moment).await.unwrap();
        requests.retain(|request| {
            request.namespace == self.stage.namespace
                && request.resource == "deployments"
                && ["create", "delete", "deletecollection"].contains(&&*request.verb)
        });
        // one whose author was killed before its answer ends with 504, whatever came of it
        let made = requests.iter().filter(|request| request.verb == "create" && request.code == 201).count();
        let cut_off =
            requests.iter().filter(|request| request.verb == "create" && request.code == 504).count();
        assert!((revisions.saturating_sub(cut_off)..=revisions).contains(&made), "{requests:#?}");
        assert_eq!(requests.len(), made + cut_off, "none was deleted or made in vain: {requests:#?}");
        let there = self.stage.api::<Deployment>().list(&ListParams::default()).await.unwrap().items;
        assert_eq!(there.len(), revisions, "{there:#?}");
    }

    /// What the operator that lasts tells Prometheus; nothing of one that was killed.
    pub(crate) async fn metrics(&self) -> Option<String> {
        let running = self.running.lock().await;
        self.is_steady().then(|| running.operator.metrics())
    }

    /// What the operator has logged last.
    pub(crate) async fn log(&self) -> String {
        self.running.lock().await.operator.log()
    }
}

struct Killer {
    stage: Stage,
    cues: Weak<Cues>,
    running: Arc<tokio::sync::Mutex<Running>>,
}

impl Killer {
    async fn kill(self) {
        let mut before = Before(None);
        while let Some(cues) = self.cues.upgrade() {
            tokio::time::sleep(LOOK).await;
            let Some(object) = self.stage.api::<AgentDeployment>().get_opt(NAME).await.unwrap() else {
                continue;
            };
            let agent = Agent::new(object);
            let now = lock(&cues).front().map(|cue| (cue.is)(&before, &agent));
            match now {
                None => before = Before(agent.status.rollout),
                Some(false) => {}
                Some(true) => {
                    before = self.running.lock().await.replace(&self.stage).await;
                    lock(&cues).pop_front();
                }
            }
        }
    }
}

impl Running {
    /// SIGKILL, and another operator that need not wait for the end of the dead one's Lease. Answers with what was
    /// saved before there was another.
    async fn replace(&mut self, stage: &Stage) -> Before {
        self.operator.kill();
        self.killed += 1;
        let saved = Agent::new(stage.agent().await).status.rollout;
        self.operator = stage.successor(&format!("operator-{}", self.killed)).await;
        self.operator.until_leading(stage).await;
        Before(saved)
    }
}

fn lock(cues: &Cues) -> MutexGuard<'_, VecDeque<Cue>> {
    cues.lock().unwrap_or_else(PoisonError::into_inner)
}
